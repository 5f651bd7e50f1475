"""The company that is simulated: nine recipes at once over three vendors, what people can want of it, and what must come of that.

What is expected follows from what people did and from the vendors' journal alone.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from cxbridge.sandbox.checker import Due, Expected, Flow, Guard, Match, Mirror, Order, Violation
from cxbridge.sandbox.history import Place
from cxbridge.sandbox.journal import Effect
from cxbridge.sandbox.world import World
from tests.reliability.stage import Setting

FOLDER = Path(__file__).with_name("recipes")
NORTHWIND = {
    "kind": "organization",
    "name": "Northwind",
    "external_id": "HL-1",
    "tier": "enterprise",
    "domains": ["northwind.test"],
    "tags": [],
}
# All tickets have four digits, so that no number is the beginning of another one.
FIRST_TICKET = 1001
CHAT = (
    {"kind": "slack.user", "name": "Maya Ortiz", "email": "maya@harbourlight.example"},
    {"kind": "slack.channel", "name": "cx-ops"},
)
STREAMS = (
    ("zendesk", "tickets"),
    ("zendesk", "comments"),
    ("jira", "issues"),
    ("jira", "comments"),
    ("slack", "users"),
)
# How long the simulated search may not show an issue, and how long the connection waits because of that.
SEARCH_SETTLES = 120
PRIORITIES = {"urgent": "Highest", "high": "High", "normal": "Medium", "low": "Low"}
WRITTEN = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low"}
# By recipe, the tag that asks for it.
TAGS = {
    "escalate": "needs-engineering",
    "fan-in": "shared",
    "two-way": "pair",
    "mirror": "talk",
    "wait-then": "watch",
    "approval": "ask-first",
    "each": "three-looks",
    "follow": "fix",
    "sweep": "waits",
}
LOOKS = ("first look", "second look", "third look")


class Company(Setting):
    """A setting whose Jira connection knows how far its search lags behind."""

    def fill(self, world: World) -> None:
        """Put into a world what there is in it at the beginning."""
        super().fill(world)
        world.zendesk._ticket_ids = itertools.count(FIRST_TICKET)

    def write(self, folder: Path) -> None:
        """Write the configuration."""
        super().write(folder)
        file = folder / "cxbridge.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("settle = 6\n", f"settle = {SEARCH_SETTLES}\n"), encoding="utf-8")


@cache
def recipes() -> dict[str, str]:
    """Read the recipes, by file name."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.toml"))}


@cache
def company(
    name: str = "company", only: tuple[str, ...] = (), streams: tuple[tuple[str, str], ...] = STREAMS
) -> Company:
    """Give the setting, with all recipes or some; one write at a time, since everything is played in one thread."""
    vendors = tuple(dict.fromkeys(connection for connection, _ in streams))
    return Company(
        name,
        {file: text for file, text in recipes().items() if not only or file.removesuffix(".toml") in only},
        vendors=vendors,
        rows=(NORTHWIND, *(CHAT if "slack" in vendors else ())),
        streams=streams,
        more='[daemon]\npoll = "1h"\nabreast = 1\n',
    )


@dataclass
class Case:
    """A ticket that was tagged for a recipe. `subject` is shared by the cases of a group, and by nobody else."""

    recipe: str
    number: int
    subject: str
    at: float
    # Somebody solved it at some time.
    solved: bool = False
    # What was pressed, and when a press was acknowledged.
    choice: str = ""
    heard: list[float] = field(default_factory=list)
    # When it was approved elsewhere than in the chat.
    granted: list[float] = field(default_factory=list)
    # Time may leap, so that a question is over before it is put.
    hasty: bool = False
    # Somebody dropped a delivery of it: nothing more is owed.
    given_up: bool = False


def issue_of(world: World, case: Case) -> str | None:
    """Name the issue that was made for a case."""
    for one in world.journal.effects("issue.created", vendor="jira"):
        if case.subject in str(one.detail["summary"]):
            return one.key
    return None


def expected(world: World, cases: Sequence[Case], **more: Any) -> Expected:
    """Say what must have come of all cases once everything is at rest."""
    kinds: dict[str, list[Any]] = {"dues": [], "flows": [], "mirrors": [], "orders": [], "guards": []}

    def want(name: str, wanted: Any, *, given_up: bool) -> None:
        if not given_up:
            kinds[name].append(wanted)
        elif name == "dues":
            kinds[name].append(msgspec.structs.replace(wanted, least=0))
        elif name in ("orders", "guards"):
            kinds[name].append(wanted)

    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        for name, wanted in (*_wanted(case, issue_of(world, case), world), *_joined(case)):
            want(name, wanted, given_up=case.given_up)
        if case.recipe not in ("wait-then", "sweep", "approval"):
            groups.setdefault((case.recipe, case.subject), []).append(case)
    for (recipe, subject), group in groups.items():
        given_up = any(one.given_up for one in group)
        want("dues", _due(f"{recipe}: one issue", "jira", "issue.created", summary=subject), given_up=given_up)
        issue = issue_of(world, group[0])
        if recipe == "fan-in" and issue is not None:
            want("flows", _priority(world, [str(one.number) for one in group], issue), given_up=given_up)
    given: dict[str, Any] = {name: tuple(found) for name, found in kinds.items()}
    return Expected(**given, **more)


_JOINS = ("escalate", "fan-in", "two-way", "mirror", "follow")


def _due(
    what: str, vendor: str, kind: str, least: int = 1, most: int | None = None, key: object = None, **where: Any
) -> Due:
    named = {name.replace("__", "."): value for name, value in where.items()}
    return Due(
        what=what,
        vendor=vendor,
        kind=kind,
        key=None if key is None else str(key),
        where=named,
        least=least,
        most=least if most is None else most,
    )


def _joined(case: Case) -> Iterator[tuple[str, Any]]:
    if case.recipe not in _JOINS:
        return
    n = case.number
    link = _due(f"a link to {n}", "jira", "remotelink.created", global_id=f"system=zendesk&id={n}")
    shown: dict[str, Any] = {"changes__external_id": "cxb:jira:"}
    yield "dues", link
    yield "dues", _due(f"the link shown at {n}", "zendesk", "ticket.updated", key=n, **shown)


def _linked_at(world: World, ticket: str) -> int | None:
    """Find the entry that shows a ticket's link at its issue."""
    links = world.journal.effects("remotelink.created", vendor="jira")
    return next((one.seq for one in links if str(one.detail["global_id"]).endswith(f"&id={ticket}")), None)


def _joined_group(world: World, ticket: str) -> tuple[int, int]:
    """Say from which entry on a ticket may count for its issue, since somebody asked for that, and from which on it must."""
    changes = [*world.journal.effects("ticket.created", vendor="zendesk"), *world.journal.effects("ticket.updated")]
    asked = [one.seq for one in changes if one.key == ticket and "shared" in str(one.detail)]
    return min(asked, default=0), _linked_at(world, ticket) or sys.maxsize


def _priority(world: World, tickets: Sequence[str], issue: str) -> Flow:
    return Flow(
        what="the help desk owns the priority",
        sources=[Place("zendesk", one, "priority") for one in tickets],
        target=Place("jira", issue, "priority"),
        map=PRIORITIES,
        written=WRITTEN,
        # A ticket that comes to an issue of others counts from then on; one alone always has.
        joined=[_joined_group(world, one) for one in tickets] if len(tickets) > 1 else (),
    )


def _wanted(case: Case, issue: str | None, world: World) -> Iterator[tuple[str, Any]]:
    n = case.number
    match case.recipe:
        case "escalate":
            note = _due(f"a note at {n}", "zendesk", "comment.added", key=n, body="Escalated as")
            made = Match(vendor="jira", kind="issue.created", where={"summary": case.subject})
            yield "dues", note
            yield "orders", Order(what=f"{n}: the issue before the note", steps=[made, note])
        case "two-way" if issue is not None:
            yield "flows", _priority(world, [str(n)], issue)
            yield (
                "flows",
                Flow(
                    what="the tracker owns the status",
                    sources=[Place("jira", issue, "status")],
                    target=Place("zendesk", str(n), "custom_fields.360000000102"),
                ),
            )
        case "mirror" if issue is not None:
            there, here = ("zendesk", str(n)), ("jira", issue)
            yield "mirrors", Mirror(what="marked by support", source=there, target=here, marked="#engineering")
            yield "mirrors", Mirror(what="marked by engineering", source=here, target=there, marked="#support")
        case "wait-then":
            note = _due(f"the note at {n}", "zendesk", "comment.added", key=n, body="Looked at again")
            tag = _due(f"the tag at {n}", "zendesk", "ticket.updated", key=n, changes__tags="looked-at-again")
            told = f"{n} has been urgent"
            yield "dues", note
            yield "dues", tag
            yield "orders", Order(what=f"{n}: note, then tag", steps=[note, tag])
            yield "dues", _due("the message", "slack", "message.posted", 0 if case.solved else 1, 1, text=told)
        case "approval":
            yield from _asked(case, world)
        case "each":
            looks = [_due(f"the {word}", "jira", "comment.added", key=issue, text=f"{word} at {n}") for word in LOOKS]
            tag = _due(f"the tag at {n}", "zendesk", "tags", key=n, added="looked-at")
            for one in (*looks, tag):
                yield "dues", one
            # Looks of one batch may change places, when the first was refused and somebody had it tried again.
            for one in looks:
                yield "orders", Order(what=f"{n}: {one.what}, then the tag", steps=[one, tag])
        case "follow" if issue is not None:
            moves = [one for one in world.journal.effects("transition", via="ui", vendor="jira") if one.key == issue]
            linked = _linked_at(world, str(n))
            done = [(one.seq, one.detail["to"] == "Done") for one in moves]
            closed = [seq for (_, before), (seq, now) in pairwise([(0, False), *done]) if now and not before]
            # What was closed and opened again between two looks was never seen closed.
            sure = linked is not None and done and done[-1][1] and closed[-1] > linked
            yield (
                "dues",
                _due(
                    f"notes at {n}",
                    "zendesk",
                    "comment.added",
                    1 if sure else 0,
                    len(closed),
                    key=n,
                    body="Engineering closed",
                ),
            )
        case "sweep":
            yield "dues", _due("the message", "slack", "message.posted", text=f"{n} waits")
            yield "dues", _due(f"the tag at {n}", "zendesk", "tags", key=n, added="told")


def _asked(case: Case, world: World) -> Iterator[tuple[str, Any]]:
    n = case.number
    question = _due(f"the question about {n}", "slack", "message.posted", int(not case.hasty), 1, text=f"Escalate {n}?")
    asked = next((one for one in world.journal.effects("message.posted") if question.fits(one)), None)
    # The question was open for four hours at least from the moment the ticket came; both clocks may be wrong by ten minutes.
    sure = case.choice == "approve" and any(at < case.at + 3.5 * 3600 for at in case.heard)
    never = case.choice != "approve" or not case.heard
    issue = _due(f"the issue for {n}", "jira", "issue.created", int(sure), 0 if never else 1, summary=case.subject)
    note = _due(
        f"the note at {n}", "zendesk", "comment.added", int(sure), 0 if never else 1, key=n, body="Escalated as"
    )
    yield "dues", question
    yield "dues", issue
    yield "dues", note
    if asked is not None:
        yield (
            "dues",
            _due(f"the question about {n} is closed", "slack", "message.updated", key=asked.key, buttons=0),
        )
        by = Match(vendor="slack", kind="button.pressed", key=asked.key, where={"label": "Approve"})
        yield "guards", Guard(what=f"no issue for {n} without an approval", guarded=issue, by=by, at=case.granted)


def editions(world: World, cases: Sequence[Case]) -> list[Violation]:
    """Look whether a run ended under the edition of its recipe that began it: the issue's label and the note say which."""
    found = []
    notes = world.journal.effects("comment.added", via="api", vendor="zendesk")
    for case in cases:
        if case.recipe != "escalate":
            continue
        issues = [
            one
            for one in world.journal.effects("issue.created", vendor="jira")
            if case.subject in one.detail["summary"]
        ]
        said = [one for one in notes if one.key == str(case.number) and "Escalated as" in one.detail["body"]]
        told = {label for one in issues for label in one.detail["labels"] if label.startswith("edition-")}
        if any(not any(f"({edition})" in one.detail["body"] for edition in told) for one in said):
            found.append(
                Violation(
                    invariant="I8",
                    what=f"the run for {case.number} began under {sorted(told)} and ended under another edition",
                    evidence=[_body(one) for one in said],
                )
            )
    return found


def _body(one: Effect) -> str:
    return str(one.detail["body"])
