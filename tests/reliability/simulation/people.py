"""The people of a simulated day: customers in three time zones, agents, engineers, whoever is asked; one thing at a time."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from tests.reliability.simulation.company import PRIORITIES, TAGS, Case, issue_of
from tests.reliability.simulation.weather import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from tests.reliability.simulation.day import Day

# When the working day begins in each of them, in hours after the simulated day's beginning (08:46 UTC).
ZONES = (0.0, 5.0, 15.0)
WORKDAY = 9.0
TICKETS = (9, 14)


class Staff:
    """Plans what people do, and remembers the tickets that a recipe must act on."""

    def __init__(self, day: "Day") -> None:
        self.day = day
        self.people = day.stage.people
        self.lot = Random(f"people/{day.seed}")
        self.cases: list[Case] = []
        self._pressed: dict[str, Case] = {}
        self._at_home = False

    def plan(self) -> None:
        """Draw when customers write, and about what."""
        names = list(TAGS)
        if self.lot.random() < 0.6:
            self.people.subscribes("zendesk", "jira")
        hooks = {"interactivity_url": "http://bridge.test/slack", "signing_secret": "sandbox-signing-secret"}
        self.day.stage.act("PUT", "/slack/hooks", hooks)
        for number in range(self.lot.randint(*TICKETS)):
            # Each recipe has its turn on every day; which comes how often beyond that is drawn.
            name = names[number] if number < len(names) else self.lot.choice(names)
            when = (self.lot.choice(ZONES) + self.lot.triangular(0, WORKDAY, WORKDAY / 2)) * HOUR % DAY
            self._at(when * 0.97, partial(self._writes, name, number))

    def goes_home(self) -> None:
        """Do nothing more."""
        self._at_home = True

    # -- when ------------------------------------------------------------------------------------------------------

    def _at(self, when: float, do: Callable[[], None]) -> None:
        self.day.at(when, lambda: None if self._at_home else do())

    def _soon(self, least: float, most: float, do: Callable[[], None]) -> None:
        self._at(self.day.time() + self.lot.uniform(least, most) * MINUTE, do)

    # -- what ------------------------------------------------------------------------------------------------------

    def _writes(self, recipe: str, number: int) -> None:
        subject = f"Matter {self.day.seed}.{number:03d}."
        group = 2 if recipe in ("fan-in", "follow") and self.lot.random() < 0.6 else 1
        for one in range(group):
            if one:
                self._soon(1, 90, lambda: self._ticket(recipe, subject))
            else:
                self._ticket(recipe, subject)

    def _ticket(self, recipe: str, subject: str) -> None:
        later = self.lot.random() < 0.4
        fields: dict[str, Any] = {"priority": self.lot.choice(list(PRIORITIES)), "subject": subject}
        if recipe == "wait-then":
            fields["priority"] = "normal" if later else "urgent"
        tags = [TAGS[recipe]]
        if later and recipe != "wait-then":
            number = self.people.ticket(**fields)
            self._soon(0.1, 45, lambda: self._tags(recipe, number, subject))
            return
        number = self.people.ticket(tags=tags, **fields)
        if recipe == "wait-then" and later:
            self._soon(0.1, 45, lambda: self._presses_on(number, subject))
            return
        self._has(Case(recipe, number, subject, self.day.time()))

    def _tags(self, recipe: str, number: int, subject: str) -> None:
        self.people.tags(number, TAGS[recipe])
        self._has(Case(recipe, number, subject, self.day.time()))

    def _presses_on(self, number: int, subject: str) -> None:
        self.people.agent(number, priority="urgent")
        self._has(Case("wait-then", number, subject, self.day.time()))

    def _has(self, case: Case) -> None:
        self.cases.append(case)
        match case.recipe:
            case "two-way" | "fan-in":
                for _ in range(self.lot.randint(1, 4)):
                    self._soon(1, 300, lambda: self._changes_priority(case))
                if case.recipe == "two-way":
                    for step in self.lot.choice(
                        (("In Progress",), ("In Progress", "In Review"), ("In Progress", "Done"))
                    ):
                        self._soon(30, 240, partial(self._moves, case, step, 0))
                    self._soon(10, 200, lambda: self._overrules(case))
            case "mirror":
                for number in range(self.lot.randint(1, 4)):
                    self._soon(1, 240, partial(self._remarks, case, number))
                    self._soon(30, 300, partial(self._answers, case, number, 0))
            case "follow":
                self._soon(30, 200, lambda: self._fixes(case, 0))
            case "wait-then" if self.lot.random() < 0.3:
                self._soon(5, 200, lambda: self._solves(case))
            case "approval":
                case.choice = self.lot.choice(("approve", "approve", "approve", "reject", ""))
                if case.choice:
                    self._soon(2, 120, lambda: self._decides(case, 0))
            case _:
                if self.lot.random() < 0.4:
                    self._soon(1, 90, lambda: self.people.says(case.number, "Have you tried again?", public=True))

    def _changes_priority(self, case: Case) -> None:
        self.people.agent(case.number, priority=self.lot.choice(list(PRIORITIES)))

    def _overrules(self, case: Case) -> None:
        issue = issue_of(self.day.stage.world, case)
        if issue is not None:
            self.people.engineer(issue, priority=self.lot.choice(list(PRIORITIES.values())))

    def _moves(self, case: Case, to: str, tries: int) -> None:
        issue = issue_of(self.day.stage.world, case)
        if issue is None:
            if tries < 6:
                self._soon(10, 40, lambda: self._moves(case, to, tries + 1))
            return
        self._transition(issue, to)

    def _transition(self, issue: str, to: str) -> None:
        body: dict[str, Any] = {"to": to, **({"resolution": "Fixed"} if to == "Done" else {})}
        network = self.day.stage.network
        network.ask("control", "POST", f"/jira/issues/{issue}/transition", msgspec.json.encode(body))

    def _remarks(self, case: Case, number: int, tries: int = 0) -> None:
        # What was said before a link was made is not carried over it.
        if not self._is_linked(case):
            if tries < 6:
                self._soon(10, 40, lambda: self._remarks(case, number, tries + 1))
            return
        marked = self.lot.random() < 0.8
        text = f"{'#engineering ' if marked else ''}remark {number} on {case.subject}"
        self.people.says(case.number, text)

    def _answers(self, case: Case, number: int, tries: int) -> None:
        issue = issue_of(self.day.stage.world, case)
        if issue is None or not self._is_linked(case):
            if tries < 6:
                self._soon(10, 40, lambda: self._answers(case, number, tries + 1))
            return
        marked = self.lot.random() < 0.8
        self.people.engineer_says(issue, f"{'#support ' if marked else ''}answer {number} on {case.subject}")

    def _is_linked(self, case: Case) -> bool:
        world = self.day.stage.world
        return any(
            str(one.detail["global_id"]).endswith(f"&id={case.number}")
            for one in world.journal.effects("remotelink.created")
        )

    def _fixes(self, case: Case, tries: int) -> None:
        group = [one for one in self.cases if one.subject == case.subject]
        issue = issue_of(self.day.stage.world, case)
        if issue is None or not all(self._is_linked(one) for one in group):
            if tries < 6:
                self._soon(10, 40, lambda: self._fixes(case, tries + 1))
            return
        self._transition(issue, "Done")
        if self.lot.random() < 0.4:
            self._soon(5, 200, lambda: self._transition(issue, "In Progress"))

    def _solves(self, case: Case) -> None:
        case.solved = True
        self.people.agent(case.number, status="solved")

    def _decides(self, case: Case, tries: int) -> None:
        """Press the button, if the question is there, and again as long as nobody takes notice."""
        world = self.day.stage.world
        asked = next(
            (
                one
                for one in world.journal.effects("message.posted")
                if f"{case.number}?" in str(one.detail.get("text"))
            ),
            None,
        )
        if case.heard or tries > 8:
            return
        self._soon(20, 40, lambda: self._decides(case, tries + 1))
        if asked is None:
            return
        self._pressed[asked.key] = case
        body = {"message": asked.key, "choice": case.choice, "user": "Maya Ortiz"}
        self.day.stage.network.ask("control", "POST", "/slack/click", msgspec.json.encode(body))

    def heard(self, vendor: str, body: bytes) -> None:
        """A delivery was acknowledged: if it was a press, whoever pressed sees that it was heard."""
        if vendor == "slack":
            for key, case in self._pressed.items():
                if key.partition(":")[2].encode() in body:
                    case.heard.append(self.day.time())
