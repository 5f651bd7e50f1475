"""The plain values an expression may meet, and what comparing, printing and counting them means.

It knows nothing of syntax and touches no other object: a value of any other type is refused before one of its methods
could run. Every operation whose cost depends on the data charges a budget, so that the same recipe on the same record
ends the same way on every machine.
"""

import math
import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.functions.calendars import parse_business

BIGGEST_TEXT = 256 * 1024
BIGGEST_NUMBER = 2**63
# One unit is about a tenth of a microsecond on a slow core; all of them are the 50 ms an evaluation may take.
BUDGET = 500_000
_DEEPEST = 40
_COMPARED_PER_UNIT = 4096
_COPIED_PER_UNIT = 512


class Duration(float):
    """A length of time in seconds; it compares with other durations, with numbers and with texts such as ``"4h"``.

    ``open`` says that it is open time of a calendar, which may be compared with ``"4 business_hours"`` as well.
    """

    __slots__ = ("open",)
    open: bool

    def __new__(cls, seconds: float, *, open: bool = False) -> Self:  # noqa: A002  # what calendars call it
        """Make one of seconds."""
        made = super().__new__(cls, seconds)
        made.open = open
        return made

    def __str__(self) -> str:
        return duration_text(self)


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()

PLAIN = frozenset({dict, list, tuple, str, int, float, bool, type(None), datetime, Duration})
NUMBERS = frozenset({int, float, Duration})
SEQUENCES = frozenset({list, tuple})
_SCALARS = frozenset({str, int, float, bool, type(None), datetime, Duration})

_KINDS = {
    dict: "a group of fields",
    list: "a list",
    tuple: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a yes/no value",
    type(None): "nothing (none)",
    datetime: "a time",
    Duration: "a duration",
}


class Budget:
    """How much work one evaluation may still do."""

    __slots__ = ("left",)

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left

    def spend(self, units: int) -> None:
        """Raise ExpressionError once the work is used up."""
        self.left -= units
        if self.left < 0:
            raise ExpressionError("this takes too long to work out on these values", hint="compare or loop over less")

    def copy(self, characters: int) -> None:
        """Charge for a text about to be made; raises ExpressionError when it would be too long."""
        if characters > BIGGEST_TEXT:
            raise ExpressionError("the text made here would be longer than 256 KiB", hint="shorten it with limit(...)")
        self.spend(1 + characters // _COPIED_PER_UNIT)


def kind(value: Any) -> str:
    """What a value is, in words for an admin."""
    return _KINDS.get(type(value), "something that is not plain data")


def refuse_foreign(value: Any) -> None:
    """Raise ExpressionError unless a value is of one of the plain types (exactly, not a subclass)."""
    if type(value) not in PLAIN:
        raise ExpressionError("a value here is not plain data (text, number, yes/no, time, list or group of fields)")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"\s*(?:\d{1,9}(?:\.\d{1,3})?\s*[smhdw]\s*)+\Z", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)


def parse_duration(text: str, *, open: bool = False) -> Duration:  # noqa: A002  # what calendars call it
    """Seconds of a duration as recipes write it: ``"30s"``, ``"45m"``, ``"4h"``, ``"2d"``, ``"1w"``, ``"1d 12h"``.

    ``open`` reads open time: ``"4h"``, ``"90m"``, ``"4 business_hours"``. Raises ExpressionError for anything else; business
    days among them, which are as long as the days they fall on.
    """
    if open:
        return _parse_open(text)
    if "business" in text[:100]:
        hint = "write h or d, or compare business_age(…, calendar)"
        raise ExpressionError("business time counts by a calendar, and there is none here", hint=hint)
    if len(text) > 100 or not _DURATION.match(text):
        raise ExpressionError("this text is not a duration", hint="write for example '30m', '4h' or '2d'")
    return Duration(sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION_PART.findall(text)))


def _parse_open(text: str) -> Duration:
    try:
        span = parse_business(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    if span.days:
        raise ExpressionError(
            "a business day is as long as the day it falls on, so no age can be compared with it",
            hint="compare times: now > deadline(…, '2 business_days', calendar)",
        )
    return Duration(span.seconds, open=True)


def duration_text(seconds: float) -> str:
    """A duration in its two largest units, such as ``2d 4h``."""
    if not math.isfinite(seconds):
        raise ExpressionError("a duration here is not a finite number")
    rest = round(abs(seconds))
    parts = []
    for unit in ("d", "h", "m", "s"):
        amount, rest = divmod(rest, _UNITS[unit])
        if amount:
            parts.append(f"{amount}{unit}")
    return ("-" if seconds < 0 and parts else "") + (" ".join(parts[:2]) or "0s")


def moment(value: Any, what: str) -> datetime:
    """A value as a time in UTC; a text in ISO 8601 is one, and a time without zone is taken as UTC.

    Raises ExpressionError for anything else.
    """
    if type(value) is str:
        try:
            value = datetime.fromisoformat(value[:40])
        except ValueError:
            raise ExpressionError(f"{what} needs a time, and this text is none", hint="a time field is meant") from None
    if type(value) is not datetime:
        raise ExpressionError(f"{what} needs a time, not {kind(value)}", hint=_none_hint(value, "is not none"))
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ExpressionError(f"{what} needs a time between the years 1 and 9999") from None


def _none_hint(value: Any, remedy: str) -> str:
    return f"test `… {remedy}` first" if value is None else ""


def number_text(value: float) -> str:
    """A number as a person writes it: no ``.0`` on whole ones. Raises ExpressionError for what is no real number."""
    if type(value) is int:
        if abs(value) > BIGGEST_NUMBER:
            raise ExpressionError("a whole number here is larger than 2^63")
        return str(value)
    if not math.isfinite(value):
        raise ExpressionError("a number here is not finite")
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))


def text_of(value: Any, budget: Budget) -> str:
    """A value as text for people: none is empty, lists are joined by commas, times are ISO 8601 in UTC.

    Raises ExpressionError for a group of fields: which of its fields was meant only the author knows.
    """
    found = type(value)
    if found is str:
        return str(value)
    if value is None:
        return ""
    if found is bool:
        return "true" if value else "false"
    if found is Duration:
        return duration_text(value)
    if found in NUMBERS:
        return number_text(value)
    if found is datetime:
        return moment(value, "this").isoformat().replace("+00:00", "Z")
    if found in SEQUENCES:
        return joined(value, ", ", budget)
    refuse_foreign(value)
    raise ExpressionError(
        "a group of fields cannot be printed as text", hint="name one of its fields, or add `| json` to print them all"
    )


def joined(items: Sequence[Any], separator: str, budget: Budget) -> str:
    """The texts of a list's items with a separator between them; items that are lists or groups are refused."""
    parts: list[str] = []
    size = 0
    for item in items:
        if type(item) in SEQUENCES:
            raise ExpressionError("a list inside a list cannot be printed as text", hint="add `| json` to print it")
        part = text_of(item, budget)
        size += len(part) + len(separator)
        budget.spend(4)
        budget.copy(size)
        parts.append(part)
    return separator.join(parts)


def equal(left: Any, right: Any, budget: Budget, depth: int = 0) -> bool:
    """Whether two plain values are the same; a yes/no value is never a number, a list is the same as a tuple."""
    one, two = type(left), type(right)
    if one is two and one in _SCALARS:
        if one is str and len(left) > _COMPARED_PER_UNIT:
            budget.spend(len(left) // _COMPARED_PER_UNIT)
        return bool(left == right)
    if one in NUMBERS and two in NUMBERS:
        return bool(left == right)
    refuse_foreign(left)
    refuse_foreign(right)
    if depth > _DEEPEST:
        raise ExpressionError("these values are nested too deeply to be compared")
    if one in SEQUENCES and two in SEQUENCES:
        budget.spend(2)
        if len(left) != len(right):
            return False
        budget.spend(len(left))
        for a, b in zip(left, right, strict=True):
            if type(a) is str and type(b) is str:
                if a != b:
                    return False
                continue
            budget.spend(6)
            if not equal(a, b, budget, depth + 1):
                return False
        return True
    if one is dict and two is dict:
        budget.spend(2 + 8 * len(left))
        return len(left) == len(right) and all(
            key in right and equal(value, right[key], budget, depth + 1)
            for key, value in left.items()
            if _is_field(key)
        )
    if Duration in (one, two) and str in (one, two):
        seconds, text = (left, right) if one is Duration else (right, left)
        return bool(seconds == parse_duration(text, open=seconds.open))
    return False


def _is_field(key: Any) -> bool:
    if type(key) is not str:
        raise ExpressionError("a group of fields has a name that is no text")
    return True


def contains(container: Any, item: Any, budget: Budget) -> bool:
    """``item in container``: an item of a list, a part of a text, a field name of a group."""
    found = type(container)
    if found in SEQUENCES:
        budget.spend(1 + len(container))
        for member in container:
            if type(member) is str and type(item) is str:
                if member == item:
                    return True
                continue
            budget.spend(6)
            if equal(member, item, budget):
                return True
        return False
    refuse_foreign(item)
    if found is str:
        if type(item) is not str:
            raise ExpressionError(f"only a text can be part of a text, not {kind(item)}")
        # For short texts the search may look at a character as often as the part it seeks is long.
        budget.spend(1 + len(container) // 16 + min(len(container), 30_000) * min(len(item), 100) // 100)
        return item in container
    if found is dict:
        if type(item) is not str:
            raise ExpressionError(f"only a text can name a field, not {kind(item)}")
        return item in container
    raise ExpressionError(
        f"`in` looks into a list, a text or a group of fields, not {kind(container)}",
        hint="write `x in (field | default([]))`" if container is None else "",
    )


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def ordered(left: Any, symbol: str, right: Any) -> bool:
    """``left symbol right`` for two numbers, two texts, two times, or a duration and what compares with one."""
    one, two = type(left), type(right)
    if one is Duration and two is str:
        right = parse_duration(right, open=left.open)
    elif two is Duration and one is str:
        left = parse_duration(left, open=right.open)
    elif one is datetime and two is datetime:
        left, right = moment(left, "this"), moment(right, "this")
    elif not ((one is two and one is str) or (one in NUMBERS and two in NUMBERS)):
        empty = left is None or right is None
        raise ExpressionError(
            f"`{symbol}` cannot compare {kind(left)} with {kind(right)}",
            hint="test `… is not none` first, or give a value with default(...)" if empty else "",
        )
    return _ORDERS[symbol](left, right)


def check_number(value: Any) -> Any:
    """A number within bounds (whole ones up to 2^63, others finite). Raises ExpressionError."""
    found = type(value)
    if found not in NUMBERS:
        raise ExpressionError(
            f"only numbers can be calculated with, not {kind(value)}",
            hint="put texts together with `~`" if found is str else "",
        )
    if (abs(value) > BIGGEST_NUMBER) if found is int else not math.isfinite(value):
        raise ExpressionError("the number here is too large", hint="whole numbers go up to 2^63")
    return value


def spoken(value: Any, longest: int = 120) -> str:
    """A value as a trace shows it: texts in quotes, lists in brackets, cut to a readable length; never fails."""
    if isinstance(value, str):
        clipped = value if len(value) <= longest else value[: longest - 1] + "…"
        return '"' + clipped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is MISSING:
        return "not there"
    if value is None:
        return "none"
    found = type(value)
    if found in SEQUENCES:
        shown = [kind(item) if type(item) in SEQUENCES else spoken(item, 40) for item in value[:8]]
        return "[" + ", ".join(shown + (["…"] if len(value) > len(shown) else [])) + "]"
    if found is dict:
        return f"a group of {len(value)} fields"
    try:
        return text_of(value, Budget())
    except ExpressionError:
        return kind(value)
