"""Many people at once over three recipes, who do not wait for anybody: what each of them does next is drawn, and remembered."""

from random import Random
from typing import TYPE_CHECKING

from cxbridge.core.ledger import Ref
from cxbridge.core.store import links
from cxbridge.sandbox.checker import Due, Expected, Flow, Mirror
from cxbridge.sandbox.history import Place
from tests.reliability.shapes import _WRITTEN as WRITTEN
from tests.reliability.shapes import FOLDER, NORTHWIND, PRIORITIES
from tests.reliability.shapes import _due as due
from tests.reliability.shapes import _linked as linked
from tests.reliability.stage import Setting

if TYPE_CHECKING:
    from tests.reliability.killing.scene import Scene

RECIPES = ("two_way", "mirror", "each")
SETTING = Setting(
    "crowd",
    {f"{name.replace('_', '-')}.toml": (FOLDER / f"{name}.toml").read_text(encoding="utf-8") for name in RECIPES},
    rows=(NORTHWIND,),
    streams=(("zendesk", "tickets"), ("jira", "issues"), ("zendesk", "comments"), ("jira", "comments")),
)
_PAIR, _TALK, _LOOKS = "pair", "talk", "three-looks"
_MOST_TICKETS = 9


class Crowd:
    """Everybody of a scene. What they wait for of an integration is what `expected` says in the end."""

    def __init__(self, scene: "Scene", random: Random) -> None:
        self._scene = scene
        self._random = random
        self._tickets: dict[int, str] = {}
        self._said = 0
        self._since = len(scene.world.journal)

    def acts(self) -> None:
        """One or two of them do something."""
        for _ in range(self._random.choice((1, 2))):
            before = len(self._scene.people.deeds)
            deeds = [self._writes, self._prioritises, self._talks, self._moves, self._overrules, self._answers]
            while deeds and len(self._scene.people.deeds) == before:
                deeds.pop(self._random.randrange(len(deeds)))()

    def _of(self, tag: str) -> int | None:
        known = [number for number, one in self._tickets.items() if one == tag]
        return self._random.choice(known) if known else None

    def _issue_of(self, number: int | None) -> str | None:
        """The issue that a ticket is linked with."""
        made = self._scene.effects("remotelink.created")
        return next((one.key for one in made if number and one.detail["global_id"].endswith(f"&id={number}")), None)

    def _kept(self, number: int | None) -> bool:
        """Whether the daemon knows of the link: what is said before that is not carried over."""
        key = self._issue_of(number)
        if key is None:
            return False
        with self._scene.looking() as tx:
            return bool(links.of(tx, Ref("zendesk", "tickets", str(number))))

    def _writes(self) -> None:
        if len(self._tickets) < _MOST_TICKETS:
            tag = self._random.choice((_PAIR, _PAIR, _TALK, _LOOKS))
            subject = f"Export {len(self._tickets) + 1} stops"
            self._tickets[self._scene.people.ticket(tags=[tag], subject=subject)] = tag

    def _prioritises(self) -> None:
        number = self._of(_PAIR)
        if number is not None:
            self._scene.people.agent(number, priority=self._random.choice(list(PRIORITIES)))

    def _moves(self) -> None:
        key = self._issue_of(self._of(_PAIR))
        if key is not None:
            to = self._random.choice(("In Progress", "Done"))
            if self._scene.act("GET", f"/jira/issues/{key}")["status"] != to:
                self._scene.people.moves(key, to, "Fixed" if to == "Done" else None)

    def _overrules(self) -> None:
        key = self._issue_of(self._of(_PAIR))
        if key is not None:
            self._scene.people.engineer(key, priority=self._random.choice(("Highest", "Low")))

    def _talks(self) -> None:
        number = self._of(_TALK)
        if self._kept(number):
            self._said += 1
            self._scene.people.says(number or 0, f"#engineering remark {self._said:03}.")

    def _answers(self) -> None:
        number = self._of(_TALK)
        if self._kept(number):
            self._said += 1
            self._scene.people.engineer_says(str(self._issue_of(number)), f"#support remark {self._said:03}.")

    def expected(self) -> Expected:
        """Say what must have come of it."""
        of = {tag: [number for number, one in self._tickets.items() if one == tag] for tag in (_PAIR, _TALK, _LOOKS)}
        dues: list[Due] = linked(of[_PAIR] + of[_TALK], len(self._tickets))
        flows: list[Flow] = []
        mirrors: list[Mirror] = []
        for number in of[_LOOKS]:
            dues += [
                due("a look", "jira", "comment.added", 1, text=f"{word} look at {number}")
                for word in ("first", "second", "third")
            ]
            dues.append(due("the tag", "zendesk", "tags", 1, key=number, added="looked-at"))
        for number in of[_PAIR]:
            key = str(self._issue_of(number))
            flows.append(
                Flow(
                    what="the help desk owns the priority",
                    sources=[Place("zendesk", str(number), "priority")],
                    target=Place("jira", key, "priority"),
                    map=PRIORITIES,
                    written=WRITTEN,
                )
            )
            flows.append(
                Flow(
                    what="the tracker owns the status",
                    sources=[Place("jira", key, "status")],
                    target=Place("zendesk", str(number), "custom_fields.360000000102"),
                )
            )
        for number in of[_TALK]:
            here, there = ("zendesk", str(number)), ("jira", str(self._issue_of(number)))
            mirrors.append(Mirror(what="what support marks", source=here, target=there, marked="#engineering"))
            mirrors.append(Mirror(what="what engineering marks", source=there, target=here, marked="#support"))
        return Expected(since=self._since, dues=dues, flows=flows, mirrors=mirrors)
