"""Connections between two transactions: kept at hand where that is cheaper, and not more at once than serve any purpose.

To have one looked over and given out anew costs more than a short transaction, so that those of a database in a file are kept.
What leads to a server may be lost in between, and is asked whether it is there, see `postgresql`. There it counts how many there
are: what the pool does not keep is connected anew each time.
"""

import threading
from collections import deque
from contextlib import suppress

from sqlalchemy.engine import Connection, Engine

from cxbridge.core.store import prepared

# So many seconds whoever is one too many waits for one of the others: longer than nearly all of them take, and no longer than a
# reader may wait for somebody who reads the whole store.
_PATIENCE = 0.05


class Kept:
    """The connections of an engine; threads may share it.

    At most `most` of them are kept at hand. `begin` is the statement that begins a transaction, where SQLAlchemy need not know of
    one unless it has a part in it. Where `abreast` is given, whoever would be one too many waits a moment first.
    """

    def __init__(self, engine: Engine, most: int, begin: str = "", *, abreast: int | None = None) -> None:
        self._engine = engine
        self._most = most
        self._begin = begin
        self._free: deque[Connection] = deque()
        self._room = None if abreast is None else threading.Semaphore(abreast)
        # Those for which there was room, each with the thread that took it.
        self._in_use: dict[int, int] = {}

    def take(self) -> Connection:
        """Give a connection that is in no transaction, for this thread alone."""
        try:
            return self._free.pop()
        except IndexError:
            return self._engine.connect() if self._room is None else self._in_turn(self._room)

    def begin(self, connection: Connection) -> None:
        """Begin a transaction on a connection that was taken."""
        if self._begin:
            # What SQLAlchemy keeps for each of its transactions costs as much as a short one does.
            prepared.execute(connection, self._begin, ())
        else:
            connection.begin()

    def commit(self, connection: Connection) -> None:
        """Commit it; where that fails nothing of it is left under way."""
        try:
            if self._begin and not connection.in_transaction():
                prepared.commit(connection)
            else:
                connection.commit()
        except BaseException:
            with suppress(Exception):
                # What failed is told by the commit.
                self.rollback(connection)
            raise

    def rollback(self, connection: Connection) -> None:
        """Take back all of it."""
        if not self._begin or connection.in_transaction():
            connection.rollback()
        elif not connection.invalidated:
            prepared.rollback(connection)

    def give_back(self, connection: Connection, *, sound: bool) -> None:
        """Take a connection back; one on which something failed, and one too many, is not kept."""
        if sound and len(self._free) < self._most:
            self._free.append(connection)
            return
        try:
            connection.close()
        finally:
            if self._room is not None and self._in_use.pop(id(connection), None) is not None:
                self._room.release()

    def close(self) -> None:
        """Close those at hand, and keep none from now on."""
        self._most = 0
        while self._free:
            self._free.pop().close()

    def _in_turn(self, room: threading.Semaphore) -> Connection:
        me = threading.get_ident()
        # A thread that has one would wait for itself.
        counts = me not in list(self._in_use.values()) and room.acquire(timeout=_PATIENCE)
        try:
            made = self._engine.connect()
        except BaseException:
            if counts:
                room.release()
            raise
        if counts:
            self._in_use[id(made)] = me
        return made
