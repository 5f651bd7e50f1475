"""The daemon: keeps pull, plan and push going by alarms and nudges, and ends in order; does none of the work itself."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cxbridge.core import defects
from cxbridge.core.baton import BATON
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.jobs import Embedded, Jobs
from cxbridge.core.engine.pull import Pulled
from cxbridge.core.engine.pushed import Pushed
from cxbridge.core.engine.reading import Outcome, is_down
from cxbridge.core.engine.workers import Workers
from cxbridge.core.errors import (
    CxbridgeError,
    PluginError,
    Rejected,
    Retryable,
    Unauthorized,
    VendorError,
    WireFormat,
    Withheld,
)
from cxbridge.core.logs import structlog
from cxbridge.core.store import Tx, outbox, runs, state

_log = structlog.get_logger("cxbridge")

# So many entities that webhooks named are read at most before what they brought is stored and planned.
_TOGETHER = 50
_SOON = timedelta(seconds=15)
# How often, in seconds, the outbox is looked through for what nobody announced; planning comes by at least every five.
_LOOK_EVERY = 1.0


@dataclass(slots=True)
class Watcher:
    """Who is told what the daemon does; the command line draws from it. All calls come from worker threads."""

    pulled: Callable[[Pulled], None] = lambda _: None
    planned: Callable[[Planned], None] = lambda _: None
    pushed: Callable[[str, Pushed], None] = lambda _name, _: None
    failed: Callable[[str, CxbridgeError], None] = lambda _job, _: None


@dataclass(slots=True)
class Daemon:
    """Runs a bridge until told to stop: alone on SQLite, as one of any number of workers on PostgreSQL."""

    bridge: Bridge
    watcher: Watcher = field(default_factory=Watcher)
    stop: threading.Event = field(default_factory=threading.Event)
    _jobs: Jobs | None = None
    _broken: set[str] = field(default_factory=set)
    # By the monotonic clock.
    _looked_around: float = -_LOOK_EVERY
    # About how many changes came since planning last began, and when a schedule is due next, as far as that was looked at.
    _fresh: int = 0
    _sweeps_at: datetime | None = None

    def start(self) -> None:
        """Recover what was under way when the last process ended, then set everything going."""
        self._tell_broken()
        for broken in self.bridge.broken:
            _log.error("plugin.off", problem=str(broken))
        watchdog = self.bridge.watchdog
        settings = self.bridge.configuration.settings.daemon
        drain = settings.drain.total_seconds()
        if self.bridge.worker:
            shared = Workers(
                self.bridge.store,
                self.bridge.clock,
                self._run,
                worker=self.bridge.worker,
                slots=settings.workers,
                drain=drain,
                on_taken=self._taken,
                on_left=self._left,
                on_tick=watchdog.tick,
            )
            self.bridge.clients.may_send = shared.may_send
            self._jobs = shared
        else:
            self._recover(None)
            self.bridge.inbox.close_others()
            alone = Embedded(self.bridge.clock, self._run, workers=settings.workers, drain=drain, on_tick=watchdog.tick)
            watchdog.on_slow = lambda slow: alone.relieve(slow.job)
            self._jobs = alone
        # Who answered in time while nobody listened is heard before anybody's time is found to be up.
        try:
            self.bridge.inbox.hear()
        except Exception as error:  # noqa: BLE001  # a defect of ours stops nothing else
            defects.tell(_log, "job.failed", error, job="inbox")
        self._jobs.start(
            [
                "plan",
                *(f"inbox:{connection}" for connection in self.bridge.connections),
                *(f"push:{connection}" for connection in self.bridge.connections),
                *(f"pull:{connection}/{stream}" for connection, stream in self.bridge.streams()),
            ]
        )

    def nudge(self, job: str) -> None:
        """Ask for a job now: `pull:CONNECTION/STREAM`, `plan`, `wake`, `push:CONNECTION`, `inbox:CONNECTION`."""
        if self._jobs is not None:
            self._jobs.nudge(job)

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Note in a commit what it makes necessary, for whichever worker; once it is done, `remembered` is told of each."""
        if self._jobs is not None:
            self._jobs.remember(tx, jobs)

    def remembered(self, job: str) -> None:
        """Have a job done now that was noted in a commit that is done."""
        if self._jobs is not None:
            self._jobs.remembered(job)

    def idle(self) -> bool:
        """Whether nothing runs at this moment."""
        return self._jobs is None or self._jobs.idle()

    def end(self) -> bool:
        """Begin nothing more, let what is under way end; False when something did not end in time."""
        self.stop.set()
        return self._jobs is None or self._jobs.stop()

    # -- owners ----------------------------------------------------------------------------------------------------

    def _recover(self, connections: list[str] | None) -> None:
        recovered = self.bridge.pusher.recover(connections)
        if recovered:
            _log.warning("recover.unknown", deliveries=recovered, told="were under way when the last process ended")

    def _taken(self, owner: str) -> None:
        """Begin to serve an owner: what another worker left half done is in doubt, and what came in for it is looked at anew."""
        _, _, connection = owner.partition(":")
        if connection in self.bridge.connections:
            self._recover([connection])
            self.bridge.inbox.drop(connection)
            self._inbox(connection)

    def _left(self, owner: str) -> None:
        """Cease to serve an owner: what is known of its limits goes to whoever serves it next."""
        _, _, connection = owner.partition(":")
        if connection in self.bridge.connections:
            self.bridge.clients.close(connection)

    @property
    def _poll(self) -> timedelta:
        return self.bridge.configuration.settings.daemon.poll

    # -- jobs ------------------------------------------------------------------------------------------------------

    def _run(self, job: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        with BATON.part(), self.bridge.watchdog.over(job):
            self._do(job, stop)

    def _do(self, job: str, stop: threading.Event) -> None:
        kind, _, rest = job.partition(":")
        connection, _, stream = rest.partition("/")
        try:
            if kind == "pull":
                self._pull(connection, stream, stop)
            elif kind == "plan":
                self._plan()
            elif kind == "wake":
                self._wake()
            elif kind == "inbox":
                self._inbox(connection)
            elif kind == "read":
                self._read(connection, stream, stop)
            else:
                self._push(connection, stop)
            self.bridge.watchdog.worked(job)
        except Withheld as error:
            # Nothing failed, and why it is kept back was logged when that began. A person may end it before its time.
            self._later(job, min(self._retry_at(error), self.bridge.clock.now() + _SOON))
        except CxbridgeError as error:
            self.watcher.failed(job, error)
            self.bridge.watchdog.failed(job, error)
            level = "warning" if isinstance(error, VendorError) else "error"
            getattr(_log, level)("job.failed", job=job, error=str(error))
            self._later(job, self._retry_at(error))
        except BaseException as error:
            self.bridge.watchdog.failed(job, error)
            # A defect of ours: the job must come again all the same, or its stream would stand still for ever.
            self._later(job, self.bridge.clock.now() + max(self._poll, timedelta(seconds=5)))
            raise

    def _pull(self, connection: str, stream: str, stop: threading.Event) -> None:
        with self.bridge.store.read() as tx:
            paused = connection in state.pauses(tx)
        if not paused:
            nudged = self.bridge.inbox.begin(connection, stream)
            pulled = self.bridge.pull(connection, stream, on_page=self._on_page, stop=stop)
            if not stop.is_set():
                self.bridge.inbox.pulled(connection, stream, nudged)
            self.watcher.pulled(pulled)
            if pulled.missed:
                _log.warning("webhooks.missed", connection=connection, stream=stream, changes=pulled.missed)
            if pulled.refused:
                _log.warning("pull.refused", connection=connection, stream=stream, records=pulled.refused)
        found = self.bridge.connections[connection].streams[stream]
        # The configured time is the shortest that is wanted; a stream may state that less makes no sense.
        usual = self.bridge.clock.now() + max(self._poll, timedelta(seconds=found.every))
        nudged_at = None if paused else self.bridge.inbox.pull_at(connection, stream)
        self._later(f"pull:{connection}/{stream}", usual if nudged_at is None else min(usual, nudged_at))

    def _inbox(self, connection: str) -> None:
        """Begin what webhooks of a connection asked for, and forget what is too old to come again."""
        taken = self.bridge.inbox.take(connection)
        for job in taken.jobs:
            kind, _, rest = job.partition(":")
            at = self.bridge.inbox.pull_at(*rest.split("/", 1)) if kind == "pull" else None
            if at is None or at <= self.bridge.clock.now():
                self.nudge(job)
            else:
                self._later(job, at)
        if taken.answered:
            self.nudge("wake")
        self.bridge.inbox.forget(self.bridge.configuration.settings.webhooks.keep)
        self._later(f"inbox:{connection}", self.bridge.clock.now() + timedelta(hours=1))

    def _read(self, connection: str, stream: str, stop: threading.Event) -> None:
        """Read the entities of a stream that webhooks named."""
        with self.bridge.store.read() as tx:
            paused = connection in state.pauses(tx)
        inbox = self.bridge.inbox
        again = self.bridge.clock.now()
        due_now = [] if paused else inbox.due(connection, stream)
        while due_now:
            if stop.is_set():
                return
            few, due_now = due_now[:_TOGETHER], due_now[_TOGETHER:]
            outcomes, retry_at = self._read_few(connection, stream, few, stop)
            again = max(again, retry_at)
            if is_down(outcomes.values()) or not outcomes:
                break
            due_now = [key for key in few if key not in outcomes] + due_now
        due = inbox.next_due(connection, stream)
        if due is not None:
            # What was not come to, since too much failed before it, waits as long.
            least = self.bridge.clock.now() + _SOON if paused else again
            self._later(f"read:{connection}/{stream}", max(due, least))

    def _read_few(
        self, connection: str, stream: str, keys: Sequence[str], stop: threading.Event
    ) -> tuple[Mapping[str, Outcome], datetime]:
        """Read a few entities together; gives what became of each, and when what failed is asked for again."""
        inbox, again = self.bridge.inbox, self.bridge.clock.now()
        waiting = {key: inbox.waits_for(connection, stream, key) for key in keys}
        marked: list[int] = []

        def mark(tx: Tx, stored: Collection[str]) -> None:
            marked.extend(inbox.mark(tx, [waiting[key] for key in stored]))

        abreast = self.bridge.configuration.settings.daemon.abreast
        outcomes = self.bridge.read(connection, stream, keys, stop, abreast, mark)
        read: dict[str, Collection[int]] = {}
        for key, outcome in outcomes.items():
            if isinstance(outcome, Pulled) or self._refused(connection, stream, outcome):
                read[key] = waiting[key]
            elif outcome is None:
                if inbox.was_not_shown(connection, stream, key, waiting[key]):
                    _log.info("read.given_up", connection=connection, stream=stream, told="left to the next pull")
            else:
                again = max(again, self._put_off(connection, stream, key, outcome))
        if read:
            inbox.was_read(connection, stream, read, marked)
        for outcome in outcomes.values():
            if isinstance(outcome, Pulled):
                self.watcher.pulled(outcome)
                self._on_page(outcome)
        return outcomes, again

    def _refused(self, connection: str, stream: str, error: CxbridgeError | None) -> bool:
        """Whether asking for an entity again would give the same: what it is comes with the next pull, and is counted there."""
        if not isinstance(error, Rejected | WireFormat | PluginError):
            return False
        _log.warning("read.refused", connection=connection, stream=stream, error=str(error))
        self.nudge(f"pull:{connection}/{stream}")
        return True

    def _put_off(self, connection: str, stream: str, key: str, error: CxbridgeError) -> datetime:
        """Let an entity that could not be read wait; gives until when."""
        soon = self.bridge.clock.now() + _SOON
        if isinstance(error, Withheld):
            return soon
        again = (error.retry_at if isinstance(error, Retryable) else None) or soon
        self.bridge.inbox.put_off(connection, stream, key, again)
        self.watcher.failed(f"read:{connection}/{stream}", error)
        _log.warning("job.failed", job=f"read:{connection}/{stream}", error=str(error))
        return again

    def _on_page(self, pulled: Pulled) -> None:
        self.bridge.watchdog.progress(pulled.connection)
        if pulled.changed:
            self._fresh += pulled.changed
            self.nudge("plan")

    def _plan(self) -> None:
        # Told before the nudge, so that what is not taken here is there for the planning that the nudge makes.
        fresh, self._fresh = self._fresh, 0
        planned = self.bridge.plan(self._on_batch, fresh)
        self._on_batch(planned, final=True)
        self._tell_broken()
        self._look_around()
        forgotten = self.bridge.tidy()
        if forgotten:
            _log.info("changes.forgotten", changes=forgotten)
        if planned.wakes_at is not None:
            self._later("wake", planned.wakes_at)
        if planned.looked:
            due = self.bridge.sweeper.next_at(self.bridge.library.recipes)
            # What is due although it was just looked at does not fire, as of a recipe that is halted: at every moment, if at all.
            self._sweeps_at = due if due is None or due > self.bridge.clock.now() else None
        # Looked at every few seconds in any case, so that an edited recipe file is noticed.
        soon = self.bridge.clock.now() + timedelta(seconds=5)
        self._later("plan", min(self._sweeps_at, soon) if self._sweeps_at else soon)

    def _look_around(self) -> None:
        """Find what another process put back into the outbox (`cxbridge dead retry`), which nudges nobody here."""
        now = self.bridge.clock.monotonic()
        if now < self._looked_around + _LOOK_EVERY:
            # Planning follows every webhook, and what waits here waits for nobody who counts in milliseconds.
            return
        self._looked_around = now
        with self.bridge.store.read() as tx:
            for connection in outbox.connections_due(tx, self.bridge.connections, self.bridge.clock.now()):
                self.nudge(f"push:{connection}")

    def _wake(self) -> None:
        """Move on the runs whose time has come, once what people answered meanwhile is known."""
        self.bridge.inbox.hear()
        woken = self.bridge.wake()
        for connection in woken.connections:
            self.nudge(f"push:{connection}")
        if woken.runs:
            _log.info("runs.woken", runs=woken.runs)
        self._set_waking()

    def _set_waking(self) -> None:
        """Set the alarm for the next run that waits for a time."""
        with self.bridge.store.read() as tx:
            due = runs.next_wake(tx, self.bridge.clock.now())
        if due is not None:
            self._later("wake", due)

    def _on_batch(self, planned: Planned, *, final: bool = False) -> None:
        if not final:
            self.watcher.planned(planned)
        for connection in planned.connections:
            self.nudge(f"push:{connection}")

    def _push(self, connection: str, stop: threading.Event) -> None:
        pushed = self.bridge.push(connection, stop, self.bridge.configuration.settings.daemon.abreast)
        self.watcher.pushed(connection, pushed)
        for other in pushed.connections:
            if other != connection:
                self.nudge(f"push:{other}")
        if pushed.waits:
            self._set_waking()
        if pushed.next_at is not None:
            self._later(f"push:{connection}", pushed.next_at)
        elif pushed.paused:
            self._later(f"push:{connection}", self.bridge.clock.now() + timedelta(seconds=15))

    def _tell_broken(self) -> None:
        """Log each recipe that is off, once for each state of its file."""
        errors = self.bridge.library.errors
        for error in errors:
            if str(error) not in self._broken:
                _log.error("recipe.off", recipe=error.path, problem=str(error))
        self._broken = {str(error) for error in errors}

    # -- alarms ----------------------------------------------------------------------------------------------------

    def _later(self, job: str, moment: datetime) -> None:
        if self._jobs is not None and not self.stop.is_set():
            self._jobs.later(job, moment)

    def _retry_at(self, error: CxbridgeError) -> datetime:
        now = self.bridge.clock.now()
        if isinstance(error, Retryable) and error.retry_at is not None:
            return max(error.retry_at, now)
        if isinstance(error, Unauthorized):
            return now + timedelta(seconds=15)
        return now + max(self._poll, timedelta(seconds=5))
