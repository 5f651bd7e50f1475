"""Measures how many two-step runs are done a second, each write marked, made, recorded and audited, beside a floor and DBOS.

    python -m benchmarks push [--runs 2000] [--rounds 3] [--abreast 1] [--peers DBOS]

The vendors answer at once and in the same process, so that what is measured is ours alone: both commits of each write, the client,
the connector. A second part lets them answer after 100 ms, with eight writes abreast: there the share of what that
latency permits is told. The floor (`benchmarks.floor_push`) takes turns with it, and so does DBOS (`benchmarks.peer_dbos`), which
keeps a journal of steps in SQLite as well. A step of theirs makes one request through the same HTTP client, to a tracker in its
process; one of ours looks besides whether that was done before, with a request of its own for the note, and with one for up to
fifty issues. Goals: half of the floor, 15 times DBOS and 1 ms of processor a run; 90 % of what the latency permits.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure, peers, results
from benchmarks.measure import Taken
from benchmarks.peers import DBOS, Peer

PUSH, FLOOR = "benchmarks.bridge_push", "benchmarks.floor_push"
RESULTS = "push.jsonl"
LATENCY, ABREAST, SLOW_RUNS = 0.1, 8, 200
LEAST_SHARE, LEAST_TIMES, MOST_CPU_MS, LEAST_PERMITTED = 0.5, 15.0, 1.0, 0.9


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the figures, keep every run in `results/push.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks push", description="two-step runs/s, beside a floor by hand")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--abreast", type=int, help="of our writes so many at once; one where this is not said, of DBOS's a hundred"
    )
    parser.add_argument("--peers", nargs="*", choices=[DBOS.name], default=[DBOS.name], help="none: none")
    asked = parser.parse_args(words)
    print(f"two-step runs on SQLite on {measure.machine()}")
    measure.warm_up(PUSH, FLOOR)
    beside = peers.installed([DBOS] if asked.peers else [])
    ours, floors = [], []
    theirs: dict[Peer, list[Taken]] = {peer: [] for peer in beside}
    for _ in range(asked.rounds):
        measure.wait_for_quiet()
        floors.append(_one("floor", FLOOR, asked.runs))
        ours.append(_one("cxbridge", PUSH, asked.runs, *(["--abreast", str(asked.abreast)] if asked.abreast else [])))
        for peer in list(theirs):
            try:
                theirs[peer].append(_one(peer.name, peer.module, asked.runs, python=beside[peer]))
            except measure.Failed as error:
                print(f"without {peer.name}: {error}", flush=True)
                del theirs[peer]
    slow = _one("slow", PUSH, SLOW_RUNS, "--latency", str(LATENCY), "--abreast", str(ABREAST))
    rate = results.median(ours, _rate)
    share = results.ratio(ours, floors, _rate)
    cpu, floor_cpu = results.median(ours, _cpu_ms), results.median(floors, _cpu_ms)
    met = measure.verdict(cpu <= MOST_CPU_MS)
    print(f"done:    {rate:>8,.0f} runs/s, {cpu:.2f} ms of CPU each; the goal is {MOST_CPU_MS} ({met})")
    floor = results.median(floors, _rate)
    print(f"floor:   {floor:>8,.0f} runs/s, {floor_cpu:.2f} ms of CPU each")
    print(f"share of the floor: {share:.0%}, the goal is {LEAST_SHARE:.0%} ({measure.verdict(share >= LEAST_SHARE)})")
    medians, times = {}, {}
    for peer, taken in theirs.items():
        medians[peer.name] = {"runs/s": results.median(taken, _rate), "CPU ms": results.median(taken, _cpu_ms)}
        times[f"times {peer.name}"] = ratio = results.ratio(ours, taken, _rate)
        print(
            f"{peer.name}: {medians[peer.name]['runs/s']:>11,.0f} runs/s, {medians[peer.name]['CPU ms']:.2f} ms of CPU each"
        )
        print(
            f"times {peer.name}: {ratio:.1f}, the goal is {LEAST_TIMES:.0f} ({measure.verdict(ratio >= LEAST_TIMES)})"
        )
    # Those that are under way at once follow each other; the requests of one run do, too.
    permitted = ABREAST / LATENCY * slow.told["runs"] / slow.told["requests"]
    reached = _rate(slow) / permitted
    print(
        f"answered after {LATENCY * 1000:.0f} ms, {ABREAST} abreast: {_rate(slow):.1f} runs/s of {permitted:.1f} permitted: "
        f"{reached:.0%}, the goal is {LEAST_PERMITTED:.0%} ({measure.verdict(reached >= LEAST_PERMITTED)})"
    )
    others = results.most_others((*ours, *floors, *(one for taken in theirs.values() for one in taken)))
    if others is not None:
        print(f"others used up to {others:.2f} cores meanwhile")
    results.tell(
        "push",
        sizes={"runs": asked.runs, "rounds": asked.rounds} | ({"abreast": asked.abreast} if asked.abreast else {}),
        medians={
            "cxbridge": {"runs/s": rate, "CPU ms": cpu},
            "floor": {"runs/s": floor, "CPU ms": floor_cpu},
            **medians,
            f"cxbridge, {LATENCY * 1000:.0f} ms latency": {"runs/s": _rate(slow)},
        },
        ratios={"share of the floor": share, "share of what latency permits": reached, **times},
        others=others,
        peers={peer.name: peer.version for peer in theirs},
    )


def _one(name: str, module: str, runs: int, *more: str, python: Path | None = None) -> Taken:
    with measure.folder() as place:
        taken = measure.run(name, runs, [module, "--folder", str(place), "--runs", str(runs), *more], python=python)
    measure.keep(RESULTS, taken)
    return taken


def _cpu_ms(one: Taken) -> float:
    return float(one.told["cpu"] / one.told["runs"] * 1000)


def _rate(one: Taken) -> float:
    return float(one.told["runs"] / one.told["seconds"])


if __name__ == "__main__":
    main()
