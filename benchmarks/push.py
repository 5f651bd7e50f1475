"""Measures how many two-step runs are done a second, each write marked, made, recorded and audited, beside a floor by hand.

    python -m benchmarks push [--runs 2000] [--rounds 3]

The vendors answer at once and in the same process, so that what is measured is ours alone: both commits of each write, the client,
the connector. A second part lets them answer after 100 ms, with eight writes abreast: there the share of what that
latency permits is told. The floor (`benchmarks.floor_push`) takes turns with it. Goals: half of the floor and 1 ms of processor a
run; 90 % of what the latency permits.
"""

import argparse
import statistics
from collections.abc import Sequence

from benchmarks import measure
from benchmarks.measure import Taken

PUSH, FLOOR = "benchmarks.bridge_push", "benchmarks.floor_push"
RESULTS = "push.jsonl"
LATENCY, ABREAST, SLOW_RUNS = 0.1, 8, 200
LEAST_SHARE, MOST_CPU_MS, LEAST_PERMITTED = 0.5, 1.0, 0.9


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the figures and keep every run in `results/push.jsonl`."""
    parser = argparse.ArgumentParser(prog="benchmarks push", description="two-step runs/s, beside a floor by hand")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(words)
    print(f"two-step runs on SQLite on {measure.machine()}")
    measure.warm_up(PUSH, FLOOR)
    ours, floors = [], []
    for _ in range(asked.rounds):
        measure.wait_for_quiet()
        floors.append(_one("floor", FLOOR, asked.runs))
        ours.append(_one("cxbridge", PUSH, asked.runs))
    slow = _one("slow", PUSH, SLOW_RUNS, "--latency", str(LATENCY), "--abreast", str(ABREAST))
    rate = statistics.median(_rate(one) for one in ours)
    share = statistics.median(_rate(one) / _rate(floor) for one, floor in zip(ours, floors, strict=True))
    cpu = statistics.median(one.told["cpu"] / one.told["runs"] * 1000 for one in ours)
    floor_cpu = statistics.median(one.told["cpu"] / one.told["runs"] * 1000 for one in floors)
    met = measure.verdict(cpu <= MOST_CPU_MS)
    print(f"done:    {rate:>8,.0f} runs/s, {cpu:.2f} ms of CPU each; the goal is {MOST_CPU_MS} ({met})")
    floor = statistics.median(_rate(one) for one in floors)
    print(f"floor:   {floor:>8,.0f} runs/s, {floor_cpu:.2f} ms of CPU each")
    print(f"share of the floor: {share:.0%}, the goal is {LEAST_SHARE:.0%} ({measure.verdict(share >= LEAST_SHARE)})")
    # Those that are under way at once follow each other; the requests of one run do, too.
    permitted = ABREAST / LATENCY * slow.told["runs"] / slow.told["requests"]
    reached = _rate(slow) / permitted
    print(
        f"answered after {LATENCY * 1000:.0f} ms, {ABREAST} abreast: {_rate(slow):.1f} runs/s of {permitted:.1f} permitted: "
        f"{reached:.0%}, the goal is {LEAST_PERMITTED:.0%} ({measure.verdict(reached >= LEAST_PERMITTED)})"
    )
    others = max((one.foreign for one in (*ours, *floors) if one.foreign is not None), default=None)
    if others is not None:
        print(f"others used up to {others:.2f} cores meanwhile")


def _one(name: str, module: str, runs: int, *more: str) -> Taken:
    with measure.folder() as place:
        taken = measure.run(name, runs, [module, "--folder", str(place), "--runs", str(runs), *more])
    measure.keep(RESULTS, taken)
    return taken


def _rate(one: Taken) -> float:
    return float(one.told["runs"] / one.told["seconds"])


if __name__ == "__main__":
    main()
