"""When schedules fire: once per local time on clock changes, missed ones by `catch_up`."""

from datetime import UTC, datetime, timedelta

import pytest

from cxbridge.core.engine.sweep import due_times, next_due
from cxbridge.core.recipes.model import Trigger

NOW = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)


def every(minutes: int, catch_up: object = "latest") -> Trigger:
    return Trigger("t", "desk", "zendesk", "ticket", every=timedelta(minutes=minutes), catch_up=catch_up)  # type: ignore[arg-type]  # parametrised


def cron(text: str, zone: str) -> Trigger:
    return Trigger("t", "desk", "zendesk", "ticket", cron=text, zone=zone, catch_up="all")


def test_a_trigger_that_never_fired_is_due_now_and_its_slot_is_the_same_on_every_machine() -> None:
    assert due_times(every(15), None, NOW + timedelta(minutes=7)) == [NOW]
    assert next_due(every(15), None, NOW) == NOW


def test_nothing_is_due_before_its_time() -> None:
    assert due_times(every(15), NOW, NOW + timedelta(minutes=14, seconds=59)) == []
    assert due_times(every(15), NOW, NOW + timedelta(minutes=15)) == [NOW + timedelta(minutes=15)]
    assert next_due(every(15), NOW, NOW) == NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("latest", [60]),
        ("all", [15, 30, 45, 60]),
        ("none", []),
        (timedelta(minutes=10), [60]),
        (timedelta(minutes=1), []),
    ],
)
def test_missed_firings_follow_catch_up(catch_up: object, expected: list[int]) -> None:
    later = NOW + timedelta(minutes=62)
    assert due_times(every(15, catch_up), NOW, later) == [NOW + timedelta(minutes=one) for one in expected]


def test_a_month_of_missed_firings_is_no_storm() -> None:
    found = due_times(every(1, "all"), NOW, NOW + timedelta(days=30))
    assert len(found) <= 25
    assert found[-1] == NOW + timedelta(days=30)


def test_cron_fires_once_when_the_clocks_go_back() -> None:
    # In Berlin, 02:30 comes twice on 25 October 2026.
    begin = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
    found = due_times(cron("30 2 * * *", "Europe/Berlin"), begin, begin + timedelta(days=2))
    assert len(found) == 2
    assert [one.date().isoformat() for one in found] == ["2026-10-25", "2026-10-26"]


def test_cron_does_not_skip_the_day_when_the_clocks_go_forward() -> None:
    # In Berlin, 02:30 does not exist on 29 March 2026.
    begin = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    found = due_times(cron("30 2 * * *", "Europe/Berlin"), begin, begin + timedelta(days=2))
    assert len(found) == 2
