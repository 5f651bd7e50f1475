"""The vendor's limits as its replies tell them, and who may send when; it must not know any vendor's header."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cxbridge.core.clock import Clock
from cxbridge.core.http.quotas import Quota, QuotaBook, QuotaStore
from cxbridge.core.http.reply import LONGEST_RETRY_AFTER

# The bucket that every request of a connection draws from.
WHOLE = ""
# A budget that is used up without a word about its end is believed for this long.
UNTOLD_RESET = 1.0
# Buckets can be as fine as one per entity; beyond this many, those that say nothing any more are dropped.
MANY = 512


@dataclass(frozen=True, slots=True)
class Budget:
    """What a reply says about one limit. `reset` counts seconds from the reply's arrival; None is "not told"."""

    name: str
    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One limit as it stands now: `wait` seconds until the next request may draw from it."""

    connection: str
    name: str
    limit: int | None
    remaining: int | None
    wait: float


@dataclass(slots=True)
class _Bucket:
    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    window: float = UNTOLD_RESET
    held_until: float = 0.0
    in_flight: int = 0

    def wait(self, now: float) -> float:
        if self.resets_at is not None and now >= self.resets_at:
            self.resets_at = None
            self.remaining = None if self.limit is None else max(0, self.limit - self.in_flight)
        until = self.held_until
        if self.remaining is not None and self.remaining <= 0:
            if self.resets_at is None:
                self.resets_at = now + self.window
            until = max(until, self.resets_at)
        return max(0.0, until - now)

    def take(self, now: float) -> None:
        self.in_flight += 1
        if self.remaining is not None:
            self.remaining -= 1
            if self.resets_at is None:
                self.resets_at = now + self.window

    def learn(self, budget: Budget, now: float) -> None:
        if budget.limit is not None:
            self.limit = budget.limit
        if budget.reset is not None:
            seconds = min(max(0.0, budget.reset), LONGEST_RETRY_AFTER)
            self.resets_at = now + seconds
            # The longest time to an end that was ever told is the best guess at how long the vendor counts.
            self.window = seconds if self.window == UNTOLD_RESET else max(self.window, seconds)
        elif self.resets_at is not None and self.resets_at <= now:
            self.resets_at = None
        if budget.remaining is not None:
            # What others of this process have under way may not be in the vendor's count yet.
            self.remaining = max(0, budget.remaining - self.in_flight)


class Limiter:
    """Token buckets per connection, filled by what replies tell; safe to share among threads and connections.

    `quotas` keeps the counts of long quotas; without it they end with the process.
    """

    def __init__(self, clock: Clock, quotas: QuotaStore | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, _Bucket]] = {}
        self._book = QuotaBook(clock, quotas, self._lock)

    def acquire(
        self,
        connection: str,
        names: Iterable[str] | None,
        pause: Callable[[float, str], None],
        quotas: Sequence[Quota] = (),
    ) -> tuple[str, ...]:
        """Draw one request from each named bucket, or from every known one, and from the quotas, waiting until all allow it.

        `pause(seconds, bucket)` waits that long or raises. Gives the names drawn from, for `settle`.

        Raises:
            StoreError: a quota cannot be counted now.
        """
        while True:
            with self._lock:
                known = self._buckets.setdefault(connection, {})
                drawn = tuple(dict.fromkeys((WHOLE, *known) if names is None else names))
                now = self._clock.monotonic()
                slowest = max(drawn, key=lambda name: known[name].wait(now) if name in known else 0.0, default=WHOLE)
                seconds = known[slowest].wait(now) if slowest in known else 0.0
                shut, quota = self._book.wait(connection, quotas)
                if shut > seconds:
                    seconds, slowest = shut, quota
                lacking = self._book.lacking(connection, quotas) if seconds <= 0 else None
                if seconds <= 0 and lacking is None:
                    for name in drawn:
                        known.setdefault(name, _Bucket()).take(now)
                    self._book.take(connection, quotas)
                    return drawn
            if lacking is not None:
                self._book.fetch(connection, lacking)
            else:
                pause(seconds, slowest)

    def release(self) -> None:
        """Give back what of the long quotas was counted ahead and not sent; nothing is to be sent afterwards.

        Raises:
            StoreError: the counts cannot be written now, and stay too high.
        """
        self._book.release()

    def settle(
        self, connection: str, drawn: Iterable[str], budgets: Iterable[Budget] = (), hold: float | None = None
    ) -> None:
        """Note that a request has ended and what its reply told; `hold` is its Retry-After.

        The hold applies to the budgets that the reply shows as used up, or else to all that the request drew from.
        """
        told = {budget.name: budget for budget in budgets}
        with self._lock:
            known = self._buckets.setdefault(connection, {})
            now = self._clock.monotonic()
            names = tuple(drawn)
            for name in names:
                bucket = known.get(name)
                if bucket is not None and bucket.in_flight:
                    bucket.in_flight -= 1
            for name, budget in told.items():
                known.setdefault(name, _Bucket()).learn(budget, now)
            if hold is not None:
                for name in [n for n in names if n in told and told[n].remaining == 0] or names:
                    bucket = known.setdefault(name, _Bucket())
                    bucket.held_until = max(bucket.held_until, now + hold)
            if len(known) > MANY:
                self._buckets[connection] = {n: b for n, b in known.items() if b.in_flight or b.wait(now) > 0}

    def snapshot(self, connection: str | None = None) -> list[BudgetState]:
        """List the limits as they are known now, of one connection or of all."""
        with self._lock:
            now = self._clock.monotonic()
            known = [
                (owner, name, bucket, bucket.wait(now))
                for owner, buckets in sorted(self._buckets.items())
                if connection in (None, owner)
                for name, bucket in sorted(buckets.items())
            ]
            told = [
                BudgetState(owner, name, bucket.limit, bucket.remaining, wait)
                for owner, name, bucket, wait in known
                if bucket.limit is not None or bucket.remaining is not None or wait > 0
            ]
            counted = [
                BudgetState(owner, quota.name, quota.limit, left, wait)
                for owner, quota, left, wait in self._book.states()
                if connection in (None, owner)
            ]
            return told + counted
