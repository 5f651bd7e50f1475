"""Leases: one holder at a time, a fence that grows, and nothing stored by whom was taken over from. On both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, leases, schema
from cxbridge.core.store import postgresql as store_on_server
from cxbridge.core.store.leases import LostLeaseError

LONG = timedelta(hours=1)
OVER = timedelta(seconds=-1)


def taken(store, worker, lasting=LONG, name="connection:desk"):
    with store.aside() as tx:
        return leases.take(tx, name, worker, lasting)


def test_one_worker_has_it_until_it_lets_go(store):
    first = taken(store, "one")
    assert first is not None
    assert taken(store, "two") is None
    assert taken(store, "two", name="connection:tracker") is not None, "another connection is another lease"
    with store.aside() as tx:
        leases.let_go(tx, first)
    second = taken(store, "two")
    assert second is not None
    assert second.fence > first.fence


def test_whose_time_is_over_is_taken_over_from_and_can_store_nothing_more(store):
    first = taken(store, "one", OVER)
    assert first is not None
    with store.write() as tx:
        leases.check(tx, first)  # nobody else has it yet
    assert taken(store, "two") is not None
    with pytest.raises(LostLeaseError, match="connection:desk"), store.write() as tx:
        leases.check(tx, first)
    with store.aside() as tx:
        assert leases.renew(tx, [first], LONG) == set()


def test_a_renewal_lets_it_last_and_does_not_bring_back_what_was_let_go(store):
    first = taken(store, "one", OVER)
    assert first is not None
    with store.aside() as tx:
        assert leases.renew(tx, [first], LONG) == {"connection:desk"}
    assert taken(store, "two") is None
    with store.aside() as tx:
        leases.let_go(tx, first)
        assert leases.renew(tx, [first], LONG) == set()
    assert taken(store, "two") is not None


def test_the_same_worker_takes_it_anew_under_a_higher_fence(store):
    first, again = taken(store, "one"), taken(store, "one")
    assert first is not None
    assert again is not None
    assert again.fence == first.fence + 1
    with pytest.raises(LostLeaseError), store.write() as tx:
        leases.check(tx, first)


def test_living_names_those_that_have_not_lapsed(store):
    taken(store, "one")
    taken(store, "one", OVER, "planning")
    with store.read() as tx:
        assert [(one.name, one.worker) for one in leases.living(tx)] == [("connection:desk", "one")]


def test_a_take_over_waits_for_what_is_being_committed_under_the_lease(postgresql, clock, monkeypatch):
    monkeypatch.setattr(store_on_server, "FROZEN_AFTER", 0.2)
    store = Store.open(postgresql.empty(), clock=clock, timeout=0.8)
    try:
        first = taken(store, "one", OVER)
        assert first is not None
        with store.write() as tx, ThreadPoolExecutor(1) as threads:
            leases.check(tx, first)
            # Who says nothing in the middle of a commit is taken for frozen: this one is at work.
            working = threads.submit(tx.connection.exec_driver_sql, "SELECT pg_sleep(3)")
            with store.aside() as beside:
                # Renewing goes on beside it; taking over does not.
                assert leases.renew(beside, [first], OVER) == {"connection:desk"}
            with pytest.raises(StoreError, match="is locked by another process"):
                taken(store, "two")
            working.result()
        assert taken(store, "two") is not None
    finally:
        store.close()


def test_the_time_is_the_databases_own(store):
    with store.read() as tx:
        first, second = leases.now(tx), leases.now(tx)
        told = tx.connection.execute(sa.select(schema.leases)).all()
    assert second >= first
    assert first.year >= 2026
    assert told == []
