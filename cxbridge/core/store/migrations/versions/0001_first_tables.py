"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

tells = "the first tables: records and their changes, recipes' runs, the outbox, links, checkpoints"
expands = True
oldest_program = "0001"
touches: tuple[str, ...] = ()

# Spelled out rather than imported: a revision must stay as it was when the code moves on.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial(name: str, table: str, columns: list[str], where: str, sqlite: str | None = None) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(sqlite or where), postgresql_where=sa.text(where))


def upgrade() -> None:
    _pulled()
    _planned_and_pushed()
    _kept()


def _pulled() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("pages", sa.BigInteger, nullable=False),
        sa.Column("caught_up", sa.BigInteger),
        sa.PrimaryKeyConstraint("connection", "stream", name="pk_checkpoints"),
    )
    op.create_table(
        "counters",
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "records",
        sa.Column("id", SERIAL, nullable=False, autoincrement=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("source_key", NAME),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
        sa.UniqueConstraint("connection", "stream", "key", name="uq_records_connection_stream_key"),
    )
    _partial(
        "ix_records_living",
        "records",
        ["kind", "connection", "stream", "key", "deleted"],
        "NOT deleted",
        sqlite="deleted = 0",
    )
    _partial("ix_records_source_key", "records", ["connection", "source_key"], "source_key IS NOT NULL")
    op.create_table(
        "changes",
        sa.Column("seq", SERIAL, nullable=False, autoincrement=False),
        sa.Column("record", sa.BigInteger, nullable=False),
        sa.Column("op", NAME, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("before", sa.LargeBinary),
        sa.ForeignKeyConstraint(["record"], ["records.id"], name="fk_changes_record", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
    )
    op.create_index("ix_changes_record_seq", "changes", ["record", "seq"])
    op.create_table(
        "payloads",
        sa.Column("record", SERIAL, nullable=False, autoincrement=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["record"], ["records.id"], name="fk_payloads_record", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record", name="pk_payloads"),
    )


def _planned_and_pushed() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", NAME, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("step", NAME, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("target", NAME),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("marker", NAME, nullable=False),
        sa.Column("order_key", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("looked", sa.Integer, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("settled_at", sa.BigInteger),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_code", NAME, nullable=False),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("seq", name="uq_deliveries_seq"),
    )
    op.create_index("ix_deliveries_connection_marker_seq", "deliveries", ["connection", "marker", "seq"])
    _partial(
        "ix_deliveries_open",
        "deliveries",
        ["connection", "seq", "not_before", "state"],
        "state IN ('planned', 'sent', 'unknown', 'retry', 'held')",
    )
    _partial(
        "ix_deliveries_open_key",
        "deliveries",
        ["connection", "order_key", "seq"],
        "state IN ('planned', 'sent', 'unknown', 'retry', 'held')",
    )
    op.create_index("ix_deliveries_recipe_sent_at", "deliveries", ["recipe", "sent_at"])
    op.create_index("ix_deliveries_recipe_seq", "deliveries", ["recipe", "seq"])
    op.create_index("ix_deliveries_run_seq", "deliveries", ["run", "seq"])
    op.create_index("ix_deliveries_state_connection_seq", "deliveries", ["state", "connection", "seq"])
    op.create_index("ix_deliveries_state_seq", "deliveries", ["state", "seq"])
    op.create_table(
        "links",
        sa.Column("left", NAME, nullable=False),
        sa.Column("right", NAME, nullable=False),
        sa.Column("relation", NAME, nullable=False),
        sa.Column("made_by", NAME, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.PrimaryKeyConstraint("left", "right", "relation", name="pk_links"),
    )
    op.create_index("ix_links_relation_left_right", "links", ["relation", "left", "right"])
    op.create_index("ix_links_right_relation", "links", ["right", "relation"])
    op.create_table(
        "receipts",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("delivery", NAME, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("ref", NAME, nullable=False),
        sa.Column("role", NAME, nullable=False),
        sa.Column("wrote", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("changed", sa.Boolean, nullable=False),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("seen_seq", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
    )
    op.create_index("ix_receipts_delivery", "receipts", ["delivery"])
    op.create_index("ix_receipts_ref_id", "receipts", ["ref", "id"])
    op.create_table(
        "runs",
        sa.Column("id", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("part", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("once", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("results", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.Column("wake_at", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("recipe", "part", "once", name="uq_runs_recipe_part_once"),
    )
    _partial("ix_runs_active", "runs", ["recipe", "part", "key", "id"], "state IN ('running', 'waiting', 'held')")
    op.create_index("ix_runs_recipe_id", "runs", ["recipe", "id"])
    op.create_index("ix_runs_recipe_part_started_at", "runs", ["recipe", "part", "started_at"])
    op.create_index("ix_runs_recipe_state", "runs", ["recipe", "state"])
    op.create_index("ix_runs_state_id", "runs", ["state", "id"])
    op.create_index("ix_runs_subject_id", "runs", ["subject", "id"])


def _kept() -> None:
    op.create_table(
        "fires",
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("schedule", "due_at", name="pk_fires"),
    )
    op.create_table(
        "meta",
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "pauses",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", name="pk_pauses"),
    )
    op.create_table(
        "positions",
        sa.Column("name", NAME, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_positions"),
    )
    op.create_table(
        "recipe_versions",
        sa.Column("version", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_recipe_versions"),
    )
    op.create_table(
        "tallies",
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("what", NAME, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ref", NAME),
        sa.PrimaryKeyConstraint("recipe", "what", name="pk_tallies"),
    )
    op.create_table(
        "tokens",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", name="pk_tokens"),
    )
