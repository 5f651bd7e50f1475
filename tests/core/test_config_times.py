"""Calendars and windows in the settings file: what they become, and every mistake at its place."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cxbridge.core.config import Configuration, load
from cxbridge.core.engine.surroundings import surroundings
from cxbridge.core.errors import ConfigError
from cxbridge.core.recipes.surroundings import WINDOW_KINDS, Window
from cxbridge.functions.calendars import business_seconds, is_open

FILE = """
[calendars.support-emea]
zone     = "Europe/Berlin"
hours    = { mon-fri = "09:00-17:00", sat = ["10:00-12:00", "13:00-15:00"] }
holidays = [2026-12-25, "2026-12-26"]
special  = { 2026-12-24 = "09:00-12:00", 2026-12-31 = [] }

[calendars.nights]
hours = { fri-mon = "22:00-06:00" }

[[windows]]
name     = "checkout-down"
kind     = "outage"
from     = 2026-05-06T10:00:00+02:00
to       = "2026-05-06T14:00:00Z"
accounts = ["HL-1001"]
products = ["dockboard"]
about    = "checkout returned 500"

[[windows]]
name = "price-change"
kind = "policy"
from = 2026-07-01T00:00:00Z
"""


def loaded(folder: Path, text: str) -> Configuration:
    file = folder / "cxbridge.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_calendars(tmp_path: Path) -> None:
    around = surroundings(loaded(tmp_path, FILE))
    assert around.known_calendars == ["always", "nights", "support-emea", "weekdays"]
    support = around.calendar("support-emea")
    assert support is not None
    assert support.name == "support-emea"
    assert support.holidays == {date(2026, 12, 25), date(2026, 12, 26)}
    # A week of 40 hours, and 4 on Saturday; Christmas is closed, its eve is short.
    assert business_seconds(at("2026-05-04T00:00+02:00"), at("2026-05-11T00:00+02:00"), support) == 44 * 3600
    assert business_seconds(at("2026-12-24T00:00+01:00"), at("2026-12-28T00:00+01:00"), support) == 3 * 3600
    assert not is_open(at("2026-12-31T10:00+01:00"), support)
    nights = around.calendar("nights")
    assert nights is not None
    # A range may run over the end of the week, and hours over midnight.
    assert [is_open(at(f"2026-05-{day:02}T23:00Z"), nights) for day in range(4, 11)] == [True] + [False] * 3 + [
        True
    ] * 3


def test_windows(tmp_path: Path) -> None:
    around = surroundings(loaded(tmp_path, FILE))
    outage, policy = around.windows
    assert outage == Window(
        "checkout-down",
        "outage",
        datetime(2026, 5, 6, 8, tzinfo=UTC),
        datetime(2026, 5, 6, 14, tzinfo=UTC),
        ("HL-1001",),
        ("dockboard",),
        "checkout returned 500",
    )
    assert policy.end is None
    assert policy.holds(datetime(2036, 1, 1, tzinfo=UTC))


def test_the_kinds_of_windows_are_those_that_recipes_may_name(tmp_path: Path) -> None:
    text = "".join(
        f'[[windows]]\nname = "{one}"\nkind = "{one}"\nfrom = 2026-05-06T08:00:00Z\n' for one in WINDOW_KINDS
    )
    assert tuple(one.kind for one in loaded(tmp_path, text).settings.windows) == WINDOW_KINDS


def test_an_installation_has_none_of_both(tmp_path: Path) -> None:
    around = surroundings(loaded(tmp_path, ""))
    assert (around.calendars, around.windows, around.judge) == ({}, (), None)


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ('"Europe/Berlin"', '"Europe/Berln"', 3, "`zone`: there is no time zone 'Europe/Berln'; write one like"),
        ("mon-fri =", "mon-fry =", 4, "'mon-fry' is no weekday: write one of mon, tue"),
        ('mon-fri = "09:00-17:00"', 'mon-fri = "9-17"', 4, "'9-17' are no hours: write them like"),
        ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-25:00"', 4, "'25:00' is no time of day"),
        ('mon-fri = "09:00-17:00"', "mon-fri = 9", 4, 'hours are written like "09:00-17:00"'),
        ("sat = [", "fri = [", 4, "the hours of fri stand here twice"),
        ("2026-12-25,", '"christmas",', 5, "'christmas' is no day: write it like 2026-12-25"),
        ("2026-12-25,", "2026-12-25T10:00:00Z,", 5, "is no day: write it like 2026-12-25"),
        ('[2026-12-25, "2026-12-26"]', '"2026-12-26"', 5, "this is a list of days"),
        ("2026-12-24 =", "christmas =", 6, "'christmas' is no day"),
        ('fri-mon = "22:00-06:00"', "fri-mon = []", 8, "never opens: give hours to at least one day"),
        ('hours = { fri-mon = "22:00-06:00" }', 'zone = "UTC"', 8, "the setting `hours` is missing"),
        ("[calendars.nights]", "[calendars.Nights]", 8, "the name 'Nights' may hold a–z, 0–9 and - only"),
        ("hours = { fri-mon", "huors = {}\nhours = { fri-mon", 9, "unknown setting `huors`"),
        ('"outage"', '"outge"', 13, "`kind`: 'outage', 'maintenance'"),
        ("2026-05-06T10:00:00+02:00", "2026-05-06T10:00:00", 14, "this time has no zone"),
        ("2026-05-06T10:00:00+02:00", "2026-05-06", 14, "write a time with its zone"),
        ('"2026-05-06T14:00:00Z"', '"at two"', 15, "'at two' is no time"),
        ('"2026-05-06T14:00:00Z"', '"2026-05-06T07:00:00Z"', 11, "ends before it begins"),
        ('"price-change"', '"checkout-down"', 11, "the window 'checkout-down' stands here twice"),
        ('"price-change"', '"Price change"', 21, "the name 'Price change' may hold"),
        ("about    =", "abuot    =", 18, "unknown setting `abuot`"),
    ],
)
def test_mistakes(old: str, new: str, line: int, told: str, tmp_path: Path) -> None:
    assert old in FILE
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, FILE.replace(old, new, 1))
    (problem,) = caught.value.problems
    assert problem.line == line, str(problem)
    assert told in problem.message, str(problem)
