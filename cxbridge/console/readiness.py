"""Whether this process can do its work, part by part; a vendor that is down never makes it unready, and is named all the same.

What is told goes to whoever can reach the port: names and states, no error's words, no path, no address.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cxbridge.core.clock import iso
from cxbridge.core.engine.watchdog import Watchdog
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, condition, probing, state

# SQLite's log is folded into the file at this size: with less room than that, a write may find the disk full at any moment.
LEAST_FREE = 64 * 1024 * 1024
# Whoever asks more often gets the same answer.
_LASTS = 1.0


@dataclass(frozen=True, slots=True)
class Degraded:
    """Something that is not done as it should be, while the rest is: a stream, a connection or a job."""

    what: str
    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How this process is. A part is `ok`, or says what is wrong with it."""

    parts: dict[str, str]
    degraded: list[Degraded] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every part is sound."""
        return all(told == "ok" for told in self.parts.values())

    def body(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "status": "ready" if self.ready else "not ready",
            "failing": sorted(name for name, told in self.parts.items() if told != "ok"),
            "parts": self.parts,
            "degraded": [
                {"what": one.what, "state": one.state, "since": one.since and iso(one.since)} for one in self.degraded
            ],
        }


class Readiness:
    """Looks at the parts of a running process. `watchdog` is that of the daemon beside, where there is one."""

    def __init__(
        self, store: Store, taking: Callable[[], bool], watchdog: Watchdog | None, *, least_free: int = LEAST_FREE
    ) -> None:
        self._store = store
        self._taking = taking
        self._watchdog = watchdog
        self._least_free = least_free
        self._lock = threading.Lock()
        self._last: tuple[float, Report] | None = None

    def look(self) -> Report:
        """Give the report; may wait as long as a write waits."""
        with self._lock:
            now = self._store.clock.monotonic()
            if self._last is not None and now - self._last[0] < _LASTS:
                return self._last[1]
            report = self._looked()
            self._last = (now, report)
            return report

    def _looked(self) -> Report:
        parts = {"store": probing.writable(self._store) or "ok"}
        degraded: list[Degraded] = []
        try:
            with self._store.read() as tx:
                parts["schema"] = condition.unfit(tx) or "ok"
                degraded += [
                    Degraded(one.connection, "stopped at a limit" if ":" in one.connection else "paused", one.at)
                    for one in state.pauses(tx).values()
                ]
                degraded += [Degraded(one.connection, "left alone for a while") for one in condition.breakers(tx)]
        except StoreError:
            parts["schema"] = "it cannot be read"
        parts["webhooks"] = "ok" if self._taking() else "they are not stored any more"
        if self._store.path is not None:
            free = condition.free_disk(self._store.path)
            parts["disk"] = "ok" if free >= self._least_free else f"only {free >> 20} MiB are free"
        if self._watchdog is not None:
            parts["scheduler"] = "ok" if self._watchdog.ticking else "the alarm clock stands still"
            degraded += [Degraded(one.job, "failing", one.since) for one in self._watchdog.troubles()]
            degraded += [Degraded(job, "slow") for job in self._watchdog.slow()]
        return Report(parts, sorted(degraded, key=lambda one: (one.what, one.state)))
