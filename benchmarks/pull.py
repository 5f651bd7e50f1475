"""Measures the pull of tickets into an embedded store, beside the floor that this machine sets, and prints a table.

    python -m benchmarks pull [--tickets 100000] [--rounds 3] [--minutes 8]

Every run is a process of its own against a mock in another one, over loopback. The floor (`benchmarks.floor`) and the pull
take turns, so that both meet the same machine; ratios are taken within a round. Goals: at least 25 % of the floor, and a
peak of memory that does not grow with the number of tickets.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

from benchmarks import measure
from benchmarks.measure import Taken

SMALL = 10_000
MOCK, FLOOR, PULL = "benchmarks.mock_zendesk", "benchmarks.floor", "benchmarks.bridge_pull"
RESULTS = "pull.jsonl"
# The fastest other open-source tool measured on a machine of this class, tickets/s into SQLite.
PEER = 1_410
LEAST_SHARE, MOST_GROWTH_MB = 0.25, 10.0


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the table and keep every run in `results/pull.jsonl`."""
    parser = argparse.ArgumentParser(
        prog="benchmarks pull", description="tickets/s of a pull, beside the machine's floor"
    )
    parser.add_argument("--tickets", type=int, default=100_000, help="of the large run, a multiple of 1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no round after this long")
    asked = parser.parse_args(words)
    print(f"pull of tickets into SQLite on {measure.machine()}")
    measure.warm_up(FLOOR, PULL)
    until = time.monotonic() + asked.minutes * 60
    found: dict[tuple[str, int], list[Taken]] = {}
    for size in dict.fromkeys((SMALL, asked.tickets)):
        with measure.server(MOCK, "--tickets", str(size)) as (url, mock):
            for number in range(asked.rounds):
                if number and time.monotonic() > until:
                    break
                measure.wait_for_quiet([mock])
                for name, module in (("floor", FLOOR), ("cxbridge", PULL)):
                    found.setdefault((name, size), []).append(_one(name, module, size, url, mock))
            if size == asked.tickets and time.monotonic() < until:
                found["unchanged", size] = [_one("unchanged", PULL, size, url, mock, "--again")]
    if time.monotonic() < until:
        with measure.server(MOCK, "--tickets", str(SMALL), "--sideloads") as (url, mock):
            found["sideloads", SMALL] = [_one("sideloads", PULL, SMALL, url, mock)]
    _show(found, asked.tickets)


def _one(name: str, module: str, size: int, url: str, mock: int, *more: str) -> Taken:
    with measure.folder() as place:
        taken = measure.run(name, size, [module, "--url", url, "--folder", str(place), *more], [mock])
    if taken.told["rows"] != size or taken.told.get("refused", 0) or taken.told.get("again_changed", 0):
        raise SystemExit(f"{name} did not store {size} tickets as they are: {taken.told}")
    measure.keep(RESULTS, taken)
    return taken


def _show(found: dict[tuple[str, int], list[Taken]], large: int) -> None:
    print(f"\n{'':20}{'tickets/s':>11}{'of floor':>10}{'best':>10}{'CPU µs each':>13}{'peak MB':>9}{'others':>8}")
    for (name, size), runs in found.items():
        if name not in ("floor", "cxbridge"):
            continue
        shown = "" if name == "floor" else f"{_share(found, size):.0%}"
        others = max((one.foreign for one in runs if one.foreign is not None), default=None)
        print(
            f"{f'{name}, {size:,}':20}{statistics.median(one.rate for one in runs):>11,.0f}{shown:>10}"
            f"{max(one.rate for one in runs):>10,.0f}{statistics.median(one.cpu_each for one in runs):>13.1f}"
            f"{max(one.peak_mb for one in runs):>9.0f}{'?' if others is None else f'{others:.2f}':>8}"
        )
    print("whole processes, start and end included, medians; others: cores that others took, in the worst run")
    runs, floors = found["cxbridge", large], found["floor", large]
    inner = statistics.median(large / one.told["seconds"] for one in runs)
    floor = statistics.median(large / one.told["seconds"] for one in floors)
    print(f"\nwithout starting and closing: {inner:,.0f} tickets/s, the floor {floor:,.0f} ({inner / floor:.0%})")
    share = _share(found, large)
    print(f"share of the floor: {share:.0%}, the goal is {LEAST_SHARE:.0%} ({measure.verdict(share >= LEAST_SHARE)})")
    rate = statistics.median(one.rate for one in runs)
    print(f"beside the fastest tool measured elsewhere ({PEER:,}/s): {rate / PEER:.1f} times")
    if large != SMALL:
        growth = max(one.peak_mb for one in runs) - max(one.peak_mb for one in found["cxbridge", SMALL])
        verdict = "flat" if growth < MOST_GROWTH_MB else "NOT FLAT"
        print(f"peak memory from {SMALL:,} to {large:,} tickets: {growth:+.0f} MB ({verdict})")
    print(f"the store holds bodies, the vendor's bytes and the change log in {runs[0].told['store_mb']} MB")
    for one in found.get(("unchanged", large), []):
        print(f"pulled again, nothing changed: {large / one.told['again_seconds']:,.0f} tickets/s")
    for one in found.get(("sideloads", SMALL), []):
        print(
            f"with people, companies and metrics beside each page: {SMALL / one.told['seconds']:,.0f} tickets/s, "
            f"{one.told['records'] / one.told['seconds']:,.0f} records/s"
        )


def _share(found: dict[tuple[str, int], list[Taken]], size: int) -> float:
    """Give the pull's share of the floor: the median over rounds, each with its own floor."""
    pairs = zip(found["cxbridge", size], found["floor", size], strict=True)
    return statistics.median(ours.rate / floor.rate for ours, floor in pairs)


if __name__ == "__main__":
    main()
