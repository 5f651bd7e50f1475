"""Threads that do one thing after the other: as many as there is to do at once, and none more."""

import threading
import time
from queue import Queue

from cxbridge.core.engine.crew import Crew


def test_one_after_the_other_is_done_by_one_thread() -> None:
    done: Queue[int] = Queue()

    def do(_: int) -> None:
        done.put(threading.get_ident())

    crew: Crew[int] = Crew("job", do)
    crew.put(1)
    first = done.get(timeout=20)
    for _ in range(20):
        while crew._free == 0:
            time.sleep(0.001)
        crew.put(1)
        assert done.get(timeout=20) == first


def test_what_is_put_while_all_are_busy_is_done_beside_them() -> None:
    together = threading.Barrier(5)

    def do(_: int) -> None:
        together.wait(20)

    crew: Crew[int] = Crew("job", do)
    for _ in range(2):
        for number in range(4):
            crew.put(number)
        together.wait(20)
