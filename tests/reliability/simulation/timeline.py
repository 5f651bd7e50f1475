"""The daemon's jobs in one thread, each at its time: what is due is done in a drawn order, and nothing waits in real time."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from threading import Event

from cxbridge.core.clock import Clock
from cxbridge.core.engine.jobs import Handler
from cxbridge.core.store import Tx

# As the daemon's own alarm clock rings.
_SOONEST = timedelta(milliseconds=50)


class Timeline:
    """In place of the daemon's own worker threads and alarm clock: the same nudges, the same alarms, one job at a time."""

    def __init__(
        self,
        clock: Clock,
        handler: Handler,
        *,
        workers: int,
        drain: float,
        on_tick: Callable[[], object],
    ) -> None:
        del workers, drain, on_tick
        self._clock = clock
        self._handler = handler
        self._stopping = Event()
        self.waiting: list[str] = []
        self.alarms: dict[str, datetime] = {}

    def start(self, jobs: Iterable[str]) -> None:
        """Have these jobs done."""
        for job in jobs:
            self.nudge(job)

    def nudge(self, job: str) -> None:
        """Have a job done soon; asking twice before it begins is asking once."""
        if job not in self.waiting and not self._stopping.is_set():
            self.waiting.append(job)

    def later(self, job: str, at: datetime) -> None:
        """Have a job done then; takes the place of an earlier alarm of the same job."""
        self.alarms[job] = max(at, self._clock.now() + _SOONEST)

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Do nothing: whoever starts again starts with all jobs."""

    def remembered(self, job: str) -> None:
        """Have a job done soon."""
        self.nudge(job)

    def relieve(self, job: str) -> None:
        """Do nothing: there is one thread."""

    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self.waiting

    def stop(self) -> bool:
        """Begin nothing more."""
        self._stopping.set()
        return True

    # -- for whoever plays ---------------------------------------------------------------------------------------------

    def ring(self) -> list[str]:
        """Take the alarms that are due, the earliest first."""
        now = self._clock.now()
        due = sorted((at, job) for job, at in self.alarms.items() if at <= now)
        for _, job in due:
            del self.alarms[job]
        return [job for _, job in due]

    def next_alarm(self) -> datetime | None:
        """Say when the next alarm rings."""
        return min(self.alarms.values(), default=None)

    def draw(self, lot: Random) -> str:
        """Take one of the jobs that wait."""
        # The daemon asks for several at once in the order of a set, which is another one in each process.
        job = lot.choice(sorted(self.waiting))
        self.waiting.remove(job)
        return job

    def work(self, job: str) -> None:
        """Do a job."""
        self._handler(job, self._stopping)
