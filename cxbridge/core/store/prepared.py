"""Statements that are asked again and again: SQLAlchemy writes them once for each database, the driver takes them from there.

SQLAlchemy stays the one that knows the tables, the SQL and how values lie in columns. What is passed by is what it does at each
execution, which costs three times as much as SQLite takes to answer. So that is for statements of the hot paths only:

    _one = Prepared(sa.select(schema.runs).where(_runs.id == sa.bindparam("run")))

    _one.rows(tx.connection, {"run": "run_1"})            # a list of tuples, in the order of the columns
    _one.structs(tx.connection, Run, {"run": "run_1"})    # values whose fields have the names of the columns
    _save.run(tx.connection, {...})                       # gives how many rows it met
    _save.run_all(tx.connection, [{...}, {...}])          # one for each row of values

Every value that changes is a `bindparam` with a name of its own, or a column of an insert or update; lists within IN cannot be
given. An insert names its columns by `columns` and gives nothing back unless it says `returning`. A statement that is another one
on each database is given as what makes it: `Prepared(lambda dialect: ignoring(dialect, schema.runs, "id"))`.

Errors are SQLAlchemy's own, as those of any other statement: `failures` says them in words, and a lost connection is dropped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cxbridge.core.store.tx import Dialect

T = TypeVar("T")
Process = Callable[[Any], Any]
Statement = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete

_NOTHING: Mapping[str, Any] = {}


class Prepared:
    """A statement for any connection of any store; it holds no connection, and all threads may use it."""

    __slots__ = ("_columns", "_made", "_statement")

    def __init__(self, statement: Statement | Callable[[Dialect], Statement], *, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._made: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> list[tuple[Any, ...]]:
        """Give what is found, a tuple for each row."""
        made = self._for(connection)
        return made.read(fetch(connection, made.sql, made.bound(values)))

    def first(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> tuple[Any, ...] | None:
        """Give the first row that is found."""
        return next(iter(self.rows(connection, values)), None)

    def scalar(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> Any:
        """Give the first value of the first row; None where there is none."""
        row = self.first(connection, values)
        return None if row is None else row[0]

    def structs(self, connection: Connection, of: Callable[..., T], values: Mapping[str, Any] = _NOTHING) -> list[T]:
        """Give what is found as values of that type, whose fields are named as the columns are."""
        made = self._for(connection)
        found = made.read(fetch(connection, made.sql, made.bound(values)))
        return [of(**dict(zip(made.names, row, strict=True))) for row in found]

    def run(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> int:
        """Write, and give how many rows were met."""
        made = self._for(connection)
        cursor = execute(connection, made.sql, made.bound(values))
        return int(cursor.rowcount)

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write once for each row of values."""
        made = self._for(connection)
        if len(rows) == 1:
            # A driver that sends many without waiting for each has more to do for it.
            execute(connection, made.sql, made.bound(rows[0]))
        else:
            execute(connection, made.sql, [made.bound(row) for row in rows], many=True)

    def _for(self, connection: Connection) -> "_Compiled":
        made = self._made.get(connection.dialect.name)
        if made is None:
            made = self._made[connection.dialect.name] = self._compiled(connection)
        return made

    def _compiled(self, connection: Connection) -> "_Compiled":
        name: Any = connection.dialect.name
        statement = self._statement
        made = statement if isinstance(statement, sa.ClauseElement) else statement(name)
        if isinstance(made, sa.Insert):
            # Or else the server would be asked for the number that a row was given.
            made = made.inline()
        return _Compiled(made, self._columns, connection)


class _Compiled:
    """A statement as one kind of database takes it."""

    __slots__ = ("_by_name", "_constants", "_given", "_most", "_results", "names", "sql")

    def __init__(self, statement: Any, columns: tuple[str, ...], connection: Connection) -> None:
        dialect = connection.dialect
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        if compiled.post_compile_params:
            raise ValueError(f"a list of changing length cannot be prepared: {compiled}")
        self.sql = str(compiled)
        self._by_name = not compiled.positional
        order = compiled.positiontup if compiled.positional else dict.fromkeys(compiled.bind_names.values())
        # What each place takes: a name, and how its value is turned into what lies in the column.
        self._given: list[tuple[str, Process | None]] = []
        self._constants: dict[str, Any] = {}
        for name in order:
            bound = compiled.binds[name]
            if not bound.required:
                self._constants[name] = bound.effective_value
            self._given.append((name, bound.type.dialect_impl(dialect).bind_processor(dialect)))
        self._most = len({name for name, _ in self._given})
        found = list(statement.exported_columns)
        self.names = tuple(column.key for column in found)
        reading = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in found]
        self._results = [(place, process) for place, process in enumerate(reading) if process is not None]

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Give the values as the driver takes them; one that is missing, or one too many, is a mistake of ours."""
        if self._constants:
            values = {**self._constants, **values}
        if len(values) > self._most:
            raise KeyError(*sorted(set(values) - {name for name, _ in self._given}))
        if self._by_name:
            return {name: values[name] if process is None else process(values[name]) for name, process in self._given}
        return [values[name] if process is None else process(values[name]) for name, process in self._given]

    def read(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Give rows with the values that the columns stand for."""
        if not rows or not self._results:
            return rows
        read = []
        for row in rows:
            values = list(row)
            for place, process in self._results:
                values[place] = process(values[place])
            read.append(tuple(values))
        return read


def execute(connection: Connection, sql: str, values: Any, *, many: bool = False) -> Any:
    """Have the driver execute a statement as it stands, in the transaction that the connection is in; gives its cursor."""
    cursor: Any = None
    try:
        driver: Any = connection.connection.dbapi_connection
        cursor = driver.cursor()
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
    except BaseException as error:  # noqa: BLE001  # an interrupted connection is as lost as a broken one
        _fail(connection, error, sql, cursor)
    return cursor


def fetch(connection: Connection, sql: str, values: Any) -> list[tuple[Any, ...]]:
    """Have the driver execute a statement as `execute` does; gives all that it finds, as it lies in the columns."""
    cursor = execute(connection, sql, values)
    try:
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    except BaseException as error:  # noqa: BLE001  # SQLite looks for a row when it is asked for, and may stumble over any of them
        _fail(connection, error, sql, cursor)
    return rows


def _fail(connection: Connection, error: BaseException, sql: str, cursor: Any) -> NoReturn:
    """Raise what SQLAlchemy would have raised, having it drop what is lost and tell those that listen for errors."""
    told = sql if isinstance(error, connection.dialect.loaded_dbapi.Error) else None
    # Its one way of doing that, which has no public name.
    connection._handle_dbapi_exception(error, told, None, cursor, None)  # noqa: SLF001
