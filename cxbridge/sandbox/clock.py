"""The sandbox's own time: the real clock plus an offset that can be moved. Never tells the daemon's time."""

import threading
import time as _time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

# Which vendor is looking at the clock: one whose own clock is wrong sees another time.
_looking: ContextVar[str] = ContextVar("looking", default="")


class SandboxClock:
    """UTC time shared by all simulated vendors; safe to move from any thread."""

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        """Run from the real time, or from `start` (timezone-aware) if given; `frozen` stands there exactly."""
        self._lock = threading.Lock()
        self._offset = 0.0 if start is None else start.timestamp() - _time.time()
        self._frozen_at: float | None = None
        self._skews: dict[str, float] = {}
        if frozen:
            self._frozen_at = _time.time() if start is None else start.timestamp()

    def time(self) -> float:
        """Seconds since the epoch, as whoever is looking sees them."""
        with self._lock:
            return self._time() + self._skews.get(_looking.get(), 0.0)

    def true_time(self) -> float:
        """Seconds since the epoch, whoever is looking."""
        with self._lock:
            return self._time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move forward. A negative number plays a vendor whose clock was set back."""
        with self._lock:
            if self._frozen_at is not None:
                self._frozen_at += seconds
            else:
                self._offset += seconds

    def skew(self, vendor: str, seconds: float) -> None:
        """Let one vendor's clock be wrong by that much; 0 puts it right. A smaller number than before sets it back."""
        with self._lock:
            self._skews[vendor] = seconds
            if not seconds:
                del self._skews[vendor]

    def skews(self) -> dict[str, float]:
        """Which vendors' clocks are wrong, and by how much."""
        with self._lock:
            return dict(self._skews)

    @contextmanager
    def seen_by(self, vendor: str) -> Iterator[None]:
        """See the time as that vendor does, in whatever runs inside."""
        token = _looking.set(vendor)
        try:
            yield
        finally:
            _looking.reset(token)

    def freeze(self) -> None:
        """Stand still from now on; `advance` still moves. Repeating it changes nothing."""
        with self._lock:
            if self._frozen_at is None:
                self._frozen_at = self._time()

    def thaw(self) -> None:
        """Run on from where the clock stood."""
        with self._lock:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - _time.time()
                self._frozen_at = None

    def _time(self) -> float:
        return self._frozen_at if self._frozen_at is not None else _time.time() + self._offset
