"""Who of several threads commits for all of them: the first one that comes, and then the first of those that came meanwhile.

Nobody waits for others to come: while one commits, the next ones gather, and the slower the disk, the more they are.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, Generic, Protocol, TypeVar

from cxbridge.core.store.tx import Tx

T = TypeVar("T")

# So many share a commit at most: what they hold is in memory until then, and the first of them waits for all.
MOST = 64


class Share(Generic[T]):
    """What one thread has to write, and what became of it; `done` is set when `result` or `error` is final."""

    def __init__(self, work: Callable[[Tx], T]) -> None:
        self.error: BaseException | None = None
        # Set when it is done, or when this thread is to commit for those that wait.
        self.woken = threading.Event()
        self.done = False
        self._work = work
        self._context: Context = copy_context()
        self._result: T

    def do(self, tx: Tx, before: Callable[[Tx], None]) -> None:
        """Do the work as its own thread would, after `before`."""
        self._context.run(self._do, tx, before)

    def _do(self, tx: Tx, before: Callable[[Tx], None]) -> None:
        before(tx)
        self._result = self._work(tx)

    def result(self) -> T:
        """Give what the work gave, or raise what it failed with."""
        if self.error is not None:
            raise self.error
        return self._result


class Alone(Protocol):
    """Commits what one thread has to write by itself, and gives what it gave."""

    def __call__(self, work: Callable[[Tx], T], /) -> T: ...


class Shares:
    """Those of one store. `commit` writes several in one commit, notes each one's error, and raises what was wrong with all."""

    def __init__(self, commit: Callable[[Sequence[Share[Any]]], None], alone: Alone) -> None:
        self._commit = commit
        self._alone = alone
        self._lock = threading.Lock()
        self._waiting: deque[Share[Any]] = deque()
        self._led = False

    def take(self, work: Callable[[Tx], T]) -> T:
        """Have some work committed, together with whatever others have by then."""
        mine: Share[T] | None = None
        with self._lock:
            if self._led:
                mine = Share(work)
                self._waiting.append(mine)
            self._led = True
        if mine is None:
            # Nobody commits and nobody waits.
            try:
                return self._alone(work)
            finally:
                with self._lock:
                    self._hand_over()
        self._wait(mine)
        if not mine.done:
            self._lead(mine)
        return mine.result()

    def _wait(self, mine: Share[Any]) -> None:
        try:
            mine.woken.wait()
        except BaseException:
            # Interrupted: what is not begun is not done, and nobody waits for this thread to lead.
            with self._lock:
                if mine in self._waiting:
                    led = self._waiting[0] is mine and mine.woken.is_set()
                    self._waiting.remove(mine)
                    if led:
                        self._hand_over()
            raise

    def _hand_over(self) -> None:
        self._led = bool(self._waiting)
        if self._led:
            self._waiting[0].woken.set()

    def _lead(self, mine: Share[Any]) -> None:
        with self._lock:
            # Mine is the first of them: whoever leads was the first to wait.
            together = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            self._commit(together)
        except BaseException as error:  # noqa: BLE001  # raised by each of them
            for one in together:
                one.error = one.error or error
        finally:
            for one in together:
                one.done = True
                if one is not mine:
                    one.woken.set()
            with self._lock:
                self._hand_over()
