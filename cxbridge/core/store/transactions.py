"""Transactions of a store, each for one `with`, and whose turn it is to write.

They are classes, and not functions that yield: one is begun every few milliseconds.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

import sqlalchemy as sa

from cxbridge.core.clock import Clock
from cxbridge.core.errors import StoreError
from cxbridge.core.store.kept import Kept
from cxbridge.core.store.tx import Tx


class Owner(Protocol):
    """The store that a transaction belongs to."""

    place: str
    clock: Clock
    is_closed: bool
    writing: bool
    committed_at: float | None

    def tx(self, connection: sa.Connection, *, writing: bool) -> Tx:
        """Give a transaction that was begun."""
        ...

    def tell(self, error: BaseException, *, writing: bool) -> None:
        """Raise in words what a driver failed with."""
        ...


class Transaction(AbstractContextManager[Tx]):
    """Commits at the end, rolls back on any exception, and says a driver's error in words."""

    __slots__ = ("_connection", "_kept", "_store", "_writing")

    def __init__(self, store: Owner, kept: Kept, *, writing: bool) -> None:
        self._store = store
        self._kept = kept
        self._writing = writing

    def __enter__(self) -> Tx:
        store = self._store
        if store.is_closed:
            raise StoreError(f"{store.place} is closed: this program is ending")
        connection: sa.Connection | None = None
        try:
            connection = self._kept.take()
            self._kept.begin(connection)
        except BaseException as error:
            if connection is not None:
                self._kept.give_back(connection, sound=False)
            store.tell(error, writing=self._writing)
            raise
        self._connection = connection
        return store.tx(connection, writing=self._writing)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sound = False
        try:
            try:
                if error is None:
                    self._kept.commit(self._connection)
                else:
                    self._kept.rollback(self._connection)
                sound = error is None
            finally:
                self._kept.give_back(self._connection, sound=sound)
        except BaseException as failed:
            self._store.tell(failed, writing=self._writing)
            raise
        if error is not None:
            self._store.tell(error, writing=self._writing)
        elif self._writing:
            self._store.committed_at = self._store.clock.monotonic()


class Turns(AbstractContextManager[None]):
    """The turn to write, of one thread of one process: `of_process` gives what holds it among processes."""

    __slots__ = ("_held", "_lock", "_of_process", "_thread")

    def __init__(self, of_process: Callable[[], AbstractContextManager[None]]) -> None:
        self._of_process = of_process
        self._lock = threading.Lock()
        self._thread: int | None = None

    @property
    def mine(self) -> bool:
        """Whether this thread has it."""
        return self._thread == threading.get_ident()

    def among_threads(self) -> AbstractContextManager[object]:
        """Keep other threads from writing, whatever other processes do."""
        return self._lock

    def among_processes(self) -> AbstractContextManager[None]:
        """Keep other processes from writing."""
        return self._of_process()

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._thread = threading.get_ident()
            held = self._of_process()
            held.__enter__()
        except BaseException:
            self._thread = None
            self._lock.release()
            raise
        self._held = held

    def __exit__(self, *_: object) -> None:
        try:
            self._held.__exit__(None, None, None)
        finally:
            self._thread = None
            self._lock.release()


class Writing(AbstractContextManager[Tx]):
    """The write transaction, in its turn; `guard` is called first, and may refuse by an exception."""

    __slots__ = ("_guard", "_store", "_transaction", "_turns")

    def __init__(self, store: Owner, kept: Kept, turns: Turns, guard: Callable[[Tx], None] | None) -> None:
        self._store = store
        self._transaction = Transaction(store, kept, writing=True)
        self._turns = turns
        self._guard = guard

    def __enter__(self) -> Tx:
        if not self._store.writing:
            raise RuntimeError("this store was opened for reading")
        if self._turns.mine:
            raise RuntimeError("a write transaction inside a write transaction would wait for itself")
        self._turns.__enter__()
        try:
            tx = self._transaction.__enter__()
        except BaseException:
            self._turns.__exit__()
            raise
        if self._guard is not None:
            try:
                self._guard(tx)
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise
        return tx

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._transaction.__exit__(kind, error, trace)
        finally:
            # The turn outlasts the commit: on SQLite that is when the log is folded into the file.
            self._turns.__exit__()
