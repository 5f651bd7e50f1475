"""The filters a recipe may put after a bar, as far as they need nothing but values.

They must not look at the time, the store or the network, and each charges for work that grows with its input.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any

from cxbridge.core.recipes.escaping import json_text
from cxbridge.core.recipes.functions import DYNAMIC, Filter, changed_text, need_list, need_text, size_of, sum_of
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.redaction import redact_personal
from cxbridge.core.recipes.values import (
    BIGGEST_TEXT,
    NUMBERS,
    Budget,
    check_number,
    equal,
    joined,
    kind,
    moment,
    text_of,
)


def _whole(value: Any, what: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ExpressionError(f"{what} must be a whole number from {least} to {most}")
    return value


# --- texts -----------------------------------------------------------------------------------------------------------


def _replace(budget: Budget, value: Any, old: Any, new: Any) -> str:
    text, old, new = need_text(value, "replace"), need_text(old, "replace"), need_text(new, "replace")
    if not old:
        raise ExpressionError("replace needs a text to look for, and this one is empty")
    budget.spend(1 + len(text) // 16)
    budget.copy(len(text) + text.count(old) * max(0, len(new) - len(old)) if len(new) > len(old) else 0)
    return text.replace(old, new)


def _limit(budget: Budget, value: Any, most: Any) -> str:
    text = need_text(value, "limit")
    most = _whole(most, "the length given to limit", 1, BIGGEST_TEXT)
    budget.copy(min(len(text), most))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _check_limit(most: Any) -> None:
    if most is not DYNAMIC:
        _whole(most, "the length given to limit", 1, BIGGEST_TEXT)


def _redact(budget: Budget, value: Any, what: Any) -> str:
    _check_redact(what)
    text = need_text(value, "redact")
    budget.spend(1 + 2 * len(text))
    return redact_personal(text)


def _check_redact(what: Any) -> None:
    if what is not DYNAMIC and what != "personal":
        raise ExpressionError("redact knows one kind of data only", hint="write redact('personal')")


def _join(budget: Budget, value: Any, separator: Any = "") -> str:
    return joined(need_list(value, "join"), need_text(separator, "join"), budget)


# --- times -----------------------------------------------------------------------------------------------------------

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DATE_PARTS: Mapping[str, Callable[[datetime], str]] = MappingProxyType(
    {
        "Y": lambda t: f"{t.year:04}",
        "m": lambda t: f"{t.month:02}",
        "d": lambda t: f"{t.day:02}",
        "H": lambda t: f"{t.hour:02}",
        "M": lambda t: f"{t.minute:02}",
        "S": lambda t: f"{t.second:02}",
        "B": lambda t: _MONTHS[t.month - 1],
        "b": lambda t: _MONTHS[t.month - 1][:3],
        "A": lambda t: _DAYS[t.weekday()],
        "a": lambda t: _DAYS[t.weekday()][:3],
        "Z": lambda t: t.tzname() or "UTC",
        "%": lambda _: "%",
    }
)


def date_text(time: datetime, layout: Any) -> str:
    """A time in the form that a layout gives it, as its own zone's clocks read. Raises ExpressionError."""
    check_date(layout)
    pieces = layout.split("%")
    # After splitting, a doubled % leaves an empty piece, and the piece after that is literal.
    done, index = [pieces[0]], 1
    while index < len(pieces):
        piece = pieces[index]
        if piece:
            done += [_DATE_PARTS[piece[0]](time), piece[1:]]
            index += 1
        else:
            done += ["%", pieces[index + 1]]
            index += 2
    return "".join(done)


def day_text(time: datetime) -> str:
    """A day as people write it: Wed 6 May 2026."""
    return f"{_DAYS[time.weekday()][:3]} {time.day} {_MONTHS[time.month - 1][:3]} {time.year}"


def clock_text(time: datetime) -> str:
    """What a clock on the wall reads: 09:30."""
    return f"{time.hour:02}:{time.minute:02}"


def check_date(layout: Any) -> None:
    """Refuse a layout that cannot be used, as far as it is known. Raises ExpressionError."""
    if layout is DYNAMIC:
        return
    if type(layout) is not str or len(layout) > 100:
        raise ExpressionError("the form of a date is a short text", hint="for example date('%d %b %Y')")
    rest = layout
    while "%" in rest:
        rest = rest[rest.index("%") + 1 :]
        if rest[:1] not in _DATE_PARTS:
            raise ExpressionError(
                f"`%{rest[:1]}` is not known in a date", hint="known are " + " ".join(f"%{p}" for p in _DATE_PARTS)
            )
        rest = rest[1:]


# --- numbers ---------------------------------------------------------------------------------------------------------


def _round(value: Any, digits: Any = 0) -> Any:
    digits = _whole(digits, "the number of digits", 0, 10)
    number = check_number(value)
    if type(number) is int:
        return number
    if abs(number) >= 1e15:
        return float(number)
    # Half goes up, as people expect of a score: 2.5 is 3 and 8.25 is 8.3.
    rounded = Decimal(repr(float(number))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return float(rounded) if digits else int(rounded)


def _int(value: Any, default: Any = None) -> Any:
    return _convert(value, default, "a whole number", lambda v: int(v) if type(v) is str else int(check_number(v)))


def _float(value: Any, default: Any = None) -> Any:
    return _convert(value, default, "a number", lambda v: float(v) if type(v) is str else float(check_number(v)))


def _convert(value: Any, default: Any, what: str, change: Callable[[Any], Any]) -> Any:
    if type(value) is bool or (type(value) is not str and type(value) not in NUMBERS):
        if default is not None:
            return default
        raise ExpressionError(f"{kind(value)} cannot be read as {what}", hint="say what else: int(0) or float(0)")
    try:
        if type(value) is str and len(value) > 40:
            raise ValueError
        return check_number(change(value))
    except ValueError as error:
        if default is not None:
            return default
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"this text is not {what}", hint="say what else: int(0) or float(0)") from None


def _abs(value: Any) -> Any:
    return abs(check_number(value))


# --- lists -----------------------------------------------------------------------------------------------------------


def _first(value: Any) -> Any:
    items = need_list(value, "first")
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = need_list(value, "last")
    return items[-1] if items else None


def _uniform(budget: Budget, value: Any, what: str) -> list[Any]:
    """The items as a list, all numbers, all texts or all times. Raises ExpressionError otherwise."""
    items = list(need_list(value, what))
    budget.spend(1 + 4 * len(items) + len(items) * len(items).bit_length())
    kinds = {("number" if type(item) in NUMBERS else type(item)) for item in items}
    if len(kinds) > 1 or not kinds <= {"number", str, datetime}:
        names = " and ".join(sorted({kind(item) for item in items}))
        raise ExpressionError(f"{what} needs a list of numbers, of texts or of times, and this one holds {names}")
    if kinds == {str}:
        budget.spend(sum(map(len, items)) * len(items).bit_length() // 4096)
    if kinds == {"number"}:
        items = [check_number(item) for item in items]
    return items


def _sort(budget: Budget, value: Any, reverse: Any = False) -> list[Any]:
    if type(reverse) is not bool:
        raise ExpressionError("sort is told with true or false whether to begin with the largest")
    return sorted(_uniform(budget, value, "sort"), key=_sort_key, reverse=reverse)


def _sort_key(item: Any) -> Any:
    return moment(item, "sort") if type(item) is datetime else item


def _extreme(what: str, choose: Callable[..., Any]) -> Callable[[Budget, Any], Any]:
    def run(budget: Budget, value: Any) -> Any:
        items = _uniform(budget, value, what)
        if not items:
            raise ExpressionError(f"{what} of an empty list is unknown", hint="test `size(…) > 0` first")
        return choose(items, key=_sort_key)

    return run


def _unique(budget: Budget, value: Any) -> list[Any]:
    kept: list[Any] = []
    words: set[str] = set()
    for item in need_list(value, "unique"):
        budget.spend(6)
        if type(item) is str:
            if item in words:
                continue
            words.add(item)
        else:
            budget.spend(3 * len(kept))
            if any(equal(item, other, budget) for other in kept):
                continue
        kept.append(item)
    return kept


def _list(budget: Budget, value: Any) -> list[Any]:
    if type(value) is dict:
        budget.spend(1 + len(value))
        return [key for key in value if type(key) is str]
    items = need_list(value, "list")
    budget.spend(1 + len(items) // 4)
    return list(items)


def standard_filters() -> dict[str, Filter]:
    """The filters of the language, but for those that need to see the expression itself, or the surroundings."""
    length = Filter(size_of)
    return {
        "lower": Filter(changed_text("lower", str.lower), metered=True),
        "upper": Filter(changed_text("upper", str.upper), metered=True),
        "title": Filter(changed_text("title", str.title), metered=True),
        "trim": Filter(changed_text("trim", str.strip), metered=True),
        "replace": Filter(_replace, ("old", "new"), metered=True),
        "limit": Filter(_limit, ("length",), metered=True, check=_check_limit),
        "redact": Filter(_redact, ("kind",), metered=True, check=_check_redact),
        "join": Filter(_join, ("separator",), required=0, metered=True),
        "string": Filter(lambda budget, value: text_of(value, budget), metered=True),
        "json": Filter(lambda budget, value: json_text(value, budget), metered=True),
        "round": Filter(_round, ("digits",), required=0),
        "int": Filter(_int, ("default",), required=0),
        "float": Filter(_float, ("default",), required=0),
        "abs": Filter(_abs),
        "sum": Filter(sum_of, metered=True),
        "min": Filter(_extreme("min", min), metered=True),
        "max": Filter(_extreme("max", max), metered=True),
        "length": length,
        "count": length,
        "first": Filter(_first),
        "last": Filter(_last),
        "sort": Filter(_sort, ("reverse",), required=0, metered=True),
        "unique": Filter(_unique, metered=True),
        "list": Filter(_list, metered=True),
    }
