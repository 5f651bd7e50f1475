"""Has deliveries judged in threads, so that a connector's code that does not come back holds up its own connection and nobody else.

The thread that judged a delivery also stores it: handing it to yet another one takes longer than the judging. A thread cannot be
ended. One that is late is left behind; it ends with the process, which does not wait for it.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from cxbridge.console.endpoints import Endpoint, Verdict
from cxbridge.console.intake import Intake
from cxbridge.core import defects
from cxbridge.core.connector import Inbound
from cxbridge.core.errors import StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.resting import Resting

_log = structlog.get_logger("cxbridge")

# So many at once; more would only take turns.
_ABREAST = 32
# When so many of one connection were left behind and are still busy, its code is not asked again.
MOST_LATE = 4


class Late(Exception):
    """A connector's code did not judge in time, or is not asked, since too many of its judgements are late already."""


@dataclass(slots=True, eq=False)
class _Case:
    """A delivery on its way; `answer` is the event loop's, everything else is written by the thread that has it."""

    endpoint: Endpoint
    inbound: Inbound
    answer: "asyncio.Future[Verdict]"
    begun: bool = False
    verdict: Verdict | None = None
    # What became of storing it.
    stored: Future[bool] | None = None
    # Written by the event loop: nobody waits any more, and it is counted among the late ones of its connection.
    given_up: bool = False
    late: bool = False


class Judges:
    """Judges with `judge` and stores with `intake`, each delivery within `patience` seconds. For one event loop."""

    def __init__(self, judge: Callable[[Endpoint, Inbound], Verdict], intake: Intake, patience: float) -> None:
        self._judge = judge
        self._intake = intake
        self._patience = patience
        self._lock = threading.Lock()
        self._line: deque[_Case] = deque()
        self._resting = Resting(self._lock)
        self._stopping = False
        # Deliveries that were put in line and are not done with, and the threads that are there for them.
        self._open = 0
        self._threads = 0
        self._late: Counter[str] = Counter()
        # What the event loop is to hear of, and whether it was told to listen: many that are stored together wake it once.
        self._settled: deque[_Case] = deque()
        self._told = False

    async def verdict(self, endpoint: Endpoint, inbound: Inbound) -> Verdict:
        """Give the verdict; what is to be stored is stored.

        Raises:
            Late: there is none in time.
            TimeoutError: it could not be stored in time. It may be stored after all.
            StoreError: it cannot be stored now. And whatever else kept it from being stored.
        """
        if self._late[endpoint.connection] >= MOST_LATE:
            raise Late
        loop = asyncio.get_running_loop()
        case = _Case(endpoint, inbound, loop.create_future())
        patience = loop.call_later(self._patience, self._give_up, case)
        self._put(case, loop)
        try:
            return await case.answer
        finally:
            patience.cancel()

    def stop(self) -> None:
        """Let the threads end that have nothing to do; for when nobody waits for a verdict."""
        with self._lock:
            self._stopping = True
            self._threads = 0
            self._resting.wake_all()

    def _put(self, case: _Case, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._open += 1
            more = self._open > self._threads and self._threads - self._late.total() < _ABREAST
            self._threads += more
            self._line.append(case)
            if not more:
                self._resting.wake()
        if more:
            threading.Thread(target=self._work, args=(loop,), name="judge", daemon=True).start()

    def _give_up(self, case: _Case) -> None:
        if case.answer.done():
            return
        case.given_up = True
        if case.verdict is not None:
            case.answer.set_exception(TimeoutError())
            return
        case.late = case.begun
        self._late[case.endpoint.connection] += case.late
        case.answer.set_exception(Late())

    def _next(self) -> _Case | None:
        """Wait for a delivery; None where no more are to come."""
        with self._lock:
            while not self._line and not self._stopping:
                self._resting.rest()
            return self._line.popleft() if self._line else None

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (case := self._next()) is not None:
            try:
                self._do(case, loop)
            except BaseException as error:  # noqa: BLE001  # a connector may raise what ends a thread, and this one is for all
                defects.tell(_log, "webhook.failed", error)
                self._settle(case, loop)
            with self._lock:
                self._open -= 1

    def _do(self, case: _Case, loop: asyncio.AbstractEventLoop) -> None:
        if case.given_up:
            return
        case.begun = True
        verdict = self._judge(case.endpoint, case.inbound)
        if verdict.arrival is None or case.given_up:
            case.verdict = verdict
            self._settle(case, loop)
            return
        case.stored = self._intake.put(verdict.arrival, old_secret=verdict.old_secret)
        case.verdict = verdict
        case.stored.add_done_callback(lambda _: self._settle(case, loop))
        self._intake.write()

    def _settle(self, case: _Case, loop: asyncio.AbstractEventLoop) -> None:
        self._settled.append(case)
        if not self._told:
            self._told = True
            # The loop is closed where the program ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        # First, so that whoever settles something behind the last look tells again.
        self._told = False
        while self._settled:
            case = self._settled.popleft()
            if case.late:
                case.late = False
                self._late[case.endpoint.connection] -= 1
            # It knows the case, by what it was to call: neither would go by itself.
            stored, case.stored = case.stored, None
            if case.answer.done():
                continue
            if case.verdict is None:
                case.answer.set_exception(RuntimeError("a judgement broke off"))
            elif stored is not None and not stored.done():
                # Whoever was storing it is gone, and whether it is stored is not waited for here: the vendor shall come again.
                case.answer.set_exception(StoreError("storing broke off"))
            elif stored is not None and (error := stored.exception()) is not None:
                case.answer.set_exception(error)
            else:
                case.answer.set_result(case.verdict)
