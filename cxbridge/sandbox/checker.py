"""Judges an integration by what really happened: the journal and the vendors' state, never the integration's own records.

A test says what was expected of it; what was not fulfilled comes back as violations, each named after the invariant it breaks and
with the entries that show it. Nothing here knows any integration but by the markers it plants.

    I1  no lost change: a due effect is missing, or a comment was not carried over
    I3  no duplicated action: an effect happened more often than it may, or twice under one marker
    I4  loop-free: something was written although nothing happened, or far more than happened
    I5  convergence: two fields that are kept in step do not agree
    I6  no going back: a value was written that is of an older version than the one written before, or that nobody ever set
    I7  order: effects on one entity came in another order than what caused them
    I9  approval: something happened that nobody had approved, or more often than it was approved
    I11 good citizen: more requests than a budget allows, or one before the vendor said to come again
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import msgspec

from cxbridge.sandbox import verdict
from cxbridge.sandbox.flows import Flow, gone_back
from cxbridge.sandbox.history import holds, now_at
from cxbridge.sandbox.journal import Effect, Request
from cxbridge.sandbox.world import World

__all__ = [
    "Budget",
    "Due",
    "Expected",
    "Flow",
    "Guard",
    "Match",
    "Mirror",
    "Order",
    "Violation",
    "judge",
    "told",
]

# A vendor that says to come again in a year is obeyed for this long.
LONGEST_HOLD = 3600.0


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken invariant: which, what was expected, and what shows that it did not hold."""

    invariant: str
    what: str
    evidence: list[str]

    def __str__(self) -> str:
        return "\n      ".join([f"{self.invariant} {self.what}", *self.evidence])


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which effects are meant. `where` names values by their path in the detail; a text needs to be part of the one there."""

    vendor: str
    kind: str
    key: str | None = None
    where: Mapping[str, Any] = {}

    def fits(self, effect: Effect) -> bool:
        """Whether an effect is one of them."""
        return (
            (effect.vendor, effect.kind) == (self.vendor, self.kind)
            and self.key in (None, effect.key)
            and all(holds(effect.detail, path, value) for path, value in self.where.items())
        )


class Due(Match, frozen=True, kw_only=True):
    """An effect that must come of what people did, `least` times and at most `most` times."""

    what: str
    least: int = 1
    most: int = 1


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """Comments that are carried over from one entity to another, each once, in order: those of people that hold `marked`.

    As many as the vendor refused may come later than their turn: a person decides about those, and they hold up no others.
    """

    what: str
    source: tuple[str, str]
    target: tuple[str, str]
    marked: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Effects of one entity that must come one after the other."""

    what: str
    steps: Sequence[Match]


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """Effects that need an approval each: a press of a button that `by` fits, or an answer given elsewhere at one of `at`."""

    what: str
    guarded: Match
    by: Match | None = None
    at: Sequence[float] = ()


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` requests in any `period` seconds; `path_regex` and `method` narrow down to which."""

    vendor: str
    limit: int
    period: float = 60.0
    path_regex: str = ""
    method: str = ""

    def counts(self, request: Request) -> bool:
        """Whether a request is counted."""
        return (
            request.vendor == self.vendor
            and self.method in ("", request.method)
            and re.search(self.path_regex, request.path) is not None
        )


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged. Everything counts from entry number `since` of the journal on.

    `quiet_since`: from that entry on nothing may be written. `edges`: at most so many writes for each thing that people did.
    `held`: which requests wait when the vendor says to come again, those of the same `path` or all of the `vendor`.
    """

    since: int = 0
    dues: Sequence[Due] = ()
    flows: Sequence[Flow] = ()
    mirrors: Sequence[Mirror] = ()
    orders: Sequence[Order] = ()
    guards: Sequence[Guard] = ()
    budgets: Sequence[Budget] = ()
    quiet_since: int | None = None
    edges: int | None = None
    held: str = "path"


def judge(world: World, expected: Expected) -> list[Violation]:
    """Say all that was not as expected, in the order of the invariants."""
    with world.lock:
        entries = world.journal.entries(expected.since)
        effects = [one for one in entries if isinstance(one, Effect)]
        requests = [one for one in entries if isinstance(one, Request)]
        judges: Sequence[Callable[[], Iterator[Violation]]] = (
            lambda: _dues(effects, expected),
            lambda: _twice(world),
            lambda: _silence(effects, expected),
            lambda: _flows(world, expected),
            lambda: _mirrors(effects, requests, expected),
            lambda: _orders(effects, expected),
            lambda: _guards(effects, expected),
            lambda: _budgets(requests, expected),
            lambda: _holds(requests, expected),
        )
        found = [violation for one in judges for violation in one()]
    return sorted(found, key=lambda one: int(one.invariant.removeprefix("I")))


def told(entry: Effect | Request) -> str:
    """Say an entry in one line."""
    if isinstance(entry, Request):
        return (
            f"#{entry.seq} t={entry.t:.2f} {entry.vendor} {entry.method} {entry.path} -> {entry.status} {entry.fault}"
        )
    detail = msgspec.json.encode(entry.detail).decode()
    return (
        f"#{entry.seq} t={entry.t:.2f} {entry.vendor} {entry.kind} {entry.key} by {entry.actor} ({entry.via}) {detail}"
    )


def _written(effects: Sequence[Effect]) -> list[Effect]:
    return [one for one in effects if one.via == "api"]


def _dues(effects: Sequence[Effect], expected: Expected) -> Iterator[Violation]:
    for due in expected.dues:
        found = [one for one in _written(effects) if due.fits(one)]
        if len(found) < due.least:
            what = f"{due.what}: {len(found)} of at least {due.least}"
            near = [one for one in _written(effects) if (one.vendor, one.kind) == (due.vendor, due.kind)]
            yield Violation(invariant="I1", what=what, evidence=[told(one) for one in near])
        if len(found) > due.most:
            what = f"{due.what}: {len(found)} of at most {due.most}"
            yield Violation(invariant="I3", what=what, evidence=[told(one) for one in found])


def _twice(world: World) -> Iterator[Violation]:
    for one in verdict.duplicates(world.journal):
        what = f"{one.vendor} {one.kind} {one.count} times under {one.same}"
        yield Violation(invariant="I3", what=what, evidence=one.keys)


def _silence(effects: Sequence[Effect], expected: Expected) -> Iterator[Violation]:
    written = _written(effects)
    if expected.quiet_since is not None:
        late = [one for one in written if one.seq > expected.quiet_since]
        if late:
            what = f"{len(late)} writes after entry {expected.quiet_since}, when nothing happened any more"
            yield Violation(invariant="I4", what=what, evidence=[told(one) for one in late])
    if expected.edges is not None:
        outside = sum(one.via == "ui" for one in effects)
        done = [one for one in written if one.kind != "noop"]
        if len(done) > outside * expected.edges:
            kinds = Counter(f"{one.vendor} {one.kind}" for one in done)
            what = f"{len(done)} writes for {outside} deeds of people, more than {expected.edges} for each"
            yield Violation(invariant="I4", what=what, evidence=[f"{name}: {n}" for name, n in sorted(kinds.items())])


def _flows(world: World, expected: Expected) -> Iterator[Violation]:
    for flow in expected.flows:
        wanted = flow.value([now_at(world, one) for one in flow.sources])
        found = now_at(world, flow.target)
        if wanted is not None and found != wanted:
            shown = ", ".join(f"{one} = {now_at(world, one)!r}" for one in flow.sources)
            what = f"{flow.what}: {flow.target} is {found!r}, and should be {wanted!r}"
            yield Violation(invariant="I5", what=what, evidence=[shown])
        for what, evidence in gone_back(world.journal, flow):
            yield Violation(invariant="I6", what=what, evidence=evidence)


def _mirrors(effects: Sequence[Effect], requests: Sequence[Request], expected: Expected) -> Iterator[Violation]:
    comments = [one for one in effects if one.kind == "comment.added"]
    for mirror in expected.mirrors:
        said = [one for one in comments if (one.vendor, one.key) == mirror.source and one.via == "ui"]
        said = [one for one in said if mirror.marked in _text(one)]
        copies = [one for one in comments if (one.vendor, one.key) == mirror.target and one.via == "api"]
        order: list[int] = []
        for one in said:
            carried = [copy for copy in copies if _text(one) in _text(copy)]
            if not carried:
                what = f"{mirror.what}: {_text(one)!r} was not carried over"
                yield Violation(invariant="I1", what=what, evidence=[told(one)])
            elif len(carried) > sum(_text(other) == _text(one) for other in said):
                what = f"{mirror.what}: {_text(one)!r} was carried over {len(carried)} times"
                yield Violation(invariant="I3", what=what, evidence=[told(copy) for copy in carried])
            else:
                order.append(carried[0].seq)
        if len(order) - _in_order(order) > len(_refused(requests, mirror, copies)):
            what = f"{mirror.what}: carried over in another order than it was said"
            yield Violation(invariant="I7", what=what, evidence=[told(copy) for copy in copies])


def _in_order(numbers: Sequence[int]) -> int:
    """Count how many can be kept so that those rise: the length of the longest rising subsequence."""
    ends: list[int] = []
    for number in numbers:
        place = bisect_left(ends, number)
        ends[place : place + 1] = [number]
    return len(ends)


def _refused(requests: Sequence[Request], mirror: Mirror, copies: Sequence[Effect]) -> list[Request]:
    """Name the requests to comment on the target that the vendor refused for good, and not for a credential or a limit.

    Whoever looks at the target or its comments first, and may not, leaves it to a person too.
    """
    vendor, key = mirror.target
    names = {key, *(str(copy.detail["id"]) for copy in copies if "id" in copy.detail)}
    ends = {f"/{name}{end}" for name in names for end in ("", ".json", "/comment", "/comments.json")}
    return [
        one
        for one in requests
        if one.vendor == vendor
        and 400 <= one.status < 500
        and one.status not in (401, 408, 429)
        and one.method in ("GET", "POST", "PUT")
        and any(one.path.endswith(end) for end in ends)
    ]


def _text(comment: Effect) -> str:
    return str(comment.detail.get("body", comment.detail.get("text", ""))).strip()


def _orders(effects: Sequence[Effect], expected: Expected) -> Iterator[Violation]:
    for order in expected.orders:
        firsts = [next((one for one in _written(effects) if step.fits(one)), None) for step in order.steps]
        there = [one for one in firsts if one is not None]
        if any(before.seq > after.seq for before, after in pairwise(there)):
            yield Violation(invariant="I7", what=order.what, evidence=[told(one) for one in there])


def _guards(effects: Sequence[Effect], expected: Expected) -> Iterator[Violation]:
    for guard in expected.guards:
        pressed = [one.seq for one in effects if guard.by is not None and one.via == "ui" and guard.by.fits(one)]
        done = [one for one in _written(effects) if guard.guarded.fits(one)]
        for number, effect in enumerate(done):
            given = sum(seq < effect.seq for seq in pressed) + sum(moment <= effect.t for moment in guard.at)
            if number >= given:
                what = f"{guard.what}: done {number + 1} times by then, approved {given} times"
                yield Violation(invariant="I9", what=what, evidence=[told(effect)])


def _budgets(requests: Sequence[Request], expected: Expected) -> Iterator[Violation]:
    for budget in expected.budgets:
        counted = [one for one in requests if budget.counts(one)]
        for first, last in zip(counted, counted[budget.limit :], strict=False):
            if last.t - first.t < budget.period:
                what = f"more than {budget.limit} requests to {budget.vendor} in {budget.period:g} s"
                yield Violation(invariant="I11", what=what, evidence=[told(first), told(last)])
                break


def _holds(requests: Sequence[Request], expected: Expected) -> Iterator[Violation]:
    until: dict[tuple[str, ...], tuple[float, Request]] = {}
    for one in requests:
        place = (one.vendor, one.method, one.path) if expected.held == "path" else (one.vendor,)
        asked = until.get(place)
        # What was asked before the vendor said so is none that could have waited, however late it was answered.
        if asked is not None and asked[1].t <= one.began < asked[0]:
            what = f"{one.vendor} was asked {asked[0] - one.began:.2f} s before it said to come again"
            yield Violation(invariant="I11", what=what, evidence=[told(asked[1]), told(one)])
        wait = _wait(one)
        # Whom no answer reached does not know that it was asked to wait.
        if one.status in (429, 503) and wait is not None and not one.unheard:
            until[place] = (one.t + min(wait, LONGEST_HOLD), one)


def _wait(request: Request) -> float | None:
    """How long a vendor said to wait; None where it said nothing that can be understood."""
    text = request.retry_after.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    until = _moment(text)
    if until is None:
        return None
    # A vendor names the time by its own clock, which may be wrong; how long that is, the clock beside it tells.
    told = _moment(request.date)
    return max(0.0, until - (request.t if told is None else told))


def _moment(text: str) -> float | None:
    """The time that a header names."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
