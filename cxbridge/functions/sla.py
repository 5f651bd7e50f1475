"""Service-level clocks: from the events of a ticket or a loop to how long it ran, when it is due, and whether it was kept. Pure.

A clock is not a counter that somebody must wind: it is worked out anew from its events whenever somebody asks, for whatever moment
they ask about. So nothing is lost when the daemon stands still, and a changed calendar needs no repair.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from cxbridge.functions.calendars import Calendar, add_business, business_seconds

Metric = Literal[
    "first_reply",
    "next_reply",
    "periodic_update",
    "requester_wait",
    "agent_work",
    "resolution",
    "loop_contact",
    "loop_close",
]
State = Literal["idle", "running", "paused", "met", "breached", "cancelled"]
EventKind = Literal["activate", "pause", "resume", "fulfil", "cancel", "apply"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What was promised: so many seconds, of open time when there is a calendar, else of plain time.

    `warn` is the share of the target after which it is time to warn.
    """

    metric: Metric
    target_s: float
    calendar: Calendar | None = None
    warn: float = 0.8

    def __post_init__(self) -> None:
        if not (self.target_s > 0 and 0 < self.warn <= 1):
            raise ValueError("a target is above 0 seconds, and one warns at a share of it above 0 and up to 1")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a clock. `reason` says why it was paused; `target_s` is the new target of an `apply`."""

    kind: EventKind
    at: datetime
    reason: str = ""
    target_s: float | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock as it stands at one moment.

    `state` is `breached` from the moment the target is passed, also when it was fulfilled afterwards (`met_at` then says when) and
    while it is paused. `instance` counts how often it was started: a next reply is promised again and again. `due_at` and `warn_at`
    are None while it is paused, because nobody knows then; `left_s` is what is left, below 0 when it is passed.
    """

    policy: Policy
    state: State = "idle"
    instance: int = 0
    target_s: float = 0.0
    elapsed_s: float = 0.0
    started_at: datetime | None = None
    paused_at: datetime | None = None
    pause_reason: str = ""
    due_at: datetime | None = None
    warn_at: datetime | None = None
    breached_at: datetime | None = None
    met_at: datetime | None = None
    ended_at: datetime | None = None
    # From when on it runs without a break; None when it does not run.
    running_since: datetime | None = field(default=None, repr=False)

    @property
    def left_s(self) -> float:
        """What is left of the target, in seconds of its own kind of time."""
        return self.target_s - self.elapsed_s

    @property
    def hours(self) -> Literal["business", "elapsed"]:
        """Which kind of time it counts."""
        return "business" if self.policy.calendar is not None else "elapsed"


def clock(policy: Policy, events: Iterable[Event], now: datetime) -> Clock:
    """How a clock stands at this moment. Events may come in any order; those after `now` have not happened yet.

    What cannot follow changes nothing: a pause while it is paused keeps the first reason, a second activation does not start anew
    what is running. After it was met or cancelled an activation starts the next instance.
    """
    found = Clock(policy)
    for event in sorted((one for one in events if one.at <= now), key=lambda one: one.at):
        found = _after(found, event)
    return _shown(_run_to(found, now))


def _after(before: Clock, event: Event) -> Clock:
    """The clock once an event has happened to it."""
    stands = _run_to(before, event.at)
    ended = stands.ended_at is not None
    if event.kind == "activate" and (stands.instance == 0 or ended):
        return Clock(
            stands.policy,
            state="running",
            instance=stands.instance + 1,
            target_s=stands.policy.target_s,
            started_at=event.at,
            running_since=event.at,
        )
    if stands.instance == 0 or ended:
        return stands
    if event.kind == "pause" and stands.paused_at is None:
        return replace(stands, paused_at=event.at, pause_reason=event.reason, running_since=None)
    if event.kind == "resume" and stands.paused_at is not None:
        return replace(stands, paused_at=None, pause_reason="", running_since=event.at)
    if event.kind == "fulfil":
        return replace(stands, met_at=event.at, ended_at=event.at, running_since=None, paused_at=None, pause_reason="")
    if event.kind == "cancel":
        return replace(
            stands, state="cancelled", ended_at=event.at, running_since=None, paused_at=None, pause_reason=""
        )
    if event.kind == "apply" and event.target_s is not None and event.target_s > 0:
        # A target that is shorter than what has passed is broken now, not in the past.
        broken = stands.breached_at or (event.at if event.target_s < stands.elapsed_s else None)
        return replace(stands, target_s=event.target_s, breached_at=broken)
    return stands


def _run_to(found: Clock, moment: datetime) -> Clock:
    """The clock with the time up to a moment counted, and a breach on the way noted."""
    since = found.running_since
    if since is None or moment <= since:
        return found
    passed = _between(since, moment, found.policy.calendar)
    elapsed = found.elapsed_s + passed
    breached = found.breached_at
    if breached is None and elapsed > found.target_s:
        breached = _later(since, found.target_s - found.elapsed_s, found.policy.calendar)
    return replace(found, elapsed_s=elapsed, running_since=moment, breached_at=breached)


def _shown(found: Clock) -> Clock:
    """The clock with its state in words and its moments worked out."""
    if found.instance == 0 or found.state == "cancelled":
        return found
    state: State = (
        "breached" if found.breached_at is not None
        else "met" if found.met_at is not None
        else "paused" if found.paused_at is not None
        else "running"
    )  # fmt: skip
    if found.running_since is None:
        return replace(found, state=state)
    calendar, left = found.policy.calendar, found.left_s
    due = found.breached_at or _later(found.running_since, left, calendar)
    until_warning = found.policy.warn * found.target_s - found.elapsed_s
    # What lies behind is not computed backwards through pauses: the moment to warn has passed, and is now.
    warn = _later(found.running_since, max(0.0, until_warning), calendar)
    return replace(found, state=state, due_at=due, warn_at=min(warn, due))


def _between(start: datetime, end: datetime, calendar: Calendar | None) -> float:
    return (end - start).total_seconds() if calendar is None else business_seconds(start, end, calendar)


def _later(start: datetime, seconds: float, calendar: Calendar | None) -> datetime:
    return start + timedelta(seconds=seconds) if calendar is None else add_business(start, seconds, calendar)
