"""What several workers have to do, and when; an entry stands until its job was done, whoever dies over it.

It knows nothing of what a job does. `owner` names the lease under which the job is done.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Dialect, Prepared
from cxbridge.core.store.statements import AnyInsert, ignoring, insert
from cxbridge.core.store.tx import Tx

_agenda = schema.agenda.c


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One job to be done; `stamp` tells whether it was asked for again since, and is 0 where nobody ever asked for it."""

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


def of_owner(tx: Tx, owner: str) -> list[Entry]:
    """Read what is to be done under an owner, the next one first."""
    return _of_owner.structs(tx.connection, Entry, {"which": owner})


def owners_due(tx: Tx, now: datetime) -> dict[str, datetime]:
    """Name the owners under which something is due, each with since when."""
    return dict(_owners_due.rows(tx.connection, {"now": now}))


def ended(tx: Tx, entry: Entry, again_at: datetime | None) -> None:
    """Note that a job was done: it comes again then, or leaves the agenda; unless it was asked for again meanwhile.

    Of one that was done without having been entered the entry has stamp 0.
    """
    if again_at is None:
        _gone.run(tx.connection, {"which": entry.job, "same": entry.stamp})
    else:
        row = {"job": entry.job, "owner": entry.owner, "due_at": again_at, "stamp": entry.stamp}
        _again.run(tx.connection, row)


def _enter(tx: Tx, job: str, owner: str, at: datetime, *, asked: int) -> None:
    # What is asked for anew counts from 1, so that it is told from what was done without standing here.
    _entering.run(tx.connection, {"job": job, "owner": owner, "due_at": at, "stamp": asked})


_COLUMNS = ("job", "owner", "due_at", "stamp")
_of_owner = Prepared(
    sa.select(_agenda.job, _agenda.owner, _agenda.due_at, _agenda.stamp)
    .where(_agenda.owner == sa.bindparam("which"))
    .order_by(_agenda.due_at, _agenda.job)
)
_owners_due = Prepared(
    sa.select(_agenda.owner, sa.func.min(_agenda.due_at))
    .where(_agenda.due_at <= sa.bindparam("now"))
    .group_by(_agenda.owner)
)
_gone = Prepared(
    sa.delete(schema.agenda).where(_agenda.job == sa.bindparam("which"), _agenda.stamp == sa.bindparam("same"))
)


def _entered(dialect: Dialect) -> AnyInsert:
    made = insert(dialect, schema.agenda)
    new = made.excluded
    earlier = sa.case((new.due_at < _agenda.due_at, new.due_at), else_=_agenda.due_at)
    return made.on_conflict_do_update(
        index_elements=["job"], set_={"owner": new.owner, "due_at": earlier, "stamp": _agenda.stamp + new.stamp}
    )


def _coming_again(dialect: Dialect) -> AnyInsert:
    made = insert(dialect, schema.agenda)
    new = made.excluded
    return made.on_conflict_do_update(
        index_elements=["job"], set_={"due_at": new.due_at}, where=_agenda.stamp == new.stamp
    )


_entering = Prepared(_entered, columns=_COLUMNS)
_again = Prepared(_coming_again, columns=_COLUMNS)
