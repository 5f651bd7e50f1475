"""Measures the way from a webhook to its write at a tracker, durable at every step, in one daemon and over real HTTP.

    python -m benchmarks webhooks [--only steady saturated killed] [--events 2000] [--seconds 15] [--rounds 3]

`cxbridge run` is a process of its own; desk and tracker are played by another (`benchmarks.mock_vendors`). Each event is a signed
delivery of the desk's: it is stored before it is answered, the ticket that it names is read from the desk, and where the recipe's
condition holds an issue is made at the tracker, once. In the same rounds the floor (`benchmarks.floor_webhooks`) goes the same way
by hand. `steady`: 50 events a second, of which every second one asks for an issue, and how long it takes from just before the
webhook is sent until the issue arrives, on one clock. `saturated`: as many as 32 connections bring. `killed`: SIGKILL in the middle
of what was accepted, and a restart; it ends with 1 when anything is lost or doubled.
"""

import argparse
import asyncio
import socket
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import httpx

from benchmarks import daemon, measure, results
from benchmarks.mock_vendors import Desk
from benchmarks.sending import Sender
from cxbridge.console.endpoints import path_of
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox, state

MOCK, FLOOR = "benchmarks.mock_vendors", "benchmarks.floor_webhooks"
KINDS = ("steady", "saturated", "killed")
RATE, CONNECTIONS, SENDERS, LATENCY = 50.0, 32, 16, 0.02
WARM_UP = 100
MOST_P50, MOST_P99, LEAST_RATE = 6.0, 25.0, 704.0
# So long nothing may arrive before the rest is given up.
PATIENCE = 45.0
SECRET = "a-signing-secret"
# Measured on another machine of this class with one write to a tracker an event and nothing read: they are no part of this run.
ELSEWHERE = {
    "Node-RED (not durable)": 704.0,
    "n8n (default)": 9.5,
    "an outbox by hand (durable)": 1384.0,
}
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
    """Whoever takes webhooks in, and the vendors that it speaks to."""

    vendors: httpx.Client
    vendors_pid: int
    url: str
    pid: int

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
        _whole(self.settled(set(warm)), set(warm), warm)


@dataclass(slots=True)
class Bridged(Stage):
    """A daemon of cxbridge's that takes webhooks in."""

    folder: Path
    process: "Popen[bytes]"
    starts: int = 1

    def again(self) -> None:
        """Kill the daemon as nothing can be prepared for, and start it anew."""
        daemon.end(self.process)
        self.starts += 1
        self.process, _ = daemon.start(self.folder / "cxbridge.toml", self.folder / f"log-{self.starts}")
        self.pid = self.process.pid

    def decided(self, within: float = 120.0) -> bool:
        """Wait until no delivery is under way or in doubt."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            with Bridge(load(self.folder / "cxbridge.toml"), writing=False) as bridge, bridge.store.read() as tx:
                if all(one in ("confirmed", "cancelled", "dead") for (_, one), n in outbox.counts(tx).items() if n):
                    return True
            time.sleep(0.5)
        return False


@dataclass(slots=True)
class Found:
    """What the rounds found: milliseconds from webhook to write and of processor an event, and rates a second."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    steady_cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    saturated_cpu: list[float] = field(default_factory=list)
    vendors_cpu: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, dict[str, float]]:
        """Give what was measured, by kind and unit."""
        kinds = {
            "steady": {"p50 ms": self.p50, "p99 ms": self.p99, "CPU ms": self.steady_cpu},
            "saturated": {
                "writes/s": self.rate,
                "accepted/s": self.accepted,
                "CPU ms": self.saturated_cpu,
                "vendors CPU ms": self.vendors_cpu,
            },
        }
        return {
            kind: {unit: statistics.median(values) for unit, values in units.items()}
            for kind, units in kinds.items()
            if all(units.values())
        }


def main(words: Sequence[str] | None = None) -> None:
    """Run what was asked for, or all of it, and keep the figures in `results/bench.json`.

    Raises:
        SystemExit: with 1 when something was lost or doubled.
    """
    parser = argparse.ArgumentParser(prog="benchmarks webhooks", description="from a webhook to its write")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--abreast", type=int, default=4, help="writes under way at once, as in the settings")
    asked = parser.parse_args(words)
    what = asked.only
    print(f"from webhook to write, one daemon on SQLite, on {measure.machine()}", flush=True)
    measure.warm_up(MOCK, FLOOR)
    ours, floor = Found(), Found()
    for _ in range(asked.rounds if {"steady", "saturated"} & set(what) else 0):
        measure.wait_for_quiet()
        with _floor() as stage:
            _measured(stage, what, asked.seconds, asked.events, floor)
        with _bridged(asked.abreast) as stage:
            _measured(stage, what, asked.seconds, asked.events, ours)
    _show(ours, floor)
    medians = ours.medians() | {f"floor, {kind}": one for kind, one in floor.medians().items()}
    lost = doubled = 0
    if "killed" in what:
        with _bridged(asked.abreast) as stage:
            lost, doubled = _killed(stage, asked.events)
        medians["killed"] = {"lost": lost, "doubled": doubled}
    results.tell(
        "webhooks",
        sizes={"events": asked.events, "seconds": asked.seconds, "rounds": asked.rounds, "abreast": asked.abreast},
        medians=medians,
        ratios=_ratios(ours, floor),
        others=max((*ours.others, *floor.others), default=None),
    )
    if lost or doubled:
        raise SystemExit(1)


def _measured(stage: Stage, what: Sequence[str], seconds: float, events: int, found: Found) -> None:
    if "steady" in what:
        _steady(stage, seconds, found)
    if "saturated" in what:
        _saturated(stage, events, found)


def _ratios(ours: Found, floor: Found) -> dict[str, float]:
    """Give the ratios within rounds, such that more is better."""
    pairs = {
        "share of the floor": zip(ours.rate, floor.rate, strict=True),
        "floor p50 to ours": zip(floor.p50, ours.p50, strict=True),
        "floor CPU to ours": zip(floor.saturated_cpu, ours.saturated_cpu, strict=True),
    }
    found = {name: [one / other for one, other in values] for name, values in pairs.items()}
    return {name: statistics.median(values) for name, values in found.items() if values}


def _steady(stage: Stage, seconds: float, found: Found) -> None:
    tickets = range(100_000, 100_000 + round(RATE * seconds))
    wanted = {ticket for ticket in tickets if Desk.urgent(ticket)}
    sender = stage.sender()
    used, watch = measure.cpu_of(stage.pid), measure.Watch([stage.pid, stage.vendors_pid])
    sender.steadily(tickets, RATE, CONNECTIONS)
    arrived = stage.settled(wanted)
    _whole(arrived, wanted, tickets)
    took = sorted((arrived[ticket][0] - sender.sent.first[ticket]) * 1000 for ticket in wanted)
    found.p50.append(statistics.median(took))
    found.p99.append(took[min(len(took) - 1, int(len(took) * 0.99))])
    found.steady_cpu.append((measure.cpu_of(stage.pid) - used) / len(tickets) * 1000)
    found.others.append(watch.foreign() or 0.0)
    print(f"steady: p50 {found.p50[-1]:.1f} ms, p99 {found.p99[-1]:.1f} ms", flush=True)


def _saturated(stage: Stage, events: int, found: Found) -> None:
    tickets = range(200_000, 200_000 + 2 * events, 2)
    sender = stage.sender()
    used, played = measure.cpu_of(stage.pid), measure.cpu_of(stage.vendors_pid)
    watch = measure.Watch([stage.pid, stage.vendors_pid])
    sender.at_once(tickets, CONNECTIONS)
    arrived = stage.settled(set(tickets))
    _whole(arrived, set(tickets), tickets)
    begun = min(sender.sent.first.values())
    found.rate.append(events / (max(arrived[ticket][0] for ticket in tickets) - begun))
    found.accepted.append(events / (max(sender.sent.accepted.values()) - begun))
    found.saturated_cpu.append((measure.cpu_of(stage.pid) - used) / events * 1000)
    found.vendors_cpu.append((measure.cpu_of(stage.vendors_pid) - played) / events * 1000)
    found.others.append(watch.foreign() or 0.0)
    print(f"saturated: {found.rate[-1]:.1f} writes/s, {found.accepted[-1]:.0f} accepted/s", flush=True)


def _killed(stage: Bridged, events: int) -> tuple[int, int]:
    """Kill the daemon when half of the events are accepted; gives how many were lost and doubled in the end."""
    tickets = range(300_000, 300_000 + 2 * events, 2)
    stage.vendors.post(f"/latency/{LATENCY}").raise_for_status()
    sender = stage.sender()

    async def kill() -> None:
        while len(sender.sent.accepted) < events // 2:
            await asyncio.sleep(0.002)
        await asyncio.to_thread(stage.again)

    sender.at_once(tickets, SENDERS, kill)
    stage.settled(set(tickets))
    decided = stage.decided()
    arrived = stage.arrivals()
    lost = sum(ticket not in arrived for ticket in sender.sent.accepted)
    doubled = sum(len(arrived.get(ticket, ())) > 1 for ticket in tickets)
    print(
        f"killed with {events // 2:,} of {events:,} accepted, the tracker answering after {LATENCY * 1000:.0f} ms: {lost} lost, "
        f"{doubled} doubled, the goal is 0 and 0 ({measure.verdict(not lost and not doubled)})"
    )
    if not decided:
        print("some deliveries were still under way or in doubt when the time was over")
    return lost, doubled


def _whole(arrived: Mapping[int, Sequence[float]], wanted: set[int], sent: range) -> None:
    """See that each issue came once and no other came: a run that is short measures nothing.

    Raises:
        SystemExit: when that is not so.
    """
    came = arrived.keys() & set(sent)
    twice = [ticket for ticket in came if len(arrived[ticket]) > 1]
    if came != wanted or twice:
        raise SystemExit(f"{len(came)} of {len(wanted)} tickets got an issue, {len(twice)} more than one")


def _show(ours: Found, floor: Found) -> None:
    medians, beside, ratios = ours.medians(), floor.medians(), _ratios(ours, floor)
    if "steady" in medians:
        one, other = medians["steady"], beside["steady"]
        for which, most in (("p50", MOST_P50), ("p99", MOST_P99)):
            value = one[f"{which} ms"]
            print(
                f"at {RATE:.0f}/s, {which}: {value:.1f} ms, the floor {other[f'{which} ms']:.1f}; the goal is {most:.0f} "
                f"({measure.verdict(value <= most)})"
            )
        print(f"CPU an event, of which half make an issue: {one['CPU ms']:.1f} ms, the floor {other['CPU ms']:.1f}")
    if "saturated" in medians:
        one, other = medians["saturated"], beside["saturated"]
        met = measure.verdict(one["writes/s"] >= LEAST_RATE)
        print(f"over {CONNECTIONS} connections: {one['writes/s']:.1f} writes/s, the goal is {LEAST_RATE:.0f} ({met})")
        print(f"the floor in the same run: {other['writes/s']:.0f} writes/s; share {ratios['share of the floor']:.1%}")
        print(f"accepted: {one['accepted/s']:.0f}/s, the floor {other['accepted/s']:.0f}/s")
        print(
            f"CPU an event: {one['CPU ms']:.1f} ms, the floor {other['CPU ms']:.1f}; "
            f"of the played vendors {one['vendors CPU ms']:.1f} ms"
        )
        elsewhere = ", ".join(f"{name} {rate:g}/s" for name, rate in ELSEWHERE.items())
        print(f"measured elsewhere, with one request an event and not in this run: {elsewhere}")
    if ours.others:
        print(f"others used up to {max(*ours.others, *floor.others):.2f} cores meanwhile")


@contextmanager
def _bridged(abreast: int) -> Iterator[Bridged]:
    """Start vendors and a daemon, and let both be warm."""
    with measure.folder() as place, measure.server(MOCK) as (url, pid), httpx.Client(base_url=url) as vendors:
        at = f"127.0.0.1:{_free_port()}"
        settings = _write(place, url, at, abreast)
        with Bridge(load(settings)) as bridge, bridge.store.read() as tx:
            if bridge.library.errors:
                raise SystemExit(f"the recipe cannot be loaded: {bridge.library.errors}")
            address = f"http://{at}{path_of(state.instance_key(tx), 'desk')}"
        process, _ = daemon.start(settings, place / "log-1")
        stage = Bridged(vendors, pid, address, process.pid, place, process)
        try:
            daemon.ready(at)
            stage.warm_up()
            yield stage
        finally:
            daemon.end(stage.process)


@contextmanager
def _floor() -> Iterator[Stage]:
    """Start vendors and the floor, and let both be warm."""
    with measure.folder() as place, measure.server(MOCK) as (url, pid), httpx.Client(base_url=url) as vendors:
        words = ("--vendors", url, "--secret", SECRET, "--folder", str(place))
        with measure.server(FLOOR, *words) as (address, floor):
            stage = Stage(vendors, pid, f"{address}/hook", floor)
            stage.warm_up()
            yield stage


def _free_port() -> int:
    """Find a port that is free now: the restarted daemon must come to listen where the first one did."""
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


if __name__ == "__main__":
    main()
