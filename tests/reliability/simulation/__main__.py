"""Plays days and tells what struck: `python -m tests.reliability.simulation FIRST LAST`."""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import process_time

from tests.reliability.simulation.day import play
from tests.reliability.stage import Ground


def main(first: int, last: int) -> int:
    """Play the days of these seeds; gives how many went wrong."""
    struck, crashed, jobs = Counter[str](), Counter[str](), Counter[str]()
    wrong, hours, cases, effects, requests, restarts = 0, 0.0, 0, 0, 0, 0
    begun = process_time()
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        for seed in range(first, last):
            played = play(ground, seed)
            wrong += bool(played.violations)
            for one in played.violations:
                print(f"seed {seed}: {one}", flush=True)
            struck += played.struck
            crashed.update(one.partition(" ")[0] for one in played.crashed)
            jobs += played.jobs
            hours += played.hours
            cases, effects = cases + played.cases, effects + played.effects
            requests, restarts = requests + played.requests, restarts + played.restarts
    days = last - first
    print(f"{days} days ({hours:.0f} simulated hours), {wrong} of them wrong")
    print(f"{cases} tickets, {effects} writes, {requests} requests, {restarts} starts after a crash, jobs {dict(jobs)}")
    print(f"struck: {dict(sorted(struck.items()))}")
    print(f"crashed at: {dict(sorted(crashed.items()))}")
    print(f"{process_time() - begun:.1f} s of CPU, {(process_time() - begun) / max(1, days):.2f} a day")
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) and 1)
