"""Finds what a write is about before it is made: users by address, companies by id, labels among those that are offered."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, mapping, schema, wire
from cxbridge.plugins.gainsight.dates import NoTime
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import fold

Given = TypeVar("Given", bound=cx.Inputs)

_GSID: Final = re.compile(r"[A-Za-z0-9]{10,64}")


def inputs(call: cx.Call, kind: type[Given]) -> Given:
    """Give the inputs of a call in their type.

    Raises:
        TypeError: they are of another one.
    """
    if not isinstance(call.inputs, kind):
        raise TypeError(f"{kind.__name__} expected")
    return call.inputs


def gsid(key: str | None, what: str) -> str:
    """Give a key that can be a GSID.

    Raises:
        Rejected: it can be none, so that nothing needs to be asked.
    """
    if key is None or not _GSID.fullmatch(key):
        raise cx.Rejected(f"{what} is no id of Gainsight")
    return key


def user(client: cx.Client, email: str, what: str) -> Row:
    """Find the active user with an address.

    Raises:
        Rejected: there is none, or more than one.
    """
    spelled = list(dict.fromkeys((email.strip(), email.strip().lower())))
    select = ("Gsid", *mapping.USER_FIELDS)
    raws = wire.query(client, "GsUser", select, [("Email", "IN", spelled)], limit=10)
    rows = [_read(raw, "GsUser") for raw in raws]
    active = [row for row in rows if _flag(row, "IsActiveUser") is not False]
    if len(active) == 1:
        return active[0]
    if active:
        raise cx.Rejected(
            f"{len(active)} active users of Gainsight have the address given as {what}: which one is meant?"
        )
    told = "only a user who is switched off has" if rows else "no user of Gainsight has"
    raise cx.Rejected(f"{told} the address given as {what}: add or activate that user, or name somebody else")


def company(client: cx.Client, key: str, select: Sequence[str]) -> Row:
    """Read a company.

    Raises:
        NotFound: there is none of that id.
    """
    where = [("Gsid", "EQ", [gsid(key, "the account")])]
    raws = wire.query(client, "Company", ("Gsid", "ModifiedDate", *select), where, limit=1)
    if not raws:
        raise cx.NotFound("there is no company of this id any more")
    return _read(raws[0], "Company")


def choice(offers: Sequence[wire.Choice], names: Sequence[str]) -> str | None:
    """Give the first of these names that is offered, as it is spelled there."""
    known = {fold(one.name): one.name for one in offers if one.active}
    return next((known[fold(name)] for name in names if fold(name) in known), None)


def chosen(offers: Sequence[wire.Choice], names: Sequence[str], what: str) -> str:
    """Give the first of these names that is offered.

    Raises:
        Rejected: none is.
    """
    found = choice(offers, names)
    if found is None:
        there = ", ".join(one.name for one in offers if one.active) or "nothing"
        raise cx.Rejected(f"the {what} {names[0][:60] if names else ''} is not offered in this tenant, only {there}")
    return found


def when(value: datetime | str, what: str) -> datetime:
    """Read a day or time that a recipe gave.

    Raises:
        Rejected: it is none.
    """
    try:
        found = dates.wanted(value)
    except NoTime as error:
        raise cx.Rejected(f"{what} is no time: {error}") from None
    if found is None:
        raise cx.Rejected(f"{what} is missing")
    return found


def named(fields: Mapping[str, str], alias: str, setting: str) -> str:
    """Give the field behind an alias; a custom field's own name stands for itself.

    Raises:
        Rejected: the alias is not configured.
    """
    found = fields.get(alias) or (alias if re.fullmatch(r"\w+__gc", alias) else None)
    if found is None:
        raise cx.Rejected(f'no field is called {alias[:60]}: name it under {setting}, as {alias[:60]} = "…__gc"')
    return found


def sendable(field: wire.Field | None, alias: str, value: cx.Json) -> cx.Json:
    """Write a value as its field takes it.

    Raises:
        Rejected: it does not.
    """
    if value is None or field is None:
        return value
    if isinstance(value, dict):
        raise cx.Rejected(f"{alias} takes one value, not a table")
    if field.options:
        many = value if isinstance(value, list) else [value]
        labels = [schema.offered(field, [str(one)]) for one in many]
        if None in labels:
            raise cx.Rejected(f"{alias} has no such option, only {schema.options(field)}")
        return labels if field.data_type == "MULTISELECTDROPDOWNLIST" else labels[0]
    if field.data_type == "DATE":
        return dates.as_day(when(value, alias)).isoformat()
    if field.data_type == "DATETIME":
        return dates.written(when(value, alias))
    if field.data_type in ("NUMBER", "CURRENCY", "PERCENTAGE"):
        return number(alias, value)
    if isinstance(value, list):
        raise cx.Rejected(f"{alias} takes one value, not a list")
    return value if isinstance(value, bool) else str(value)


def number(alias: str, value: cx.Json) -> float:
    """Read a number.

    Raises:
        Rejected: it is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise cx.Rejected(f"{alias} takes a number") from None


def _read(raw: msgspec.Raw, name: str) -> Row:
    try:
        return read_row(raw, "Gsid", None)
    except Unreadable as error:
        raise cx.WireFormat(f"a row of {name}: {error}", operation=f"POST {wire.QUERY}/{name}") from None


def _flag(row: Row, name: str) -> bool | None:
    try:
        return row.flag(name)
    except Unreadable:
        return None
