"""The history of the tables, read by alembic; it holds numbered revisions, each fit to follow the last."""
