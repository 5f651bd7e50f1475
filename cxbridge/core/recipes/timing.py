"""Functions and filters about time: ages and deadlines, by the clock or by a calendar, and the windows a moment lies in.

The time comes with the scope, calendars and windows with the surroundings. Nothing here reads a clock.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import Builder, Eval, Frame, always, constant
from cxbridge.core.recipes.filters import check_date, clock_text, date_text, day_text
from cxbridge.core.recipes.forms import Form, around
from cxbridge.core.recipes.functions import DYNAMIC, need_text
from cxbridge.core.recipes.mistakes import ExpressionError, nearest
from cxbridge.core.recipes.surroundings import WINDOW_KINDS
from cxbridge.core.recipes.values import SEQUENCES, Duration, kind, moment, parse_duration
from cxbridge.functions import calendars
from cxbridge.functions.calendars import Calendar

# Counting open time walks day by day, at least once for each year.
_UNITS_PER_COUNT = 500
_UNITS_PER_DAY = 12
_ISO_DATE = "%Y-%m-%d"

CalendarOf = Callable[[Frame], Calendar]
_Counted = TypeVar("_Counted")


# --- ages and deadlines ----------------------------------------------------------------------------------------------


def _now(frame: Frame, why: str) -> datetime:
    if "now" not in frame.scope:
        raise ExpressionError(f"the time is not known here, so {why}")
    return moment(frame.scope["now"], "this")


def _age(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    time = builder.build(arguments[0])

    def run(frame: Frame) -> Duration:
        then = moment(time(frame), "age")
        return Duration((_now(frame, "there is no age") - then).total_seconds())

    return _watched(builder, node, run)


def _business_age(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    time, calendar = builder.build(arguments[0]), _calendar(builder, "business_age", arguments[1])

    def run(frame: Frame) -> Duration:
        then = moment(time(frame), "business_age")
        now = _now(frame, "there is no age")
        frame.spend(_UNITS_PER_DAY * abs((now - then).days))
        return Duration(_counted(frame, calendars.business_seconds, then, now, calendar(frame)), open=True)

    return _watched(builder, node, run)


def _deadline(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    time, length = builder.build(arguments[0]), builder.build(arguments[1])
    calendar = _calendar(builder, "deadline", arguments[2]) if len(arguments) > 2 else None
    told = constant(arguments[1])
    if told is not DYNAMIC:
        try:
            _check_length(told, by_calendar=calendar is not None)
        except ExpressionError as error:
            raise error.at(*builder.reading.span(arguments[1])) from None

    def run(frame: Frame) -> datetime:
        then, given = moment(time(frame), "deadline"), length(frame)
        _check_length(given, by_calendar=calendar is not None)
        if calendar is not None:
            text = float(given) if type(given) is Duration else given
            return _counted(frame, calendars.add_business, then, text, calendar(frame))
        try:
            return then + timedelta(seconds=given if type(given) is Duration else parse_duration(given))
        except OverflowError:
            raise ExpressionError("this deadline lies beyond the year 9999") from None

    return _watched(builder, node, run)


def _check_length(value: Any, *, by_calendar: bool) -> None:
    """Refuse what is no length of time, or not one of the sort that is counted here."""
    if type(value) is Duration:
        return
    if type(value) is not str:
        raise ExpressionError(f"a deadline is a length of time after another, such as '4h', not {kind(value)}")
    if not by_calendar:
        if "business" in value[:100]:
            hint = f"name one: deadline(…, '{value[:40]}', inputs.calendar)"
            raise ExpressionError("business time counts by a calendar, and there is none here", hint=hint)
        parse_duration(value)
        return
    try:
        calendars.parse_business(value)
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def _is_open(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    time, calendar = builder.build(arguments[0]), _calendar(builder, "is_open", arguments[1])

    def run(frame: Frame) -> bool:
        return _counted(frame, calendars.is_open, moment(time(frame), "is_open"), calendar(frame))

    return _watched(builder, node, run)


def _next_open(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    time, calendar = builder.build(arguments[0]), _calendar(builder, "next_open", arguments[1])

    def run(frame: Frame) -> datetime:
        return _counted(frame, calendars.next_open, moment(time(frame), "next_open"), calendar(frame))

    return _watched(builder, node, run)


def _watched(builder: Builder, node: nodes.Call, run: Eval) -> Eval:
    placed = builder.placed(node, run)
    builder.watched.append((builder.reading.text(node), placed))
    return placed


def _counted(frame: Frame, count: Callable[..., _Counted], *given: Any) -> _Counted:
    frame.spend(_UNITS_PER_COUNT)
    try:
        return count(*given)
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def _calendar(builder: Builder, name: str, argument: nodes.Expr) -> CalendarOf:
    """A closure that finds the calendar which an argument names; a name that is written out is looked up at once."""
    told, surroundings = constant(argument), around(builder)
    known = builder.vocabulary.around
    if told is not DYNAMIC:
        if type(told) is not str:
            builder.reading.refuse(f"`{name}` needs the name of a calendar", argument, "for example inputs.calendar")
        if known.calendar(told) is None:
            hint = nearest(told, known.known_calendars)
            builder.reading.refuse(
                f"there is no calendar {told[:40]!r} in cxbridge.toml",
                argument,
                f"did you mean `{hint}`?" if hint else f"there are {', '.join(known.known_calendars)}",
            )
    value = builder.build(argument)

    def find(frame: Frame) -> Calendar:
        given = value(frame)
        if type(given) is not str:
            raise ExpressionError(f"`{name}` needs the name of a calendar, not {kind(given)}")
        found = surroundings(frame).calendar(given)
        if found is None:
            raise ExpressionError("there is no calendar of this name in cxbridge.toml")
        return found

    return find


# --- windows ---------------------------------------------------------------------------------------------------------


def _in_window(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    if len(arguments) > 1 and (told := constant(arguments[1])) is not DYNAMIC and told not in WINDOW_KINDS:
        guess = nearest(told, WINDOW_KINDS) if type(told) is str else None
        hint = f"did you mean `{guess}`?" if guess else f"there are {', '.join(WINDOW_KINDS)}"
        builder.reading.refuse("there are no windows of this kind", arguments[1], hint)
    time, *rest = [builder.build(argument) for argument in arguments]
    surroundings = around(builder)

    def run(frame: Frame) -> str:
        at = moment(time(frame), "in_window")
        what = need_text(rest[0](frame), "in_window") if rest else None
        products = _products(rest[1](frame)) if len(rest) > 1 else None
        for window in surroundings(frame).windows:
            frame.spend(4)
            if not window.holds(at) or what not in (None, window.kind):
                continue
            if window.products if products is None else not window.touches(products):
                continue
            if not window.accounts or window.is_about(frame.scope.get("account")):
                return window.name
        return ""

    return _watched(builder, node, run)


def _products(value: Any) -> list[str]:
    if type(value) is str:
        return [value]
    if value is None:
        return []
    if type(value) not in SEQUENCES or any(type(one) is not str for one in value):
        raise ExpressionError(f"a product is a text or a list of texts, not {kind(value)}")
    return list(value)


# --- times for people ------------------------------------------------------------------------------------------------


def _printed(name: str, write: Callable[[datetime], str] | None) -> Callable[[Builder, Any, list[nodes.Expr]], Eval]:
    """How a filter is built that prints a time. Without `write`, its first argument is the form; then comes the zone."""

    def build(builder: Builder, node: nodes.Filter, arguments: list[nodes.Expr]) -> Eval:
        builder.note(name, node, arguments)
        assert node.node is not None  # noqa: S101 - the caller has looked
        value = builder.build(node.node)
        layout = arguments[:1] if write is None else []
        zones = arguments[1:] if write is None else arguments
        if layout:
            _checked(builder, layout[0], check_date)
        if zones and (told := constant(zones[0])) is not DYNAMIC:
            _checked(builder, zones[0], lambda _: zone_of(told, builder.vocabulary.around.calendar))
        form = builder.build(layout[0]) if layout else always(_ISO_DATE)
        zone = builder.build(zones[0]) if zones else None
        surroundings = around(builder)

        def run(frame: Frame) -> str:
            time = moment(value(frame), name)
            if zone is not None:
                try:
                    time = time.astimezone(zone_of(zone(frame), surroundings(frame).calendar))
                except OverflowError:
                    raise ExpressionError("this time lies outside the years 1 to 9999 there") from None
            return write(time) if write is not None else date_text(time, form(frame))

        return builder.placed(node, run)

    return build


def _checked(builder: Builder, argument: nodes.Expr, check: Callable[[Any], Any]) -> None:
    try:
        check(constant(argument))
    except ExpressionError as error:
        raise error.at(*builder.reading.span(argument)) from None


def zone_of(name: Any, calendar: Callable[[str], Calendar | None]) -> ZoneInfo:
    """The time zone of a name: of a calendar, or of a place. Raises ExpressionError."""
    if type(name) is not str:
        raise ExpressionError(f"a time zone is a text such as 'Europe/Berlin', not {kind(name)}")
    known = calendar(name)
    if known is not None:
        return known.tz
    found = _zone(name[:100])
    if found is None:
        raise ExpressionError(
            "there is no time zone and no calendar of this name", hint="write one like 'Europe/Berlin'"
        )
    return found


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


TIMING_FORMS: Mapping[str, Form] = {
    "age": Form(("time",), _age, 1),
    "business_age": Form(("time", "calendar"), _business_age, 2),
    "deadline": Form(("time", "length", "calendar"), _deadline, 2),
    "is_open": Form(("time", "calendar"), _is_open, 2),
    "next_open": Form(("time", "calendar"), _next_open, 2),
    "in_window": Form(("time", "kind", "product"), _in_window, 1),
}
TIMING_FILTERS: Mapping[str, Form] = {
    "date": Form(("form", "zone"), _printed("date", None), 0),
    "day": Form(("zone",), _printed("day", day_text), 0),
    "clock": Form(("zone",), _printed("clock", clock_text), 0),
}
