"""Measures the way from a webhook to its write at a tracker, durable at every step, in one daemon and over real HTTP.

    python -m benchmarks webhooks [--only steady saturated killed] [--events 2000] [--seconds 15] [--rounds 3]
                                  [--peers Node-RED n8n]

`cxbridge run` is a process of its own; desk and tracker are played by another (`benchmarks.mock_vendors`). Each event is a signed
delivery of the desk's: it is stored before it is answered, the ticket that it names is read from the desk, and where the recipe's
condition holds an issue is made at the tracker, once. In the same rounds the floor (`benchmarks.floor_webhooks`) goes the same way
by hand, and other tools do so without reading anything (`benchmarks.flows`). `steady`: 50 events a second, of which every second
one asks for an issue, and how long it takes from just before the webhook is sent until the issue arrives, on one clock.
`saturated`: as many as 32 connections bring. `killed`: SIGKILL in the middle of what was accepted, and a restart; it ends with 1
when anything of ours is lost or doubled.
"""

import argparse
import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import flows, measure, results, stages
from benchmarks.flows import Flow
from benchmarks.mock_vendors import Desk
from benchmarks.peers import N8N, NODE_RED
from benchmarks.stages import SENDERS, Killable, Stage

KINDS = ("steady", "saturated", "killed")
OTHERS = (NODE_RED.name, N8N.name)
RATE, CONNECTIONS, LATENCY, ABREAST = 50.0, 32, 0.02, 4
# 704 is what Node-RED, which keeps nothing, made on another machine of this class.
MOST_P50, MOST_P99, LEAST_RATE = 6.0, 25.0, 704.0


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
        SystemExit: with 1 when something of ours was lost or doubled.
    """
    parser = argparse.ArgumentParser(prog="benchmarks webhooks", description="from a webhook to its write")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--abreast", type=int, default=ABREAST, help="writes under way at once, as in the settings")
    parser.add_argument("--peers", nargs="*", choices=OTHERS, default=OTHERS, help="other tools beside; none: none")
    asked = parser.parse_args(words)
    what = asked.only
    print(f"from webhook to write, one daemon on SQLite, on {measure.machine()}", flush=True)
    measure.warm_up(stages.MOCK, stages.FLOOR)
    others = {one.peer.name: one for one in flows.found(asked.peers)}
    ours, floor = Found(), Found()
    theirs = {name: Found() for name in others}
    for _ in range(asked.rounds if {"steady", "saturated"} & set(what) else 0):
        measure.wait_for_quiet()
        with stages.floor() as stage:
            measured("floor", stage, what, asked.seconds, asked.events, floor)
        with stages.bridged(asked.abreast) as ours_here:
            measured("cxbridge", ours_here, what, asked.seconds, asked.events, ours)
        for name, flow in list(others.items()):
            try:
                with stages.other(flow) as stage:
                    measured(name, stage, what, asked.seconds, _events(asked.events, flow), theirs[name])
            except measure.Failed as error:
                print(f"without {name}: {error}", flush=True)
                del others[name], theirs[name]
    medians = ours.medians() | {f"floor, {kind}": one for kind, one in floor.medians().items()}
    medians |= {f"{name}, {kind}": one for name, found in theirs.items() for kind, one in found.medians().items()}
    ratios = ratios_of(ours, floor, theirs)
    _show(medians, ratios, [*theirs])
    if ours.others:
        most = max(one for found in (ours, floor, *theirs.values()) for one in found.others)
        print(f"others used up to {most:.2f} cores meanwhile")
    lost = doubled = 0
    if "killed" in what:
        with stages.bridged(asked.abreast) as ours_here:
            lost, doubled = _killed("cxbridge", ours_here, asked.events)
        medians["killed"] = {"lost": lost, "doubled": doubled}
        print(f"the goal is 0 and 0 ({measure.verdict(not lost and not doubled)})")
        medians |= {f"{name}, killed": one for name, one in _killed_others(others, asked.events).items()}
    results.tell(
        "webhooks",
        sizes={"events": asked.events, "seconds": asked.seconds, "rounds": asked.rounds, "abreast": asked.abreast},
        medians=medians,
        ratios=ratios,
        others=max((*ours.others, *floor.others), default=None),
        peers={name: f"{one.peer.version} on node {one.node.version}" for name, one in others.items()},
    )
    if lost or doubled:
        raise SystemExit(1)


def measured(name: str, stage: Stage, what: Sequence[str], seconds: float, events: int, found: Found) -> None:
    """Measure what is asked for of what is warm, and add it to what was found."""
    if "steady" in what:
        _steady(name, stage, seconds, found)
    if "saturated" in what:
        _saturated(name, stage, events, found)


def _events(events: int, flow: Flow) -> int:
    return max(10, round(events * flow.share))


def ratios_of(ours: Found, floor: Found, theirs: Mapping[str, Found]) -> dict[str, float]:
    """Give the ratios within rounds, such that more is better."""
    pairs = {
        "share of the floor": (ours.rate, floor.rate),
        "floor p50 to ours": (floor.p50, ours.p50),
        "floor CPU to ours": (floor.saturated_cpu, ours.saturated_cpu),
    }
    for name, found in theirs.items():
        pairs[f"times {name}"] = (ours.rate, found.rate)
        pairs[f"{name} p50 to ours"] = (found.p50, ours.p50)
        pairs[f"{name} CPU to ours"] = (found.saturated_cpu, ours.saturated_cpu)
    return {
        name: statistics.median(one / other for one, other in zip(*both, strict=True))
        for name, both in pairs.items()
        if both[0]
    }


def _steady(name: str, stage: Stage, seconds: float, found: Found) -> None:
    tickets = range(100_000, 100_000 + round(RATE * seconds))
    wanted = {ticket for ticket in tickets if Desk.urgent(ticket)}
    sender = stage.sender()
    used, watch = measure.cpu_of(stage.pid), measure.Watch([stage.pid, stage.vendors_pid])
    sender.steadily(tickets, RATE, CONNECTIONS)
    arrived = stage.settled(wanted)
    came = stage.whole(arrived, wanted, tickets)
    took = sorted((arrived[ticket][0] - sender.sent.first[ticket]) * 1000 for ticket in came)
    found.p50.append(statistics.median(took))
    found.p99.append(took[min(len(took) - 1, int(len(took) * 0.99))])
    found.steady_cpu.append((measure.cpu_of(stage.pid) - used) / len(tickets) * 1000)
    found.others.append(watch.foreign() or 0.0)
    print(f"{name}, steady: p50 {found.p50[-1]:.1f} ms, p99 {found.p99[-1]:.1f} ms", flush=True)


def _saturated(name: str, stage: Stage, events: int, found: Found) -> None:
    tickets = range(200_000, 200_000 + 2 * events, 2)
    sender = stage.sender()
    used, played = measure.cpu_of(stage.pid), measure.cpu_of(stage.vendors_pid)
    watch = measure.Watch([stage.pid, stage.vendors_pid])
    sender.at_once(tickets, CONNECTIONS)
    arrived = stage.settled(set(tickets))
    came = stage.whole(arrived, set(tickets), tickets)
    begun = min(sender.sent.first.values())
    found.rate.append(len(came) / (max(arrived[ticket][0] for ticket in came) - begun))
    found.accepted.append(events / (max(sender.sent.accepted.values()) - begun))
    found.saturated_cpu.append((measure.cpu_of(stage.pid) - used) / events * 1000)
    found.vendors_cpu.append((measure.cpu_of(stage.vendors_pid) - played) / events * 1000)
    found.others.append(watch.foreign() or 0.0)
    print(f"{name}, saturated: {found.rate[-1]:.1f} writes/s, {found.accepted[-1]:.0f} accepted/s", flush=True)


def _killed(name: str, stage: Killable, events: int) -> tuple[int, int]:
    """Kill it when half of the events are accepted; gives how many were lost, and how many were done twice, in the end.

    Of one that promises nothing only those count as lost that it had accepted before: what it makes of a start after a crash is
    another matter.
    """
    tickets = range(300_000, 300_000 + 2 * events, 2)
    stage.vendors.post(f"/latency/{LATENCY}").raise_for_status()
    sender = stage.sender()

    before: set[int] = set()

    async def kill() -> None:
        while len(sender.sent.accepted) < events // 2:
            await asyncio.sleep(0.002)
        before.update(sender.sent.accepted)
        await asyncio.to_thread(stage.again)

    sender.at_once(tickets, SENDERS, kill)
    stage.settled(set(tickets))
    decided = stage.decided()
    arrived = stage.arrivals()
    never = {ticket for ticket in sender.sent.accepted if ticket not in arrived}
    lost = len(never if stage.promises else never & before)
    doubled = sum(len(arrived.get(ticket, ())) > 1 for ticket in tickets)
    print(
        f"{name}, killed with {len(before):,} of {events:,} accepted, the tracker answering after {LATENCY * 1000:.0f} ms: "
        f"{lost} lost, {doubled} doubled; of those that it accepted after that it lost {len(never - before)}",
        flush=True,
    )
    if not decided:
        print("some deliveries were still under way or in doubt when the time was over")
    return lost, doubled


def _killed_others(others: Mapping[str, Flow], events: int) -> dict[str, dict[str, float]]:
    """Kill the other tools in the same way; gives what they lost and did twice, and of how many events."""
    found: dict[str, dict[str, float]] = {}
    for name, flow in others.items():
        some = _events(events, flow)
        try:
            with stages.other(flow) as stage:
                lost, doubled = _killed(name, stage, some)
        except measure.Failed as error:
            print(f"{name} was not measured over a kill: {error}", flush=True)
            continue
        found[name] = {"lost": lost, "doubled": doubled, "events": some}
    return found


def _show(medians: Mapping[str, Mapping[str, float]], ratios: Mapping[str, float], theirs: Sequence[str]) -> None:
    beside = ("floor", *theirs)
    if "steady" in medians:
        one = medians["steady"]
        for which, most in (("p50", MOST_P50), ("p99", MOST_P99)):
            value = one[f"{which} ms"]
            told = ", ".join(f"{name} {medians[f'{name}, steady'][f'{which} ms']:,.1f}" for name in beside)
            print(
                f"at {RATE:.0f}/s, {which}: {value:.1f} ms, {told}; the goal is {most:.0f} ({measure.verdict(value <= most)})"
            )
        told = ", ".join(f"{name} {medians[f'{name}, steady']['CPU ms']:.1f}" for name in beside)
        print(f"CPU an event, of which half make an issue: {one['CPU ms']:.1f} ms, {told}")
    if "saturated" in medians:
        one = medians["saturated"]
        met = measure.verdict(one["writes/s"] >= LEAST_RATE)
        print(f"over {CONNECTIONS} connections: {one['writes/s']:.1f} writes/s, the goal is {LEAST_RATE:.0f} ({met})")
        for name in beside:
            other = medians[f"{name}, saturated"]
            ratio = ratios["share of the floor" if name == "floor" else f"times {name}"]
            print(
                f"{name} in the same run: {other['writes/s']:.1f} writes/s, {other['accepted/s']:.0f} accepted/s, "
                f"{other['CPU ms']:.1f} ms of CPU; ours is {ratio:.3g} times that"
            )
        print(f"ours accepted {one['accepted/s']:.0f}/s and took {one['CPU ms']:.1f} ms of CPU an event")
        print(f"the played vendors took {one['vendors CPU ms']:.1f} ms of CPU an event of ours")
        if theirs:
            print(
                "other tools read nothing, compare no signature and make one request an event, ours four; see benchmarks.flows"
            )


if __name__ == "__main__":
    main()
