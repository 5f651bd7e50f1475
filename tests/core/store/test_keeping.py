"""What may go from the log of changes, and what stays, on both databases."""

from datetime import timedelta

import pytest

from cxbridge.core.ledger import Ref
from cxbridge.core.store import changes, keeping, planning, records, runs, verifying

ONE, TWO = Ref("desk", "tickets", "1"), Ref("desk", "tickets", "2")
ALL = 1 << 62


@pytest.fixture
def history(store, item, noon):
    """Ticket 1 changes each day, ticket 2 came on the first day and changes on the fourth."""
    for day in range(6):
        page = [item("1", f"day {day}", day)] + ([item("2", f"day {day}", day)] if day in (0, 3) else [])
        with store.write() as tx:
            records.apply(tx, "desk", page, noon + timedelta(days=day))


def seqs(tx, ref):
    return [one.seq for one in reversed(changes.of(tx, ref))]


@pytest.mark.usefixtures("history")
class TestForgetting:
    def test_nothing_is_due_before_the_first_is_old_enough(self, store, noon):
        with store.write() as tx:
            assert not keeping.is_due(tx, noon)
            assert keeping.forget(tx, noon, ALL, 10) == keeping.Forgotten()
            assert keeping.kept_from(tx) == 0

    def test_what_a_later_one_outlived_goes_and_the_last_of_each_record_stays(self, store, noon):
        with store.write() as tx:
            assert keeping.is_due(tx, noon + timedelta(days=3))
            first, second = seqs(tx, ONE), seqs(tx, TWO)
            assert keeping.forget(tx, noon + timedelta(days=3), ALL, 100) == keeping.Forgotten(gone=2)
            # Days 0 and 1 of ticket 1 are gone for day 2, the last that is old enough; of ticket 2 there is none yet.
            assert (seqs(tx, ONE), seqs(tx, TWO)) == (first[2:], second)
            assert keeping.kept_from(tx) == first[2]
            assert not keeping.is_due(tx, noon + timedelta(days=3))

    def test_all_may_be_old(self, store, noon):
        with store.write() as tx:
            last = [seqs(tx, ref)[-1:] for ref in (ONE, TWO)]
            keeping.forget(tx, noon + timedelta(days=90), ALL, 100)
            assert [seqs(tx, ref) for ref in (ONE, TWO)] == last
            assert changes.last_seq(tx) == last[0][0]

    def test_what_is_kept_is_read_as_before(self, store, noon):
        with store.write() as tx:
            every = [(ref, seq) for ref in (ONE, TWO) for seq in seqs(tx, ref)]
            before = changes.bodies_as_of(tx, every)
            keeping.forget(tx, noon + timedelta(days=4), ALL, 100)
            kept = [(ref, seq) for ref in (ONE, TWO) for seq in seqs(tx, ref)]
            assert len(kept) == len(every) - 4
            assert changes.bodies_as_of(tx, kept) == {one: before[one] for one in kept}

    def test_it_goes_on_where_it_stopped(self, store, noon):
        with store.write() as tx:
            done = [keeping.forget(tx, noon + timedelta(days=90), ALL, 3) for _ in range(4)]
            assert done == [
                keeping.Forgotten(gone=1, more=True),
                keeping.Forgotten(gone=3, more=True),
                keeping.Forgotten(gone=2, more=False),
                keeping.Forgotten(),
            ]

    def test_nothing_behind_what_somebody_needs_goes(self, store, noon):
        with store.write() as tx:
            first = seqs(tx, ONE)
            assert keeping.forget(tx, noon + timedelta(days=90), first[2], 100).gone == 2
            assert seqs(tx, ONE) == first[2:]

    def test_a_change_whose_time_is_out_of_order_is_waited_for(self, store, item, noon):
        """A clock that went back: what lies behind is older, and no reason to go further."""
        with store.write() as tx:
            records.apply(tx, "desk", [item("1", "late", 9)], noon - timedelta(days=5))
            kept = keeping.forget(tx, noon - timedelta(days=1), ALL, 100)
            assert kept == keeping.Forgotten()

    def test_the_store_is_sound_afterwards(self, store, noon):
        with store.write() as tx:
            keeping.forget(tx, noon + timedelta(days=90), ALL, 100)
            assert list(verifying.problems(tx)) == []


def test_the_first_change_that_a_run_under_way_looks_at(store, run):
    with store.write() as tx:
        assert keeping.needed_by_runs(tx) is None
        for number, (state, span) in enumerate([("done", [1, 2]), ("waiting", [7, 9]), ("held", [5, 5])]):
            runs.start(tx, run(number, state=state, context={"span": span}))
        runs.start(tx, run(8, state="running", context={}))
        assert keeping.needed_by_runs(tx) == 5


def test_how_far_it_came_is_no_recipe_s_position(store, noon, item):
    with store.write() as tx:
        records.apply(tx, "desk", [item("1")], noon)
        keeping.forget(tx, noon + timedelta(days=1), ALL, 1)
        assert planning.positions(tx, ["changes", "kept"]) == {}
