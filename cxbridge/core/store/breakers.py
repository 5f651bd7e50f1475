"""Connections whose vendor is left alone because it failed too often, over all restarts; when, is not decided here."""

import sqlalchemy as sa

from cxbridge.core.http import BreakerState
from cxbridge.core.store import schema
from cxbridge.core.store.engine import Store
from cxbridge.core.store.statements import replacing
from cxbridge.core.store.tx import Tx

_breakers = schema.breakers.c
_OPEN = "open"


class KeptBreakers:
    """The open breakers of all connections; each call is a transaction of its own, so never inside `store.write()`.

    A store that is open for reading tells which are open and changes none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, connection: str) -> BreakerState | None:
        """Give a connection's breaker, when it is open."""
        with self._store.read() as tx:
            return find(tx, connection).get(connection)

    def keep(self, state: BreakerState) -> None:
        """Keep it as open, durable on return."""
        if not self._store.writing:
            return
        with self._store.write() as tx:
            row = {
                "connection": state.connection,
                "state": _OPEN,
                "failures": state.failures,
                "opened_at": state.opened_at,
                "retry_at": state.retry_at,
                "reason": state.reason,
            }
            tx.connection.execute(replacing(tx.dialect, schema.breakers, "connection"), row)

    def clear(self, connection: str) -> None:
        """Keep it as closed, durable on return."""
        if not self._store.writing:
            return
        with self._store.write() as tx:
            tx.connection.execute(sa.delete(schema.breakers).where(_breakers.connection == connection))


def find(tx: Tx, connection: str | None = None) -> dict[str, BreakerState]:
    """Read the open breakers by connection, of one or of all."""
    query = sa.select(schema.breakers).where(_breakers.state == _OPEN).order_by(_breakers.connection)
    if connection is not None:
        query = query.where(_breakers.connection == connection)
    return {
        row.connection: BreakerState(row.connection, row.failures, row.reason, row.opened_at, row.retry_at)
        for row in tx.connection.execute(query)
    }
