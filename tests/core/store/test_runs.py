"""Runs as rows."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from cxbridge.core.ledger import Ref
from cxbridge.core.store import runs, schema
from cxbridge.core.store.statements import row_of

change = msgspec.structs.replace


def test_a_run_comes_back_as_it_was_stored(store, run, noon):
    full = run(
        state="waiting",
        step=2,
        results={"issue": {"key": "ENG-1", "n": 1, "made": True, "none": None, "list": [1, 2.5]}},
        context={"event": {"subject": "Über\u0000 \U0001f600"}},
        reason="waits",
        hops=3,
        wake_at=noon,
        ended_at=noon + timedelta(microseconds=1),
    )
    with store.write() as tx:
        assert runs.start(tx, run(2))
        assert runs.start(tx, full)
    with store.read() as tx:
        assert runs.get(tx, full.id) == full
        assert runs.get(tx, "run_00002") == run(2)
        assert runs.get(tx, "run_00003") is None


def test_one_run_per_recipe_part_and_once(store, run):
    with store.write() as tx:
        assert runs.start(tx, run(1, once="1"))
        assert not runs.start(tx, run(2, once="1", key="other"))
        assert runs.start(tx, run(3, once="1", part="sync:priority"))
        assert runs.start(tx, run(4, once="1", recipe="other"))
        assert runs.start(tx, run(5, once="2"))
        assert runs.get(tx, "run_00002") is None


def test_saving_writes_everything_anew(store, run, noon):
    with store.write() as tx:
        runs.start(tx, run(1))
        runs.start(tx, run(2))
        done = change(run(1), state="done", step=3, results={"a": 1}, ended_at=noon, reason="all done")
        runs.save(tx, done)
        assert runs.get(tx, done.id) == done
        assert runs.get(tx, "run_00002") == run(2)


def test_saving_what_is_not_stored_is_an_error(store, run):
    with store.write() as tx, pytest.raises(LookupError, match="run_00001"):
        runs.save(tx, run(1))


def test_texts_that_a_database_cannot_hold_do_not_stop_a_run_from_being_saved(store, run):
    with store.write() as tx:
        runs.start(tx, run(1))
        runs.save(tx, change(run(1), reason="a\0b\ud800c"))
        assert [found.reason for found in runs.find(tx)] == ["a\ufffdb?c"]


def test_find_gives_the_newest_first(store, run):
    with store.write() as tx:
        for number in range(1, 7):
            runs.start(
                tx,
                run(
                    number,
                    recipe="even" if number % 2 == 0 else "odd",
                    state="done" if number < 4 else "held",
                    subject=Ref("desk", "tickets", str(number % 3)),
                ),
            )

    def ids(**choice):
        with store.read() as tx:
            return [int(found.id[-5:]) for found in runs.find(tx, **choice)]

    assert ids() == [6, 5, 4, 3, 2, 1]
    assert ids(limit=2) == [6, 5]
    assert ids(recipe="even") == [6, 4, 2]
    assert ids(state="held") == [6, 5, 4]
    assert ids(subject=Ref("desk", "tickets", "1")) == [4, 1]
    assert ids(recipe="odd", state="done", subject=Ref("desk", "tickets", "0")) == [3]


def test_active_runs_of_a_key(store, run):
    with store.write() as tx:
        states = ["running", "waiting", "held", "done", "failed", "stopped", "cancelled"]
        for number, state in enumerate(states, 1):
            runs.start(tx, run(number, state=state))
        runs.start(tx, run(20, key="other"))
        runs.start(tx, run(21, part="sync:x"))
        runs.start(tx, run(22, recipe="other"))
        found = runs.active_for(tx, "hand-over", "steps", "desk/tickets/1")
        assert [each.state for each in found] == ["running", "waiting", "held"]


def test_the_last_start_under_a_prefix(store, run, noon):
    with store.write() as tx:
        for number, once in enumerate(["1@5", "1@6", "10@1", "1", "2@1", "1@\U0010fffd"], 1):
            runs.start(tx, run(number, once=once))
        runs.start(tx, run(9, once="1@7", recipe="other"))

        def last(prefix=""):
            return runs.last_started(tx, "hand-over", "steps", prefix)

        assert last("1@5") == noon + timedelta(seconds=1)
        assert last("1@") == noon + timedelta(seconds=6)
        assert last("2@") == noon + timedelta(seconds=5)
        assert last("1") == noon + timedelta(seconds=6)
        assert last("3") is None
        assert last() == noon + timedelta(seconds=6)


def test_runs_started_since(store, run, noon):
    with store.write() as tx:
        for number in range(1, 5):
            runs.start(tx, run(number))
        runs.start(tx, run(8, part="sync:x"))
        runs.start(tx, run(9, recipe="other"))
        assert runs.started_since(tx, "hand-over", "steps", noon + timedelta(seconds=3)) == 2
        assert runs.started_since(tx, "hand-over", "steps", noon) == 4
        assert runs.started_since(tx, "hand-over", "steps", noon + timedelta(seconds=9)) == 0


def test_counts(store, run):
    with store.write() as tx:
        assert runs.counts(tx, "a") == {}
        assert runs.held(tx) == {}
        for number, (recipe, state) in enumerate([("a", "done"), ("a", "done"), ("a", "held"), ("b", "done")]):
            runs.start(tx, run(number, recipe=recipe, state=state))
        assert runs.counts(tx, "a") == {"done": 2, "held": 1}
        assert runs.counts(tx, "b") == {"done": 1}
        assert runs.held(tx) == {"a": 1}


def test_what_ever_ran_is_counted_up_to_a_number(store, run):
    some = [row_of(run(number, recipe="a", state="done")) for number in range(runs.COUNTED + 1)]
    with store.write() as tx:
        tx.connection.execute(sa.insert(schema.runs), some[:-2])
        assert runs.counts(tx, "a") == {"done": runs.COUNTED - 1}
        tx.connection.execute(sa.insert(schema.runs), some[-2:])
        assert runs.counts(tx, "a") == {"done": runs.COUNTED}


def test_a_part_of_a_recipe_is_counted_by_state_and_since_a_time(store, run, noon):
    with store.write() as tx:
        assert runs.tally(tx, "hand-over", "steps") == {}
        for number, state in enumerate(["done", "done", "held", "done"]):
            runs.start(tx, run(number, state=state))
        runs.start(tx, run(8, part="sync:x", state="done"))
        runs.start(tx, run(9, recipe="other", state="failed"))
        assert runs.tally(tx, "hand-over", "steps") == {"done": 3, "held": 1}
        assert runs.tally(tx, "hand-over", "steps", noon + timedelta(seconds=2)) == {"done": 1, "held": 1}
        assert runs.tally(tx, "hand-over", "steps", noon + timedelta(seconds=9)) == {}
        assert runs.tally(tx, "hand-over", "sync:x") == {"done": 1}


def test_runs_whose_time_has_come_in_the_order_of_their_times(store, run, noon):
    with store.write() as tx:
        runs.start(tx, run(1, state="waiting", wake_at=noon))
        runs.start(tx, run(2, state="waiting", wake_at=noon - timedelta(hours=1)))
        runs.start(tx, run(3, state="waiting", wake_at=noon + timedelta(microseconds=1)))
        runs.start(tx, run(4, state="waiting"))
        runs.start(tx, run(6, state="waiting", wake_at=noon))
    with store.read() as tx:
        assert [one.id for one in runs.due(tx, noon, 10)] == ["run_00002", "run_00001", "run_00006"]
        assert [one.id for one in runs.due(tx, noon, 2)] == ["run_00002", "run_00001"]
        assert [one.id for one in runs.due(tx, noon, 10, (noon, "run_00001"))] == ["run_00006"]
        assert runs.due(tx, noon, 10, (noon, "run_00006")) == []
        assert runs.next_wake(tx, noon) == noon + timedelta(microseconds=1)
        assert runs.next_wake(tx, noon + timedelta(hours=1)) is None


def test_runs_that_nothing_is_in_front_of_any_more(store, run, noon):
    with store.write() as tx:
        runs.start(tx, run(1, state="failed"))
        runs.start(tx, run(2, state="waiting"))
        runs.start(tx, run(3, state="waiting"))
        runs.start(tx, run(4, state="held", key="other"))
        runs.start(tx, run(5, state="waiting", key="other"))
        runs.start(tx, run(6, state="waiting", key="third", wake_at=noon))
    with store.read() as tx:
        assert [one.id for one in runs.freed(tx, 10)] == ["run_00002"]
