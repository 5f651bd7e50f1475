"""Storing what was pulled, and reading it back; whether anything follows from a change is not decided here."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from cxbridge.core.imprints import HEAD
from cxbridge.core.ledger import Incoming, Record, Ref
from cxbridge.core.store import counting, filling, packing, schema
from cxbridge.core.store.columns import to_micros
from cxbridge.core.store.prepared import Among, Prepared, fetch
from cxbridge.core.store.statements import chunks, many, spelled, take_numbers
from cxbridge.core.store.tx import Tx

_records = schema.records.c
_at_place = (_records.connection == sa.bindparam("connection"), _records.stream == sa.bindparam("stream"))
_among_keys = _records.key.in_(sa.bindparam("keys", expanding=True))

_living_ids = sa.select(_records.id).where(*_at_place, _among_keys, ~_records.deleted)
_whole = sa.select(
    _records.connection,
    _records.stream,
    _records.key,
    _records.kind,
    _records.body,
    _records.digest,
    _records.ordinal,
    _records.seen_at,
    _records.deleted,
    _records.source_key,
)
_by_keys = Among(_records.key, lambda among: _whole.where(*_at_place, among))
_by_key = Prepared(_whole.where(*_at_place, _records.key == sa.bindparam("key")))

# Written out, and given values as they lie in the tables: SQLAlchemy's own way costs more than the database does.
# What `apply` compares with; bodies stay where they are. The keys go into the brackets.
_known = """SELECT "stream", "key", "id", "digest", "ordinal", "deleted", "imprint" FROM "records"
WHERE "connection" = ? AND "stream" = ? AND "key" IN ({})"""
# Of so few keys in all, those of several streams are looked up with one statement: what a webhook brings is of three or four.
_FEW = 50
_bury = """UPDATE "records" SET "deleted" = ?, "seen_at" = ? WHERE "id" = ?"""
# Of a record that is known: id, digest, ordinal, whether it is deleted, imprint.
_Known = tuple[int, bytes, int, bool, bytes | None]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a page came to. The counts add up to the items of the page; `last_seq` is the newest of all changes.

    `unchanged` includes what was refreshed or learnt without a change. `stale` are versions that were not stored
    because a newer one is known, or is in the same page. `refreshed` are the newer versions that differ in nothing.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    stale: int = 0
    last_seq: int = 0
    refreshed: Sequence[Incoming] = ()


def apply(tx: Tx, connection: str, items: Sequence[Incoming], at: datetime) -> Applied:
    """Store a page and log what changed.

    A version older than the stored one (by ordinal) is ignored. One with the stored digest changes nothing, though
    where it is newer, its body, ordinal and payload replace the stored ones. Anything else is stored and logged as one
    change with the body it replaced; coming back from deletion is `updated`. What is first heard of as deleted, and
    what changes while deleted, is stored without a change. Of several versions in one page the newest counts, of
    equally new ones the last. What is `as_stored` is counted and no more.
    """
    newest = _newest(items)
    stale = len(items) - len(newest)
    there = len(newest)
    newest = {place: item for place, item in newest.items() if not item.as_stored}
    unchanged = there - len(newest)
    known = _known_of(tx, connection, newest)
    page = filling.Page()
    micros = to_micros(at)
    record = take_numbers(tx, "record", len(newest) - len(known))
    deleted = 0
    refreshed: list[Incoming] = []
    for place, item in newest.items():
        old = known.get(place)
        if old is None:
            page.inserts.append((record, item))
            if item.raw is not None:
                page.new_raws.append((record, item))
            if item.deleted:
                unchanged += 1
            else:
                page.created.append(record)
                page.living[item.stream] += 1
            record += 1
            continue
        ident, digest, ordinal, was_deleted, imprint = old
        if item.ordinal < ordinal:
            stale += 1
            continue
        if item.digest == digest and item.deleted == was_deleted:
            unchanged += 1
            if item.ordinal == ordinal:
                if item.imprint is not None and (imprint is None or imprint[:HEAD] != item.imprint[:HEAD]):
                    # Under the same mapping it stays: of bytes that differ in nothing each time, each would be written down.
                    page.imprints.append((item.imprint, ident))
                continue
            page.touches.append((ident, item))
            refreshed.append(item)
        else:
            page.updates.append((ident, item))
            if item.deleted and was_deleted:
                unchanged += 1
            else:
                page.replaced.append((ident, "deleted" if item.deleted else "updated"))
                deleted += item.deleted
                page.living[item.stream] += was_deleted - item.deleted
        if item.raw is not None:
            page.raws.append((ident, item))
    packer = packing.Packer(tx.packs, tx.connection, connection)
    _learn(packer, newest.values())
    return Applied(
        created=len(page.created),
        updated=len(page.replaced) - deleted,
        unchanged=unchanged,
        deleted=deleted,
        stale=stale,
        last_seq=filling.write(tx, page, micros, packer, connection),
        refreshed=tuple(refreshed),
    )


def log_again(tx: Tx, connection: str, places: Iterable[tuple[str, str]], at: datetime) -> int:
    """Log a change in which nothing differs of records, named by stream and key, so that they are met once more; gives how many."""
    known = _known_of(tx, connection, sorted(set(places)))
    again = sorted(known.values())
    if again:
        first = take_numbers(tx, "change", len(again))
        filling.log(tx, [(record, "updated") for record, *_ in again], first, to_micros(at))
    return len(again)


def _newest(items: Sequence[Incoming]) -> dict[tuple[str, str], Incoming]:
    newest: dict[tuple[str, str], Incoming] = {}
    for item in items:
        place = (item.stream, item.key)
        other = newest.get(place)
        if other is None or item.ordinal >= other.ordinal:
            newest[place] = item
    return newest


def _learn(packer: packing.Packer, items: Iterable[Incoming]) -> None:
    streams: dict[str, list[Incoming]] = {}
    for item in items:
        streams.setdefault(item.stream, []).append(item)
    for stream, some in streams.items():
        packer.learn(stream, "body", (item.body for item in some))
        packer.learn(stream, "raw", (item.raw for item in some if item.raw is not None))


def imprints(tx: Tx, connection: str, stream: str, keys: Iterable[str]) -> dict[str, tuple[bytes, int, bool, bytes]]:
    """Give digest, ordinal, whether it is deleted, and imprint of those of a stream's records that have an imprint."""
    return {
        key: (digest, ordinal, deleted, imprint)
        for _, key, _, digest, ordinal, deleted, imprint in _rows_of(tx, connection, {stream: list(keys)})
        if imprint is not None
    }


def _known_of(tx: Tx, connection: str, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], _Known]:
    wanted: dict[str, list[str]] = {}
    for stream, key in places:
        wanted.setdefault(stream, []).append(key)
    return {
        (stream, key): (record, digest, ordinal, deleted, imprint)
        for stream, key, record, digest, ordinal, deleted, imprint in _rows_of(tx, connection, wanted)
    }


def _rows_of(tx: Tx, connection: str, wanted: Mapping[str, Sequence[str]]) -> Iterator[tuple[Any, ...]]:
    parts = [(stream, some) for stream, keys in wanted.items() for some in chunks(keys)]
    at_once = len(parts) if sum(len(some) for _, some in parts) <= _FEW else 1
    for start in range(0, len(parts), at_once or 1):
        together = parts[start : start + at_once]
        asked = " UNION ALL ".join(_known.format(", ".join("?" * len(some))) for _, some in together)
        values = [value for stream, some in together for value in (connection, stream, *some)]
        yield from fetch(tx.connection, spelled(tx.dialect, asked), values)


def mark_deleted(tx: Tx, connection: str, stream: str, keys: Collection[str], at: datetime) -> int:
    """Mark records as deleted of which the vendor told only the key; gives how many were not deleted before.

    Body and ordinal stay, so that any later version brings a record back.
    """
    living: list[int] = []
    for some in chunks(sorted(set(keys))):
        living += tx.connection.scalars(_living_ids, {"connection": connection, "stream": stream, "keys": some})
    if living:
        micros, first = to_micros(at), take_numbers(tx, "change", len(living))
        filling.log(tx, [(record, "deleted") for record in living], first, micros)
        many(tx, _bury, [(True, micros, record) for record in living])
        counting.add(tx, connection, {stream: -len(living)})
    return len(living)


def get(tx: Tx, ref: Ref) -> Record | None:
    """Read one record, deleted or not."""
    rows = _by_key.rows(tx.connection, {"connection": ref.connection, "stream": ref.stream, "key": ref.key})
    return next(iter(_read(tx, rows)), None)


def get_many(tx: Tx, refs: Iterable[Ref]) -> dict[Ref, Record]:
    """Read those of the records that exist, deleted or not."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for ref in refs:
        wanted.setdefault((ref.connection, ref.stream), set()).add(ref.key)
    found = {}
    for (connection, stream), keys in wanted.items():
        rows = _by_keys.rows(tx.connection, sorted(keys), {"connection": connection, "stream": stream})
        for record in _read(tx, rows):
            found[record.ref] = record
    return found


def by_source_key(tx: Tx, connection: str, source_key: str) -> list[Record]:
    """Find records by the key that people say, the living first."""
    rows = tx.connection.execute(
        _whole.where(_records.connection == connection, _records.source_key == source_key).order_by(
            _records.deleted, _records.stream, _records.key
        )
    )
    return _read(tx, rows)


def scan(
    tx: Tx,
    *,
    kinds: Collection[str] | None = None,
    connection: str | None = None,
    after: Ref | None = None,
    limit: int = 1000,
) -> list[Record]:
    """Page through the records that are not deleted, in the order of their refs.

    `after` is the last ref seen, and so one of `connection` where that is given.
    """
    query = _whole.where(~_records.deleted).order_by(_records.connection, _records.stream, _records.key).limit(limit)
    if connection is not None:
        query = query.where(_records.connection == connection)
    if after is not None:
        # Compares only what is left open above, else the index would be walked from its beginning each time.
        free = ("connection", "stream", "key") if connection is None else ("stream", "key")
        query = query.where(
            sa.tuple_(*(_records[name] for name in free)) > sa.tuple_(*(getattr(after, name) for name in free))
        )
    if kinds is None:
        return _read(tx, tx.connection.execute(query))
    # One walk along the index per kind: one query for all of them would have to sort everything they hold.
    walks = [_read(tx, tx.connection.execute(query.where(_records.kind == kind))) for kind in sorted(set(kinds))]
    return list(islice(merge(*walks, key=lambda record: record.ref), limit))


def count(tx: Tx) -> dict[tuple[str, str], int]:
    """Count the records that are not deleted, per (connection, stream); does not go through what is stored."""
    return counting.count(tx.connection)


def places(tx: Tx) -> list[tuple[str, str]]:
    """Name the connections and streams that anything is stored of, deleted or not; does not go through what is stored."""
    place, found = sa.tuple_(_records.connection, _records.stream), [("", "")]
    query = sa.select(_records.connection, _records.stream).order_by(_records.connection, _records.stream).limit(1)
    while row := tx.connection.execute(query.where(place > sa.tuple_(*found[-1]))).first():
        found.append((row[0], row[1]))
    return found[1:]


def raw(tx: Tx, ref: Ref) -> bytes | None:
    """Read the vendor's own bytes of the stored version, where they were kept."""
    found: bytes | None = tx.connection.scalar(
        sa.select(schema.payloads.c.raw)
        .join(schema.records, _records.id == schema.payloads.c.record)
        .where(_records.connection == ref.connection, _records.stream == ref.stream, _records.key == ref.key)
    )
    return None if found is None else tx.packs.unpack(tx.connection, found)


def _read(tx: Tx, rows: Iterable[Sequence[Any]]) -> list[Record]:
    unpack, connection = tx.packs.unpack, tx.connection
    return [
        Record(
            ref=Ref(row[0], row[1], row[2]),
            kind=row[3],
            body=unpack(connection, row[4]),
            digest=row[5],
            ordinal=row[6],
            seen_at=row[7],
            deleted=row[8],
            source_key=row[9],
        )
        for row in rows
    ]
