"""When a failed request is tried again in line; it must not know HTTP, nor wait by itself."""

from collections.abc import Callable
from random import Random

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_any
from tenacity.stop import stop_base

from cxbridge.core.clock import Clock
from cxbridge.core.errors import RateLimited, Retryable, Withheld

TRIES = 4
LONGEST = 30.0


class Backoff:
    """How long to wait after a failure: what the vendor said, or else chance within a doubling bound."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return self.after(error, state.attempt_number)

    def after(self, error: BaseException | None, attempt: int) -> float:
        """Give the seconds to wait after that try has ended so."""
        if isinstance(error, Retryable) and error.retry_at is not None:
            return max(0.0, (error.retry_at - self._clock.now()).total_seconds())
        bound = min(LONGEST, 2.0**attempt)
        if isinstance(error, RateLimited):
            # Over a limit, waiting too little is certain to fail again; hence not the whole range of chance.
            return bound * self._random.uniform(0.7, 1.3)
        return self._random.uniform(0.0, bound)


class _Impatient(stop_base):
    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left

    def __call__(self, state: RetryCallState) -> bool:
        return state.upcoming_sleep > self._left()


def tries(backoff: Backoff, *, harmless: bool, left: Callable[[], float], sleep: Callable[[float], None]) -> Retrying:
    """Give the tries of one call: few, only where repeating is harmless, and only while waiting is `left`.

    `harmless` allows repeating a request whose fate is unknown; without it only one that certainly had no effect.
    """

    def again(error: BaseException) -> bool:
        # What we keep back ourselves is kept back for longer than a call waits.
        if isinstance(error, Withheld):
            return False
        return isinstance(error, Retryable) and (harmless or not error.sent)

    return Retrying(
        wait=backoff,
        stop=stop_any(stop_after_attempt(TRIES), _Impatient(left)),
        retry=retry_if_exception(again),
        sleep=sleep,
        reraise=True,
    )
