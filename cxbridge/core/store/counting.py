"""How many records live, by connection and stream: counted as they come and go, so that nobody goes through them to know.

A program of a revision before 0006 may work on the same store, and keeps no counts. It cannot be missed: whatever makes a record
live, or lets it live no more, takes a number for its change, and where such a program took one, `counted` stays behind `value` in
`counters`. From then on the counts are not believed, until they are made anew as a store is opened for writing.
"""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.statements import many
from cxbridge.core.store.tx import Tx

_records, _counts, _counters = schema.records.c, schema.record_counts.c, schema.counters.c

_kept = Prepared(sa.select(_counts.connection, _counts.stream, _counts.n).where(_counts.n != 0))
_behind = Prepared(
    sa.select(_counters.value).where(_counters.name == "change", _counters.counted.is_distinct_from(_counters.value))
)
# By kind first, which is the order of the index of the living; otherwise every row would be read.
_of_kinds = (
    sa.select(_records.connection, _records.stream, sa.func.count().label("n"))
    .where(~_records.deleted)
    .group_by(_records.kind, _records.connection, _records.stream)
    .subquery()
)
_living = sa.select(
    _of_kinds.c.connection, _of_kinds.c.stream, sa.cast(sa.func.sum(_of_kinds.c.n), sa.BigInteger).label("n")
).group_by(_of_kinds.c.connection, _of_kinds.c.stream)

# Written out, as in `filling`.
_add = """INSERT INTO "record_counts" ("connection", "stream", "n") VALUES (?, ?, ?)
ON CONFLICT ("connection", "stream") DO UPDATE SET "n" = "record_counts"."n" + excluded."n"
"""


def add(tx: Tx, connection: str, more: Mapping[str, int]) -> None:
    """Note how many more records of a connection live, by stream; less than nothing where they are fewer."""
    rows = [(connection, stream, number) for stream, number in more.items() if number]
    if rows:
        many(tx, _add, rows)


def count(connection: Connection) -> dict[tuple[str, str], int]:
    """Count the records that live, per (connection, stream)."""
    return go_through(connection) if is_behind(connection) else kept(connection)


def kept(connection: Connection) -> dict[tuple[str, str], int]:
    """Give the counts as they were kept, whether they are to be believed or not."""
    return {(name, stream): number for name, stream, number in _kept.rows(connection)}


def go_through(connection: Connection) -> dict[tuple[str, str], int]:
    """Count by going through all records."""
    return {(name, stream): number for name, stream, number in connection.execute(_living)}


def is_behind(connection: Connection) -> bool:
    """Whether a program was at work that does not keep the counts."""
    return _behind.first(connection) is not None


def recount(connection: Connection) -> None:
    """Count anew, inside the transaction of `connection`."""
    connection.execute(sa.delete(schema.record_counts))
    connection.execute(sa.insert(schema.record_counts).from_select(["connection", "stream", "n"], _living))
    connection.execute(sa.update(schema.counters).values(counted=_counters.value))
