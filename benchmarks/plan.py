"""Measures how fast changes pass the planner, with the shipped recipe and with up to a thousand others, and prints the rates.

    python -m benchmarks plan [--tickets 100000] [--rounds 2] [--recipes 1 10 100 1000]

Nearly all changes of a help desk lead to nothing, so their price is what a recipe costs: with the shipped recipe no ticket asks for
anything. Of the others, which are made up, each wants what one ticket in a hundred has, or one of them: what a change costs must
not grow with the recipes that it does not concern. Every run is a process of its own (`benchmarks.bridge_plan`). A rate counts
tickets; the log holds the changes of people and companies as well, which no recipe watches. Goals: 5,000 tickets/s with the
shipped recipe, 20,000 changes/s with a thousand, and 50 µs for a condition.
"""

import argparse
from collections.abc import Sequence

from benchmarks import measure, results
from benchmarks.bridge_plan import ONE_IN
from benchmarks.measure import Taken

PLAN = "benchmarks.bridge_plan"
LEAST_RATE, LEAST_WITH_MANY, MANY, MOST_CONDITION = 5_000, 20_000, 1_000, 50


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the rates, keep every run in `results/plan.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks plan", description="changes/s through the planner")
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--recipes", type=int, nargs="*", default=[1, 10, 100, MANY], help="how many made-up recipes")
    asked = parser.parse_args(words)
    print(f"planning on {measure.machine()}")
    measure.warm_up(PLAN)
    shipped: list[Taken] = []
    made_up: dict[int, list[Taken]] = {number: [] for number in asked.recipes}
    for _ in range(asked.rounds):
        shipped.append(_one(asked.tickets, 0))
        for number, taken in made_up.items():
            taken.append(_one(asked.tickets, number))
    rate = results.median(shipped, _rate)
    print(f"{asked.tickets:,} created tickets among {shipped[0].told['changes']:,} changes, median of {len(shipped)}")
    met = measure.verdict(rate >= LEAST_RATE)
    cpu = results.median(shipped, _cpu)
    print(f"shipped recipe:  {rate:>8,.0f} tickets/s, {cpu:.0f} µs of CPU each; the goal is {LEAST_RATE:,} ({met})")
    swept = results.median(shipped, lambda one: asked.tickets / one.told["sweep_seconds"])
    print(f"swept:           {swept:>8,.0f} tickets/s")
    known = results.median(shipped, lambda one: one.told["people"] / one.told["people_seconds"])
    print(f"matched:         {known:>8,.0f} people and companies/s, none of whom is anybody else")
    medians = {"shipped recipe": {"tickets/s": rate, "CPU µs": cpu}, "sweep": {"tickets/s": swept}}
    for number, taken in made_up.items():
        medians[f"{number} recipes"] = _told(number, taken)
    everything = [*shipped, *(one for taken in made_up.values() for one in taken)]
    condition = results.median(everything, lambda one: one.told["condition"])
    met = measure.verdict(condition <= MOST_CONDITION)
    print(f"a condition:     {condition:>8.1f} µs (median); the goal is {MOST_CONDITION} ({met})")
    print(f"peak memory with filling the store: {max(one.peak_mb for one in everything):.0f} MB")
    others = results.most_others(everything)
    if others is not None:
        print(f"others used up to {others:.2f} cores meanwhile")
    ratios = {}
    if made_up:
        few, many = min(made_up), max(made_up)
        ratios[f"rate with {many} recipes to that with {few}"] = results.ratio(made_up[many], made_up[few], _rate)
    results.tell(
        "plan",
        sizes={"tickets": asked.tickets, "rounds": asked.rounds},
        medians={**medians, "condition": {"µs": condition}},
        ratios=ratios,
        others=others,
    )


def _one(tickets: int, recipes: int) -> Taken:
    """Run it once, and keep the run; 0 is the shipped recipe."""
    measure.wait_for_quiet()
    with measure.folder() as place:
        arguments = [PLAN, "--folder", str(place), "--tickets", str(tickets), "--recipes", str(recipes)]
        taken = measure.run("plan" if not recipes else f"plan with {recipes} recipes", tickets, arguments)
    wanted = {"considered": tickets * max(1, recipes), "started": -(-tickets // ONE_IN) if recipes else 0}
    if any(taken.told[name] != number for name, number in wanted.items()):
        raise SystemExit(f"not every recipe had every ticket counted, or the wrong ones acted: {taken.told}")
    measure.keep("plan.jsonl", taken)
    return taken


def _told(number: int, taken: Sequence[Taken]) -> dict[str, float]:
    """Print what so many recipes came to, and give it by unit."""
    rate, cpu = results.median(taken, _rate), results.median(taken, _cpu)
    logged = results.median(taken, lambda one: one.told["changes"] / one.told["seconds"])
    load = results.median(taken, lambda one: one.told["load_seconds"])
    # Judged by the tickets alone: changes that nobody watches are hardly read.
    goal = f"; the goal is {LEAST_WITH_MANY:,} ({measure.verdict(rate >= LEAST_WITH_MANY)})" if number >= MANY else ""
    print(
        f"{number:>5,} recipes:   {rate:>8,.0f} tickets/s, {cpu:.0f} µs of CPU each, one in {ONE_IN} a run{goal}; "
        f"{logged:,.0f} changes/s of all; opened with them in {load:.1f} s"
    )
    return {"tickets/s": rate, "CPU µs": cpu, "changes/s": logged, "load s": load}


def _rate(taken: Taken) -> float:
    return float(taken.size / taken.told["seconds"])


def _cpu(taken: Taken) -> float:
    return float(taken.told["cpu"] / taken.size * 1e6)


if __name__ == "__main__":
    main()
