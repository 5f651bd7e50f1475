"""Connections kept at hand between two transactions: to have one looked over and given out anew costs more than a short one.

Only for a database in a file: what leads to a server may be lost in between, and is asked whether it is there, see `postgresql`.
"""

from collections import deque
from contextlib import suppress

from sqlalchemy.engine import Connection, Engine

from cxbridge.core.store import prepared


class Kept:
    """The connections of an engine, at most `most` of which are kept at hand; threads may share it.

    `begin` is the statement that begins a transaction, where SQLAlchemy need not know of one unless it has a part in it.
    """

    def __init__(self, engine: Engine, most: int, begin: str = "") -> None:
        self._engine = engine
        self._most = most
        self._begin = begin
        self._free: deque[Connection] = deque()

    def take(self) -> Connection:
        """Give a connection that is in no transaction, for this thread alone."""
        try:
            return self._free.pop()
        except IndexError:
            return self._engine.connect()

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
            if connection.in_transaction():
                connection.commit()
            else:
                prepared.commit(connection)
        except BaseException:
            with suppress(Exception):
                # What failed is told by the commit.
                self.rollback(connection)
            raise

    def rollback(self, connection: Connection) -> None:
        """Take back all of it."""
        if connection.in_transaction():
            connection.rollback()
        elif not connection.invalidated:
            prepared.rollback(connection)

    def give_back(self, connection: Connection, *, sound: bool) -> None:
        """Take a connection back; one on which something failed, and one too many, is not kept."""
        if sound and len(self._free) < self._most:
            self._free.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close those at hand, and keep none from now on."""
        self._most = 0
        while self._free:
            self._free.pop().close()
