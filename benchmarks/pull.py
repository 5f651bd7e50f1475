"""Measures the pull of tickets into an embedded store, beside two floors and other tools in the same run, and prints a table.

    python -m benchmarks pull [--tickets 100000] [--rounds 3] [--peer-tickets 10000] [--minutes 8]

Every run is a process of its own against a mock in another one, over loopback. In each round the bare floor, the careful loop
(`benchmarks.floor`), the pull and the other tools (`benchmarks.peers`) take turns, so that all meet the same machine; ratios are
taken within a round. Other tools are slow: they pull `--peer-tickets`, and are held against a pull of as many.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure, peers, results
from benchmarks.measure import Taken
from benchmarks.peers import Peer

SMALL = 10_000
MOCK, FLOOR, PULL = "benchmarks.mock_zendesk", "benchmarks.floor", "benchmarks.bridge_pull"
BARE, CAREFUL, OURS, AGAIN, SIDELOADS = "floor", "careful loop", "cxbridge", "unchanged", "sideloads"
RESULTS = "pull.jsonl"
# The fastest other tool measured on another machine of this class, tickets/s into SQLite: told where none can be installed.
ELSEWHERE = 1_410
LEAST_SHARE, LEAST_CAREFUL, LEAST_TIMES, LEAST_AGAIN = 0.25, 0.6, 10.0, 2.0
MOST_CPU, MOST_MB, MOST_GROWTH_MB, MOST_STORE_MB = 6.0, 80.0, 10.0, 150.0


@dataclass(slots=True)
class Found:
    """All runs, by what was measured and how many tickets it was."""

    large: int
    beside: int
    peers: dict[Peer, Path]
    runs: dict[tuple[str, int], list[Taken]] = field(default_factory=dict)

    def add(self, taken: Taken) -> None:
        """Take a run in."""
        self.runs.setdefault((taken.name, taken.size), []).append(taken)

    def of(self, name: str, size: int | None = None) -> list[Taken]:
        """Give the runs of one kind, of the large size where none is named."""
        return self.runs.get((name, size or self.large), [])

    def fastest(self) -> Peer | None:
        """Name the fastest of the other tools; None where none ran."""
        rates = {one: results.median(runs, _rate) for one in self.peers if (runs := self.of(one.name, self.beside))}
        return max(rates, key=lambda one: rates[one], default=None)


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the table, keep every run in `results/pull.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(
        prog="benchmarks pull", description="tickets/s of a pull, beside floors and other tools"
    )
    parser.add_argument("--tickets", type=int, default=100_000, help="of the large run, a multiple of 1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-tickets", type=int, default=SMALL, help="for other tools, a multiple of 1000; 0: none")
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no round after this long")
    asked = parser.parse_args(words)
    print(f"pull of tickets into SQLite on {measure.machine()}")
    measure.warm_up(FLOOR, PULL)
    found = Found(asked.tickets, asked.peer_tickets, peers.installed() if asked.peer_tickets else {})
    until = time.monotonic() + asked.minutes * 60
    for size in dict.fromkeys(one for one in (SMALL, asked.peer_tickets, asked.tickets) if one):
        with measure.server(MOCK, "--tickets", str(size)) as (url, mock):
            for number in range(asked.rounds):
                if number and time.monotonic() > until:
                    print(f"{number} rounds of {size:,} tickets: there is no time for more")
                    break
                measure.wait_for_quiet([mock])
                _round(found, size, url, mock)
    if time.monotonic() < until:
        with measure.server(MOCK, "--tickets", str(SMALL), "--sideloads") as (url, mock):
            found.add(_one(SIDELOADS, SMALL, [PULL, "--url", url], mock))
    _show(found)
    _tell(found, asked.rounds)


def _round(found: Found, size: int, url: str, mock: int) -> None:
    found.add(_one(BARE, size, [FLOOR, "--url", url], mock))
    found.add(_one(CAREFUL, size, [FLOOR, "--url", url, "--careful"], mock))
    found.add(_one(OURS, size, [PULL, "--url", url], mock))
    if size == found.large:
        found.add(_one(AGAIN, size, [PULL, "--url", url, "--again"], mock))
    if size != found.beside:
        return
    for peer, python in list(found.peers.items()):
        try:
            found.add(_one(peer.name, size, [peer.module, "--url", url], mock, python))
        except measure.Failed as error:
            print(f"without {peer.name}: {error}", flush=True)
            del found.peers[peer]


def _one(name: str, size: int, arguments: Sequence[str], mock: int, python: Path | None = None) -> Taken:
    with measure.folder() as place:
        taken = measure.run(name, size, [*arguments, "--folder", str(place)], [mock], python=python)
    if taken.told["rows"] != size or taken.told.get("refused", 0) or taken.told.get("again_changed", 0):
        raise measure.Failed(f"{name} did not store {size} tickets as they are: {taken.told}")
    measure.keep(RESULTS, taken)
    return taken


def _rate(one: Taken) -> float:
    return one.rate


def _show(found: Found) -> None:
    print(f"\n{'':24}{'tickets/s':>11}{'of careful':>12}{'best':>10}{'CPU µs each':>13}{'peak MB':>9}{'others':>8}")
    for (name, size), runs in found.runs.items():
        if name in (AGAIN, SIDELOADS):
            continue
        share = "" if name == CAREFUL else f"{results.ratio(runs, found.of(CAREFUL, size)[: len(runs)], _rate):.0%}"
        others = results.most_others(runs)
        print(
            f"{f'{name}, {size:,}':24}{results.median(runs, _rate):>11,.0f}{share:>12}{max(map(_rate, runs)):>10,.0f}"
            f"{results.median(runs, lambda one: one.cpu_each):>13.1f}{max(one.peak_mb for one in runs):>9.0f}"
            f"{'?' if others is None else f'{others:.2f}':>8}"
        )
    print("whole processes, start and end included, medians; others: cores that others took, in the worst run")
    runs = found.of(OURS)
    inner, floor, careful = (results.median(found.of(name), _inner) for name in (OURS, BARE, CAREFUL))
    print(
        f"\nwithout starting and closing: {inner:,.0f} tickets/s, bare floor {floor:,.0f}, careful loop {careful:,.0f}"
    )
    ratios = _ratios(found)
    _goal("share of the careful loop", ratios["share of the careful loop"], LEAST_CAREFUL, "{:.0%}")
    _goal("share of the bare floor", ratios["share of the bare floor"], LEAST_SHARE, "{:.0%}")
    fastest = found.fastest()
    if fastest is None:
        print(f"no other tool could be measured here; the fastest measured elsewhere made {ELSEWHERE:,} tickets/s:")
        _goal("times as fast as that", results.median(runs, _rate) / ELSEWHERE, LEAST_TIMES, "{:.1f}")
    else:
        print(
            f"the fastest other tool is {fastest.name} {fastest.version}; all of them pulled {found.beside:,} tickets, as"
        )
        print("they are slow, and are held against a pull of as many, from which nothing is subtracted either:")
        _goal("times as fast", ratios["times the fastest peer"], LEAST_TIMES, "{:.1f}")
        if found.beside != found.large:
            slow = results.median(found.of(fastest.name, found.beside), _rate)
            print(
                f"at {found.large:,} tickets {results.median(runs, _rate) / slow:.1f} times its rate at {found.beside:,}"
            )
    _goal("pulled again, unchanged: times the rate", ratios["unchanged to first"], LEAST_AGAIN, "{:.1f}")
    cpu = results.median(runs, lambda one: one.cpu_each) / 10
    print(f"CPU per 100,000: {cpu:.1f} s, the goal is {MOST_CPU:.0f} ({measure.verdict(cpu <= MOST_CPU)})")
    peak = max(one.peak_mb for one in runs)
    print(f"peak memory: {peak:.0f} MB, the goal is {MOST_MB:.0f} ({measure.verdict(peak <= MOST_MB)})")
    if found.large != SMALL:
        growth = peak - max(one.peak_mb for one in found.of(OURS, SMALL))
        flat = "flat" if growth < MOST_GROWTH_MB else "NOT FLAT"
        print(f"peak memory from {SMALL:,} to {found.large:,} tickets: {growth:+.0f} MB ({flat})")
    store = _store_mb(found)
    met = measure.verdict(store <= MOST_STORE_MB)
    print(f"the store: {store:.0f} MB per 100,000, the goal is {MOST_STORE_MB:.0f} ({met})")
    for one in found.of(SIDELOADS, SMALL):
        print(
            f"with people, companies and metrics beside each page: {SMALL / one.told['seconds']:,.0f} tickets/s, "
            f"{one.told['records'] / one.told['seconds']:,.0f} records/s"
        )


def _goal(what: str, value: float, least: float, form: str) -> None:
    print(f"{what}: {form.format(value)}, the goal is {form.format(least)} ({measure.verdict(value >= least)})")


def _inner(one: Taken) -> float:
    return one.size / float(one.told["seconds"])


def _store_mb(found: Found) -> float:
    return float(results.median(found.of(OURS), lambda one: one.told["store_mb"]) * 100_000 / found.large)


def _ratios(found: Found) -> dict[str, float]:
    ours = found.of(OURS)
    ratios = {
        "share of the bare floor": results.ratio(ours, found.of(BARE), _rate),
        "share of the careful loop": results.ratio(ours, found.of(CAREFUL), _rate),
        "unchanged to first": results.median(
            found.of(AGAIN), lambda one: one.told["seconds"] / one.told["again_seconds"]
        ),
    }
    for peer in found.peers:
        theirs = found.of(peer.name, found.beside)
        ratios[f"times {peer.name}"] = results.ratio(found.of(OURS, found.beside)[: len(theirs)], theirs, _rate)
    fastest = found.fastest()
    if fastest is not None:
        ratios["times the fastest peer"] = ratios[f"times {fastest.name}"]
    return ratios


def _tell(found: Found, rounds: int) -> None:
    medians = {
        f"{name}, {size:,}": {
            "tickets/s": results.median(runs, _rate),
            "CPU µs": results.median(runs, lambda one: one.cpu_each),
            "peak MB": max(one.peak_mb for one in runs),
        }
        for (name, size), runs in found.runs.items()
        if name not in (AGAIN, SIDELOADS)
    }
    ours = medians[f"{OURS}, {found.large:,}"]
    ours["store MB per 100,000"] = _store_mb(found)
    medians[f"{AGAIN}, {found.large:,}"] = {
        "tickets/s": results.median(found.of(AGAIN), lambda one: one.size / float(one.told["again_seconds"]))
    }
    results.tell(
        "pull",
        sizes={"tickets": found.large, "peer tickets": found.beside, "rounds": rounds},
        medians=medians,
        ratios=_ratios(found),
        others=results.most_others(one for runs in found.runs.values() for one in runs),
        peers={peer.name: peer.version for peer in found.peers},
    )


if __name__ == "__main__":
    main()
