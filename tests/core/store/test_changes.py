"""Reading the change log, and bodies as they were."""

from datetime import timedelta

import pytest

from cxbridge.core.ledger import Change, Ref
from cxbridge.core.store import changes, records

ONE = Ref("desk", "tickets", "1")
TWO = Ref("desk", "tickets", "2")


@pytest.fixture
def history(store, item, noon):
    """Ticket 1: a, b, (refreshed), c; ticket 2: a, deleted; between them a task that is none of theirs."""
    pages = [
        [item("1", "a", 1)],
        [item("2", "a", 1), item("t", stream="tasks", kind="task")],
        [item("1", "b", 2)],
        [item("1", "b", 3)],
        [item("1", "c", 4), item("2", "gone", 2, deleted=True)],
    ]
    for number, page in enumerate(pages):
        with store.write() as tx:
            records.apply(tx, "desk", page, noon + timedelta(minutes=number))


def test_nothing_yet(store):
    with store.read() as tx:
        assert changes.last_seq(tx) == 0
        assert changes.after(tx, 0, 10) == []
        assert changes.of(tx, ONE) == []


@pytest.mark.usefixtures("history")
class TestReading:
    def test_after_is_in_order_and_bounded(self, store, noon):
        with store.read() as tx:
            everything = changes.after(tx, 0, 100)
            assert [change.seq for change in everything] == [1, 2, 3, 4, 5, 6]
            assert changes.after(tx, 2, 2) == everything[2:4]
            assert changes.after(tx, 6, 100) == []
            assert changes.last_seq(tx) == 6
        assert everything[0] == Change(seq=1, ref=ONE, kind="ticket", op="created", at=noon, before=None)
        assert {(change.ref.key, change.op, change.before) for change in everything[4:]} == {
            ("1", "updated", b"1:b:3"),
            ("2", "deleted", b"2:a:1"),
        }

    def test_of_one_record_newest_first(self, store):
        with store.read() as tx:
            assert [(change.op, change.before) for change in changes.of(tx, ONE)] == [
                ("updated", b"1:b:3"),
                ("updated", b"1:a:1"),
                ("created", None),
            ]
            assert len(changes.of(tx, ONE, limit=2)) == 2

    def test_bodies_as_of(self, store):
        task = Ref("desk", "tasks", "t")
        with store.read() as tx:
            first, second, third = sorted(change.seq for change in changes.of(tx, ONE))
            gone, created = (change.seq for change in changes.of(tx, TWO))
            (only,) = (change.seq for change in changes.of(tx, task))
            wanted = [(ref, seq) for ref in (ONE, TWO, task, Ref("x", "y", "z")) for seq in range(8)]
            found = changes.bodies_as_of(tx, wanted + wanted)
            assert changes.bodies_as_of(tx, []) == {}
        assert found == {
            # Between two changes of its own, a record is as it was after the former; before the first it has no body.
            **{(ONE, seq): (b"1:a:1", False) for seq in range(first, second)},
            # A refresh without a change is part of what the change before it led to.
            **{(ONE, seq): (b"1:b:3", False) for seq in range(second, third)},
            **{(ONE, seq): (b"1:c:4", True) for seq in range(third, 8)},
            **{(TWO, seq): (b"2:a:1", False) for seq in range(created, gone)},
            **{(TWO, seq): (b"2:gone:2", True) for seq in range(gone, 8)},
            **{(task, seq): (b"t:text:1", True) for seq in range(only, 8)},
        }


def test_bodies_as_of_for_more_than_one_statement_holds(store, item, noon):
    count = 1100
    for text in ("a", "b"):
        with store.write() as tx:
            records.apply(tx, "desk", [item(str(n), text, ord(text)) for n in range(count)], noon)
    wanted = [(Ref("desk", "tickets", str(n)), count) for n in range(count)]
    with store.read() as tx:
        assert changes.bodies_as_of(tx, wanted) == {pair: (f"{pair[0].key}:a:97".encode(), False) for pair in wanted}


def test_what_was_logged_of_late_is_read_back_to_a_time_and_no_further_than_asked(store, item, noon):
    for minute in range(5):
        with store.write() as tx:
            page = [item(f"{minute}-{number}", kind="task" if number % 2 else "ticket") for number in range(100)]
            records.apply(tx, "desk", page, noon + timedelta(minutes=minute))

    def tasks(ref, kind):
        return kind == "task"

    with store.read() as tx:
        late = changes.recent(tx, 450, noon + timedelta(minutes=3), tasks, 10_000)
        assert [one.seq for one in late] == list(range(302, 451, 2))
        assert {one.kind for one in late} == {"task"}
        assert late == [one for one in changes.after(tx, 300, 150) if one.kind == "task"]
        assert [one.seq for one in changes.recent(tx, 500, noon, tasks, 50)] == list(range(452, 501, 2))
        assert len(changes.recent(tx, 500, noon, tasks, 10_000)) == 250
        assert changes.recent(tx, 500, noon + timedelta(hours=1), tasks, 10_000) == []
