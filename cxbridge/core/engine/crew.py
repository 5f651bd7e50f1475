"""Threads that wait for something to do, and do one thing after the other; what that is, they do not know."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Crew(Generic[T]):
    """As many threads as things were done at once; to begin a thread for each takes longer than many of them do.

    `do` raises nothing. They do not keep the process from ending.
    """

    def __init__(self, name: str, do: Callable[[T], None]) -> None:
        self._name = name
        self._do = do
        self._waiting: SimpleQueue[T] = SimpleQueue()
        # Threads that wait for something, less what was put and not begun yet.
        self._free = 0
        self._lock = threading.Lock()

    def put(self, one: T) -> None:
        """Have it done at once."""
        with self._lock:
            enough = self._free > 0
            if enough:
                self._free -= 1
        self._waiting.put(one)
        if not enough:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._do(self._waiting.get())
            # Not as the last thing was called, in a list of the threads.
            threading.current_thread().name = self._name
            with self._lock:
                self._free += 1
