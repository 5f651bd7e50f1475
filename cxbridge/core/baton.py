"""Has the threads of a process compute one after the other, as long as none of them waits; it must not know what they do.

The interpreter runs one thread at a time. Several that all have something to compute gain nothing from one another, and lose what
each change of hands costs: at every request and every statement of a database one lets go of the interpreter, and has to fight for
it again. So whoever takes part computes with the baton in hand, lays it down while a vendor is waited for, and asks for it again
when the answer is there. Nobody waits for it for longer than a moment: it is a courtesy, and nothing depends on it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

# So many seconds somebody waits for it; then it is taken.
PATIENCE = 0.05
# For so many milliseconds an answer is waited for with the baton in hand.
SHORT = 2


class Baton:
    """One for all threads that take part; the others are not concerned by it."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        # The thread that has it.
        self._holder: int | None = None
        # Who waits for it, each behind a lock of its own that is opened when it is handed over.
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        # What is to be called when the one who has it lays it down.
        self._calls: list[Callable[[], object]] = []
        self._here = threading.local()

    @property
    def takes_part(self) -> bool:
        """Whether the calling thread takes part."""
        return getattr(self._here, "takes_part", False)

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread has it."""
        return self._holder == threading.get_ident()

    @contextmanager
    def part(self) -> Iterator[None]:
        """Take part in it; one inside another is the same as one."""
        if self.takes_part:
            yield
            return
        self._here.takes_part = True
        try:
            self._ask()
            yield
        finally:
            self._here.takes_part = False
            self._lay_down()

    def for_helpers(self) -> Callable[[], AbstractContextManager[None]]:
        """Give what threads that the calling one makes have to work inside: they take part if it does."""
        return self.part if self.takes_part else nullcontext

    @contextmanager
    def away(self) -> Iterator[None]:
        """Leave it to others while the calling thread waits for something, if it takes part."""
        self.leave()
        try:
            yield
        finally:
            self.back()

    def leave(self) -> None:
        """Leave it to others, if the calling thread has it; never waits."""
        for call in self._lay_down():
            call()

    def when_left(self, call: Callable[[], object]) -> None:
        """Have something called as soon as somebody else could compute: when the calling thread leaves it to others, once.

        That is at once where it has not got it, and never where its part ends first: who then goes on looks for itself.
        """
        with self._lock:
            if self._holder == threading.get_ident():
                self._calls.append(call)
                return
        call()

    def _lay_down(self) -> list[Callable[[], object]]:
        with self._lock:
            if self._holder != threading.get_ident():
                return []
            if self._waiting:
                self._holder, handed_over = self._waiting.popleft()
                handed_over.release()
            else:
                self._holder = None
            calls, self._calls = self._calls, []
            return calls

    def back(self) -> None:
        """Ask for it again, if the calling thread takes part."""
        if self.takes_part:
            self._ask()

    def offer(self) -> None:
        """Let others go first who wait for it, where the calling thread has something left that nobody waits for."""
        if (self._waiting or self._calls) and self.is_mine:
            with self.away():
                pass

    def _ask(self) -> None:
        me = threading.get_ident()
        with self._lock:
            if self._holder in (None, me):
                self._holder = me
                return
            handed_over = threading.Lock()
            handed_over.acquire()
            mine = (me, handed_over)
            self._waiting.append(mine)
        if handed_over.acquire(timeout=self._patience):
            return
        with self._lock:
            # It may have come after all, between the two.
            if mine not in self._waiting:
                return
            self._waiting.remove(mine)
            self._holder = me
            calls, self._calls = self._calls, []
        # Whoever had it does not come to lay it down.
        for call in calls:
            call()


# The interpreter is the process's, and so is this.
BATON = Baton()
