"""Coarse jobs by key, never two at once under one key; knows nothing of what a job does."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

_log = structlog.get_logger("cxbridge.jobs")


@dataclass(slots=True)
class _Job:
    running: bool = False
    again: bool = False
    queued: bool = False


@dataclass(slots=True)
class Board:
    """Takes nudges, runs handlers in worker threads. A nudge for a job under way makes it run once more afterwards.

    `handler(key)` does the work; an exception from it is logged and never ends a worker.
    """

    handler: Callable[[str], None]
    workers: int = 8
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _queue: deque[str] = field(default_factory=deque)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopping: bool = False
    _condition: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Start the workers."""
        for number in range(self.workers):
            thread = threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def nudge(self, key: str) -> None:
        """Ask for a job to run soon; asking twice before it begins is asking once."""
        with self._condition:
            if self._stopping:
                return
            job = self._jobs.setdefault(key, _Job())
            if job.running:
                job.again = True
            elif not job.queued:
                job.queued = True
                self._queue.append(key)
                self._condition.notify_all()

    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._condition:
            return not self._queue and not any(job.running for job in self._jobs.values())

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing runs and nothing waits; False when the time is over first."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._queue and not any(job.running for job in self._jobs.values()), timeout
            )

    def stop(self, drain: float) -> bool:
        """Begin no further job and wait for those under way; False when some did not end in time."""
        with self._condition:
            self._stopping = True
            self._queue.clear()
            self._condition.notify_all()
            # One deadline for all of them: whoever sent the signal counts the seconds from there.
            ended = self._condition.wait_for(lambda: not any(job.running for job in self._jobs.values()), drain)
        if ended:
            for thread in self._threads:
                thread.join()
        return ended

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._queue or self._stopping)
                if self._stopping:
                    return
                key = self._queue.popleft()
                job = self._jobs[key]
                job.queued, job.running, job.again = False, True, False
            try:
                self.handler(key)
            except Exception as error:  # noqa: BLE001  # one failed job must not take a worker with it
                _log.error("job.failed", job=key, error=f"{type(error).__name__}: {error}", exc_info=True)
            finally:
                with self._condition:
                    job.running = False
                    if job.again and not self._stopping:
                        job.queued = True
                        self._queue.append(key)
                    self._condition.notify_all()
