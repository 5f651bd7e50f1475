"""What takes webhooks in, with the vendors that it speaks to: a daemon of cxbridge's, the floor, and flows of other tools.

Each is started with vendors of its own (`benchmarks.mock_vendors`), let warm, and ended with its `with` block. It measures nothing.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import httpx

from benchmarks import daemon, measure, sending
from benchmarks.flows import Flow
from benchmarks.sending import Sender
from cxbridge.console.endpoints import path_of
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox

MOCK, FLOOR = "benchmarks.mock_vendors", "benchmarks.floor_webhooks"
# More than a stream's dictionary is learnt from, which happens once in its life and is no part of how it goes on after that.
SENDERS, WARM_UP = 16, 600
# So many seconds nothing may arrive before the rest is given up.
PATIENCE = 45.0
# So many seconds another tool may take to listen.
LONGEST_START = 180.0
SECRET = "a-signing-secret"
_RECIPE = """title = "An issue for each urgent ticket"
owner = "support-ops"
stage = "live"
use   = { desk = "desk", tracker = "tracker" }

[[trigger]]
on   = "ticket.created"
from = "desk"

[when]
urgent = "ticket.priority == 'urgent'"

[run]
key = "ticket.id"

[limits]
writes_per_hour = 1000000
halt_if_matches = 1000000

[[step]]
id = "issue"
do = "tracker.issue.ensure"
with = { project = "ENG", type = "bug", subject = "[{{ ticket.source_key }}] {{ ticket.subject }}" }
"""


@dataclass(slots=True)
class Stage:
    """Whoever takes webhooks in, and the vendors that it speaks to. Of one that promises nothing, some issues may never come."""

    vendors: httpx.Client
    vendors_pid: int
    url: str
    pid: int
    promises: bool = field(default=True, kw_only=True)

    def sender(self) -> Sender:
        """Give a sender of webhooks to it."""
        return Sender(self.url, SECRET)

    def arrivals(self) -> dict[int, list[float]]:
        """Tell when issues arrived at the tracker, by ticket."""
        told = self.vendors.get("/arrivals").raise_for_status().json()
        return {int(ticket): times for ticket, times in told.items()}

    def settled(self, wanted: set[int]) -> dict[int, list[float]]:
        """Wait for the issues of all these tickets, or until nothing arrives any more; gives what has arrived."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < PATIENCE:
            found = self.arrivals()
            if wanted <= found.keys():
                return found
            if len(found) != last:
                last, since = len(found), time.monotonic()
            time.sleep(0.1)
        return self.arrivals()

    def warm_up(self) -> None:
        """Send a few before anything is measured."""
        warm = range(2, 2 + 2 * WARM_UP, 2)
        self.sender().at_once(warm, SENDERS)
        self.whole(self.settled(set(warm)), set(warm), warm)
        # What was begun by that beside it, such as learning a dictionary, is to be over as well.
        measure.wait_for_quiet()

    def whole(self, arrived: Mapping[int, Sequence[float]], wanted: set[int], sent: range) -> set[int]:
        """See that each issue came once and no other came: a run that is short measures nothing. Gives those that came.

        Raises:
            Failed: when that is not so; of one that promises nothing, when none came at all.
        """
        came = arrived.keys() & set(sent)
        twice = [ticket for ticket in came if len(arrived[ticket]) > 1]
        if came == wanted and not twice:
            return came
        told = f"{len(came)} of {len(wanted)} tickets got an issue, {len(twice)} more than one"
        if self.promises or not came & wanted:
            raise measure.Failed(told)
        print(f"although all were accepted, {told}", flush=True)
        return came & wanted


@dataclass(slots=True)
class Killable(Stage):
    """One that may be killed and started anew. `start` is told how many times it was started before."""

    process: "Popen[bytes]"
    start: "Callable[[int], Popen[bytes]]"
    starts: int = 1

    def again(self) -> None:
        """Kill it as nothing can be prepared for, and start it anew."""
        daemon.end(self.process)
        self.process = self.start(self.starts)
        self.starts += 1
        self.pid = self.process.pid

    def decided(self) -> bool:
        """Wait until nothing is under way or in doubt by its own account; False where that does not come."""
        return True


@dataclass(slots=True)
class Bridged(Killable):
    """A daemon of cxbridge's."""

    settings: Path = Path()

    def decided(self, within: float = 120.0) -> bool:
        """Wait until no delivery is under way or in doubt."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            with Bridge(load(self.settings), writing=False) as bridge, bridge.store.read() as tx:
                if all(
                    one in ("confirmed", "cancelled", "dead")
                    for (_, one), n in outbox.unsettled_counts(tx).items()
                    if n
                ):
                    return True
            time.sleep(0.5)
        return False


@contextmanager
def bridged(abreast: int) -> Iterator[Bridged]:
    """Start vendors and a daemon, and let both be warm."""
    with measure.folder() as place, measure.server(MOCK) as (url, pid), httpx.Client(base_url=url) as vendors:
        at = f"127.0.0.1:{_free_port()}"
        settings = _write(place, url, at, abreast)
        with Bridge(load(settings)) as bridge:
            if bridge.library.errors:
                raise SystemExit(f"the recipe cannot be loaded: {bridge.library.errors}")
            address = f"http://{at}{path_of(bridge.instance_key(), 'desk')}"

        def start(before: int) -> "Popen[bytes]":
            return daemon.start(settings, place / f"log-{before}")[0]

        process = start(0)
        stage = Bridged(vendors, pid, address, process.pid, process, start, settings=settings)
        try:
            daemon.ready(at)
            stage.warm_up()
            yield stage
        finally:
            daemon.end(stage.process)


@contextmanager
def floor() -> Iterator[Stage]:
    """Start vendors and the floor, and let both be warm."""
    with measure.folder() as place, measure.server(MOCK) as (url, pid), httpx.Client(base_url=url) as vendors:
        words = ("--vendors", url, "--secret", SECRET, "--folder", str(place))
        with measure.server(FLOOR, *words) as (address, process):
            stage = Stage(vendors, pid, f"{address}/hook", process)
            stage.warm_up()
            yield stage


@contextmanager
def other(flow: Flow) -> Iterator[Killable]:
    """Start vendors and another tool's flow, and let both be warm.

    Raises:
        Failed: when it does not come to listen.
    """
    with measure.folder() as place, measure.server(MOCK) as (url, pid), httpx.Client(base_url=url) as vendors:
        port = _free_port()
        words, environment = flow.prepare(place, port, url)

        def start(before: int) -> "Popen[bytes]":
            with (place / f"log-{before}").open("wb") as sink:
                return subprocess.Popen(words, env=os.environ | environment, cwd=place, stdout=sink, stderr=sink)

        process = start(0)
        stage = Killable(
            vendors, pid, f"http://127.0.0.1:{port}{flow.path}", process.pid, process, start, promises=False
        )
        try:
            _listens(stage, place / "log-0")
            stage.warm_up()
            yield stage
        finally:
            daemon.end(stage.process)


def _listens(stage: Killable, log: Path) -> None:
    """Wait until a webhook is taken in that asks for nothing."""
    headers, body = sending.signed(1, SECRET)
    headers["content-type"] = "application/json"
    until = time.monotonic() + LONGEST_START
    while time.monotonic() < until and stage.process.poll() is None:
        try:
            if httpx.post(stage.url, content=body, headers=headers, timeout=20).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise measure.Failed(f"it does not listen: {log.read_text(errors='replace')[-1000:]}")


def _free_port() -> int:
    """Find a port that is free now: what is started again must come to listen where it did before."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _write(place: Path, url: str, listen: str, abreast: int) -> Path:
    for name in ("secrets", "recipes"):
        (place / name).mkdir()
    (place / "secrets" / "token").write_text("made-up-token")
    (place / "secrets" / "hook").write_text(SECRET)
    (place / "recipes" / "issues.toml").write_text(_RECIPE)
    account = 'email = "bridge@example.test"\napi_token = { secret = "token" }\n'
    settings = place / "cxbridge.toml"
    settings.write_text(
        f'[daemon]\npoll = "1h"\nabreast = {abreast}\n\n[webhooks]\nlisten = "{listen}"\n\n'
        f'[connections.desk]\nconnector = "zendesk"\nurl = "{url}"\nguide = false\n'
        f'webhook_secret = {{ secret = "hook" }}\n{account}\n'
        f'[connections.tracker]\nconnector = "jira"\nurl = "{url}"\nprojects = ["ENG"]\nsettle = 1\n{account}'
    )
    return settings
