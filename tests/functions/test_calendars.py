"""Business calendars: counted minute by minute where that is possible, and known answers where a rule must be chosen."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.functions.calendars import (
    Calendar,
    Span,
    add_business,
    business_seconds,
    is_open,
    next_open,
    parse_business,
)

OFFICE = {day: [("09:00", "17:00")] for day in ("mon", "tue", "wed", "thu", "fri")}
NIGHT = {day: [("22:00", "06:00")] for day in ("mon", "tue", "wed", "thu", "fri")}
ALWAYS = {day: [("00:00", "24:00")] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
BERLIN = Calendar(
    "office", "Europe/Berlin", OFFICE, holidays=[date(2026, 12, 25)], special={date(2026, 12, 24): [("09:00", "12:00")]}
)
NIGHTS = Calendar("nights", "Europe/Berlin", NIGHT, holidays=[date(2026, 10, 26)])
LUNCH = Calendar(
    "lunch",
    "America/New_York",
    {
        "mon": [("08:30", "12:00"), ("13:00", "17:30")],
        "sat": [("01:30", "02:45")],
        "sun": [("01:30", "02:45"), ("22:15", "24:00")],
    },
)
# Its clocks once changed a minute after midnight, back into the day before.
ODD = Calendar(
    "odd", "America/St_Johns", NIGHT | {"sat": [("22:30", "00:30")], "sun": [("00:00", "01:15"), ("23:00", "24:00")]}
)
SKIPPED = Calendar("skipped", "Pacific/Apia", ALWAYS)
ALL = [BERLIN, NIGHTS, LUNCH, ODD, SKIPPED]
# Around clock changes, forward and back, and one zone that left out a whole day.
TURNS = {
    "Europe/Berlin": [(2026, 3, 29), (2026, 10, 25)],
    "America/New_York": [(2026, 3, 8), (2026, 11, 1)],
    "America/St_Johns": [(2010, 3, 14), (2010, 11, 7)],
    "Pacific/Apia": [(2011, 12, 30), (2026, 1, 1)],
}


def local(calendar: Calendar, text: str) -> datetime:
    """A moment as the calendar's wall clock tells it, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(calendar.zone)).astimezone(UTC)


def open_by_the_rule(moment: datetime, calendar: Calendar) -> bool:
    """The definition, without any of the module's arithmetic: do the hours of a day hold what the wall clock reads?"""
    wall = moment.astimezone(ZoneInfo(calendar.zone))
    minute = wall.hour * 60 + wall.minute

    def hours(day: date) -> list[tuple[int, int]] | None:
        if day in calendar.special:
            told = calendar.special[day]
        elif day in calendar.holidays:
            return None
        else:
            told = calendar.hours.get(day.strftime("%a").lower(), ())
        return [tuple(int(part[:2]) * 60 + int(part[3:]) for part in pair) for pair in told]  # type: ignore[misc]

    own = hours(wall.date())
    if own is None or (not own and wall.date() in calendar.special):
        return False
    before = hours(wall.date() - timedelta(days=1)) or []
    return any(a <= minute < b or (b < a <= minute) for a, b in own) or any(b < a and minute < b for a, b in before)


def moments(calendar: Calendar) -> st.SearchStrategy[datetime]:
    starts = [datetime(*turn, tzinfo=UTC) for turn in TURNS[calendar.zone]]
    starts += [datetime(2026, 12, 23, tzinfo=UTC)]
    return st.builds(
        lambda start, minutes: start + timedelta(minutes=minutes), st.sampled_from(starts), st.integers(-4000, 5500)
    )


@pytest.mark.parametrize("calendar", ALL, ids=lambda one: one.name)
def test_open_time_equals_counting_every_minute(calendar: Calendar) -> None:
    for turn in [*TURNS[calendar.zone], (2026, 12, 24)]:
        first = datetime(*turn, tzinfo=UTC) - timedelta(days=3)
        counted = 0
        for minute in range(7 * 1440):
            now = first + timedelta(minutes=minute)
            assert business_seconds(first, now, calendar) == counted * 60, now
            is_now = open_by_the_rule(now, calendar)
            assert is_open(now, calendar) == is_now, now
            counted += is_now
        assert counted


@pytest.mark.parametrize("calendar", ALL, ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_parts_of_a_span_add_up_to_the_whole(calendar: Calendar, data: st.DataObject) -> None:
    a, b, c = (data.draw(moments(calendar)) for _ in range(3))
    assert business_seconds(a, b, calendar) + business_seconds(b, c, calendar) == business_seconds(a, c, calendar)
    assert business_seconds(a, b, calendar) == -business_seconds(b, a, calendar)
    if a <= b:
        assert 0 <= business_seconds(a, b, calendar) <= (b - a).total_seconds()


@pytest.mark.parametrize("calendar", ALL, ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_adding_open_time_is_the_inverse_of_counting_it(calendar: Calendar, data: st.DataObject) -> None:
    start = data.draw(moments(calendar))
    seconds = data.draw(st.integers(0, 200_000)) / 8
    due = add_business(start, seconds, calendar)
    assert due.tzinfo is UTC
    assert business_seconds(start, due, calendar) == seconds
    # The first such moment: a microsecond before, something was still missing.
    if seconds:
        assert business_seconds(start, due - timedelta(microseconds=1), calendar) < seconds
    else:
        assert due == start


@pytest.mark.parametrize("calendar", ALL, ids=lambda one: one.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_later_start_or_a_longer_time_is_never_due_earlier(calendar: Calendar, data: st.DataObject) -> None:
    one, two = sorted(data.draw(moments(calendar)) for _ in range(2))
    short, long = sorted(data.draw(st.integers(0, 90_000)) for _ in range(2))
    assert add_business(one, short, calendar) <= add_business(two, short, calendar)
    assert add_business(one, short, calendar) <= add_business(one, long, calendar)
    opening = next_open(one, calendar)
    assert opening >= one
    assert is_open(opening, calendar)
    assert business_seconds(one, opening, calendar) == 0


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_business_days_keep_the_order_of_their_starts(data: st.DataObject) -> None:
    one, two = sorted(data.draw(moments(BERLIN)) for _ in range(2))
    days = data.draw(st.integers(1, 12))
    first, second = (add_business(start, Span(days=days), BERLIN) for start in (one, two))
    assert first <= second
    assert first > one
    assert add_business(one, Span(days=days + 1), BERLIN) > first


@pytest.mark.parametrize(
    ("calendar", "start", "length", "due"),
    [
        (BERLIN, "2026-11-20T10:00", "1 business_day", "2026-11-23T10:00"),  # over a weekend, the same time of day
        (BERLIN, "2026-11-21T12:00", "1 business_day", "2026-11-24T09:00"),  # from Saturday: from Monday's opening
        (BERLIN, "2026-12-23T15:00", "1 business_day", "2026-12-24T12:00"),  # a short day ends before that time
        (BERLIN, "2026-12-23T15:00", "2 business_days", "2026-12-28T15:00"),  # the holiday and the weekend are no days
        (BERLIN, "2026-12-23T16:00", "4h", "2026-12-24T12:00"),  # the closing, not the opening after it
        (BERLIN, "2026-12-23T16:00", "4 business_hours 30m", "2026-12-28T09:30"),
        (BERLIN, "2026-11-20T16:30", "90m", "2026-11-23T10:00"),
        (BERLIN, "2026-11-20T16:30", "1 business_day 1h", "2026-11-24T09:30"),
        (LUNCH, "2026-11-21T01:30", "2 business_days", "2026-11-23T08:30"),  # at 01:30 Monday is closed: its opening
        (LUNCH, "2026-11-21T02:00", "1 business_day", "2026-11-22T02:00"),
        (NIGHTS, "2026-03-27T22:00", "8h", "2026-03-28T06:00"),  # the change comes a night later
        (NIGHTS, "2026-10-23T23:00", "7h", "2026-10-24T06:00"),
        (NIGHTS, "2026-10-23T23:00", "8 business_hours", "2026-10-27T23:00"),  # Monday's shift falls to the holiday
        (NIGHTS, "2026-11-20T23:00", "1 business_day", "2026-11-23T23:00"),  # no shift begins on a Saturday
    ],
)  # fmt: skip
def test_deadlines(calendar: Calendar, start: str, length: str, due: str) -> None:
    assert add_business(local(calendar, start), length, calendar) == local(calendar, due)


def test_clock_changes_take_and_give_an_hour() -> None:
    always = Calendar("always", "Europe/Berlin", ALWAYS)
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        start = local(always, f"{day}T00:00")
        end = local(always, (date.fromisoformat(day) + timedelta(days=1)).isoformat() + "T00:00")
        assert business_seconds(start, end, always) == hours * 3600
    # Hours that the spring change skips wholly do not open, and one that it cuts opens at the change.
    early = Calendar("early", "Europe/Berlin", {"sun": [("02:15", "02:45")], "mon": [("08:00", "09:00")]})
    assert next_open(local(early, "2026-03-29T00:00"), early) == local(early, "2026-03-30T08:00")
    cut = Calendar("cut", "Europe/Berlin", {"sun": [("02:15", "04:00")]})
    assert next_open(local(cut, "2026-03-29T00:00"), cut) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    # One day on from 02:30 is a time that the change skips: the moment of the change.
    nights = Calendar("nights", "Europe/Berlin", ALWAYS)
    assert add_business(local(nights, "2026-03-28T02:30"), "1 business_day", nights) == datetime(
        2026, 3, 29, 1, tzinfo=UTC
    )


def test_a_day_that_its_zone_left_out_has_no_time() -> None:
    assert business_seconds(
        local(SKIPPED, "2011-12-29T00:00"), local(SKIPPED, "2011-12-31T00:00"), SKIPPED
    ) == 24 * 3600  # fmt: skip


def test_years_are_counted_as_their_days_are() -> None:
    start, end = datetime(1971, 5, 3, 11, tzinfo=UTC), datetime(2026, 11, 26, 12, tzinfo=UTC)
    cuts = [start, *(datetime(year, 7, 1, tzinfo=UTC) for year in range(1972, 2026)), end]
    by_parts = sum(business_seconds(a, b, BERLIN) for a, b in pairwise(cuts))
    assert business_seconds(start, end, BERLIN) == by_parts > 55 * 250 * 8 * 3600


def test_a_night_before_a_holiday_ends_at_midnight() -> None:
    nights = Calendar("nights", "Europe/Berlin", NIGHT, holidays=[date(2026, 11, 25)])
    opens, closes = local(nights, "2026-11-24T22:00"), local(nights, "2026-11-25T00:00")
    assert business_seconds(opens, local(nights, "2026-11-26T22:00"), nights) == 2 * 3600
    assert is_open(closes - timedelta(microseconds=1), nights)
    assert not is_open(closes, nights)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("2 business_days", Span(days=2, business=True)),
        ("1 business_day", Span(days=1, business=True)),
        ("4 business_hours", Span(seconds=14_400, business=True)),
        ("30business_minutes", Span(seconds=1_800, business=True)),
        ("90m", Span(seconds=5_400)),
        ("1h 30m", Span(seconds=5_400)),
        ("1.5h", Span(seconds=5_400)),
        ("1 business_day 2h", Span(days=1, seconds=7_200, business=True)),
    ],
)
def test_lengths_are_read(text: str, span: Span) -> None:
    assert parse_business(text) == span


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2d", "business_days"), ("1w", "business_days"), ("soon", "90m"), ("", "90m"), ("-4h", "90m"),
        ("1.5 business_days", "whole"), ("4h" * 60, "90m"), ("4 h 5", "90m"),
    ],
)  # fmt: skip
def test_other_texts_are_refused_with_the_way_to_write_it(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_business(text)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"zone": "Europe/Atlantis"}, "no time zone"),
        ({"zone": "../etc/passwd"}, "no time zone"),
        ({"hours": {"monday": [("09:00", "17:00")]}}, "no weekday"),
        ({"hours": {"mon": [("9", "17:00")]}}, "no time of day"),
        ({"hours": {"mon": [("09:00", "24:30")]}}, "no time of day"),
        ({"hours": {"mon": [("09:00", "09:00")]}}, "no length"),
        ({"hours": {"mon": []}}, "never opens"),
    ],
)
def test_calendars_that_cannot_be_meant_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Calendar(**{"name": "x", "zone": "Europe/Berlin", "hours": OFFICE} | given)


def test_what_has_no_answer_is_an_error_and_no_endless_search() -> None:
    once = Calendar("once", "Europe/Berlin", {}, special={date(2026, 11, 26): [("09:00", "10:00")]})
    start = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
    assert business_seconds(start, start + timedelta(days=9), once) == 1800
    for asked in (
        lambda: next_open(start + timedelta(days=1), once),
        lambda: add_business(start, 1801, once),
        lambda: add_business(start, "1 business_day", once),
    ):
        with pytest.raises(ValueError, match="closed for three years"):
            asked()
    with pytest.raises(ValueError, match="no zone"):
        is_open(datetime(2026, 11, 26), once)
    with pytest.raises(ValueError, match="forward"):
        add_business(start, -1, once)
    with pytest.raises(ValueError, match="outside the years"):
        business_seconds(start, datetime.max.replace(tzinfo=UTC), once)


def test_a_calendar_keeps_what_it_was_given() -> None:
    hours = {"mon": [("09:00", "17:00")]}
    one, two = Calendar("c", "UTC", hours), Calendar("c", "UTC", {"mon": (("09:00", "17:00"),)})
    assert one == two
    assert hash(one) == hash(two)
    hours["mon"].append(("18:00", "19:00"))
    assert one == two
    assert one != Calendar("c", "UTC", hours)
