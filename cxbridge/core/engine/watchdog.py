"""Names the jobs in which a connector's code stands still or works on without end; it ends none of them: no thread can be ended.

A job that speaks to a vendor makes progress with every request that ends, every page stored and every delivery settled. One that
makes none is named once in the log, with the place in the code where it is. What went wrong last in each job is kept as well, for
those who ask how the daemon is.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cxbridge.core.clock import Clock, Cpu, cpu_of_this_thread
from cxbridge.core.engine.stacks import Call, stacks
from cxbridge.core.logs import structlog

_log = structlog.get_logger("cxbridge")

# Seconds of work of a thread without progress: no page takes that long to read, even a large one.
BUSY = 5.0
# Seconds without progress altogether: longer than a request may take that drips in, with the waiting in line before it.
STILL = 300.0
# Requests without a page or a settled delivery: what lies beside a page is asked for one by one, but not that often.
MOST_REQUESTS = 5_000
# Threads that are not ours; a connector needs none.
MOST_THREADS = 64
# The alarm rings this often, and counts as stopped after so much silence.
TICK = 5.0
SILENCE = 30.0


@dataclass(frozen=True, slots=True)
class Slow:
    """A job that makes no progress: why, and where in the code it is. `seconds` without progress, `busy` of them at work."""

    job: str
    why: str
    at: str
    seconds: float
    busy: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a job failed with last, and since when it fails; its next success forgets it."""

    job: str
    since: datetime
    error: str


@dataclass(slots=True)
class _Watched:
    job: str
    thread: int
    cpu: Cpu
    # By the monotonic clock, and by the thread's own.
    moved_at: float
    worked: float
    requests: int = 0
    named: bool = False


@dataclass(slots=True)
class Watchdog:
    """Told of jobs by the threads that do them, and looked at from another one. `on_slow` is called once for each that is named."""

    clock: Clock
    on_slow: Callable[[Slow], None] = lambda _: None
    busy: float = BUSY
    still: float = STILL
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _troubles: dict[str, Trouble] = field(default_factory=dict)
    _ticked: float | None = None
    _crowded: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def over(self, job: str) -> Iterator[None]:
        """Watch a job while this thread does it; whether it went well is told by `failed` and `worked`."""
        self.began(job)
        try:
            yield
        finally:
            self.ended()

    def began(self, job: str) -> None:
        """Note that this thread begins a job."""
        cpu = cpu_of_this_thread()
        me = threading.get_ident()
        with self._lock:
            self._watched[me] = _Watched(job, me, cpu, self.clock.monotonic(), cpu() or 0.0)

    def progress(self, connection: str = "", *, request: bool = False) -> None:
        """Note that the job of this thread moved: a page was stored, a delivery settled, or a request ended.

        A push works on several deliveries at once, in threads of its own: those move the push of their connection.
        """
        with self._lock:
            mine = self._watched.get(threading.get_ident())
            moved = [mine] if mine else [one for one in self._watched.values() if one.job == f"push:{connection}"]
            for watched in moved:
                watched.moved_at, watched.worked = self.clock.monotonic(), watched.cpu() or 0.0
                watched.requests = watched.requests + 1 if request else 0

    def ended(self) -> None:
        """Note that this thread is through with its job."""
        with self._lock:
            self._watched.pop(threading.get_ident(), None)

    def failed(self, job: str, error: BaseException) -> None:
        """Note what a job failed with."""
        with self._lock:
            since = self._troubles[job].since if job in self._troubles else self.clock.now()
            self._troubles[job] = Trouble(job, since, str(error) or type(error).__name__)

    def worked(self, job: str) -> None:
        """Note that a job did what it should: what it failed with before is over."""
        with self._lock:
            self._troubles.pop(job, None)

    def troubles(self) -> list[Trouble]:
        """List the jobs that fail, by name."""
        with self._lock:
            return [self._troubles[job] for job in sorted(self._troubles)]

    # -- looking ---------------------------------------------------------------------------------------------------

    def tick(self) -> list[Slow]:
        """Look, and note that the alarm rang; called every few seconds by whatever rings it."""
        with self._lock:
            self._ticked = self.clock.monotonic()
        return self.look()

    @property
    def ticking(self) -> bool:
        """Whether the alarm rang lately."""
        with self._lock:
            return self._ticked is not None and self.clock.monotonic() - self._ticked <= SILENCE

    def look(self) -> list[Slow]:
        """Name what makes no progress, each job once; gives what was named just now."""
        now = self.clock.monotonic()
        found: list[Slow] = []
        with self._lock:
            for watched in self._watched.values():
                slow = None if watched.named else self._judged(watched, now)
                if slow is not None:
                    watched.named = True
                    found.append(slow)
        for slow in found:
            _log.warning(
                "plugin.slow",
                job=slow.job,
                why=slow.why,
                at=slow.at,
                seconds=round(slow.seconds),
                busy=round(slow.busy),
            )
            self.on_slow(slow)
        self._count_threads()
        return found

    def slow(self) -> list[str]:
        """List the jobs that were named and are not through yet."""
        with self._lock:
            return sorted(watched.job for watched in self._watched.values() if watched.named)

    def _judged(self, watched: _Watched, now: float) -> Slow | None:
        seconds = now - watched.moved_at
        worked = watched.cpu()
        busy = 0.0 if worked is None else worked - watched.worked
        if busy >= self.busy:
            why = f"it works on since {round(busy)} s and asks the vendor nothing"
        elif seconds >= self.still:
            why = f"it stands still since {round(seconds)} s"
        elif watched.requests >= MOST_REQUESTS:
            why = f"it asked the vendor {watched.requests} times and finished no page"
        else:
            return None
        return Slow(watched.job, why, _place(stacks().get(watched.thread, [])), seconds, busy)

    def _count_threads(self) -> None:
        """Name who starts threads and leaves them, once until there are few again."""
        strange: dict[str, int] = {}
        # Where there are few of all kinds, it is not asked what they are.
        for calls in stacks().values() if threading.active_count() >= MOST_THREADS else ():
            owner = _owner(calls)
            if owner:
                strange[owner] = strange.get(owner, 0) + 1
        count = sum(strange.values())
        if count >= MOST_THREADS and not self._crowded:
            most = max(sorted(strange), key=lambda name: strange[name])
            _log.warning("plugin.threads", threads=count, most_of=most)
        self._crowded = count >= MOST_THREADS


def _place(calls: list[Call]) -> str:
    """Say where a thread is: the innermost line that is not of the standard library, which is where somebody waits or turns."""
    shown = next((call for call in calls if not _is_standard(call)), calls[0] if calls else None)
    return "unknown" if shown is None else f"{Path(shown.file).name}:{shown.line} {shown.function}"


def _owner(calls: list[Call]) -> str:
    """Name the module whose function a thread runs, unless it is ours or the standard library's."""
    outermost = next((call for call in reversed(calls) if not _is_standard(call)), None)
    if outermost is None:
        return ""
    files = ((name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()))
    found = next((name for name, file in files if file == outermost.file), Path(outermost.file).stem)
    return "" if found.startswith(_OURS) or found == "__main__" else found


# Whose threads are counted nowhere: the engine's own and those of the libraries it runs on.
_OURS = (
    "cxbridge.core",
    "cxbridge.console",
    "cxbridge.cli",
    "apscheduler",
    "uvicorn",
    "anyio",
    "sqlalchemy",
    "psycopg",
)
_STANDARD = str(Path(threading.__file__).parent)


def _is_standard(call: Call) -> bool:
    return call.file.startswith((_STANDARD, "<frozen")) and "site-packages" not in call.file
