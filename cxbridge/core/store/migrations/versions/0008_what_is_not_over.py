"""Deliveries by what is not over: fewer indexes, smaller ones, and none whose condition takes long to judge."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

tells = (
    "indexes that hold only what is not over, in place of larger ones; on SQLite the program before goes through all that was "
    "ever written where it used those"
)
expands = True
oldest_program: str | None = None
touches: tuple[str, ...] = ("runs", "deliveries")

# A list after IN, as the conditions had it, is laid out anew by SQLite for each row that is written.
OPEN = " OR ".join(f"state = '{state}'" for state in ("planned", "sent", "unknown", "retry", "held"))
UNSETTLED = f"{OPEN} OR state = 'dead'"
ACTIVE = " OR ".join(f"state = '{state}'" for state in ("running", "waiting", "held"))


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    for name in ("recipe_sent_at", "recipe_seq", "state_connection_seq", "state_seq", "open", "open_key"):
        op.drop_index(f"ix_deliveries_{name}", "deliveries")
    _partial("ix_deliveries_sent", "deliveries", ["recipe", "sent_at"], "sent_at IS NOT NULL")
    _partial("ix_deliveries_unsettled", "deliveries", ["state", "seq", "connection"], UNSETTLED)
    _partial("ix_deliveries_open", "deliveries", ["connection", "seq", "not_before", "state"], OPEN)
    _partial("ix_deliveries_open_key", "deliveries", ["connection", "order_key", "seq"], OPEN)
    op.drop_index("ix_runs_active", "runs")
    _partial("ix_runs_active", "runs", ["recipe", "part", "key", "id"], ACTIVE)
