"""Limits that a vendor counts without telling: counted here by the clock, also over restarts; it must not send."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cxbridge.core.clock import Clock

# A window that is longer than this outlives processes, and so does the count of what was sent in it. Where several processes share
# a store, each window may outlast the turn of the one that speaks, and all are kept.
KEPT_FROM = 3600
# How many requests are counted in the store at once: of a long window at most the hundredth part, of a short one, in which a few
# too many are soon over, the twentieth. A process that is killed has counted up to that many too many.
BLOCK = 50
_LONG_PARTS, _SHORT_PARTS = 100, 20


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` requests in every window of `seconds`, where windows follow the clock: each full minute, each day of UTC.

    `applies(method, path)` says which requests count; without it all do.
    """

    name: str
    limit: int
    seconds: int
    applies: Callable[[str, str], bool] | None = None

    def __post_init__(self) -> None:
        if self.limit < 1 or self.seconds < 1:
            raise ValueError(f"the quota {self.name} lets nothing pass: give a limit and a window of 1 or more")

    def counts(self, method: str, path: str) -> bool:
        """Tell whether a request draws from it."""
        return self.applies is None or self.applies(method, path)

    @property
    def block(self) -> int:
        """How many requests are counted in the store at once, where they are counted there."""
        parts = _LONG_PARTS if self.seconds > KEPT_FROM else _SHORT_PARTS
        return max(1, min(BLOCK, self.limit // parts))


class QuotaStore(Protocol):
    """Where the count of a long window outlives the process."""

    def take(self, connection: str, name: str, window: datetime, seconds: int, count: int, limit: int) -> int:
        """Count up to `count` requests as sent in the window that begins then, durably before returning.

        Gives how many were still free below `limit`, 0 when none was. A count of a later window stands.
        """
        ...

    def give_back(self, connection: str, name: str, window: datetime, count: int) -> None:
        """Count that many requests as never sent, if that window is still the latest."""
        ...


@dataclass(slots=True)
class _Window:
    """`granted` requests may be sent before more must be counted in the store; `full` when it has no more."""

    quota: Quota
    start: int
    granted: int
    used: int = 0
    full: bool = False

    @property
    def spent(self) -> bool:
        return self.used >= self.granted


class QuotaBook:
    """What was sent in the current windows. Everything but `fetch` and `release` is called under its owner's lock."""

    def __init__(self, clock: Clock, store: QuotaStore | None, lock: threading.Lock, *, shared: bool = False) -> None:
        self._clock = clock
        self._shared = shared
        self._store = store
        self._lock = lock
        # Only one thread at a time asks the store; the owner's lock is free meanwhile, for the store may be slow.
        self._asking = threading.Lock()
        self._windows: dict[tuple[str, str], _Window] = {}
        self._under_way: dict[tuple[str, str], int] = {}

    def wait(self, connection: str, quotas: Sequence[Quota]) -> tuple[float, str]:
        """Give the seconds until all of the quotas let a request pass, and the name of the slowest."""
        waits = [
            (self._left(window), window.quota.name) for window in self._of(connection, quotas) if self._shut(window)
        ]
        return max(waits, default=(0.0, ""))

    def lacking(self, connection: str, quotas: Sequence[Quota]) -> Quota | None:
        """Name a quota of which more must be fetched before a request may pass."""
        for window in self._of(connection, quotas):
            if window.spent and not self._shut(window):
                return window.quota
        return None

    def take(self, connection: str, quotas: Sequence[Quota]) -> None:
        """Count one request."""
        for window in self._of(connection, quotas):
            window.used += 1
            place = (connection, window.quota.name)
            self._under_way[place] = self._under_way.get(place, 0) + 1

    def ended(self, connection: str, quotas: Sequence[Quota]) -> None:
        """Note that a request which was counted has ended; one that began in the last window counts in this one as well.

        Where on its way the vendor counted it, nobody here knows.
        """
        for window in self._of(connection, quotas):
            place = (connection, window.quota.name)
            self._under_way[place] = max(0, self._under_way.get(place, 0) - 1)

    def fetch(self, connection: str, quota: Quota) -> None:
        """Have the store count the next block of requests.

        Raises:
            StoreError: it cannot be written now; nothing may be sent then.
        """
        with self._asking:
            with self._lock:
                window = self._current(connection, quota)
                if self._store is None or not window.spent or window.full:
                    return
            begin = datetime.fromtimestamp(window.start, UTC)
            # What was still under way from the last window is counted first.
            count = max(quota.block, window.used - window.granted + 1)
            got = self._store.take(connection, quota.name, begin, quota.seconds, count, quota.limit)
            with self._lock:
                window.granted += got
                window.full = got == 0

    def release(self, connection: str | None = None) -> None:
        """Give back to the store what was counted and never sent, of one connection or of all.

        Raises:
            StoreError: it cannot be written now; the count stays too high until its window ends.
        """
        if self._store is None:
            return
        with self._asking:
            with self._lock:
                left = {
                    place: window
                    for place, window in self._windows.items()
                    if connection in (None, place[0]) and self._kept(window.quota) and not window.spent
                }
                counts = {place: window.granted - window.used for place, window in left.items()}
                for window in left.values():
                    window.granted = window.used
            for (owner, name), count in counts.items():
                begin = datetime.fromtimestamp(left[owner, name].start, UTC)
                self._store.give_back(owner, name, begin, count)

    def forget(self, connection: str) -> None:
        """Drop what is known of a connection's windows; what was counted ahead of them stays counted."""
        for known in (self._windows, self._under_way):
            for place in [place for place in known if place[0] == connection]:
                del known[place]

    def states(self) -> Iterator[tuple[str, Quota, int, float]]:
        """List connection, quota, what this process knows to be left of it, and the seconds until it lets something pass."""
        for (connection, _), held in sorted(self._windows.items(), key=lambda item: item[0]):
            window = self._current(connection, held.quota)
            shut = self._shut(window)
            left = 0 if shut else max(0, window.quota.limit - window.used)
            yield connection, window.quota, left, self._left(window) if shut else 0.0

    def _of(self, connection: str, quotas: Sequence[Quota]) -> list[_Window]:
        return [self._current(connection, quota) for quota in quotas]

    def _current(self, connection: str, quota: Quota) -> _Window:
        now = self._clock.now().timestamp()
        start = int(now // quota.seconds) * quota.seconds
        window = self._windows.get((connection, quota.name))
        # A clock that was set back a little does not open a window that was counted before; one that was far ahead was wrong.
        if window is None or not window.start - quota.seconds <= start <= window.start:
            window = self._windows[connection, quota.name] = _Window(
                quota,
                start,
                0 if self._kept(quota) else quota.limit,
                # What is under way may reach the vendor in this window.
                self._under_way.get((connection, quota.name), 0),
            )
        return window

    def _kept(self, quota: Quota) -> bool:
        return self._store is not None and (self._shared or quota.seconds > KEPT_FROM)

    def _shut(self, window: _Window) -> bool:
        return window.spent and (window.full or not self._kept(window.quota))

    def _left(self, window: _Window) -> float:
        return max(0.0, window.start + window.quota.seconds - self._clock.now().timestamp())
