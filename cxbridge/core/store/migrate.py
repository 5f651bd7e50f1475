"""Bringing the tables to this program's revision, or telling in words why not; it holds no table's shape."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import schema, sqlite

_MIGRATIONS = Path(__file__).parent / "migrations"


def stands(engine: Engine, place: str) -> bool:
    """Tell whether the tables are there and fit this program; writes nothing.

    Raises:
        ConfigError: a newer program made the tables, or they are not ours.
        StoreError: they are older than this program's.
    """
    with engine.connect() as connection:
        found = _revision(connection, place)
    if found not in (None, schema.REVISION):
        raise StoreError(
            f"{place} has tables of revision {found}, older than this program's: they are upgraded when the store is "
            "opened for writing, so start the daemon or a pull first"
        )
    return found is not None


def bring_up(engine: Engine, place: str) -> None:
    """See that the tables fit this program; make or upgrade them in one transaction where they do not.

    Raises:
        ConfigError: a newer program made the tables, or they are not ours.
    """
    with engine.connect() as connection:
        if _revision(connection, place) == schema.REVISION:
            return
        connection.rollback()
        lite = connection.dialect.name == "sqlite"
        if lite:
            # Rebuilding a table drops it, which would empty those that point at it. Has no effect inside a transaction.
            _pragma(connection, "foreign_keys = OFF")
        with connection.begin():
            # Another process may have been here while this one waited for the lock.
            if _revision(connection, place) != schema.REVISION:
                upgrade(connection)
            if lite:
                connection.exec_driver_sql(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise StoreError(f"{place} could not be upgraded: rows would point at nothing; it stays as it was")
        if lite:
            _pragma(connection, "foreign_keys = ON")


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision, inside the transaction of `connection`."""
    # Loaded only here: the usual start finds the tables in order and need not pay for it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(connection: Connection, place: str) -> str | None:
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        lite = connection.dialect.name == "sqlite"
        strange = tables if lite else tables & set(schema.metadata.tables)
        if strange:
            raise ConfigError(f"{place} holds tables of another program: give cxbridge a database of its own")
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is None:
        return None
    if not str(found).isdigit():
        raise ConfigError(f"{place} holds tables of another program: give cxbridge a database of its own")
    if int(found) > int(schema.REVISION):
        raise ConfigError(
            f"{place} has tables of revision {found}, but this program knows only {schema.REVISION}: "
            "install the newer cxbridge that made them, or restore the backup from before the upgrade"
        )
    return str(found)


def _pragma(connection: Connection, words: str) -> None:
    # Past SQLAlchemy, which would open a transaction first.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {words}")
    cursor.close()
