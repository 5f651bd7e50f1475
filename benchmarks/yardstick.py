"""Measures pulls and two-step runs beside the programs that the goals were set with, run as they are, in the same rounds.

    python -m benchmarks yardstick [--bench FOLDER] [--rounds 3] [--only pull runs]

The goals of speed name floors and tools of a folder of measurements that stands beside the checkout (`../shared/bench`). Ours
(`benchmarks.floor`, `benchmarks.floor_push`) do less, and so are harder to come near: they answer in the same process, or leave out
what a library does. Here the folder's own programs take turns with us: its loop of a pull, overlapped and one page after the other,
and airbyte-cdk against its own simulator of Zendesk's, which we pull from as well; its outbox with group commit and DBOS on SQLite,
both with real requests to its own tracker, beside ours with vendors that answer at once. Without the folder nothing is measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import measure, peers, results
from benchmarks.measure import Taken

KINDS = ("pull", "runs")
PULL, PUSH = "benchmarks.bridge_pull", "benchmarks.bridge_push"
TICKETS, RUNS, DBOS_RUNS = 100_000, 5_000, 1_500
# What the folder's programs stand on, at the versions that its figures were taken with where it names them.
_WANTED = "aiohttp==3.14.5 orjson==3.13.0 msgspec==0.22.0 uvloop==0.23.0 httptools==0.9.0 dbos==3.4.0"
# The names by which the folder's programs know environments, loops and tools.
_PULLS = {"loop": "floor-raw-overlap", "loop, serial": "floor-raw-serial", "airbyte-cdk": "airbyte-cdk-sqlite3"}
_ENGINES = {"outbox": ("floor-full-group", RUNS), "DBOS": ("dbos-sqlite-wal", DBOS_RUNS)}
# The simulator listens where the folder's programs look for it.
_PORT = 9101
_LIMIT = 1200
# Goals: so much of the folder's loops and outbox, so many times airbyte-cdk and DBOS.
LEAST = {"loop": 0.6, "loop, serial": 0.6, "airbyte-cdk": 10.0, "outbox": 0.5, "DBOS": 15.0}
OURS = "cxbridge"
# By what was measured: rates a second and processor time, round by round.
_Rounds = dict[str, list[tuple[float, float]]]


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, print the figures and keep them in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks yardstick", description="beside what the goals were set with")
    parser.add_argument("--bench", type=Path, default=measure.ROOT.parent / "shared" / "bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    asked = parser.parse_args(words)
    if not (asked.bench / "bench_pull.py").exists():
        print(f"not measured: there are no measurements in {asked.bench}; name their folder with --bench")
        return
    python = peers.environment("yardstick", _WANTED)
    airbyte = next((place for peer, place in peers.installed(peers.PEERS[:1]).items()), None)
    if python is None or airbyte is None:
        print("not measured: what the programs stand on cannot be installed")
        return
    print(f"beside what the goals were set with, on {measure.machine()}")
    measure.warm_up(PULL, PUSH)
    medians: dict[str, dict[str, float]] = {}
    ratios: dict[str, float] = {}
    with measure.folder() as place:
        bench = Bench(asked.bench, place, {"engine": python, "pull": python, "airbyte": airbyte})
        if "pull" in asked.only:
            told(_pulls(bench, asked.rounds), "pull", ("tickets/s", "CPU s per 100,000"), medians, ratios)
        if "runs" in asked.only:
            told(_runs(bench, asked.rounds), "runs", ("runs/s", "CPU ms"), medians, ratios)
    results.tell(
        "yardstick", sizes={"tickets": TICKETS, "runs": RUNS, "rounds": asked.rounds}, medians=medians, ratios=ratios
    )


class Bench:
    """The folder's programs, copied to where they may write, and the environments where they look for them."""

    def __init__(self, bench: Path, place: Path, environments: dict[str, Path]) -> None:
        self._programs, self._home = place / "bench", place / "home"
        shutil.copytree(bench, self._programs, copy_function=shutil.copyfile)
        for inside in (self._programs, *self._programs.rglob("*")):
            inside.chmod(0o700)
        self._home.mkdir()
        for name, python in environments.items():
            (self._home / f"venv-{name}").symlink_to(python.parents[1])
        self._environment = {**os.environ, "CXB_HOME": str(self._home)}

    def rows(self, program: str, *words: str) -> list[dict[str, Any]]:
        """Run one of them and give the rows that it prints.

        Raises:
            Failed: when it ended otherwise than well, or told nothing.
        """
        done = subprocess.run(
            [sys.executable, str(self._programs / program), *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not rows or rows[-1].get("error"):
            raise measure.Failed(f"{program} {' '.join(words)}: {rows[-1:] or done.stderr[-500:]}")
        return rows

    @contextmanager
    def zendesk(self) -> Iterator[int]:
        """Have the simulator of Zendesk's run, where the programs find it; gives its process id."""
        words = [str(self._home / "venv-engine" / "bin" / "python"), str(self._programs / "mock_zendesk.py")]
        with subprocess.Popen(
            [*words, "--port", str(_PORT), "--tickets", str(TICKETS)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            try:
                process.stdout.readline()
                yield process.pid
            finally:
                process.terminate()


def told(
    found: _Rounds,
    kind: str,
    units: tuple[str, str],
    medians: dict[str, dict[str, float]],
    ratios: dict[str, float],
) -> None:
    """Print what the rounds found, and ratios within rounds beside their goals; add both to what is kept."""
    for name, rounds in found.items():
        rate, cpu = (median(one[place] for one in rounds) for place in (0, 1))
        medians[f"{kind}, {name}"] = dict(zip(units, (rate, cpu), strict=True))
        print(f"{name:<14}{rate:>10,.0f} {units[0]}, {cpu:.2f} {units[1]}")
    for name in (one for one in found if one != OURS):
        ratio = median(ours[0] / theirs[0] for ours, theirs in zip(found[OURS], found[name], strict=True))
        ratios[f"{kind}, times {name}"] = ratio
        form = "{:.0%}" if LEAST[name] < 1 else "{:.1f}"
        met = measure.verdict(ratio >= LEAST[name])
        print(f"times {name}: {form.format(ratio)}, the goal is {form.format(LEAST[name])} ({met})")


def _pulls(bench: Bench, rounds: int) -> _Rounds:
    found: _Rounds = {name: [] for name in (OURS, *_PULLS)}
    with bench.zendesk() as mock:
        for _ in range(rounds):
            for name, known in _PULLS.items():
                row = bench.rows("bench_pull.py", "--peers", known, "--runs", "1")[-1]
                found[name].append((row["tickets_per_s"], row["cpu_s"]))
            taken = _pull(mock)
            found[OURS].append((taken.rate, taken.cpu))
    return found


def _pull(mock: int) -> Taken:
    measure.wait_for_quiet([mock])
    with measure.folder() as place:
        words = [PULL, "--url", f"http://127.0.0.1:{_PORT}", "--folder", str(place)]
        taken = measure.run(OURS, TICKETS, words, [mock])
    if taken.told["rows"] != TICKETS or taken.told["refused"]:
        raise measure.Failed(f"not all tickets were stored: {taken.told}")
    return taken


def _runs(bench: Bench, rounds: int) -> _Rounds:
    found: _Rounds = {name: [] for name in (OURS, *_ENGINES)}
    for _ in range(rounds):
        for name, (known, number) in _ENGINES.items():
            words = ("--engines", known, "--n", str(number), "--runs", "1", "--workers", "1")
            row = bench.rows("bench_engines.py", "throughput", *words)[-1]
            found[name].append((row["wf_per_s"], row["worker_cpu_ms_per_wf"]))
        measure.wait_for_quiet()
        with measure.folder() as place:
            taken = measure.run(OURS, RUNS, [PUSH, "--folder", str(place), "--runs", str(RUNS)])
        found[OURS].append((RUNS / taken.told["seconds"], taken.told["cpu"] / RUNS * 1000))
    return found


if __name__ == "__main__":
    main()
