"""The ledger of asks: one line per ask, the last one of a person, lines that are taken back."""

from datetime import timedelta

import msgspec
import pytest

from cxbridge.core.store import asks
from cxbridge.core.store.asks import Asked

change = msgspec.structs.replace


@pytest.fixture
def asked(noon):
    return Asked(person="p1", purpose="survey", programme="nps", recipe="pulse", run="run_1", step="invite", at=noon)


def test_the_last_ask_of_a_person_is_found(store, asked, noon):
    with store.write() as tx:
        assert asks.latest(tx, "p1") is None
        asks.record(tx, asked)
        asks.record(tx, change(asked, run="run_2", programme="csat", at=noon - timedelta(days=1)))
        asks.record(tx, change(asked, run="run_3", person="p2", at=noon + timedelta(days=1)))
    with store.read() as tx:
        assert asks.latest(tx, "p1") == asked
        assert [one.run for one in asks.of_person(tx, "p1")] == ["run_1", "run_2"]
        assert asks.of_person(tx, "p3") == []


def test_a_step_is_not_in_its_own_way(store, asked, noon):
    other = change(asked, run="run_2", at=noon - timedelta(days=3))
    with store.write() as tx:
        asks.record(tx, asked)
        assert asks.latest(tx, "p1", besides=("run_1", "invite")) is None
        assert asks.latest(tx, "p1", besides=("run_1", "remind")) == asked
        assert asks.latest(tx, "p1", besides=("run_2", "invite")) == asked
        asks.record(tx, other)
        assert asks.latest(tx, "p1", besides=("run_1", "invite")) == other


def test_asking_again_in_the_same_step_moves_the_time(store, asked, noon):
    later = change(asked, at=noon + timedelta(hours=4))
    with store.write() as tx:
        asks.record(tx, asked)
        asks.record(tx, later)
        assert asks.of_person(tx, "p1") == [later]


def test_what_reached_nobody_is_taken_back(store, asked):
    with store.write() as tx:
        asks.record(tx, asked)
        asks.record(tx, change(asked, step="remind"))
        assert asks.forget(tx, "run_1", "invite")
        assert not asks.forget(tx, "run_1", "invite")
        assert [one.step for one in asks.of_person(tx, "p1")] == ["remind"]
