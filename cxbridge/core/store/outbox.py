"""The planned actions and what became of them; nothing is sent from here, and nothing is ever removed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cxbridge.core.ledger import OPEN_DELIVERIES, Delivery, DeliveryState, Ref
from cxbridge.core.store import schema
from cxbridge.core.store.engine import Tx
from cxbridge.core.store.statements import row_of, take_numbers

_deliveries = schema.deliveries.c
_fields = [_deliveries[name] for name in Delivery.__struct_fields__]
_whole = sa.select(*_fields)
_update = sa.update(schema.deliveries).where(_deliveries.id == sa.bindparam("delivery"))
_older = schema.deliveries.alias("older")

# States in which the pusher can do something about a delivery.
_SENDABLE: tuple[DeliveryState, ...] = ("planned", "retry", "unknown")
# The oldest open delivery of its order key, in such a state.
_open = schema.among(_deliveries.state, OPEN_DELIVERIES)
_head = sa.and_(
    _open,
    schema.among(_deliveries.state, _SENDABLE),
    ~sa.exists(
        sa.select(sa.literal_column("1")).where(
            _older.c.connection == _deliveries.connection,
            _older.c.order_key == _deliveries.order_key,
            _older.c.seq < _deliveries.seq,
            schema.among(_older.c.state, OPEN_DELIVERIES),
        )
    ),
)
_next_name = sa.select(sa.func.min(_deliveries.connection)).where(
    _deliveries.state == sa.bindparam("state"), _deliveries.connection > sa.bindparam("last")
)


def add(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries; the order of the calls, and within a call, is the order in which they may be sent."""
    if deliveries:
        first = take_numbers(tx, "delivery", len(deliveries))
        rows = [{**row_of(delivery), "seq": seq} for seq, delivery in enumerate(deliveries, first)]
        tx.connection.execute(sa.insert(schema.deliveries), rows)


def update(tx: Tx, delivery: Delivery) -> None:
    """Write a stored delivery anew; its place in the order stays.

    Raises:
        LookupError: no delivery of this id is stored.
    """
    row = row_of(delivery)
    done = tx.connection.execute(_update, {**row, "delivery": row.pop("id")})
    if not done.rowcount:
        raise LookupError(f"delivery {delivery.id} is not stored")


def get(tx: Tx, delivery_id: str) -> Delivery | None:
    """Read one delivery."""
    return next(iter(_read(tx.connection.execute(_whole.where(_deliveries.id == delivery_id)))), None)


def due(tx: Tx, connection: str, now: datetime, limit: int) -> list[Delivery]:
    """Read what may be sent or looked up now, oldest first: planned, retry or unknown with `not_before` reached.

    At most one per order key, the oldest that is open: one that is held, sent or not due keeps all behind it waiting.
    """
    return _read(tx.connection.execute(_due(connection, now).limit(limit)))


def next_due(tx: Tx, connection: str) -> datetime | None:
    """Give the earliest `not_before` of what `due` gives now or later without another change."""
    found: datetime | None = tx.connection.scalar(
        sa.select(sa.func.min(_deliveries.not_before)).where(_deliveries.connection == connection, _head)
    )
    return found


def connections_due(tx: Tx, now: datetime) -> set[str]:
    """Name the connections for which `due` would give something."""
    # Step from connection to connection along an index: one query would judge every open delivery of a long queue.
    names = set()
    for state in _SENDABLE:
        name = ""
        while name := tx.connection.scalar(_next_name, {"state": state, "last": name}) or "":
            names.add(name)
    return {name for name in names if tx.connection.execute(_due(name, now).limit(1)).first()}


def interrupted(tx: Tx, connection: str | None = None) -> list[Delivery]:
    """Read the deliveries in state `sent`, oldest first: after a crash nobody waits for their answers any more."""
    query = _whole.where(_deliveries.state == "sent").order_by(_deliveries.seq)
    if connection is not None:
        query = query.where(_deliveries.connection == connection)
    return _read(tx.connection.execute(query))


def under_way(tx: Tx, target: Ref) -> list[Delivery]:
    """Read the deliveries to an entity that may have been done without our knowing: sent, or in doubt."""
    order_key = _deliveries.order_key == str(target)
    query = _whole.where(_deliveries.connection == target.connection, order_key, _open)
    return [one for one in _read(tx.connection.execute(query)) if one.state in ("sent", "unknown")]


def of_run(tx: Tx, run: str) -> list[Delivery]:
    """Read a run's deliveries in their order."""
    return _read(tx.connection.execute(_whole.where(_deliveries.run == run).order_by(_deliveries.seq)))


def by_marker(tx: Tx, connection: str, marker: str) -> list[Delivery]:
    """Find the deliveries that planted a marker, oldest first."""
    query = _whole.where(_deliveries.connection == connection, _deliveries.marker == marker)
    return _read(tx.connection.execute(query.order_by(_deliveries.seq)))


def find(
    tx: Tx,
    *,
    state: DeliveryState | None = None,
    recipe: str | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """Read deliveries, newest first."""
    query = _whole.order_by(_deliveries.seq.desc()).limit(limit)
    if state is not None:
        query = query.where(_deliveries.state == state)
    if recipe is not None:
        query = query.where(_deliveries.recipe == recipe)
    return _read(tx.connection.execute(query))


def sent_since(tx: Tx, recipe: str, since: datetime) -> int:
    """Count a recipe's deliveries that were last sent at or after `since`."""
    return (
        tx.connection.scalar(
            sa.select(sa.func.count()).where(_deliveries.recipe == recipe, _deliveries.sent_at >= since)
        )
        or 0
    )


def counts(tx: Tx) -> dict[tuple[str, DeliveryState], int]:
    """Count deliveries per (connection, state)."""
    rows = tx.connection.execute(
        sa.select(_deliveries.connection, _deliveries.state, sa.func.count()).group_by(
            _deliveries.state, _deliveries.connection
        )
    )
    return {(connection, state): number for connection, state, number in rows}


def _due(connection: str, now: datetime) -> sa.Select[Any]:
    return _whole.where(_deliveries.connection == connection, _head, _deliveries.not_before <= now).order_by(
        _deliveries.seq
    )


def _read(rows: sa.CursorResult[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in rows.mappings()]
