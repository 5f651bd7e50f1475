"""Who may do what only one process at a time may do, such as speaking to a connection; what is done, it does not know.

A lease lasts for a while and is renewed by its holder. Whoever takes it over after that gets a higher fence: what the earlier
holder still tries to write is refused by `check`. All times are the database's own, so that no machine's clock matters.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.store import schema
from cxbridge.core.store.columns import from_micros
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.statements import ignoring
from cxbridge.core.store.tx import Tx

_leases = schema.leases.c
# The weakest lock that `take` waits for; renewing goes on beside it.
_check = Prepared(
    sa.select(_leases.fence, _leases.worker)
    .where(_leases.name == sa.bindparam("which"))
    .with_for_update(read=True, key_share=True)
)
_POSTGRESQL_NOW = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
_SQLITE_NOW = sa.text("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000000.0) AS INTEGER)")


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker holds; `until` is when it lapses unless it is renewed."""

    name: str
    worker: str
    fence: int
    until: datetime


class LostLeaseError(StoreError):
    """Another worker has taken over meanwhile: nothing more may be written here under that lease."""


def now(tx: Tx) -> datetime:
    """Give the time by the database's clock."""
    return from_micros(int(tx.connection.scalar(_SQLITE_NOW if tx.dialect == "sqlite" else _POSTGRESQL_NOW) or 0))


def take(tx: Tx, name: str, worker: str, lasting: timedelta) -> Lease | None:
    """Take a lease that nobody holds, or whose time is over; None where another worker holds it."""
    moment = now(tx)
    held = tx.connection.execute(
        # Waits for whoever is about to commit under it, so that nothing of theirs is stored after it was taken over.
        sa.select(schema.leases).where(_leases.name == name).with_for_update()
    ).first()
    row = {"name": name, "worker": worker, "fence": 1, "until": moment + lasting}
    if held is None:
        made = tx.connection.execute(ignoring(tx.dialect, schema.leases, "name"), row)
        return Lease(**row) if made.rowcount else None  # type: ignore[arg-type]  # the row is the lease's fields
    if held.until > moment and held.worker != worker:
        return None
    row["fence"] = held.fence + 1
    tx.connection.execute(sa.update(schema.leases).where(_leases.name == name).values(**row))
    return Lease(**row)  # type: ignore[arg-type]  # the same


def renew(tx: Tx, held: Iterable[Lease], lasting: timedelta) -> set[str]:
    """Let leases last on; names those that are still held."""
    until = now(tx) + lasting
    kept = set()
    # In one order, so that two who renew at once do not wait for each other.
    for lease in sorted(held, key=lambda one: one.name):
        done = tx.connection.execute(
            sa.update(schema.leases)
            .where(_leases.name == lease.name, _leases.fence == lease.fence, _leases.worker == lease.worker)
            .values(until=until)
        )
        if done.rowcount:
            kept.add(lease.name)
    return kept


def let_go(tx: Tx, lease: Lease) -> None:
    """End a lease, if it is still held; a renewal that is under way at the same moment does not bring it back."""
    tx.connection.execute(
        sa.update(schema.leases)
        .where(_leases.name == lease.name, _leases.fence == lease.fence, _leases.worker == lease.worker)
        .values(until=now(tx), worker="")
    )


def check(tx: Tx, lease: Lease) -> None:
    """See that a lease is still held, and keep it from being taken over until this transaction ends.

    Raises:
        LostLeaseError: it is not.
    """
    held = _check.first(tx.connection, {"which": lease.name})
    if held is None or held != (lease.fence, lease.worker):
        raise LostLeaseError(f"another worker has taken over {lease.name}: what was under way here is left to it")


def living(tx: Tx) -> list[Lease]:
    """Read the leases that have not lapsed, by name."""
    rows = tx.connection.execute(sa.select(schema.leases).where(_leases.until > now(tx)).order_by(_leases.name))
    return [Lease(**row) for row in rows.mappings()]
