"""How alembic runs the revisions on a connection that it is handed, and keeps the mark that they set; it opens no connection."""

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import MigrationInfo

from cxbridge.core.store.migrate import OLDEST
from cxbridge.core.store.schema import metadata

# Spelled out: `meta` is what it was in the first revision.
_meta = sa.table("meta", sa.column("name"), sa.column("value", sa.LargeBinary))


def _note(ctx: Any, step: MigrationInfo, heads: Any, run_args: Any) -> None:
    """Keep the oldest program that may work on the tables from here on, in the commit that makes them so."""
    del heads, run_args
    for name in step.up_revision_ids:
        script = step.revision_map.get_revision(name)
        oldest = getattr(script, "module").oldest_program  # noqa: B009  # a script has one, a bare revision has not
        if oldest is not None:
            ctx.connection.execute(sa.delete(_meta).where(_meta.c.name == OLDEST))
            ctx.connection.execute(sa.insert(_meta).values(name=OLDEST, value=oldest.encode()))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    on_version_apply=_note,
)
with context.begin_transaction():
    context.run_migrations()
