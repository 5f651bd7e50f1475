"""What a killed process was: the real daemon over the real store and network, which dies where it was told to.

Its time is the simulated vendors': the machine's, moved on by so many seconds as the test says. Whenever it has nothing left to do
it says so, and waits until it is told how late it is.
"""

import faulthandler
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from apscheduler.triggers.date import DateTrigger

from cxbridge.cli.app import run
from cxbridge.console.receiver import Receiver
from cxbridge.core.clock import SystemClock
from cxbridge.core.config import Configuration, load
from cxbridge.core.engine import jobs, leasing, workers
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon, Watcher
from cxbridge.core.http import DirectTransport
from cxbridge.core.store import Store, Tx, agenda, dispatcher, leases, outbox, postgresql
from tests.reliability.stage import compiled_once
from tests.reliability.wrong import engines

OPEN = ("planned", "sent", "retry", "unknown")
_trust: list[ssl.SSLContext] = []
_configured: dict[str, Configuration] = {}


@dataclass(frozen=True)
class Orders:
    """How a child lives.

    `offset`: how many seconds its clock is ahead of the machine's. `place`: at which of the places that it passes it gets the
    signal `number`, 0 at none; only those are counted whose name begins as `named`. `listens`: whether it takes webhooks in.
    `wrong`: the known-wrong engine that it is. `streams`: what it pulls, all where it is empty. With `arguments` it is the command
    line instead.
    """

    folder: str
    offset: float
    log: str
    place: int = 0
    named: str = ""
    number: int = signal.SIGKILL
    listens: bool = False
    wrong: str = ""
    streams: list[list[str]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)


def warm() -> None:
    """Load what a daemon loads when it begins."""
    _trust.append(httpx.create_ssl_context())


def configured(folder: str) -> Configuration:
    """Read the settings in a folder, once for all that are forked off afterwards; nothing in them is open or under way."""
    if folder not in _configured:
        _configured[folder] = load(Path(folder) / "cxbridge.toml")
    return _configured[folder]


def live(orders: Orders, channel: int) -> int:
    """Live to the end; gives the exit code."""
    if orders.arguments:
        return run(orders.arguments)
    said = _Channel(channel)
    clock = _Clock(orders.offset)
    places = _Places(orders, said)
    with ExitStack() as stack:
        _play_time(clock)
        if orders.wrong:
            stack.enter_context(engines.BY_NAME[orders.wrong].in_place())
        _watch_commits(places)
        stack.enter_context(compiled_once())
        bridge = stack.enter_context(
            Bridge(
                configured(orders.folder),
                clock=clock,
                probe=places.reach,
                transport_of=lambda name: _Watched(name, places),
            )
        )
        if orders.streams:
            only = [(connection, stream) for connection, stream in orders.streams]
            bridge.streams = lambda connection=None: [one for one in only if connection in (None, one[0])]  # type: ignore[method-assign]
        stack.enter_context(nullcontext() if bridge.worker else bridge.store.alone("run"))
        _Life(bridge, clock, said, listens=orders.listens).begin()
    return 0


class _Channel:
    def __init__(self, handle: int) -> None:
        self._socket = socket.socket(fileno=handle)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._ending = False

    def say(self, **what: Any) -> None:
        # Whoever hears of the place at which this process ends may hang up before it has ended, whatever another thread says.
        self._ending = self._ending or "place" in what
        self._socket.sendall(json.dumps(what).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            if self._ending:
                time.sleep(10)
            # Nobody is there any more who could end this.
            os._exit(1)
        told: dict[str, Any] = json.loads(line)
        return told


class _Clock(SystemClock):
    def __init__(self, offset: float) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.offset)


class _Places:
    """Counts the places passed, over all threads, and sends the signal at the one it was told."""

    def __init__(self, orders: Orders, said: _Channel) -> None:
        self._orders = orders
        self._said = said
        self._lock = threading.Lock()
        self.passed = 0

    def reach(self, name: str) -> None:
        if not name.startswith(self._orders.named):
            return
        with self._lock:
            self.passed += 1
            if self.passed == self._orders.place:
                self._said.say(place=name)
                # With the lock held: no other thread gets past such a place until this process is gone, or goes on.
                os.kill(os.getpid(), self._orders.number)


class _Watched(httpx.BaseTransport):
    """The network, with a place before and after each request."""

    def __init__(self, connection: str, places: _Places) -> None:
        self._inner = DirectTransport(_trust[0])
        self._connection = connection
        self._places = places

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        told = f"{self._connection} {request.method} {request.url.path}"
        self._places.reach(f"request.leaving {told}")
        answer = self._inner.handle_request(request)
        self._places.reach(f"request.answered {told}")
        return answer

    def close(self) -> None:
        self._inner.close()


class _Life:
    def __init__(self, bridge: Bridge, clock: _Clock, said: _Channel, *, listens: bool) -> None:
        self._bridge = bridge
        self._clock = clock
        self._said = said
        self._listens = listens
        self._confirmed = 0
        self._failed: list[str] = []
        self._lock = threading.Lock()
        self._daemon = Daemon(bridge, Watcher(pushed=self._pushed, failed=self._noted))

    def begin(self) -> None:
        self._daemon.start()
        try:
            with self._receiver() as receiver:
                if receiver is not None:
                    paths = {name: one.path for name, one in receiver.endpoints.all.items()}
                    self._said.say(listens=receiver.address, paths=paths)
                    self._said.hear()
                while self._cycle():
                    self._ask_for_everything()
        finally:
            self._daemon.end()

    def _receiver(self) -> AbstractContextManager[Receiver | None]:
        return (
            Receiver(self._bridge, self._daemon.remembered, self._daemon.remember) if self._listens else nullcontext()
        )

    def _cycle(self) -> bool:
        """Work until nothing is left to do now, and say so; False when told to end."""
        self._wait_idle()
        with self._lock:
            confirmed, self._confirmed = self._confirmed, 0
            failed, self._failed = self._failed, []
        with self._bridge.store.read() as tx:
            counts = outbox.unsettled_counts(tx)
        open_ones = [f"{name}: {number} {state}" for (name, state), number in counts.items() if state in OPEN]
        self._said.say(idle=confirmed, open=open_ones, failed=failed)
        told = self._said.hear()
        if told.get("end"):
            return False
        self._clock.offset = told["offset"]
        return True

    def _ask_for_everything(self) -> None:
        """Ring every alarm: that is what time passing means here."""
        for name, connection in self._bridge.connections.items():
            self._daemon.nudge(f"inbox:{name}")
            self._daemon.nudge(f"push:{name}")
            for stream in connection.streams.values():
                if stream.one is not None:
                    self._daemon.nudge(f"read:{name}/{stream.name}")
        for name, stream_name in self._bridge.streams():
            self._daemon.nudge(f"pull:{name}/{stream_name}")
        self._daemon.nudge("wake")
        self._daemon.nudge("plan")

    def _wait_idle(self) -> None:
        embedded = self._daemon._jobs
        if isinstance(embedded, jobs.Embedded):
            if not embedded._board.wait_idle(45.0):
                sys.exit("it never came to rest")
            return
        for _ in range(1500):
            if self._daemon.idle():
                return
            self._clock.wait(0.03)
        with self._bridge.store.read() as tx:
            due = agenda.owners_due(tx, self._clock.now())
            asked = tx.connection.exec_driver_sql(
                "SELECT id, status, lock, scheduled_at, worker_id FROM procrastinate_jobs"
            )
            print(f"given out are {asked.fetchall()}", file=sys.stderr)
            faulthandler.dump_traceback(sys.stderr)
            sys.exit(f"it never came to rest: {due}, and served are {leases.living(tx)} at {leases.now(tx)}")

    def _pushed(self, _connection: str, pushed: Any) -> None:
        with self._lock:
            self._confirmed += pushed.confirmed

    def _noted(self, job: str, error: Exception) -> None:
        with self._lock:
            self._failed.append(f"{job}: {error}")


def _play_time(clock: _Clock) -> None:
    """Have the alarm clock, which knows the machine's time alone, ring by this one; and let dead workers be noticed soon."""

    def ringing(at: datetime) -> DateTrigger:
        return DateTrigger(at - timedelta(seconds=clock.offset))

    jobs.DateTrigger = ringing  # type: ignore[attr-defined]  # reached into on purpose
    leasing.LASTING = timedelta(seconds=1)
    leasing._MARGIN = 0.3
    leasing.RENEWED_EVERY = workers.RENEWED_EVERY = 0.15  # type: ignore[attr-defined]  # reached into on purpose
    set_up = postgresql._set_up

    def impatient(connection: Any, **how: Any) -> None:
        set_up(connection, **how)
        usual = connection.autocommit
        connection.autocommit = True
        # As long as a process that stands still may keep others from a row.
        connection.execute("SET idle_in_transaction_session_timeout = '1s'")
        connection.autocommit = usual

    postgresql._set_up = impatient
    dispatcher.DEAD_AFTER, dispatcher._HEARTBEAT, dispatcher._SWEEP, dispatcher._LOOK = 1.0, 0.2, 0.2, 0.1


def _watch_commits(places: _Places) -> None:
    for name in ("write", "aside"):
        setattr(Store, name, _around(getattr(Store, name), places))


def _around(original: Callable[[Store], Any], places: _Places) -> Callable[[Store], Any]:
    @contextmanager
    def watched(store: Store) -> Iterator[Tx]:
        with original(store) as tx:
            yield tx
            places.reach("commit.before")
        places.reach("commit.after")

    return watched
