"""Group commits: whoever waits at the same moment shares one, and is answered after it."""

import threading
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

PATIENCE = 60.0


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
    assert all(answer.result(PATIENCE) for answer in answers)
    # The first may have been taken before the others were in line.
    assert len(commits) <= 2


def test_an_answer_comes_after_its_commit(store: Store, intake: Intake, clock: ManualClock) -> None:
    stored: list[int] = []

    def look(answer: Future[bool]) -> None:
        with store.read() as tx:
            stored.append(len(inbox.waiting(tx)))

    answer = intake.put(arrival(1, clock))
    answer.result(PATIENCE)
    look(answer)
    assert stored == [1]


def test_the_same_event_in_one_commit_is_new_once(store: Store, intake: Intake, clock: ManualClock) -> None:
    with store.write():
        answers = [intake.put(arrival(1, clock)) for _ in range(5)]
    assert sorted(answer.result(PATIENCE) for answer in answers) == [False, False, False, False, True]


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
        with pytest.raises(StoreError, match="full"):
            intake.put(arrival(1, clock)).result(PATIENCE)
    assert intake.put(arrival(1, clock)).result(PATIENCE)
