"""A store that is opened for reading: it sees what is committed, waits for nobody and leaves every byte as it is."""

import shutil
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Store, records, state

ONE = Ref("desk", "tickets", "1")


@contextmanager
def reading(url, clock, **more):
    opened = Store.open(url, clock=clock, writing=False, **more)
    try:
        yield opened
    finally:
        opened.close()


def test_it_sees_what_is_committed_and_refuses_to_write(store, store_url, clock, item, noon):
    with reading(store_url, clock) as reader:
        assert not reader.writing
        assert reader.dialect == store.dialect
        with store.write() as tx:
            records.apply(tx, "desk", [item("1")], noon)
        with reader.read() as tx:
            assert records.get(tx, ONE) is not None
        with pytest.raises(RuntimeError, match="was opened for reading"), reader.write():
            pass


def test_it_waits_for_no_writer(store, store_url, clock):
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
        with reading(store_url, clock, timeout=0.05) as reader, reader.read() as own:
            assert state.meta_get(own, "colour") is None


def test_a_store_that_is_not_there_yet_is_made(empty_url, clock):
    with reading(empty_url, clock) as made:
        assert made.writing
        with made.write() as tx:
            state.meta_set(tx, "colour", b"green")
    with reading(empty_url, clock) as again, again.read() as tx:
        assert not again.writing
        assert state.meta_get(tx, "colour") == b"green"


def test_older_tables_are_not_upgraded_by_a_look(empty_url, clock):
    Store.open(empty_url, clock=clock).close()
    engine = sa.create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(StoreError, match="has tables of revision 0000, older than this program's"):
        Store.open(empty_url, clock=clock, writing=False)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0000"
    engine.dispose()


def test_what_is_no_store_is_refused(tmp_path, clock):
    path = tmp_path / "cxbridge.db"
    path.write_bytes(b"<html>" * 1000)
    with pytest.raises(ConfigError, match="is no database of cxbridge"):
        Store.open(f"sqlite:///{path}", clock=clock, writing=False)


class TestTheFile:
    @pytest.fixture
    def crashed(self, sqlite_store, tmp_path, item, noon):
        """What a process leaves that was killed: a file, and a log that holds more than the file."""
        with sqlite_store.write() as tx:
            records.apply(tx, "desk", [item("1")], noon)
        place = tmp_path / "crashed"
        place.mkdir()
        for end in ("", "-wal"):
            shutil.copy(f"{sqlite_store.path}{end}", place)
        assert (place / "cxbridge.db-wal").stat().st_size
        return place

    def test_the_last_to_close_folds_no_log_into_it(self, crashed, clock):
        before = {path: path.read_bytes() for path in crashed.iterdir()}
        with reading(f"sqlite:///{crashed}/cxbridge.db", clock) as reader, reader.read() as tx:
            assert records.get(tx, ONE) is not None
        assert {path: path.read_bytes() for path in before} == before
        assert not (crashed / "cxbridge.db-writer").exists()

    def test_a_writer_does(self, crashed, clock):
        Store.open(f"sqlite:///{crashed}/cxbridge.db", clock=clock).close()
        assert not (crashed / "cxbridge.db-wal").exists()
        with reading(f"sqlite:///{crashed}/cxbridge.db", clock) as reader, reader.read() as tx:
            assert records.get(tx, ONE) is not None

    @pytest.mark.parametrize("writing", [True, False])
    def test_no_reader_can_check_point(self, crashed, clock, writing):
        store = Store.open(f"sqlite:///{crashed}/cxbridge.db", clock=clock, writing=writing)
        before = (crashed / "cxbridge.db").read_bytes()
        with pytest.raises(StoreError), store.read() as tx:
            tx.connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        assert (crashed / "cxbridge.db").read_bytes() == before
        store.close()
