"""Sending what the simulated vendors tell others: webhooks, events and button clicks, posted from a thread of their own.

Holds no vendor's form or signature: a vendor hands over the finished request. Each one is journaled as what its receiver answered.
"""

import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from cxbridge.sandbox.clock import SandboxClock

# How long a vendor waits for an answer; Slack's three seconds are the shortest.
_PATIENCE = 3.0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery and what came of it: `status` 0 where nobody answered."""

    t: float
    vendor: str
    url: str
    bytes: int
    status: int


@dataclass(frozen=True, slots=True)
class _Post:
    vendor: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Hooks:
    """Deliveries wait in order and are posted one after another. `down` drops all of them, as a receiver that is not there."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._waiting: queue.SimpleQueue[_Post | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._sent: list[Sent] = []
        self._thread: threading.Thread | None = None
        self._pending = 0
        self._idle = threading.Condition(self._lock)
        self.down = False

    def send(self, vendor: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Post a finished request soon; called under the world's lock, so it only puts it in line."""
        with self._lock:
            self._pending += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sandbox-hooks", daemon=True)
                self._thread.start()
        self._waiting.put(_Post(vendor, url, dict(headers), body))

    def sent(self, vendor: str | None = None) -> list[Sent]:
        """Everything that was posted so far, in order."""
        with self._lock:
            return [one for one in self._sent if vendor in (None, one.vendor)]

    def settle(self, seconds: float = 10.0) -> bool:
        """Wait until nothing is in line; False when the time is over first."""
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, seconds)

    def close(self) -> None:
        """Post nothing more."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _work(self) -> None:
        while (post := self._waiting.get()) is not None:
            status = 0 if self.down else _answered(post)
            with self._idle:
                told = Sent(t=self._clock.time(), vendor=post.vendor, url=post.url, bytes=len(post.body), status=status)
                self._sent.append(told)
                self._pending -= 1
                self._idle.notify_all()


def _answered(post: _Post) -> int:
    if not post.url.startswith(("http://", "https://")):
        return 0
    request = urllib.request.Request(post.url, data=post.body, headers=dict(post.headers), method="POST")  # noqa: S310  # looked at above
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_PATIENCE) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0
