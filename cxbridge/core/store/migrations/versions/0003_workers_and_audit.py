"""Leases and the agenda of several workers, holds and breakers that outlive a process, the audit chain."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

tells = "tables for several workers, for what vendors asked to wait with, and for the audit chain"
expands = True
# The program of 0002 knows no mark, and refuses whatever is newer than it is; from here on one may work beside the next.
oldest_program = "0003"
touches: tuple[str, ...] = ()

# Spelled out rather than imported: a revision must stay as it was when the code moves on.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", NAME, nullable=False),
        sa.Column("worker", NAME, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "agenda",
        sa.Column("job", NAME, nullable=False),
        sa.Column("owner", NAME, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_agenda"),
    )
    op.create_index("ix_agenda_due_at", "agenda", ["due_at"])
    op.create_index("ix_agenda_owner_due_at", "agenda", ["owner", "due_at"])
    op.create_table(
        "holds",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("bucket", NAME, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", "bucket", name="pk_holds"),
    )
    op.create_table(
        "breakers",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("connection", name="pk_breakers"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", SERIAL, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("what", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
