"""Measures how fast changes that lead to nothing pass the planner, with the shipped recipe, and prints the rates.

    python -m benchmarks plan [--tickets 100000] [--rounds 2]

Nearly all changes of a help desk lead to nothing, so their price is what a recipe costs. Every run is a process of its own
(`benchmarks.bridge_plan`). Goal: 5,000 changes/s.
"""

import argparse
import statistics
from collections.abc import Sequence

from benchmarks import measure

PLAN = "benchmarks.bridge_plan"
LEAST_RATE = 5_000


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the rates and keep every run in `results/plan.jsonl`."""
    parser = argparse.ArgumentParser(prog="benchmarks plan", description="changes/s through the planner")
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args(words)
    print(f"planning with the shipped recipe on {measure.machine()}")
    measure.warm_up(PLAN)
    runs = []
    for _ in range(asked.rounds):
        measure.wait_for_quiet()
        with measure.folder() as place:
            arguments = [PLAN, "--folder", str(place), "--tickets", str(asked.tickets)]
            taken = measure.run("plan", asked.tickets, arguments)
        if taken.told["considered"] != asked.tickets or taken.told["started"]:
            raise SystemExit(f"not every ticket was looked at and left alone: {taken.told}")
        measure.keep("plan.jsonl", taken)
        runs.append(taken)
    rate = statistics.median(asked.tickets / one.told["seconds"] for one in runs)
    each = statistics.median(one.told["cpu"] / asked.tickets * 1e6 for one in runs)
    swept = statistics.median(asked.tickets / one.told["sweep_seconds"] for one in runs)
    known = statistics.median(one.told["people"] / one.told["people_seconds"] for one in runs)
    others = max((one.foreign for one in runs if one.foreign is not None), default=None)
    print(f"{asked.tickets:,} created tickets among {runs[0].told['changes']:,} changes, median of {len(runs)}")
    met = measure.verdict(rate >= LEAST_RATE)
    print(f"planned:  {rate:>8,.0f} tickets/s, {each:.0f} µs of CPU each; the goal is {LEAST_RATE:,} ({met})")
    print(f"swept:    {swept:>8,.0f} tickets/s")
    print(f"matched:  {known:>8,.0f} people and companies/s, none of whom is anybody else")
    print(f"peak memory with filling the store: {max(one.peak_mb for one in runs):.0f} MB")
    if others is not None:
        print(f"others used up to {others:.2f} cores meanwhile")


if __name__ == "__main__":
    main()
