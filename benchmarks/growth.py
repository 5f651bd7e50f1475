"""Measures what a change, a start and a look at the store cost with 10,000, 100,000, … stored tickets, and prints a table.

    python -m benchmarks growth [--most 1000000] [--pages 10]
    python -m benchmarks growth --sizes 1000000 10000000

Each size is a process of its own that fills its own store (`benchmarks.bridge_growth`), in memory that does not grow with it.
Nothing but storage may grow faster than logarithmically: a figure that more than doubles where ten times as much is stored, is
named. On two cores a million tickets take a minute and a half, nearly all of it to fill the store, and half a GB of disk; ten
million take ten times that.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks import measure, results
from benchmarks.measure import Taken

GROWTH = "benchmarks.bridge_growth"
LEAST, TENFOLD = 10_000, 10
MOST_FACTOR = 2.0
# What grows with what is stored by its nature, or says how much that is.
GIVEN = ("records", "runs", "store MB", "bytes a record", "filling s", "planning s", "pushing s")
# What is told apart well enough to be compared with earlier runs.
COMPARED = ("pull of a change µs", "planning it µs", "start ms")


def main(words: Sequence[str] | None = None) -> None:
    """Measure one size after the other, print the table and keep the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks growth", description="what things cost with so much stored")
    parser.add_argument("--most", type=int, default=1_000_000, help="the largest number of tickets, such as 10000000")
    parser.add_argument("--pages", type=int, default=10, help="pages of changes that are pulled")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[], help="these numbers of tickets, and not all up to the most"
    )
    asked = parser.parse_args(words)
    print(f"the cost of growth on {measure.machine()}", flush=True)
    measure.warm_up(GROWTH)
    runs: list[Taken] = []
    for size in sorted(asked.sizes) or sizes_up_to(asked.most):
        measure.wait_for_quiet()
        with measure.folder() as place:
            arguments = [GROWTH, "--folder", str(place), "--records", str(size), "--pages", str(asked.pages)]
            # Filling a store takes most of the time.
            runs.append(measure.run(f"{size:,}", size, arguments, limit=300.0 + size / 500))
        measure.keep("growth.jsonl", runs[-1])
        print(f"{size:,} tickets: measured in {runs[-1].wall:.0f} s, peak {runs[-1].peak_mb:.0f} MB", flush=True)
    if not runs:
        raise SystemExit(f"there is no size up to {asked.most:,}")
    told = [one.told | {"peak MB": one.peak_mb} for one in runs]
    figures: dict[str, list[float]] = {name: [one[name] for one in told] for name in told[0]}
    _show([one.size for one in runs], figures)
    results.tell(
        "growth",
        # From where to where counts, and not what lies between.
        sizes={"most": runs[-1].size, "pages": asked.pages}
        | ({"least": runs[0].size} if runs[0].size != LEAST else {}),
        medians={one.name: figures_of_it for one, figures_of_it in zip(runs, told, strict=True)},
        ratios={
            f"{name.rpartition(' ')[0]}, smallest to largest": figures[name][0] / figures[name][-1] for name in COMPARED
        },
        others=results.most_others(runs),
    )


def sizes_up_to(most: int) -> list[int]:
    """Give 10,000 and its tenfolds, as far as they go."""
    return [LEAST * TENFOLD**step for step in range(20) if LEAST * TENFOLD**step <= most]


def _show(sizes: Sequence[int], figures: Mapping[str, Sequence[float]]) -> None:
    print(f"\n{'tickets':24}" + "".join(f"{size:>14,}" for size in sizes))
    for name, values in figures.items():
        fast = name not in GIVEN and too_fast(values, sizes)
        told = "   grows faster than logarithmically" if fast else ""
        print(f"{name:24}" + "".join(f"{value:>14,.1f}" for value in values) + told)
    print("commands: processor time beyond one that opens the store and finds nothing to show; all are medians")


def too_fast(values: Sequence[float], sizes: Sequence[int]) -> bool:
    """Tell whether a figure more than doubles where ten times as much is stored, and is not back where it was at the end.

    From one size to one less than ten times as large it may double as well: less is not told apart.
    """

    def allowed(smaller: int, larger: int) -> float:
        return math.pow(MOST_FACTOR, max(1.0, math.log10(larger / smaller)))

    steps = zip(pairwise(values), pairwise(sizes), strict=True)
    doubled = any(later > allowed(*between) * earlier for (earlier, later), between in steps)
    return doubled and values[-1] > MOST_FACTOR * values[0]


if __name__ == "__main__":
    main()
