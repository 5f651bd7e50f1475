"""Refresh tokens, encrypted at rest; whether and when one is refreshed is not decided here."""

import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.engine import Store
from cxbridge.core.store.sealing import seal, unseal
from cxbridge.core.store.statements import replacing

_tokens = schema.tokens.c


class SealedTokens:
    """The tokens of all connections; each call is a transaction of its own, so never inside `store.write()`."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key

    def read(self, connection: str) -> bytes | None:
        """Give the token of a connection.

        Raises:
            ConfigError: it was sealed with another key.
        """
        with self._store.read() as tx:
            sealed = tx.connection.scalar(sa.select(_tokens.sealed).where(_tokens.connection == connection))
        return None if sealed is None else unseal(self._key, name_of(connection), sealed)

    def write(self, connection: str, token: bytes) -> None:
        """Keep the token of a connection in place of the one before; durable on return."""
        row = {
            "connection": connection,
            "sealed": seal(self._key, name_of(connection), token),
            "at": self._store.clock.now(),
        }
        with self._store.write() as tx:
            tx.connection.execute(replacing(tx.dialect, schema.tokens, "connection"), row)


def name_of(connection: str) -> str:
    """Say what is sealed, as it is bound to the seal."""
    return f"the token of {connection}"
