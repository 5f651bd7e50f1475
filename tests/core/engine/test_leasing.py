"""Holding leases: who stood still for too long says nothing more, by its own clock and by the database's."""

from datetime import timedelta

import pytest

from cxbridge.core.clock import ManualClock, SystemClock
from cxbridge.core.engine import leasing
from cxbridge.core.engine.leasing import Holder, holding, of_connection
from cxbridge.core.errors import Withheld
from cxbridge.core.store import Store, state
from cxbridge.core.store.leases import LostLeaseError
from tests.conftest import PostgreSQL

DESK = of_connection("desk")


def test_only_who_holds_it_may_send(store: Store, clock: ManualClock) -> None:
    holder = Holder(store, clock, "one")
    with pytest.raises(Withheld):
        holder.may_send("desk")
    held = holder.take(DESK)
    assert held is not None
    holder.may_send("desk")
    with pytest.raises(Withheld):
        holder.may_send("tracker")
    holder.let_go(held)
    with pytest.raises(Withheld):
        holder.may_send("desk")


def test_who_stood_still_says_nothing_more_until_it_has_asked(store: Store, clock: ManualClock) -> None:
    holder = Holder(store, clock, "one")
    assert holder.take(DESK) is not None
    clock.advance(leasing.LASTING.total_seconds() - 4)
    holder.may_send("desk")
    clock.advance(2)
    # Earlier than the lease lapses: what is sent now must be answered before another may speak.
    with pytest.raises(Withheld) as told:
        holder.may_send("desk")
    assert told.value.sent is False
    holder.renew()
    holder.may_send("desk")


def test_who_was_taken_over_from_neither_sends_nor_stores(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "LASTING", timedelta(seconds=-1))
    first = Holder(store, clock, "one")
    held = first.take(DESK)
    assert held is not None
    monkeypatch.setattr(leasing, "LASTING", timedelta(hours=1))
    assert Holder(store, clock, "two").take(DESK) is not None
    with store.under(first.guard(held)):
        with pytest.raises(LostLeaseError), store.write() as tx:
            state.pause(tx, "desk", "reason", "hint", clock.now())
        with store.read() as tx:
            assert state.pauses(tx) == {}, "written by a worker that was taken over from"
    assert held.lost.is_set()
    with pytest.raises(Withheld):
        first.may_send("desk")
    # Outside of what is guarded, as by another job of this process, writing goes on.
    with store.write() as tx:
        assert state.pause(tx, "tracker", "reason", "hint", clock.now())


def test_a_renewal_finds_out_that_it_was_taken_over(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "LASTING", timedelta(seconds=-1))
    first = Holder(store, clock, "one")
    held = first.take(DESK)
    assert held is not None
    assert Holder(store, clock, "two").take(DESK) is not None
    first.renew()
    assert held.lost.is_set()


@pytest.mark.postgres
def test_by_hand_nothing_is_stored_either_once_another_worker_has_taken_over(
    postgresql: PostgreSQL, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(postgresql.store(clock), clock=clock)
    try:
        monkeypatch.setattr(leasing, "LASTING", timedelta(seconds=-1))
        with holding(store, SystemClock(), ["desk"], "push", "by-hand"):
            with store.write() as tx:
                assert state.pause(tx, "tracker", "reason", "hint", clock.now())
            assert Holder(store, clock, "two").take(DESK) is not None
            with pytest.raises(LostLeaseError), store.write() as tx:
                state.pause(tx, "desk", "reason", "hint", clock.now())
        with store.read() as tx:
            assert list(state.pauses(tx)) == ["tracker"]
    finally:
        store.close()
