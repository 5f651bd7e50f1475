"""Positions, fired schedules, counts."""

from datetime import timedelta

from cxbridge.core.ledger import Ref
from cxbridge.core.store import planning
from cxbridge.core.store.planning import Tally

ONE = Ref("desk", "tickets", "1")
TWO = Ref("desk", "tickets", "2")
MINUTE = timedelta(minutes=1)


def test_positions(store):
    with store.write() as tx:
        assert planning.position(tx, "all") is None
        planning.set_position(tx, "all", 0)
        planning.set_position(tx, "new-recipe", 5)
        planning.set_position(tx, "all", 9)
        assert planning.position(tx, "all") == 9
        assert planning.position(tx, "new-recipe") == 5


def test_a_schedule_fires_once_for_each_due_time(store, noon):
    with store.write() as tx:
        assert planning.last_fire(tx, "nightly") is None
        assert planning.fire(tx, "nightly", noon, noon)
        assert not planning.fire(tx, "nightly", noon, noon + MINUTE)
        assert planning.fire(tx, "nightly", noon + MINUTE, noon + MINUTE)
        assert planning.fire(tx, "hourly", noon, noon)
        assert planning.last_fire(tx, "nightly") == noon + MINUTE
        assert planning.last_fire(tx, "hourly") == noon


def test_tallies_add_up_and_keep_the_last(store, noon):
    with store.write() as tx:
        planning.tally(tx, "hand-over", "matched", at=noon, ref=ONE)
        planning.tally(tx, "hand-over", "matched", at=noon + MINUTE, ref=TWO, n=3)
        planning.tally(tx, "hand-over", "echo", at=noon)
        planning.tally(tx, "other", "matched", at=noon)
    with store.read() as tx:
        assert planning.tallies(tx, "hand-over") == {
            "matched": Tally(n=4, at=noon + MINUTE, ref=TWO),
            "echo": Tally(n=1, at=noon),
        }
        assert planning.tallies(tx, "none") == {}


def test_many_things_are_counted_at_once(store, noon):
    with store.write() as tx:
        planning.tally(tx, "hand-over", "matched", at=noon, ref=ONE)
        rows = [
            ("hand-over", "matched", 2, TWO),
            ("hand-over", "stopped: tagged", 7, ONE),
            ("other", "matched", 1, None),
        ]
        planning.tally_all(tx, rows, at=noon + MINUTE)
        planning.tally_all(tx, [], at=noon)
    with store.read() as tx:
        assert planning.tallies(tx, "hand-over") == {
            "matched": Tally(n=3, at=noon + MINUTE, ref=TWO),
            "stopped: tagged": Tally(n=7, at=noon + MINUTE, ref=ONE),
        }
        assert planning.tallies(tx, "other") == {"matched": Tally(n=1, at=noon + MINUTE)}


def test_positions_of_several(store):
    with store.write() as tx:
        planning.set_positions(tx, [f"recipe-{number}" for number in range(1200)], 4)
        planning.set_positions(tx, ["recipe-7"], 9)
        planning.set_positions(tx, [], 11)
    with store.read() as tx:
        assert planning.positions(tx, ["recipe-7", "recipe-8", "new"]) == {"recipe-7": 9, "recipe-8": 4}
        assert len(planning.positions(tx, [f"recipe-{number}" for number in range(2000)])) == 1200
