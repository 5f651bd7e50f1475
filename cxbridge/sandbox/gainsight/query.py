"""The query language of the data API and of the cockpit list: select, conditions, order. Reads rows and changes nothing."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from cxbridge.sandbox.gainsight.catalogue import Field, label_of
from cxbridge.sandbox.gainsight.errors import ApiError, bad_request, invalid_field
from cxbridge.sandbox.gainsight.tenant import Row, Tenant
from cxbridge.sandbox.gainsight.values import is_day, literal

_PAIRS = re.compile(r"\s*AND\s*", re.IGNORECASE)


class Path:
    """A field, straight or through one or two lookups: `Csm__gr.Email`."""

    def __init__(self, tenant: Tenant, name: str, spelled: str) -> None:
        self.spelled = spelled
        self._tenant = tenant
        self._steps: list[tuple[Field, str]] = []
        *through, last = spelled.split(".")
        if len(through) > 2:
            raise invalid_field(spelled)
        for part in through:
            field = tenant.catalogue.field(name, re.sub("__gr$", "", part, flags=re.IGNORECASE))
            if field is None or not part.lower().endswith("__gr"):
                raise invalid_field(spelled)
            if field.picklist:
                # Options are rows of an object of their own, of which only the name is asked for.
                if last.lower() != "name" or part is not through[-1]:
                    raise invalid_field(spelled)
                self._steps.append((field, field.name))
                self._label = field.picklist
                self.field = field
                return
            if not field.lookup:
                raise invalid_field(spelled)
            self._steps.append((field, field.lookup))
            name = field.lookup
        found = tenant.catalogue.field(name, last)
        if found is None:
            raise invalid_field(spelled)
        self.field = found
        self._label = ""

    def of(self, row: Row) -> Any:
        """The value of the path in a row; None where a lookup leads nowhere."""
        here: Row | None = row
        for field, table in self._steps:
            if self._label and field is self.field:
                return label_of(self._label, (here or {}).get(field.name))
            here = self._tenant.get(table, (here or {}).get(field.name))
        return (here or {}).get(self.field.name)


def selected(tenant: Tenant, name: str, rows: Sequence[Row], select: Any, write: Callable[[Any], Any]) -> list[Row]:
    """The chosen fields of rows, under the names they were asked for; what is empty is left out."""
    if not isinstance(select, list) or not select or not all(isinstance(one, str) for one in select):
        raise bad_request("select must be a list of fields")
    paths = [Path(tenant, name, one) for one in select]
    found = []
    for row in rows:
        values = ((path.spelled, path.of(row)) for path in paths)
        found.append({spelled: write(value) for spelled, value in values if value is not None})
    return found


def filtered(
    tenant: Tenant, name: str, rows: Sequence[Row], where: Any, *, named: str, refuse: Callable[[str], ApiError]
) -> list[Row]:
    """The rows that meet all conditions; `named` is what a condition calls its field."""
    if where is None:
        return list(rows)
    if not isinstance(where, Mapping) or not isinstance(where.get("conditions"), list):
        raise refuse("where needs conditions")
    tests = {}
    for condition in where["conditions"]:
        if not isinstance(condition, Mapping) or not isinstance(condition.get("value"), list):
            raise refuse("a condition needs a list of values")
        spelled = condition.get(named)
        if not isinstance(spelled, str):
            raise refuse(f"a condition needs a {named}")
        tests[condition.get("alias")] = _test(tenant, Path(tenant, name, spelled), condition, refuse)
    # Anything but AND is undocumented.
    used = [part.strip("() ") for part in _PAIRS.split(str(where.get("expression") or " AND ".join(map(str, tests))))]
    if any(alias not in tests for alias in used):
        raise refuse("the expression names a condition that is not there")
    return [row for row in rows if all(tests[alias](row) for alias in used)]


def ordered(tenant: Tenant, name: str, rows: list[Row], order: Any) -> list[Row]:
    """The rows in the asked order; without one in no order that a reader may count on."""
    if not order:
        return sorted(rows, key=lambda row: row["Gsid"][::-1])
    if not isinstance(order, Mapping):
        raise bad_request("orderBy must be an object")
    for spelled, direction in reversed(list(order.items())):
        path = Path(tenant, name, spelled)
        rows = sorted(rows, key=lambda row: _sortable(path.of(row)), reverse=str(direction).lower() == "desc")
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    if isinstance(value, datetime):
        value = value.timestamp()
    elif isinstance(value, date):
        value = datetime.combine(value, time(), UTC).timestamp()
    return value is not None, value if value is not None else 0


def _test(
    tenant: Tenant, path: Path, condition: Mapping[str, Any], refuse: Callable[[str], ApiError]
) -> Callable[[Row], bool]:
    operator = str(condition.get("operator", "")).upper()
    raw = condition["value"]
    try:
        values = [_typed(tenant, path, one) for one in raw]
    except (ValueError, TypeError, KeyError):
        code = "GSOBJ_1006" if path.field.type == "DATE" else "GSOBJ_1005"
        raise ApiError(400, code, "Invalid value in a filter.", data=None) from None
    if operator in ("IS_NULL", "IS_NOT_NULL"):
        return lambda row: (path.of(row) in (None, "")) == (operator == "IS_NULL")
    if not values or (operator == "BTW" and len(values) != 2):
        raise refuse(f"{operator} has not the values it needs")
    first = values[0]
    if operator == "BTW":
        end = values[1]
        if tenant.options.btw_end == "whole" and is_day(raw[1]):
            end = end + timedelta(days=1) - timedelta(milliseconds=1)
        return lambda row: (held := _held(path.of(row))) is not None and first <= held <= end
    tests: dict[str, Callable[[Any], bool]] = {
        "EQ": lambda held: held == first,
        "NE": lambda held: held != first,
        "LT": lambda held: held < first,
        "GT": lambda held: held > first,
        "LTE": lambda held: held <= first,
        "GTE": lambda held: held >= first,
        "IN": lambda held: held in values,
        "CONTAINS": lambda held: str(first) in str(held),
        "STARTS_WITH": lambda held: str(held).startswith(str(first)),
        "ENDS_WITH": lambda held: str(held).endswith(str(first)),
        "INCLUDES": lambda held: any(one in held for one in values),
        "EXCLUDES": lambda held: all(one not in held for one in values),
    }
    test = tests.get(operator)
    if test is None:
        raise refuse(f"the operator {operator} is unknown")
    return lambda row: (held := _held(path.of(row))) is not None and test(held)


def _held(value: Any) -> Any:
    """A stored value in the form it is compared in."""
    if isinstance(value, datetime) or value is None:
        return value
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _typed(tenant: Tenant, path: Path, value: Any) -> Any:
    match path.field.type:
        case "DATE" | "DATETIME":
            return literal(value, tenant.options.zone)
        case "NUMBER" | "CURRENCY" | "PERCENTAGE":
            return float(value)
        case "BOOLEAN":
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
        case _:
            return str(value)
