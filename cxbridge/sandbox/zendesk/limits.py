"""Counts requests against Zendesk's rate limits on the sandbox's clock, and writes the headers that tell about them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.zendesk.errors import rate_limited
from cxbridge.sandbox.zendesk.options import Bucket


class _Window(NamedTuple):
    start: float
    used: int


class Limiter:
    """Fixed windows that open with their first request, one per bucket and subject."""

    def __init__(self, clock: SandboxClock, buckets: Mapping[str, Bucket]) -> None:
        self._clock = clock
        self._buckets = buckets
        self._windows: dict[tuple[str, str], _Window] = {}

    def count(self, charges: Mapping[str, str]) -> dict[str, str]:
        """Charge a request to buckets, each given with its subject, and return the headers of its answer.

        Raises:
            ApiError: 429; nothing is charged then, as refused requests do not prolong the wait.
        """
        now = self._clock.time()
        headers: dict[str, str] = {}
        charged: dict[tuple[str, str], _Window] = {}
        wait = 0
        for name, subject in charges.items():
            bucket = self._buckets[name]
            if bucket.limit is None:
                continue
            window = self._windows.get((name, subject), _Window(now, 0))
            # A clock set back opens a new window as well.
            if not window.start <= now < window.start + bucket.period:
                window = _Window(now, 0)
            resets = max(1, math.ceil(window.start + bucket.period - now))
            refused = window.used >= bucket.limit
            if refused:
                wait = max(wait, resets)
            charged[name, subject] = _Window(window.start, window.used + 1)
            remaining = max(0, bucket.limit - window.used - (not refused))
            headers |= _headers(name, bucket.limit, remaining, resets)
        if wait:
            raise rate_limited(wait, headers)
        self._windows |= charged
        return headers


def _headers(name: str, limit: int, remaining: int, resets: int) -> dict[str, str]:
    if name == "account":
        return {
            "x-rate-limit": str(limit),
            "x-rate-limit-remaining": str(remaining),
            "ratelimit-limit": str(limit),
            "ratelimit-remaining": str(remaining),
            "ratelimit-reset": str(resets),
        }
    return {f"zendesk-ratelimit-{name}": f"total={limit}; remaining={remaining}; resets={resets}"}
