"""Measures a pull and two-step runs on SQLite and on PostgreSQL in turn, on one machine that the server shares.

    python -m benchmarks databases [--tickets 100000] [--runs 2000] [--rounds 3]

Both make every commit durable. The processor time is that of cxbridge alone: what the server uses of the other core is not in it.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks import measure, postgres, results
from benchmarks.measure import Taken

MOCK, PULL, PUSH = "benchmarks.mock_zendesk", "benchmarks.bridge_pull", "benchmarks.bridge_push"
RESULTS = "databases.jsonl"
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
# As settings are given by the environment.
_STORE = "CXBRIDGE_STORE__URL"


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the table, keep every run in `results/databases.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks databases", description="SQLite beside PostgreSQL")
    parser.add_argument("--tickets", type=int, default=100_000, help="a multiple of 1000")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(words)
    print(f"two databases on {measure.machine()}")
    measure.warm_up(PULL, PUSH)
    found: dict[tuple[str, str], list[Taken]] = {}
    mock = (MOCK, "--tickets", str(asked.tickets))
    with measure.server(*mock) as (url, vendor), postgres.server() as fresh:
        for _ in range(asked.rounds):
            measure.wait_for_quiet([vendor])
            for name in (SQLITE, POSTGRESQL):
                for what, size, words_of_it in (
                    ("pull", asked.tickets, [PULL, "--again", "--url", url]),
                    ("runs", asked.runs, [PUSH, "--runs", str(asked.runs)]),
                ):
                    with _on(fresh() if name == POSTGRESQL else None), measure.folder() as place:
                        taken = measure.run(
                            f"{what}, {name}", size, [*words_of_it, "--folder", str(place)], [vendor], limit=900
                        )
                    measure.keep(RESULTS, taken)
                    found.setdefault((what, name), []).append(taken)
    _show(found, asked)


@contextmanager
def _on(store: str | None) -> Iterator[None]:
    """Have the processes that are started meanwhile work on this store; the one in their folder where it is None."""
    if store is not None:
        os.environ[_STORE] = store
    try:
        yield
    finally:
        os.environ.pop(_STORE, None)


def _show(found: dict[tuple[str, str], list[Taken]], asked: argparse.Namespace) -> None:
    figures = {
        "pulled, tickets/s": ("pull", lambda one: one.size / one.told["seconds"]),
        "pulled again, nothing changed, tickets/s": ("pull", lambda one: one.size / one.told["again_seconds"]),
        "store, MB": ("pull", lambda one: one.told["store_mb"]),
        "two-step runs/s": ("runs", lambda one: one.told["runs"] / one.told["seconds"]),
        "CPU of a run, ms": ("runs", lambda one: one.told["cpu"] / one.told["runs"] * 1000),
    }
    medians: dict[str, dict[str, float]] = {SQLITE: {}, POSTGRESQL: {}}
    print(f"\n{'':42}{SQLITE:>12}{POSTGRESQL:>12}")
    for name, (what, figure) in figures.items():
        for database, kept in medians.items():
            kept[name] = results.median(found[what, database], figure)
        print(f"{name:42}{medians[SQLITE][name]:>12,.1f}{medians[POSTGRESQL][name]:>12,.1f}")
    others = results.most_others([one for runs in found.values() for one in runs])
    print(
        "others: cores that others took, the server among them, in the worst run:",
        "?" if others is None else f"{others:.2f}",
    )
    results.tell(
        "databases",
        sizes={"tickets": asked.tickets, "runs": asked.runs, "rounds": asked.rounds},
        medians=medians,
        ratios={
            f"{what} on PostgreSQL to SQLite": results.ratio(
                found[what, POSTGRESQL], found[what, SQLITE], lambda one: one.size / one.told["seconds"]
            )
            for what in ("pull", "runs")
        },
        others=others,
    )


if __name__ == "__main__":
    main()
