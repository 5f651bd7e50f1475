"""Dictionaries that bodies and payloads are packed with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

tells = (
    "a table for dictionaries; nothing is packed before `cxbridge db compact`, so that the program before may work on"
)
expands = True
oldest_program: str | None = None
touches: tuple[str, ...] = ()

# Spelled out rather than imported: a revision must stay as it was when the code moves on.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "dictionaries",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("what", NAME, nullable=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("connection", "stream", "what", name="pk_dictionaries"),
    )
    op.create_index("ix_dictionaries_id", "dictionaries", ["id"])
