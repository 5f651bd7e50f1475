"""Runs by recipe and state, newest first and with their part: counted, and found, without reading the others."""

from alembic import op

revision = "0007"
down_revision = "0006"

tells = "an index by which the runs of a recipe are counted and found by state, in place of one that told less"
expands = True
oldest_program: str | None = None
touches: tuple[str, ...] = ("runs",)


def upgrade() -> None:
    op.create_index("ix_runs_recipe_state_id_part", "runs", ["recipe", "state", "id", "part"])
    op.drop_index("ix_runs_recipe_state", "runs")
