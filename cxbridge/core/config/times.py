"""The sections `[calendars]` and `[[windows]]`: when people are at work, and in which stretches of time something known went on."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cxbridge.functions.calendars import WEEKDAYS, Calendar

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_SPAN = re.compile(r"\s*(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})\s*")
# A week that opens, to try one part of a calendar without the others.
_OPEN = {"mon": (("09:00", "17:00"),)}

Spans = tuple[tuple[str, str], ...]
WindowKind = Literal["outage", "maintenance", "holiday", "release", "policy", "other"]


def _spans(value: Any) -> Spans:
    """Read `"09:00-17:00"`, a list of such, or an empty one."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError(
            'hours are written like "09:00-17:00", or as a list of such'
        )  # pydantic takes ValueError as a verdict
    found = []
    for text in texts:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise ValueError(f'{text!r} are no hours: write them like "09:00-17:00"')
        found.append((match[1], match[2]))
    _try(hours={"mon": tuple(found)} if found else _OPEN)
    return tuple(found)


def _weekdays(text: str) -> tuple[str, ...]:
    """Read `mon`, or a range: `mon-fri`; one may run over the week's end."""
    first, dash, last = (part.strip() for part in text.lower().partition("-"))
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise ValueError(f"{text!r} is no weekday: write one of {', '.join(WEEKDAYS)}, or a range like mon-fri")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return tuple(WEEKDAYS[(start + number) % 7] for number in range((end - start) % 7 + 1))


def _hours(value: Any) -> dict[str, Spans]:
    if not isinstance(value, Mapping):
        raise ValueError('hours are a table: { mon-fri = "09:00-17:00" }')  # noqa: TRY004  # pydantic takes ValueError as a verdict
    found: dict[str, Spans] = {}
    for text, spans in value.items():
        for day in _weekdays(str(text)):
            if day in found:
                raise ValueError(f"the hours of {day} stand here twice")
            found[day] = _spans(spans)
    return found


def _special(value: Any) -> dict[date, Spans]:
    if not isinstance(value, Mapping):
        raise ValueError('this is a table of days: { 2026-12-24 = "09:00-12:00" }')  # noqa: TRY004  # pydantic takes ValueError as a verdict
    return {_day(text): _spans(spans) for text, spans in value.items()}


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{str(value)!r} is no day: write it like 2026-12-25") from None


def _days(value: Any) -> list[date]:
    if not isinstance(value, list):
        raise ValueError('this is a list of days: ["2026-12-25", "2026-12-26"]')  # noqa: TRY004  # pydantic takes ValueError as a verdict
    return [_day(one) for one in value]


def _zone(value: str) -> str:
    _try(zone=value)
    return value


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time: write it like 2026-05-06T09:00:00Z") from None
    if not isinstance(value, datetime):
        raise ValueError("write a time with its zone, like 2026-05-06T09:00:00Z")  # noqa: TRY004  # pydantic takes ValueError as a verdict
    if value.tzinfo is None:
        raise ValueError("this time has no zone: write it like 2026-05-06T09:00:00Z or 2026-05-06T09:00:00+02:00")
    return value.astimezone(UTC)


def _try(zone: str = "UTC", hours: Mapping[str, Spans] = _OPEN) -> None:
    """Raise ValueError for what no calendar can have, without the name of the one that is tried."""
    try:
        Calendar("x", zone, hours)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("calendar 'x': ").removeprefix("calendar 'x' ")) from None


def _plain_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"the name {value!r} may hold a–z, 0–9 and - only, a letter first")
    return value


Name = Annotated[str, AfterValidator(_plain_name)]


class CalendarSettings(BaseModel):
    """When somebody is at work: hours by weekday in one zone, `holidays` that are closed, `special` days with their own hours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    hours: Annotated[dict[str, Spans], BeforeValidator(_hours)]
    holidays: Annotated[list[date], BeforeValidator(_days)] = []
    special: Annotated[dict[date, Spans], BeforeValidator(_special)] = {}

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if not any(self.hours.values()) and not any(self.special.values()):
            raise ValueError("this calendar never opens: give hours to at least one day")
        return self

    def calendar(self, name: str) -> Calendar:
        """Make the calendar."""
        return Calendar(name, self.zone, self.hours, frozenset(self.holidays), self.special)


class WindowSettings(BaseModel):
    """A stretch of time in which something known went on: recipes leave it out, or say so. Without `to`, until further notice."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name
    kind: WindowKind
    start: Annotated[datetime, BeforeValidator(_moment)] = Field(alias="from")
    end: Annotated[datetime | None, BeforeValidator(_moment)] = Field(default=None, alias="to")
    accounts: list[str] = []
    products: list[str] = []
    about: str = ""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"the window {self.name} ends before it begins: `to` lies after `from`")
        return self
