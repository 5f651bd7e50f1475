"""Handing out owners to workers: who stands still in the middle of it keeps nobody waiting."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue

import psycopg
import pytest

from cxbridge.core.clock import SystemClock
from cxbridge.core.store import Store
from cxbridge.core.store.dispatcher import Dispatcher
from tests.conftest import PostgreSQL

pytestmark = pytest.mark.postgres
OWNER = "connection:desk"


@contextmanager
def dispatcher(
    store: Store, serve: Callable[[str], None], on_told: Callable[[str], None] = lambda _: None
) -> Iterator[Dispatcher]:
    made = Dispatcher(store, slots=2, drain=5.0, serve=serve, on_told=on_told)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def store(postgresql: PostgreSQL) -> Iterator[Store]:
    made = Store.open(postgresql.empty(), clock=SystemClock())
    yield made
    made.close()


def test_what_is_announced_is_served_once_for_two_announcements_before_it_begins(store: Store) -> None:
    served: Queue[str] = Queue()
    go_on = threading.Event()

    def serve(owner: str) -> None:
        served.put(owner)
        go_on.wait(20)

    with dispatcher(store, serve) as one:
        one.announce(OWNER)
        assert served.get(timeout=20) == OWNER
        for _ in range(2):
            one.announce(OWNER)
        go_on.set()
        assert served.get(timeout=20) == OWNER
    assert served.empty()


def test_what_is_announced_is_told_to_all_workers_of_the_store_and_to_no_others(
    store: Store, postgresql: PostgreSQL
) -> None:
    """Also again while somebody serves it, who may be keeping it for a while without need."""
    url = postgresql.empty()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA beside")
    heard: list[Queue[str]] = [Queue() for _ in range(3)]
    go_on = threading.Event()

    def serve(_: str) -> None:
        go_on.wait(20)

    with ExitStack() as stack:
        workers = []
        for number, address in enumerate((url, url, f"{url}&options=-csearch_path%3Dbeside")):
            opened = Store.open(address, clock=SystemClock())
            stack.callback(opened.close)
            workers.append(stack.enter_context(dispatcher(opened, serve, heard[number].put)))
        stack.callback(go_on.set)
        for speaking, listening in ((workers[0], heard[:2]), (workers[2], heard[2:])):
            # Who starts listens a moment later.
            for one in listening:
                while one.empty():
                    speaking.announce("planning")
                    threading.Event().wait(0.05)
        for _ in range(2):
            workers[0].announce(OWNER)
            for one in heard[:2]:
                while one.get(timeout=20) != OWNER:
                    pass
        # What is said in one order is heard in one order.
        workers[2].announce("connection:last")
        others = []
        while (owner := heard[2].get(timeout=20)) != "connection:last":
            others.append(owner)
        assert OWNER not in others


def test_who_stands_still_while_announcing_keeps_no_other_worker_waiting(store: Store) -> None:
    served: Queue[str] = Queue()
    with dispatcher(store, served.put) as still, dispatcher(store, served.put) as other:
        pool = still._announcing.connector.pool
        with pool.connection() as connection:
            # As `announce` says it; and there its process stands still.
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, status) "
                "VALUES ('default', 'another', 0, %s, %s, '{}', 'todo')",
                (OWNER, OWNER),
            )
            announcing = threading.Thread(target=other.announce, args=(OWNER,), daemon=True)
            announcing.start()
            announcing.join(20)
            assert not announcing.is_alive(), "it waits for the one that stands still"
