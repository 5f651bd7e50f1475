"""How much a caller may ask for: burst buckets, writes per issue, the hourly points of an app. Answers nothing itself.

See `developer.atlassian.com/cloud/jira/platform/rate-limiting/`.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cxbridge.sandbox.jira.options import REFILL, JiraOptions
from cxbridge.sandbox.jira.wire import RefusedError

HOUR = 3600


@dataclass(slots=True)
class _Bucket:
    size: int
    refill: int
    level: float
    at: float

    def take(self, now: float) -> float:
        """Take one token; the seconds to wait if there is none, else 0."""
        self.level = min(self.size, self.level + max(now - self.at, 0) * self.refill)
        self.at = now
        if self.level < 1:
            return (1 - self.level) / self.refill
        self.level -= 1
        return 0


@dataclass(slots=True)
class Limits:
    """The three independent limiters of a site, by the sandbox clock."""

    options: JiraOptions
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _writes: dict[int, deque[float]] = field(default_factory=dict)
    _points: dict[tuple[str, int], int] = field(default_factory=dict)

    def burst(self, operation: str, kind: str, method: str, now: float) -> dict[str, str]:
        """Count a request against its operation's bucket, of the size of its kind; the headers every answer shows.

        Raises:
            RefusedError: 429, the bucket is empty.
        """
        size = self.options.buckets()[kind]
        if size is None:
            return {}
        held = self._buckets.setdefault(operation, _Bucket(size, REFILL.get(method, 100), size, now))
        wait = held.take(now)
        headers = {"X-RateLimit-Limit": str(size), "X-RateLimit-Remaining": str(int(held.level))}
        if held.level < size * 0.2:
            headers["X-RateLimit-NearLimit"] = "true"
        if wait:
            raise _too_many("jira-burst-based", wait, now, headers)
        return headers

    def issue_write(self, issue_id: int, now: float) -> None:
        """Count a write against its issue.

        Raises:
            RefusedError: 429, the issue was written to too often.
        """
        windows = self.options.issue_writes
        if windows is None:
            return
        past = self._writes.setdefault(issue_id, deque())
        longest = max(seconds for _, seconds in windows)
        while past and past[0] <= now - longest:
            past.popleft()
        for count, seconds in windows:
            recent = [at for at in past if at > now - seconds]
            if len(recent) >= count:
                raise _too_many("jira-per-issue-on-write", recent[-count] + seconds - now, now, {})
        past.append(now)

    def quota(self, app: str, now: float) -> dict[str, str]:
        """Check an app's points before its call is answered; the trial headers about them.

        Raises:
            RefusedError: 429, the hour's points are spent.
        """
        allowed = self.options.points_per_hour
        if allowed is None:
            return {}
        hour = int(now // HOUR)
        left = allowed - self._points.get((app, hour), 0)
        rest = (hour + 1) * HOUR - now
        headers = {
            "Beta-RateLimit-Policy": f'"global-app-quota";q={allowed};w={HOUR}',
            "Beta-RateLimit": f'"global-app-quota";r={max(left, 0)};t={math.ceil(rest)}',
        }
        if left <= 0:
            raise _too_many("jira-quota-global-based", rest, now, headers)
        return headers

    def spend(self, app: str, points: int, now: float) -> None:
        """Charge an app for an answered call: one point, and one more per object a GET returned."""
        key = (app, int(now // HOUR))
        self._points[key] = self._points.get(key, 0) + points


def _too_many(reason: str, wait: float, now: float, headers: dict[str, str]) -> RefusedError:
    """A 429. Its body is empty: the vendor documents the headers only."""
    seconds = max(math.ceil(wait), 1)
    reset = datetime.fromtimestamp(now + seconds, UTC)
    return RefusedError(
        429,
        None,
        {
            "X-RateLimit-Limit": "0",
            **headers,
            "X-RateLimit-Remaining": "0",
            "Retry-After": str(seconds),
            "X-RateLimit-Reset": f"{reset:%Y-%m-%dT%H:%MZ}",
            "RateLimit-Reason": reason,
        },
    )
