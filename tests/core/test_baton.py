"""The baton: one computes at a time, whoever waits leaves it to others, and nobody is kept waiting by one that does not."""

import threading
from collections.abc import Callable

import pytest

from cxbridge.core.baton import Baton
from cxbridge.core.clock import SystemClock

LONG = 60.0  # seconds that nothing here takes


@pytest.fixture
def baton() -> Baton:
    """One that nobody takes unasked."""
    return Baton(patience=LONG)


class Other(threading.Thread):
    """Another thread, that keeps what went wrong in it for whoever waits for its end."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._failed: list[BaseException] = []
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            self._failed.append(error)

    def end(self) -> None:
        self.join(LONG)
        assert not self.is_alive(), "it never ended"
        if self._failed:
            raise self._failed[0]


def waits(baton: Baton, many: int = 1) -> None:
    """Wait until so many ask for it."""
    enough = threading.Event()
    while len(baton._waiting) < many:
        enough.wait(0.001)


def test_of_those_who_take_part_one_computes_at_a_time(baton: Baton) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(200):
            with baton.part():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    for other in [Other(work) for _ in range(4)]:
        other.end()
    assert most == [1]


def test_whoever_waits_leaves_it_to_others_and_asks_for_it_again(baton: Baton) -> None:
    told: list[str] = []
    there, gone = threading.Event(), threading.Event()

    def other() -> None:
        with baton.part():
            told.append("the other computes")
            there.set()
            assert gone.wait(LONG)
            told.append("the other ends")

    with baton.part():
        second = Other(other)
        waits(baton)
        with baton.away():
            assert there.wait(LONG), "it was not left to the other one"
            gone.set()
        told.append("the first goes on")
        assert baton.is_mine
    second.end()
    assert told == ["the other computes", "the other ends", "the first goes on"]


def test_those_who_wait_get_it_in_the_order_in_which_they_asked(baton: Baton) -> None:
    order: list[int] = []

    def work(number: int) -> None:
        with baton.part():
            order.append(number)

    with baton.part():
        others = []
        for number in range(5):
            others.append(Other(lambda number=number: work(number)))  # type: ignore[misc]  # mypy infers no lambda with a default
            waits(baton, number + 1)
    for other in others:
        other.end()
    assert order == [0, 1, 2, 3, 4]


def test_one_that_does_not_leave_it_keeps_nobody_waiting_for_long() -> None:
    baton = Baton(patience=0.001)
    taken, over = threading.Event(), threading.Event()

    def stuck() -> None:
        with baton.part():
            taken.set()
            assert over.wait(LONG)
            # It was taken meanwhile, and is not this one's to give away.
            assert not baton.is_mine

    other = Other(stuck)
    assert taken.wait(LONG)
    with baton.part():
        assert baton.is_mine
        over.set()
        other.end()
        assert baton.is_mine, "the one that was stuck gave away what it did not have any more"


def test_it_is_offered_where_something_is_left_that_nobody_waits_for(baton: Baton) -> None:
    order: list[str] = []

    def work() -> None:
        with baton.part():
            order.append("who waited")

    with baton.part():
        baton.offer()
        assert baton.is_mine, "nobody waits"
        other = Other(work)
        waits(baton)
        baton.offer()
        order.append("who offered it")
        assert baton.is_mine
    other.end()
    assert order == ["who waited", "who offered it"]


def test_those_who_do_not_take_part_are_not_concerned(baton: Baton) -> None:
    assert not baton.takes_part

    def outside() -> None:
        # Would wait for ever, if it were concerned.
        with baton.away():
            assert not baton.takes_part
        baton.back()
        baton.leave()
        baton.offer()
        with baton.for_helpers()():
            assert not baton.takes_part

    with baton.part():
        Other(outside).end()
        assert baton.is_mine


def test_helpers_take_part_if_the_one_that_made_them_does(baton: Baton) -> None:
    with baton.part():
        taking_part = baton.for_helpers()
        there = threading.Event()

        def help_too() -> None:
            with taking_part():
                assert baton.takes_part
                there.set()

        helper = Other(help_too)
        waits(baton)
        assert not there.is_set()
    helper.end()
    assert there.is_set()


def test_it_is_left_to_others_however_the_work_ends_and_one_part_inside_another_is_one(baton: Baton) -> None:
    with baton.part():
        with baton.part():
            pass
        assert baton.is_mine, "the inner end is not the outer one"
    with pytest.raises(KeyError), baton.part():
        raise KeyError
    assert not baton.takes_part
    with pytest.raises(KeyError), baton.part(), baton.away():
        raise KeyError
    Other(lambda: baton.part().__enter__()).end()


def test_whoever_waits_for_a_time_leaves_it_to_others(baton: Baton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxbridge.core.clock.BATON", baton)
    wake, woken = threading.Event(), []

    def wake_it() -> None:
        with baton.part():
            wake.set()

    with baton.part():
        other = Other(wake_it)
        waits(baton)
        woken.append(SystemClock().wait(LONG, wake))
        other.end()
    assert woken == [True]


def test_what_is_to_be_called_when_it_is_laid_down_is_called_once_and_by_whoever_has_it(baton: Baton) -> None:
    called: list[str] = []
    with baton.part():
        baton.when_left(lambda: called.append("away"))
        assert called == [], "nobody else could compute"
        with baton.away():
            assert called == ["away"]
        with baton.away():
            pass
        baton.when_left(lambda: called.append("offered"))
        baton.offer()
        assert called == ["away", "offered"]
        Other(lambda: baton.when_left(lambda: called.append("another's"))).end()
    assert called == ["away", "offered", "another's"]
    baton.when_left(lambda: called.append("at once"))
    assert called[-1] == "at once"


def test_whose_part_ends_looks_by_himself_for_what_was_to_be_called(baton: Baton) -> None:
    called: list[str] = []
    with baton.part():
        baton.when_left(lambda: called.append("never"))
    with baton.part(), baton.away():
        pass
    assert called == []


def test_where_it_is_taken_what_was_to_be_called_is_called() -> None:
    baton, called = Baton(patience=0.001), threading.Event()
    with baton.part():
        baton.when_left(called.set)

        def take() -> None:
            with baton.part():
                assert called.is_set()

        Other(take).end()
        assert called.is_set()
