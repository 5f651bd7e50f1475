"""SLA clocks: what counts and what does not, over weekends, clock changes and all orders of events."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.functions.calendars import Calendar, business_seconds
from cxbridge.functions.sla import Event, EventKind, Policy, clock

HOUR = 3600.0
OFFICE = Calendar("office", "Europe/Berlin", {day: [("09:00", "17:00")] for day in ("mon", "tue", "wed", "thu", "fri")})
NIGHT = Calendar("night", "Europe/Berlin", {day: [("22:00", "06:00")] for day in ("fri", "sat", "sun")})
REPLY = Policy("first_reply", 4 * HOUR, OFFICE)
PLAIN = Policy("resolution", 24 * HOUR)


def at(text: str) -> datetime:
    """A moment as people in Berlin write it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


def on(kind: EventKind, text: str, reason: str = "") -> Event:
    return Event(kind, at(text), reason)


def test_nothing_has_begun() -> None:
    found = clock(REPLY, [], at("2026-11-20T10:00"))
    assert (found.state, found.instance, found.elapsed_s, found.due_at) == ("idle", 0, 0, None)
    # What has no beginning cannot be paused or fulfilled.
    odd = [on("pause", "2026-11-20T09:00"), on("fulfil", "2026-11-20T09:30"), on("cancel", "2026-11-20T09:40")]
    assert clock(REPLY, odd, at("2026-11-20T10:00")).state == "idle"


def test_a_running_clock_over_a_weekend() -> None:
    found = clock(REPLY, [on("activate", "2026-11-20T16:00")], at("2026-11-21T12:00"))  # Friday to Saturday
    assert (found.state, found.elapsed_s, found.left_s, found.hours) == ("running", HOUR, 3 * HOUR, "business")
    assert found.due_at == at("2026-11-23T12:00")
    assert found.warn_at == at("2026-11-23T11:12")


def test_a_pause_over_a_weekend_does_not_count() -> None:
    events = [
        on("activate", "2026-11-20T10:00"),
        on("pause", "2026-11-20T11:00", "requester"),
        on("resume", "2026-11-23T15:00"),
    ]
    paused = clock(REPLY, events, at("2026-11-22T12:00"))
    assert (paused.state, paused.elapsed_s, paused.due_at, paused.warn_at) == ("paused", HOUR, None, None)
    assert (paused.paused_at, paused.pause_reason) == (at("2026-11-20T11:00"), "requester")
    after = clock(REPLY, events, at("2026-11-23T16:00"))
    assert (after.state, after.elapsed_s, after.paused_at, after.pause_reason) == ("running", 2 * HOUR, None, "")
    assert after.due_at == at("2026-11-24T10:00")


@pytest.mark.parametrize(
    ("day", "until", "hours"),
    [
        ("2026-03-28", "2026-03-29T06:00", 7),  # the night of the spring change is an hour short
        ("2026-10-24", "2026-10-25T06:00", 9),  # and that of the autumn change an hour long
        ("2026-11-21", "2026-11-22T06:00", 8),
    ],
)
def test_a_night_with_a_clock_change_counts_what_really_passed(day: str, until: str, hours: int) -> None:
    policy = Policy("agent_work", 20 * HOUR, NIGHT)
    assert clock(policy, [on("activate", f"{day}T22:00")], at(until)).elapsed_s == hours * HOUR


def test_a_pause_over_a_clock_change() -> None:
    events = [
        on("activate", "2026-10-24T22:00"),
        on("pause", "2026-10-25T01:30"),
        Event("resume", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),  # 02:30 for the second time
    ]
    found = clock(Policy("agent_work", 6 * HOUR, NIGHT), events, at("2026-10-25T05:00"))
    assert found.elapsed_s == 3.5 * HOUR + 2.5 * HOUR
    assert found.state == "running"  # exactly at its target it is not passed
    assert found.due_at == at("2026-10-25T05:00")


def test_met_and_breached() -> None:
    begun = on("activate", "2026-11-20T10:00")
    met = clock(REPLY, [begun, on("fulfil", "2026-11-20T14:00")], at("2026-12-01T10:00"))
    assert (met.state, met.met_at, met.breached_at, met.elapsed_s) == ("met", at("2026-11-20T14:00"), None, 4 * HOUR)
    late = clock(REPLY, [begun, on("fulfil", "2026-11-20T14:01")], at("2026-12-01T10:00"))
    assert (late.state, late.met_at, late.breached_at) == ("breached", at("2026-11-20T14:01"), at("2026-11-20T14:00"))
    assert late.left_s == -60
    still = clock(REPLY, [begun], at("2026-11-23T10:00"))
    assert (still.state, still.due_at, still.breached_at) == (
        "breached",
        at("2026-11-20T14:00"),
        at("2026-11-20T14:00"),
    )
    paused = clock(REPLY, [begun, on("pause", "2026-11-20T15:00")], at("2026-11-23T10:00"))
    assert (paused.state, paused.elapsed_s) == ("breached", 5 * HOUR)


def test_cancelled() -> None:
    found = clock(REPLY, [on("activate", "2026-11-20T10:00"), on("cancel", "2026-11-20T11:00")], at("2026-12-01T10:00"))
    assert (found.state, found.elapsed_s, found.due_at) == ("cancelled", HOUR, None)


def test_a_promise_that_is_given_again_is_another_instance() -> None:
    events = [
        on("activate", "2026-11-23T09:00"),
        on("activate", "2026-11-23T10:00"),  # the customer writes once more: the first message is still owed an answer
        on("fulfil", "2026-11-23T11:00"),
        on("activate", "2026-11-23T13:00"),
    ]
    first = clock(REPLY, events, at("2026-11-23T12:00"))
    assert (first.instance, first.state, first.elapsed_s) == (1, "met", 2 * HOUR)
    second = clock(REPLY, events, at("2026-11-23T14:00"))
    assert (second.instance, second.state, second.elapsed_s, second.met_at) == (2, "running", HOUR, None)


def test_a_changed_target_counts_from_now_on() -> None:
    begun = Event("activate", at("2026-11-20T10:00"))
    longer = clock(PLAIN, [begun, Event("apply", at("2026-11-20T12:00"), target_s=48 * HOUR)], at("2026-11-21T14:00"))
    assert (longer.state, longer.due_at) == ("running", at("2026-11-22T10:00"))
    shorter = clock(PLAIN, [begun, Event("apply", at("2026-11-20T12:00"), target_s=HOUR)], at("2026-11-20T12:00"))
    assert (shorter.state, shorter.breached_at) == ("breached", at("2026-11-20T12:00"))
    nonsense = clock(PLAIN, [begun, Event("apply", at("2026-11-20T12:00"))], at("2026-11-20T13:00"))
    assert nonsense.target_s == 24 * HOUR


def test_plain_time_needs_no_calendar() -> None:
    found = clock(PLAIN, [on("activate", "2026-10-24T12:00")], at("2026-10-25T10:00"))
    assert (found.elapsed_s, found.hours) == (23 * HOUR, "elapsed")  # the day of the change is 25 hours long
    assert found.due_at == at("2026-10-25T11:00")


@pytest.mark.parametrize("given", [{"target_s": 0}, {"target_s": 60, "warn": 0}, {"target_s": 60, "warn": 1.5}])
def test_policies_that_promise_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a target is above 0"):
        Policy("resolution", **given)


KINDS: list[EventKind] = ["activate", "pause", "resume", "fulfil", "cancel"]
START = datetime(2026, 10, 23, tzinfo=UTC)
events = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 6000)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(events, st.integers(0, 7000), st.randoms())
def test_any_events_in_any_order_give_a_clock_that_adds_up(
    told: list[tuple[EventKind, int]], minutes: int, shuffled: Random
) -> None:
    # No two at the same minute: their order would then be the caller's.
    happened = [
        Event(kind, START + timedelta(minutes=minute))
        for minute, kind in {minute: kind for kind, minute in told}.items()
    ]
    now = START + timedelta(minutes=minutes)
    found = clock(REPLY, happened, now)
    mixed = list(happened)
    shuffled.shuffle(mixed)
    assert clock(REPLY, mixed, now) == found
    if found.started_at is not None:
        assert 0 <= found.elapsed_s <= business_seconds(found.started_at, found.ended_at or now, OFFICE)
        assert (found.breached_at is not None) == (found.elapsed_s > found.target_s)
    if found.state == "running":
        assert found.due_at is not None
        assert business_seconds(now, found.due_at, OFFICE) == pytest.approx(found.left_s)
        # And it comes true: untouched until then, it is due and not yet broken.
        assert clock(REPLY, [one for one in happened if one.at <= now], found.due_at).state == "running"
