"""How long one call may still wait in line; it must not decide when a call is repeated."""

import threading
from datetime import timedelta

from cxbridge.core.clock import Clock
from cxbridge.core.errors import RateLimited, Withheld
from cxbridge.core.http.limits import WHOLE


class Patience:
    """The seconds that are left to one call for waiting, all its tries together; closing the client ends every wait."""

    def __init__(self, clock: Clock, seconds: float, closed: threading.Event) -> None:
        self._clock = clock
        self._closed = closed
        self.left = seconds

    def wait(self, seconds: float) -> None:
        """Wait that long.

        Raises:
            Withheld: when the client was closed meanwhile.
        """
        self.left -= seconds
        if self._clock.wait(seconds, self._closed):
            raise Withheld("the client was closed while it waited", sent=False)

    def for_bucket(self, seconds: float, bucket: str) -> None:
        """Wait until a budget lets something pass.

        Raises:
            RateLimited: when that is longer than what is left.
        """
        if seconds > self.left:
            of = f"the budget {bucket}" if bucket != WHOLE else "the whole connection"
            until = self._clock.now() + timedelta(seconds=seconds)
            raise RateLimited(f"nothing is sent before the vendor allows it for {of}", retry_at=until, sent=False)
        self.wait(seconds)
