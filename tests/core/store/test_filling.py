"""Many rows at once: what is written is what was given, however many it is, and one that cannot be written takes all with it."""

import pytest
import sqlalchemy as sa

from cxbridge.core.store import Store, schema, statements
from cxbridge.core.store.columns import from_micros
from cxbridge.core.store.prepared import copy_many
from cxbridge.core.store.statements import _COPIED, fill, server_type

RECORDS = ("id", "connection", "stream", "key", "kind", "source_key", "digest", "ordinal", "deleted", "seen_at", "body")


def rows(count, key=str):
    """As they lie in the table: blank ones, text beyond ASCII, bytes of any kind, numbers that need eight bytes, truth values."""
    return [
        (
            n,
            "désk",
            "tickets",
            key(n),
            "ticket",
            None if n % 2 else f"☃ {n}",
            bytes(range(20)),
            n - (1 << 40),
            bool(n % 3),
            n,
            b"",
        )
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [1, _COPIED - 1, _COPIED, 250])
def test_rows_are_what_was_given(store: Store, count: int):
    given = rows(count)
    with store.write() as tx:
        fill(tx, schema.records, RECORDS, given)
    with store.read() as tx:
        columns = [schema.records.c[name] for name in RECORDS]
        found = [tuple(row) for row in tx.connection.execute(sa.select(*columns).order_by(schema.records.c.id))]
    assert found == [(*row[:9], from_micros(row[9]), row[10]) for row in given]


@pytest.mark.parametrize("count", [3, 250])
@pytest.mark.parametrize("spoilt", ["same", "nothing"])
def test_one_that_cannot_be_written_takes_all_with_it_and_the_store_goes_on(store: Store, count: int, spoilt: str):
    def key(n):
        return {"same": "1", "nothing": None}[spoilt] if n == count else str(n)

    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        fill(tx, schema.records, RECORDS, rows(count, key))
    with store.write() as tx:
        assert tx.connection.scalar(sa.select(sa.func.count()).select_from(schema.records)) == 0
        fill(tx, schema.records, RECORDS, rows(count))
    with store.read() as tx:
        assert tx.connection.scalar(sa.select(sa.func.count()).select_from(schema.records)) == count


def test_every_column_of_every_table_can_be_carried_over():
    named = {server_type(column) for table in schema.metadata.sorted_tables for column in table.columns}
    assert named <= {"bool", "int4", "int8", "float8", "bytea", "text"}
    with pytest.raises(TypeError, match="cannot be carried over"):
        server_type(sa.Column("x", sa.Date))


def test_postgresql_copies_where_there_are_many(store: Store, monkeypatch: pytest.MonkeyPatch):
    copied = []

    def noted(connection, sql, types, given):
        copied.append(len(given))
        return copy_many(connection, sql, types, given)

    monkeypatch.setattr(statements, "copy_many", noted)
    with store.write() as tx:
        fill(tx, schema.records, RECORDS, rows(_COPIED)[1:])
        fill(tx, schema.records, RECORDS, [(n + 1000, *rest) for n, *rest in rows(_COPIED, lambda n: f"other {n}")])
        assert copied == ([] if tx.dialect == "sqlite" else [_COPIED])
