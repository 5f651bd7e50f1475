"""Reads calls to action by days on which they changed: the cockpit lists them in no order, so a window must fit one page.

A window that is full is read by half its days; one that is nearly empty makes the next one larger. A single day that fills a page
is read page by page until two passes agree, since rows that move between unordered pages could be missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, wire
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules
from cxbridge.plugins.gainsight.schema import Described, describe_if_there

# Calls to action came to Gainsight later than this.
FIRST_DAY: Final = date(2011, 1, 1)
_MOST: Final = 1000
_WIDEST: Final = 8192
_PASSES: Final = 4
_SELECT: Final = ("Name", "Comments", "IsClosed", "IsImportant", "CreatedDate", "ModifiedDate")


class Days(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a read of the cockpit is: `at` is the second of the newest change known, between two runs.

    In the middle of a run `next` is the day that the next window begins with and `width` its days; `seen` and `began` as in a walk.
    """

    at: int | None = None
    next: str | None = None
    width: int = 1
    seen: int | None = None
    began: int | None = None


@dataclass(frozen=True)
class TaskShape:
    """What to ask the cockpit for: fields that this tenant has."""

    select: Sequence[str]
    own: dict[str, str]
    has_marker: bool

    @classmethod
    def of(cls, client: cx.Client, rules: Rules) -> "TaskShape":
        """Look the names up. The cockpit fails a whole list over one field that it does not know.

        Raises:
            Rejected: the settings name a field that there is not.
        """
        found = describe_if_there(client, rules.task_object)
        select = list(_SELECT)
        if found.find("ClosedDate"):
            select.append("ClosedDate")
        own = {alias: _named(found, name, f"task_fields.{alias}") for alias, name in rules.task_fields.items()}
        select += own.values()
        if rules.evidence_field is not None:
            select.append(_named(found, rules.evidence_field, "evidence_field"))
        # A tenant that cannot be described may have the field all the same: its own answer will tell.
        has_marker = not found.fields or found.find(rules.marker_field) is not None
        if has_marker:
            select.append(rules.marker_field)
        return cls(select, own, has_marker)


def _named(found: Described, name: str, setting: str) -> str:
    return found.need(name, setting).field_name if found.fields else name


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of one window, oldest change first, and the position behind it."""

    rows: Sequence[Row]
    refused: Sequence[str]
    position: Days


def read(client: cx.Client, rules: Rules, select: Sequence[str], held: Days | None) -> Iterator[Window]:
    """Read what has changed from a position on, window by window.

    Raises:
        Retryable: one day has more than a page of rows, and they do not keep still while they are read.
    """
    here = _begun(held or Days(), client, rules)
    # Beyond tomorrow, for the zone that days are read in is not known.
    end = datetime.fromtimestamp((here.began or 0) // 1000, UTC).date() + timedelta(days=2)
    while (start := date.fromisoformat(here.next or "")) < end:
        width = min(here.width, (end - start).days)
        page, full = _window(client, rules, select, start, start + timedelta(days=width))
        if full and width > 1:
            here = msgspec.structs.replace(here, width=width // 2)
            continue
        if full:
            page = _settled(client, rules, select, start)
        found, refused = page
        grown = min(_WIDEST, width * 4) if len(found) * 4 < _size(rules) else width
        newest = max([row.changed for row in found] + ([here.seen] if here.seen is not None else []), default=None)
        # The end of a window is where the next one begins, whichever way the vendor takes its last day.
        following = (start + timedelta(days=width)).isoformat()
        here = msgspec.structs.replace(here, next=following, width=grown, seen=newest)
        if found or refused:
            yield Window(sorted(found, key=lambda row: (row.changed, row.key)), refused, here)
    yield Window((), (), _ended(here))


def by_field(
    client: cx.Client, rules: Rules, select: Sequence[str], name: str, value: str, most: int = 20
) -> list[Row]:
    """Read the calls to action with that value in that field.

    Raises:
        WireFormat: one of them cannot be read.
    """
    found = []
    for raw in wire.list_ctas(client, select, [(name, "EQ", [value])], most):
        try:
            found.append(read_row(raw, "Gsid", "ModifiedDate"))
        except Unreadable as error:
            raise cx.WireFormat(f"a call to action: {error}", operation=f"POST {wire.CTA_LIST}") from None
    return sorted(found, key=lambda row: row.key)


_Rows = tuple[list[Row], list[str]]


def _window(client: cx.Client, rules: Rules, select: Sequence[str], start: date, end: date) -> tuple[_Rows, bool]:
    raws = wire.list_ctas(client, select, [_changed(start, end)], _size(rules))
    return _readable(raws), wire.is_full(len(raws), _size(rules))


def _settled(client: cx.Client, rules: Rules, select: Sequence[str], day: date) -> _Rows:
    """Read one day that fills more than a page, until two passes bring the same ids."""
    before: set[str] = set()
    merged: dict[str, Row] = {}
    for _ in range(_PASSES):
        keys: set[str] = set()
        refused: list[str] = []
        number = 1
        while True:
            raws = wire.list_ctas(client, select, [_changed(day, day + timedelta(days=1))], _size(rules), number)
            rows, unread = _readable(raws)
            fresh = {row.key for row in rows} - keys
            keys |= fresh
            merged |= {row.key: row for row in rows}
            refused += unread
            if not wire.is_full(len(raws), _size(rules)):
                break
            if not fresh:
                raise cx.WireFormat("the pages of the list go in circles", operation=f"POST {wire.CTA_LIST}")
            number += 1
        if keys == before:
            return list(merged.values()), refused
        before = keys
    raise cx.Retryable("the calls to action of one day change faster than they can be read", sent=False)


def _readable(raws: Sequence[msgspec.Raw]) -> _Rows:
    rows: list[Row] = []
    refused: list[str] = []
    for raw in raws:
        try:
            rows.append(read_row(raw, "Gsid", "ModifiedDate"))
        except Unreadable as error:
            refused.append(f"a call to action: {error}")
    return rows, refused


def _changed(start: date, end: date) -> tuple[str, str, list[Any]]:
    return "ModifiedDate", "BTW", [start.isoformat(), end.isoformat()]


def _size(rules: Rules) -> int:
    return min(rules.page, _MOST)


def _begun(held: Days, client: cx.Client, rules: Rules) -> Days:
    if held.began is not None and held.next is not None:
        return held
    began = dates.millis(client.server_now())
    if held.at is None:
        return Days(next=FIRST_DAY.isoformat(), width=1024, began=began)
    # The day before the look-back: a day's first hours belong to the one before in some zones.
    start = datetime.fromtimestamp(held.at - rules.overlap, UTC).date() - timedelta(days=1)
    return Days(next=start.isoformat(), width=64, seen=held.at * 1000, began=began)


def _ended(here: Days) -> Days:
    return Days() if here.seen is None else Days(at=min(here.seen, here.began or here.seen) // 1000)
