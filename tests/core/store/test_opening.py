"""Opening a store: what is made, what is refused, and in which words."""

import sqlite3
import stat

import psycopg
import pytest
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import Store, schema, state
from cxbridge.core.store.sqlite import APPLICATION_ID


def alter(store_url, words):
    """Do something to a database behind the store's back."""
    engine = sa.create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(words)
    engine.dispose()


def test_a_new_database_gets_its_tables_and_keeps_what_is_written(empty_url, clock):
    store = Store.open(empty_url, clock=clock)
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
    store.close()
    again = Store.open(empty_url, clock=clock)
    with again.read() as tx:
        assert state.meta_get(tx, "colour") == b"green"
    again.close()


def test_dialect_and_path_are_told(empty_url, clock, tmp_path):
    store = Store.open(empty_url, clock=clock)
    lite = empty_url.startswith("sqlite")
    assert store.dialect == ("sqlite" if lite else "postgresql")
    assert store.path == (tmp_path / "cxbridge.db" if lite else None)
    store.close()


def test_tables_of_a_newer_program_are_refused(empty_url, clock):
    Store.open(empty_url, clock=clock).close()
    alter(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    mark = "X'39393939'" if empty_url.startswith("sqlite") else "decode('39393939', 'hex')"
    alter(empty_url, f"UPDATE meta SET value = {mark} WHERE name = 'the oldest program'")
    for writing in (True, False):
        with pytest.raises(ConfigError, match="has tables of revision 9999") as caught:
            Store.open(empty_url, clock=clock, writing=writing)
        assert caught.value.exit_code == 78


def test_tables_of_another_program_are_left_alone(empty_url, clock):
    alter(empty_url, "CREATE TABLE runs (id integer)")
    with pytest.raises(ConfigError, match="another program"):
        Store.open(empty_url, clock=clock)


def test_versions_of_another_program_are_left_alone(empty_url, clock):
    alter(empty_url, "CREATE TABLE alembic_version (version_num text)")
    alter(empty_url, "INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    with pytest.raises(ConfigError, match="another program"):
        Store.open(empty_url, clock=clock)


def test_a_closed_store_refuses_work_and_closes_twice(store):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"), store.read():
        pass
    with pytest.raises(StoreError, match="is closed"), store.write():
        pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql://root@localhost/x", "cannot be a mysql database"),
        ("nonsense", "no database address"),
    ],
)
def test_other_addresses_are_refused(url, words, clock):
    with pytest.raises(ConfigError, match=words):
        Store.open(url, clock=clock)


def test_a_password_is_never_repeated(clock):
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open("postgresql://me:wrong-password@127.0.0.1:1/cx", clock=clock)
    assert "wrong-password" not in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        Store.open("postgresql//me:wrong-password@127.0.0.1", clock=clock)
    assert "wrong-password" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_database_is_a_matter_of_configuration(postgresql, clock):
    with pytest.raises((ConfigError, StoreError), match="the database nowhere at"):
        Store.open(postgresql.url("nowhere"), clock=clock)


def test_a_missing_driver_is_named(clock, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"install cxbridge\[postgres\]"):
        Store.open("postgresql://localhost/cx", clock=clock)


class TestTheFile:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "cxbridge.db"

    @pytest.fixture
    def reopen(self, path, clock):
        """Open the file and close it again."""

        def reopen():
            Store.open(f"sqlite:///{path}", clock=clock).close()

        return reopen

    def test_only_its_owner_may_read_it(self, path, reopen):
        reopen()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_it_says_whose_it_is(self, path, reopen):
        reopen()
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.close()

    def test_closing_leaves_no_log(self, path, reopen):
        reopen()
        assert {entry.name for entry in path.parent.iterdir()} == {"cxbridge.db", "cxbridge.db-writer"}
        assert stat.S_IMODE((path.parent / "cxbridge.db-writer").stat().st_mode) == 0o600

    def test_missing_directory(self, path, clock):
        with pytest.raises(ConfigError, match=r"the directory .* does not exist"):
            Store.open(f"sqlite:///{path.parent}/nowhere/x.db", clock=clock)

    def test_directory_in_its_place(self, path, reopen):
        path.mkdir()
        with pytest.raises(ConfigError, match="cannot be opened: look at the path"):
            reopen()

    def test_something_else(self, path, reopen):
        path.write_bytes(b"<html>" * 1000)
        with pytest.raises(ConfigError, match="is no database of cxbridge"):
            reopen()

    def test_cut_short(self, path, reopen):
        reopen()
        path.write_bytes(path.read_bytes()[:20000])
        with pytest.raises(ConfigError, match="is damaged: restore it from a backup"):
            reopen()

    def test_damaged_within(self, path, reopen):
        reopen()
        content = bytearray(path.read_bytes())
        content[100:8192] = b"\xff" * 8092
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="is damaged: restore it from a backup"):
            reopen()

    def test_an_empty_file_is_a_new_store(self, path, reopen):
        path.touch()
        reopen()
        assert path.stat().st_size

    def test_settings_of_the_connections(self, path, clock):
        store = Store.open(f"sqlite:///{path}", clock=clock, timeout=1.5)

        def settings(tx):
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "wal_autocheckpoint")
            return [tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        with store.write() as tx:
            assert settings(tx) == ["wal", 2, 1, 1500, 64 * 1024 * 1024 // 4096]
        with store.read() as tx:
            assert settings(tx)[2:4] == [1, 1500]
        store.close()


def test_the_server_settings_of_writers_and_readers(postgresql, clock):
    url = postgresql.store(clock)
    store = Store.open(url, clock=clock, timeout=1.5)

    def setting(tx, name):
        return tx.connection.exec_driver_sql(f"SHOW {name}").scalar()

    with store.write() as tx:
        assert setting(tx, "transaction_isolation") == "read committed"
        assert setting(tx, "lock_timeout") == "11500ms"
        assert setting(tx, "synchronous_commit") == "on"
    with store.read() as tx:
        assert setting(tx, "transaction_isolation") == "repeatable read"
        assert setting(tx, "transaction_read_only") == "on"
    store.close()


def test_a_lost_server_connection_is_replaced(postgresql, clock):
    url = postgresql.store(clock)
    store = Store.open(url, clock=clock)
    with store.read() as tx:
        assert state.meta_get(tx, "colour") is None

    def cut_off():
        with store.write() as tx:
            backend = tx.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (backend,))
            state.meta_set(tx, "colour", b"green")

    with pytest.raises(StoreError, match=r"was stopped by its administrator|cannot be reached"):
        cut_off()
    with store.write() as tx:
        assert state.meta_get(tx, "colour") is None
        state.meta_set(tx, "colour", b"blue")
    store.close()


def test_every_table_is_there(store):
    with store.read() as tx:
        assert set(schema.metadata.tables) < set(sa.inspect(tx.connection).get_table_names())
