"""Has deliveries judged in threads, so that a connector's code that does not come back holds up its own connection and nobody else.

A thread cannot be ended. One that is late is left behind; it ends with the process, which does not wait for it.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from cxbridge.console.endpoints import Endpoint, Verdict
from cxbridge.core.connector import Inbound

# So many at once; more would only take turns.
_ABREAST = 32
# When so many of one connection were left behind and are still busy, its code is not asked again.
MOST_LATE = 4


class Judges:
    """Judges with `judge`, each delivery within `patience` seconds. For one event loop."""

    def __init__(self, judge: Callable[[Endpoint, Inbound], Verdict], patience: float) -> None:
        self._judge = judge
        self._patience = patience
        self._places = asyncio.Semaphore(_ABREAST)
        self._late: Counter[str] = Counter()

    async def verdict(self, endpoint: Endpoint, inbound: Inbound) -> Verdict | None:
        """Give the verdict; None where none came in time, or where too many of this connection are late already."""
        if self._late[endpoint.connection] >= MOST_LATE:
            return None
        try:
            async with asyncio.timeout(self._patience):
                async with self._places:
                    return await self._judged(endpoint, inbound)
        except TimeoutError:
            return None

    async def _judged(self, endpoint: Endpoint, inbound: Inbound) -> Verdict:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Verdict] = loop.create_future()

        def settle(verdict: Verdict | None) -> None:
            if answer.cancelled():
                self._late[endpoint.connection] -= 1
            elif verdict is None:
                answer.set_exception(RuntimeError("a judgement broke off"))
            else:
                answer.set_result(verdict)

        def work() -> None:
            verdict = None
            try:
                verdict = self._judge(endpoint, inbound)
            finally:
                # The loop is closed where the program ended meanwhile.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(settle, verdict)

        threading.Thread(target=work, name=f"webhook of {endpoint.connection}", daemon=True).start()
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.cancelled():
                self._late[endpoint.connection] += 1
            raise
