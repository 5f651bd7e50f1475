"""Reads an object in the order of its changes, past thousands that changed in one second; it maps and stores nothing.

The data API has offsets and no cursor, and an offset into rows that move loses some. Hence:

- A page is asked for from a second on, oldest change first. What it holds of the seconds before its last one is whole.
- The last second is asked for by itself, by rising id, until a page is short. Then it goes on with the second behind it.
- The first page of a run begins a day before the newest change known: nobody has told which zone the vendor reads the times of
  filters in, nor how late it shows a change. What comes again unchanged is not stored again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, wire
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules

_ZONE: Final = "the times of filters are read in another zone in this tenant: say which as filter_timezone"


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a walk is. `at` is a second of the epoch: what changed before it has been read.

    In the middle of a run `began` holds the vendor's clock at its beginning and `seen` the newest change so far, in milliseconds;
    with `past` the second `at` itself is being read, up to that id.
    """

    at: int | None = None
    past: str | None = None
    seen: int | None = None
    began: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What is walked: an object, the fields to read, and which of them holds the time of change and the id."""

    name: str
    select: Sequence[str]
    changed: str = "ModifiedDate"
    key: str = "Gsid"
    where: Sequence[tuple[str, str, Sequence[Any]]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one page, oldest change first, and the position behind them."""

    rows: Sequence[Row]
    refused: Sequence[str]
    position: Position


@dataclass(frozen=True, slots=True)
class _Asked:
    rows: list[Row]
    refused: list[str]
    full: bool


def walk(client: cx.Client, rules: Rules, source: Source, held: Position | None) -> Iterator[Found]:
    """Follow an object from a position to its end.

    Raises:
        WireFormat: rows came that were not asked for or in another order, or the pages go in circles.
        Rejected: the vendor reads the times of filters in another zone.
    """
    here = _begun(held or Position(), client, rules)
    while True:
        if here.past is None:
            page = _ask(client, rules, source, here.at, None)
            here = _noted(here, page)
            if not page.full:
                yield Found(page.rows, page.refused, _ended(here))
                return
            seconds = [_second(row) for row in page.rows]
            if seconds != sorted(seconds):
                raise cx.WireFormat(
                    "rows came not in the order of their changes, as they were asked for: some may be missing"
                )
            second = max(seconds, default=None)
            if second is None or (here.at is not None and second < here.at):
                raise cx.WireFormat(f"a page brought nothing that was asked for; perhaps {_ZONE}")
            last = [row for row in page.rows if _second(row) == second]
            here = msgspec.structs.replace(here, at=second, past="")
            before = [row for row in page.rows if _second(row) < second]
            if before or page.refused:
                yield Found(before, page.refused, here)
        else:
            last = []
        yield from (drain := _Drain(client, rules, source, here, last))
        here = drain.here


class _Drain:
    """Reads one second whole, by rising id; `here` is the position behind it. `last` are rows that must be among it."""

    def __init__(self, client: cx.Client, rules: Rules, source: Source, here: Position, last: Sequence[Row]) -> None:
        self._client, self._rules, self._source = client, rules, source
        self.here = here
        self._missing = {row.key for row in last}

    def __iter__(self) -> Iterator[Found]:
        whole = self.here.past == ""
        while True:
            second, past = self.here.at or 0, self.here.past or ""
            page = _ask(self._client, self._rules, self._source, second, past)
            keys = [row.key for row in page.rows]
            if any(_second(row) != second for row in page.rows):
                raise cx.WireFormat(f"rows came that were not asked for; perhaps {_ZONE}")
            # Whichever way the vendor sorts capitals and small letters.
            if past in keys or (keys != sorted(set(keys)) and keys != sorted(set(keys), key=str.casefold)):
                raise cx.WireFormat(
                    "the pages go in circles: rows came again, or not by rising id as they were asked for"
                )
            self._missing -= set(keys)
            rows, self.here = page.rows, _noted(self.here, page)
            if page.full and keys:
                self.here = msgspec.structs.replace(self.here, past=keys[-1])
                yield Found(rows, page.refused, self.here)
                whole = False
                continue
            self._check_zone(second, bool(keys) or not whole)
            self.here = msgspec.structs.replace(self.here, at=second + 1, past=None)
            yield Found(sorted(rows, key=lambda row: row.changed) if whole else rows, page.refused, self.here)
            return

    def _check_zone(self, second: int, some: bool) -> None:
        """Rows of a second that are not there when it is asked for have changed meanwhile, or the second means another one."""
        if some or not self._missing:
            return
        one = min(self._missing)
        asked = [*self._source.where, (self._source.key, "EQ", [one])]
        select = (self._source.key, self._source.changed)
        for raw in wire.query(self._client, self._source.name, select, asked, limit=1):
            row = read_row(raw, self._source.key, self._source.changed)
            if row.key == one and _second(row) == second:
                raise cx.Rejected(_ZONE)


def _begun(held: Position, client: cx.Client, rules: Rules) -> Position:
    if held.began is not None:
        return held
    at = None if held.at is None else held.at - rules.overlap
    return Position(at=at, seen=None if held.at is None else held.at * 1000, began=dates.millis(client.server_now()))


def _noted(here: Position, page: _Asked) -> Position:
    newest = max((row.changed for row in page.rows), default=None)
    if newest is None or (here.seen is not None and newest <= here.seen):
        return here
    return msgspec.structs.replace(here, seen=newest)


def _ended(here: Position) -> Position:
    """The position for the next run: the newest change seen, but not past this run's beginning, which may be shown late."""
    if here.seen is None:
        return Position()
    return Position(at=min(here.seen, here.began or here.seen) // 1000)


def _ask(client: cx.Client, rules: Rules, source: Source, at: int | None, past: str | None) -> _Asked:
    where = list(source.where)
    if at is not None:
        where.append((source.changed, "GTE", [dates.literal(at, rules.zone)]))
    order = source.changed
    if past is not None and at is not None:
        where.append((source.changed, "LT", [dates.literal(at + 1, rules.zone)]))
        if past:
            where.append((source.key, "GT", [past]))
        order = source.key
    select = (source.key, source.changed, *source.select)
    found: list[Row] = []
    refused: list[str] = []
    raws = wire.query(client, source.name, select, where, order=order, limit=rules.page)
    for raw in raws:
        try:
            found.append(read_row(raw, source.key, source.changed))
        except Unreadable as error:
            refused.append(f"a row of {source.name}: {error}")
    return _Asked(found, refused, wire.is_full(len(raws), rules.page))


def _second(row: Row) -> int:
    return row.changed // 1000
