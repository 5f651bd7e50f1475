"""Dead letters by the thousand: counted, read in their order, put back; who may decide that, and why, it does not know."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import ACTIVE_RUNS, Delivery, DeliveryState, Run
from cxbridge.core.store import outbox, schema
from cxbridge.core.store.statements import unsought
from cxbridge.core.store.tx import Tx

# The error code of a letter that a person had sent again and that waits until no other run of its key is under way.
TURN = "waits_turn"

_deliveries = schema.deliveries.c
_runs = schema.runs.c
_fields = [_deliveries[name] for name in Delivery.__struct_fields__]
_dead_since = sa.func.coalesce(_deliveries.settled_at, _deliveries.sent_at, _deliveries.created_at)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries are meant: dead letters, with `held` also writes in doubt. What is None narrows nothing.

    `since` and `until` are about when they died.
    """

    recipe: str | None = None
    connection: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    held: bool = False


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many letters of one recipe, connection and error code there are."""

    recipe: str
    connection: str
    code: str
    state: DeliveryState
    n: int


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """Another run of a run's key that has something to do; `begun` is False where it only waits for its turn."""

    run: str
    id: str
    begun: bool


def waits_its_turn(delivery: Delivery) -> bool:
    """Whether a letter goes out by itself when its run's turn comes."""
    return delivery.state == "dead" and delivery.error_code == TURN


def tally(tx: Tx, chosen: Chosen) -> list[Tally]:
    """Count the letters that are meant."""
    by = (_deliveries.recipe, _deliveries.connection, _deliveries.error_code, _deliveries.state)
    rows = tx.connection.execute(sa.select(*by, sa.func.count()).where(*_meant(chosen)).group_by(*by).order_by(*by))
    return [Tally(recipe=r, connection=c, code=code, state=state, n=n) for r, c, code, state, n in rows]


def batch(tx: Tx, chosen: Chosen, after: int, limit: int) -> tuple[list[Delivery], int]:
    """Read some of the letters that are meant, in the order in which they were planned, and the place to go on `after`."""
    query = sa.select(_deliveries.seq, *_fields).where(*_meant(chosen), _deliveries.seq > after)
    rows = [dict(row) for row in tx.connection.execute(query.order_by(_deliveries.seq).limit(limit)).mappings()]
    last = max((row.pop("seq") for row in rows), default=after)
    return [Delivery(**row) for row in rows], last


def newest(tx: Tx, chosen: Chosen, limit: int) -> list[Delivery]:
    """Read the letters that are meant, newest first."""
    query = sa.select(*_fields).where(*_meant(chosen)).order_by(_deliveries.seq.desc()).limit(limit)
    return [Delivery(**row) for row in tx.connection.execute(query).mappings()]


def by_id(tx: Tx, ids: Collection[str]) -> dict[str, Delivery]:
    """Read deliveries in whatever state."""
    rows = tx.connection.execute(sa.select(*_fields).where(_deliveries.id.in_(list(ids))))
    return {row["id"]: Delivery(**row) for row in rows.mappings()}


def runs_of(tx: Tx, deliveries: Sequence[Delivery]) -> dict[str, Run]:
    """Read the runs of deliveries, by id."""
    ids = list({one.run for one in deliveries})
    rows = tx.connection.execute(sa.select(schema.runs).where(_runs.id.in_(ids)))
    return {row["id"]: Run(**row) for row in rows.mappings()}


def others(tx: Tx, ids: Collection[str]) -> list[Other]:
    """Read which other runs of the same key are under way or wait for their turn, for each of these runs."""
    mine, other = schema.runs.alias("mine"), schema.runs.alias("other")
    # An outer join, so that SQLite goes from each run of ours to its key; else it may begin with all that are under way.
    found = mine.outerjoin(
        other,
        sa.and_(
            other.c.recipe == mine.c.recipe,
            other.c.part == mine.c.part,
            other.c.key == mine.c.key,
            other.c.id != mine.c.id,
            schema.among(other.c.state, ACTIVE_RUNS),
        ),
    )
    query = sa.select(mine.c.id, other.c.id, other.c.state, other.c.wake_at).select_from(found)
    return [
        Other(run=one, id=beside, begun=not (state == "waiting" and wake_at is None))
        for one, beside, state, wake_at in tx.connection.execute(query.where(mine.c.id.in_(list(ids))))
        if beside is not None
    ]


def newer_value(tx: Tx, run: Run) -> str | None:
    """Name a later run that gave the same field another value, or is about to; None for a run that gives no field a value."""
    head, _, number = run.once.rpartition("@")
    if not run.part.startswith("sync:") or not number.isdigit() or not head.endswith(run.key):
        return None
    found: str | None = tx.connection.scalar(
        sa.select(sa.func.max(_runs.id)).where(
            _runs.recipe == run.recipe,
            _runs.part == run.part,
            # A range, which the index of the unique key serves.
            _runs.once >= f"{head}@",
            _runs.once < f"{head}@\U0010ffff",
            _runs.id > run.id,
            _runs.state.in_(["done", "running", "waiting"]),
        )
    )
    return found


def take_turn(tx: Tx, mine: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Put the letters of a run whose turn has come back into the outbox; gives the deliveries that were given as they are then.

    A letter that may have been done before is looked for first: its tries were kept for that.
    """
    moved = {
        one.id: msgspec.structs.replace(
            one,
            state="unknown" if one.attempts else "planned",
            attempts=0,
            looked=0,
            not_before=now,
            settled_at=None,
            error="",
            error_code="",
        )
        for one in mine
        if waits_its_turn(one)
    }
    outbox.update_all(tx, list(moved.values()))
    return [moved.get(one.id, one) for one in mine]


def _meant(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    states: list[DeliveryState] = ["dead", "held"] if chosen.held else ["dead"]
    found: list[sa.ColumnElement[bool]] = [schema.unsettled_deliveries, _deliveries.state.in_(states)]
    for column, value in (
        (_deliveries.recipe, chosen.recipe),
        (_deliveries.connection, chosen.connection),
        (_deliveries.error_code, chosen.code),
    ):
        if value is not None:
            # By their state they are few; by anything else they would be looked for among all that was ever written.
            found.append(unsought(column) == value)
    if chosen.since is not None:
        found.append(_dead_since >= chosen.since)
    if chosen.until is not None:
        found.append(_dead_since <= chosen.until)
    return found
