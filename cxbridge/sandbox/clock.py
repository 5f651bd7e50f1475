"""The sandbox's own time: the real clock plus an offset that can be moved. Never tells the daemon's time."""

import threading
import time as _time
from datetime import UTC, datetime


class SandboxClock:
    """UTC time shared by all simulated vendors; safe to move from any thread."""

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        """Run from the real time, or from `start` (timezone-aware) if given; `frozen` stands there exactly."""
        self._lock = threading.Lock()
        self._offset = 0.0 if start is None else start.timestamp() - _time.time()
        self._frozen_at: float | None = None
        if frozen:
            self._frozen_at = _time.time() if start is None else start.timestamp()

    def time(self) -> float:
        """Seconds since the epoch."""
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
