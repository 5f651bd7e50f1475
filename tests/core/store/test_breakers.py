"""A vendor that is left alone is left alone by the next process as well, and by whoever takes the connection over."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from cxbridge.core.errors import Withheld
from cxbridge.core.http import Breaker, BreakerState
from cxbridge.core.store import KeptBreakers, Store, breakers


@pytest.fixture
def state(noon):
    return BreakerState("cs", 5, "it answered 503", noon, noon + timedelta(seconds=31))


def test_what_is_kept_is_read_again(store, state):
    kept = KeptBreakers(store)
    assert kept.read("cs") is None
    kept.keep(state)
    kept.keep(replace(state, connection="other"))
    assert kept.read("cs") == state
    later = replace(state, failures=6, retry_at=state.retry_at + timedelta(seconds=60))
    kept.keep(later)
    assert kept.read("cs") == later
    with store.read() as tx:
        assert list(breakers.find(tx)) == ["cs", "other"]


def test_closed_is_gone(store, state):
    kept = KeptBreakers(store)
    kept.keep(state)
    kept.clear("cs")
    kept.clear("never heard of")
    assert kept.read("cs") is None


def test_who_only_looks_changes_nothing(store_url, clock, state):
    store = Store.open(store_url, clock=clock)
    KeptBreakers(store).keep(state)
    looking = Store.open(store_url, clock=clock, writing=False)
    kept = KeptBreakers(looking)
    kept.clear("cs")
    kept.keep(replace(state, failures=9))
    assert kept.read("cs") == state
    looking.close()
    store.close()


def test_a_restart_goes_on_where_it_was_left(store_url, clock):
    store = Store.open(store_url, clock=clock)
    one = Breaker("cs", clock, Random(1), store=KeptBreakers(store))
    for _ in range(5):
        clock.advance(10)
        one.leave(one.enter(), "no answer in time")
    until = one.until()
    store.close()
    again = Store.open(store_url, clock=clock)
    other = Breaker("cs", clock, Random(2), store=KeptBreakers(again))
    assert other.until() == until
    with pytest.raises(Withheld, match="no answer in time"):
        other.check()
    clock.advance((until - clock.now()).total_seconds())
    other.leave(other.enter(), None)
    assert KeptBreakers(again).read("cs") is None
    again.close()
