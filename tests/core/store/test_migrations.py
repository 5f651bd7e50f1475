"""Fresh schema = migrated schema, on both databases; upgrades keep what is stored."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, migrate, records, schema


@pytest.fixture
def engine(empty_url):
    made = sa.create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def shape(connection):
    """All that the database knows of its tables, comparable."""
    seen = sa.inspect(connection)
    told = {}
    for table in seen.get_table_names():
        told[table] = {
            "columns": [
                (c["name"], repr(c["type"]), c["nullable"], str(c["default"])) for c in seen.get_columns(table)
            ],
            "key": seen.get_pk_constraint(table),
            "foreign": seen.get_foreign_keys(table),
            "unique": sorted(seen.get_unique_constraints(table), key=lambda c: str(c["name"])),
            "indices": sorted((i["name"], i["column_names"], i["unique"]) for i in seen.get_indexes(table)),
        }
    return told


def definitions(connection):
    """The words that SQLite keeps, for what reflection leaves out (the condition of a partial index)."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        )
    else:
        rows = connection.exec_driver_sql("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    return {name: " ".join(words.split()) for name, words in rows}


def rows(connection):
    """All rows of all tables, but for the mark of the oldest program, which an upgrade has to set more carefully."""
    tables = sa.inspect(connection).get_table_names()
    found = {table: connection.exec_driver_sql(f'SELECT * FROM "{table}"').fetchall() for table in tables}
    found["meta"] = [row for row in found["meta"] if row[0] != schema.OLDEST]
    return found


def test_migrations_and_tables_agree(engine):
    """New tables are made as they are now, older ones brought there: that has to come to the same."""
    with engine.begin() as connection:
        migrate.upgrade(connection)
        migrated = shape(connection), definitions(connection), rows(connection)
        difference = compare_metadata(MigrationContext.configure(connection), schema.metadata)
    assert difference == []
    with engine.begin() as connection:
        reflected = sa.MetaData()
        reflected.reflect(connection)
        reflected.drop_all(connection)
        migrate.make(connection)
        assert (shape(connection), definitions(connection), rows(connection)) == migrated
    assert set(migrated[0]) == {*schema.metadata.tables, "alembic_version"}


def test_tables_that_are_there_already_are_not_taken_for_new_ones(engine):
    """Only a database that has no revision is taken for empty, and its revision may have been lost."""
    with engine.begin() as connection:
        migrate.make(connection)
        connection.exec_driver_sql("DELETE FROM alembic_version")
    with (
        pytest.raises((sa.exc.OperationalError, sa.exc.ProgrammingError), match="already exists"),
        engine.begin() as connection,
    ):
        migrate.make(connection)


def test_the_revision_that_the_program_states_is_the_newest():
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [schema.REVISION]
    assert all(script.revision.isdigit() for script in scripts.walk_revisions())


@pytest.mark.parametrize("way", ["make", "upgrade"])
def test_what_fails_halfway_leaves_the_tables_as_they_were(engine, empty_url, clock, monkeypatch, way):
    def half(connection):
        connection.exec_driver_sql("CREATE TABLE half (id integer)")
        raise StoreError("the power went")

    if way == "upgrade":
        with engine.begin() as connection:
            migrate.upgrade(connection, "0003")
    with monkeypatch.context() as patched:
        patched.setattr(migrate, way, half)
        with pytest.raises(StoreError, match="the power went"):
            Store.open(empty_url, clock=clock)
    # A table left behind would be one of another program.
    store = Store.open(empty_url, clock=clock)
    with store.read() as tx:
        assert set(shape(tx.connection)) == {*schema.metadata.tables, "alembic_version"}
    store.close()


def test_an_upgrade_keeps_rows_that_point_at_a_rebuilt_table(empty_url, clock, item, noon, monkeypatch):
    """SQLite rebuilds a table to alter it; with foreign keys on, that would empty the tables that point at it."""
    newer = f"{int(schema.REVISION) + 1:04}"
    store = Store.open(empty_url, clock=clock)
    with store.write() as tx:
        records.apply(tx, "desk", [item("1", raw=b"raw")], noon)
    store.close()

    def rebuild(connection):
        from alembic.operations import Operations

        with Operations.context(MigrationContext.configure(connection)) as op:
            for optional in (True, False):
                with op.batch_alter_table("records", recreate="auto") as batch:
                    batch.alter_column("ordinal", existing_type=sa.BigInteger(), nullable=optional)
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{newer}'")

    with monkeypatch.context() as patched:
        patched.setattr(migrate, "upgrade", rebuild)
        patched.setattr(schema, "REVISION", newer)
        upgraded = Store.open(empty_url, clock=clock)
        with upgraded.read() as tx:
            (record,) = records.scan(tx)
            assert records.raw(tx, record.ref) == b"raw"
        with upgraded.write() as tx:
            if upgraded.dialect == "sqlite":
                assert tx.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        upgraded.close()


def test_two_programs_that_start_at_once_both_find_the_tables(empty_url, clock, monkeypatch):
    """The second has looked before the first was done; it looks again once it has the lock."""
    original = migrate.make
    calls = []

    def counted(connection):
        calls.append(connection)
        original(connection)

    def start(_):
        Store.open(empty_url, clock=clock).close()

    monkeypatch.setattr(migrate, "make", counted)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(start, range(3)))
    assert len(calls) == 1
