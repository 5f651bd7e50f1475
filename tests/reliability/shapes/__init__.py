"""Ten shapes of recipes, each with a setting and stories: what people do, and what must have come of it in the end.

A story is a generator. Wherever it yields, the world is played to rest; what it returns is what was expected.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxbridge.sandbox.checker import Due, Expected, Flow, Guard, Match, Mirror, Order
from cxbridge.sandbox.history import Place
from tests.reliability.stage import Setting, Stage

FOLDER = Path(__file__).parent

Telling = Generator[None, None, Expected]
Story = Callable[[Stage], Telling]

NORTHWIND = {
    "kind": "organization",
    "name": "Northwind",
    "external_id": "HL-1",
    "tier": "enterprise",
    "domains": ["northwind.test"],
    "tags": [],
}
MAYA = "maya@harbourlight.example"
_DESK = (("zendesk", "tickets"), ("jira", "issues"))
_TALK = (*_DESK, ("zendesk", "comments"), ("jira", "comments"))
_CHAT = (
    {"kind": "slack.user", "name": "Maya Ortiz", "email": MAYA},
    {"kind": "slack.channel", "name": "cx-ops"},
)


@dataclass(frozen=True)
class Shape:
    """One recipe with what is around it, and the story that is played with it."""

    setting: Setting
    story: Story

    @property
    def name(self) -> str:
        return self.setting.name


def _setting(name: str, **more: Any) -> Setting:
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return Setting(name, {f"{name.replace('_', '-')}.toml": text}, **{"rows": (NORTHWIND,), **more})


def made(stage: Stage, kind: str) -> list[str]:
    """The keys of what integrations made, by the journal."""
    return [one.key for one in stage.effects(kind)]


def _due(what: str, vendor: str, kind: str, times: int = 1, key: object = None, **where: Any) -> Due:
    """So many effects, no more and no fewer."""
    named = {name.replace("__", "."): value for name, value in where.items()}
    return Due(
        what=what,
        vendor=vendor,
        kind=kind,
        key=None if key is None else str(key),
        where=named,
        least=times,
        most=times,
    )


def _linked(tickets: list[int], issues: int = 1) -> list[Due]:
    """What linking tickets to issues comes to on both sides."""
    dues = [_due("an issue", "jira", "issue.created", issues)]
    for number in tickets:
        dues.append(_due(f"a link to {number}", "jira", "remotelink.created", global_id=f"system=zendesk&id={number}"))
        shown: dict[str, Any] = {"changes__external_id": "cxb:jira:"}
        dues.append(_due(f"the link shown at {number}", "zendesk", "ticket.updated", key=number, **shown))
    return dues


# -- escalate ----------------------------------------------------------------------------------------------------------


def _escalate(stage: Stage) -> Telling:
    """Tagged at once, tagged later, and told of by a webhook."""
    first = stage.people.ticket(tags=["needs-engineering"])
    yield
    stage.people.subscribes("zendesk")
    second = stage.people.ticket(subject="Login fails")
    stage.people.says(first, "Have you tried again?", public=True)
    stage.people.tags(second, "needs-engineering")
    yield
    dues, orders = _linked([first, second], 2), []
    for number, key in ((first, "ENG-1"), (second, "ENG-2")):
        note = _due(f"the note at {number}", "zendesk", "comment.added", key=number, body=f"Escalated as {key}")
        issue = Match(vendor="jira", kind="issue.created", key=key)
        dues.append(note)
        orders.append(Order(what=f"the issue before the note at {number}", steps=[issue, note]))
    return Expected(dues=dues, orders=orders, edges=5)


# -- fan_in ------------------------------------------------------------------------------------------------------------

PRIORITIES = {"urgent": "Highest", "high": "High", "normal": "Medium", "low": "Low"}
_WRITTEN = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low"}


def _fan_in(stage: Stage) -> Telling:
    """Two at once, one of which becomes more pressing, and one that joins later and is even more so."""
    tagged: dict[str, Any] = {"tags": ["needs-engineering"], "subject": "Same"}
    numbers = [stage.people.ticket(**tagged, priority="low"), stage.people.ticket(**tagged, priority="normal")]
    yield
    stage.people.agent(numbers[0], priority="high")
    yield
    numbers.append(stage.people.ticket(**tagged, priority="urgent"))
    yield
    flow = Flow(
        what="the most pressing ticket decides",
        sources=[Place("zendesk", str(number), "priority") for number in numbers],
        target=Place("jira", "ENG-1", "priority"),
        map=PRIORITIES,
        written=_WRITTEN,
    )
    return Expected(dues=_linked(numbers), flows=[flow], edges=4)


# -- two_way -----------------------------------------------------------------------------------------------------------


def _two_way(stage: Stage) -> Telling:
    """Each side changes what is its own, and the tracker then what is not."""
    number = stage.people.ticket(tags=["pair"])
    yield
    stage.people.agent(number, priority="urgent")
    stage.people.moves("ENG-1", "In Progress")
    yield
    stage.people.engineer("ENG-1", priority="Low")
    stage.people.agent(number, priority="normal")
    yield
    priority = Flow(
        what="the help desk owns the priority",
        sources=[Place("zendesk", str(number), "priority")],
        target=Place("jira", "ENG-1", "priority"),
        map=PRIORITIES,
        written=_WRITTEN,
    )
    status = Flow(
        what="the tracker owns the status",
        sources=[Place("jira", "ENG-1", "status")],
        target=Place("zendesk", str(number), "custom_fields.360000000102"),
    )
    return Expected(dues=_linked([number]), flows=[priority, status], edges=5)


# -- mirror ------------------------------------------------------------------------------------------------------------


def _mirror(stage: Stage) -> Telling:
    """Both sides talk, and what is said carries both marks in the end."""
    number = stage.people.ticket(tags=["talk"])
    yield
    for word in ("first", "second"):
        stage.people.says(number, f"#engineering {word} thing they told us")
    stage.people.engineer_says("ENG-1", "#support it is the paging")
    yield
    stage.people.says(number, "#engineering #support both of us may read this")
    stage.people.says(number, "nobody else may read this")
    yield
    there, here = ("zendesk", str(number)), ("jira", "ENG-1")
    mirrors = [
        Mirror(what="what support marks", source=there, target=here, marked="#engineering"),
        Mirror(what="what engineering marks", source=here, target=there, marked="#support"),
    ]
    secret = _due("what nobody marked", "jira", "comment.added", 0, key="ENG-1", text="nobody else")
    return Expected(dues=[*_linked([number]), secret], mirrors=mirrors, edges=4)


# -- wait_then ---------------------------------------------------------------------------------------------------------


def _wait_then(stage: Stage) -> Telling:
    """One is urgent for two hours, another is solved meanwhile."""
    first = stage.people.ticket(priority="urgent")
    yield
    stage.network.advance(3600)
    second = stage.people.ticket(priority="urgent", subject="Login fails")
    yield
    stage.people.agent(second, status="solved")
    stage.network.advance(3600)
    yield
    stage.network.advance(3600)
    yield
    dues, orders = [_due("one message", "slack", "message.posted", text="has been urgent")], []
    for number in (first, second):
        note = _due("the note", "zendesk", "comment.added", key=number, body="Looked at again")
        tag = _due("the tag", "zendesk", "ticket.updated", key=number, changes__tags="looked-at-again")
        dues += [note, tag]
        orders.append(Order(what=f"the note before the tag at {number}", steps=[note, tag]))
    return Expected(dues=dues, orders=orders)


# -- approval ----------------------------------------------------------------------------------------------------------


def _approval(stage: Stage) -> Telling:
    """Approved by a button, approved on the command line, and left without an answer; and one that is rejected."""
    pressed, silent = (stage.people.ticket(tags=["ask-first"], subject=one) for one in ("One", "Four"))
    yield
    stage.people.presses("approve", about=f"Escalate {pressed}?")
    typed, rejected = (stage.people.ticket(tags=["ask-first"], subject=one) for one in ("Two", "Three"))
    yield
    stage.people.answers("approve", about=f"Escalate {typed}?")
    at = stage.people.deeds[-1].at
    stage.people.presses("reject", about=f"Escalate {rejected}?")
    yield
    stage.network.advance(4 * 3600)
    yield
    dues, guards = [], []
    for number, subject, times, granted in (
        (pressed, "One", 1, {"by": Match(vendor="slack", kind="button.pressed", where={"label": "Approve"})}),
        (typed, "Two", 1, {"at": [at]}),
        (rejected, "Three", 0, {}),
        (silent, "Four", 0, {}),
    ):
        issue = _due(f"the issue {subject}", "jira", "issue.created", times, summary=subject)
        dues += [
            issue,
            _due("the question", "slack", "message.posted", text=f"Escalate {number}?"),
            _due("the note", "zendesk", "comment.added", times, key=number, body="Escalated as ENG-"),
            _due("no buttons in the end", "slack", "message.updated", text=f"Escalate {number}?", buttons=0),
        ]
        guards.append(Guard(what="no issue without an approval", guarded=issue, **granted))
    return Expected(dues=dues, guards=guards)


# -- each --------------------------------------------------------------------------------------------------------------


def _each(stage: Stage) -> Telling:
    """Two tickets, each looked at three times."""
    numbers = []
    for subject in ("One", "Two"):
        numbers.append(stage.people.ticket(tags=["three-looks"], subject=subject))
        yield
    dues, orders = [], []
    for number, key in zip(numbers, ("ENG-1", "ENG-2"), strict=True):
        looks = [
            _due(f"the {word} look", "jira", "comment.added", key=key, text=f"{word} look at {number}")
            for word in ("first", "second", "third")
        ]
        issue, tag = (
            _due("the issue", "jira", "issue.created", key=key),
            _due("the tag", "zendesk", "tags", key=number, added="looked-at"),
        )
        dues += [issue, *looks, tag]
        orders.append(Order(what="issue, looks, tag", steps=[issue, *looks, tag]))
    return Expected(dues=dues, orders=orders, edges=5)


# -- follow ------------------------------------------------------------------------------------------------------------


def _follow(stage: Stage) -> Telling:
    """An issue of two tickets is closed, and opened again."""
    numbers = [stage.people.ticket(tags=["needs-engineering"], subject="Same") for _ in range(2)]
    yield
    stage.people.moves("ENG-1", "Done", "Fixed")
    yield
    stage.people.moves("ENG-1", "In Progress")
    yield
    dues = _linked(numbers)
    for number in numbers:
        dues.append(_due("the note", "zendesk", "comment.added", key=number, body="Engineering closed"))
        dues.append(_due("the tag", "zendesk", "tags", key=number, added="reopened-by-engineering"))
    return Expected(dues=dues, edges=4)


# -- sweep -------------------------------------------------------------------------------------------------------------


def _sweep(stage: Stage) -> Telling:
    """Two wait at the first quarter of an hour, one more at the next; at the third there is nobody new."""
    numbers = [stage.people.ticket(tags=["waits"]) for _ in range(2)]
    stage.network.advance(900)
    yield
    numbers.append(stage.people.ticket(tags=["waits"], subject="Login fails"))
    stage.network.advance(900)
    yield
    stage.network.advance(900)
    yield
    dues = [_due("the message", "slack", "message.posted", text=f"{number} waits") for number in numbers]
    dues += [_due("the tag", "zendesk", "tags", key=number, added="told") for number in numbers]
    return Expected(dues=dues)


# -- mixed -------------------------------------------------------------------------------------------------------------


def _mixed(stage: Stage) -> Telling:
    """A company that is known, and one that comes into both systems on the way: who is who is found out then."""
    first = stage.people.ticket(tags=["risk"])
    yield
    stage.load(
        {**NORTHWIND, "name": "Initech", "external_id": "HL-2", "domains": ["initech.test"]},
        {"kind": "gainsight.company", "name": "Initech", "external_id": "HL-2", "csm": MAYA, "arr": 5, "score": 70},
    )
    yield
    requester = {"name": "Bill Lum", "email": "bill@initech.test"}
    second = stage.people.ticket(tags=["risk"], organization="Initech", requester=requester)
    yield
    dues = []
    for number, company in ((first, "Northwind"), (second, "Initech")):
        dues += [
            _due("the task", "gainsight", "task.created", name=f"{company}:"),
            _due("the entry", "gainsight", "touchpoint.created", name=f"{number} was marked"),
            _due("the tag", "zendesk", "tags", key=number, added="risk-told"),
            _due("the message", "slack", "message.posted", text=f"{company} is at risk"),
        ]
    return Expected(dues=dues, edges=5)


# -- all ---------------------------------------------------------------------------------------------------------------

_TICKETS = (("zendesk", "tickets"),)
_SUCCESS = (
    NORTHWIND,
    *_CHAT,
    {"kind": "gainsight.user", "name": "Maya Ortiz", "email": MAYA},
    {
        "kind": "gainsight.company",
        "name": "Northwind Traders",
        "external_id": "HL-1",
        "csm": MAYA,
        "arr": 2,
        "score": 81,
    },
)


_CHATTING: dict[str, Any] = {"vendors": ("zendesk", "slack"), "streams": _TICKETS, "rows": (NORTHWIND, *_CHAT)}


def _shape(name: str, story: Story, **setting: Any) -> Shape:
    return Shape(_setting(name, **setting), story)


SHAPES: tuple[Shape, ...] = (
    _shape("escalate", _escalate, streams=_DESK),
    _shape("fan_in", _fan_in, streams=_DESK),
    _shape("two_way", _two_way, streams=_DESK),
    _shape("mirror", _mirror, streams=_TALK),
    _shape("wait_then", _wait_then, **_CHATTING),
    _shape("approval", _approval, **{**_CHATTING, "vendors": ("zendesk", "jira", "slack"), "streams": _DESK}),
    _shape("each", _each, streams=_DESK),
    _shape("follow", _follow, streams=_DESK),
    _shape("sweep", _sweep, **_CHATTING),
    _shape(
        "mixed",
        _mixed,
        streams=(("zendesk", "organizations"), ("zendesk", "tickets"), ("gainsight", "companies")),
        vendors=("zendesk", "gainsight", "slack"),
        rows=_SUCCESS,
        # Without the right to read histories, a message can neither be keyed nor found again.
        connections={"slack": "history = false\n"},
    ),
)


def shape_of(name: str) -> Shape:
    """Give a shape by its name."""
    return next(one for one in SHAPES if one.name == name)
