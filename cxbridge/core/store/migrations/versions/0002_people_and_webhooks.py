"""Webhooks, questions to people, the ledger of asks, identity, long budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

tells = "tables for webhooks, questions to people, the ledger of asks, identity and long budgets; an index over waiting runs"
expands = True
# Programs up to 0002 know no mark: they refuse whatever is newer than they are.
oldest_program = "0002"
touches = ("runs",)

# Spelled out rather than imported: a revision must stay as it was when the code moves on.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    _partial("ix_runs_waking", "runs", ["wake_at", "id"], "wake_at IS NOT NULL")
    _webhooks()
    _people()
    _identity()
    op.create_table(
        "quotas",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", "name", name="pk_quotas"),
    )


def _webhooks() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("connection", NAME, nullable=False),
        sa.Column("event_id", NAME, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("announced", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("done_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sa.UniqueConstraint("connection", "event_id", name="uq_inbox_connection_event_id"),
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"])
    _partial("ix_inbox_open", "inbox", ["connection", "id"], "done_at IS NULL")
    op.create_table(
        "announcements",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", "stream", "key", name="pk_announcements"),
    )


def _people() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", NAME, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("step", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("quorum", sa.Integer, nullable=False),
        sa.Column("answers", sa.Text, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("decided_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.UniqueConstraint("run", "step", name="uq_approvals_run_step"),
    )
    op.create_index("ix_approvals_state_id", "approvals", ["state", "id"])
    op.create_table(
        "asks",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("person", NAME, nullable=False),
        sa.Column("purpose", NAME, nullable=False),
        sa.Column("programme", NAME, nullable=False),
        sa.Column("recipe", NAME, nullable=False),
        sa.Column("run", NAME, nullable=False),
        sa.Column("step", NAME, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_asks"),
        sa.UniqueConstraint("run", "step", "person", name="uq_asks_run_step_person"),
    )
    op.create_index("ix_asks_person_at", "asks", ["person", "at"])


def _identity() -> None:
    op.create_table(
        "identity_keys",
        sa.Column("key", NAME, nullable=False),
        sa.Column("ref", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.PrimaryKeyConstraint("key", "ref", name="pk_identity_keys"),
    )
    op.create_index("ix_identity_keys_ref", "identity_keys", ["ref"])
    op.create_table(
        "matches",
        sa.Column("left", NAME, nullable=False),
        sa.Column("right", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("decided_by", NAME, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("left", "right", name="pk_matches"),
    )
    op.create_index("ix_matches_right", "matches", ["right"])
    op.create_index("ix_matches_state_kind_score", "matches", ["state", "kind", "score"])
