"""Imprints, by which the vendors' bytes of stored records are known again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

tells = "a column by which records that come again unchanged are known; it is filled as they come"
expands = True
oldest_program: str | None = None
touches: tuple[str, ...] = ()


def upgrade() -> None:
    # Not in a batch, which would rebuild the table: a column that may be empty is added without going through the rows.
    op.add_column("records", sa.Column("imprint", sa.LargeBinary))
