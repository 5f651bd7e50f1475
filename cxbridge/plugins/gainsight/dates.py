"""Gainsight's three ways of writing a time, and the two in which it wants to be told one; pure.

Queries answer in epoch milliseconds, some tenants and the whole cockpit in ISO 8601, fields of a day alone as `yyyy-MM-dd`.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_DIGITS: Final = re.compile(r"-?\d{1,15}(\.0+)?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The year 2286, in milliseconds.
_LAST_MS: Final = 10_000_000_000_000
# Read as milliseconds, these lie in the spring of 1970: somebody counted in seconds, and a guess could be wrong by 50 years.
_SECONDS: Final = range(1_000_000_000, 10_000_000_000)


class NoTime(ValueError):
    """A value that is no time in any of the forms; the text quotes nothing of it."""


def moment(value: object) -> datetime | None:
    """Read a time in any of the three forms, as UTC; None stays None, and so does an empty text.

    Raises:
        NoTime: it is none of them.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise NoTime("a yes or no is no time")
    if isinstance(value, int | float):
        return _epoch(value)
    if not isinstance(value, str):
        raise NoTime("neither a number nor a text")
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return _epoch(float(text))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NoTime("a text that is no time") from None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise NoTime("a time outside the calendar") from None


def day(value: object) -> datetime | None:
    """Read a day, as its midnight in UTC. It has no zone: milliseconds that miss midnight by up to half a day mean the nearest one.

    Raises:
        NoTime: it is none.
    """
    found = moment(value)
    if found is None or (isinstance(value, str) and _DAY.fullmatch(value.strip())):
        return found
    try:
        return datetime.combine((found + timedelta(hours=12)).date(), time(), UTC)
    except OverflowError:
        raise NoTime("a time outside the calendar") from None


def millis(when: datetime) -> int:
    """Give a time in epoch milliseconds."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def literal(seconds: int, zone: tzinfo) -> str:
    """Write a second for a filter: without a zone, in the one that the tenant reads it in."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def written(when: datetime) -> str:
    """Write a time for a field."""
    utc = when.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def wanted(value: datetime | str | None) -> datetime | None:
    """Read a day or time as a recipe gives it.

    Raises:
        NoTime: it is neither.
    """
    if value is None or isinstance(value, datetime):
        return None if value is None else value.astimezone(UTC)
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        raise NoTime("write a day as 2026-03-31, a time as 2026-03-31T17:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def as_day(when: datetime) -> date:
    """Give the day of a time, in UTC."""
    return when.astimezone(UTC).date()


def _epoch(number: float) -> datetime:
    if not -_LAST_MS < number < _LAST_MS:
        raise NoTime("a number too large for milliseconds")
    if int(number) in _SECONDS:
        raise NoTime("a number that looks like seconds, where milliseconds belong")
    return _EPOCH + timedelta(milliseconds=round(number))
