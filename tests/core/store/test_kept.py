"""Connections that are kept at hand between transactions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, kept, postgresql, state


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
            assert tx.connection.get_transaction() is not None
    assert taken["read"] == 1
    assert taken["write"] <= 1


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
