"""Workers on one store: who keeps an owner, who gives it up, and what the agenda knows meanwhile; the jobs are the test's own."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import Queue

import pytest

from cxbridge.core.clock import SystemClock
from cxbridge.core.engine import served, workers
from cxbridge.core.engine.workers import Workers
from cxbridge.core.store import Store, agenda, leases
from tests.conftest import PostgreSQL

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]
DESK, TRACKER, CHAT = "push:desk", "push:tracker", "push:chat"
LONG = 30.0


class Worker:
    """A worker that notes what it does; `on` is what a job of that name does beside."""

    def __init__(self, store: Store, name: str, slots: int) -> None:
        self.store = store
        self.done: Queue[str] = Queue()
        self.taken: list[str] = []
        self.left: Queue[str] = Queue()
        self.on: dict[str, Callable[[threading.Event], None]] = {}
        self.jobs = Workers(
            store,
            store.clock,
            self.handle,
            worker=name,
            slots=slots,
            drain=10.0,
            on_taken=self.taken.append,
            on_left=self.left.put,
        )

    def handle(self, job: str, stop: threading.Event) -> None:
        self.on.get(job, lambda _: None)(stop)
        self.done.put(job)

    def does(self, job: str) -> None:
        assert self.done.get(timeout=LONG) == job

    def standing(self) -> set[str]:
        with self.store.read() as tx:
            return {
                one.job
                for owner in ("planning", "connection:desk", "connection:tracker")
                for one in agenda.of_owner(tx, owner)
            }


Join = Callable[..., Worker]


@pytest.fixture
def join(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Join]:
    """Start workers on one store that keep an owner for ever and look around only when they are told."""
    monkeypatch.setattr(served, "LINGER", 3600.0)
    monkeypatch.setattr(workers, "RENEWED_EVERY", 3600.0)
    url = postgresql.empty()
    with ExitStack() as stack:

        def start(slots: int = 2) -> Worker:
            store = Store.open(url, clock=SystemClock())
            stack.callback(store.close)
            made = Worker(store, f"worker-{next(numbers)}", slots)
            made.jobs.start([])
            stack.callback(made.jobs.stop)
            return made

        numbers = itertools.count()
        yield start


def test_an_owner_is_kept_after_its_last_job(join: Join) -> None:
    one = join()
    for _ in range(3):
        one.jobs.nudge(DESK)
        one.does(DESK)
    assert one.taken == ["connection:desk"]


def test_what_is_kept_without_need_is_given_up_for_an_owner_that_waits(join: Join) -> None:
    one = join(slots=1)
    for job in (DESK, TRACKER, DESK):
        one.jobs.nudge(job)
        one.does(job)


def test_where_all_workers_keep_what_they_have_one_gives_up_for_an_owner_that_waits(join: Join) -> None:
    one, other = join(slots=1), join(slots=1)
    first, second = (threading.Event() for _ in range(2))

    def wait(_: threading.Event) -> None:
        first.set()
        assert second.wait(LONG)

    for worker in (one, other):
        worker.on = {DESK: wait, TRACKER: lambda _: second.set()}
    one.jobs.nudge(DESK)
    assert first.wait(LONG)
    # So that the second owner goes to the other worker.
    one.jobs.nudge(TRACKER)
    assert second.wait(LONG)
    assert len(one.taken) == len(other.taken) == 1
    chat = threading.Event()
    for worker in (one, other):
        worker.on[CHAT] = lambda _: chat.set()
    one.jobs.nudge(CHAT)
    assert chat.wait(LONG)


def test_what_another_worker_enters_for_an_owner_that_is_kept_is_done_at_once(join: Join) -> None:
    one = join()
    one.jobs.nudge(DESK)
    one.does(DESK)
    other = join()
    other.jobs.nudge(DESK)
    one.does(DESK)
    with other.store.write() as tx:
        other.jobs.remember(tx, [DESK])
    other.jobs.remembered(DESK)
    one.does(DESK)
    assert other.taken == []


def test_what_is_kept_without_need_is_idle_and_is_left_when_it_ends(join: Join) -> None:
    one = join()
    one.jobs.nudge(DESK)
    one.does(DESK)
    while not one.jobs.idle():
        threading.Event().wait(0.01)
    assert one.left.empty()
    assert one.jobs.stop()
    assert one.left.get(timeout=LONG) == "connection:desk"
    with one.store.read() as tx:
        assert leases.living(tx) == []


def test_the_agenda_holds_what_was_asked_for_or_who_asked_until_it_is_done(join: Join) -> None:
    """Whoever takes over after a crash at any of these moments does the rest."""
    one = join()
    seen: list[set[str]] = []
    asked = threading.Event()
    one.jobs.nudge("plan")
    one.does("plan")

    def push(_: threading.Event) -> None:
        one.jobs.nudge("plan")
        assert asked.wait(LONG)

    def plan(_: threading.Event) -> None:
        seen.append(one.standing())
        asked.set()
        while DESK in one.standing():
            threading.Event().wait(0.01)
        seen.append(one.standing())

    one.on = {DESK: push, "plan": plan}
    one.jobs.nudge(DESK)
    assert [one.done.get(timeout=LONG) for _ in range(2)] == [DESK, "plan"]
    assert DESK in seen[0]
    assert seen[1] == {"plan"}
    while one.standing():
        threading.Event().wait(0.01)


def test_what_was_asked_for_and_told_to_stop_is_done_by_the_next_worker(join: Join) -> None:
    one = join()
    one.jobs.nudge("plan")
    one.does("plan")
    begun = threading.Event()

    def plan(stop: threading.Event) -> None:
        begun.set()
        assert stop.wait(LONG)

    one.on = {DESK: lambda _: one.jobs.nudge("plan"), "plan": plan}
    one.jobs.nudge(DESK)
    assert begun.wait(LONG)
    assert one.jobs.stop()
    assert "plan" in one.standing()
    other = join()
    other.jobs.nudge("wake")
    assert {other.done.get(timeout=LONG) for _ in range(2)} == {"plan", "wake"}


def test_an_owner_that_another_worker_took_over_is_left_although_nothing_was_under_way(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "RENEWED_EVERY", 0.05)
    one = join()
    one.jobs.nudge(DESK)
    one.does(DESK)
    with one.store.aside() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE leases SET fence = fence + 1, worker = 'another' WHERE name LIKE 'conn%%'"
        )
    assert one.left.get(timeout=LONG) == "connection:desk"
