"""Statements that are asked again and again: SQLAlchemy writes them once for each database, the driver takes them from there.

SQLAlchemy stays the one that knows the tables, the SQL and how values lie in columns. What is passed by is what it does at each
execution, which costs three times as much as SQLite takes to answer. So that is for statements of the hot paths only:

    _one = Prepared(sa.select(schema.runs).where(_runs.id == sa.bindparam("run")))

    _one.rows(tx.connection, {"run": "run_1"})            # a list of tuples, in the order of the columns
    _one.structs(tx.connection, Run, {"run": "run_1"})    # values whose fields have the names of the columns
    _save.run(tx.connection, {...})                       # gives how many rows it met
    _save.run_all(tx.connection, [{...}, {...}])          # one for each row of values

Every value that changes is a `bindparam` with a name of its own, or a column of an insert or update. A list within IN is for
`Among`. An insert names its columns by `columns` and gives nothing back unless it says `returning`. A statement that is another one
on each database is given as what makes it: `Prepared(lambda dialect: ignoring(dialect, schema.runs, "id"))`.

Errors are SQLAlchemy's own, as those of any other statement: `failures` says them in words, and a lost connection is dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Literal, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeDecorator

from cxbridge.core.errors import StoreError

T = TypeVar("T")
Dialect = Literal["sqlite", "postgresql"]
Process = Callable[[Any], Any]
Statement = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete

_NOTHING: Mapping[str, Any] = {}
# The longest list of one statement, a power of two: SQLite takes at least 999 values, and longer lists are no faster.
_MOST_AMONG = 512
_PLACES = [f"among_{place}" for place in range(_MOST_AMONG)]


class Prepared:
    """A statement for any connection of any store; it holds no connection, and all threads may use it."""

    __slots__ = ("_columns", "_made", "_statement")

    def __init__(self, statement: Statement | Callable[[Dialect], Statement], *, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._made: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> list[tuple[Any, ...]]:
        """Give what is found, a tuple for each row."""
        made = self._made.get(connection.dialect.name) or self._compiled(connection)
        found = fetch(connection, made.sql, made.bound(values))
        return made.read(found) if found and made.results else found

    def first(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> tuple[Any, ...] | None:
        """Give the first row that is found."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def scalar(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> Any:
        """Give the first value of the first row; None where there is none."""
        found = self.rows(connection, values)
        return found[0][0] if found else None

    def structs(self, connection: Connection, of: Callable[..., T], values: Mapping[str, Any] = _NOTHING) -> list[T]:
        """Give what is found as values of that type, whose fields are named as the columns are."""
        found = self.rows(connection, values)
        if not found:
            return []
        names = self._made[connection.dialect.name].names
        return [of(**dict(zip(names, row, strict=True))) for row in found]

    def run(self, connection: Connection, values: Mapping[str, Any] = _NOTHING) -> int:
        """Write, and give how many rows were met."""
        made = self._made.get(connection.dialect.name) or self._compiled(connection)
        return int(execute(connection, made.sql, made.bound(values)).rowcount)

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write once for each row of values, and give how many rows all of them met."""
        made = self._made.get(connection.dialect.name) or self._compiled(connection)
        return execute_many(connection, made.sql, [made.bound(row) for row in rows])

    def _compiled(self, connection: Connection) -> "_Compiled":
        name: Any = connection.dialect.name
        statement = self._statement
        made = statement if isinstance(statement, sa.ClauseElement) else statement(name)
        if isinstance(made, sa.Insert):
            # Or else the server would be asked for the number that a row was given.
            made = made.inline()
        compiled = self._made[name] = _Compiled(made, self._columns, connection)
        return compiled


class Among:
    """A query with a list of any length within IN, as `Prepared` is one without.

    It is prepared for lists of one, two, four and so on; one in between is filled up with its last value, which finds nothing more.
    Of a list that is longer than the longest, what its parts find comes part by part.

        _several = Among(_runs.id, lambda among: sa.select(schema.runs).where(among))

        _several.rows(tx.connection, ["run_1", "run_2"])
    """

    __slots__ = ("_column", "_prepared", "_query")

    def __init__(
        self, column: sa.ColumnElement[Any], query: Callable[[sa.ColumnElement[bool]], sa.Select[Any]]
    ) -> None:
        self._column = column
        self._query = query
        self._prepared: dict[int, Prepared] = {}

    def rows(
        self, connection: Connection, several: Sequence[Any], values: Mapping[str, Any] = _NOTHING
    ) -> list[tuple[Any, ...]]:
        """Give what is found, a tuple for each row."""
        if len(several) == 1:
            return self._for(1).rows(connection, {**values, _PLACES[0]: several[0]})
        found: list[tuple[Any, ...]] = []
        for prepared, given in self._parts(several, values):
            found += prepared.rows(connection, given)
        return found

    def structs(
        self, connection: Connection, of: Callable[..., T], several: Sequence[Any], values: Mapping[str, Any] = _NOTHING
    ) -> list[T]:
        """Give what is found as values of that type, whose fields are named as the columns are."""
        if len(several) == 1:
            return self._for(1).structs(connection, of, {**values, _PLACES[0]: several[0]})
        found: list[T] = []
        for prepared, given in self._parts(several, values):
            found += prepared.structs(connection, of, given)
        return found

    def _parts(self, several: Sequence[Any], values: Mapping[str, Any]) -> Iterator[tuple[Prepared, dict[str, Any]]]:
        for start in range(0, len(several), _MOST_AMONG):
            some = several[start : start + _MOST_AMONG]
            size = 1 << (len(some) - 1).bit_length()
            given = dict(zip(_PLACES, some, strict=False))
            given |= dict.fromkeys(_PLACES[len(some) : size], some[-1])
            yield self._for(size), {**values, **given}

    def _for(self, size: int) -> Prepared:
        prepared = self._prepared.get(size)
        if prepared is None:
            places = [sa.bindparam(name, type_=self._column.type) for name in _PLACES[:size]]
            prepared = self._prepared[size] = Prepared(self._query(self._column.in_(places)))
        return prepared


class _Compiled:
    """A statement as one kind of database takes it."""

    __slots__ = ("_constants", "_most", "_names", "_places", "_processes", "_take", "names", "results", "sql")

    def __init__(self, statement: Any, columns: tuple[str, ...], connection: Connection) -> None:
        dialect = connection.dialect
        compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        if compiled.post_compile_params:
            raise ValueError(f"a list of changing length cannot be prepared: {compiled}")
        self.sql = str(compiled)
        # What each place takes: a name, and how its value is turned into what lies in the column.
        self._places = tuple(
            compiled.positiontup if compiled.positional else dict.fromkeys(compiled.bind_names.values())
        )
        self._names = None if compiled.positional else self._places
        self._take = itemgetter(*self._places) if len(self._places) > 1 else self._take_few
        self._most = len(set(self._places))
        self._constants: dict[str, Any] = {}
        self._processes: list[tuple[int, Process]] = []
        for place, name in enumerate(self._places):
            bound = compiled.binds[name]
            if not bound.required:
                self._constants[name] = bound.effective_value
            process = _writing(bound.type.dialect_impl(dialect), dialect)
            if process is not None:
                self._processes.append((place, process))
        found = list(statement.exported_columns)
        self.names = tuple(column.key for column in found)
        reading = [_reading(column.type.dialect_impl(dialect), dialect) for column in found]
        self.results = [(place, process) for place, process in enumerate(reading) if process is not None]

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Give the values as the driver takes them; one that is missing, or one too many, is a mistake of ours."""
        if self._constants:
            values = {**self._constants, **values}
        if len(values) > self._most:
            raise KeyError(*sorted(set(values) - set(self._places)))
        given = list(self._take(values))
        for place, process in self._processes:
            given[place] = process(given[place])
        return given if self._names is None else dict(zip(self._names, given, strict=True))

    def _take_few(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(values[name] for name in self._places)

    def read(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Give rows with the values that the columns stand for."""
        read = []
        for row in rows:
            values = list(row)
            for place, process in self.results:
                values[place] = process(values[place])
            read.append(tuple(values))
        return read


def _writing(kind: Any, dialect: Any) -> Process | None:
    """Give what turns a value into what lies in a column of that type."""
    own = isinstance(kind, TypeDecorator) and type(kind).process_bind_param is not TypeDecorator.process_bind_param
    if own and kind.impl_instance.bind_processor(dialect) is None:
        # Ours alone, without the step that would lead to it.
        return partial(kind.process_bind_param, dialect=dialect)
    made: Process | None = kind.bind_processor(dialect)
    return made


def _reading(kind: Any, dialect: Any) -> Process | None:
    """Give what turns what lies in a column of that type into a value."""
    own = isinstance(kind, TypeDecorator) and type(kind).process_result_value is not TypeDecorator.process_result_value
    if own and kind.impl_instance.result_processor(dialect, None) is None:
        return partial(kind.process_result_value, dialect=dialect)
    made: Process | None = kind.result_processor(dialect, None)
    return made


def execute(connection: Connection, sql: str, values: Any) -> Any:
    """Have the driver execute a statement as it stands, in the transaction that the connection is in; gives its cursor."""
    try:
        driver: Any = connection.connection.dbapi_connection
        return driver.execute(sql, values)
    except BaseException as error:  # noqa: BLE001  # an interrupted connection is as lost as a broken one
        _fail(connection, error, sql)


def execute_many(connection: Connection, sql: str, rows: Sequence[Any]) -> int:
    """Have the driver execute a statement once for each row of values, as `execute` does; gives how many rows all of them met."""
    if len(rows) == 1:
        # One row is what a webhook brings, and a statement for many costs a driver twice as much for it.
        return int(execute(connection, sql, rows[0]).rowcount)
    try:
        driver: Any = connection.connection.dbapi_connection
        cursor = driver.cursor()
        cursor.executemany(sql, rows)
        return int(cursor.rowcount)
    except BaseException as error:  # noqa: BLE001  # as in `execute`
        _fail(connection, error, sql)


def copy_many(connection: Connection, sql: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Have PostgreSQL take rows over by COPY, in binary form; `types` are those of the columns. Gives how many there were."""
    count = 0
    try:
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor, cursor.copy(sql) as into:
            into.set_types(types)
            for row in rows:
                into.write_row(row)
                count += 1
    except BaseException as error:  # noqa: BLE001  # as in `execute`
        _fail(connection, error, sql)
    return count


def fetch(connection: Connection, sql: str, values: Any) -> list[tuple[Any, ...]]:
    """Have the driver execute a statement as `execute` does; gives all that it finds, as it lies in the columns."""
    try:
        driver: Any = connection.connection.dbapi_connection
        # SQLite looks for a row when it is asked for, and may stumble over any of them.
        found: list[tuple[Any, ...]] = driver.execute(sql, values).fetchall()
    except BaseException as error:  # noqa: BLE001  # as in `execute`
        _fail(connection, error, sql)
    return found


def commit(connection: Connection) -> None:
    """Commit a transaction of SQLite's that SQLAlchemy knows nothing of.

    Raises:
        StoreError: there is none any more. SQLite gives one up by itself over some errors, and whoever passed over such an error
            must not take the rest for stored.
    """
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        raise StoreError("the database gave up the transaction: nothing of it is stored")
    try:
        driver.commit()
    except BaseException as error:  # noqa: BLE001  # as in `execute`
        _fail(connection, error, "COMMIT")


def rollback(connection: Connection) -> None:
    """Take back a transaction that SQLAlchemy knows nothing of."""
    try:
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()
    except BaseException as error:  # noqa: BLE001  # as in `execute`
        _fail(connection, error, "ROLLBACK")


def _fail(connection: Connection, error: BaseException, sql: str) -> NoReturn:
    """Raise what SQLAlchemy would have raised, having it drop what is lost and tell those that listen for errors."""
    told = sql if isinstance(error, connection.dialect.loaded_dbapi.Error) else None
    # Its one way of doing that, which has no public name.
    connection._handle_dbapi_exception(error, told, None, None, None)  # noqa: SLF001
