"""The jobs of several workers on one PostgreSQL store: who serves which owner, and when; knows nothing of what a job does.

Each job belongs to an owner: `connection:NAME` for all that speaks to a connection, `planning` for the rest. A worker serves an
owner under its lease, job by job, and keeps it for a while after the last one, since the next one is seldom far; it gives it up
at once where another owner waits for a worker. What is due stands in the agenda until it was done, so that a worker
may die at any moment: another one takes the owner over and does it.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from cxbridge.core import defects
from cxbridge.core.clock import Clock
from cxbridge.core.engine.crew import Crew
from cxbridge.core.engine.jobs import Handler, owner_of
from cxbridge.core.engine.leasing import RENEWED_EVERY, Held, Holder
from cxbridge.core.engine.served import Outstanding, Service, Under
from cxbridge.core.errors import StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, Tx, agenda, leases
from cxbridge.core.store.dispatcher import Dispatcher

_log = structlog.get_logger("cxbridge.jobs")

# After so many seconds an owner makes room, where others wait for a worker and none is free.
_TURN = 10.0
# How often, in seconds, the agenda of an owner whose jobs run is looked at for what other workers entered and nobody told.
_LOOK = 0.5


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
        self._dispatcher = Dispatcher(store, slots=slots, drain=drain, serve=self._serve, on_told=self._told)
        self._services: dict[str, Service] = {}
        self._crew: Crew[tuple[Service, Under]] = Crew("job", self._work)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # Set where the agenda is to be looked at before its time, as when this worker ends.
        self._roused = threading.Event()
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
        """Have a job done soon, here or elsewhere; asking twice before it begins is asking once.

        Asked for by a job, of an owner that is served here, it begins at once, and the agenda is told with that job's end.
        """
        under: Under | None = getattr(self._here, "under", None)
        if under is not None and under.job != job:
            with self._lock:
                service = self._services.get(owner_of(job))
                if service is not None:
                    under.asks.append(service.want(job))
                    self._begin(service)
                    return
        self._enter(job, self._clock.now(), agenda.ask)

    def later(self, job: str, at: datetime) -> None:
        """Have a job done then. Said by the job itself, it is when it comes again; by another job, it is entered with its end."""
        under: Under | None = getattr(self._here, "under", None)
        if under is None:
            self._enter(job, at, agenda.remind)
        elif under.job == job:
            under.again_at = at
        else:
            under.later[job] = min(at, under.later.get(job, at))

    def remember(self, tx: Tx, jobs: Iterable[str]) -> None:
        """Enter jobs in the commit that made them necessary, so that they cannot be forgotten between the two."""
        for job in sorted(set(jobs)):
            agenda.ask(tx, job, owner_of(job), self._clock.now())

    def remembered(self, job: str) -> None:
        """Have a job done soon that `remember` entered in a commit that is done."""
        owner = owner_of(job)
        with self._lock:
            service = self._services.get(owner)
            if service is not None:
                # Begun without a look at its entry it may be done once more for it, which costs less than to look each time.
                service.want(job).entered = True
                self._begin(service)
                return
        self._announce(owner)

    def idle(self) -> bool:
        """Whether nothing runs here and nothing is due anywhere."""
        with self._lock:
            if not all(one.idle for one in self._services.values()):
                return False
        with self._store.read() as tx:
            return not agenda.owners_due(tx, self._clock.now())

    def stop(self) -> bool:
        """Begin nothing more and wait for what is under way; False when some did not end in time."""
        self._stopping.set()
        self._roused.set()
        with self._lock:
            for service in self._services.values():
                service.give_up()
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
        service = Service(owner, held, self._clock.monotonic())
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

    def _leave(self, service: Service) -> None:
        with self._lock:
            del self._services[service.owner]
            left = service.left()
        try:
            if left:
                # Under no lease: to ask for something is anybody's right.
                with self._store.aside() as tx:
                    self._enter_all(tx, left)
            self._on_left(service.owner)
            self._holder.let_go(service.held)
            with self._store.read() as tx:
                due = service.owner in agenda.owners_due(tx, self._clock.now())
        except StoreError as error:
            _log.warning("service.ended", owner=service.owner, error=str(error))
            return
        if due and not self._stopping.is_set():
            self._dispatcher.announce(service.owner)

    def _work_off(self, service: Service) -> None:
        """Run what is due, several jobs at once, and wait a while for more; ends early when told to."""
        service.ready = True
        try:
            while not (service.stop.is_set() or service.held.lost.is_set()):
                service.changed.clear()
                if service.owes(self._clock.monotonic()):
                    self._enter_ended(service)
                self._look(service)
                with self._lock:
                    self._begin(service)
                    wait = service.rest(self._clock.monotonic(), self._clock.now())
                    if service.running:
                        wait = min(wait, _LOOK)
                if wait <= 0.0:
                    return
                if not service.changed.wait(wait) and service.running:
                    service.look = True
        finally:
            service.stop.set()
            while service.running:
                service.changed.wait(_LOOK)
                service.changed.clear()
            if not service.held.lost.is_set():
                self._enter_ended(service)

    def _begin(self, service: Service) -> None:
        """Have begin what is due by what is known here; whoever calls has the lock."""
        for under in service.begin(self._clock.now()):
            self._crew.put((service, under))

    def _look(self, service: Service) -> None:
        """Read the agenda, where it may hold what is not known here."""
        if service.look:
            service.look = False
            with self._store.read() as tx:
                entries = agenda.of_owner(tx, service.owner)
            with self._lock:
                service.looked(entries)

    def _work(self, begun: tuple[Service, Under]) -> None:
        """Do a job, and then what is due next under its owner."""
        service, under = begun
        while True:
            threading.current_thread().name = f"job {under.job}"
            self._here.under = under
            try:
                with self._store.under(self._holder.guard(service.held)):
                    self._handler(under.job, service.stop)
            except BaseException as error:  # noqa: BLE001  # one failed job, even one that would end a program, takes nothing with it
                defects.tell(_log, "job.failed", error, job=under.job)
            with self._lock:
                # One that was told to stop may have more to do: it stays due.
                service.over(under, done=not service.stop.is_set(), at=self._clock.monotonic())
                following = service.begin(self._clock.now())
                for other in following[1:]:
                    self._crew.put((service, other))
            if not following:
                self._here.under = None
                return
            under = following[0]

    def _enter_ended(self, service: Service) -> None:
        """Tell the agenda which jobs ended here, and what they asked for."""
        with self._lock:
            told = service.outstanding()
            if not told:
                service.owing_since = None
                return
        try:
            with self._store.aside() as tx:
                leases.check(tx, service.held.lease)
                self._enter_all(tx, told)
        except StoreError as error:
            # They stay due, and are done once more.
            _log.debug("agenda.kept", owner=service.owner, error=str(error))
            service.stop.set()
            return
        with self._lock:
            service.entered(told, self._clock.monotonic())

    def _enter_all(self, tx: Tx, told: Outstanding) -> None:
        ended = {one.entry.job: one for one in told.ended}
        asked = told.later | {one.job: self._clock.now() for one in told.asks}
        # In one order, so that two who enter at once do not wait for each other.
        for job in sorted(ended.keys() | asked.keys()):
            if job in ended:
                agenda.ended(tx, ended[job].entry, ended[job].again_at)
            if job in asked:
                # What runs since it was asked for need not run again.
                agenda.remind(tx, job, owner_of(job), asked[job])

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
        if at <= self._clock.now():
            self._announce(owner)
        else:
            self._tell(owner)

    def _announce(self, owner: str) -> None:
        """Have an owner served under which something is due."""
        if not self._tell(owner) and not self._stopping.is_set():
            self._dispatcher.announce(owner)

    def _tell(self, owner: str) -> bool:
        """Have an owner's agenda looked at; False where it is not served here."""
        with self._lock:
            service = self._services.get(owner)
            if service is not None:
                service.tell()
            return service is not None

    def _told(self, owner: str) -> None:
        """Heed what some worker said: something is due under an owner."""
        if not self._tell(owner):
            with self._lock:
                # It may wait for a worker: seen to by whoever may ask the database.
                if len(self._services) >= self._slots and any(
                    one.idle_since is not None for one in self._services.values()
                ):
                    self._roused.set()

    def _tick_on(self) -> None:
        while not self._stopping.is_set():
            self._clock.wait(RENEWED_EVERY, self._roused)
            if self._stopping.is_set():
                break
            self._roused.clear()
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
            for service in self._services.values():
                if service.held.lost.is_set():
                    service.give_up()
        waiting = []
        for owner in due:
            if not self._tell(owner) and owner not in served:
                self._dispatcher.announce(owner)
                waiting.append(owner)
        if waiting:
            self._make_room(len(waiting))

    def _make_room(self, wanted: int) -> None:
        """Give up owners for so many others that wait: those that are kept without need, or else the one that had its turn."""
        with self._lock:
            mine = list(self._services.values())
            if len(mine) < self._slots:
                return
            idle = sorted((one for one in mine if one.idle_since is not None), key=lambda one: one.idle_since or 0.0)
            for service in idle[:wanted]:
                service.give_up()
            longest = min(mine, key=lambda one: one.since)
            if not idle and self._clock.monotonic() - longest.since > _TURN:
                longest.give_up()
