"""The committed cursor of each stream; only its connector understands a cursor."""

import sqlalchemy as sa

from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import schema
from cxbridge.core.store.statements import replacing, row_of
from cxbridge.core.store.tx import Tx

_checkpoints = schema.checkpoints.c
_one = sa.select(schema.checkpoints).where(
    _checkpoints.connection == sa.bindparam("connection"), _checkpoints.stream == sa.bindparam("stream")
)


def get(tx: Tx, connection: str, stream: str) -> Checkpoint | None:
    """Read the committed cursor of a stream."""
    rows = tx.connection.execute(_one, {"connection": connection, "stream": stream})
    row = rows.mappings().first()
    return None if row is None else Checkpoint(**row)


def put(tx: Tx, checkpoint: Checkpoint) -> None:
    """Write the committed cursor of a stream; belongs in the commit of the page it follows."""
    tx.connection.execute(replacing(tx.dialect, schema.checkpoints, "connection", "stream"), row_of(checkpoint))


def find(tx: Tx) -> list[Checkpoint]:
    """Read all checkpoints, in the order of their names."""
    query = sa.select(schema.checkpoints).order_by(_checkpoints.connection, _checkpoints.stream)
    return [Checkpoint(**row) for row in tx.connection.execute(query).mappings()]


def reset(tx: Tx, connection: str, stream: str) -> bool:
    """Forget a cursor, so that the stream is read from its beginning; True when there was one."""
    gone = tx.connection.execute(
        sa.delete(schema.checkpoints).where(_checkpoints.connection == connection, _checkpoints.stream == stream)
    )
    return gone.rowcount > 0
