"""The tables, their keys and their indices; it runs no statement.

Column names are the field names of the values in `cxbridge.core.ledger`, so that a row is a value's keyword arguments.
Change a table only together with a new revision in `migrations/versions` and the number in `REVISION`.
"""

from typing import Any

import sqlalchemy as sa

from cxbridge.core.ledger import ACTIVE_RUNS, OPEN_DELIVERIES, UNSETTLED_DELIVERIES
from cxbridge.core.store.columns import Blob, Json, Moment, Name, Number, RefText, Serial, Words

# The newest revision in `migrations/versions`; revisions are numbered, so that "newer than this program" can be told.
REVISION = "0008"
# A name in the table `meta`: the oldest program that may work on the tables, see `migrate`.
OLDEST = "the oldest program"

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def among(column: sa.ColumnElement[Any], values: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """Compare with literals: a partial index is used only where the query spells its condition out.

    One by one: for a list after IN in an index's condition SQLite fills a table of its own for each row that is written, which
    took two fifths of what a delivery costs it.
    """
    return sa.or_(*(column == sa.literal_column(f"'{value}'") for value in values))


def _partial(name: str, *columns: Any, where: sa.ColumnElement[bool]) -> sa.Index:
    return sa.Index(name, *columns, info={"where": where})


@sa.event.listens_for(metadata, "before_create")
def _in_its_own_words(target: sa.MetaData, connection: sa.Connection, **_: Any) -> None:
    """Say what the partial indices hold as the database at hand has it said.

    Said beforehand, for every database, it would have SQLAlchemy load all of them, only to see that they know the word.
    """
    for index in (one for table in target.tables.values() for one in table.indexes if "where" in one.info):
        index.dialect_options[connection.dialect.name]["where"] = index.info["where"]


# Numbers given out by the writer: ids of records, `seq` of changes and of deliveries. None is used twice, even after
# rows were removed: a planner's position stays true.
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("value", Number, nullable=False),
    # Moved together with `value` by every program that keeps `record_counts`: it lags where another one gave out numbers.
    sa.Column("counted", Number),
)

# `id` stands for the three texts in the tables below: their rows and indices stay small, their inserts sequential.
records = sa.Table(
    "records",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=False),
    sa.Column("connection", Name, nullable=False),
    sa.Column("stream", Name, nullable=False),
    sa.Column("key", Name, nullable=False),
    sa.Column("kind", Name, nullable=False),
    sa.Column("source_key", Name),
    sa.Column("digest", Blob, nullable=False),
    sa.Column("ordinal", Number, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("body", Blob, nullable=False),
    # By which the vendor's bytes are known again, see `cxbridge.core.imprints`; none where nobody made one.
    sa.Column("imprint", Blob),
    sa.UniqueConstraint("connection", "stream", "key"),
)
# Scans go kind by kind in ref order, and counting anew groups by (connection, stream): this index serves both. It
# names `deleted`, which is false in all of it, because SQLite would read each row to see for itself.
_partial(
    "ix_records_living",
    records.c.kind,
    records.c.connection,
    records.c.stream,
    records.c.key,
    records.c.deleted,
    where=~records.c.deleted,
)
_partial("ix_records_source_key", records.c.connection, records.c.source_key, where=records.c.source_key.is_not(None))

# How many records are not deleted, kept in the commits that make them so, see `counting`.
record_counts = sa.Table(
    "record_counts",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("stream", Name, primary_key=True),
    sa.Column("n", Number, nullable=False),
)

payloads = sa.Table(
    "payloads",
    metadata,
    sa.Column("record", Serial, sa.ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("raw", Blob, nullable=False),
)

# What bodies and payloads of a stream are packed with, see `packing`. `what` is one of the two.
dictionaries = sa.Table(
    "dictionaries",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("stream", Name, primary_key=True),
    sa.Column("what", Name, primary_key=True),
    sa.Column("id", Number, nullable=False),
    sa.Column("content", Blob, nullable=False),
    sa.Index(None, "id"),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("record", Number, sa.ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    sa.Column("op", Name, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("before", Blob),
    # A record's history in order, and "the next change of this record" for a body as of a change.
    sa.Index(None, "record", "seq"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("stream", Name, primary_key=True),
    sa.Column("cursor", Json, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("pages", Number, nullable=False),
    sa.Column("caught_up", Moment),
)

positions = sa.Table(
    "positions",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("seq", Number, nullable=False),
)

fires = sa.Table(
    "fires",
    metadata,
    sa.Column("schedule", Name, primary_key=True),
    sa.Column("due_at", Moment, primary_key=True),
    sa.Column("at", Moment, nullable=False),
)

tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("recipe", Name, primary_key=True),
    sa.Column("what", Name, primary_key=True),
    sa.Column("n", Number, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("ref", RefText),
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("left", RefText, primary_key=True),
    sa.Column("right", RefText, primary_key=True),
    sa.Column("relation", Name, primary_key=True),
    sa.Column("made_by", Name, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("state", Name, nullable=False),
    # The key finds links from the left.
    sa.Index(None, "right", "relation"),
    # Paging through one relation.
    sa.Index(None, "relation", "left", "right"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", Name, primary_key=True),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("version", Name, nullable=False),
    sa.Column("part", Name, nullable=False),
    sa.Column("key", Name, nullable=False),
    sa.Column("once", Name, nullable=False),
    sa.Column("subject", RefText, nullable=False),
    sa.Column("state", Name, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("results", Json, nullable=False),
    sa.Column("context", Json, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("hops", sa.Integer, nullable=False),
    sa.Column("wake_at", Moment),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.UniqueConstraint("recipe", "part", "once"),
    # How many runs a recipe began within the hour, and what became of those that began since a time.
    sa.Index(None, "recipe", "part", "started_at"),
    # Counting without reading a run, and the newest of a recipe in a state. The part stands last: with it further up SQLite would
    # take this index for one that finds the runs of a key.
    sa.Index(None, "recipe", "state", "id", "part"),
    # The newest runs of a recipe, in a state, of a record.
    sa.Index(None, "recipe", "id"),
    sa.Index(None, "state", "id"),
    sa.Index(None, "subject", "id"),
)
# Nearly all runs are over: this holds only those that the planner still asks for.
_partial("ix_runs_active", runs.c.recipe, runs.c.part, runs.c.key, runs.c.id, where=among(runs.c.state, ACTIVE_RUNS))
# Those that wait for a time: nearly none.
_partial("ix_runs_waking", runs.c.wake_at, runs.c.id, where=runs.c.wake_at.is_not(None))

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Name, primary_key=True),
    # The order of being planned; ids sort by time only down to the millisecond.
    sa.Column("seq", Number, nullable=False, unique=True),
    sa.Column("run", Name, nullable=False),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("step", Name, nullable=False),
    sa.Column("index", sa.Integer, nullable=False),
    sa.Column("connection", Name, nullable=False),
    sa.Column("action", Name, nullable=False),
    sa.Column("target", RefText),
    sa.Column("inputs", Json, nullable=False),
    sa.Column("marker", Name, nullable=False),
    sa.Column("order_key", Name, nullable=False),
    sa.Column("state", Name, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("looked", sa.Integer, nullable=False),
    sa.Column("not_before", Moment, nullable=False),
    sa.Column("sent_at", Moment),
    sa.Column("settled_at", Moment),
    sa.Column("error", Words, nullable=False),
    sa.Column("error_code", Name, nullable=False),
    sa.Column("hops", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index(None, "run", "seq"),
    sa.Index(None, "connection", "marker", "seq"),
)
_its = deliveries.c
open_deliveries = among(_its.state, OPEN_DELIVERIES)
unsettled_deliveries = among(_its.state, UNSETTLED_DELIVERIES)
# Nearly all deliveries are over, and each index that holds them costs whoever plans, marks and settles one.
# The limit of writes per hour.
_partial("ix_deliveries_sent", _its.recipe, _its.sent_at, where=_its.sent_at.is_not(None))
# What is not over, by state in order, and counted.
_partial("ix_deliveries_unsettled", _its.state, _its.seq, _its.connection, where=unsettled_deliveries)
# The pusher's two questions, asked at every turn: what is open here, in order; and is anything older open under this
# order key.
_partial("ix_deliveries_open", _its.connection, _its.seq, _its.not_before, _its.state, where=open_deliveries)
_partial("ix_deliveries_open_key", _its.connection, _its.order_key, _its.seq, where=open_deliveries)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("delivery", Name, nullable=False, index=True),
    sa.Column("run", Name, nullable=False),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("ref", RefText, nullable=False),
    sa.Column("role", Name, nullable=False),
    sa.Column("wrote", Json, nullable=False),
    sa.Column("source_key", Words),
    sa.Column("url", Words),
    sa.Column("version", Words),
    sa.Column("told", Words, nullable=False),
    sa.Column("changed", sa.Boolean, nullable=False),
    sa.Column("hops", sa.Integer, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("seen_seq", Number),
    sa.Index(None, "ref", "id"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("reason", Words, nullable=False),
    sa.Column("hint", Words, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("sealed", Blob, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("value", Blob, nullable=False),
)

recipe_versions = sa.Table(
    "recipe_versions",
    metadata,
    sa.Column("version", Name, primary_key=True),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

# What webhooks brought, stored before the vendor was answered. `announced` says what to look at; `done_at` when that was begun.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("connection", Name, nullable=False),
    sa.Column("event_id", Name, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("announced", Json, nullable=False),
    sa.Column("body", Blob, nullable=False),
    sa.Column("done_at", Moment),
    sa.UniqueConstraint("connection", "event_id"),
    sa.Index(None, "received_at"),
)
_partial("ix_inbox_open", inbox.c.connection, inbox.c.id, where=inbox.c.done_at.is_(None))

# When an entity was last announced by a webhook: what a pull finds without that was missed.
announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("stream", Name, primary_key=True),
    sa.Column("key", Name, primary_key=True),
    sa.Column("at", Moment, nullable=False),
)

# Questions to people. `answers` is a list of who chose what, with the form they filled in.
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", Name, primary_key=True),
    sa.Column("run", Name, nullable=False),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("step", Name, nullable=False),
    sa.Column("state", Name, nullable=False),
    sa.Column("question", Words, nullable=False),
    sa.Column("asked", Json, nullable=False),
    sa.Column("form", Json, nullable=False),
    sa.Column("quorum", sa.Integer, nullable=False),
    sa.Column("answers", Json, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("decided_at", Moment),
    sa.UniqueConstraint("run", "step"),
    sa.Index(None, "state", "id"),
)

# The ledger of contact fatigue: who was asked or written to, for what. `person` is a keyed hash of the address, never the address.
asks = sa.Table(
    "asks",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("person", Name, nullable=False),
    sa.Column("purpose", Name, nullable=False),
    sa.Column("programme", Name, nullable=False),
    sa.Column("recipe", Name, nullable=False),
    sa.Column("run", Name, nullable=False),
    sa.Column("step", Name, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.UniqueConstraint("run", "step", "person"),
    sa.Index(None, "person", "at"),
)

# What a record can be found by: `domain:northwind.test`, `email:…`, `id:…`, `name:…`.
identity_keys = sa.Table(
    "identity_keys",
    metadata,
    sa.Column("key", Name, primary_key=True),
    sa.Column("ref", RefText, primary_key=True),
    sa.Column("kind", Name, nullable=False),
    sa.Index(None, "ref"),
)

# Two records of one kind in different connections, and whether they are the same: suggested, confirmed, rejected or split.
matches = sa.Table(
    "matches",
    metadata,
    sa.Column("left", RefText, primary_key=True),
    sa.Column("right", RefText, primary_key=True),
    sa.Column("kind", Name, nullable=False),
    sa.Column("state", Name, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("evidence", Json, nullable=False),
    sa.Column("decided_by", Name, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Index(None, "right"),
    sa.Index(None, "state", "kind", "score"),
)

# What a connection has used of a budget that the vendor counts over longer than a process lives.
quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("name", Name, primary_key=True),
    sa.Column("window_start", Moment, nullable=False),
    sa.Column("used", Number, nullable=False),
)

# Who may do a thing that only one process at a time may do, such as speaking to a connection. `fence` grows with each new holder.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", Name, primary_key=True),
    sa.Column("worker", Name, nullable=False),
    sa.Column("fence", Number, nullable=False),
    sa.Column("until", Moment, nullable=False),
)

# What is to be done when, for several processes: `owner` is the lease under which it is done, `stamp` grows with each nudge.
agenda = sa.Table(
    "agenda",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("owner", Name, nullable=False),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("stamp", Number, nullable=False),
    sa.Index(None, "due_at"),
    sa.Index(None, "owner", "due_at"),
)

# Until when nothing is sent to a connection, or against one of its budgets: what a vendor asked for outlives the process it told.
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("bucket", Name, primary_key=True),
    sa.Column("until", Moment, nullable=False),
)

# Connections whose vendor failed so often that it is left alone for a while.
breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("connection", Name, primary_key=True),
    sa.Column("state", Name, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("opened_at", Moment),
    sa.Column("retry_at", Moment),
    sa.Column("reason", Words, nullable=False),
)

# One entry for each write at a vendor and each decision of a person, in the commit that records it. `mac` is over the entry and the
# `mac` before it, so that none can be altered or taken out without it showing.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", Words, nullable=False),
    sa.Column("what", Name, nullable=False),
    sa.Column("subject", Name, nullable=False),
    sa.Column("detail", Json, nullable=False),
    sa.Column("mac", Blob, nullable=False),
)
