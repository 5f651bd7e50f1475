"""Reading the log of what changed; the log is written by `records` alone, and no row of it is ever altered."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cxbridge.core.ledger import Change, Ref
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Among, Prepared
from cxbridge.core.store.statements import chunks
from cxbridge.core.store.tx import Tx

_changes = schema.changes.c
_records = schema.records.c
_whole = sa.select(
    _changes.seq,
    _records.connection,
    _records.stream,
    _records.key,
    _records.kind,
    _changes.op,
    _changes.at,
    _changes.before,
).join(schema.records, _records.id == _changes.record)
_after = Prepared(_whole.where(_changes.seq > sa.bindparam("seq")).order_by(_changes.seq).limit(sa.bindparam("limit")))
_last = Prepared(sa.select(sa.func.max(_changes.seq)))
# Which record changed and when, newest first, without any body.
_names = (
    sa.select(_changes.seq, _changes.at, _records.connection, _records.stream, _records.key, _records.kind)
    .join(schema.records, _records.id == _changes.record)
    .order_by(_changes.seq.desc())
)
# Statements are built once: putting one together costs more than the database takes to answer it.
_newest = sa.select(sa.func.max(_changes.seq)).where(_changes.record == _records.id).scalar_subquery()
_as_stored = Among(
    _records.key,
    lambda among: sa.select(_records.key, _records.id, _records.body, _newest).where(
        _records.connection == sa.bindparam("connection"), _records.stream == sa.bindparam("stream"), among
    ),
)
# Numbers alone, which the index holds: a busy record's later bodies are not read.
_later = Among(
    _changes.record,
    lambda among: (
        sa.select(_changes.record, _changes.seq).where(among, _changes.seq > sa.bindparam("seq")).order_by(_changes.seq)
    ),
)
_before = Among(_changes.seq, lambda among: sa.select(_changes.seq, _changes.before).where(among))
# Most of the time nothing has happened in the moment that is asked for; after that the steps grow.
_FIRST_STEP = 32


def after(tx: Tx, seq: int, limit: int) -> list[Change]:
    """Read the changes behind `seq`, oldest first."""
    return _read(tx, _after.rows(tx.connection, {"seq": seq, "limit": limit}))


def last_seq(tx: Tx) -> int:
    """Give the number of the newest change, 0 when there is none."""
    return _last.scalar(tx.connection) or 0


def recent(tx: Tx, upto: int, since: datetime, chosen: Callable[[Ref, str], bool], most: int) -> list[Change]:
    """Read, oldest first, those of the changes up to `upto` that were logged since then and that are chosen by ref and kind.

    Goes back along the log, and so costs what was logged since then, not what is stored: `most` changes at the most are looked at.
    """
    wanted: list[int] = []
    before, some, left = upto + 1, _FIRST_STEP, most
    while left > 0:
        some = min(some, left)
        rows = tx.connection.execute(_names.where(_changes.seq < before).limit(some)).all()
        late = [row for row in rows if row.at >= since]
        wanted += [row.seq for row in late if chosen(Ref(row.connection, row.stream, row.key), row.kind)]
        if len(late) < len(rows) or len(rows) < some:
            break
        before, some, left = rows[-1].seq, some * 8, left - some
    found: list[Change] = []
    for numbers in chunks(sorted(wanted)):
        found += _read(tx, tx.connection.execute(_whole.where(_changes.seq.in_(numbers)).order_by(_changes.seq)))
    return found


def of(tx: Tx, ref: Ref, limit: int = 100) -> list[Change]:
    """Read the changes of one record, newest first."""
    record = tx.connection.scalar(sa.select(_records.id).where(_place(ref)))
    if record is None:
        return []
    return _read(
        tx, tx.connection.execute(_whole.where(_changes.record == record).order_by(_changes.seq.desc()).limit(limit))
    )


def bodies_as_of(tx: Tx, wanted: Iterable[tuple[Ref, int]]) -> dict[tuple[Ref, int], tuple[bytes, bool]]:
    """Give bodies as they were right after change `seq`, by (ref, seq), and whether that is the stored one.

    A body as of a change is what the record's next change replaced, and the stored body where there is no next one. What had no
    body yet is left out.
    """
    pairs = list(dict.fromkeys(wanted))
    found: dict[tuple[Ref, int], tuple[bytes, bool]] = {}
    for some in chunks(pairs):
        stored = _stored(tx, {ref for ref, _ in some})
        # Hardly any has changed again when it is asked for.
        passed: list[tuple[tuple[Ref, int], tuple[int, int]]] = []
        for pair in some:
            if pair[0] not in stored:
                continue
            record, body, newest = stored[pair[0]]
            if newest is not None and newest > pair[1]:
                passed.append((pair, (record, pair[1])))
            else:
                found[pair] = tx.packs.unpack(tx.connection, body), True
        followed = _next_changes(tx, [change for _, change in passed])
        before = _befores(tx, set(followed.values())) if followed else {}
        for pair, change in passed:
            was = before.get(followed[change])
            if was is not None:
                found[pair] = was, False
    return found


def _place(ref: Ref) -> sa.ColumnElement[bool]:
    return sa.and_(_records.connection == ref.connection, _records.stream == ref.stream, _records.key == ref.key)


def _stored(tx: Tx, refs: set[Ref]) -> dict[Ref, tuple[int, bytes, int | None]]:
    """Give number, packed body and newest change of records."""
    keys: dict[tuple[str, str], list[str]] = {}
    for ref in refs:
        keys.setdefault((ref.connection, ref.stream), []).append(ref.key)
    found = {}
    for (connection, stream), some in keys.items():
        rows = _as_stored.rows(tx.connection, some, {"connection": connection, "stream": stream})
        for key, record, body, newest in rows:
            found[Ref(connection, stream, key)] = record, body, newest
    return found


def _next_changes(tx: Tx, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    if not pairs:
        return {}
    records = list({record for record, _ in pairs})
    rows = _later.rows(tx.connection, records, {"seq": min(seq for _, seq in pairs)})
    later: dict[int, list[int]] = {}
    for record, seq in rows:
        later.setdefault(record, []).append(seq)
    followed = {}
    for record, seq in pairs:
        following = next((number for number in later.get(record, ()) if number > seq), None)
        if following is not None:
            followed[record, seq] = following
    return followed


def _befores(tx: Tx, seqs: set[int]) -> dict[int, bytes | None]:
    return {seq: _unpacked(tx, before) for seq, before in _before.rows(tx.connection, list(seqs))}


def _read(tx: Tx, rows: Iterable[Sequence[Any]]) -> list[Change]:
    return [
        Change(
            seq=row[0],
            ref=Ref(row[1], row[2], row[3]),
            kind=row[4],
            op=row[5],
            at=row[6],
            before=_unpacked(tx, row[7]),
        )
        for row in rows
    ]


def _unpacked(tx: Tx, before: bytes | None) -> bytes | None:
    return None if before is None else tx.packs.unpack(tx.connection, before)
