"""What a driver's error means to a person."""

import sqlite3
from contextlib import ExitStack

import pytest
from sqlalchemy import exc

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import Store, migrate, sqlite, state
from cxbridge.core.store.failures import explain, translated


class SQLiteProblem(sqlite3.OperationalError):
    def __init__(self, code):
        super().__init__("whatever the driver says")
        self.sqlite_errorcode = code


class ServerProblem(Exception):
    def __init__(self, sqlstate):
        super().__init__("whatever the driver says")
        self.sqlstate = sqlstate


def meet(kind, cause, *, opening=False):
    return explain("the store x", kind("SELECT 1", {}, cause), opening=opening)


@pytest.mark.parametrize(
    ("code", "words", "opening"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another process", StoreError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "is locked by another process", StoreError),
        (sqlite3.SQLITE_FULL, "is full", StoreError),
        (sqlite3.SQLITE_IOERR, "disk error", StoreError),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk error", StoreError),
        (sqlite3.SQLITE_READONLY, "cannot be written", ConfigError),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "cannot be written", ConfigError),
        (sqlite3.SQLITE_CORRUPT, "is damaged", ConfigError),
        (sqlite3.SQLITE_NOTADB, "is no database of cxbridge", ConfigError),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened", ConfigError),
    ],
)
def test_sqlite(code, words, opening):
    for while_opening, expected in ((False, StoreError), (True, opening)):
        told = meet(exc.OperationalError, SQLiteProblem(code), opening=while_opening)
        assert type(told) is expected
        assert words in str(told)
        assert str(told).startswith("the store x ")
        assert "whatever" not in str(told)


@pytest.mark.parametrize(
    ("kind", "sqlstate", "words", "opening"),
    [
        (exc.OperationalError, None, "cannot be reached", StoreError),
        (exc.InterfaceError, None, "cannot be reached", StoreError),
        (exc.OperationalError, "08006", "lost the connection", StoreError),
        (exc.OperationalError, "40P01", "conflicting transaction", StoreError),
        (exc.OperationalError, "53100", "is full", StoreError),
        (exc.OperationalError, "53300", "no free connection", StoreError),
        (exc.OperationalError, "53400", "short of resources", StoreError),
        (exc.OperationalError, "55P03", "is locked by another process", StoreError),
        (exc.OperationalError, "57P01", "stopped by its administrator", StoreError),
        (exc.InternalError, "25P03", "stood still too long", StoreError),
        (exc.InternalError, "25006", "is read-only", ConfigError),
        (exc.InternalError, "XX001", "reports damage", StoreError),
        (exc.OperationalError, "28P01", "refused this user", ConfigError),
        (exc.OperationalError, "3D000", "does not exist", ConfigError),
        (exc.ProgrammingError, "3F000", "no such schema", ConfigError),
        (exc.ProgrammingError, "42501", "needed permission", ConfigError),
        (exc.DataError, "22021", "a value it cannot keep", StoreError),
        (exc.DataError, None, "a value it cannot keep", StoreError),
    ],
)
def test_postgresql(kind, sqlstate, words, opening):
    for while_opening, expected in ((False, StoreError), (True, opening)):
        told = meet(kind, ServerProblem(sqlstate), opening=while_opening)
        assert type(told) is expected
        assert words in str(told)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (exc.OperationalError, SQLiteProblem(sqlite3.SQLITE_ERROR)),
        (exc.IntegrityError, SQLiteProblem(sqlite3.SQLITE_CONSTRAINT)),
        (exc.IntegrityError, ServerProblem("23505")),
        (exc.ProgrammingError, ServerProblem("42P01")),
        (exc.DatabaseError, ServerProblem("0A000")),
    ],
)
def test_a_mistake_of_ours_stays_what_it_is(kind, cause):
    assert meet(kind, cause) is None
    error = kind("SELECT 1", {}, cause)
    with pytest.raises(kind) as caught, translated("the store x"):
        raise error
    assert caught.value is error


def test_too_many_readers_at_once(tmp_path, clock):
    store = Store.open(f"sqlite:///{tmp_path}/x.db", clock=clock, timeout=0.01)
    with ExitStack() as readers:
        for _ in range(64):
            readers.enter_context(store.read())
        with pytest.raises(StoreError, match="no connection left"), store.read():
            pass
    with store.read() as tx:
        assert state.meta_get(tx, "colour") is None
    store.close()


def test_tables_that_leave_rows_pointing_at_nothing_is_undone(tmp_path, clock, monkeypatch):
    def careless(connection):
        make(connection)
        connection.exec_driver_sql("INSERT INTO payloads (record, raw) VALUES (1, x'00')")

    make = migrate.make
    url = f"sqlite:///{tmp_path}/x.db"
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "make", careless)
        with pytest.raises(StoreError, match="rows would point at nothing; it stays as it was"):
            Store.open(url, clock=clock)
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


def test_a_newer_sqlite_is_used_where_it_is_installed(monkeypatch):
    assert sqlite.driver() is sqlite3
    newer = object()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pysqlite3")
    monkeypatch.setattr("importlib.import_module", lambda name: newer if name == "pysqlite3.dbapi2" else None)
    assert sqlite.driver() is newer


def test_a_file_system_without_write_ahead_logs_is_refused():
    """Some network file systems answer the request for a log with the mode that was there before."""

    class Connection:
        def execute(self, words):
            return self

        def fetchone(self):
            return ("delete",)

    with pytest.raises(ConfigError, match="use a local disk"):
        sqlite._set_up(Connection(), writer=True)
