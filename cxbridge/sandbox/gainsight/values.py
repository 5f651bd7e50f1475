"""Values as they lie in a tenant, and as its APIs write and read them: three dialects of dates, picklists, numbers."""

import re
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from cxbridge.sandbox.gainsight.catalogue import Field, chosen
from cxbridge.sandbox.gainsight.errors import FieldProblem

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST = {"STRING": 4_000, "RICHTEXTAREA": 131_072}


def shown(value: Any, dialect: str) -> Any:
    """A value as an answer writes it: `epoch` in query results, `iso` in the cockpit and in some tenants everywhere."""
    if isinstance(value, datetime):
        if dialect == "epoch":
            return millis(value)
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, date):
        if dialect == "epoch":
            return millis(datetime.combine(value, time(), UTC))
        return value.isoformat()
    return value


def millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def literal(text: Any, zone: ZoneInfo) -> datetime:
    """A time in a filter; one without a zone is read in the tenant's.

    Raises:
        ValueError, TypeError: it is none.
    """
    if not isinstance(text, str):
        raise TypeError("a time in a filter is text")
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def is_day(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None


def written(field: Field, called: str, value: Any) -> Any:
    """A value as a write gives it, in the form it is kept in.

    Raises:
        ProblemFound: the vendor refuses it.
    """
    if value is None:
        return None
    if field.picklist:
        given = value if isinstance(value, list) else [value]
        ids = [chosen(field.picklist, one) for one in given]
        if None in ids:
            raise ProblemFound(
                FieldProblem(called, value, "GSOBJ_1012", "Invalid/Inactive value provided for picklist.")
            )
        return ids if field.type == "MULTISELECTDROPDOWNLIST" else ids[0]
    if field.type == "DATE":
        return _day(called, value)
    if field.type == "DATETIME":
        return _moment(called, value)
    if field.type in ("NUMBER", "CURRENCY", "PERCENTAGE"):
        return _number(called, value)
    if field.type == "BOOLEAN":
        if not isinstance(value, bool):
            raise ProblemFound(FieldProblem(called, value, "GSOBJ_1002", "Invalid boolean value."))
        return value
    if not isinstance(value, str):
        raise ProblemFound(FieldProblem(called, value, "GSOBJ_1002", "Invalid text value."))
    if len(value) > _LONGEST.get(field.type, 4_000):
        raise ProblemFound(FieldProblem(called, value[:50], "GSOBJ_1001", "The text is too long."))
    if field.type == "EMAIL" and not _EMAIL.fullmatch(value):
        raise ProblemFound(FieldProblem(called, value, "GSOBJ_VDTEMAIL1001", "Invalid email value."))
    return value


class ProblemFound(Exception):
    """A value that is refused, with where and why."""

    def __init__(self, problem: FieldProblem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def _day(called: str, value: Any) -> date:
    if is_day(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ProblemFound(FieldProblem(called, value, "GSOBJ_1006", "Invalid date value."))


def _moment(called: str, value: Any) -> datetime:
    if isinstance(value, str) and (is_day(value) or "T" in value):
        try:
            return literal(value, ZoneInfo("UTC"))
        except ValueError:
            pass
    raise ProblemFound(FieldProblem(called, value, "GSOBJ_1005", "Invalid date time value."))


def _number(called: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ProblemFound(FieldProblem(called, value, "GSOBJ_1002", "Invalid number value."))
    try:
        return float(value)
    except ValueError:
        raise ProblemFound(FieldProblem(called, value, "GSOBJ_1002", "Invalid number value.")) from None
