"""What a transaction promises: all or nothing, one writer, readers that see only what is committed."""

import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import Store, changes, checkpoints, outbox, records, runs, state
from cxbridge.core.store import postgresql as store_on_server


class Crash(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt, Crash])
def test_an_exception_rolls_back_everything(store, item, run, delivery, noon, reason):
    with store.write() as tx:
        records.apply(tx, "desk", [item("1", "old")], noon)

    def interrupted():
        with store.write() as tx:
            records.apply(tx, "desk", [item("1", "new", 2, raw=b"raw"), item("2")], noon)
            checkpoints.put(tx, Checkpoint(connection="desk", stream="tickets", cursor=2, at=noon))
            runs.start(tx, run())
            outbox.add(tx, [delivery()])
            raise reason

    with pytest.raises(reason):
        interrupted()
    with store.read() as tx:
        assert [record.body for record in records.scan(tx)] == [b"1:old:1"]
        assert changes.last_seq(tx) == 1
        assert checkpoints.find(tx) == []
        assert runs.find(tx) == []
        assert outbox.find(tx) == []


def test_numbers_of_a_rolled_back_transaction_leave_no_gap_that_could_be_filled_later(store, item, noon):
    def interrupted():
        with store.write() as tx:
            records.apply(tx, "desk", [item("1")], noon)
            raise Crash

    with pytest.raises(Crash):
        interrupted()
    with store.write() as tx:
        assert records.apply(tx, "desk", [item("1"), item("2")], noon).last_seq == 2
    with store.read() as tx:
        assert [change.seq for change in changes.after(tx, 0, 10)] == [1, 2]


def makes_something_durable(store, work):
    """Do something in a write transaction; tell whether its commit had anything to write to the log."""
    if store.dialect == "postgresql":
        with store.write() as tx:
            work(tx)
            return tx.connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar() is not None
    log = store.path.with_name("cxbridge.db-wal")
    before = log.read_bytes()
    with store.write() as tx:
        work(tx)
    return log.read_bytes() != before


def test_a_transaction_that_stores_nothing_writes_nothing(store, item, noon):
    page = [item("1", raw=b"raw"), item("2", deleted=True)]

    def idle(tx):
        assert outbox.due(tx, "desk", noon, 10) == []
        assert state.pauses(tx) == {}

    assert makes_something_durable(store, lambda tx: records.apply(tx, "desk", page, noon))
    assert not makes_something_durable(store, lambda tx: None)
    assert not makes_something_durable(store, idle)
    assert not makes_something_durable(store, lambda tx: records.apply(tx, "desk", [], noon))
    assert not makes_something_durable(store, lambda tx: records.apply(tx, "desk", page, noon))
    assert not makes_something_durable(store, lambda tx: records.mark_deleted(tx, "desk", "tickets", ["2", "3"], noon))
    assert makes_something_durable(store, lambda tx: records.apply(tx, "desk", [item("3")], noon))


def test_a_reader_sees_no_half_commit_and_blocks_nobody(store, item, noon):
    with store.read() as before:
        assert records.scan(before) == []
        with store.write() as tx:
            records.apply(tx, "desk", [item("1")], noon)
            with store.read() as meanwhile:
                assert records.scan(meanwhile) == []
            records.apply(tx, "desk", [item("2")], noon)
        # The snapshot stays as it was when it was taken.
        assert records.scan(before) == []
        assert changes.last_seq(before) == 0
    with store.read() as after:
        assert len(records.scan(after)) == 2


def test_a_reader_cannot_write(store):
    with pytest.raises(StoreError), store.read() as tx:
        state.meta_set(tx, "colour", b"green")


def test_writing_inside_writing_is_refused_and_the_outer_goes_on(store):
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
        with pytest.raises(RuntimeError, match="would wait for itself"), store.write():
            pass
        state.meta_set(tx, "shape", b"round")
    with store.read() as tx:
        assert state.meta_get(tx, "colour") == b"green"
        assert state.meta_get(tx, "shape") == b"round"


def test_threads_take_turns(store, item, noon):

    def work(name):
        for number in range(20):
            with store.write() as tx:
                seen = int(state.meta_get(tx, "count") or b"0")
                records.apply(tx, name, [item(str(number))], noon)
                state.meta_set(tx, "count", str(seen + 1).encode())

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, ["desk", "tracker", "chat"]))
    with store.read() as tx:
        assert state.meta_get(tx, "count") == b"60"
        assert [change.seq for change in changes.after(tx, 0, 100)] == list(range(1, 61))


def test_two_stores_of_one_database_take_turns(store, store_url, clock, item, noon):
    """As two processes do; each has its own connections and its own lock."""
    other = Store.open(store_url, clock=clock)

    def work(opened, name):
        for number in range(15):
            with opened.write() as tx:
                seen = changes.last_seq(tx)
                assert records.apply(tx, name, [item(str(number))], noon).last_seq == seen + 1

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, [store, other], ["desk", "tracker"]))
    other.close()
    with store.read() as tx:
        assert changes.last_seq(tx) == 30


def test_a_writer_gives_up_on_a_lock_that_another_holds(store_url, clock, monkeypatch):
    monkeypatch.setattr(store_on_server, "FROZEN_AFTER", 0.2)
    Store.open(store_url, clock=clock).close()
    first, second = (Store.open(store_url, clock=clock, timeout=0.05) for _ in range(2))
    with first.write() as tx, ThreadPoolExecutor(1) as aside:
        state.meta_set(tx, "colour", b"green")
        # On a server who says nothing in the middle of a transaction is taken for frozen: this one is at work.
        working = (
            aside.submit(tx.connection.exec_driver_sql, "SELECT pg_sleep(2)") if tx.dialect == "postgresql" else None
        )
        with pytest.raises(StoreError, match="is locked by another process: let it finish or stop it"), second.write():
            pass
        if working is not None:
            working.result()
    with second.write() as tx:
        assert state.meta_get(tx, "colour") == b"green"
    first.close()
    second.close()


@pytest.mark.postgres
def test_a_writer_that_stands_still_on_a_server_keeps_nobody_waiting_for_good(postgresql, clock, monkeypatch):
    monkeypatch.setattr(store_on_server, "FROZEN_AFTER", 0.3)
    url = postgresql.store(clock)
    first, second = (Store.open(url, clock=clock, timeout=5.0) for _ in range(2))

    def stands_still():
        with first.write() as tx:
            state.meta_set(tx, "colour", b"green")
            # As a process that was stopped: it says nothing more, and another one goes on.
            with second.write() as other:
                state.meta_set(other, "shape", b"round")
            state.meta_set(tx, "size", b"large")

    with pytest.raises(StoreError):
        stands_still()
    with first.write() as tx:
        assert [state.meta_get(tx, name) for name in ("colour", "shape", "size")] == [None, b"round", None]
    first.close()
    second.close()


def test_a_process_that_dies_leaves_nothing_behind(tmp_path, clock, sqlite_store):
    """A child is killed in the middle of its transaction, with pages already written."""
    script = """
import os, signal, sys
from cxbridge.core.clock import SystemClock
from cxbridge.core.store import Store, state
store = Store.open(sys.argv[1], clock=SystemClock())
with store.write() as tx:
    for number in range(200):
        state.meta_set(tx, str(number), bytes(100_000))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{sqlite_store.path}"],
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ended.returncode == -9
    with sqlite_store.write() as tx:
        assert state.meta_get(tx, "0") is None
        assert tx.connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"


def test_a_full_disk_ends_the_job_and_nothing_is_half_written(sqlite_store, item, noon):
    with sqlite_store.write() as tx:
        records.apply(tx, "desk", [item("0")], noon)
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")

    # Nothing that gets smaller by packing.
    draw = random.Random(1).randbytes

    def fill():
        with sqlite_store.write() as tx:
            for start in range(1, 1000, 10):
                page = [item(str(number), body=draw(4000), raw=draw(4000)) for number in range(start, start + 10)]
                records.apply(tx, "desk", page, noon)

    with pytest.raises(StoreError, match="is full: free disk space, then try again"):
        fill()
    with sqlite_store.read() as tx:
        assert records.count(tx) == {("desk", "tickets"): 1}
        assert changes.last_seq(tx) == 1
    with sqlite_store.write() as tx:
        tx.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert records.apply(tx, "desk", [item("1")], noon).last_seq == 2
        assert tx.connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_mistake_of_ours_is_not_dressed_up_as_a_fault_of_the_store(store, delivery):
    with store.write() as tx:
        outbox.add(tx, [delivery(1)])
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        outbox.add(tx, [delivery(2), delivery(1)])
    with store.read() as tx:
        assert len(outbox.find(tx)) == 1


def test_values_do_not_show_in_errors(store, delivery):
    with store.write() as tx:
        outbox.add(tx, [delivery(1)])
    with pytest.raises(sa.exc.IntegrityError) as caught, store.write() as tx:
        outbox.add(tx, [delivery(1, inputs={"body": "a customer's words"})])
    assert "customer" not in str(caught.value)


def test_a_value_that_cannot_be_kept_is_a_store_error(postgresql, clock, item, noon):
    url = postgresql.store(clock)
    store = Store.open(url, clock=clock)
    with pytest.raises(StoreError, match="was given a value it cannot keep"), store.write() as tx:
        records.apply(tx, "desk", [item("nul\0")], noon)
    store.close()


def test_a_lock_on_the_file_by_a_foreign_program(sqlite_store, clock):
    other = sqlite3.connect(sqlite_store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient = None
    try:
        with pytest.raises(StoreError, match="is locked"):
            impatient = Store.open(f"sqlite:///{sqlite_store.path}", clock=clock, timeout=0.05)
    finally:
        other.close()
    assert impatient is None
    with sqlite_store.write() as tx:
        state.meta_set(tx, "colour", b"green")


def test_a_frozen_writer_loses_the_lock_with_its_connection(postgresql, clock):
    url = postgresql.store(clock)
    store = Store.open(url, clock=clock)
    with store.read() as tx:
        lock = tx.connection.exec_driver_sql("SELECT hashtext(current_schema())").scalar()
    with psycopg.connect(url, autocommit=True, options="-c idle_in_transaction_session_timeout=1ms") as frozen:
        frozen.execute(f"BEGIN; SELECT pg_advisory_xact_lock({0x63786272}, {lock})".encode())
        with store.write() as tx:
            state.meta_set(tx, "colour", b"green")
        # What the server said before it hung up is lost where this side writes first.
        with pytest.raises((psycopg.errors.IdleInTransactionSessionTimeout, psycopg.OperationalError)):
            frozen.execute("SELECT 1")
    store.close()


def test_who_waits_for_the_lock_outlasts_one_that_is_frozen(postgresql, clock):
    store = Store.open(postgresql.store(clock), clock=clock, timeout=2.0)
    with store.write() as tx:
        assert tx.connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "10s"
        assert tx.connection.exec_driver_sql("SHOW lock_timeout").scalar() == "12s"
    store.close()
