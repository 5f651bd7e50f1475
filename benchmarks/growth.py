"""Measures what a change, a start and a look at the store cost with 10,000, 100,000, … stored tickets, and prints a table.

    python -m benchmarks growth [--most 1000000]

Each size is a process of its own that fills its own store (`benchmarks.bridge_growth`). Nothing but storage may grow faster than
logarithmically: a figure that more than doubles from one size to the next, which is ten times as large, is named.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks import measure, results
from benchmarks.measure import Taken

GROWTH = "benchmarks.bridge_growth"
LEAST, TENFOLD = 10_000, 10
MOST_FACTOR = 2.0
# What grows with what is stored by its nature, or says how much that is.
GIVEN = ("records", "runs", "store MB", "bytes a record")
# What is told apart well enough to be compared with earlier runs.
COMPARED = ("pull of a change µs", "planning it µs", "start ms")


def main(words: Sequence[str] | None = None) -> None:
    """Measure one size after the other, print the table and keep the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks growth", description="what things cost with so much stored")
    parser.add_argument("--most", type=int, default=1_000_000, help="the largest number of tickets, such as 10000000")
    parser.add_argument("--pages", type=int, default=10, help="pages of changes that are pulled")
    asked = parser.parse_args(words)
    print(f"the cost of growth on {measure.machine()}", flush=True)
    measure.warm_up(GROWTH)
    runs: list[Taken] = []
    size = LEAST
    while size <= asked.most:
        measure.wait_for_quiet()
        with measure.folder() as place:
            arguments = [GROWTH, "--folder", str(place), "--records", str(size), "--pages", str(asked.pages)]
            # Filling a store takes most of the time.
            runs.append(measure.run(f"{size:,}", size, arguments, limit=300.0 + size / 500))
        measure.keep("growth.jsonl", runs[-1])
        print(f"{size:,} tickets: measured in {runs[-1].wall:.0f} s", flush=True)
        size *= TENFOLD
    figures: dict[str, list[float]] = {name: [one.told[name] for one in runs] for name in runs[0].told}
    _show([one.name for one in runs], figures)
    results.tell(
        "growth",
        sizes={"most": runs[-1].size, "pages": asked.pages},
        medians={one.name: one.told for one in runs},
        ratios={
            f"{name.rpartition(' ')[0]}, smallest to largest": figures[name][0] / figures[name][-1] for name in COMPARED
        },
        others=results.most_others(runs),
    )


def _show(sizes: Sequence[str], figures: Mapping[str, Sequence[float]]) -> None:
    print(f"\n{'tickets':24}" + "".join(f"{size:>14}" for size in sizes))
    for name, values in figures.items():
        told = "   grows faster than logarithmically" if name not in GIVEN and too_fast(values) else ""
        print(f"{name:24}" + "".join(f"{value:>14,.1f}" for value in values) + told)
    print("commands: processor time beyond one that opens the store and looks at nothing; all are medians")


def too_fast(values: Sequence[float]) -> bool:
    """Tell whether a figure more than doubles from one size to the next one, and is not back where it was at the end."""
    doubled = any(later > MOST_FACTOR * earlier for earlier, later in pairwise(values))
    return doubled and values[-1] > MOST_FACTOR * values[0]


if __name__ == "__main__":
    main()
