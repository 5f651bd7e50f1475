"""How many records live in each stream, and up to which number they were counted."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

tells = (
    "how many records each stream has, counted once and kept from then on; after the program before was at work, "
    "they are counted once more"
)
expands = True
oldest_program: str | None = None
touches: tuple[str, ...] = ("records",)

# Spelled out rather than imported: a revision must stay as it was when the code moves on.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_records = sa.table(
    "records", sa.column("kind"), sa.column("connection"), sa.column("stream"), sa.column("deleted", sa.Boolean)
)
_counts = sa.table("record_counts", sa.column("connection"), sa.column("stream"), sa.column("n"))


def upgrade() -> None:
    op.add_column("counters", sa.Column("counted", sa.BigInteger))
    op.create_table(
        "record_counts",
        sa.Column("connection", NAME, nullable=False),
        sa.Column("stream", NAME, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection", "stream", name="pk_record_counts"),
    )
    # By kind first, which is the order of the index of the living: the rows themselves are not read.
    living = _records.c
    kinds = (
        sa.select(living.connection, living.stream, sa.func.count().label("n"))
        .where(~living.deleted)
        .group_by(living.kind, living.connection, living.stream)
        .subquery()
    )
    streams = sa.select(kinds.c.connection, kinds.c.stream, sa.cast(sa.func.sum(kinds.c.n), sa.BigInteger)).group_by(
        kinds.c.connection, kinds.c.stream
    )
    op.execute(sa.insert(_counts).from_select(["connection", "stream", "n"], streams))
    op.execute('UPDATE "counters" SET "counted" = "value"')
