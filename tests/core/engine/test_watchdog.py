"""What makes no progress is named, once and with its place; what moves is left alone."""

import threading
from collections.abc import Callable

import pytest
import structlog

from cxbridge.core.clock import ManualClock, cpu_of_this_thread
from cxbridge.core.engine import watchdog as watching
from cxbridge.core.engine.jobs import Board
from cxbridge.core.engine.watchdog import MOST_REQUESTS, SILENCE, STILL, Slow, Watchdog


@pytest.fixture
def dog(clock: ManualClock) -> Watchdog:
    return Watchdog(clock)


def test_a_job_that_stands_still_is_named_once(dog: Watchdog, clock: ManualClock) -> None:
    with structlog.testing.capture_logs() as logs, dog.over("pull:a/b"):
        clock.advance(STILL - 1)
        assert dog.look() == []
        clock.advance(1)
        (slow,) = dog.look()
        assert (slow.job, dog.slow()) == ("pull:a/b", ["pull:a/b"])
        assert dog.look() == []
    assert dog.slow() == []
    assert [one["event"] for one in logs] == ["plugin.slow"]


def test_progress_is_counted_from_its_last(dog: Watchdog, clock: ManualClock) -> None:
    with dog.over("pull:a/b"):
        for _ in range(5):
            clock.advance(STILL - 1)
            dog.progress()
        assert dog.look() == []


def test_a_job_that_works_and_asks_nothing_is_named_with_the_place_it_is_at(clock: ManualClock) -> None:
    dog = Watchdog(clock, busy=0.05)
    turning, named = threading.Event(), threading.Event()

    def turns() -> None:
        with dog.over("pull:a/b"):
            turning.set()
            while not named.is_set():
                sum(range(1000))

    thread = threading.Thread(target=turns)
    thread.start()
    assert turning.wait(10)
    found: list[Slow] = []
    try:
        while not found:
            found = dog.look()
    finally:
        named.set()
        thread.join()
    assert "works on" in found[0].why
    assert found[0].at.startswith("test_watchdog.py:")
    assert found[0].at.endswith(" turns")


def test_a_push_is_moved_by_the_threads_it_works_with(dog: Watchdog, clock: ManualClock) -> None:
    with dog.over("push:jira"):
        for _ in range(3):
            clock.advance(STILL - 1)
            # Of another connection, which moves nothing here; then of this one.
            for name in ("zendesk", "jira"):
                thread = threading.Thread(target=dog.progress, args=(name,))
                thread.start()
                thread.join()
        assert dog.look() == []
        clock.advance(STILL)
        thread = threading.Thread(target=dog.progress, args=("zendesk",))
        thread.start()
        thread.join()
        assert [one.job for one in dog.look()] == ["push:jira"]


def test_requests_without_a_page_are_counted(dog: Watchdog) -> None:
    with dog.over("pull:a/b"):
        for _ in range(MOST_REQUESTS - 1):
            dog.progress("a", request=True)
        dog.progress("a")
        for _ in range(MOST_REQUESTS - 1):
            dog.progress("a", request=True)
        assert dog.look() == []
        dog.progress("a", request=True)
        (slow,) = dog.look()
    assert "finished no page" in slow.why


def test_a_failure_is_kept_until_the_next_success(dog: Watchdog, clock: ManualClock) -> None:
    first = clock.now()
    dog.failed("pull:a/b", RuntimeError("one"))
    clock.advance(60)
    dog.failed("pull:a/b", RuntimeError("two"))
    (trouble,) = dog.troubles()
    assert (trouble.since, trouble.error) == (first, "two")
    dog.worked("pull:a/b")
    assert dog.troubles() == []


def test_it_knows_whether_the_alarm_rings(dog: Watchdog, clock: ManualClock) -> None:
    told = [dog.ticking]
    dog.tick()
    for seconds in (SILENCE, 1):
        clock.advance(seconds)
        told.append(dog.ticking)
    assert told == [False, True, False]


def test_threads_that_are_left_are_named_once(dog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    # More than those of a simulated vendor that other tests of this process may have left at work.
    monkeypatch.setattr(watching, "MOST_THREADS", 40)
    let_go = threading.Event()

    def waits() -> None:
        let_go.wait()

    threads = [threading.Thread(target=waits) for _ in range(40)]
    with structlog.testing.capture_logs() as logs:
        assert dog.look() == []
        for thread in threads:
            thread.start()
        dog.look()
        dog.look()
        let_go.set()
        for thread in threads:
            thread.join()
        dog.look()
    (told,) = [one for one in logs if one["event"] == "plugin.threads"]
    assert told["most_of"].endswith("test_watchdog")


def test_the_time_of_a_thread_may_be_asked_for_after_it_has_ended() -> None:
    found: list[Callable[[], float | None]] = []
    thread = threading.Thread(target=lambda: found.append(cpu_of_this_thread()))
    thread.start()
    thread.join()
    # The machine may know it for a moment longer.
    ended = found[0]()
    assert ended is None or ended >= 0.0
    mine = cpu_of_this_thread()()
    assert mine is None or mine >= 0.0


def test_a_board_puts_another_worker_in_the_place_of_one_that_is_held() -> None:
    held, let_go, done = threading.Event(), threading.Event(), threading.Event()

    def work(job: str) -> None:
        if job == "stuck":
            held.set()
            let_go.wait()
        else:
            done.set()

    board = Board(work, workers=1)
    board.start()
    board.nudge("stuck")
    assert held.wait(10)
    board.nudge("other")
    board.relieve("other")
    assert not done.is_set()
    board.relieve("stuck")
    board.relieve("stuck")
    assert done.wait(10)
    let_go.set()
    assert board.wait_idle(10)
    assert board.stop(10)
    assert len(board._threads) == 1
