"""Measures the same work on SQLite and on PostgreSQL in turn, on one machine that the server shares, and two workers beside others.

    python -m benchmarks databases [--only pull plan runs webhooks workers] [--tickets 100000] [--recipes 1000] [--runs 2000]
                                   [--events 2000] [--seconds 15] [--rounds 3] [--peers procrastinate]

A pull, planning with a thousand recipes, two-step runs and the way from a webhook to its write are as in the parts of their own.
`workers` is two of our workers on PostgreSQL, each with connections of its own (`benchmarks.bridge_workers`), beside two of
procrastinate's (`benchmarks.peer_procrastinate`), where a run is two jobs of which the first defers the second. A job of theirs
makes one request through the same HTTP client, to a tracker in its process; a step of ours makes two. Goals: twice as many runs as
procrastinate, and 400 a second.

All make every commit durable. The processor time is that of the processes alone: what the server uses of the other core is not in
it.
"""

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure, peers, postgres, results, stages, together, webhooks
from benchmarks.measure import Taken
from benchmarks.peers import PROCRASTINATE
from benchmarks.together import Worked
from benchmarks.webhooks import Found

MOCK, PULL, PUSH = "benchmarks.mock_zendesk", "benchmarks.bridge_pull", "benchmarks.bridge_push"
PLAN, WORKERS = "benchmarks.bridge_plan", "benchmarks.bridge_workers"
RESULTS = "databases.jsonl"
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
OURS = "two workers"
KINDS = ("pull", "plan", "runs", "webhooks", "workers")
TWO, LEAST_TIMES, LEAST_RATE, LIMIT = 2, 2.0, 400.0, 900.0
# As settings are given by the environment.
_STORE = "CXBRIDGE_STORE__URL"


@dataclass(slots=True)
class Kept:
    """All runs of processes of ours by what was done and where, webhooks by where, and workers by whose they are."""

    runs: dict[tuple[str, str], list[Taken]] = field(default_factory=dict)
    webhooks: dict[str, Found] = field(default_factory=dict)
    workers: dict[str, list[tuple[int, Worked]]] = field(default_factory=dict)

    def others(self) -> float | None:
        """Give the most cores that others took, the server among them."""
        found = [one for one in self.webhooks.values() for one in one.others]
        found += [one.foreign for taken in self.runs.values() for one in taken if one.foreign is not None]
        found += [one.foreign for taken in self.workers.values() for _, one in taken if one.foreign is not None]
        return max(found, default=None)


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the table, keep every run in `results/databases.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks databases", description="SQLite beside PostgreSQL")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--tickets", type=int, default=100_000, help="pulled and planned, a multiple of 1000")
    parser.add_argument("--recipes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    names = [PROCRASTINATE.name]
    parser.add_argument("--peers", nargs="*", choices=names, default=names, help="none: none")
    asked = parser.parse_args(words)
    print(f"two databases on {measure.machine()}", flush=True)
    measure.warm_up(PULL, PUSH, PLAN, WORKERS, stages.MOCK)
    beside = peers.installed([PROCRASTINATE] if asked.peers and "workers" in asked.only else [])
    python = beside.get(PROCRASTINATE)
    kept = Kept()
    with measure.server(MOCK, "--tickets", str(asked.tickets)) as (url, vendor), postgres.server() as fresh:
        for _ in range(asked.rounds):
            measure.wait_for_quiet([vendor])
            for name in (SQLITE, POSTGRESQL):
                for what, size, module, more in _processes(asked, url):
                    with _on(fresh() if name == POSTGRESQL else None), measure.folder() as place:
                        taken = measure.run(
                            f"{what}, {name}", size, [module, *more, "--folder", str(place)], [vendor], limit=LIMIT
                        )
                    measure.keep(RESULTS, taken)
                    kept.runs.setdefault((what, name), []).append(taken)
                if "webhooks" in asked.only:
                    found = kept.webhooks.setdefault(name, Found())
                    with _on(fresh() if name == POSTGRESQL else None), stages.bridged(webhooks.ABREAST) as stage:
                        webhooks.measured(name, stage, webhooks.KINDS[:2], asked.seconds, asked.events, found)
            if "workers" in asked.only:
                with _on(fresh()):
                    kept.workers.setdefault(OURS, []).append(_ours(asked.runs))
                if python is not None:
                    python = _theirs(python, fresh(), asked.runs, kept)
    _show(kept, asked)


def _processes(asked: argparse.Namespace, url: str) -> Iterator[tuple[str, int, str, Sequence[str]]]:
    """Give what is measured as a process: its name, its size, its module and its options."""
    plan = ["--tickets", str(asked.tickets), "--recipes", str(asked.recipes)]
    for what, size, module, words in (
        ("pull", asked.tickets, PULL, ["--again", "--url", url]),
        ("plan", asked.tickets, PLAN, plan),
        ("runs", asked.runs, PUSH, ["--runs", str(asked.runs)]),
    ):
        if what in asked.only:
            yield what, size, module, words


@contextmanager
def _on(store: str | None) -> Iterator[None]:
    """Have this process and those that it starts meanwhile work on this store; the one in their folder where it is None."""
    if store is not None:
        os.environ[_STORE] = store
    try:
        yield
    finally:
        os.environ.pop(_STORE, None)


def _ours(tickets: int) -> tuple[int, Worked]:
    """Let two workers of ours do the runs of so many tickets; gives how many runs those were.

    Raises:
        Failed: when not every step was done once.
    """
    with measure.folder() as place:
        where = ["--folder", str(place)]
        filled = measure.run(OURS, tickets, [WORKERS, "fill", *where, "--tickets", str(tickets)], limit=LIMIT)
        runs = int(filled.told["runs"])
        commands = [[WORKERS, "work", *where, "--number", str(number)] for number in range(TWO)]
        return runs, _whole(OURS, runs, together.work(OURS, commands))


def _theirs(python: Path, store: str, runs: int, kept: Kept) -> Path | None:
    """Let two workers of procrastinate's do so many runs; gives its interpreter, or None where it cannot."""
    name, module = PROCRASTINATE.name, PROCRASTINATE.module
    try:
        words = [module, "fill", "--store", store, "--runs", str(runs)]
        measure.run(name, runs, words, limit=LIMIT, python=python)
        worked = together.work(name, [[module, "work", "--store", store]] * TWO, python)
        kept.workers.setdefault(name, []).append((runs, _whole(name, runs, worked)))
    except measure.Failed as error:
        print(f"without {name}: {error}", flush=True)
        kept.workers.pop(name, None)
        return None
    return python


def _whole(name: str, runs: int, worked: Worked) -> Worked:
    """See that every step was done once."""
    steps = sum(one["steps"] for one in worked.told)
    if steps != 2 * runs:
        raise measure.Failed(f"{name} did {steps} steps of {2 * runs}")
    return worked


# Rows of the table: unit and what it is, of which runs, and the figure of one.
_ROWS: Mapping[str, tuple[str, Callable[[Taken], float]]] = {
    "pulled, tickets/s": ("pull", lambda one: one.size / one.told["seconds"]),
    "pulled again, nothing changed, tickets/s": ("pull", lambda one: one.size / one.told["again_seconds"]),
    "store, MB": ("pull", lambda one: one.told["store_mb"]),
    "planned, tickets/s": ("plan", lambda one: one.size / one.told["seconds"]),
    "two-step runs/s": ("runs", lambda one: one.told["runs"] / one.told["seconds"]),
    "CPU of a run, ms": ("runs", lambda one: one.told["cpu"] / one.told["runs"] * 1000),
}


def _show(kept: Kept, asked: argparse.Namespace) -> None:
    medians: dict[str, dict[str, float]] = {SQLITE: {}, POSTGRESQL: {}}
    for database, figures in medians.items():
        for name, (what, figure) in _ROWS.items():
            if what in asked.only:
                figures[name] = results.median(kept.runs[what, database], figure)
        if "webhooks" in asked.only:
            found = kept.webhooks[database].medians()
            figures |= {
                "webhook to write at 50/s, p50, ms": found["steady"]["p50 ms"],
                "webhook to write at 50/s, p99, ms": found["steady"]["p99 ms"],
                "webhook to write, writes/s": found["saturated"]["writes/s"],
                "CPU of a webhook, ms": found["saturated"]["CPU ms"],
            }
    print(f"\n{'':42}{SQLITE:>12}{POSTGRESQL:>12}")
    for name, value in medians[SQLITE].items():
        print(f"{name:42}{value:>12,.1f}{medians[POSTGRESQL][name]:>12,.1f}")
    for name, taken in kept.workers.items():
        rate = statistics.median(runs / one.seconds for runs, one in taken)
        cpu = statistics.median(one.cpu / runs * 1000 for runs, one in taken)
        medians[f"{name} on PostgreSQL"] = {"runs/s": rate, "CPU ms": cpu}
        goal = f"; the goal is {LEAST_RATE:.0f} ({measure.verdict(rate >= LEAST_RATE)})" if name == OURS else ""
        print(f"{name} on PostgreSQL, two processes: {rate:.1f} runs/s, {cpu:.1f} ms of CPU each{goal}")
    ratios = _ratios(kept)
    times = ratios.get(f"times {PROCRASTINATE.name}")
    if times is not None:
        met = measure.verdict(times >= LEAST_TIMES)
        print(f"times {PROCRASTINATE.name}: {times:.2f}, the goal is {LEAST_TIMES:.0f} ({met})")
    others = kept.others()
    print(
        "others: cores that others took, the server among them, in the worst run:",
        "?" if others is None else f"{others:.2f}",
    )
    results.tell(
        "databases",
        sizes={one: getattr(asked, one) for one in ("tickets", "recipes", "runs", "events", "seconds", "rounds")},
        medians={name: figures for name, figures in medians.items() if figures},
        ratios=ratios,
        others=others,
        peers={PROCRASTINATE.name: PROCRASTINATE.version} if PROCRASTINATE.name in kept.workers else None,
    )


def _ratios(kept: Kept) -> dict[str, float]:
    """Give the ratios within rounds, such that more is better."""
    found = {
        f"{what} on PostgreSQL to SQLite": results.ratio(
            kept.runs[what, POSTGRESQL], kept.runs[what, SQLITE], lambda one: one.size / one.told["seconds"]
        )
        for what in dict.fromkeys(what for what, _ in kept.runs)
    }
    if kept.webhooks:
        ours, other = kept.webhooks[POSTGRESQL], kept.webhooks[SQLITE]
        found["webhooks on PostgreSQL to SQLite"] = _median(ours.rate, other.rate)
        found["webhook p50 on SQLite to PostgreSQL"] = _median(other.p50, ours.p50)
    if PROCRASTINATE.name in kept.workers:
        rates = {name: [runs / one.seconds for runs, one in taken] for name, taken in kept.workers.items()}
        found[f"times {PROCRASTINATE.name}"] = _median(rates[OURS], rates[PROCRASTINATE.name])
    return found


def _median(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
