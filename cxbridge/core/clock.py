"""The one place that reads the time; everything else is handed a `Clock`."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Protocol

from cxbridge.core.baton import BATON


class Clock(Protocol):
    """Where time comes from: wall time in UTC, a monotonic second count, and waiting."""

    def now(self) -> datetime:
        """Give the wall time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        ...

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        """Wait that long, or until `wake` is set; True when it was set."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        with BATON.away():
            if wake is not None:
                return wake.wait(max(0.0, seconds))
            time.sleep(max(0.0, seconds))
            return False


class ManualClock:
    """Time that moves only when told to, or when somebody waits; for simulations."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        """Move on by that many seconds."""
        self._passed += seconds

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        if wake is not None and wake.is_set():
            return True
        self._passed += max(0.0, seconds)
        return False


def iso(moment: datetime) -> str:
    """Write a UTC time as text that sorts as time does: `2026-05-06T08:46:13.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> datetime:
    """Read what `iso` wrote, or any ISO-8601 text with an offset, as UTC.

    Raises:
        ValueError: when the text is no time or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset is ambiguous")
    return moment.astimezone(UTC)


# Gives the seconds a thread has been at work, or None where that cannot be known (any more).
Cpu = Callable[[], float | None]


def cpu_of_this_thread() -> Cpu:
    """Give a reading of the time that the calling thread works, good from every thread and after this one has ended."""
    if not hasattr(time, "pthread_getcpuclockid"):
        # On macOS there is no such clock.
        return lambda: None
    # Asked for by the thread itself: the id of one that has ended may bring the process down.
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def read() -> float | None:
        try:
            return time.clock_gettime(clock)
        except OSError:
            return None

    return read
