"""That a store was put back to an earlier moment: what that makes doubtful, and how far it was caught up since; decides nothing.

Between the moment of the backup and that of the restore the daemon worked on, and what it did then is at the vendors but not here:
the lost time. Whatever was open at the backup may have been done in it. Whatever is planned anew because of what happened in it may
have been done as well: the vendors' changes of that time are pulled again, since the checkpoints went back with the store.
"""

from collections.abc import Collection
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import DeliveryState
from cxbridge.core.store import changes, schema
from cxbridge.core.store.state import meta_get, meta_set
from cxbridge.core.store.tx import Tx

# The error code of a delivery that is looked for at the vendor before it is sent.
CODE = "restored"
TOLD = "the store was put back to an earlier moment: it may have been done since, and is looked for before it is sent"
_NAME = "restored"
_MAY_BE_DONE: tuple[DeliveryState, ...] = ("planned", "retry", "sent", "unknown")

_deliveries = schema.deliveries.c


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The lost time, from `since` to `at`, and how the store stood then: `seq` is the last change it knew of.

    `epoch` names the time since, and `before` the time up to it. `caught_up` says of each connection whose streams were all read to
    their end since then which change was the last by that time; `outcomes` counts what became of what was looked for.
    """

    since: datetime
    at: datetime
    seq: int
    epoch: str
    before: str = ""
    open: int = 0
    caught_up: dict[str, int] = {}
    outcomes: dict[str, int] = {}


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore left in doubt, by connection."""

    since: datetime
    at: datetime
    doubts: dict[str, int]


def mark(tx: Tx, *, moment: datetime, now: datetime) -> Marked:
    """Note that the store, which stands as it stood at `moment`, goes on from now; what is open in it becomes a doubt."""
    doubtful = schema.unsettled_deliveries & _deliveries.state.in_(_MAY_BE_DONE)
    rows = tx.connection.execute(
        sa.select(_deliveries.connection, sa.func.count()).where(doubtful).group_by(_deliveries.connection)
    )
    doubts = {connection: int(count) for connection, count in rows}
    tx.connection.execute(
        sa.update(schema.deliveries)
        .where(doubtful)
        .values(state="unknown", looked=0, not_before=now, error=TOLD, error_code=CODE)
    )
    # Whoever held these worked on what is no more.
    tx.connection.execute(sa.update(schema.leases).values(until=datetime.fromtimestamp(0, tz=UTC)))
    earlier = read(tx)
    fresh = Mark(
        # What an earlier restore left open is looked for as far back as it has to be.
        since=moment if earlier is None else min(moment, earlier.since),
        at=now,
        seq=changes.last_seq(tx),
        epoch=f"~{int(now.timestamp()):x}",
        before="" if earlier is None else earlier.epoch,
        open=sum(doubts.values()),
    )
    _keep(tx, fresh)
    return Marked(since=fresh.since, at=now, doubts=doubts)


def read(tx: Tx) -> Mark | None:
    """Read the mark of the last restore."""
    kept = meta_get(tx, _NAME)
    return None if kept is None else msgspec.json.decode(kept, type=Mark)


def is_doubtful(code: str) -> bool:
    """Whether an error code is that of a delivery that is looked for because of a restore."""
    return code == CODE


def catch_up(tx: Tx, mark: Mark, connection: str, streams: Collection[str]) -> Mark:
    """Note a connection as caught up, once each of its streams was read to its end since the restore; gives the mark as it is."""
    if connection in mark.caught_up or not _all_read(tx, mark, connection, streams):
        return mark
    fresh = msgspec.structs.replace(mark, caught_up={**mark.caught_up, connection: changes.last_seq(tx)})
    if tx.writing:
        _keep(tx, fresh)
    return fresh


def count(tx: Tx, outcome: str) -> None:
    """Count what became of one that was looked for."""
    found = read(tx)
    if found is not None:
        outcomes = {**found.outcomes, outcome: found.outcomes.get(outcome, 0) + 1}
        _keep(tx, msgspec.structs.replace(found, outcomes=outcomes))


def waiting(tx: Tx) -> int:
    """Count those that are still to be looked for."""
    query = sa.select(sa.func.count()).where(
        schema.unsettled_deliveries, _deliveries.state == "unknown", _deliveries.error_code == CODE
    )
    return int(tx.connection.scalar(query) or 0)


def _all_read(tx: Tx, mark: Mark, connection: str, streams: Collection[str]) -> bool:
    if not streams:
        return False
    rows = tx.connection.execute(
        sa.select(schema.checkpoints.c.stream).where(
            schema.checkpoints.c.connection == connection, schema.checkpoints.c.caught_up >= mark.at
        )
    )
    return set(streams) <= {row.stream for row in rows}


def _keep(tx: Tx, mark: Mark) -> None:
    meta_set(tx, _NAME, msgspec.json.encode(mark))
