"""Opening a database and giving out transactions, on SQLite and PostgreSQL alike; it knows no table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from cxbridge.core.clock import Clock
from cxbridge.core.errors import ConfigError, CxbridgeError, StoreError
from cxbridge.core.store import migrate, packing, postgresql, sole, sqlite
from cxbridge.core.store.failures import translated, translation
from cxbridge.core.store.kept import Kept
from cxbridge.core.store.prepared import Dialect
from cxbridge.core.store.shares import Share, Shares
from cxbridge.core.store.transactions import Transaction, Turns, Writing
from cxbridge.core.store.turns import turn
from cxbridge.core.store.tx import Tx

T = TypeVar("T")

# How many connections for reading are kept at hand, where the database is a file.
_READERS = 8


@dataclass(frozen=True, slots=True)
class _Database:
    """What an address comes to; nothing is connected yet."""

    dialect: Dialect
    path: Path | None
    place: str
    writers: Engine
    readers: Engine
    # Held by the process that writes, or closes what it wrote with.
    turn: Callable[[], AbstractContextManager[None]]
    # Where there is a server, its address as the driver takes it.
    conninfo: str | None = None


class Store:
    """An opened database, shared by all threads. At any moment one thread of one process writes; any number read.

    `writing` is False where the store was opened for reading alone.
    """

    def __init__(self, database: _Database, *, clock: Clock, key: bytes | None) -> None:
        self.dialect: Dialect = database.dialect
        self.path = database.path
        self.place = database.place
        self.clock = clock
        self.writing = False
        self._key = key
        self._packs = packing.Packs()
        self._writers, self._readers = database.writers, database.readers
        in_a_file = database.path is not None
        self._to_write = Kept(database.writers, 1, sqlite.BEGIN_WRITING) if in_a_file else Kept(database.writers, 0)
        self._to_read = (
            Kept(database.readers, _READERS, sqlite.BEGIN_READING)
            if in_a_file
            else Kept(database.readers, 0, abreast=postgresql.READERS)
        )
        self._turns = Turns(database.turn)
        # The address of the server as the driver takes it, with its password; None where there is no server.
        self.conninfo = database.conninfo
        # What a write failed with, until a probe finds that one goes well again (a small one may, on a full disk, where others do
        # not), and when one last went well, by the monotonic clock.
        self.trouble = ""
        self.committed_at: float | None = None
        self._guard: ContextVar[Callable[[Tx], None] | None] = ContextVar("guard", default=None)
        self.is_closed = False
        self._shares = Shares(self._write_shares, self._write_alone)

    @classmethod
    def open(
        cls, url: str, *, clock: Clock, key: bytes | None = None, timeout: float = 5.0, writing: bool = True
    ) -> "Store":
        """Open `sqlite:///path` or `postgresql://…`, and make or upgrade its tables.

        `key` seals what is secret. `timeout` is how many seconds a writer waits for the writer of another process.
        With `writing=False` nothing is ever written, nor waited for, however many others write; only a store that has
        no tables yet is made and opened as if for writing, since there is nobody it could disturb.

        Raises:
            ConfigError: the file, the address or the tables cannot be used by this program until a person acts.
            StoreError: the database cannot be had now; the same call may work later. Also when it is to be read only and
                its tables are older than this program's.
        """
        database = _database(url, timeout)
        store = cls(database, clock=clock, key=key)
        try:
            with translated(store.place, opening=True):
                if writing or not migrate.stands(database.readers, store.place):
                    store.writing = True
                    with database.turn():
                        migrate.bring_up(database.writers, store.place)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def as_found(cls, url: str, *, clock: Clock, key: bytes | None = None, timeout: float = 5.0) -> "Store":
        """Open what is there as it stands, for the commands of the store itself: nothing is made, upgraded or judged.

        Raises:
            ConfigError: there is no such file, or the address cannot be used.
        """
        store = cls(_database(url, timeout, make=False), clock=clock, key=key)
        store.writing = True
        return store

    def write(self) -> AbstractContextManager[Tx]:
        """Hold the only write transaction: commit at the end, roll back on any exception.

        Begins with the guard that `under` set for this thread.

        Raises:
            StoreError: locked too long, full, lost; nothing of the transaction is stored. Only where the connection was
                lost during the commit itself is that unknown.
            RuntimeError: this thread is already writing, or the store was opened for reading.
        """
        return Writing(self, self._to_write, self._turns, self._guarded)

    def join(self, work: Callable[[Tx], T]) -> T:
        """Do `work` in a write transaction that it shares with what other threads have to write just then: one commit for all.

        Each is stored wholly or not at all, for itself: one that raises takes nothing back but its own. When this returns, the
        commit is done. `work` may be called by another of the threads, with this one's context.

        Raises:
            StoreError: as `write` does; RuntimeError likewise. And whatever `work` raises.
        """
        if self._turns.mine:
            raise RuntimeError("a write transaction inside a write transaction would wait for itself")
        return self._shares.take(work)

    @contextmanager
    def aside(self) -> Iterator[Tx]:
        """Hold a write transaction that waits for no other, for the few tables that need no turn: leases and agenda.

        On SQLite, where there is one writer, it is a write transaction like any other.

        Raises:
            StoreError: the database cannot be written now.
        """
        if self.dialect == "sqlite":
            with self.write() as tx:
                yield tx
            return
        if not self.writing:
            raise RuntimeError("this store was opened for reading")
        beside = self._writers.execution_options(**{postgresql.ASIDE: True})
        with Transaction(self, Kept(beside, 0), writing=True) as tx:
            yield tx

    @contextmanager
    def under(self, guard: Callable[[Tx], None]) -> Iterator[None]:
        """Have every write transaction that this thread begins meanwhile call `guard` first, which may refuse by an exception."""
        token = self._guard.set(guard)
        try:
            yield
        finally:
            self._guard.reset(token)

    def read(self) -> AbstractContextManager[Tx]:
        """Hold a snapshot, taken at the first query; it neither waits for writers nor makes them wait.

        Raises:
            StoreError: the database cannot be read now.
        """
        return Transaction(self, self._to_read, writing=False)

    @contextmanager
    def alone(self, who: str) -> Iterator[None]:
        """Be the one process that performs deliveries from this store; `who` is named to those who come second.

        Raises:
            StoreError: another process is. ConfigError: this is no place to work at any more.
        """
        if self.path is not None:
            with sole.by_file(self.path.with_name(f"{self.path.name}.lock"), who):
                with translated(self.place, opening=True):
                    # It may have been moved away since it was opened.
                    migrate.stands(self._readers, self.place)
                yield
            return
        with translated(self.place), sole.by_server(self._readers):
            yield

    def _guarded(self, tx: Tx) -> None:
        guard = self._guard.get()
        if guard is not None:
            guard(tx)

    def _write_alone(self, work: Callable[[Tx], T]) -> T:
        with self.write() as tx:
            return work(tx)

    def _write_shares(self, shares: Sequence[Share[Any]]) -> None:
        with Writing(self, self._to_write, self._turns, None) as tx:
            if len(shares) == 1:
                shares[0].do(tx, self._guarded)
                return
            for share in shares:
                part = tx.connection.begin_nested()
                try:
                    with self._told():
                        share.do(tx, self._guarded)
                except BaseException as error:  # noqa: BLE001  # raised in the thread whose share it is
                    share.error = error
                    # Fails where the database has given up the whole transaction: then nothing of it may count as stored.
                    part.rollback()
                else:
                    part.commit()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say a driver's error in words, and keep it as what is wrong with the store."""
        try:
            yield
        except BaseException as error:
            self.tell(error, writing=True)
            raise

    def tell(self, error: BaseException, *, writing: bool) -> None:
        """Raise in words what a driver failed with; anything else is left to whoever calls."""
        told = translation(self.place, error)
        # Not what was raised inside for reasons of its own.
        if writing and (told is not None or (isinstance(error, StoreError) and error.__cause__ is not None)):
            self.trouble = str(told or error)
        if told is not None:
            raise told from error

    def tx(self, connection: sa.Connection, *, writing: bool) -> Tx:
        """Give a transaction that was begun as the modules of this package pass it among themselves."""
        return Tx(connection, self.dialect, writing=writing, key=self._key, packs=self._packs)

    def shrink(self) -> None:
        """Give back to the disk what a file no longer needs; a database server does so by itself, in time.

        Raises:
            StoreError: there is no room for the copy that this makes; the store stays as it was.
        """
        if self.path is None:
            return
        with self._turns, translated(self.place), self._to_write.take() as connection:
            # In no transaction, and SQLAlchemy has begun one by now.
            for words in ("COMMIT", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                connection.exec_driver_sql(words)

    def close(self) -> None:
        """Wait for the writer, then close every connection; a second call does nothing."""
        with self._turns.among_threads(), ExitStack() as stack:
            if self.is_closed:
                return
            self.is_closed = True
            self._to_read.close()
            self._readers.dispose()
            if self.writing:
                # Whoever does not let go of the turn has connections of its own, so that ours is not the last.
                with suppress(CxbridgeError):
                    stack.enter_context(self._turns.among_processes())
            # Last: on SQLite the last connection to go folds the log into the file, which is a writer's task.
            self._to_write.close()
            self._writers.dispose()


def _database(url: str, timeout: float, *, make: bool = True) -> _Database:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        # Neither the text nor the cause, which repeats it: it may hold a password.
        raise ConfigError("the store's url is no database address: write sqlite:///path or postgresql://…") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigError("the store must be a file: write sqlite:///path")
        path = Path(parsed.database)
        if make:
            sqlite.ensure_file(path)
        elif not path.exists():
            raise ConfigError(
                f"there is no store {path}: look at the path; one is made when a daemon first starts on it"
            )
        place, file = f"the store {path}", sqlite.turn_of(path)
        return _Database(
            "sqlite",
            path,
            place,
            sqlite.engine(path, timeout=timeout, writer=True),
            sqlite.engine(path, timeout=timeout, writer=False),
            lambda: turn(file, timeout, place),
        )
    if backend in {"postgresql", "postgres"}:
        lost = postgresql.Lost()
        return _Database(
            "postgresql",
            None,
            f"the database {parsed.database or ''} at {parsed.host or 'the local socket'}",
            postgresql.engine(parsed, timeout=timeout, writer=True, lost=lost),
            postgresql.engine(parsed, timeout=timeout, writer=False, lost=lost),
            nullcontext,  # the server keeps the writers apart
            postgresql.conninfo(parsed),
        )
    raise ConfigError(f"the store cannot be a {backend} database: write sqlite:///path or postgresql://…")
