"""What webhooks brought, and which entities they announced; whether a delivery was the vendor's is not decided here.

A row of the inbox is a vendor's delivery, stored before the vendor was answered, and kept as the memory of its event id. In
`announcements` stand, beside the entities by key: under the key `""` since when a stream is announced at all, under `STREAM*` when
a delivery last named a stream without a key, and under `STREAM?` the changes of which nobody has told us yet.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import Ref
from cxbridge.core.store import receipts, schema
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.statements import chunks, ignoring, replacing
from cxbridge.core.store.tx import Tx
from cxbridge.core.webhooks import Nudge

_inbox = schema.inbox.c
_told = schema.announcements.c
_open = _inbox.done_at.is_(None)
_waiting = sa.select(_inbox.id, _inbox.connection, _inbox.received_at, _inbox.announced)
_behind = _waiting.where(_open, _inbox.id > sa.bindparam("after")).order_by(_inbox.id).limit(sa.bindparam("most"))
_waiting_for_all = Prepared(_behind)
_waiting_for_one = Prepared(_behind.where(_inbox.connection == sa.bindparam("which")))
_done = Prepared(
    sa.update(schema.inbox)
    .where(_inbox.id == sa.bindparam("row"), _open)
    .values(done_at=sa.bindparam("at"), body=sa.bindparam("nothing"))
)
_add_if_new = Prepared(
    lambda dialect: ignoring(dialect, schema.inbox, "connection", "event_id"),
    columns=("connection", "event_id", "received_at", "announced", "body"),
)
_KEYS = ("connection", "stream", "key")
_put_if_new = Prepared(
    lambda dialect: ignoring(dialect, schema.announcements, *_KEYS), columns=schema.announcements.c.keys()
)
_put_over = Prepared(
    lambda dialect: replacing(dialect, schema.announcements, *_KEYS), columns=schema.announcements.c.keys()
)
_at_stream = (_told.connection == sa.bindparam("connection"), _told.stream == sa.bindparam("stream"))
_streams = sa.select(_told.stream, _told.at).where(
    _told.connection == sa.bindparam("connection"), _told.key == "", ~_told.stream.endswith("*", autoescape=True)
)
_doubtful = sa.select(_told.key, _told.at).where(*_at_stream, _told.at <= sa.bindparam("before"))
_settled = sa.delete(schema.announcements).where(*_at_stream, _told.at <= sa.bindparam("before"))
_named = sa.select(_told.at).where(*_at_stream, _told.key == "")
_among_keys = sa.select(_told.key, _told.at).where(*_at_stream, _told.key.in_(sa.bindparam("keys", expanding=True)))

# Vendors stamp by their own clocks, and some to the second only.
_SKEW = timedelta(seconds=5)
# Between our call and its receipt lies at most the time the vendor took.
_OWN = timedelta(seconds=60)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery to be stored; `announced` is JSON, `nudges` are what it asks to look at."""

    connection: str
    event_id: str
    received_at: datetime
    announced: msgspec.Raw
    nudges: Sequence[Nudge] = ()
    body: bytes = b""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is not worked off."""

    id: int
    connection: str
    received_at: datetime
    announced: Any


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came in for a connection, as far back as event ids are kept."""

    deliveries: int
    waiting: int
    last_at: datetime


def add(tx: Tx, arrivals: Sequence[Arrival]) -> list[bool]:
    """Store deliveries and what they announce; tells for each whether it is new. A known event id changes nothing."""
    new = [_add_if_new.run(tx.connection, _row(one)) > 0 for one in arrivals]
    told: dict[tuple[str, str, str], datetime] = {}
    begun: dict[tuple[str, str, str], datetime] = {}
    for one, is_new in zip(arrivals, new, strict=True):
        for nudge in one.nudges if is_new else ():
            told[(one.connection, *_place(nudge))] = one.received_at
            begun.setdefault((one.connection, nudge.stream, ""), one.received_at)
    _put(tx, _put_if_new, begun)
    _put(tx, _put_over, told)
    return new


def waiting(tx: Tx, after: int = 0, limit: int = 500, *, connection: str | None = None) -> list[Waiting]:
    """Read what is not worked off behind a row's id, oldest first: of one connection, or of all."""
    asked = {"after": after, "most": limit}
    if connection is None:
        return _waiting_for_all.structs(tx.connection, Waiting, asked)
    return _waiting_for_one.structs(tx.connection, Waiting, {**asked, "which": connection})


def saying(tx: Tx, words: str, after: int = 0, limit: int = 500) -> list[Waiting]:
    """Read what is not worked off and whose `announced` holds these words, behind a row's id, oldest first."""
    holds = sa.type_coerce(_inbox.announced, sa.Text).contains(words, autoescape=True)
    query = _waiting.where(_open, _inbox.id > after, holds).order_by(_inbox.id).limit(limit)
    return [Waiting(**row) for row in tx.connection.execute(query).mappings()]


def get(tx: Tx, row: int) -> Waiting | None:
    """Read one delivery, unless it is worked off."""
    found = tx.connection.execute(_waiting.where(_open, _inbox.id == row)).mappings().first()
    return None if found is None else Waiting(**found)


def keep(tx: Tx, row: int, announced: Any) -> None:
    """Write anew what is left to do of a delivery."""
    tx.connection.execute(sa.update(schema.inbox).where(_inbox.id == row).values(announced=announced))


def done(tx: Tx, rows: Collection[int], at: datetime) -> None:
    """Mark deliveries as worked off. Their event ids stay, their bodies go: they hold what people wrote."""
    if rows:
        _done.run_all(tx.connection, [{"row": row, "at": at, "nothing": b""} for row in sorted(rows)])


def forget(tx: Tx, before: datetime) -> int:
    """Remove what was worked off and came before that time, and announcements as old; gives how many deliveries."""
    gone = tx.connection.execute(sa.delete(schema.inbox).where(_inbox.received_at < before, ~_open)).rowcount
    # Since when a stream is announced is not forgotten.
    tx.connection.execute(sa.delete(schema.announcements).where(_told.at < before, _told.key != ""))
    return int(gone)


def heard(tx: Tx) -> dict[str, Heard]:
    """Count deliveries per connection."""
    rows = tx.connection.execute(
        sa.select(
            _inbox.connection,
            sa.func.count(),
            sa.func.count().filter(_open),
            sa.func.max(_inbox.received_at),
        ).group_by(_inbox.connection)
    )
    return {name: Heard(deliveries=all_, waiting=left, last_at=last) for name, all_, left, last in rows}


def announced_streams(tx: Tx, connection: str) -> dict[str, datetime]:
    """Name the streams of a connection that webhooks announce, each with the time of the first one."""
    rows = tx.connection.execute(_streams, {"connection": connection})
    return {row.stream: row.at for row in rows}


def doubt(tx: Tx, connection: str, stream: str, changed: Mapping[str, datetime]) -> int:
    """Note the changes, by key with their times, that no webhook has announced; gives how many.

    What changed before the stream was first announced is passed over, and so is what we wrote ourselves: vendors need not tell
    us of that.
    """
    since = announced_streams(tx, connection).get(stream)
    if since is None:
        return 0
    left = {key: when for key, when in changed.items() if when >= since}
    left = _unannounced(tx, connection, stream, left)
    refs = {key: Ref(connection, stream, key) for key in left}
    ours = receipts.of_many(tx, refs.values(), limit=1)
    left = {
        key: when for key, when in left.items() if not any(one.at >= when - _OWN for one in ours.get(refs[key], ()))
    }
    _put(tx, _put_over, {(connection, f"{stream}?", key): when for key, when in left.items()})
    return len(left)


def missed(tx: Tx, connection: str, stream: str, before: datetime) -> int:
    """Settle the doubtful changes from before that time: those that nobody announced meanwhile were missed; gives how many."""
    which = {"connection": connection, "stream": f"{stream}?", "before": before}
    found = {row.key: row.at for row in tx.connection.execute(_doubtful, which)}
    if not found:
        return 0
    tx.connection.execute(_settled, which)
    return len(_unannounced(tx, connection, stream, found))


def _unannounced(tx: Tx, connection: str, stream: str, changed: Mapping[str, datetime]) -> dict[str, datetime]:
    at_all = tx.connection.scalar(_named, {"connection": connection, "stream": f"{stream}*"})
    left = {key: when for key, when in changed.items() if at_all is None or at_all < when - _SKEW}
    for some in chunks(sorted(left)):
        rows = tx.connection.execute(_among_keys, {"connection": connection, "stream": stream, "keys": some})
        for key, at in rows:
            if at >= left[key] - _SKEW:
                del left[key]
    return left


def _row(one: Arrival) -> dict[str, Any]:
    return {
        "connection": one.connection,
        "event_id": one.event_id,
        "received_at": one.received_at,
        "announced": one.announced,
        "body": one.body,
    }


def _place(nudge: Nudge) -> tuple[str, str]:
    return (f"{nudge.stream}*", "") if nudge.key is None else (nudge.stream, nudge.key)


def _put(tx: Tx, statement: Prepared, times: Mapping[tuple[str, str, str], datetime]) -> None:
    rows = [
        {"connection": connection, "stream": stream, "key": key, "at": at}
        for (connection, stream, key), at in sorted(times.items())
    ]
    if rows:
        statement.run_all(tx.connection, rows)
