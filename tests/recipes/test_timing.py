"""Functions about time: business ages, deadlines, opening hours, windows, and times as people read them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.recipes.expressions import AROUND, ExpressionError, Language, Surroundings
from cxbridge.core.recipes.surroundings import BUILT_IN, Window, names_of, window_of
from cxbridge.functions.calendars import Calendar

WEEK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), (("09:00", "17:00"),))
BERLIN = Calendar("support", "Europe/Berlin", WEEK, frozenset([date(2026, 5, 14)]))
AROUND_HERE = Surroundings(calendars={"support": BERLIN})
LANGUAGE = Language(around=AROUND_HERE)
# A Friday afternoon in Berlin, an hour before closing.
FRIDAY = datetime(2026, 5, 8, 14, 0, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, minute, tzinfo=UTC)


def evaluate(source: str, **scope: Any) -> Any:
    around = {AROUND: scope.pop("around")} if "around" in scope else {}
    return LANGUAGE.expression(source).evaluate({"now": FRIDAY, **scope, **around})


# -- ages and deadlines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "hours"),
    [
        (at(8, 12), 2),
        (at(8, 6), 7),  # since opening
        (at(7, 14), 8),
        (at(2, 12), 39),  # a Saturday: only the week counts
        (at(8, 15), -1),
        (at(11, 10), -4),
    ],
)
def test_open_time_since(then: datetime, hours: float) -> None:
    assert evaluate("business_age(t, 'support')", t=then) == hours * 3600
    assert evaluate(f"business_age(t, c) == '{abs(hours)}h'", t=then, c="support") is (hours >= 0)


@pytest.mark.parametrize("limit", ["'1h'", "'60m'", "'1 business_hour'", "'60 business_minutes'", "3600"])
def test_open_time_is_compared_with_open_time(limit: str) -> None:
    for source, holds in (
        (f"business_age(t, 'support') > {limit}", True),
        (f"{limit} >= business_age(t, 'support')", False),
    ):
        assert LANGUAGE.condition(source).holds({"now": FRIDAY, "t": at(8, 12)}) is holds


def test_open_time_prints_as_a_duration() -> None:
    assert (
        LANGUAGE.template("{{ business_age(t, 'support') }} open").render({"now": FRIDAY, "t": at(8, 12)}) == "2h open"
    )


def test_a_length_that_comes_from_the_data_is_judged_like_one_that_is_written() -> None:
    assert evaluate("business_age(t, 'support') > limit", t=at(8, 12), limit="1 business_hour") is True
    with pytest.raises(ExpressionError, match="as long as the day it falls on"):
        evaluate("business_age(t, 'support') > limit", t=at(8, 12), limit="2 business_days")
    with pytest.raises(ExpressionError, match="counts by a calendar"):
        evaluate("age(t) > limit", t=at(8, 12), limit="1 business_hour")


@pytest.mark.parametrize(
    ("length", "calendar", "due"),
    [
        ("'2h'", "", at(8, 16)),
        ("'1d 2h'", "", at(9, 16)),
        ("'30m'", ", 'support'", at(8, 14, 30)),
        ("'2h'", ", 'support'", at(11, 8)),
        ("'2 business_hours'", ", 'support'", at(11, 8)),
        ("'1 business_day'", ", 'support'", at(11, 14)),
        ("'4 business_days'", ", 'support'", at(15, 14)),  # over Ascension Day
        ("'2h'", ", 'always'", at(8, 16)),
        ("age(t)", "", at(8, 16)),
        ("business_age(t, 'support')", ", 'support'", at(11, 8)),
    ],
)
def test_deadlines(length: str, calendar: str, due: datetime) -> None:
    assert evaluate(f"deadline(now, {length}{calendar})", t=at(8, 12)) == due


def test_the_deadline_of_a_text_that_is_a_time() -> None:
    assert evaluate("deadline('2026-05-08T14:00:00Z', '1h') > now") is True


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("deadline(none, '2h')", "needs a time, not nothing"),
        ("deadline(now, x)", "such as '4h', not nothing"),
        ("deadline(now, x, 'support')", "such as '4h', not nothing"),
        ("business_age(x, 'support')", "business_age needs a time"),
        ("business_age(now, x)", "needs the name of a calendar, not nothing"),
        ("is_open(now, name)", "no calendar of this name"),
        ("business_age(long_ago, 'support') > '2h'", "takes too long"),
    ],
)
def test_what_cannot_be_worked_out(source: str, told: str) -> None:
    with pytest.raises(ExpressionError, match=told):
        evaluate(source, x=None, name="nowhere", long_ago=datetime(1901, 1, 1, tzinfo=UTC))


def test_without_a_time_there_is_no_age() -> None:
    with pytest.raises(ExpressionError, match="the time is not known here"):
        LANGUAGE.expression("business_age(t, 'support')").evaluate({"t": FRIDAY})


@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)), st.integers(0, 200))
def test_a_deadline_is_when_so_much_open_time_has_passed(start: datetime, hours: int) -> None:
    due = LANGUAGE.expression("deadline(t, length, 'support')").evaluate({"t": start, "length": f"{hours}h"})
    assert due >= start
    told = LANGUAGE.expression("business_age(t, 'support')").evaluate({"t": start, "now": due})
    assert told == hours * 3600


# -- opening hours -----------------------------------------------------------------------------------------------------


def test_open_and_closed() -> None:
    assert evaluate("is_open(now, 'support')") is True
    assert evaluate("is_open(t, 'support')", t=at(9, 10)) is False
    assert evaluate("next_open(now, 'support') == now") is True
    assert evaluate("next_open(t, 'support')", t=at(9, 10)) == at(11, 7)
    assert evaluate("next_open(t, 'support')", t=at(14, 10)) == at(15, 7)


def test_there_are_calendars_before_anybody_wrote_one() -> None:
    assert sorted(BUILT_IN) == ["always", "weekdays"]
    plain = Language()
    assert plain.expression("is_open(t, 'always')").evaluate({"t": at(9, 3)}) is True
    assert plain.expression("is_open(t, 'weekdays')").evaluate({"t": at(8, 16)}) is True
    assert plain.expression("is_open(t, 'weekdays')").evaluate({"t": at(9, 12)}) is False


def test_an_installations_calendar_takes_the_place_of_one_that_is_built_in() -> None:
    language = Language(around=Surroundings(calendars={"weekdays": BERLIN}))
    assert language.expression("is_open(t, 'weekdays')").evaluate({"t": at(8, 16)}) is False


# -- windows -----------------------------------------------------------------------------------------------------------

OUTAGE = Window("checkout-down", "outage", at(8, 13), at(8, 15))
WINDOWS = (
    Window("old", "outage", at(1, 0), at(2, 0)),
    Window("theirs", "outage", at(8, 0), None, accounts=("HL-2", "Northwind")),
    Window("dock", "release", at(8, 0), at(9, 0), products=("Dockboard",)),
    OUTAGE,
)


def windowed(source: str, *windows: Window, **scope: Any) -> Any:
    return evaluate(source, around=Surroundings(windows=windows or WINDOWS), **scope)


@pytest.mark.parametrize(
    ("source", "account", "name"),
    [
        ("in_window(now)", {}, "checkout-down"),
        ("in_window(now, 'outage')", {}, "checkout-down"),
        ("in_window(now, 'holiday')", {}, ""),
        ("in_window(t, 'outage')", {}, ""),
        ("in_window(now)", {"id": "a", "name": "northwind"}, "theirs"),
        ("in_window(t)", {"id": "a", "external_ids": ["hl-2"]}, "theirs"),
        ("in_window(t)", {"id": None, "name": "northwind"}, ""),
        ("in_window(t, 'release')", {}, ""),
        ("in_window(t, 'release', 'dockboard')", {}, "dock"),
        ("in_window(t, 'release', tags)", {}, "dock"),
        ("in_window(t, 'release', 'tally')", {}, ""),
        ("in_window(t, 'release', nothing)", {}, ""),
        ("in_window(now, 'outage', 'tally')", {}, "checkout-down"),
    ],
)
def test_the_window_of_a_moment(source: str, account: dict[str, Any], name: str) -> None:
    assert windowed(source, t=at(8, 16), account=account, tags=["vip", "DOCKBOARD"], nothing=None) == name


def test_a_window_begins_and_its_end_is_outside() -> None:
    assert [
        windowed("in_window(now)", OUTAGE, now=OUTAGE.start + timedelta(seconds=n)) for n in (-1, 0, 7199, 7200)
    ] == [
        "",
        "checkout-down",
        "checkout-down",
        "",
    ]


def test_a_window_stands_as_a_condition_by_itself() -> None:
    scope = {"now": FRIDAY, AROUND: Surroundings(windows=(OUTAGE,))}
    assert LANGUAGE.condition("in_window(now, 'outage')").holds(scope) is True
    [leaf] = LANGUAGE.condition("not in_window(now, 'outage')").explain(scope)
    assert (leaf.verdict, dict(leaf.values)["in_window(now, 'outage')"]) == (False, "checkout-down")
    assert LANGUAGE.condition("not in_window(now, 'holiday')").holds(scope) is True


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"kind": "outge", "from": at(8, 1)}, "no windows of the kind 'outge'"),
        ({"from": "yesterday"}, "`from` is a time with its zone"),
        ({"from": datetime(2026, 5, 8)}, "`from` is a time with its zone"),
        ({}, "`from` is a time with its zone"),
        ({"from": at(8, 2), "to": at(8, 1)}, "ends before it begins"),
        ({"from": at(8, 2), "until": at(8, 3)}, "a window has no `until`"),
    ],
)
def test_what_is_no_window(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        window_of(table)


def test_a_window_as_a_test_gives_it() -> None:
    assert window_of({"from": "2026-05-08T15:00:00+02:00", "to": at(8, 15), "name": "checkout-down"}) == OUTAGE


def test_what_an_account_is_called() -> None:
    account = {"id": "a", "name": "Northwind", "source_key": None, "source_id": "7", "external_ids": ["HL-1", "x"]}
    assert names_of(account) == {"northwind", "7", "hl-1", "x"}
    assert names_of(None) == set()


# -- times as people read them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("now | day", "Fri 8 May 2026"),
        ("now | clock", "14:00"),
        ("now | clock('Europe/Berlin')", "16:00"),
        ("now | clock('support')", "16:00"),
        ("now | clock(zone)", "23:00"),
        ("now | day('Pacific/Auckland')", "Sat 9 May 2026"),
        ("now | date", "2026-05-08"),
        ("now | date('%H:%M %Z', 'support')", "16:00 CEST"),
        ("now | date('%H:%M %Z')", "14:00 UTC"),
        ("'2026-01-02T03:04:05Z' | day", "Fri 2 Jan 2026"),
    ],
)
def test_times_for_people(source: str, text: str) -> None:
    assert evaluate(source, zone="Asia/Tokyo") == text


@pytest.mark.parametrize("zone", ["nowhere", 7, None, "../etc/passwd", ""])
def test_zones_that_are_none(zone: Any) -> None:
    with pytest.raises(ExpressionError, match="time zone"):
        evaluate("now | clock(zone)", zone=zone)
