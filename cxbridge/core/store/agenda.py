"""What several workers have to do, and when; an entry stands until its job was done, whoever dies over it.

It knows nothing of what a job does. `owner` names the lease under which the job is done.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.statements import ignoring, insert
from cxbridge.core.store.tx import Tx

_agenda = schema.agenda.c


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One job to be done; `stamp` tells whether it was asked for again since."""

    job: str
    owner: str
    due_at: datetime
    stamp: int


def ask(tx: Tx, job: str, owner: str, at: datetime) -> None:
    """Have a job done at that time or earlier; one that is under way is done once more afterwards."""
    _enter(tx, job, owner, at, asked=1)


def remind(tx: Tx, job: str, owner: str, at: datetime) -> None:
    """Have a job done at that time or earlier; one that is under way by then is not done again for it."""
    _enter(tx, job, owner, at, asked=0)


def open_with(tx: Tx, jobs: Iterable[tuple[str, str]], at: datetime) -> None:
    """Enter the jobs and their owners that do not stand here yet."""
    rows = [{"job": job, "owner": owner, "due_at": at, "stamp": 0} for job, owner in sorted(set(jobs))]
    if rows:
        tx.connection.execute(ignoring(tx.dialect, schema.agenda, "job"), rows)


def due(tx: Tx, owner: str, now: datetime) -> list[Entry]:
    """Read what is due under an owner, the longest due first."""
    rows = tx.connection.execute(
        sa.select(schema.agenda)
        .where(_agenda.owner == owner, _agenda.due_at <= now)
        .order_by(_agenda.due_at, _agenda.job)
    )
    return [Entry(**row) for row in rows.mappings()]


def owners_due(tx: Tx, now: datetime) -> dict[str, datetime]:
    """Name the owners under which something is due, each with since when."""
    rows = tx.connection.execute(
        sa.select(_agenda.owner, sa.func.min(_agenda.due_at).label("since"))
        .where(_agenda.due_at <= now)
        .group_by(_agenda.owner)
    )
    return {row.owner: row.since for row in rows}


def ended(tx: Tx, entry: Entry, again_at: datetime | None) -> None:
    """Note that a job was done: it comes again then, or leaves the agenda; unless it was asked for again meanwhile."""
    same = sa.and_(_agenda.job == entry.job, _agenda.stamp == entry.stamp)
    if again_at is None:
        tx.connection.execute(sa.delete(schema.agenda).where(same))
    else:
        tx.connection.execute(sa.update(schema.agenda).where(same).values(due_at=again_at))


def _enter(tx: Tx, job: str, owner: str, at: datetime, *, asked: int) -> None:
    made: Any = insert(tx.dialect, schema.agenda)
    earlier = sa.case((made.excluded.due_at < _agenda.due_at, made.excluded.due_at), else_=_agenda.due_at)
    tx.connection.execute(
        made.on_conflict_do_update(
            index_elements=["job"],
            set_={"owner": made.excluded.owner, "due_at": earlier, "stamp": _agenda.stamp + asked},
        ),
        {"job": job, "owner": owner, "due_at": at, "stamp": 0},
    )
