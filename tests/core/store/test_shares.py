"""Commits that threads share: one for all that came meanwhile, and each stored or refused for itself."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, Tx, state
from cxbridge.core.store.shares import MOST, Share, Shares

T = TypeVar("T")


@pytest.fixture
def commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many changes each commit of the store's writer held, in `meta`."""
    seen: list[int] = []
    commit = store._to_write.commit

    def counted(connection: sa.Connection) -> None:
        seen.append(connection.scalar(sa.text("SELECT count(*) FROM meta WHERE name LIKE 'it %'")) or 0)
        commit(connection)

    monkeypatch.setattr(store._to_write, "commit", counted)
    return seen


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MOST + 10) as made:
        yield made


def put(number: int) -> Callable[[Tx], int]:
    def work(tx: Tx) -> int:
        state.meta_set(tx, f"it {number}", b"1")
        return number

    return work


def stored(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.connection.scalars(sa.text("SELECT name FROM meta WHERE name LIKE 'it %'")))


def gathered(
    store: Store, pool: ThreadPoolExecutor, works: list[Callable[[Tx], int]], first: int = 0
) -> list[Future[int]]:
    """Let all of these wait while one thread is about to commit, so that they come together after it."""
    inside, go = threading.Event(), threading.Event()

    def holds(tx: Tx) -> int:
        inside.set()
        assert go.wait(30)
        return put(first)(tx)

    futures = [pool.submit(store.join, holds)]
    assert inside.wait(30)
    for count, work in enumerate(works, 1):
        futures.append(pool.submit(store.join, work))
        while len(store._shares._waiting) < count:
            threading.Event().wait(0.001)
    go.set()
    return futures


def test_those_that_come_while_one_commits_share_the_next_commit(
    store: Store, pool: ThreadPoolExecutor, commits: list[int]
) -> None:
    futures = gathered(store, pool, [put(number) for number in range(1, 6)])
    assert [one.result() for one in futures] == [0, 1, 2, 3, 4, 5]
    assert commits == [1, 6]
    assert len(stored(store)) == 6


def test_more_than_one_commit_may_hold_are_led_one_after_the_other(
    store: Store, pool: ThreadPoolExecutor, commits: list[int]
) -> None:
    futures = gathered(store, pool, [put(number) for number in range(1, MOST + 3)])
    assert [one.result() for one in futures] == list(range(MOST + 3))
    assert commits == [1, MOST + 1, MOST + 3]


def test_one_alone_is_committed_by_its_own_thread(store: Store, commits: list[int]) -> None:
    assert store.join(lambda tx: put(1)(tx) and threading.get_ident()) == threading.get_ident()
    assert commits == [1]


def test_one_that_fails_takes_nothing_back_but_its_own(
    store: Store, pool: ThreadPoolExecutor, commits: list[int]
) -> None:
    def fails(tx: Tx) -> int:
        put(2)(tx)
        raise ZeroDivisionError

    def refused(tx: Tx) -> int:
        put(3)(tx)
        tx.connection.exec_driver_sql("INSERT INTO payloads (record, raw) VALUES (1, NULL)")
        return 3

    futures = gathered(store, pool, [put(1), fails, refused, put(4)])
    assert [futures[place].result() for place in (0, 1, 4)] == [0, 1, 4]
    with pytest.raises(ZeroDivisionError):
        futures[2].result()
    with pytest.raises(sa.exc.IntegrityError):
        futures[3].result()
    assert stored(store) == {"it 0", "it 1", "it 4"}
    assert commits == [1, 3]


def test_where_the_whole_transaction_is_lost_none_of_them_counts_as_stored(
    store: Store, pool: ThreadPoolExecutor
) -> None:
    def gives_up(tx: Tx) -> int:
        # As SQLite does by itself on a full disk.
        tx.connection.exec_driver_sql("ROLLBACK")
        return 2

    futures = gathered(store, pool, [put(1), gives_up, put(3)])
    assert futures[0].result() == 0
    for one in futures[1:]:
        with pytest.raises((StoreError, sa.exc.DBAPIError)):
            one.result()
    assert stored(store) == {"it 0"}
    assert store.join(put(9)) == 9


def test_each_is_guarded_and_done_with_what_its_own_thread_set(store: Store, pool: ThreadPoolExecutor) -> None:
    mine: ContextVar[int] = ContextVar("mine")

    def guard(tx: Tx) -> None:
        if mine.get() == 2:
            raise StoreError("somebody else's turn")

    def whose(tx: Tx) -> int:
        return put(mine.get())(tx)

    inside, go = threading.Event(), threading.Event()

    def in_a_thread(number: int) -> int:
        mine.set(number)
        with store.under(guard):
            return store.join(whose)

    def holds(tx: Tx) -> None:
        inside.set()
        assert go.wait(30)

    held = pool.submit(store.join, holds)
    assert inside.wait(30)
    futures = [pool.submit(in_a_thread, number) for number in (1, 2, 3)]
    while len(store._shares._waiting) < 3:
        threading.Event().wait(0.001)
    go.set()
    held.result()
    assert futures[0].result() == 1
    assert futures[2].result() == 3
    with pytest.raises(StoreError, match="somebody else's turn"):
        futures[1].result()
    assert stored(store) == {"it 1", "it 3"}


def test_a_thread_that_is_writing_cannot_wait_for_itself(store: Store) -> None:
    with store.write(), pytest.raises(RuntimeError, match="would wait for itself"):
        store.join(put(1))


def test_one_that_is_interrupted_while_it_waits_keeps_nobody_waiting() -> None:
    begun, go = threading.Event(), threading.Event()
    committed: list[int] = []

    def commit(shares: object) -> None:
        assert isinstance(shares, list)
        begun.set()
        assert go.wait(30)
        committed.append(len(shares))
        for share in shares:
            share.do(None, lambda _: None)

    def alone(work: Callable[[Tx], T]) -> T:
        share = Share(work)
        commit([share])
        return share.result()

    shares = Shares(commit, alone)
    first = threading.Thread(target=shares.take, args=(lambda _: None,))
    first.start()
    assert begun.wait(30)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        while not shares._waiting:
            threading.Event().wait(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)

    def raises(*_: object) -> None:
        raise InterruptedError("a signal")

    before = signal.signal(signal.SIGUSR1, raises)
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(InterruptedError):
            shares.take(lambda _: None)
    finally:
        signal.signal(signal.SIGUSR1, before)
        other.join()
    go.set()
    first.join()
    assert shares.take(lambda _: 7) == 7
    assert committed == [1, 1]


def test_one_that_is_interrupted_when_its_turn_has_come_hands_it_on() -> None:
    def commit(shares: object) -> None:
        raise AssertionError("nobody came to commit")

    shares = Shares(commit, lambda work: pytest.fail(f"{work} was not to be done"))
    mine: Share[None] = Share(lambda _: None)
    behind: Share[None] = Share(lambda _: None)
    shares._waiting.extend((mine, behind))
    shares._led = True
    mine.woken.set()

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise InterruptedError("a signal")

    interrupted = Interrupted()
    interrupted.set()
    mine.woken = interrupted
    with pytest.raises(InterruptedError):
        shares._wait(mine)
    assert list(shares._waiting) == [behind]
    assert behind.woken.is_set()
