"""A world with real processes in it: simulated vendors over HTTP, a real store, and daemons that are killed one after another.

It stands in the place of a `Stage` for whoever acts in a story; what a phase comes to is played by daemons that do not live long.
"""

import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

import httpx
import msgspec

from cxbridge.core.clock import SystemClock
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import Store, Tx
from cxbridge.sandbox import seed
from cxbridge.sandbox.checker import Expected, Violation, judge
from cxbridge.sandbox.server import Sandbox
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks, read_again
from tests.reliability.killing.crowd import Crowd
from tests.reliability.killing.nursery import Child, Nursery
from tests.reliability.people import People
from tests.reliability.stage import MINUTE, Ground, Setting, compiled_once
from tests.reliability.sweep import SECRETS
from tests.reliability.wire import address

Telling = Generator[None, None, Expected]
# So many places a start passes at least, whatever there is to do.
_ALWAYS = 14
# So many are killed at most before one may come to rest.
_IN_A_PHASE = 8
# In so many cycles people act beside a daemon; one that is done with each of them before its end comes would never rest.
_BUSY = 40


@dataclass(frozen=True)
class Fate:
    """What becomes of a daemon: killed at a place, the so-manieth whose name begins so, or from outside after so many seconds, or
    neither."""

    place: int = 0
    named: str = ""
    seconds: float | None = None


# How daemons die: how often in all, at which places, and at which of them at most. The first is in its recovery.
_FATES = (
    (0.15, "", 8),
    (0.15, "", 70),
    (0.25, "push.", 12),
    (0.07, "plan.", 3),
    (0.08, "request.", 20),
    (0.12, "commit.", 30),
)


class Scene:
    """One world and its daemons. Close it, or use it in a `with` block."""

    def __init__(
        self,
        nursery: Nursery,
        ground: Ground,
        setting: Setting,
        folder: Path,
        *,
        draw: int,
        store_url: str | None = None,
        listens: bool = False,
        wrong: str = "",
    ) -> None:
        self.setting = setting
        self.random = Random(draw)
        self.folder = folder
        self.killed: Counter[str] = Counter()
        self.idle_kills = 0
        self.restarts = 0
        self.found: list[Violation] = []
        self._nursery = nursery
        self._wrong = wrong
        self._listens = listens
        self._held = ExitStack()
        self.world = setting.empty_world()
        self.sandbox = Sandbox(self.world, vendors=setting.vendors)
        setting.fill(self.world)
        prepared = ground.prepared(setting)
        self.world.clock.advance(prepared.time - self.world.clock.time())
        self.people = People(self)  # type: ignore[arg-type]  # what people need of a stage is here too
        self.network = self
        self._held.enter_context(self.sandbox)
        self._held.callback(shutil.rmtree, folder)
        self._control = self._held.enter_context(httpx.Client(base_url=self.sandbox.control_url, timeout=30))
        self._write(store_url)
        if store_url is None:
            for file in ("cxbridge.db", prepared.configuration.settings.store.key_file):
                shutil.copyfile(prepared.folder / file, folder / file)
                (folder / file).chmod(0o600)
        self.configuration = load(folder / "cxbridge.toml", environ={})
        self._bridge: Bridge | None = None
        # What people do while a daemon lives: once when it begins, and whenever it has nothing left to do.
        self.meanwhile: Callable[[], None] = _nothing
        self.world.clock.thaw()
        if store_url is not None:
            self.lives(Fate())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._alone()
        self._held.close()

    def _write(self, store_url: str | None) -> None:
        self.setting.write(self.folder)
        config = self.folder / "cxbridge.toml"
        text = config.read_text(encoding="utf-8")
        for name in self.setting.vendors:
            text = text.replace(f'"{address(name)}', f'"{self.sandbox.url(name)}')
        more = '[daemon]\npoll = "1h"\n'
        if store_url is not None:
            more += f'[store]\nurl = "{store_url}"\n'
        if self._listens:
            more += '[webhooks]\nlisten = "127.0.0.1:0"\n'
        config.write_text(more + text, encoding="utf-8")

    # -- what a stage has ------------------------------------------------------------------------------------------

    def act(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the control API: play a person, or look at what a vendor holds."""
        reply = self._control.request(method, path, json=body)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def load(self, *rows: Mapping[str, Any]) -> None:
        """Add rows of a company file."""
        seed.load_text(self.world, "\n".join(msgspec.json.encode(row).decode() for row in rows), self.setting.name)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.world.clock.advance(seconds)

    def effects(self, kind: str) -> list[Any]:
        """What integrations did, by the simulators' journal."""
        return [one for one in self.world.journal.effects(via="api") if one.kind == kind]

    def writes(self) -> list[Any]:
        """All that integrations did."""
        return self.world.journal.writes()

    @property
    def bridge(self) -> Bridge:
        """A bridge over the store, for people who look or decide while no daemon lives."""
        if self._bridge is None:
            with compiled_once():
                self._bridge = Bridge(self.configuration, clock=_WorldClock(self))
        return self._bridge

    @contextmanager
    def looking(self) -> Iterator[Tx]:
        """Look into the store, whoever is at work on it."""
        with compiled_once():
            store = Store.open(self.configuration.store_url, clock=_WorldClock(self), writing=False)
        try:
            with store.read() as tx:
                yield tx
        finally:
            store.close()

    def _alone(self) -> None:
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None

    # -- daemons ---------------------------------------------------------------------------------------------------

    @property
    def kills(self) -> int:
        """How many daemons were killed while they had something to do."""
        return sum(self.killed.values())

    @property
    def offset(self) -> float:
        """How far the vendors' clock is ahead of the machine's."""
        clock = self.world.clock
        return clock.now().timestamp() - SystemClock().now().timestamp()

    def begin(self, place: int = 0, number: int = signal.SIGKILL, **more: Any) -> Child:
        """Start a daemon that gets a signal at a place."""
        self._alone()
        orders = {
            "folder": str(self.folder),
            "offset": self.offset,
            "place": place,
            "number": int(number),
            "listens": self._listens,
            "wrong": self._wrong,
            "arguments": [],
            "streams": [list(one) for one in self.setting.streams],
        }
        child = self._nursery.begin({**orders, **more}, self.folder / "log")
        self._held.callback(_end, child)
        return child

    def lives(self, fate: Fate) -> bool:
        """Let a daemon live until its fate overtakes it; True when it came to rest before."""
        child = self.begin(fate.place, named=fate.named)
        end = self.accompany(child, fate)
        if not end and fate == Fate():
            self._ends(child)
            return True
        if not fate.place or not end:
            child.signalled()
        ended = child.ended()
        assert ended == -signal.SIGKILL, (
            f"{ended} instead of being killed at {end or 'rest'} by {fate}: {self.log(child)}"
        )
        self.restarts += 1
        if not end:
            self.idle_kills += 1
            return True
        self.killed[end.partition(" ")[0]] += 1
        return False

    def goes_on(self, child: Child) -> bool:
        """Go with a daemon until it rests, and let it end in order; False when it was killed."""
        if self.accompany(child, Fate()):
            return False
        self._ends(child)
        return True

    def wakes(self, child: Child) -> None:
        """Let a daemon that stood still go on.

        It counts as one more start: a request that it had just made sure it may send is sent now, whoever has read on meanwhile.
        """
        child.signalled(signal.SIGCONT)
        self.restarts += 1

    def _ends(self, child: Child) -> None:
        child.is_told({"end": True})
        assert child.ended() == 0, self.log(child)

    def accompany(self, child: Child, fate: Fate) -> str:
        """Go with a daemon until it is killed or rests; gives where it was killed."""
        cycles = 0
        self.meanwhile()
        while True:
            told = child.hears() if fate.seconds is None else child.hears(fate.seconds)
            if told is None and fate.seconds is not None:
                return "from outside"
            if told is None:
                raise AssertionError(f"a daemon ended, or fell silent: {self.log(child)}")
            if "place" in told:
                return str(told["place"])
            if "listens" in told:
                self._post(told["listens"], told["paths"])
                self._address = told["listens"], told["paths"]
            else:
                done = not told["idle"] and not told["open"] and not self.people.post.waiting
                if done and cycles:
                    return ""
                if cycles < _BUSY:
                    self.meanwhile()
                cycles += 1
                assert cycles < 80, f"still undecided: {told}; {self.log(child)}"
                if self._listens:
                    self._post(*self._address)
                self.advance(MINUTE)
            child.is_told({"offset": self.offset})

    def _post(self, at: str, paths: Mapping[str, str]) -> None:
        """Bring what vendors sent; what is not acknowledged stays in the post, as a vendor sends it again."""
        post = self.people.post
        while post.waiting:
            vendor, url, headers, body = post.waiting[0]
            headers = {name: value for name, value in headers.items() if name not in ("host", "content-length")}
            try:
                reply = httpx.post(f"http://{at}{paths[vendor]}", headers=headers, content=body, timeout=30)
            except httpx.TransportError:
                return
            if reply.status_code >= 500:
                return
            post.told(vendor, url, len(body), reply.status_code)
            post.waiting.pop(0)

    def log(self, child: Child) -> str:
        """What a daemon told last."""
        return child.log.read_text(encoding="utf-8")[-20000:] if child.log.exists() else "it said nothing"

    # -- playing ---------------------------------------------------------------------------------------------------

    def draw(self) -> Fate:
        """Draw how a daemon dies."""
        lot = self.random.random()
        for share, named, most in _FATES:
            lot -= share
            if lot < 0:
                return Fate(self.random.randint(1, most), named)
        return Fate(seconds=self.random.uniform(0.02, 0.4))

    def rest(self, fates: Iterable[Fate]) -> None:
        """Let one daemon after another have its fate until one comes to rest; the one after the last is let live."""
        self.advance(MINUTE)
        for fate in fates:
            if self.lives(fate):
                self._looked_at()
                return
        assert self.lives(Fate())

    def play(self, story: Callable[[Any], Telling], kills: int, first: Fate | None = None) -> list[Violation]:
        """Play a story with at least so many kills, or with `first` as the only one; gives what was wrong in the end."""
        since = len(self.world.journal)
        telling = story(self)
        while True:
            try:
                next(telling)
            except StopIteration as end:
                expected: Expected = end.value
                break
            self.rest(self._fates(first))
            if self.people.decides():
                self.rest(self._fates(first))
        return self.judged(msgspec.structs.replace(expected, since=since), kills)

    def _fates(self, only: Fate | None) -> Iterator[Fate]:
        if only is None:
            yield from (self.draw() for _ in range(_IN_A_PHASE))
        while only is not None and not self.kills:
            yield only

    def is_killed_when_it_has_answered(self) -> None:
        """Start a daemon, hand over what vendors sent, and kill it as soon as it has acknowledged that."""
        child = self.begin()
        told = child.hears()
        assert told is not None, self.log(child)
        self._post(told["listens"], told["paths"])
        assert not self.people.post.waiting, "it did not acknowledge"
        child.signalled()
        assert child.ended() == -signal.SIGKILL
        self.restarts += 1

    def crowded(self, kills: int) -> list[Violation]:
        """Kill so many daemons while many people act at any moment, then let them rest; gives what was wrong in the end."""
        crowd = Crowd(self, self.random)
        self.meanwhile = crowd.acts
        while self.kills < kills:
            self.advance(self.random.choice((0.0, 5.0, MINUTE)))
            self.lives(self.draw())
        self.meanwhile = _nothing
        self.advance(MINUTE)
        self.lives(Fate())
        return self.judged(crowd.expected(), kills)

    def _looked_at(self) -> None:
        """Look at the image that a killed daemon left."""
        with self.bridge.store.read():
            self.found += judge_store(self.bridge.store, journal=self.world.journal)

    def judged(self, expected: Expected, kills: int) -> list[Violation]:
        """Play on with nothing new, daemons being killed all the same, and judge everything."""
        quiet_since = len(self.world.journal)
        while self.kills < kills:
            self.lives(Fate(self.random.randint(1, _ALWAYS)))
        assert self.lives(Fate())
        return [
            *self.found,
            # First, since the others read from the vendors too.
            *read_again(self.world.journal, self.restarts),
            *judge(self.world, msgspec.structs.replace(expected, quiet_since=quiet_since)),
            *judge_store(self.bridge.store, journal=self.world.journal, at_rest=True),
            *checkpoint_ahead(self.bridge, self.setting.streams),
            *leaks(self.folder, SECRETS),
        ]


def _end(child: Child) -> None:
    """Kill a daemon that a test left alive when it failed."""
    if not child.over:
        child.signalled()
        child.ended()


def _nothing() -> None:
    """Nobody does anything."""


class _WorldClock(SystemClock):
    """The machine's clock, as far ahead as the vendors' is."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def now(self) -> Any:
        return self._scene.world.clock.now()
