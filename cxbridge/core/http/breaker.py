"""Leaving a vendor alone that keeps failing: nothing is sent for a while, then one request at a time; it must not send itself.

Open means that nothing is sent. It opens when `FAILURES` requests in a row failed over `OVER` seconds or more. After a pause one
request is let through; if it fails too, the pause begins anew, as long as the trouble has lasted by then, between `SHORTEST` and
`LONGEST`. Whatever the vendor answers in its own words closes it, a refusal or a limit as well: then it is there.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal, Protocol

from cxbridge.core.clock import Clock
from cxbridge.core.errors import StoreError, Withheld
from cxbridge.core.http.reply import Reply

# So many failures in a row, the last at least so many seconds after the first: one moment's trouble of ten threads is no outage.
FAILURES = 5
OVER = 10.0
# The pause before the next request, in seconds, give or take a fifth of it.
SHORTEST = 30.0
LONGEST = 600.0
SPREAD = 0.2
# While one request is let through, the others are told to come again after so many seconds.
MEANWHILE = 5.0
# How old what is known of the store may be while nothing is sent: a person's check in another process may have closed it.
LOOK_AGAIN = 2.0

_ENDS = {b"{": b"}", b"[": b"]"}
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A connection that is left alone: why, since when, and when the next request is let through."""

    connection: str
    failures: int
    reason: str
    opened_at: datetime
    retry_at: datetime


class BreakerStore(Protocol):
    """Where an open breaker outlives the process. Each call is a transaction of its own."""

    def read(self, connection: str) -> BreakerState | None:
        """Give a connection's breaker, when it is open."""
        ...

    def keep(self, state: BreakerState) -> None:
        """Keep it as open."""
        ...

    def clear(self, connection: str) -> None:
        """Keep it as closed."""
        ...


# Told of a breaker that opened, or closed again: what it is, or was, and which of both.
OnTurn = Callable[[BreakerState, Literal["opened", "closed"]], None]


class Breaker:
    """The breaker of one connection; share it among threads and among the connection's clients.

    `enter` comes right before a request leaves, `leave` when it has ended, however it did.
    """

    def __init__(
        self,
        connection: str,
        clock: Clock,
        random: Random,
        *,
        store: BreakerStore | None = None,
        on_turn: OnTurn | None = None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._random = random
        self._store = store
        self._on_turn = on_turn
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._state: BreakerState | None = None
        # By the monotonic clock: when the next request is let through, and when the store was last asked.
        self._retry_at = 0.0
        self._looked_at = float("-inf")
        self._failures = 0
        self._first_failure = 0.0
        # Which request is let through while it is open, by its number.
        self._numbers = 0
        self._trial: int | None = None
        # Whether the store says so as well.
        self._kept = False

    def until(self) -> datetime | None:
        """Say until when nothing is sent; None when a request may be tried now.

        Raises:
            StoreError: it cannot be found out whether another process left the vendor alone.
        """
        self._look()
        with self._lock:
            return None if self._state is None else self._waits()

    def try_now(self) -> None:
        """Let the next request through although the pause is not over: a person asks for it."""
        self._look()
        with self._lock:
            self._retry_at = self._clock.monotonic()

    def check(self) -> None:
        """See that a request could be let through now, before time and budgets are spent on it.

        Raises:
            Withheld: the vendor is left alone.
            StoreError: it cannot be found out whether another process left it alone.
        """
        self._look()
        with self._lock:
            self._refuse()

    def enter(self) -> int:
        """Let a request through; gives its number, for `leave`.

        Raises:
            Withheld: the vendor is left alone.
        """
        with self._lock:
            self._refuse()
            self._numbers += 1
            if self._state is not None:
                self._trial = self._numbers
            return self._numbers

    def _refuse(self) -> None:
        state = self._state
        until = None if state is None else self._waits()
        if state is not None and until is not None:
            raise Withheld(
                f"the vendor is left alone until {until:%H:%M:%S}Z: {state.failures} requests in a row failed "
                f"({state.reason})",
                connection=self._connection,
                retry_at=until,
                sent=False,
            )

    def leave(self, number: int, failure: str | None) -> None:
        """Say how a request ended: `failure` is why it failed, None when the vendor answered. It holds nothing of a body."""
        opened: BreakerState | None = None
        closed: BreakerState | None = None
        with self._lock:
            now = self._clock.monotonic()
            trial = self._trial == number
            if trial:
                self._trial = None
            if failure is None:
                closed, self._state = self._state, None
                self._failures, self._trial = 0, None
            else:
                if not self._failures:
                    self._first_failure = now
                self._failures += 1
                # What was under way when it opened tells nothing new.
                if trial or (self._state is None and self._failures >= FAILURES and now - self._first_failure >= OVER):
                    opened = self._open(failure, now)
            first = opened is not None and not trial
        if opened is not None or closed is not None:
            self._write()
        if first and opened is not None:
            self._tell(opened, "opened")
        if closed is not None:
            self._tell(closed, "closed")

    def give_up(self, number: int) -> None:
        """Say that a request told nothing about the vendor: it was kept from leaving, or ended by an error of ours."""
        with self._lock:
            if self._trial == number:
                self._trial = None

    def _open(self, reason: str, now: float) -> BreakerState:
        wall = self._clock.now()
        since = self._state.opened_at if self._state is not None else wall
        # As long again as it has lasted: so the pauses double, and a restart need not know how many there were.
        pause = min(LONGEST, max(SHORTEST, (wall - since).total_seconds()))
        pause *= self._random.uniform(1 - SPREAD, 1 + SPREAD)
        self._retry_at = now + pause
        self._state = BreakerState(self._connection, self._failures, reason, since, wall + timedelta(seconds=pause))
        return self._state

    def _waits(self) -> datetime | None:
        now = self._clock.monotonic()
        if self._trial is not None:
            return self._clock.now() + timedelta(seconds=MEANWHILE)
        return None if now >= self._retry_at else self._clock.now() + timedelta(seconds=self._retry_at - now)

    def _look(self) -> None:
        """Take over what the store says: at first, and now and then while nothing is sent."""
        if self._store is None:
            return
        with self._lock:
            now = self._clock.monotonic()
            first = self._looked_at == float("-inf")
            if not first and (self._state is None or not self._kept or now - self._looked_at < LOOK_AGAIN):
                return
            self._looked_at = now
        try:
            found = self._store.read(self._connection)
        except StoreError:
            with self._lock:
                self._looked_at = float("-inf") if first else now
            if first:
                raise
            return
        with self._lock:
            closed = self._take(found, now) if first or self._kept else None
        if closed is not None:
            self._tell(closed, "closed")

    def _take(self, found: BreakerState | None, now: float) -> BreakerState | None:
        """Go by what the store says; gives the breaker that another process closed."""
        was = self._state
        if found is None:
            if was is not None:
                self._state, self._failures, self._trial, self._kept = None, 0, None, False
            return was
        if was is None or found.retry_at != was.retry_at:
            # A clock that was set back must not leave a vendor alone for a day.
            rest = (found.retry_at - self._clock.now()).total_seconds()
            self._retry_at = now + min(max(0.0, rest), LONGEST * (1 + SPREAD))
            self._state, self._failures, self._first_failure, self._kept = found, found.failures, now, True
        return None

    def _write(self) -> None:
        """Keep what is so now. Whoever comes last writes what is so then, in whichever order threads arrive."""
        if self._store is None:
            return
        with self._writing:
            with self._lock:
                state = self._state
            try:
                if state is not None:
                    self._store.keep(state)
                else:
                    self._store.clear(self._connection)
                kept = state is not None
            except StoreError:
                # In this process it holds all the same; a restart begins with what was kept before.
                kept = False
            with self._lock:
                self._kept = kept

    def _tell(self, state: BreakerState, turn: Literal["opened", "closed"]) -> None:
        if self._on_turn is not None:
            self._on_turn(state, turn)


def failure_of(reply: Reply) -> str | None:
    """Say why an answer counts as the vendor's failure; None for its own word, be it a refusal or a limit.

    Only what every answer has is looked at: the status, and whether a body begins and ends as what it says it is.
    """
    if reply.status >= 500 or reply.status == 408:
        return f"it answered {reply.status}"
    if 300 <= reply.status < 400 and reply.status != 304:
        return f"it answered {reply.status} and sent us elsewhere"
    kind = reply.headers.get("content-type", "").lower()
    if reply.status < 300 and "html" in kind:
        return "it answered a web page"
    if reply.status < 300 and "json" in kind and reply.body:
        body = reply.body[:64].lstrip(_BLANK)
        end, tail = _ENDS.get(body[:1]), reply.body[-64:].rstrip(_BLANK)
        if end is not None and tail and not tail.endswith(end):
            return "it answered JSON that is cut short"
    return None
