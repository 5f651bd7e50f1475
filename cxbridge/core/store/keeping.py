"""What the log of changes need not keep for ever; a record's last change always stays.

A change goes once a later one of the same record is old enough to go itself. So whoever begins at the beginning of the log, as a
new recipe does, still meets every record, and the log of the time that is kept has no gaps.
"""

from datetime import datetime
from itertools import takewhile

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import ACTIVE_RUNS
from cxbridge.core.store import planning, schema
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.statements import many
from cxbridge.core.store.tx import Tx

# How far the log was gone through, among the planners' positions.
POSITION = "changes:kept"

_changes, _runs = schema.changes.c, schema.runs.c
_next = Prepared(
    sa.select(_changes.seq, _changes.record, _changes.at)
    .where(_changes.seq > sa.bindparam("seq"), _changes.seq <= sa.bindparam("upto"))
    .order_by(_changes.seq)
    .limit(sa.bindparam("limit"))
)
_contexts = sa.select(_runs.context).where(schema.among(_runs.state, ACTIVE_RUNS))
_drop = """DELETE FROM "changes" WHERE "record" = ? AND "seq" < ?"""


class Forgotten(msgspec.Struct, frozen=True):
    """How many changes went, and whether there may be more that are old enough."""

    gone: int = 0
    more: bool = False


def is_due(tx: Tx, before: datetime) -> bool:
    """Whether something of the log is older than that and was not gone through."""
    found = _next.first(tx.connection, {"seq": kept_from(tx), "upto": 1 << 62, "limit": 1})
    return found is not None and found[2] < before


def kept_from(tx: Tx) -> int:
    """Give the number up to which a record's changes may be gone, but for its last one; 0 where nothing ever went."""
    return planning.position(tx, POSITION) or 0


def forget(tx: Tx, before: datetime, upto: int, most: int) -> Forgotten:
    """Go on through the changes from before that time and numbered up to `upto`, so many of them, and remove what they outlived."""
    rows = _next.rows(tx.connection, {"seq": kept_from(tx), "upto": upto, "limit": most})
    old = list(takewhile(lambda row: row[2] < before, rows))
    if not old:
        return Forgotten()
    newest = {record: seq for seq, record, _ in old}
    gone = many(tx, _drop, sorted(newest.items()))
    planning.set_position(tx, POSITION, old[-1][0])
    return Forgotten(gone, len(old) == most)


def needed_by_runs(tx: Tx) -> int | None:
    """Give the first change that a run under way still looks at; None where there is none."""
    spans = (context.get("span") for (context,) in tx.connection.execute(_contexts))
    return min((span[0] for span in spans if span), default=None)
