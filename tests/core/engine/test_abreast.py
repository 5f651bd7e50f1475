"""Several deliveries at once: nobody waits for the slowest of a batch, nothing is done twice, and what fails stops the turn."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from cxbridge.core.baton import Baton
from cxbridge.core.engine import abreast
from cxbridge.core.engine.abreast import BATCH, Abreast
from cxbridge.core.ledger import Delivery

PATIENCE = 20


def delivery(name: str) -> Delivery:
    noon = datetime(2026, 5, 6, 12, tzinfo=UTC)
    return Delivery(
        id=name,
        run="run",
        recipe="recipe",
        step="step",
        connection="desk",
        action="ticket.set",
        marker=name,
        order_key=name,
        not_before=noon,
        created_at=noon,
    )


class Queue:
    """What is due until it is done, as the outbox has it: what is in hand is given again."""

    def __init__(self, *names: str) -> None:
        self.open = {name: delivery(name) for name in names}
        self.asked = 0
        self.done: list[str] = []
        self.lock = threading.Lock()

    def due(self, most: int) -> Sequence[Delivery]:
        with self.lock:
            self.asked += 1
            return list(self.open.values())[:most]

    def settle(self, one: Delivery, *more: str) -> None:
        with self.lock:
            del self.open[one.id]
            self.done.append(one.id)
            self.open |= {name: delivery(name) for name in more}


def never() -> bool:
    return False


def test_while_one_takes_long_the_others_are_done_beyond_the_batch() -> None:
    queue = Queue("slow", *(f"{number:03}" for number in range(3 * BATCH)))
    others_done = threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "slow":
            assert others_done.wait(PATIENCE), "they waited for the slowest"
        queue.settle(one)
        if len(queue.done) == 3 * BATCH:
            others_done.set()

    Abreast("desk", 2, queue.due, deliver, never).run()
    assert queue.done[-1] == "slow"
    assert len(queue.done) == len(set(queue.done)) == 3 * BATCH + 1


def test_no_more_are_under_way_than_may_be_and_alone_they_keep_their_order() -> None:
    for most in (1, 3):
        queue = Queue(*(f"{number:03}" for number in range(40)))
        together = threading.Semaphore(most)

        def deliver(
            _crew: Abreast, one: Delivery, queue: Queue = queue, together: threading.Semaphore = together
        ) -> None:
            assert together.acquire(blocking=False), "too many at once"
            queue.settle(one)
            together.release()

        Abreast("desk", most, queue.due, deliver, never).run()
        assert sorted(queue.done) == [f"{number:03}" for number in range(40)]
        if most == 1:
            assert queue.done == sorted(queue.done)
            assert queue.asked == 2, "read once, and once more to find that nothing is left"


def test_what_the_last_one_in_hand_makes_due_is_done_abreast_as_well() -> None:
    queue = Queue("first", "second")
    met = threading.Barrier(2, timeout=PATIENCE)

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "second":
            queue.settle(one)
        elif one.id == "first":
            queue.settle(one, "a", "b")
        else:
            # Each waits for the other: alone, neither would end.
            met.wait()
            queue.settle(one)

    Abreast("desk", 2, queue.due, deliver, never).run()
    assert sorted(queue.done) == ["a", "b", "first", "second"]


def test_what_fails_stops_the_turn_and_is_raised() -> None:
    queue = Queue(*(f"{number:03}" for number in range(20)))

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "003":
            raise ZeroDivisionError
        queue.settle(one)

    with pytest.raises(ZeroDivisionError):
        Abreast("desk", 1, queue.due, deliver, never).run()
    assert queue.done == ["000", "001", "002"]


def test_when_it_is_over_what_is_in_hand_ends_and_nothing_more_begins() -> None:
    queue = Queue(*(f"{number:03}" for number in range(20)))
    Abreast("desk", 3, queue.due, lambda _, one: queue.settle(one), lambda: len(queue.done) >= 5).run()
    assert 5 <= len(queue.done) <= 5 + 2


def test_the_one_that_was_begun_with_another_is_done_next_by_the_same_thread_whatever_is_over() -> None:
    queue = Queue(*(f"{number:03}" for number in range(20)))
    threads: dict[str, int] = {}
    over = threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> Delivery | None:
        threads[one.id] = threading.get_ident()
        queue.settle(one)
        following = crew.some(1)
        if following and not ahead:
            ahead[one.id] = following[0].id
            over.set()
            return following[0]
        crew.not_begun(following)
        return None

    ahead: dict[str, str] = {}
    crew = Abreast("desk", 3, queue.due, deliver, over.is_set)
    crew.run()
    [(first, second)] = ahead.items()
    assert threads[first] == threads[second]
    assert len(queue.done) == len(set(queue.done)) <= 2 + 2 * 3, "those in hand when it was over, and no more"


@pytest.mark.parametrize("most", [1, 3, 2 * BATCH])
def test_those_that_were_taken_and_not_begun_are_done_all_the_same_and_in_order(most: int) -> None:
    names = [f"{number:03}" for number in range(2 * BATCH)]
    queue = Queue(*names)
    given_back: list[str] = []

    def deliver(_crew: Abreast, one: Delivery) -> None:
        following = crew.some(most)
        queue.settle(one)
        given_back.extend(one.id for one in following)
        crew.not_begun(following)

    crew = Abreast("desk", 1, queue.due, deliver, never)
    crew.run()
    assert queue.done == names
    assert given_back


def test_those_that_were_taken_by_many_threads_and_not_begun_are_done_once() -> None:
    queue = Queue(*(f"{number:03}" for number in range(2 * BATCH)))
    given_back: list[str] = []

    def deliver(_crew: Abreast, one: Delivery) -> None:
        following = crew.some(3)
        queue.settle(one)
        given_back.extend(one.id for one in following)
        crew.not_begun(following)

    crew = Abreast("desk", 4, queue.due, deliver, never)
    crew.run()
    assert len(queue.done) == len(set(queue.done)) == 2 * BATCH
    assert given_back


def test_one_that_was_taken_and_settled_beside_is_not_done_again() -> None:
    queue = Queue("a", "b", "c")

    def deliver(_crew: Abreast, one: Delivery) -> None:
        queue.settle(one)
        for following in crew.some(1):
            queue.settle(following)
            crew.done(following)

    crew = Abreast("desk", 1, queue.due, deliver, never)
    crew.run()
    assert queue.done == ["a", "b", "c"]


def test_whoever_has_nothing_to_do_looks_beside_while_another_takes_long() -> None:
    queue = Queue("a", "slow")
    looked = threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "slow":
            assert looked.wait(PATIENCE), "nobody looked"
        queue.settle(one)

    Abreast("desk", 2, queue.due, deliver, never, looked.set).run()
    assert queue.done == ["a", "slow"]


def test_where_one_does_more_than_several_the_others_hold_still() -> None:
    queue = Queue(*(f"{number:03}" for number in range(3 * BATCH)))
    threads: set[int] = set()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        threads.add(threading.get_ident())
        queue.settle(one)

    Abreast("desk", 8, queue.due, deliver, never, alone=lambda: True).run()
    assert threads == {threading.get_ident()}
    assert len(queue.done) == len(set(queue.done)) == 3 * BATCH


def test_the_one_that_works_alone_and_is_held_up_is_not_waited_for() -> None:
    queue = Queue("slow", *(f"{number:03}" for number in range(BATCH)))
    others_done = threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "slow":
            assert others_done.wait(PATIENCE), "they waited for it"
        queue.settle(one)
        if len(queue.done) == BATCH:
            others_done.set()

    Abreast("desk", 4, queue.due, deliver, never, alone=lambda: True).run()
    assert queue.done[-1] == "slow"
    assert len(queue.done) == len(set(queue.done)) == BATCH + 1


def test_when_one_alone_fails_those_that_hold_still_end_with_it() -> None:
    queue = Queue(*(f"{number:03}" for number in range(BATCH)))

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "003":
            raise ZeroDivisionError
        queue.settle(one)

    with pytest.raises(ZeroDivisionError):
        Abreast("desk", 4, queue.due, deliver, never, alone=lambda: True).run()
    assert queue.done == ["000", "001", "002"]


def test_more_is_asked_for_before_too_few_are_left_to_be_taken_together() -> None:
    queue = Queue(*(f"{number:03}" for number in range(3 * BATCH)))
    taken: list[int] = []

    def deliver(_crew: Abreast, one: Delivery) -> Delivery | None:
        following = crew.some(16)
        queue.settle(one)
        taken.append(len(following))
        crew.not_begun(following)
        return None

    crew = Abreast("desk", 1, queue.due, deliver, never)
    crew.run()
    assert taken[: 3 * BATCH - 16] == [16] * (3 * BATCH - 16)
    assert len(queue.done) == len(set(queue.done)) == 3 * BATCH


@pytest.mark.parametrize("alone", [False, True])
def test_whoever_has_nothing_to_do_leaves_it_to_the_others_to_compute(
    monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    # Nobody takes it unasked: who waits with it in hand keeps the others waiting for ever.
    baton = Baton(patience=-1)
    monkeypatch.setattr(abreast, "BATON", baton)
    queue = Queue("first", "second")
    first_waits = threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        assert baton.is_mine
        if one.id == "first":
            with baton.away():
                assert first_waits.wait(PATIENCE), "the second one was not done meanwhile"
        else:
            first_waits.set()
        assert baton.is_mine
        queue.settle(one)

    def work() -> None:
        with baton.part():
            Abreast("desk", 3, queue.due, deliver, never, alone=lambda: alone and bool(queue.done)).run()
            assert baton.is_mine
            ended.set()

    ended = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    assert ended.wait(3 * PATIENCE), "the turn never ended"
    assert sorted(queue.done) == ["first", "second"]


def test_whoever_waits_for_the_last_ones_in_hand_leaves_it_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    baton = Baton(patience=-1)
    monkeypatch.setattr(abreast, "BATON", baton)
    queue = Queue("first", "second")
    helps, waited_for = threading.Event(), threading.Event()

    def deliver(_crew: Abreast, one: Delivery) -> None:
        if one.id == "first":
            with baton.away():
                assert helps.wait(PATIENCE)
        else:
            helps.set()
            with baton.away():
                assert waited_for.wait(PATIENCE)
        queue.settle(one)

    def over() -> bool:
        if "first" in queue.done:
            # Nothing more is begun: the thread that asked waits for the helper from here on.
            waited_for.set()
        return waited_for.is_set()

    def work() -> None:
        with baton.part():
            Abreast("desk", 2, queue.due, deliver, over).run()
            ended.set()

    ended = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    assert ended.wait(3 * PATIENCE), "the turn never ended"
    assert queue.done == ["first", "second"]


@pytest.mark.parametrize(("alone", "least"), [(False, 1), (True, 0)], ids=["several", "one does more"])
def test_what_is_due_is_asked_for_before_several_run_out_of_it(alone: bool, least: int) -> None:
    queue = Queue(*(f"{number:03}" for number in range(3 * BATCH)))
    waiting: list[int] = []

    def deliver(_crew: Abreast, one: Delivery) -> None:
        left = len(crew.waiting())
        # Looked at last: whoever is held up in between counts for nothing.
        if len(queue.open) > BATCH:
            waiting.append(left)
        queue.settle(one)

    crew = Abreast("desk", 4, queue.due, deliver, never, alone=lambda: alone)
    crew.run()
    assert min(waiting) >= least
    assert (min(waiting) == 0) is alone
