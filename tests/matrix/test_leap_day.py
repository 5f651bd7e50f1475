"""F15: a day that comes every four years is a day like any other to schedules."""

from datetime import UTC, datetime

from cxbridge.core.engine.sweep import due_times
from cxbridge.core.recipes.model import Trigger


def cron(text: str) -> Trigger:
    return Trigger("t", "desk", "zendesk", "ticket", cron=text, zone="Europe/Berlin", catch_up="all")


def days(trigger: Trigger, begin: datetime, end: datetime) -> list[str]:
    return [one.date().isoformat() for one in due_times(trigger, begin, end)]


def test_cron_fires_on_the_leap_day_and_once_on_the_days_around_it() -> None:
    begin, end = datetime(2028, 2, 27, 12, tzinfo=UTC), datetime(2028, 3, 2, 12, tzinfo=UTC)
    assert days(cron("30 2 * * *"), begin, end) == ["2028-02-28", "2028-02-29", "2028-03-01", "2028-03-02"]
    assert days(cron("30 2 29 2 *"), datetime(2028, 2, 1, tzinfo=UTC), end) == ["2028-02-29"]
    assert days(cron("30 2 29 2 *"), datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC)) == []
    # The last day of a month, whichever it is.
    assert days(cron("30 2 L * *"), begin, end) == ["2028-02-29"]
