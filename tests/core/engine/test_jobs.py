"""The job board: never two at once under one key, no nudge lost, no worker lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from cxbridge.core.baton import BATON
from cxbridge.core.clock import SystemClock
from cxbridge.core.engine.jobs import Board, Embedded


@contextmanager
def running(board: Board) -> Iterator[Board]:
    board.start()
    try:
        yield board
    finally:
        board.stop(5)


def test_a_job_never_runs_twice_at_once_and_a_nudge_meanwhile_makes_it_run_again() -> None:
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)
    inside: list[str] = []
    most = [0]
    lock = threading.Lock()

    def handler(key: str) -> None:
        with lock:
            inside.append(key)
            most[0] = max(most[0], inside.count(key))
        entered.release()
        leave.acquire()
        with lock:
            inside.remove(key)

    with running(Board(handler, workers=4)) as board:
        board.nudge("a")
        assert entered.acquire(timeout=5)
        for _ in range(5):
            board.nudge("a")
        leave.release()
        assert entered.acquire(timeout=5), "the nudge during the job was lost"
        leave.release()
        assert board.wait_idle(5)
        assert not entered.acquire(blocking=False), "five nudges are one"
    assert most[0] == 1


def test_different_jobs_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=5)

    def handler(_: str) -> None:
        together.wait()

    with running(Board(handler, workers=2)) as board:
        board.nudge("a")
        board.nudge("b")
        assert board.wait_idle(5)
    assert not together.broken


def test_a_job_that_fails_takes_no_worker_with_it() -> None:
    done = threading.Event()

    def handler(key: str) -> None:
        if key == "bad":
            raise RuntimeError("broken")
        done.set()

    with running(Board(handler, workers=1)) as board:
        board.nudge("bad")
        board.nudge("good")
        assert done.wait(5)


def test_stopping_lets_the_job_under_way_end_and_begins_no_other() -> None:
    entered, leave = threading.Event(), threading.Event()
    seen: list[str] = []

    def handler(key: str) -> None:
        seen.append(key)
        entered.set()
        leave.wait(5)

    board = Board(handler, workers=1)
    board.start()
    board.nudge("first")
    board.nudge("second")
    assert entered.wait(5)
    assert not board.stop(0.01), "it is still under way"
    leave.set()
    assert board.stop(5)
    board.nudge("third")
    assert seen == ["first"]


def test_a_worker_for_each_of_many_jobs_that_are_named_at_once() -> None:
    together = threading.Barrier(8, timeout=5)

    def handler(_: str) -> None:
        together.wait()

    with running(Board(handler, workers=8)) as board:
        for number in range(8):
            board.nudge(str(number))
        assert board.wait_idle(5)
    assert not together.broken


def test_what_a_job_asks_for_while_it_computes_is_done_next_by_the_same_worker() -> None:
    did: list[tuple[str, int]] = []

    def handler(key: str) -> None:
        with BATON.part():
            if key == "read":
                board.nudge("plan")
                threading.Event().wait(0.05)
            did.append((key, threading.get_ident()))

    with running(Board(handler, workers=4)) as board:
        for _ in range(3):
            board.nudge("read")
            assert board.wait_idle(5)
    assert [key for key, _ in did] == ["read", "plan"] * 3
    # Nor is anybody woken to no purpose: who worked last works again.
    assert len({worker for _, worker in did}) == 1


def test_what_a_job_asks_for_is_done_beside_it_as_soon_as_it_waits() -> None:
    planned = threading.Event()

    def handler(key: str) -> None:
        with BATON.part():
            if key == "plan":
                planned.set()
                return
            board.nudge("plan")
            with BATON.away():
                assert planned.wait(5), "nobody planned while a vendor was waited for"

    with running(Board(handler, workers=2)) as board:
        board.nudge("read")
        assert board.wait_idle(10)
    assert planned.is_set()


def test_of_two_that_a_job_asks_for_another_worker_does_one() -> None:
    together = threading.Barrier(2, timeout=5)

    def handler(key: str) -> None:
        with BATON.part():
            if key == "plan":
                board.nudge("push:desk")
                board.nudge("push:tracker")
                return
            with BATON.away():
                together.wait()

    with running(Board(handler, workers=2)) as board:
        board.nudge("plan")
        assert board.wait_idle(10)
    assert not together.broken


def test_what_a_job_that_stands_still_asked_for_is_done_at_the_next_tick() -> None:
    asked, planned = threading.Event(), threading.Event()

    def handle(key: str, _: threading.Event) -> None:
        if key == "plan":
            planned.set()
            return
        with BATON.part():
            embedded.nudge("plan")
            asked.set()
            assert planned.wait(20), "nobody planned"

    embedded = Embedded(SystemClock(), handle, workers=2, drain=5)
    embedded.start(["read"])
    assert asked.wait(5)
    assert planned.wait(20)
    assert embedded.stop()


# -- the alarm clock ---------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs() -> Iterator[Embedded]:
    done.clear()
    made = Embedded(SystemClock(), lambda job, _: done.add(job), workers=2, drain=5)
    made.start([])
    yield made
    assert made.stop()


done: set[str] = set()


def test_an_alarm_that_rings_a_little_earlier_is_left_and_any_other_takes_its_place(
    jobs: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_: list[object] = []
    monkeypatch.setattr(jobs._alarm, "add_job", lambda *_, **named: set_.append(named["id"]))
    moment = SystemClock().now() + timedelta(hours=1)
    for seconds in (0, 0.5, 1, 1.1, 1.5):
        jobs.later("plan", moment + timedelta(seconds=seconds))
    assert set_ == ["plan", "plan"], "0 and 1.1"
    jobs.later("plan", moment)
    assert len(set_) == 3, "earlier than what stands"
    jobs.later("wake", moment)
    assert set_[-1] == "wake"


def test_an_alarm_can_be_set_again_as_soon_as_it_rang(jobs: Embedded) -> None:
    for _ in range(3):
        done.clear()
        jobs.later("plan", SystemClock().now() + timedelta(milliseconds=60))
        for _ in range(500):
            if "plan" in done:
                break
            threading.Event().wait(0.01)
        assert done == {"plan"}


def test_of_alarms_that_are_set_at_once_the_one_that_stands_is_the_one_that_is_noted(
    jobs: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one more that is asked for would be left out for the sake of one that does not stand."""
    real = jobs._alarm.add_job
    first = threading.Event()

    def slow(*words: object, **named: object) -> None:
        if not first.is_set():
            first.set()
            # Time for the other one to overtake it.
            threading.Event().wait(0.2)
        real(*words, **named)

    monkeypatch.setattr(jobs._alarm, "add_job", slow)
    hour = SystemClock().now() + timedelta(hours=1)
    late = threading.Thread(target=jobs.later, args=("plan", hour + timedelta(hours=1)))
    late.start()
    assert first.wait(5)
    jobs.later("plan", hour)
    late.join()
    assert jobs._alarm.get_job("plan").next_run_time == jobs._set["plan"]
