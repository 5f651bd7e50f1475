"""The jobs of several workers on one PostgreSQL store: who serves which owner, and when; knows nothing of what a job does.

Each job belongs to an owner: `connection:NAME` for all that speaks to a connection, `planning` for the rest. A worker serves an
owner under its lease, job by job, until nothing is due there. What is due stands in the agenda until it was done, so that a worker
may die at any moment: another one takes the owner over and does it.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cxbridge.core import defects
from cxbridge.core.clock import Clock
from cxbridge.core.engine.jobs import Handler, owner_of
from cxbridge.core.engine.leasing import RENEWED_EVERY, Held, Holder
from cxbridge.core.errors import StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, Tx, agenda, leases
from cxbridge.core.store.agenda import Entry
from cxbridge.core.store.dispatcher import Dispatcher

_log = structlog.get_logger("cxbridge.jobs")

# How many jobs of one owner run at once in a worker: pulls of several streams beside a push.
_ABREAST = 4
# After so many seconds an owner makes room, where others wait for a worker and none is free.
_TURN = 10.0
# How often a served owner's agenda is looked at for what other workers entered.
_LOOK = 0.5


@dataclass(slots=True)
class _Service:
    """One owner while it is served. `stop` tells its jobs to come to an end soon."""

    owner: str
    held: Held
    since: float
    stop: threading.Event = field(default_factory=threading.Event)
    changed: threading.Event = field(default_factory=threading.Event)
    running: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Current:
    """The job that a thread is at, and when it wants to come again."""

    job: str
    again_at: datetime | None = None


class Workers:
    """One worker's share of the jobs.

    Threads of its own call `handler`, and `on_taken` and `on_left` before and after an owner is served.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handler: Handler,
        *,
        worker: str,
        slots: int,
        drain: float,
        on_taken: Callable[[str], None],
        on_left: Callable[[str], None],
        on_tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._handler = handler
        self._worker = worker
        self._slots = slots
        self._on_taken = on_taken
        self._on_left = on_left
        self._on_tick = on_tick
        self._holder = Holder(store, clock, worker)
        self._dispatcher = Dispatcher(store, slots=slots, drain=drain, serve=self._serve)
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick_on, name="leases", daemon=True)
        self._here = threading.local()
        self._alive: Held | None = None

    @property
    def may_send(self) -> Callable[[str], None]:
        """Give what is to be asked before each request to a connection."""
        return self._holder.may_send

    def start(self, jobs: Iterable[str]) -> None:
        """Begin to work; `jobs` are those that must stand in the agenda.

        Raises:
            StoreError: the database cannot be had now.
        """
        with self._store.aside() as tx:
            agenda.open_with(tx, [(job, owner_of(job)) for job in jobs], self._clock.now())
        # Tells everybody that this worker lives, also while it serves nobody.
        self._alive = self._holder.take(f"worker:{self._worker}")
        self._dispatcher.start()
        self._ticker.start()

    def nudge(self, job: str) -> None:
        """Have a job done soon, here or elsewhere; asking twice before it begins is asking once."""
        self._enter(job, self._clock.now(), agenda.ask)

    def later(self, job: str, at: datetime) -> None:
        """Have a job done then. Said by the job itself, it is when it comes again."""
        current: _Current | None = getattr(self._here, "current", None)
        if current is not None and current.job == job:
            current.again_at = at
        else:
            self._enter(job, at, agenda.remind)

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Enter jobs in the commit that made them necessary, so that they cannot be forgotten between the two."""
        for job in sorted(set(jobs)):
            agenda.ask(tx, job, owner_of(job), self._clock.now())

    def idle(self) -> bool:
        """Whether nothing runs here and nothing is due anywhere."""
        with self._lock:
            if self._services:
                return False
        with self._store.read() as tx:
            return not agenda.owners_due(tx, self._clock.now())

    def stop(self) -> bool:
        """Begin nothing more and wait for what is under way; False when some did not end in time."""
        self._stopping.set()
        with self._lock:
            services = list(self._services.values())
        for service in services:
            service.stop.set()
            service.changed.set()
        ended = self._dispatcher.stop()
        # What did not end in time may speak no more once its lease has lapsed.
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._alive is not None:
            try:
                self._holder.let_go(self._alive)
            except StoreError as error:
                _log.debug("leases.not_renewed", error=str(error))
        return ended

    # -- serving an owner ----------------------------------------------------------------------------------------------

    def _serve(self, owner: str) -> None:
        if self._stopping.is_set():
            return
        try:
            held = self._holder.take(owner)
        except StoreError as error:
            # Somebody is about to commit under it, or the database is lost: announced again by whoever looks at the agenda next.
            _log.debug("service.ended", owner=owner, error=str(error))
            return
        if held is None:
            # Whoever has it sees what is due there; when they let go, or are dead, the ticker announces it again.
            return
        service = _Service(owner, held, self._clock.monotonic())
        with self._lock:
            self._services[owner] = service
        try:
            if self._stopping.is_set():
                service.stop.set()
            with self._store.under(self._holder.guard(held)):
                self._on_taken(owner)
            self._work_off(service)
        except StoreError as error:
            # What is due stays due, and is announced again once the database answers.
            _log.warning("service.ended", owner=owner, error=str(error))
        finally:
            self._leave(service)

    def _leave(self, service: _Service) -> None:
        with self._lock:
            del self._services[service.owner]
        try:
            self._on_left(service.owner)
            self._holder.let_go(service.held)
            with self._store.read() as tx:
                due = service.owner in agenda.owners_due(tx, self._clock.now())
        except StoreError as error:
            _log.warning("service.ended", owner=service.owner, error=str(error))
            return
        if due and not self._stopping.is_set():
            self._dispatcher.announce(service.owner)

    def _work_off(self, service: _Service) -> None:
        """Run what is due, several jobs at once, until nothing is; ends early when told to."""
        try:
            while not (service.stop.is_set() or service.held.lost.is_set()):
                service.changed.clear()
                with self._store.read() as tx:
                    due = agenda.due(tx, service.owner, self._clock.now())
                with self._lock:
                    free = _ABREAST - len(service.running)
                    chosen = [one for one in due if one.job not in service.running][: max(0, free)]
                    service.running.update(one.job for one in chosen)
                    nothing = not service.running
                if nothing:
                    return
                for entry in chosen:
                    threading.Thread(
                        target=self._work, args=(service, entry), name=f"job {entry.job}", daemon=True
                    ).start()
                service.changed.wait(_LOOK)
        finally:
            service.stop.set()
            while service.running:
                service.changed.wait(_LOOK)
                service.changed.clear()

    def _work(self, service: _Service, entry: Entry) -> None:
        current = self._here.current = _Current(entry.job)
        try:
            with self._store.under(self._holder.guard(service.held)):
                self._handler(entry.job, service.stop)
        except Exception as error:  # noqa: BLE001  # one failed job must not take the service with it
            defects.tell(_log, "job.failed", error, job=entry.job)
        finally:
            try:
                # One that was told to stop may have more to do: it stays due.
                if not service.stop.is_set():
                    self._ended(service, entry, current.again_at)
            finally:
                with self._lock:
                    service.running.discard(entry.job)
                service.changed.set()

    def _ended(self, service: _Service, entry: Entry, again_at: datetime | None) -> None:
        try:
            with self._store.aside() as tx:
                leases.check(tx, service.held.lease)
                agenda.ended(tx, entry, again_at)
        except StoreError as error:
            # It stays due, and is done once more.
            _log.debug("agenda.kept", job=entry.job, error=str(error))
            service.stop.set()

    # -- the agenda ----------------------------------------------------------------------------------------------------

    def _enter(self, job: str, at: datetime, how: Callable[[Tx, str, str, datetime], None]) -> None:
        owner = owner_of(job)
        try:
            with self._store.aside() as tx:
                how(tx, job, owner, at)
        except StoreError as error:
            # Whatever made it necessary is in the store, and found by the job's next turn.
            _log.warning("agenda.not_entered", job=job, error=str(error))
            return
        with self._lock:
            service = self._services.get(owner)
        if service is not None:
            service.changed.set()
        elif at <= self._clock.now() and not self._stopping.is_set():
            self._dispatcher.announce(owner)

    def _tick_on(self) -> None:
        while not self._clock.wait(RENEWED_EVERY, self._stopping):
            try:
                self._on_tick()
                self._holder.renew()
                self._look_around()
            except StoreError as error:
                _log.debug("leases.not_renewed", error=str(error))
            except Exception as error:  # noqa: BLE001  # whatever it was, leases must be renewed
                defects.tell(_log, "leases.failed", error)
        # Those under which something still ends are kept alive until it has.
        while self._services and not self._over.is_set():
            try:
                self._holder.renew()
            except StoreError as error:
                _log.debug("leases.not_renewed", error=str(error))
            self._clock.wait(0.2)

    def _look_around(self) -> None:
        """Announce what is due and served by nobody, and make room where owners wait for a free worker."""
        with self._store.read() as tx:
            due = agenda.owners_due(tx, self._clock.now())
            served = {one.name for one in leases.living(tx)} if due else set()
        with self._lock:
            mine = dict(self._services)
        for owner in due:
            if owner in mine:
                mine[owner].changed.set()
            elif owner not in served:
                self._dispatcher.announce(owner)
        waiting = [owner for owner in due if owner not in served and owner not in mine]
        if waiting and len(mine) >= self._slots:
            longest = min(mine.values(), key=lambda one: one.since)
            if self._clock.monotonic() - longest.since > _TURN:
                longest.stop.set()
                longest.changed.set()
