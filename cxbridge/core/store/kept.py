"""Connections kept at hand between two transactions: to have one looked over and given out anew costs more than a short one.

Only for a database in a file: what leads to a server may be lost in between, and is asked whether it is there, see `postgresql`.
"""

from collections import deque

from sqlalchemy.engine import Connection, Engine


class Kept:
    """The connections of an engine, at most `most` of which are kept at hand; threads may share it."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._most = most
        self._free: deque[Connection] = deque()

    def take(self) -> Connection:
        """Give a connection that is in no transaction, for this thread alone."""
        try:
            return self._free.pop()
        except IndexError:
            return self._engine.connect()

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
