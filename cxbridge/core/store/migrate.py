"""Bringing the tables to this program's revision, or telling in words why not; it holds no table's shape.

A revision either expands or contracts. One that expands only adds what the program before it need not know of, so that this one may
work on the store beside the new one, or again after it. One that contracts names the oldest program that may still work on the
tables. That mark is kept in the store, so that a program can tell by itself whether tables newer than its own are any of its
business.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import counting, packing, schema, sqlite, working

_MIGRATIONS = Path(__file__).parent / "migrations"
# Names in the table `meta`, read before anything else is known of a store.
OLDEST = schema.OLDEST
MOVED = "moved away"
ARRIVING = "not all here yet"
BACKED_UP = "backed up"

# The table of the library that runs the revisions, as it makes it.
_revision = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One revision that is to come. `rows` says of each table whose rows it goes through how many there are now."""

    revision: str
    before: str | None
    tells: str
    expands: bool
    oldest_program: str | None
    rows: dict[str, int]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an upgrade would do. `found` is None where there are no tables yet; `oldest` is the mark once it is done."""

    found: str | None
    wanted: str
    oldest: str | None
    steps: list[Step]

    @property
    def beside(self) -> bool:
        """Whether a program of the revision that is there now may work on the store once it is upgraded."""
        return self.found is not None and self.oldest is not None and self.found >= self.oldest


def stands(engine: Engine, place: str) -> bool:
    """Tell whether the tables are there and fit this program; writes nothing.

    Raises:
        ConfigError: the tables are too new, not ours, or this is no place to work at.
        StoreError: they are older than this program's.
    """
    with engine.connect() as connection:
        found = _fitting(connection, place)
    if found is not None and int(found) < int(schema.REVISION):
        raise StoreError(
            f"{place} has tables of revision {found}, older than this program's: they are upgraded when the store is "
            "opened for writing, so start the daemon or a pull first"
        )
    return found is not None


def bring_up(engine: Engine, place: str) -> None:
    """See that the tables fit this program; make or upgrade them in one transaction where they do not.

    Records that an older program brought meanwhile are counted.

    Raises:
        ConfigError: the tables are too new, not ours, or this is no place to work at.
        StoreError: an older program is at work here, which could not go on with the upgraded tables.
    """
    with engine.connect() as connection:
        if _up_to_date(_fitting(connection, place)):
            if counting.is_behind(connection):
                connection.rollback()
                with connection.begin():
                    counting.recount(connection)
            return
        connection.rollback()
        lite = connection.dialect.name == "sqlite"
        if lite:
            # Rebuilding a table drops it, which would empty those that point at it. Has no effect inside a transaction.
            _pragma(connection, "foreign_keys = OFF")
        with connection.begin():
            # Another process may have been here while this one waited for the lock.
            found = _fitting(connection, place)
            if found is None:
                make(connection)
            elif not _up_to_date(found):
                _see_that_nobody_is_left_behind(connection, place, found)
                upgrade(connection)
            if lite:
                connection.exec_driver_sql(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise StoreError(f"{place} could not be upgraded: rows would point at nothing; it stays as it was")
        if lite:
            _pragma(connection, "foreign_keys = ON")


def make(connection: Connection) -> None:
    """Make all tables of an empty database as they are now, inside the transaction of `connection`.

    The revisions come to the same, by way of all that was, and what runs them would be loaded for that alone.
    """
    # Without looking: a table that is there already is not to be taken for ours.
    schema.metadata.create_all(connection, checkfirst=False)
    _revision.create(connection, checkfirst=True)
    connection.execute(sa.insert(_revision).values(version_num=schema.REVISION))
    # Nothing is there that an older program may have to read: what is stored is packed from the beginning.
    mark_oldest(connection, packing.SINCE)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision, inside the transaction of `connection`."""
    # Loaded only here: the usual start finds the tables in order and need not pay for it.
    from alembic import command  # noqa: PLC0415 - see above

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def plan(connection: Connection, place: str) -> Plan:
    """Say what `bring_up` would do, and count what it would go through; writes nothing.

    Raises:
        ConfigError: the tables are too new, or not ours.
    """
    found = revision_of(connection, place)
    mark = mark_of(connection, OLDEST) if found is not None else None
    oldest = mark.decode() if mark is not None else None
    steps = []
    for module in revisions(found):
        oldest = module.oldest_program or oldest
        steps.append(
            Step(
                revision=module.revision,
                before=module.down_revision,
                tells=module.tells,
                expands=module.expands,
                oldest_program=module.oldest_program,
                rows={name: _count(connection, name) for name in module.touches},
            )
        )
    return Plan(found=found, wanted=schema.REVISION, oldest=oldest, steps=steps)


def revisions(behind: str | None = None) -> Iterator[ModuleType]:
    """Go through the migrations behind a revision, oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - the usual start needs none of it

    scripts = ScriptDirectory.from_config(_config())
    found = [one for one in scripts.walk_revisions() if behind is None or int(one.revision) > int(behind)]
    for one in reversed(found):
        yield one.module


def revision_of(connection: Connection, place: str) -> str | None:
    """Read the tables' revision, None where there are no tables yet.

    Raises:
        ConfigError: they are not ours, or too new for this program.
    """
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
        mark = mark_of(connection, OLDEST)
        # Without a mark nobody says that it may be worked on.
        oldest = mark.decode() if mark is not None and mark.isdigit() else str(found)
        if int(oldest) > int(schema.REVISION):
            raise ConfigError(
                f"{place} has tables of revision {found}, which programs of revision {oldest} and newer can work on, but "
                f"this program is of revision {schema.REVISION}: install the newer cxbridge that made them, or restore the "
                "backup from before the upgrade"
            )
    return str(found)


def mark_of(connection: Connection, name: str) -> bytes | None:
    """Read one of the marks above."""
    found = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == name))
    return None if found is None else bytes(found)


def mark_oldest(connection: Connection, revision: str) -> None:
    """Let no program of an older revision work on the store any more."""
    connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == OLDEST))
    connection.execute(sa.insert(schema.meta).values(name=OLDEST, value=revision.encode()))


def set_aside(connection: Connection, place: str) -> str | None:
    """Say why nobody may work on the tables although they fit; None where nothing forbids it."""
    moved = mark_of(connection, MOVED)
    if moved is not None:
        told: dict[str, Any] = msgspec.json.decode(moved)
        return (
            f"{place} was moved to {told['to']} at {told['at']} and is left as it was then: name the new place in the "
            "settings, or take it back with `cxbridge db move --undo`"
        )
    if mark_of(connection, BACKED_UP) is not None:
        return f"{place} is a backup: what was done since is not in it, so put it back with `cxbridge restore`, which sees to that"
    if mark_of(connection, ARRIVING) is not None:
        return f"{place} is the target of a move that did not come to its end: say the same `cxbridge db move` again"
    return None


def _fitting(connection: Connection, place: str) -> str | None:
    found = revision_of(connection, place)
    refused = set_aside(connection, place) if found is not None else None
    if refused is not None:
        raise ConfigError(refused)
    return found


def _up_to_date(found: str | None) -> bool:
    return found is not None and int(found) >= int(schema.REVISION)


def _see_that_nobody_is_left_behind(connection: Connection, place: str, found: str) -> None:
    coming = [one.oldest_program for one in revisions(found) if one.oldest_program is not None]
    if not any(int(one) > int(found) for one in coming):
        return
    who = working.at_work(connection)
    if who is not None:
        raise StoreError(
            f"{place} has tables of revision {found}, and {who}, which could not go on once they are upgraded: end it, "
            "then start this program again"
        )


def _count(connection: Connection, table: str) -> int:
    found = schema.metadata.tables.get(table)
    return 0 if found is None else connection.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _config() -> Any:
    from alembic.config import Config  # noqa: PLC0415 - the usual start needs none of it

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _pragma(connection: Connection, words: str) -> None:
    # Past SQLAlchemy, which would open a transaction first.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {words}")
    cursor.close()
