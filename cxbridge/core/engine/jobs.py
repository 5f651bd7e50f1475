"""Coarse jobs by key, never two at once under one key; knows nothing of what a job does."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from cxbridge.core import defects
from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.engine.watchdog import TICK
from cxbridge.core.logs import structlog
from cxbridge.core.resting import Resting
from cxbridge.core.store import Tx

_log = structlog.get_logger("cxbridge.jobs")

# Does one job; the event is set when it should come to an end soon, at the next place where it can go on later.
Handler = Callable[[str, threading.Event], None]

PLANNING = "planning"
# So much earlier than asked for an alarm may ring.
_SLACK = timedelta(seconds=1)


def owner_of(job: str) -> str:
    """Name what a job belongs to: the connection it speaks to, or planning."""
    _, _, rest = job.partition(":")
    return f"connection:{rest.partition('/')[0]}" if rest else PLANNING


class Jobs(Protocol):
    """Where the daemon's jobs run: in this process alone, or shared by all workers of a store."""

    def start(self, jobs: Iterable[str]) -> None:
        """Begin to work; `jobs` are to be done at least once."""
        ...

    def nudge(self, job: str) -> None:
        """Have a job done soon; asking twice before it begins is asking once."""
        ...

    def later(self, job: str, at: datetime) -> None:
        """Have a job done then."""
        ...

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Note jobs in the commit that made them necessary; once it is done, they are to be told of by `remembered`."""
        ...

    def remembered(self, job: str) -> None:
        """Have a job done soon that was noted in a commit that is done."""
        ...

    def idle(self) -> bool:
        """Whether nothing runs and nothing is due at this moment."""
        ...

    def stop(self) -> bool:
        """Begin nothing more and wait for what is under way; False when some did not end in time."""
        ...


@dataclass(slots=True)
class _Job:
    running: bool = False
    again: bool = False
    queued: bool = False


@dataclass(slots=True)
class Board:
    """Takes nudges, runs handlers in worker threads. A nudge for a job under way makes it run once more afterwards.

    What is asked for by a job that computes with the baton in hand is done next by the same worker; another one is called where the
    baton is laid down before that, or by `rouse`. `handler(key)` does the work; an exception from it is logged and never ends a
    worker, not even one that would end a program.
    """

    handler: Callable[[str], None]
    workers: int = 8
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _queue: deque[str] = field(default_factory=deque)
    _threads: list[threading.Thread] = field(default_factory=list)
    # Jobs that do not come to an end, whose place another worker has taken.
    _relieved: set[str] = field(default_factory=set)
    _stopping: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # The workers that wait for a job; and who waits for jobs to end is told of each.
    _resting: Resting = field(init=False)
    _ended: threading.Condition = field(init=False)
    _here: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self._resting = Resting(self._lock)
        self._ended = threading.Condition(self._lock)

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self.workers):
            self._add_worker()

    def _add_worker(self) -> None:
        thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def relieve(self, key: str) -> None:
        """Put a worker in the place of the one that a job does not let go; that one ends with its job."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.running and key not in self._relieved and not self._stopping:
                self._relieved.add(key)
                self._add_worker()

    def nudge(self, key: str) -> None:
        """Ask for a job to run soon; asking twice before it begins is asking once."""
        with self._lock:
            if self._stopping:
                return
            job = self._jobs.setdefault(key, _Job())
            if job.running:
                job.again = True
                return
            if job.queued:
                return
            job.queued = True
            self._queue.append(key)
            if not getattr(self._here, "works", False):
                self._resting.wake()
                return
        BATON.when_left(self.rouse)

    def rouse(self) -> None:
        """Have somebody look whether there is a job that nobody does, if anybody is free."""
        with self._lock:
            if self._queue:
                self._resting.wake()

    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._lock:
            return not self._queue and not any(job.running for job in self._jobs.values())

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing runs and nothing waits; False when the time is over first."""
        with self._lock:
            return self._ended.wait_for(
                lambda: not self._queue and not any(job.running for job in self._jobs.values()), timeout
            )

    def stop(self, drain: float) -> bool:
        """Begin no further job and wait for those under way; False when some did not end in time."""
        with self._lock:
            self._stopping = True
            self._queue.clear()
            self._resting.wake_all()
            # One deadline for all of them: whoever sent the signal counts the seconds from there.
            ended = self._ended.wait_for(lambda: not any(job.running for job in self._jobs.values()), drain)
        if ended:
            for thread in list(self._threads):
                thread.join()
        return ended

    def _work(self) -> None:
        self._here.works = True
        while True:
            with self._lock:
                while not self._queue and not self._stopping:
                    self._resting.rest()
                if self._stopping:
                    return
                key = self._queue.popleft()
                job = self._jobs[key]
                job.queued, job.running, job.again = False, True, False
                if self._queue:
                    self._resting.wake()
            try:
                self.handler(key)
            except BaseException as error:  # noqa: BLE001  # one failed job must not take a worker with it
                defects.tell(_log, "job.failed", error, job=key)
            finally:
                with self._lock:
                    relieved = key in self._relieved
                    self._relieved.discard(key)
                    job.running = False
                    if job.again and not self._stopping:
                        job.queued = True
                        self._queue.append(key)
                    self._ended.notify_all()
                    if relieved:
                        self._threads.remove(threading.current_thread())
                        if self._queue:
                            self._resting.wake()
            if relieved:
                return


class Embedded:
    """The jobs of one process. APScheduler is the alarm clock and keeps nothing: what is due is read from the store."""

    def __init__(
        self,
        clock: Clock,
        handler: Handler,
        *,
        workers: int,
        drain: float,
        on_tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_tick = on_tick
        self._drain = drain
        self._stopping = threading.Event()
        self._board = Board(lambda job: handler(job, self._stopping), workers)
        self._alarm = BackgroundScheduler(timezone="UTC")
        # When the alarm of each job rings.
        self._set: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def start(self, jobs: Iterable[str]) -> None:
        """Start the workers and the alarm clock, and have these jobs done."""
        self._board.start()
        self._alarm.start()
        self._on_tick()
        alarm: Any = self._alarm
        alarm.add_job(self._tick, IntervalTrigger(seconds=TICK), id="tick", misfire_grace_time=None, coalesce=True)
        for job in jobs:
            self._board.nudge(job)

    def _tick(self) -> None:
        # A job that asked for another one and stands still since then, with the baton in hand, has called nobody.
        self._board.rouse()
        self._on_tick()

    def nudge(self, job: str) -> None:
        """Have a job done soon."""
        self._board.nudge(job)

    def later(self, job: str, at: datetime) -> None:
        """Have a job done then, or up to a second earlier; takes the place of an earlier alarm of the same job."""
        if self._stopping.is_set():
            return
        at = max(at, self._clock.now() + timedelta(milliseconds=50))
        with self._lock:
            standing = self._set.get(job)
            if standing is not None and timedelta() <= at - standing <= _SLACK:
                # Setting an alarm wakes the clock's thread, and a job that runs fifty times a second would do so each time.
                return
            self._set[job] = at
            # Inside, so that what is noted is the alarm that stands: one that does not would be waited for in vain.
            alarm: Any = self._alarm
            alarm.add_job(
                self._ring,
                DateTrigger(at),
                args=[job, at],
                id=job,
                replace_existing=True,
                misfire_grace_time=None,
                # An alarm that rings while the last one of its name is still being answered must not be left out: nothing else
                # would ever ring for that job again.
                max_instances=1000,
            )

    def _ring(self, job: str, at: datetime) -> None:
        with self._lock:
            if self._set.get(job) == at:
                del self._set[job]
        self._board.nudge(job)

    def relieve(self, job: str) -> None:
        """Have others done although this one does not come to an end."""
        self._board.relieve(job)

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Do nothing: this process starts with all jobs whenever it starts."""

    def remembered(self, job: str) -> None:
        """Have a job done soon."""
        self.nudge(job)

    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._board.idle()

    def stop(self) -> bool:
        """Begin nothing more and wait for what is under way."""
        self._stopping.set()
        # Emptied first: a scheduler that is stopped between ringing an alarm and forgetting it looks for it in vain, and its
        # thread ends with a traceback.
        self._alarm.remove_all_jobs()
        self._alarm.shutdown(wait=False)
        return self._board.stop(self._drain)
