"""The vendor's limits as its replies tell them, and who may send when; it must not know any vendor's header."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.errors import StoreError
from cxbridge.core.http.holds import KEPT_OVER, HoldBook, HoldStore
from cxbridge.core.http.quotas import Quota, QuotaBook, QuotaStore
from cxbridge.core.http.reply import LONGEST_RETRY_AFTER

# The bucket that every request of a connection draws from.
WHOLE = ""
# A budget that is used up without a word about its end is believed for this long.
UNTOLD_RESET = 1.0
# For how many seconds at most others wait for the end of a connection's first request before they look again.
FIRST_WAIT = 60.0
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

    @property
    def idle(self) -> bool:
        """Whether nothing is known by which anybody would have to wait, now or later."""
        return self.remaining is None and self.resets_at is None and not self.held_until

    def wait(self, now: float) -> float:
        if self.idle:
            return 0.0
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

    `quotas` keeps the counts of long quotas, with `shared` those of all: several processes speak to a connection then, one after
    the other, and none may begin at nothing. `holds` keeps the ends of waits. Without them both end with the process.
    """

    def __init__(
        self,
        clock: Clock,
        quotas: QuotaStore | None = None,
        holds: HoldStore | None = None,
        *,
        shared: bool = False,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, _Bucket]] = {}
        self._book = QuotaBook(clock, quotas, self._lock, shared=shared)
        self._holds = holds
        self._kept = HoldBook(clock)
        # Only one thread at a time writes holds; the lock above is free meanwhile, for the store may be slow.
        self._keeping = threading.Lock()
        # Connections whose vendor has answered this process, and those whose first request is under way.
        self._answered: set[str] = set()
        self._first: dict[str, threading.Event] = {}

    def acquire(
        self,
        connection: str,
        names: Iterable[str] | None,
        pause: Callable[[float, str], None],
        quotas: Sequence[Quota] = (),
    ) -> tuple[str, ...]:
        """Draw one request from each named bucket, or from every known one, and from the quotas, waiting until all allow it.

        `pause(seconds, bucket)` waits that long or raises. Gives the names drawn from, for `settle`, which must follow. The first
        call for a connection reads what is held, and goes alone. Where the last of a budget is drawn, its end is kept before this
        returns: whoever takes over after a kill must not send against it.

        Raises:
            StoreError: a quota cannot be counted now, or what is held cannot be read.
        """
        self._open(connection)
        while True:
            with self._lock:
                known = self._buckets.setdefault(connection, {})
                drawn = tuple(dict.fromkeys((WHOLE, *known) if names is None else names))
                now = self._clock.monotonic()
                seconds, slowest = _slowest(known, drawn, now)
                lacking = None
                if quotas:
                    shut, quota = self._book.wait(connection, quotas)
                    if shut > seconds:
                        seconds, slowest = shut, quota
                    lacking = self._book.lacking(connection, quotas) if seconds <= 0 else None
                first = self._before(connection, drawn)
                if first is None and seconds <= 0 and lacking is None:
                    self._begun(connection, drawn)
                    for name in drawn:
                        if name not in known:
                            known[name] = _Bucket()
                        known[name].take(now)
                    if quotas:
                        self._book.take(connection, quotas)
                    calm = self._is_calm(known, drawn, now)
                    break
            if first is not None:
                self._await_first(connection, first)
            elif lacking is not None:
                self._book.fetch(connection, lacking)
            else:
                pause(seconds, slowest)
        if not calm:
            self._keep(connection, drawn)
        return drawn

    def release(self, connection: str | None = None) -> None:
        """Give back what of the kept quotas was counted ahead and not sent, and keep what holds, of one connection or of all.

        Nothing is to be sent afterwards, or with one connection not before `forget`.

        Raises:
            StoreError: the counts cannot be written now, and stay too high.
        """
        for name in list(self._buckets) if connection is None else [connection]:
            self._keep(name, None)
        self._book.release(connection)

    def forget(self, connection: str) -> None:
        """Know nothing of a connection any more: another process may speak to it from now on, and tells by the store."""
        with self._keeping, self._lock:
            self._buckets.pop(connection, None)
            self._book.forget(connection)
            self._kept.forget(connection)
            self._know(connection, (WHOLE,))
            self._answered.discard(connection)

    def settle(
        self,
        connection: str,
        drawn: Iterable[str],
        budgets: Iterable[Budget] = (),
        hold: float | None = None,
        quotas: Sequence[Quota] = (),
    ) -> None:
        """Note that a request has ended and what its reply told; `hold` is its Retry-After, `quotas` those it was counted in.

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
            if quotas:
                self._book.ended(connection, quotas)
            self._know(connection, names)
            calm = self._is_calm(known, (*names, *told), now)
        if not calm:
            self._keep(connection, (*names, *told))

    def _before(self, connection: str, drawn: tuple[str, ...]) -> threading.Event | None:
        """Give the first request of a connection while it is under way.

        What the process before this one had left of a budget is known when the vendor has answered once: several at a time could
        be more than that.
        """
        if self._holds is None or WHOLE not in drawn or connection in self._answered:
            return None
        return self._first.get(connection)

    def _await_first(self, connection: str, first: threading.Event) -> None:
        with BATON.away():
            answered = first.wait(FIRST_WAIT)
        if not answered:
            with self._lock:
                if self._first.get(connection) is first:
                    del self._first[connection]

    def _begun(self, connection: str, drawn: tuple[str, ...]) -> None:
        if self._holds is not None and WHOLE in drawn and connection not in self._answered:
            self._first[connection] = threading.Event()

    def _know(self, connection: str, names: Iterable[str]) -> None:
        if self._holds is not None and WHOLE in names:
            self._answered.add(connection)
            first = self._first.pop(connection, None)
            if first is not None:
                first.set()

    def _open(self, connection: str) -> None:
        """Read what is held of a connection that this process has not spoken to yet."""
        with self._lock:
            if connection in self._buckets or self._holds is None:
                return
        with self._keeping:
            held = self._holds.read(connection)
            with self._lock:
                if connection in self._buckets:
                    return
                ends = self._kept.found(connection, held)
                self._buckets[connection] = {name: _Bucket(held_until=end) for name, end in ends.items()}

    def _keep(self, connection: str, names: Iterable[str] | None) -> None:
        """Let the store know which of these budgets are waited for now; with None all, by the wall clock as it is now."""
        if self._holds is None:
            return
        with self._keeping:
            with self._lock:
                known = self._buckets.get(connection, {})
                now = self._clock.monotonic()
                chosen = known if names is None else [name for name in dict.fromkeys(names) if name in known]
                waits = [(name, known[name].wait(now)) for name in chosen]
                moves = self._kept.moves(connection, waits, anew=names is None)
            if not moves:
                return
            try:
                self._holds.keep(connection, moves.ends, moves.over)
            except StoreError:
                # In this process it holds all the same; the next reply or request tries to keep it again.
                with self._lock:
                    self._kept.undo(connection, moves)

    def _is_calm(self, known: Mapping[str, _Bucket], names: Iterable[str], now: float) -> bool:
        """Whether nothing of this is worth keeping and nothing is kept: nearly always. Under the lock."""
        if self._holds is None:
            return True
        return not self._kept.holds and _slowest(known, names, now)[0] <= KEPT_OVER

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


def _slowest(known: Mapping[str, _Bucket], names: Iterable[str], now: float) -> tuple[float, str]:
    """Say how many seconds the one of these budgets lasts that is waited for longest, and which it is."""
    seconds, slowest = 0.0, WHOLE
    for name in names:
        bucket = known.get(name)
        if bucket is not None and (waits := bucket.wait(now)) > seconds:
            seconds, slowest = waits, name
    return seconds, slowest
