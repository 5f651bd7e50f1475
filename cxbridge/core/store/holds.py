"""Until when nothing is sent to a connection, or against one of its budgets, over all restarts; why, it does not know."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.engine import Store
from cxbridge.core.store.statements import replacing
from cxbridge.core.store.tx import Tx

_holds = schema.holds.c
# No vendor asks for more; an end that is further away was written by a clock that was wrong.
_LONGEST = timedelta(hours=1)


class KeptHolds:
    """The holds of all connections; each call is a transaction of its own, so never inside `store.write()`.

    A store that is open for reading tells what holds and keeps nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, connection: str) -> dict[str, datetime]:
        """Give until when each budget is held; the empty name is the whole connection."""
        with self._store.read() as tx:
            return _read(tx, connection)

    def keep(self, connection: str, ends: Mapping[str, datetime], over: Mapping[str, datetime]) -> None:
        """Hold budgets until then, unless they are held for longer; end the holds of `over` that last no longer than said there.

        Durable on return. What is over by the clock is removed in passing.
        """
        if not self._store.writing:
            return
        now = self._store.clock.now()
        with self._store.write() as tx:
            kept = _read(tx, connection)
            gone = [bucket for bucket, end in kept.items() if end <= now or end <= over.get(bucket, now)]
            if gone:
                tx.connection.execute(
                    sa.delete(schema.holds).where(_holds.connection == connection, _holds.bucket.in_(gone))
                )
            later = {
                bucket: end
                for bucket, end in ends.items()
                if bucket not in kept or bucket in gone or not end <= kept[bucket] <= now + _LONGEST
            }
            if later:
                rows = [{"connection": connection, "bucket": bucket, "until": end} for bucket, end in later.items()]
                tx.connection.execute(replacing(tx.dialect, schema.holds, "connection", "bucket"), rows)


def find(tx: Tx, now: datetime) -> dict[str, dict[str, datetime]]:
    """Read what is held now, by connection and budget."""
    rows = tx.connection.execute(
        sa.select(schema.holds).where(_holds.until > now).order_by(_holds.connection, _holds.bucket)
    )
    held: dict[str, dict[str, datetime]] = {}
    for connection, bucket, until in rows:
        held.setdefault(connection, {})[bucket] = until
    return held


def _read(tx: Tx, connection: str) -> dict[str, datetime]:
    rows = tx.connection.execute(sa.select(schema.holds).where(_holds.connection == connection))
    return {row.bucket: row.until for row in rows}
