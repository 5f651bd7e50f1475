"""The planned actions and what became of them; nothing is sent from here, and nothing is ever removed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cxbridge.core.ledger import OPEN_DELIVERIES, UNSETTLED_DELIVERIES, Delivery, DeliveryState, Ref
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Among, Prepared
from cxbridge.core.store.statements import row_of, take_numbers
from cxbridge.core.store.tx import Tx

_deliveries = schema.deliveries.c
_fields = [_deliveries[name] for name in Delivery.__struct_fields__]
_whole = sa.select(*_fields)
# Statements are built once: putting one together costs more than SQLite takes to answer it.
_add = Prepared(sa.insert(schema.deliveries), columns=("seq", *Delivery.__struct_fields__))
_one = Prepared(_whole.where(_deliveries.id == sa.bindparam("delivery")))
# What is settled when a delivery is planned is never written again, nor are the indexes on it.
_MOVES = ("state", "attempts", "looked", "not_before", "sent_at", "settled_at", "error", "error_code")
_update = Prepared(
    sa.update(schema.deliveries)
    .where(_deliveries.id == sa.bindparam("delivery"))
    .values({name: sa.bindparam(name) for name in _MOVES})
)
# What is done keeps the times and counts that it was marked with, and so its place in the indexes on them.
_SETTLES = ("state", "settled_at", "error", "error_code")
_settle = Prepared(
    sa.update(schema.deliveries)
    .where(_deliveries.id == sa.bindparam("delivery"))
    .values({name: sa.bindparam(name) for name in _SETTLES})
)
_claim = Prepared(
    sa.update(schema.deliveries)
    .where(_deliveries.id == sa.bindparam("delivery"), _deliveries.state == sa.bindparam("stands"))
    .values({name: sa.bindparam(name) for name in ("state", "attempts", "sent_at")})
)
_of_run = Prepared(_whole.where(_deliveries.run == sa.bindparam("run")).order_by(_deliveries.seq))
_unsettled = Among(
    _deliveries.run,
    # Not by the index of states, in which all that is open or dead stands.
    lambda among: _whole.where(among, schema.among(_deliveries.state.concat(""), UNSETTLED_DELIVERIES)).order_by(
        _deliveries.seq
    ),
)
_by_marker = Among(
    _deliveries.marker,
    lambda among: _whole.where(_deliveries.connection == sa.bindparam("connection"), among).order_by(_deliveries.seq),
)
_state_of = Among(_deliveries.id, sa.select(_deliveries.id, _deliveries.state).where)
# Those of a recipe that are due and would be sent, but for one kind of step.
_put_off = Prepared(
    sa.update(schema.deliveries)
    .where(
        _deliveries.connection == sa.bindparam("at_connection"),
        _deliveries.recipe == sa.bindparam("of_recipe"),
        schema.open_deliveries,
        schema.among(_deliveries.state, ("planned", "retry")),
        _deliveries.not_before <= sa.bindparam("now"),
        _deliveries.step != sa.bindparam("but"),
    )
    .values({name: sa.bindparam(name) for name in ("state", "not_before", "error", "error_code")})
)
_sent_since = Prepared(
    sa.select(sa.func.count()).where(
        _deliveries.recipe == sa.bindparam("recipe"), _deliveries.sent_at >= sa.bindparam("since")
    )
)
_in_state = _whole.where(schema.unsettled_deliveries, _deliveries.state == sa.bindparam("state")).order_by(
    _deliveries.seq
)
_interrupted = Prepared(_in_state)
_interrupted_at = Prepared(_in_state.where(_deliveries.connection == sa.bindparam("connection")))
_older = schema.deliveries.alias("older")

# States in which the pusher can do something about a delivery.
_SENDABLE: tuple[DeliveryState, ...] = ("planned", "retry", "unknown")
# The oldest open delivery of its order key, in such a state.
_head = sa.and_(
    schema.open_deliveries,
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


def _due_by(head: sa.ColumnElement[bool]) -> Prepared:
    here = _deliveries.connection == sa.bindparam("connection")
    ready = _whole.where(here, head, _deliveries.not_before <= sa.bindparam("now"))
    return Prepared(ready.order_by(_deliveries.seq).limit(sa.bindparam("limit")))


def _next_due_by(head: sa.ColumnElement[bool]) -> Prepared:
    here = _deliveries.connection == sa.bindparam("connection")
    return Prepared(sa.select(sa.func.min(_deliveries.not_before)).where(here, head))


_due, _next_due = _due_by(_head), _next_due_by(_head)


def add(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries; the order of the calls, and within a call, is the order in which they may be sent."""
    if deliveries:
        first = take_numbers(tx, "delivery", len(deliveries))
        rows = [{**row_of(delivery), "seq": seq} for seq, delivery in enumerate(deliveries, first)]
        _add.run_all(tx.connection, rows)


def update(tx: Tx, delivery: Delivery) -> None:
    """Write how a stored delivery stands now; what it does, to what, and its place in the order stay as they were planned.

    Raises:
        LookupError: no delivery of this id is stored.
    """
    if not _update.run(tx.connection, _moved(delivery)):
        raise LookupError(f"delivery {delivery.id} is not stored")


def settle(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Write that deliveries are done: state, when it was settled, and error, which is none. The rest stays as it is stored.

    Raises:
        LookupError: one of them is not stored.
    """
    rows = [{"delivery": one.id, **{name: getattr(one, name) for name in _SETTLES}} for one in deliveries]
    if rows and _settle.run_all(tx.connection, rows) != len(rows):
        raise LookupError(f"not all of these deliveries are stored: {', '.join(one.id for one in deliveries)}")


def update_all(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    """Write how many stored deliveries stand now, as `update` does with one."""
    if deliveries:
        _update.run_all(tx.connection, [_moved(delivery) for delivery in deliveries])


def claim(tx: Tx, some: Sequence[tuple[Delivery, DeliveryState]]) -> set[str]:
    """Mark deliveries as sent, each with the state in which it was read; gives the ids of those that were.

    One that no longer stands as it was read is left as it is.
    """
    if len(some) > 1:
        # Nobody else writes meanwhile.
        now = dict(_state_of.rows(tx.connection, [one.id for one, _ in some]))
        some = [(one, stands) for one, stands in some if now.get(one.id) == stands]
    rows: list[dict[str, Any]] = [
        {"delivery": one.id, "stands": stands, "state": one.state, "attempts": one.attempts, "sent_at": one.sent_at}
        for one, stands in some
    ]
    met = _claim.run_all(tx.connection, rows) if rows else 0
    if met not in (0, len(rows)):
        raise RuntimeError(f"of {len(rows)} deliveries that stood as they were read, {met} could be marked")
    return {one.id for one, _ in some} if met else set()


def put_off(tx: Tx, connection: str, recipe: str, *, now: datetime, until: datetime, why: str, but: str) -> int:
    """Have all of a recipe's deliveries that are due at a connection wait, but for those of the step `but`; gives how many.

    None counts as tried by that.
    """
    row = {"at_connection": connection, "of_recipe": recipe, "now": now, "but": but}
    row |= {"state": "retry", "not_before": until, "error": why, "error_code": "waits"}
    return _put_off.run(tx.connection, row)


def get(tx: Tx, delivery_id: str) -> Delivery | None:
    """Read one delivery."""
    return next(iter(_one.structs(tx.connection, Delivery, {"delivery": delivery_id})), None)


def due(tx: Tx, connection: str, now: datetime, limit: int) -> list[Delivery]:
    """Read what may be sent or looked up now, oldest first: planned, retry or unknown with `not_before` reached.

    At most one per order key, the oldest that is open: one that is held, sent or not due keeps all behind it waiting.
    """
    return _due.structs(tx.connection, Delivery, {"connection": connection, "now": now, "limit": limit})


def next_due(tx: Tx, connection: str) -> datetime | None:
    """Give the earliest `not_before` of what `due` gives now or later without another change."""
    found: datetime | None = _next_due.scalar(tx.connection, {"connection": connection})
    return found


def connections_due(tx: Tx, connections: Collection[str], now: datetime) -> set[str]:
    """Name those of the connections for which `due` would give something."""
    return {name for name in connections if due(tx, name, now, 1)}


def interrupted(tx: Tx, connection: str | None = None) -> list[Delivery]:
    """Read the deliveries in state `sent`, oldest first: after a crash nobody waits for their answers any more."""
    if connection is None:
        return _interrupted.structs(tx.connection, Delivery, {"state": "sent"})
    return _interrupted_at.structs(tx.connection, Delivery, {"state": "sent", "connection": connection})


def under_way(tx: Tx, target: Ref) -> list[Delivery]:
    """Read the deliveries to an entity that may have been done without our knowing: sent, or in doubt."""
    order_key = _deliveries.order_key == str(target)
    query = _whole.where(_deliveries.connection == target.connection, order_key, schema.open_deliveries)
    return [one for one in _read(tx.connection.execute(query)) if one.state in ("sent", "unknown")]


def of_run(tx: Tx, run: str) -> list[Delivery]:
    """Read a run's deliveries in their order."""
    return _of_run.structs(tx.connection, Delivery, {"run": run})


def unsettled(tx: Tx, of_runs: Collection[str]) -> dict[str, list[Delivery]]:
    """Read those deliveries of some runs that are open or dead letters, in their order: of a long run nearly all are over.

    A run without any is left out.
    """
    found: dict[str, list[Delivery]] = {}
    for one in _unsettled.structs(tx.connection, Delivery, sorted(of_runs)):
        found.setdefault(one.run, []).append(one)
    return found


def by_marker(tx: Tx, connection: str, markers: Collection[str]) -> list[Delivery]:
    """Find the deliveries that planted one of these markers, oldest first."""
    return _by_marker.structs(tx.connection, Delivery, sorted(markers), {"connection": connection})


def find(
    tx: Tx,
    *,
    state: DeliveryState | None = None,
    recipe: str | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """Read deliveries, newest first.

    Those of a recipe, and those that are over, are looked for among all; those that are not over are known by their state.
    """
    query = _whole.order_by(_deliveries.seq.desc()).limit(limit)
    if state is not None:
        query = query.where(_deliveries.state == state)
    if state in UNSETTLED_DELIVERIES:
        query = query.where(schema.unsettled_deliveries)
    if recipe is not None:
        query = query.where(_deliveries.recipe == recipe)
    return _read(tx.connection.execute(query))


def sent_since(tx: Tx, recipe: str, since: datetime) -> int:
    """Count a recipe's deliveries that were last sent at or after `since`."""
    return int(_sent_since.scalar(tx.connection, {"recipe": recipe, "since": since}) or 0)


def unsettled_counts(tx: Tx) -> dict[tuple[str, DeliveryState], int]:
    """Count the deliveries that are open or dead letters, per (connection, state)."""
    by = (_deliveries.connection, _deliveries.state)
    rows = tx.connection.execute(sa.select(*by, sa.func.count()).where(schema.unsettled_deliveries).group_by(*by))
    return {(connection, state): number for connection, state, number in rows}


def _moved(delivery: Delivery) -> dict[str, Any]:
    return {"delivery": delivery.id, **{name: getattr(delivery, name) for name in _MOVES}}


def _read(rows: sa.CursorResult[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in rows.mappings()]
