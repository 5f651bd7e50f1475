"""One simulated day, from one seed: people, weather and the real daemon on one clock, then rest, then judgement."""

import hashlib
import heapq
import itertools
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import msgspec
import structlog

from cxbridge.console.endpoints import Endpoints
from cxbridge.console.endpoints import judge as judged_by_receiver
from cxbridge.core.connector import Inbound
from cxbridge.core.engine import daemon as engine_daemon
from cxbridge.core.engine import library as engine_library
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.engine.mend import Around, retry, waiting_for_a_person
from cxbridge.core.errors import VendorError
from cxbridge.core.recipes.load import load_text
from cxbridge.core.store import inbox, state
from cxbridge.sandbox.checker import Violation, judge
from cxbridge.sandbox.journal import Effect
from tests.reliability import stage as stage_module
from tests.reliability.hooks import Crash
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks, read_again
from tests.reliability.simulation import fate
from tests.reliability.simulation.company import STREAMS, company, editions, expected, recipes
from tests.reliability.simulation.people import Staff
from tests.reliability.simulation.timeline import Timeline
from tests.reliability.simulation.weather import DAY, HOUR, MINUTE, OUT_OF_SERVICE, Gust, drawn
from tests.reliability.stage import Ground, Stage

SECRETS = ("sandbox-token", "sandbox-signing-secret")
# For so long after something happened at a vendor, its streams are pulled at every alarm: by then whatever is shown late is shown.
LIVELY = 3700.0
# An alarm for planning is left out while nothing happened, but not for longer than this.
DOZES = 3600.0
# More jobs within a minute than any work needs.
BUSY = 500


@dataclass
class Played:
    """What a day came to."""

    seed: int
    digest: str = ""
    hours: float = 0.0
    cases: int = 0
    effects: int = 0
    requests: int = 0
    restarts: int = 0
    crashed: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Day:
    """A day under way. Everything that will happen is in one heap, by its time."""

    def __init__(self, stage: Stage, seed: int, strength: float) -> None:
        self.stage = stage
        self.seed = seed
        self.lot = Random(f"day/{seed}")
        self.begun = stage.world.clock.true_time()
        self.played = Played(seed)
        self.staff = Staff(self)
        self.daemon: Daemon | None = None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lively = dict.fromkeys(stage.setting.vendors, self.begun)
        self._seen = 0
        self._planned = 0.0
        self._stirred = True
        self._deaf = 0
        # In which kind of job the next crash is to be, and after how many places.
        self._armed: tuple[str, Sequence[int]] = ("", ())
        # Entries of the journal that no pull made.
        self._checks: set[int] = set()
        # The last entry of the journal at each crash.
        self._cut: set[int] = set()
        # The jobs of this minute, so that a daemon that never comes to rest is found out.
        self._busy: Counter[str] = Counter()
        self._minute = 0
        self._endpoints: Endpoints | None = None
        for gust in drawn(Random(f"weather/{seed}"), stage.setting.vendors, strength):
            self.at(gust.at, partial(self._blow, gust))
        self.staff.plan()
        for hour in range(1, 24, 3):
            self.at(hour * HOUR + 7 * MINUTE, self.look_in)

    # -- time ------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds since the day began."""
        return self.stage.world.clock.true_time() - self.begun

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Have something happen at a time of the day."""
        heapq.heappush(self._events, (when, next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something happen so much later."""
        self.at(self.time() + seconds, do)

    def stir(self) -> None:
        """Have the next alarm for planning heeded: somebody did something that no job of the daemon's tells of."""
        self._stirred = True

    # -- the loop --------------------------------------------------------------------------------------------------

    def until(self, end: float) -> None:
        """Go on to that time of the day."""
        while True:
            self._collect()
            now = self.time()
            if self._events and self._events[0][0] <= now:
                _, _, do = heapq.heappop(self._events)
                self._live(do)
                continue
            if self.daemon is not None:
                self._ring()
                if self._jobs.waiting:
                    self._live(self._work)
                    continue
            if now >= end:
                return
            moments = [end, *(one[0] for one in self._events[:1])]
            alarm = self._jobs.next_alarm() if self.daemon is not None else None
            if alarm is not None:
                moments.append(now + (alarm - self.stage.clock.now()).total_seconds())
            if int(now / MINUTE) != self._minute:
                self._minute = int(now / MINUTE)
                self._busy.clear()
            self.stage.network.advance(max(0.001, min(moments) - now))

    @property
    def _jobs(self) -> Timeline:
        assert self.daemon is not None
        jobs = self.daemon._jobs
        assert isinstance(jobs, Timeline)
        return jobs

    def _live(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Crash:
            self.begin_again()

    def _work(self) -> None:
        job = self._jobs.draw(self.lot)
        kind, places = self._armed
        armed = bool(places) and job.startswith(kind)
        if armed:
            self._crash_soon(places)
        try:
            self._jobs.work(job)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a defect that the daemon would only log
            self._found("defect", f"a job broke: {type(error).__name__}: {error}")
            return
        if armed:
            # It came through: the next job of its kind is to end in the middle.
            self.stage.hooks.crash_at = frozenset()
        self.played.jobs[job.partition(":")[0]] += 1
        self._busy[job] += 1
        if self._busy.total() >= BUSY:
            raise AssertionError(f"the daemon is busy without end at {self.time():.2f} s: {self._busy.most_common(3)}")

    def _ring(self) -> None:
        for job in self._jobs.ring():
            if self._is_idle(job):
                self.played.jobs["left out"] += 1
            else:
                self._jobs.nudge(job)
                if job == "plan":
                    self._planned, self._stirred = self.time(), False

    def _is_idle(self, job: str) -> bool:
        """Leave out what would find nothing, and set its alarm anew: quiet hours cost nothing."""
        assert self.daemon is not None
        now = self.time()
        clock = self.stage.clock.now()
        kind, _, rest = job.partition(":")
        if kind == "inbox" and self.lot.random() < 0.9:
            # Whatever comes in nudges; by its alarm this job only forgets what is too old.
            self._jobs.later(job, clock + timedelta(hours=1))
            return True
        if kind == "pull":
            if now - self._lively[rest.partition("/")[0]] < LIVELY or self.lot.random() < 0.01:
                return False
            poll = self.stage.configuration.settings.daemon.poll
            self._jobs.later(job, clock + poll)
            return True
        if kind != "plan" or self._stirred or now - self._planned > DOZES:
            return False
        due = self.daemon.bridge.sweeper.next_at(self.daemon.bridge.library.recipes)
        wait = DOZES - (now - self._planned) + 1
        if self._events:
            wait = min(wait, max(0.0, self._events[0][0] - now) + 5)
        later = clock + timedelta(seconds=wait)
        if due is not None and due <= clock:
            return False
        self._jobs.later(job, later if due is None else min(due, later))
        return True

    def _collect(self) -> None:
        """Note which vendors something happened at, and hand what they send to the post."""
        journal = self.stage.world.journal
        if len(journal) != self._seen:
            for one in journal.entries(self._seen):
                if isinstance(one, Effect):
                    self._lively[one.vendor] = one.t - self.begun
            self._seen = len(journal)
        while self.stage.people.post.waiting:
            letter = self.stage.people.post.waiting.pop(0)
            self._post(letter)

    # -- the daemon ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the daemon."""
        with mock.patch.object(engine_daemon, "Embedded", Timeline):
            daemon = Daemon(self.stage.bridge)
            bridge: Any = daemon.bridge
            bridge.streams = lambda connection=None: [one for one in STREAMS if connection in (None, one[0])]
            daemon.start()
        self.daemon = daemon
        self._endpoints = None

    def begin_again(self) -> None:
        """Crash, and start over the same file until that succeeds."""
        self._armed = "", ()
        self._cut.add(len(self.stage.world.journal))
        while True:
            self.daemon = None
            self.stage.crash()
            self.stage.restarts += 1
            try:
                self.stage.bridge = self.stage.open()
                self.begin()
            except Crash:
                self._cut.add(len(self.stage.world.journal))
                continue
            return

    def end(self) -> None:
        """End the daemon in order."""
        if self.daemon is not None:
            self.daemon.end()
            self.daemon = None
            self.stage.bridge.close()

    # -- the post --------------------------------------------------------------------------------------------------

    def _post(self, letter: tuple[str, str, dict[str, str], bytes]) -> None:
        chance = self.lot.random()
        if chance < 0.1:
            self.played.struck["webhook lost"] += 1
            return
        wait = self.lot.uniform(0.1, 3)
        if chance < 0.25:
            self.played.struck["webhook late"] += 1
            wait = self.lot.choice((self.lot.uniform(10, 240), self.lot.uniform(600, 4 * HOUR)))
        self.after(wait, lambda: self._arrives(letter, 0))
        if chance > 0.9:
            self.played.struck["webhook twice"] += 1
            for _ in range(self.lot.randint(1, 4)):
                self.after(self.lot.uniform(0.1, 600), lambda: self._arrives(letter, 0))

    def _arrives(self, letter: tuple[str, str, dict[str, str], bytes], tries: int) -> None:
        vendor, url, headers, body = letter
        status = self._received(vendor, headers, body)
        self.stage.people.post.told(vendor, url, len(body), status)
        if 200 <= status < 300:
            self.staff.heard(vendor, body)
        elif tries < 3:
            self.after((1, 60, 300)[tries], lambda: self._arrives(letter, tries + 1))

    def _received(self, vendor: str, headers: dict[str, str], body: bytes) -> int:
        if self.daemon is None or self._deaf:
            self.played.struck["webhook unheard"] += 1
            return 0
        bridge = self.stage.bridge
        if self._endpoints is None:
            with bridge.store.read() as tx:
                self._endpoints = Endpoints(bridge.connections, state.instance_key(tx))
        verdict = judged_by_receiver(
            self._endpoints.all[vendor], Inbound("POST", headers, body, {}, bridge.clock.now())
        )
        if verdict.arrival is not None:
            with bridge.store.write() as tx:
                inbox.add(tx, [verdict.arrival])
            self.daemon.nudge(f"inbox:{vendor}")
        return verdict.status

    # -- the weather -----------------------------------------------------------------------------------------------

    def _blow(self, gust: Gust) -> None:
        self._touch(gust.vendor)
        match gust.what:
            case "skew":
                self.played.struck["our clock wrong" if not gust.vendor else "vendor's clock wrong"] += 1
                self._skew(gust.vendor, gust.how["by"])
                self.after(gust.seconds, lambda: self._skew(gust.vendor, 0.0))
            case "crash" if gust.how["in"]:
                self._armed = gust.how["in"], gust.how["places"]
            case "crash":
                self._crash_soon(gust.how["places"])
            case "down":
                self.played.struck["ended in order" if gust.seconds else "killed"] += 1
                if gust.seconds == 0:
                    raise Crash(0, "killed")
                self.end()
                self.after(gust.seconds, self._up)
            case "paused" | "deleted":
                self.played.struck[f"recipe {gust.what}"] += 1
                self._out_of_service(gust.how["recipe"], gust.what)
                self.after(gust.seconds, lambda: self._in_service(gust.how["recipe"]))
            case "edited":
                self.played.struck["recipe edited"] += 1
                file = self._file("escalate")
                file.write_text(recipes()[file.name].replace("edition-1", "edition-2"), encoding="utf-8")
                self.stir()
            case "deaf":
                self._deaf += 1
                self.after(gust.seconds, self._hears)
            case _:
                self._fault(gust)

    def _crash_soon(self, places: Sequence[int]) -> None:
        self.stage.hooks.crash_at = frozenset(accumulate(places, initial=self.stage.hooks.passed))

    def _file(self, recipe: str) -> Path:
        return self.stage.folder / "recipes" / f"{recipe}.toml"

    def _out_of_service(self, recipe: str, how: str) -> None:
        file = self._file(recipe)
        if how == "deleted":
            file.unlink()
        else:
            file.write_text(recipes()[file.name].replace('"live"', '"paused"'), encoding="utf-8")
        self.stir()

    def _in_service(self, recipe: str) -> None:
        file = self._file(recipe)
        file.write_text(recipes()[file.name], encoding="utf-8")
        self.stir()

    def _fault(self, gust: Gust) -> None:
        how = dict(gust.how)
        lasting = how.pop("lasting", False)
        method = how.pop("method", None)
        waiting = self.stage.world.faults.rules()
        if gust.what == "latency" and any((one.name, one.vendor) == ("latency", gust.vendor) for one in waiting):
            # Two that strike one request would have the vendor act later than twice `settle` after we gave it up, which is more
            # than is promised.
            return
        rule = self.stage.world.faults.add(gust.what, gust.vendor, method=method, times=None if lasting else 1, **how)
        self._rules = getattr(self, "_rules", [])
        self._rules.append(rule)
        self.after(gust.seconds if lasting else 2 * HOUR, lambda: self._over(rule.id, gust))

    def _over(self, rule: int, gust: Gust) -> None:
        self.stage.world.faults.remove(rule)
        self._touch(gust.vendor)
        if gust.what in ("revoke_token", "scope_removed"):
            self.after(self.lot.uniform(0, 20) * MINUTE, self.mend)

    def _skew(self, vendor: str, by: float) -> None:
        if vendor:
            self.stage.world.clock.skew(vendor, by)
        else:
            self.stage.clock.wrong = by
        for one in self._lively:
            self._touch(one)

    def _touch(self, vendor: str) -> None:
        if vendor in self._lively:
            self._lively[vendor] = self.time()

    def _up(self) -> None:
        if self.daemon is None:
            self.stage.bridge = self.stage.open()
            self.begin()

    def _hears(self) -> None:
        self._deaf -= 1

    # -- the operator ----------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """The operator checks the connections whose credential was refused."""
        if self.daemon is None:
            return
        bridge = self.stage.bridge
        with bridge.store.read() as tx:
            paused = [name for name in state.pauses(tx) if name in bridge.connections]
        journal = self.stage.world.journal
        before = len(journal)
        for name in paused:
            try:
                bridge.check(name)
            except VendorError:
                self.after(15 * MINUTE, self.mend)
        self._checks |= set(range(before + 1, len(journal) + 1))

    def look_in(self) -> None:
        """The operator looks at what waits for a person, and has it tried again."""
        if self.daemon is None:
            return
        self.mend()
        bridge = self.stage.bridge
        with bridge.store.read() as tx:
            waiting = waiting_for_a_person(tx)
        around = Around(bridge.connections, bridge.library.of_run)
        self.stir()
        for one in waiting:
            self.played.struck[f"{one.state}: {one.error_code}"] += 1
            retry(bridge.store, [one.id], bridge.clock.now(), around=around)

    # -- the end ---------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Let all faults cease and everybody go home, then play until nothing is left to be done."""
        world, stage = self.stage.world, self.stage
        for rule in getattr(self, "_rules", []):
            self.played.struck[rule.name] += rule.struck
        world.faults.clear()
        for vendor in stage.setting.vendors:
            world.clock.skew(vendor, 0.0)
            self._touch(vendor)
        stage.clock.wrong = 0.0
        stage.hooks.crash_at, self._armed = frozenset(), ("", ())
        self._deaf = 0
        for name in OUT_OF_SERVICE:
            self._in_service(name)
        self._events = []
        self._live(self._up)
        self.staff.goes_home()
        for minutes in (2, 20, 60, 120, 180, 240, 300):
            self.at(DAY + minutes * MINUTE, self.look_in)
        self.until(DAY + 6 * HOUR)
        self.quiet_since = len(world.journal)
        for vendor in stage.setting.vendors:
            self._touch(vendor)
        self.until(DAY + 7 * HOUR)

    def _found(self, invariant: str, what: str, *evidence: str) -> None:
        self.played.violations.append(Violation(invariant=invariant, what=what, evidence=list(evidence)))

    def judged(self) -> Played:
        """Say what the day came to."""
        stage, played = self.stage, self.played
        cases = self.staff.cases
        wanted = expected(stage.world, cases, quiet_since=self.quiet_since, edges=6)
        stage.hooks.on = False
        played.digest = digest(stage)
        played.hours = self.time() / HOUR
        played.cases, played.restarts = len(cases), stage.restarts
        played.effects, played.requests = len(stage.writes()), stage.network.requests
        played.crashed = list(stage.hooks.crashed)
        # Whoever ended before it could read an answer does not know that it was asked to wait.
        unheard = tuple(f"#{seq} " for seq in sorted(self._cut))
        played.violations += [
            one
            for one in judge(stage.world, wanted)
            if not (one.invariant == "I11" and unheard and one.evidence[0].startswith(unheard))
        ]
        played.violations += editions(stage.world, cases)
        played.violations += judge_store(stage.bridge.store, journal=stage.world.journal, at_rest=True)
        played.violations += leaks(stage.folder, SECRETS)
        played.violations += read_again(stage.world.journal, stage.restarts, besides=self._checks)
        # Last, since it asks the vendors itself.
        played.violations += checkpoint_ahead(stage.bridge, STREAMS)
        return played


def digest(stage: Stage) -> str:
    """Give a digest of everything that the vendors saw: each request and each effect, with its time."""
    entries = stage.world.journal.entries()
    return hashlib.sha256(msgspec.json.encode(entries, order="deterministic")).hexdigest()


@contextmanager
def silent() -> Iterator[None]:
    """Leave out the log: a day of faults tells of little else."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Compile each set of recipes once for all days: they are immutable, and hold nothing of a store or a connection."""
    known: dict[Any, Any] = _compiled

    def load(name: str, path: str, source: str, *rest: Any) -> Any:
        key = (name, path, source)
        if key not in known:
            known[key] = load_text(name, path, source, *rest)
        return known[key]

    with (
        mock.patch.object(engine_library, "load_folder", stage_module._load_once),
        mock.patch.object(engine_library, "load_text", load),
    ):
        yield


_compiled: dict[Any, Any] = {}


def own_recipes(stage: Stage) -> None:
    """Give a stage recipe files of its own, which may be edited."""
    own = stage.folder / "recipes"
    source = own.resolve()
    own.unlink()
    shutil.copytree(source, own)


def play(ground: Ground, seed: int, *, strength: float = 1.0) -> Played:
    """Play the day of a seed."""
    with silent(), compiled_once():
        setting = company()
        # Prepared under a fate of its own, so that it does not matter which seed comes first.
        with fate.decided("company"):
            ground.stage(setting).close()
        with fate.decided(seed), ground.stage(setting) as stage:
            own_recipes(stage)
            day = Day(stage, seed, strength)
            day.begin()
            stage.hooks.on = True
            day.until(DAY)
            day.rest()
            return day.judged()
