"""How alembic runs the revisions on a connection that it is handed; it opens none."""

from alembic import context

from cxbridge.core.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
