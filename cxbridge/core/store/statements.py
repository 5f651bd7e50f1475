"""Ways of writing that several tables share: numbers, upserts, inserts that may meet a row; no table's meaning."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec
import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Dialect, Prepared, copy_many, execute_many
from cxbridge.core.store.tx import Tx

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
AnyInsert: TypeAlias = "sqlite.Insert | postgresql.Insert"

# How many values one IN list holds; SQLite takes at least 999 parameters, and longer lists are no faster.
_CHUNK = 500
# How many rows one INSERT of `fill` holds, where there are that many. At each statement the interpreter lock changes hands,
# so that with one statement per row two threads that store and read hinder each other; more than this gains nothing.
_BLOCK = 100
# From so many rows on PostgreSQL has less to do for a COPY than for an INSERT.
_COPIED = 20

_counter = schema.counters.c
_last = Prepared(sa.select(_counter.value).where(_counter.name == sa.bindparam("which")))
_moved = (
    sa.update(schema.counters)
    .where(_counter.name == sa.bindparam("which"))
    .values(value=_counter.value + sa.bindparam("count"), counted=_counter.counted + sa.bindparam("count"))
)
_move, _move_and_tell = Prepared(_moved), Prepared(_moved.returning(_counter.value))


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit one statement."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def take_numbers(tx: Tx, name: str, count: int) -> int:
    """Give the first of `count` numbers that nobody had before; with 0, the next number, which stays free.

    There is one writer at a time, so that numbers grow in the order of commits.
    """
    if not count:
        # Not moved by nothing: a transaction that stores nothing must have nothing to make durable.
        return int(_last.scalar(tx.connection, {"which": name}) or 0) + 1
    asked = {"which": name, "count": count}
    if tx.dialect == "sqlite":
        # Gathering what a statement returns takes it four times as long as writing and then asking.
        last = _last.scalar(tx.connection, {"which": name}) if _move.run(tx.connection, asked) else None
    else:
        last = _move_and_tell.scalar(tx.connection, asked)
    if last is None:
        tx.connection.execute(sa.insert(schema.counters), {"name": name, "value": count, "counted": count})
        last = count
    return int(last) - count + 1


def insert(dialect: Dialect, table: sa.Table) -> AnyInsert:
    """Begin an insert that can say what happens when it meets a row; its result counts the rows that were written."""
    # Of the database at hand alone: what SQLAlchemy has for one is large.
    made: AnyInsert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return made.execution_options(preserve_rowcount=True)


@lru_cache(maxsize=64)
def ignoring(dialect: Dialect, table: sa.Table, *keys: str) -> AnyInsert:
    """Insert, or do nothing where a row with these keys is already there."""
    return insert(dialect, table).on_conflict_do_nothing(index_elements=list(keys))


@lru_cache(maxsize=64)
def replacing(dialect: Dialect, table: sa.Table, *keys: str) -> AnyInsert:
    """Insert, or overwrite all other columns of the row with these keys."""
    statement = insert(dialect, table)
    moved = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=moved)


def fill(tx: Tx, table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows of values as they lie in the table: times as microseconds, bytes as bytes.

    Past SQLAlchemy's own machinery, which costs a page of records more than the database does.
    """
    if tx.dialect != "sqlite" and len(rows) >= _COPIED:
        copy_many(tx.connection, *copying_into(table, columns), rows)
        return
    whole = len(rows) - len(rows) % _BLOCK
    if whole:
        blocks = [tuple(chain.from_iterable(rows[start : start + _BLOCK])) for start in range(0, whole, _BLOCK)]
        execute_many(tx.connection, _filling(tx.dialect, table, columns, _BLOCK), blocks)
    if whole < len(rows):
        execute_many(tx.connection, _filling(tx.dialect, table, columns, 1), rows[whole:])


@lru_cache(maxsize=64)
def copying_into(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Give the statement that has PostgreSQL take rows over in its binary form, and the names of the columns' types there."""
    names = ", ".join(f'"{name}"' for name in columns)
    return f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT BINARY)', tuple(
        server_type(table.c[name]) for name in columns
    )


def server_type(column: sa.Column[Any]) -> str:
    """Name the type that a column has in PostgreSQL.

    Raises:
        TypeError: it is none of those that our tables have.
    """
    kind: Any = column.type
    while isinstance(kind, sa.types.TypeDecorator):
        kind = kind.impl
    for held, name in (
        (sa.Boolean, "bool"),
        (sa.BigInteger, "int8"),
        (sa.Integer, "int4"),
        (sa.Float, "float8"),
        (sa.LargeBinary, "bytea"),
        (sa.Text, "text"),
    ):
        if isinstance(kind, held):
            return name
    raise TypeError(f"a column of type {kind!r} cannot be carried over")


def many(tx: Tx, statement: str, rows: list[tuple[Any, ...]]) -> int:
    """Execute a statement that is written out for each of the rows, whose values are as they lie in the table.

    Gives how many rows of the table all of them met.
    """
    return execute_many(tx.connection, spelled(tx.dialect, statement), rows)


def spelled(dialect: Dialect, statement: str) -> str:
    """Give a statement that is written out with `?` for its values as the driver takes it."""
    return statement if dialect == "sqlite" else statement.replace("?", "%s")


@lru_cache(maxsize=64)
def _filling(dialect: Dialect, table: sa.Table, columns: tuple[str, ...], rows: int) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    row = f"({', '.join(['?' if dialect == 'sqlite' else '%s'] * len(columns))})"
    return f'INSERT INTO "{table.name}" ({names}) VALUES {", ".join([row] * rows)}'  # noqa: S608  # names of our schema


def unsought(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Give a text to compare with that no index is searched by: SQLite knows no numbers, and may take one that finds far more."""
    return column.concat("")


def row_of(value: msgspec.Struct) -> dict[str, Any]:
    """Give a value's fields as a row, unconverted: the columns know how."""
    return {name: getattr(value, name) for name in value.__struct_fields__}
