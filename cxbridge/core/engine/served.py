"""One owner while a worker serves it: what is wanted here, what runs, what ended and is not entered yet; it asks no database.

What one job asks for begins at once where its owner is served by the same worker, and is entered in the agenda together with the
end of the job that asked: until then that one stands there itself, and whoever takes over after a crash does it again. Ends are
entered several at a time, so that a busy owner does not write to the agenda for each job.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cxbridge.core.engine.leasing import Held
from cxbridge.core.store.agenda import Entry

# How many jobs of one owner run at once in a worker: pulls of several streams beside a push.
ABREAST = 4
# So many seconds an owner is kept after its last job, where nobody waits: longer than planning pauses, and than most webhooks do.
LINGER = 10.0
# So many seconds after a job ended the agenda is told, together with those that ended since.
OWING = 0.2


@dataclass(slots=True, eq=False)
class Asked:
    """A job that another one asked for here; `entered` when the agenda need not be told of it any more."""

    job: str
    entered: bool = False


@dataclass(slots=True)
class Under:
    """A job under way: its entry, what it was wanted for, when it wants to come again, what it asks for now and for later."""

    entry: Entry
    wanted: list[Asked] = field(default_factory=list)
    again_at: datetime | None = None
    asks: list[Asked] = field(default_factory=list)
    later: dict[str, datetime] = field(default_factory=dict)

    @property
    def job(self) -> str:
        """Its name."""
        return self.entry.job


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that came to its end, which the agenda does not know yet, and what it was wanted for."""

    entry: Entry
    again_at: datetime | None
    wanted: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What the agenda must be told in one commit: which jobs ended, which were asked for, and which are to be done later."""

    ended: tuple[Ended, ...] = ()
    asks: tuple[Asked, ...] = ()
    later: dict[str, datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ended or self.asks or self.later)


@dataclass(slots=True, eq=False)
class Service:
    """One owner while it is served; whoever calls sees to it that one thread does at a time.

    Nothing begins before it is `ready`. `stop` tells its jobs to come to an end, `changed` wakes the thread that serves it. `look`
    says that the agenda may hold what is not known here. `idle_since` is when there was last something to do, by the monotonic
    clock, and None while there is.
    """

    owner: str
    held: Held
    since: float
    stop: threading.Event = field(default_factory=threading.Event)
    changed: threading.Event = field(default_factory=threading.Event)
    ready: bool = False
    look: bool = True
    # Whether anything ever began.
    worked: bool = False
    idle_since: float | None = None
    running: dict[str, Under] = field(default_factory=dict)
    # Since when something is outstanding, by the monotonic clock.
    owing_since: float | None = None
    _wanted: dict[str, list[Asked]] = field(default_factory=dict)
    _ended: dict[str, Ended] = field(default_factory=dict)
    _asks: list[Asked] = field(default_factory=list)
    _later: dict[str, datetime] = field(default_factory=dict)
    # As the agenda was when it was looked at last.
    _entries: dict[str, Entry] = field(default_factory=dict)

    def tell(self) -> None:
        """Have its thread look at the agenda now."""
        self.look = True
        self.changed.set()

    def give_up(self) -> None:
        """Have it end soon."""
        self.stop.set()
        self.changed.set()

    def want(self, job: str) -> Asked:
        """Have a job begin here; one that runs is done once more afterwards."""
        asked = Asked(job)
        self._wanted.setdefault(job, []).append(asked)
        return asked

    def looked(self, entries: Iterable[Entry]) -> None:
        """Take over how the agenda stands for this owner."""
        self._entries = {one.job: one for one in entries}

    def begin(self, now: datetime) -> list[Under]:
        """Begin what is due, the longest due first, `ABREAST` jobs at once at the most."""
        if not self.ready or self.stop.is_set() or self.held.lost.is_set():
            return []
        due = []
        for job in {**self._entries, **self._ended, **self._wanted}:
            if job not in self.running:
                entry, at = self._standing(job, now)
                if at is not None and at <= now:
                    due.append((at, job, entry))
        begun = []
        for _, job, entry in sorted(due, key=lambda one: one[:2])[: ABREAST - len(self.running)]:
            under = self.running[job] = Under(entry, self._wanted.pop(job, []))
            begun.append(under)
        if begun:
            self.worked, self.idle_since = True, None
        return begun

    def rest(self, at: float, now: datetime) -> float:
        """Say for how many seconds there is nothing to do unless somebody tells; 0 or less where the owner was kept long enough."""
        if not self.worked:
            # There was nothing: nobody knows that there will be.
            return 0.0
        waits = [LINGER if self.idle_since is None else self.idle_since + LINGER - at]
        if self.owing_since is not None:
            # Not so short that it is taken for the end.
            waits.append(max(0.001, self.owing_since + OWING - at))
        if len(self.running) < ABREAST:
            known = [job for job in {**self._entries, **self._ended} if job not in self.running]
            moments = [moment for job in known if (moment := self._standing(job, now)[1]) is not None]
            if moments:
                waits.append(max(0.001, (min(moments) - now).total_seconds()))
        return min(waits)

    def owes(self, at: float) -> bool:
        """Whether it is time to tell the agenda what ended."""
        return self.owing_since is not None and at >= self.owing_since + OWING

    def over(self, under: Under, *, done: bool, at: float) -> None:
        """Note that a job runs no more. One that was told to stop is not done, and stays what it was: due, or wanted."""
        del self.running[under.job]
        self._asks += under.asks
        for job, when in under.later.items():
            self._later[job] = min(when, self._later.get(job, when))
        if done:
            before = self._ended.get(under.job)
            wanted = (*(before.wanted if before else ()), *under.wanted)
            self._ended[under.job] = Ended(under.entry, under.again_at, wanted)
        elif under.wanted:
            self._wanted.setdefault(under.job, []).extend(under.wanted)
        if self.idle:
            self.idle_since = at
        if self.owing_since is None and (self._ended or self._asks or self._later):
            self.owing_since = at
            self.changed.set()
        if self.stop.is_set():
            self.changed.set()

    def outstanding(self) -> Outstanding:
        """Give what the agenda must be told; ends of what runs again, or is to, are left out until it comes to its last end."""
        ended = tuple(one for job, one in self._ended.items() if job not in self.running and job not in self._wanted)
        done = {id(asked) for one in ended for asked in one.wanted}
        asks = tuple(one for one in self._asks if not one.entered and id(one) not in done)
        return Outstanding(ended, asks, dict(self._later))

    def entered(self, told: Outstanding, at: float) -> None:
        """Note that the agenda was told."""
        for ended in told.ended:
            for asked in ended.wanted:
                asked.entered = True
            if self._ended.get(ended.entry.job) is ended:
                del self._ended[ended.entry.job]
        for asked in told.asks:
            asked.entered = True
        self._asks = [one for one in self._asks if not one.entered]
        self._later = {job: when for job, when in self._later.items() if told.later.get(job) != when}
        self.owing_since = at if self._ended or self._asks or self._later else None
        self.look = True

    def left(self) -> Outstanding:
        """Give what must be entered when the owner is left: what was wanted here and not done, and what its jobs asked for."""
        wanted = (one for some in self._wanted.values() for one in some if not one.entered)
        return Outstanding(asks=(*wanted, *self._asks), later=dict(self._later))

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing is wanted."""
        return not self.running and not self._wanted

    def _standing(self, job: str, now: datetime) -> tuple[Entry, datetime | None]:
        """Give a job's entry, and when it is due: what ended here and was not asked for since is due when it said."""
        entry, ended = self._entries.get(job), self._ended.get(job)
        at: datetime | None
        if ended is not None and (entry is None or entry.stamp == ended.entry.stamp):
            entry, at = ended.entry, ended.again_at
        elif entry is not None:
            at = entry.due_at
        else:
            entry, at = Entry(job=job, owner=self.owner, due_at=now, stamp=0), None
        return entry, (min(at or now, now) if job in self._wanted else at)
