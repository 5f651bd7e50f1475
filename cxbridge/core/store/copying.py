"""Carrying whole tables from one database into another, and finding out on each side what is in them; it knows no row's meaning.

Rows go past SQLAlchemy and in bulk, a few thousand in memory at a time. Both sides hold the same values in the same columns, so
that only truth values need turning: SQLite keeps them as numbers.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cxbridge.core.store import schema
from cxbridge.core.store.prepared import copy_many
from cxbridge.core.store.statements import copying_into, server_type

Row = tuple[Any, ...]
OnRows = Callable[[str, int], None]

# So many rows are in memory at once.
_BLOCK = 2000
_encode = msgspec.msgpack.Encoder().encode
_MODULUS = 1 << 128
# A store that is opened gets an instance key, and a worker that starts takes its leases: nothing hangs on either yet.
_LEFT_BY_A_LOOK = frozenset({"meta", "leases", "agenda"})


class Content(msgspec.Struct, frozen=True):
    """What is in a table: how many rows, and a digest over all of them that does not depend on their order."""

    rows: int
    digest: str


def tables() -> list[sa.Table]:
    """List the tables, those first that others point at."""
    return list(schema.metadata.sorted_tables)


def is_empty(connection: Connection) -> bool:
    """Whether nothing was ever done here: our tables, as far as they are there, hold no more than a first look at them leaves."""
    there = set(sa.inspect(connection).get_table_names())
    return not any(
        connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
        for table in tables()
        if table.name in there and table.name not in _LEFT_BY_A_LOOK
    )


def clear(connection: Connection) -> None:
    """Remove every row of every table, those first that point at others."""
    for table in reversed(tables()):
        connection.execute(sa.delete(table))


def copy(source: Connection, target: Connection, table: sa.Table, on_rows: OnRows | None = None) -> int:
    """Write every row of a table into the table of the same name, which is empty; gives how many."""
    rows = _counted(table, _read(source, table), on_rows)
    if target.dialect.name == "sqlite":
        return _into_sqlite(target, table, rows)
    return _into_postgresql(target, table, rows)


def content(connection: Connection, table: sa.Table) -> Content:
    """Read a table once more and say what is in it."""
    count = total = 0
    for row in _read(connection, table):
        count += 1
        total += int.from_bytes(hashlib.blake2b(_encode(row), digest_size=16).digest())
    return Content(count, f"{total % _MODULUS:032x}")


def number_on(target: Connection) -> None:
    """Let the server go on numbering rows where those that were carried over end."""
    if target.dialect.name == "sqlite":
        return
    for table in tables():
        for column in table.primary_key.columns:
            if (
                isinstance(column.type, sa.Integer)
                and column.autoincrement is not False
                and len(table.primary_key) == 1
            ):
                target.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), max(\"{column.name}\")) "  # noqa: S608
                    f'FROM "{table.name}" HAVING max("{column.name}") IS NOT NULL'
                )


def without_indices(target: Connection) -> list[sa.Index]:
    """Drop the indices that no constraint needs, which are made faster over rows that are there already; gives them for `index`."""
    dropped = [index for table in tables() for index in sorted(table.indexes, key=lambda one: str(one.name))]
    for index in dropped:
        index.drop(target)
    return dropped


def index(target: Connection, dropped: Sequence[sa.Index]) -> None:
    """Make the indices again."""
    for one in dropped:
        one.create(target)


def _counted(table: sa.Table, rows: Iterator[Row], on_rows: OnRows | None) -> Iterator[Row]:
    if on_rows is None:
        yield from rows
        return
    count = 0
    for row in rows:
        yield row
        count += 1
        if not count % _BLOCK:
            on_rows(table.name, count)
    on_rows(table.name, count)


@contextmanager
def _worded(connection: Connection, words: str) -> Iterator[None]:
    """Give the driver's errors the form that they have when they come by SQLAlchemy, so that they are told in words."""
    module: Any = connection.dialect.dbapi
    try:
        yield
    except module.Error as error:
        raise sa.exc.DBAPIError.instance(words, None, error, module.Error, hide_parameters=True) from error


def _read(connection: Connection, table: sa.Table) -> Iterator[Row]:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    words = f'SELECT {columns} FROM "{table.name}"'  # noqa: S608  # names of our schema
    raw: Any = connection.connection.driver_connection
    with _worded(connection, words):
        if connection.dialect.name == "sqlite":
            truths = [place for place, column in enumerate(table.columns) if isinstance(column.type, sa.Boolean)]
            cursor = raw.execute(words)
            while found := cursor.fetchmany(_BLOCK):
                yield from _as_truths(found, truths) if truths else found
            return
        with raw.cursor() as cursor, cursor.copy(f"COPY ({words}) TO STDOUT (FORMAT BINARY)") as rows:
            rows.set_types([server_type(column) for column in table.columns])
            yield from rows.rows()


def _as_truths(rows: Sequence[Row], places: Sequence[int]) -> Iterator[Row]:
    for row in rows:
        turned = list(row)
        for place in places:
            turned[place] = None if row[place] is None else bool(row[place])
        yield tuple(turned)


def _into_sqlite(connection: Connection, table: sa.Table, rows: Iterator[Row]) -> int:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    places = ", ".join("?" * len(table.columns))
    words = f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'  # noqa: S608  # names of our schema
    raw: Any = connection.connection.driver_connection
    count = 0
    while some := list(islice(rows, _BLOCK)):
        with _worded(connection, words):
            raw.executemany(words, some)
        count += len(some)
    return count


def _into_postgresql(connection: Connection, table: sa.Table, rows: Iterator[Row]) -> int:
    return copy_many(connection, *copying_into(table, tuple(column.name for column in table.columns)), rows)
