"""How much of a vendor's long budgets each connection has used, over all restarts; what a budget is, it does not know."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.engine import Store
from cxbridge.core.store.statements import replacing
from cxbridge.core.store.tx import Tx

_quotas = schema.quotas.c
_held = sa.select(_quotas.window_start, _quotas.used).where(
    _quotas.connection == sa.bindparam("of"), _quotas.name == sa.bindparam("called")
)


class KeptQuotas:
    """The counts of all connections; each call is a transaction of its own, so never inside `store.write()`.

    A store that is open for reading gives what is left and keeps no count: those who only look do not write.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, connection: str, name: str, window: datetime, seconds: int, count: int, limit: int) -> int:
        """Count up to `count` as used in the window that begins then, durable on return; gives how many were free."""
        if not self._store.writing:
            with self._store.read() as tx:
                _, used = _read(tx, connection, name, window, seconds)
            return max(0, min(count, limit - used))
        with self._store.write() as tx:
            start, used = _read(tx, connection, name, window, seconds)
            free = max(0, min(count, limit - used))
            if free:
                _write(tx, connection, name, start, used + free)
        return free

    def give_back(self, connection: str, name: str, window: datetime, count: int) -> None:
        """Count that many as not used after all, unless another window has begun."""
        if not self._store.writing:
            return
        with self._store.write() as tx:
            row = tx.connection.execute(_held, {"of": connection, "called": name}).first()
            if row is not None and row.window_start == window:
                _write(tx, connection, name, window, max(0, row.used - count))


def _read(tx: Tx, connection: str, name: str, window: datetime, seconds: int) -> tuple[datetime, int]:
    """Give the window that counts, and what is used of it: a later one stands, unless a wrong clock made it."""
    row = tx.connection.execute(_held, {"of": connection, "called": name}).first()
    if row is not None and window <= row.window_start <= window + timedelta(seconds=seconds):
        return row.window_start, row.used
    return window, 0


def _write(tx: Tx, connection: str, name: str, window: datetime, used: int) -> None:
    row = {"connection": connection, "name": name, "window_start": window, "used": used}
    tx.connection.execute(replacing(tx.dialect, schema.quotas, "connection", "name"), row)
