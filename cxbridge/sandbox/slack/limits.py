"""How often each method may be called, and each channel written to, by the sandbox clock. Answers nothing itself.

`docs.slack.dev/apis/web-api/rate-limits`: a minute's count per method, by its tier; about a message a second in one channel, with
short bursts.
"""

import math
from collections import deque
from collections.abc import Mapping

from cxbridge.sandbox.slack.call import ApiError

MINUTE = 60.0
TIERS: dict[str, int] = {
    "conversations.list": 20,
    "users.list": 20,
    "chat.update": 50,
    "chat.delete": 50,
    "conversations.history": 50,
    "conversations.replies": 50,
    "conversations.info": 50,
    "conversations.join": 50,
    "conversations.open": 50,
    "users.lookupByEmail": 50,
    "users.info": 100,
    "conversations.members": 100,
    "chat.getPermalink": 100,
    "views.open": 100,
}
CHANNEL = "channel"
# How many messages one channel takes at once before it is a message a second.
_BURST = 3


class Limits:
    """Sliding windows. `given` replaces single limits; None lifts all."""

    def __init__(self, given: Mapping[str, int | None] | None) -> None:
        unknown = set(given or ()) - set(TIERS) - {CHANNEL}
        if unknown:
            raise ValueError(f"limit {min(unknown)!r} is unknown; the limits are {CHANNEL}, {', '.join(TIERS)}")
        self._lifted = given is None
        self._limits: dict[str, int | None] = {**TIERS, CHANNEL: 1, **(given or {})}
        self._past: dict[str, deque[float]] = {}

    def method(self, name: str, now: float) -> None:
        """Count a call of a method.

        Raises:
            ApiError: 429, the minute's count is used up.
        """
        limit = self._limits.get(name)
        if limit is not None:
            self._count(name, limit, MINUTE, now)

    def post(self, channel: str, now: float) -> None:
        """Count a message to a channel.

        Raises:
            ApiError: 429, one was just written there.
        """
        limit = self._limits[CHANNEL]
        if limit is not None:
            self._count(f"{CHANNEL} {channel}", limit * _BURST, float(_BURST), now)

    def _count(self, name: str, limit: int, window: float, now: float) -> None:
        if self._lifted:
            return
        past = self._past.setdefault(name, deque())
        while past and past[0] <= now - window:
            past.popleft()
        if len(past) >= limit:
            wait = max(1, math.ceil(past[-limit] + window - now))
            raise ApiError("ratelimited", status=429, headers={"Retry-After": str(wait)})
        past.append(now)
