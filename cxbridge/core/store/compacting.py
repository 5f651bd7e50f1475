"""Packing what was stored before values were packed, or before their stream had a dictionary, and giving the space back.

Since it goes through everything, it counts the records anew as well.

An upgrade leaves the store of an earlier program as it is, so that that program may still work on it. From the first step here on
it may not: values come in that it cannot read. Ended on the way, the same call goes on where it was.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import msgspec
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import condition, counting, migrate, packing, schema, sole, working
from cxbridge.core.store.engine import Store
from cxbridge.core.store.tx import Tx

OnRows = Callable[[str, int], None]

# So many rows are in memory, and in one transaction, at once.
_BLOCK = 1000

_records = schema.records.c
_changes = schema.changes.c
_payloads = schema.payloads.c


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """How many values were packed, by table, and the bytes of the database before and after."""

    rows: dict[str, int]
    before: int
    after: int


class _Column(msgspec.Struct, frozen=True):
    """Where packed values lie: the row's number, the value, which of a stream's two dictionaries it takes."""

    number: sa.Column[int]
    value: sa.Column[bytes]
    what: packing.What
    # Gives number, connection, stream and value of the rows behind a number.
    rows: sa.Select[int, str, str, bytes]


def _column(table: sa.Table, number: str, value: str, what: packing.What) -> _Column:
    owner = table.c.id if table is schema.records else table.c.record
    rows = sa.select(table.c[number], _records.connection, _records.stream, table.c[value])
    if table is not schema.records:
        rows = rows.join_from(table, schema.records, _records.id == owner)
    rows = rows.where(table.c[number] > sa.bindparam("behind"), table.c[value].is_not(None))
    return _Column(table.c[number], table.c[value], what, rows.order_by(table.c[number]).limit(sa.bindparam("most")))


_COLUMNS = (
    _column(schema.records, "id", "body", "body"),
    _column(schema.changes, "seq", "before", "body"),
    _column(schema.payloads, "record", "raw", "raw"),
)


def compact(store: Store, on_rows: OnRows | None = None) -> Compacted:
    """Pack whatever gets smaller by it, and shrink the file; `store` was opened as found.

    Raises:
        ConfigError: it is of another revision, or no place to work at.
        StoreError: somebody is at work on it, or there is no room for the copy that shrinking makes.
    """
    with sole.by_file(working.lock_of(store.path), "db compact") if store.path is not None else nullcontext():
        with store.write() as tx:
            _begin(tx, store.place)
            before = condition.size(tx)
        _learn(store)
        rows = {column.value.table.name: _pack(store, column, on_rows) for column in _COLUMNS}
        store.shrink()
        with store.read() as tx:
            return Compacted(rows=rows, before=before, after=condition.size(tx))


def _begin(tx: Tx, place: str) -> None:
    found = migrate.revision_of(tx.connection, place)
    if found is None or int(found) < int(schema.REVISION):
        raise ConfigError(
            f"{place} has tables of revision {found or 'none'}: bring them up to date first with `cxbridge db upgrade`"
        )
    told = migrate.set_aside(tx.connection, place)
    if told is not None:
        raise ConfigError(told)
    if tx.dialect != "sqlite":
        at_work = working.at_work(tx.connection)
        if at_work is not None:
            raise StoreError(f"{place} is in use: {at_work}; end it first, then try again")
    counting.recount(tx.connection)
    if not packing.is_packed(tx.connection):
        migrate.mark_oldest(tx.connection, packing.SINCE)


def _learn(store: Store) -> None:
    """Give each stream that has enough records, and no dictionary, one before anything of it is packed."""
    with store.read() as tx:
        streams = tx.connection.execute(
            sa.select(_records.connection, _records.stream, sa.func.count())
            .group_by(_records.connection, _records.stream)
            .having(sa.func.count() >= packing.SAMPLES)
        ).all()
    for connection, stream, _ in streams:
        with store.write() as tx:
            packer = packing.Packer(tx.packs, tx.connection, connection)
            for column, samples in (
                (_COLUMNS[0], _samples(tx, _records.body, connection, stream)),
                (_COLUMNS[2], _samples(tx, _payloads.raw, connection, stream)),
            ):
                packer.learn(stream, column.what, samples)


def _samples(tx: Tx, value: sa.Column[bytes], connection: str, stream: str) -> Iterator[bytes]:
    # The newest: what came to be with the years is in them.
    query = sa.select(value).where(_records.connection == connection, _records.stream == stream)
    if value.table is not schema.records:
        query = query.join_from(value.table, schema.records, _records.id == _payloads.record)
    for found in tx.connection.scalars(query.order_by(_records.id.desc()).limit(packing.SAMPLES)):
        yield tx.packs.unpack(tx.connection, found)


def _pack(store: Store, column: _Column, on_rows: OnRows | None) -> int:
    table = column.value.table
    change = (
        sa.update(table).where(column.number == sa.bindparam("row")).values({column.value.name: sa.bindparam("it")})
    )
    behind, packed, seen = 0, 0, 0
    while True:
        with store.write() as tx:
            rows = tx.connection.execute(column.rows, {"behind": behind, "most": _BLOCK}).all()
            packers: dict[str, packing.Packer] = {}
            changed = []
            for number, connection, stream, value in rows:
                packer = packers.get(connection)
                if packer is None:
                    packer = packers[connection] = packing.Packer(tx.packs, tx.connection, connection)
                if packer.is_current(stream, column.what, value):
                    continue
                smaller = packer.pack(stream, column.what, tx.packs.unpack(tx.connection, value))
                if len(smaller) < len(value):
                    changed.append({"row": number, "it": smaller})
            if changed:
                tx.connection.execute(change, changed)
        if not rows:
            return packed
        behind, packed, seen = rows[-1][0], packed + len(changed), seen + len(rows)
        if on_rows:
            on_rows(table.name, seen)
