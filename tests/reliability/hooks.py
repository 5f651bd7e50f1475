"""Every place at which a run may be made to crash: boundaries of the engine, commits of the store, requests to vendors.

A crash is an exception that nothing in the engine catches. It ends the run as a power cut would, as far as one process can play
that: what was not committed is gone, what a vendor did stays done.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

from cxbridge.core.store import Store, Tx

# The last thing in a transaction and the beginning of its commit are one place, and so are its end and what is told of it.
_LAST_IN_IT = (".stored", ".decided", ".recorded", ".moved")
_TOLD_AFTER = (".committed", ".settled", ".sent")


class Crash(BaseException):
    """The process ends here."""

    def __init__(self, point: int, name: str) -> None:
        super().__init__(f"crash at point {point}: {name}")
        self.point = point
        self.name = name


class Hooks:
    """Counts the places that a run passes, and crashes at those whose number it was given.

    Numbers begin with 1 and go on over crashes: `(5, 9)` crashes at the fifth place, and then at the fourth of what follows.
    """

    def __init__(self, crash_at: Sequence[int] = ()) -> None:
        self.crash_at: frozenset[int] = frozenset(crash_at)
        self.passed = 0
        self.counts: Counter[str] = Counter()
        self.crashed: list[str] = []
        # Beginnings of names: the first place of the first one is crashed at, then that of the second, and so on.
        self.crash_named: list[str] = []
        self.on = False
        self._before = ""

    def reach(self, name: str) -> None:
        """Come to a place; crashes if its turn has come. A boundary of the engine and the commit beside it are one place."""
        if not self.on:
            return
        kind, before = name.partition(" ")[0], self._before
        self._before = kind
        self.counts[kind] += 1
        if self.crash_named and name.startswith(self.crash_named[0]):
            del self.crash_named[0]
            self.crashed.append(name)
            raise Crash(self.passed, name)
        if kind == "commit.before" and before.endswith(_LAST_IN_IT):
            return
        if before == "commit.after" and kind.endswith(_TOLD_AFTER):
            return
        self.passed += 1
        if self.passed in self.crash_at:
            self.crashed.append(name)
            raise Crash(self.passed, name)

    def crash_from_here(self, offsets: Sequence[int]) -> None:
        """Crash at places whose numbers are counted from here; what was ordered before and not reached is called off."""
        self.crash_at = frozenset(self.passed + one for one in offsets)

    def around(self, write: Callable[[], AbstractContextManager[Tx]]) -> Callable[[], AbstractContextManager[Tx]]:
        """Make a store's `write` come to a place before and after each commit."""

        @contextmanager
        def hooked() -> Iterator[Tx]:
            with write() as tx:
                yield tx
                self.reach("commit.before")
            self.reach("commit.after")

        return hooked

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Watch the commits of stores that are opened meanwhile, the opening itself included."""
        original = Store.write
        hooks = self

        @contextmanager
        def write(store: Store) -> Iterator[Tx]:
            with hooks.around(lambda: original(store))() as tx:
                yield tx

        with mock.patch.object(Store, "write", write):
            yield
