"""A whole world in one process: simulated vendors, the real connectors and engine, one clock, and crashes wherever they are wanted.

`Ground` prepares each setting once (configuration, compiled recipes, a store after its first pull) and gives out stages, each with
a world and a copy of that store of its own. A `Stage` is that world under way: people do things, cxbridge goes through its cycles,
and whatever ends the process is followed by a new start over the same file.
"""

import itertools
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, Self
from unittest import mock

import msgspec

from cxbridge.core.config import Configuration, load
from cxbridge.core.engine import library as engine_library
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.errors import VendorError
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.load import load_folder
from cxbridge.core.store import Tx, outbox, runs, sqlite
from cxbridge.sandbox import seed
from cxbridge.sandbox.journal import Effect
from tests.reliability.hooks import Crash, Hooks
from tests.reliability.people import People
from tests.reliability.setting import BEGIN, SETTLE, Setting
from tests.reliability.wire import Network

__all__ = ["BEGIN", "MINUTE", "OPEN", "SETTLE", "Ground", "Setting", "Stage", "StageClock", "Unsettled"]

OPEN = ("planned", "sent", "retry", "unknown")
# Seconds that a cycle takes; more than the minute for which Zendesk holds changes back.
MINUTE = 61.0


class Unsettled(AssertionError):
    """Nothing comes of what is under way, however long it is waited for."""


class StageClock:
    """The simulators' clock as the daemon's: whoever waits moves it."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._begun = network.world.clock.time()
        # By how many seconds the daemon's wall clock is wrong; a smaller number than before sets it back.
        self.wrong = 0.0

    def now(self) -> datetime:
        return self._network.world.clock.now() + timedelta(seconds=self.wrong)

    def monotonic(self) -> float:
        return self._network.world.clock.time() - self._begun

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        if wake is not None and wake.is_set():
            return True
        # Less than this may be nothing at all to a float that counts from the epoch, and a wait must end.
        self._network.advance(max(0.001, seconds))
        return False


@dataclass(frozen=True)
class Prepared:
    """A setting after its first cycle: its folder, its configuration, and the time it is."""

    setting: Setting
    folder: Path
    configuration: Configuration
    time: float


class Ground:
    """Prepares settings and gives out stages; below `folder` everything is its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prepared: dict[str, tuple[Setting, Prepared]] = {}
        self._numbers = itertools.count(1)
        self._latest: Stage | None = None

    @property
    def latest(self) -> "Stage":
        """The stage that was given out last."""
        assert self._latest is not None
        return self._latest

    def stage(self, setting: Setting, crash_at: Sequence[int] = ()) -> "Stage":
        """Give a stage on which everything that was there at the beginning has been pulled; hooks are off until it plays."""
        prepared = self.prepared(setting)
        folder = self.folder / f"{setting.name}-{next(self._numbers)}"
        folder.mkdir()
        for file in ("cxbridge.db", prepared.configuration.settings.store.key_file):
            shutil.copyfile(prepared.folder / file, folder / file)
            (folder / file).chmod(0o600)
        (folder / "recipes").symlink_to(prepared.folder / "recipes")
        (folder / "cxbridge.toml").symlink_to(prepared.folder / "cxbridge.toml")
        (folder / "secrets").symlink_to(prepared.folder / "secrets")
        world, network = setting.build_world()
        network.advance(prepared.time - world.clock.time())
        self._latest = Stage(setting, replace(prepared.configuration, root=folder), network, Hooks(crash_at))
        return self._latest

    def prepared(self, setting: Setting) -> "Prepared":
        """Give a setting after its first cycle, which is played once."""
        known = self._prepared.get(setting.name)
        if known is not None:
            if known[0] != setting:
                raise ValueError(f"there are two settings of the name {setting.name!r}: give one another name")
            return known[1]
        folder = self.folder / setting.name
        folder.mkdir()
        setting.write(folder)
        configuration = load(folder / "cxbridge.toml", environ={})
        _, network = setting.build_world()
        with Stage(setting, configuration, network, Hooks()) as stage:
            assert not stage.bridge.broken, stage.bridge.broken
            assert not stage.bridge.library.errors, [str(one) for one in stage.bridge.library.errors]
            stage.cycle(everything=True)
            assert stage.writes() == [], "the first cycle of a setting writes nothing"
        prepared = Prepared(setting, folder, configuration, network.world.clock.time())
        self._prepared[setting.name] = setting, prepared
        return prepared


class Stage:
    """A world under way, with one bridge at a time. Close it, or use it in a `with` block."""

    def __init__(self, setting: Setting, configuration: Configuration, network: Network, hooks: Hooks) -> None:
        self.setting = setting
        self.configuration = configuration
        self.network = network
        self.world = network.world
        self.hooks = hooks
        self.clock = StageClock(network)
        self.restarts = 0
        # Called after each crash, before anything is started again, with a bridge that crashes nowhere.
        self.on_crash: Callable[[], None] | None = None
        # The entries of the journal that are of such looking, and not of what is looked at.
        self.looked: set[int] = set()
        network.watch = hooks.reach
        self.people = People(self)
        self.bridge = self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End in order, and remove the store."""
        self.hooks.on = False
        self.bridge.close()
        if self.folder.name != self.setting.name:
            shutil.rmtree(self.folder)

    @property
    def folder(self) -> Path:
        """Where the store is."""
        return self.configuration.root

    # -- the process -----------------------------------------------------------------------------------------------

    def open(self) -> Bridge:
        """Start over the store as it is, as a new process would."""
        # What is drawn by lot is drawn alike in every play.
        with _quick(), self.hooks.opening():
            bridge = Bridge(
                self.configuration,
                clock=self.clock,
                probe=self.hooks.reach,
                transport_of=self.network.transport,
            )
        bridge.store.write = self.hooks.around(bridge.store.write)  # type: ignore[method-assign]
        bridge.pusher.random.seed(self.setting.seed)
        return bridge

    def start(self) -> None:
        """Do what a daemon does first."""
        self.bridge.pusher.recover()
        self.bridge.inbox.hear()

    def crash(self) -> None:
        """End the process where it stands: nothing is released in order, and what was in memory is gone."""
        self.bridge.store.close()

    def restart(self) -> None:
        """Crash, and start again over the same file, until a start succeeds."""
        while True:
            self.crash()
            self.restarts += 1
            if self.on_crash is not None:
                self._look()
            try:
                self.bridge = self.open()
                self.start()
            except Crash:
                continue
            return

    def _look(self) -> None:
        on, self.hooks.on, before = self.hooks.on, False, len(self.world.journal)
        self.bridge = self.open()
        assert self.on_crash is not None
        self.on_crash()
        self.crash()
        self.looked |= {one.seq for one in self.world.journal.entries(before)}
        self.hooks.on = on

    def surviving(self, work: Callable[[], Any]) -> Any:
        """Do something, and after each crash start again and do it anew."""
        while True:
            try:
                return work()
            except Crash:
                self.restart()

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Let crashes happen inside, as they were ordered."""
        self.hooks.on = True
        try:
            yield
        finally:
            self.hooks.on = False

    # -- its cycles ------------------------------------------------------------------------------------------------

    def pull(self, *, everything: bool = False) -> list[VendorError]:
        """Pull the setting's streams, or all; gives what failed at a vendor."""
        failed: list[VendorError] = []
        for connection, stream in self.bridge.streams():
            if everything or not self.setting.streams or (connection, stream) in self.setting.streams:
                try:
                    self.bridge.pull(connection, stream)
                except VendorError as error:
                    failed.append(error)
        return failed

    def push(self) -> int:
        """Push until nothing is due; gives how many deliveries were confirmed."""
        done = 0
        for _ in range(50):
            # As the daemon does: whoever has something due, and not everybody.
            with self.bridge.store.read() as tx:
                due = outbox.connections_due(tx, self.bridge.connections, self.clock.now())
            confirmed = sum(self.bridge.push(name).confirmed for name in sorted(due))
            done += confirmed
            if not confirmed:
                return done
        raise AssertionError("pushing never came to an end")

    def cycle(self, *, everything: bool = False) -> int:
        """Take what webhooks brought, pull, plan, push; then a minute passes. Gives how many deliveries were confirmed."""
        self.people.deliver()
        self.inbox()
        self.pull(everything=everything)
        self.bridge.plan()
        done = self.push()
        self.network.advance(MINUTE)
        return done

    def inbox(self) -> None:
        """Work off what webhooks brought, as the daemon does."""
        work = self.bridge.inbox
        jobs = {job for connection in self.bridge.connections for job in work.take(connection).jobs}
        for job in sorted(jobs):
            kind, _, rest = job.partition(":")
            connection, stream = rest.split("/", 1)
            if kind == "pull":
                rows = work.begin(connection, stream)
                self.bridge.pull(connection, stream)
                work.pulled(connection, stream, rows)
                continue
            self._read(connection, stream)

    def _read(self, connection: str, stream: str) -> None:
        work = self.bridge.inbox
        waiting = {key: work.waits_for(connection, stream, key) for key in work.due(connection, stream)}
        marked: list[int] = []

        def mark(tx: Tx, stored: Collection[str]) -> None:
            marked.extend(work.mark(tx, [waiting[key] for key in stored]))

        outcomes = self.bridge.read(connection, stream, list(waiting), on_stored=mark)
        failed = next((one for one in outcomes.values() if isinstance(one, Exception)), None)
        if failed is not None:
            raise failed
        read = {key: waiting[key] for key, one in outcomes.items() if one is not None}
        work.was_read(connection, stream, read, marked)
        for key, one in outcomes.items():
            if one is None:
                work.was_not_shown(connection, stream, key, waiting[key])

    def settle(self, most: int = 60) -> None:
        """Let a minute pass, then go on over all crashes until a whole cycle finds nothing more to do."""
        self.network.advance(MINUTE)
        for _ in range(most):
            if not self.surviving(self.cycle) and self.at_rest():
                return
        raise Unsettled(f"still undecided after {most} cycles: {self.open_work()}")

    def at_rest(self) -> bool:
        """Whether nothing is left to be done before somebody does something."""
        return not self.open_work()

    def open_work(self) -> list[str]:
        """Name the deliveries that are not decided."""
        with self.bridge.store.read() as tx:
            counts = outbox.unsettled_counts(tx)
        return [f"{name}: {number} {state}" for (name, state), number in counts.items() if state in OPEN and number]

    def quiet(self, cycles: int = 2) -> list[str]:
        """Play on with nothing new from outside; gives the writes that were made all the same."""
        before = len(self.world.journal)
        for _ in range(cycles):
            self.surviving(self.cycle)
        written = [one for one in self.world.journal.entries(before) if isinstance(one, Effect) and one.via == "api"]
        return [f"{one.vendor} {one.kind} {one.key}" for one in written]

    # -- evidence --------------------------------------------------------------------------------------------------

    def act(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the control API: play a person, or look at what a vendor holds."""
        status, content = self.network.ask("control", method, path, msgspec.json.encode(body) if body else b"")
        assert status < 400, f"{method} {path}: {status} {content.decode()}"
        return msgspec.json.decode(content) if content else None

    def load(self, *rows: Mapping[str, Any]) -> None:
        """Add rows of a company file."""
        seed.load_text(self.world, "\n".join(msgspec.json.encode(row).decode() for row in rows), self.setting.name)

    def effects(self, kind: str) -> list[Any]:
        """What integrations did, by the simulators' journal."""
        return [one for one in self.world.journal.effects(via="api") if one.kind == kind]

    def writes(self) -> list[Any]:
        """All that integrations did."""
        return self.world.journal.writes()

    def runs(self, **wanted: Any) -> list[Run]:
        with self.bridge.store.read() as tx:
            return runs.find(tx, **wanted)

    def deliveries(self, **wanted: Any) -> list[Delivery]:
        with self.bridge.store.read() as tx:
            return outbox.find(tx, **wanted)


_loaded: dict[Any, Any] = {}


def _load_once(folder: Path, offers: Any, inputs: Any, around: Any) -> Any:
    """Compile a folder of recipes once for all stages: recipes are immutable, and hold nothing of a store or a connection."""
    texts = tuple((file.name, file.read_bytes()) for file in sorted(folder.glob("*.toml")))
    given = msgspec.json.encode({name: dict(one) for name, one in inputs.items()}, order="deterministic")
    key = (texts, given, tuple(offers))
    if key not in _loaded:
        _loaded[key] = load_folder(folder, offers, inputs, around)
    return _loaded[key]


_dialects: dict[bool, Any] = {}
_statements: dict[bool, Any] = {}


@contextmanager
def _quick() -> Iterator[None]:
    """Leave out of an opening what proves nothing here: compiling the same recipes and statements anew, waiting for the disk."""
    set_up = sqlite._set_up

    def without_waiting(connection: Any, *, writer: bool) -> None:
        set_up(connection, writer=writer)
        connection.execute("PRAGMA synchronous = OFF")

    with compiled_once(), mock.patch.object(sqlite, "_set_up", without_waiting):
        yield


@contextmanager
def compiled_once() -> Iterator[None]:
    """Compile no recipe and no statement that was compiled before in this process, or in the one it was forked from."""
    engine = sqlite.engine

    def compiled_before(path: Path, *, timeout: float, writer: bool) -> Any:
        made: Any = engine(path, timeout=timeout, writer=writer)
        # SQLAlchemy keeps the statements that it has compiled by dialect, and for each engine anew.
        made.dialect = _dialects.setdefault(writer, made.dialect)
        made._compiled_cache = _statements.setdefault(writer, made._compiled_cache)
        return made

    with (
        mock.patch.object(engine_library, "load_folder", _load_once),
        mock.patch.object(sqlite, "engine", compiled_before),
    ):
        yield
