"""Business calendars: how much open time lies between two moments, and when so much of it has passed.

A moment is open when the clock on the wall of the calendar's zone reads a time inside the hours of that day. So a shift that a
spring clock change cuts is shorter by what was cut, and a time that an autumn one repeats counts both times. All arithmetic is
on whole microseconds of UTC: results are exact, whatever clock change lies between. Reads no clock and brings no list of holidays.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# How long a calendar may stay closed before a search gives up: nobody waits for an opening in the third year.
LONGEST_CLOSED = 3 * 366

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_FIRST, _LAST = (datetime(1900, 1, 1, tzinfo=UTC) - _EPOCH).days, (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).days
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
# No zone is further from UTC than this.
_FARTHEST = 16 * 3_600 * _SECOND

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_PART = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(business_(?:day|hour|minute)s?|[smh])", re.ASCII)
_PARTS = re.compile(rf"\s*(?:{_PART.pattern}\s*)+", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "business_minute": 60, "business_hour": 3600}

Hours = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When somebody is at work: opening hours per weekday in one zone, days that are closed, and days with hours of their own.

    A pair of hours whose end is not after its start runs over midnight into the next day (`("22:00", "06:00")`); `24:00` is the end
    of a day. A holiday is closed from midnight to midnight: nothing opens on it, and a shift of the eve ends at midnight.
    `special` gives a date other hours than its weekday has, also to a holiday; an empty list closes it.

    Raises:
        ValueError: for a zone, a weekday or a time that does not exist, and for a calendar that never opens.
    """

    name: str
    zone: str
    hours: Mapping[str, Hours]
    holidays: Collection[date] = frozenset()
    special: Mapping[date, Hours] = field(default_factory=dict)
    # The same, ready to count with: minutes of the day, per weekday and per special date.
    week: tuple[tuple[tuple[int, int], ...], ...] = field(init=False, repr=False, compare=False)
    dated: Mapping[date, tuple[tuple[int, int], ...]] = field(init=False, repr=False, compare=False)
    tz: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        try:
            put("tz", ZoneInfo(self.zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"calendar {self.name!r}: there is no time zone {self.zone!r}; write one like Europe/Berlin"
            ) from None
        if unknown := sorted(set(self.hours) - set(WEEKDAYS)):
            raise ValueError(
                f"calendar {self.name!r}: {unknown[0]!r} is no weekday; they are called {', '.join(WEEKDAYS)}"
            )
        # Copies: what the caller does with its lists later changes no calendar.
        put("hours", {day: tuple((a, b) for a, b in hours) for day, hours in self.hours.items()})
        put("special", {day: tuple((a, b) for a, b in hours) for day, hours in self.special.items()})
        put("holidays", frozenset(self.holidays))
        put("week", tuple(_shifts(self.name, self.hours.get(day, ())) for day in WEEKDAYS))
        put("dated", {day: _shifts(self.name, hours) for day, hours in self.special.items()})
        if not any(self.week) and not any(self.dated.values()):
            raise ValueError(f"calendar {self.name!r} never opens: give hours to at least one day")

    def __hash__(self) -> int:
        return hash((self.name, self.zone))


@dataclass(frozen=True, slots=True)
class Span:
    """A length of open time: business days first, then seconds. `business` says that the text asked for open time by name."""

    days: int = 0
    seconds: float = 0.0
    business: bool = False


def parse_business(text: str) -> Span:
    """Read `"2 business_days"`, `"4 business_hours"`, `"90m"`, `"1 business_day 2h"`.

    Days and weeks without `business_` are refused: as open time they would mean 24 or 168 opening hours, which nobody means.

    Raises:
        ValueError: for anything else, with the ways to write it.
    """
    if len(text) > 100 or not _PARTS.fullmatch(text):
        hint = "; for days of work write '2 business_days'" if re.search(r"\d\s*[dw]", text[:100]) else ""
        raise ValueError(
            f"{text[:100]!r} is no length of open time: write it like 90m, 4h, 4 business_hours or 2 business_days{hint}"
        )
    days, seconds, business = 0, 0.0, False
    for amount, unit in _PART.findall(text):
        kind = unit.removesuffix("s") if unit.startswith("business_") else unit
        business = business or kind.startswith("business_")
        if kind == "business_day":
            if "." in amount:
                raise ValueError(f"{text!r}: business days are whole; write the rest in hours")
            days += int(amount)
        else:
            seconds += float(amount) * _SECONDS[kind]
    return Span(days=days, seconds=seconds, business=business)


def is_open(moment: datetime, calendar: Calendar) -> bool:
    """Whether the calendar is open at this moment. Opening times are inside, closing times outside."""
    at = _micros(moment)
    return any(start <= at < end for start, end in _open_in(calendar, at // _DAY))


def next_open(moment: datetime, calendar: Calendar) -> datetime:
    """The first open moment from this one on: itself, when it is open.

    Raises:
        ValueError: when the calendar stays closed for three years from there.
    """
    at = _micros(moment)
    return _moment(max(next(_from(at, calendar))[0], at))


def business_seconds(start: datetime, end: datetime, calendar: Calendar) -> float:
    """Open time from one moment to another, in seconds; negative when the second lies before the first."""
    first, last = _micros(start), _micros(end)
    return (_open_between(first, last, calendar) if first <= last else -_open_between(last, first, calendar)) / _SECOND


def add_business(start: datetime, duration: Span | timedelta | float | str, calendar: Calendar) -> datetime:
    """The first moment at which so much open time has passed since `start`.

    Of a length that fills a day to its end this is the closing time, not the next opening. Numbers are seconds, texts are read by
    `parse_business`. Business days keep the time of day: from the moment itself, or the next opening when it is closed, to the
    same time on the n-th day after it on which a shift begins. When that day is closed at that time, it is its last closing
    before, or its first opening. In the hour that an autumn clock change repeats, the first of the two is taken.

    Raises:
        ValueError: for a negative or boundless length, and when the calendar stays closed for three years on the way.
    """
    span = _span(duration)
    if not 0 <= span.days < 10_000 or not 0 <= span.seconds < 1e9:
        raise ValueError("open time is added forward, and no more than ten thousand days of it")
    at = _add_days(_micros(start), span.days, calendar) if span.days else _micros(start)
    left = round(span.seconds * _SECOND)
    if not left:
        return _moment(at)
    for opens, closes in _from(at, calendar):
        since = max(opens, at)
        if closes - since >= left:
            return _moment(since + left)
        left -= closes - since
    raise AssertionError  # pragma: no cover  # the walk either finds one or gives up by itself


def _span(duration: Span | timedelta | float | str) -> Span:
    if isinstance(duration, str):
        return parse_business(duration)
    if isinstance(duration, timedelta):
        return Span(seconds=duration.total_seconds())
    return duration if isinstance(duration, Span) else Span(seconds=float(duration))


def _add_days(at: int, days: int, calendar: Calendar) -> int:
    """The same time of day, so many open days later."""
    at = _micros(next_open(_moment(at), calendar))
    local = _moment(at).astimezone(calendar.tz)
    day, closed = local.date(), 0
    while days:
        day += timedelta(days=1)
        opens = bool(_shifts_of(calendar, day) and _open_on(calendar, day))
        days -= opens
        closed = 0 if opens else closed + 1
        if closed > LONGEST_CLOSED:
            raise _never(calendar)
    spans = _open_on(calendar, day)
    wanted = _wall(calendar, day, local.time())
    before = [min(wanted, end) for start, end in spans if start <= wanted]
    return max(before) if before else spans[0][0]


def _wall(calendar: Calendar, day: date, clock: time) -> int:
    """The moment at which the wall clock first reads this; where a clock change skips it, the moment of the change."""
    earlier, later, change = _offsets(calendar, day)
    reads = _plain(datetime.combine(day, clock.replace(tzinfo=None, fold=0)))
    if reads - earlier < change:
        return reads - earlier
    return max(change, reads - later)


def _open_between(first: int, last: int, calendar: Calendar) -> int:
    total, number, final = 0, first // _DAY, last // _DAY
    while number <= final:
        # A whole year between the ends is counted once and remembered: a record of 1970 must not cost a second.
        year = _day_of(number).year
        after = _year_start(year + 1)
        if number == _year_start(year) and first <= number * _DAY and after <= final:
            total += _open_in_year(calendar, year)
            number = after
            continue
        total += sum(max(0, min(end, last) - max(start, first)) for start, end in _open_in(calendar, number))
        number += 1
    return total


def _from(at: int, calendar: Calendar) -> Iterator[tuple[int, int]]:
    """The open spans that end after a moment, in order, for ever; one that goes on over UTC's midnight comes in two."""
    number, closed = at // _DAY, 0
    while True:
        spans = _open_in(calendar, number)
        yield from (one for one in spans if one[1] > at)
        closed = 0 if spans else closed + 1
        if closed > LONGEST_CLOSED:
            raise _never(calendar)
        number += 1


@lru_cache(maxsize=8192)
def _open_in(calendar: Calendar, number: int) -> tuple[tuple[int, int], ...]:
    """The open spans of a day of UTC. Local days would not do to walk along: a clock change at midnight mixes two of them."""
    start, end = number * _DAY, (number + 1) * _DAY
    day = _day_of(number)
    near = (span for away in (-1, 0, 1) for span in _open_on(calendar, day + timedelta(days=away)))
    return tuple(_joined([(max(opens, start), min(closes, end)) for opens, closes in near]))


@lru_cache(maxsize=8192)
def _open_on(calendar: Calendar, day: date) -> tuple[tuple[int, int], ...]:
    """The open spans of a local day, in microseconds of UTC, in order and apart from each other."""
    pieces = _pieces(calendar, day)
    if not pieces:
        return ()
    midnight = _plain(datetime.combine(day, time()))
    earlier, later, change = _offsets(calendar, day)
    found: list[tuple[int, int]] = []
    for opens, closes in pieces:
        a, b = midnight + opens * 60 * _SECOND, midnight + closes * 60 * _SECOND
        found.append((a - earlier, min(b - earlier, change)))
        found.append((max(a - later, change), b - later))
    return tuple(_joined(found))


@lru_cache(maxsize=1024)
def _open_in_year(calendar: Calendar, year: int) -> int:
    days = range(_year_start(year), _year_start(year + 1))
    return sum(end - start for number in days for start, end in _open_in(calendar, number))


@lru_cache(maxsize=256)
def _year_start(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).days


def _pieces(calendar: Calendar, day: date) -> list[tuple[int, int]]:
    """What of the shifts lies on this day, in minutes from its midnight: the rest of yesterday's, then its own."""
    own = _shifts_of(calendar, day)
    if own is None or (day in calendar.dated and not own):
        return []
    yesterday = _shifts_of(calendar, day - timedelta(days=1))
    rest = [(0, closes - 1440) for _, closes in yesterday or () if closes > 1440]
    return _joined(rest + [(opens, min(closes, 1440)) for opens, closes in own])


def _shifts_of(calendar: Calendar, day: date) -> tuple[tuple[int, int], ...] | None:
    """The shifts that begin on this day; None on a holiday without hours of its own."""
    if day in calendar.dated:
        return calendar.dated[day]
    return None if day in calendar.holidays else calendar.week[day.weekday()]


def _offsets(calendar: Calendar, day: date) -> tuple[int, int, int]:
    """The distance from UTC before and after the clock change near this day, and its moment; without one, twice the same."""
    midnight = _plain(datetime.combine(day, time()))
    low, high = midnight - _FARTHEST, midnight + _DAY + _FARTHEST
    earlier, later = _offset(calendar, low), _offset(calendar, high)
    if earlier == later:
        # No change: everything is "after" a moment that lies before all of the day.
        return earlier, later, low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(calendar, middle) == earlier else (low, middle)
    return earlier, later, high


def _offset(calendar: Calendar, at: int) -> int:
    away = _moment(at).astimezone(calendar.tz).utcoffset()
    return 0 if away is None else away // _MICRO


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch or overlap made one, empty ones left out."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(one for one in spans if one[0] < one[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _shifts(name: str, hours: Hours) -> tuple[tuple[int, int], ...]:
    """Pairs of clock times as minutes; one that runs over midnight ends after 1,440."""
    found = []
    for opens, closes in hours:
        a, b = _minutes(name, opens), _minutes(name, closes)
        if a in (b, 1440):
            raise ValueError(f"calendar {name!r}: {opens}–{closes} has no length; a whole day is 00:00–24:00")
        found.append((a, b if b > a else b + 1440))
    return tuple(found)


def _minutes(name: str, text: str) -> int:
    match = _CLOCK.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else 1441
    if minutes > 1440:
        raise ValueError(f"calendar {name!r}: {text!r} is no time of day; write it like 09:00, up to 24:00")
    return minutes


def _never(calendar: Calendar) -> ValueError:
    return ValueError(f"calendar {calendar.name!r} stays closed for three years on end: look at its hours and holidays")


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("this time has no zone: calendars count from moments in UTC")
    return (moment - _EPOCH) // _MICRO


def _plain(reads: datetime) -> int:
    """What a wall clock reads, as if it hung in UTC."""
    return (reads.replace(tzinfo=UTC) - _EPOCH) // _MICRO


def _moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def _day_of(number: int) -> date:
    """The day of UTC with this number. Every walk asks here first, so none runs out of the calendar's years."""
    if not _FIRST <= number < _LAST:
        raise ValueError("this lies outside the years that a calendar has, 1900 to 2200")
    return _EPOCH.date() + timedelta(days=number)
