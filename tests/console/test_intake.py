"""Group commits: whoever waits at the same moment shares one, and is answered after it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import msgspec
import pytest

from cxbridge.console.intake import Intake
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, inbox
from cxbridge.core.store.inbox import Arrival
from cxbridge.core.webhooks import Nudge

PATIENCE = 20.0


@pytest.fixture
def commits() -> list[int]:
    """One entry for each commit that brought something new."""
    return []


@pytest.fixture
def intake(store: Store, clock: ManualClock, commits: list[int]) -> Iterator[Intake]:
    made = Intake(store, clock, lambda _: commits.append(1))
    made.start()
    yield made
    made.stop()


def arrival(number: int, clock: ManualClock) -> Arrival:
    return Arrival(
        connection="zendesk",
        event_id=f"event-{number}",
        received_at=clock.now(),
        announced=msgspec.Raw(b'{"nudges": [], "pressed": []}'),
        nudges=[Nudge("tickets", str(number))],
        body=b"{}",
    )


def test_all_that_wait_share_one_commit(store: Store, intake: Intake, clock: ManualClock, commits: list[int]) -> None:
    with store.write():
        answers = [intake.put(arrival(number, clock)) for number in range(400)]
    assert not any(answer.done() for answer in answers), "nobody is answered before the commit"
    intake.write()
    assert all(answer.result(0) for answer in answers)
    assert len(commits) == 1


def test_one_of_those_that_come_writes_for_all_and_the_others_go(
    store: Store, intake: Intake, clock: ManualClock, commits: list[int]
) -> None:
    answers: list[Future[bool]] = []

    def bring(number: int) -> None:
        answers.append(intake.put(arrival(number, clock)))
        intake.write()

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(20)]
    with store.write():
        for thread in threads:
            thread.start()
        # One of them waits for the store.
        until = time.monotonic() + PATIENCE
        while sum(thread.is_alive() for thread in threads) > 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert sum(thread.is_alive() for thread in threads) == 1
        assert not any(answer.done() for answer in answers)
    assert all(answer.result(PATIENCE) for answer in answers)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "nobody writes on with nothing in line"
    # The first ones may have been taken before the others were in line.
    assert len(commits) <= 2


def test_an_answer_comes_after_its_commit(store: Store, intake: Intake, clock: ManualClock) -> None:
    stored: list[int] = []

    def look(answer: Future[bool]) -> None:
        with store.read() as tx:
            stored.append(len(inbox.waiting(tx)))

    answer = intake.put(arrival(1, clock))
    answer.add_done_callback(look)
    intake.write()
    assert stored == [1]


def test_the_same_event_in_one_commit_is_new_once(store: Store, intake: Intake, clock: ManualClock) -> None:
    with store.write():
        answers = [intake.put(arrival(1, clock)) for _ in range(5)]
    intake.write()
    assert sorted(answer.result(0) for answer in answers) == [False, False, False, False, True]


def test_stopping_stores_what_is_in_line_and_takes_nothing_more(
    store: Store, clock: ManualClock, commits: list[int]
) -> None:
    made = Intake(store, clock, lambda _: commits.append(1))
    made.start()
    with store.write():
        answers = [made.put(arrival(number, clock)) for number in range(3)]
        stopping = threading.Thread(target=made.stop)
        stopping.start()
    stopping.join(PATIENCE)
    assert all(answer.result(0) for answer in answers)
    assert not made.alive
    with pytest.raises(StoreError, match="ending"):
        made.put(arrival(9, clock)).result(0)


def test_a_store_that_is_closed_says_so_and_the_intake_goes_on(
    store: Store, intake: Intake, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> list[bool]:
        raise StoreError("the store is full")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "add", full)
        failed = intake.put(arrival(1, clock))
        intake.write()
        with pytest.raises(StoreError, match="full"):
            failed.result(0)
    answer = intake.put(arrival(1, clock))
    intake.write()
    assert answer.result(0)


def test_who_works_it_off_is_told_before_the_sender_is_answered(store: Store, clock: ManualClock) -> None:
    order: list[str] = []
    made = Intake(store, clock, lambda _: order.append("told"))
    made.start()
    made.put(arrival(1, clock)).add_done_callback(lambda _: order.append("answered"))
    made.write()
    made.stop()
    assert order == ["told", "answered"]


def test_who_cannot_be_told_of_what_is_stored_keeps_nobody_waiting(store: Store, clock: ManualClock) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a defect")

    made = Intake(store, clock, fail)
    made.start()
    for number in range(2):
        answer = made.put(arrival(number, clock))
        made.write()
        assert answer.result(0)
    made.stop()
    with store.read() as tx:
        assert len(inbox.waiting(tx)) == 2
