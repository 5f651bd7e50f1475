"""Connections that are kept at hand between transactions."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, kept, postgresql, prepared, state


@pytest.fixture
def taken(sqlite_store):
    """How often a pool was asked for a connection, of readers and of writers."""
    counts = {"read": 0, "write": 0}

    def count(which):
        def counted(*_):
            counts[which] += 1

        return counted

    sa.event.listen(sqlite_store._readers, "checkout", count("read"))
    sa.event.listen(sqlite_store._writers, "checkout", count("write"))
    return counts


def test_one_transaction_after_the_other_uses_the_same_connection(sqlite_store, taken):
    for number in range(5):
        with sqlite_store.write() as tx:
            state.meta_set(tx, "count", str(number).encode())
        with sqlite_store.read() as tx:
            # What was committed meanwhile is seen: nothing is left of the snapshot before.
            assert state.meta_get(tx, "count") == str(number).encode()
            assert tx.connection.connection.dbapi_connection.in_transaction
    assert taken["read"] == 1
    assert taken["write"] <= 1


@pytest.mark.parametrize("known", [False, True], ids=["to the driver alone", "to SQLAlchemy as well"])
def test_a_transaction_is_stored_or_taken_back_whoever_knows_of_it(sqlite_store, known):
    def put(tx, value):
        state.meta_set(tx, "colour", value)
        if known:
            assert tx.connection.scalar(sa.text("SELECT count(*) FROM meta WHERE name = 'colour'")) == 1
        assert tx.connection.in_transaction() is known

    with sqlite_store.write() as tx:
        put(tx, b"green")
    with suppress(ZeroDivisionError), sqlite_store.write() as tx:
        put(tx, b"red")
        raise ZeroDivisionError
    with sqlite_store.read() as tx:
        assert state.meta_get(tx, "colour") == b"green"


def test_a_commit_that_fails_is_told_in_words_and_leaves_nothing_under_way(sqlite_store, monkeypatch):
    def fails(connection):
        # As on a full disk: the driver says so at the commit, and the transaction stays open.
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        prepared._fail(connection, error, "COMMIT")

    with sqlite_store.write() as tx:
        state.meta_set(tx, "colour", b"green")
    monkeypatch.setattr(prepared, "commit", fails)
    with pytest.raises(StoreError, match="full"), sqlite_store.write() as tx:
        state.meta_set(tx, "colour", b"red")
    monkeypatch.undo()
    with sqlite_store.write() as tx:
        assert state.meta_get(tx, "colour") == b"green"


def test_what_the_database_gave_up_is_not_taken_for_stored(sqlite_store):
    def passes_over(tx):
        state.meta_set(tx, "colour", b"red")
        # As SQLite does by itself on a full disk.
        prepared.execute(tx.connection, "ROLLBACK", ())

    with pytest.raises(StoreError, match="gave up"), sqlite_store.write() as tx:
        passes_over(tx)
    with sqlite_store.write() as tx:
        assert state.meta_get(tx, "colour") is None


def test_one_on_which_something_failed_is_not_kept(sqlite_store, taken):
    with sqlite_store.read() as tx:
        pass
    kept = tx.connection
    with pytest.raises(ValueError, match="no"), sqlite_store.read():
        raise ValueError("no")
    assert kept.closed
    with sqlite_store.read() as tx:
        assert tx.connection is not kept
    assert taken["read"] == 2


def test_a_store_gives_back_room_and_closes_with_what_it_keeps(sqlite_store):
    with sqlite_store.write() as tx:
        state.meta_set(tx, "colour", b"green")
    with sqlite_store.read() as other:
        pass
    writer, reader = tx.connection, other.connection
    sqlite_store.shrink()
    assert writer.closed
    with sqlite_store.write() as tx:
        state.meta_set(tx, "colour", b"blue")
    writer = tx.connection
    sqlite_store.close()
    assert reader.closed
    assert writer.closed
    # The last connection to go folds the log into the file.
    assert not sqlite_store.path.with_name("cxbridge.db-wal").exists()
    with pytest.raises(StoreError, match="is closed"), sqlite_store.read():
        pass


def test_what_leads_to_a_server_is_not_kept(store):
    with store.read() as tx:
        state.meta_get(tx, "colour")
    assert tx.connection.closed is (store.dialect == "postgresql")


@pytest.fixture
def server_store(request, clock):
    opened = Store.open(request.getfixturevalue("postgresql").store(clock), clock=clock)
    yield opened
    opened.close()


@pytest.mark.postgres
def test_many_threads_that_read_from_a_server_do_not_connect_anew_each_time(server_store, monkeypatch):
    monkeypatch.setattr(kept, "_PATIENCE", 30.0)
    connected = []
    sa.event.listen(server_store._readers, "connect", lambda *_: connected.append(1))
    begin = threading.Barrier(4 * postgresql.READERS)

    def read():
        begin.wait()
        for _ in range(5):
            with server_store.read() as tx:
                tx.connection.exec_driver_sql("SELECT pg_sleep(0.001)")

    with ThreadPoolExecutor(begin.parties) as threads:
        for one in [threads.submit(read) for _ in range(begin.parties)]:
            one.result()
    assert len(connected) <= postgresql.READERS


@pytest.mark.postgres
def test_who_reads_for_long_keeps_no_others_from_reading(server_store):
    with ExitStack() as stack:
        # All that there is room for, one in a thread of its own, and one more inside of it.
        for _ in range(postgresql.READERS):
            thread = stack.enter_context(ThreadPoolExecutor(1))
            reading = server_store.read()
            tx = thread.submit(reading.__enter__).result()
            stack.callback(_ended, thread, reading)
            thread.submit(state.meta_get, tx, "count").result()
        with server_store.read() as tx, server_store.read() as inner:
            assert state.meta_get(tx, "count") is state.meta_get(inner, "count") is None
    assert server_store._to_read._in_use == {}


def _ended(thread, reading):
    thread.submit(reading.__exit__, None, None, None).result()
