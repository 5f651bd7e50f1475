"""Runs one process and tells what it took, seen from outside; knows nothing of what is being measured.

Wall time, processor time and peak memory are the operating system's account of the finished process. On Linux it also
tells how much of the machine others used meanwhile, because a figure from a busy machine is worth little.
"""

import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
_TICKS = os.sysconf("SC_CLK_TCK")
# Bytes on macOS, KiB elsewhere (getrusage(2)).
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Failed(SystemExit):
    """A process that was to be measured did not do what it was started for; nobody catches it but who can go on without."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one process took. `told` is the line of JSON that it printed; `foreign` is cores used by others, None if unknown."""

    name: str
    size: int
    wall: float
    cpu: float
    peak_mb: float
    foreign: float | None
    told: dict[str, Any]

    @property
    def rate(self) -> float:
        """Items per second of the whole process, start and end included."""
        return self.size / self.wall

    @property
    def cpu_each(self) -> float:
        """Microseconds of processor time per item."""
        return self.cpu / self.size * 1e6


@dataclass(slots=True)
class Watch:
    """Tells what other processes used since it was made; `companions` are servers of ours whose use is no disturbance."""

    companions: Sequence[int] = ()
    _busy: float | None = field(init=False)
    _ours: float = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._busy, self._ours, self._since = _busy(), self._mine(), time.monotonic()

    def foreign(self) -> float | None:
        """Give the cores that others used on average; None where the system does not tell."""
        busy = _busy()
        if busy is None or self._busy is None:
            return None
        others = (busy - self._busy) - (self._mine() - self._ours)
        return max(0.0, others / max(1e-6, time.monotonic() - self._since))

    def _mine(self) -> float:
        used = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            used += usage.ru_utime + usage.ru_stime
        return used + sum(map(cpu_of, self.companions))


def _busy() -> float | None:
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, first)
    return (user + nice + system + irq + softirq + steal) / _TICKS


def cpu_of(pid: int) -> float:
    """Give the seconds of processor time that a process has used; 0 where there is none of it or the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def wait_for_quiet(companions: Sequence[int] = (), limit: float = 20.0, cores: float = 0.15) -> None:
    """Wait until others use little of the machine, but no longer than `limit` seconds."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        watch = Watch(companions)
        time.sleep(1.0)
        others = watch.foreign()
        if others is None or others < cores:
            return


def run(
    name: str,
    size: int,
    arguments: Sequence[str],
    companions: Sequence[int] = (),
    limit: float = 300.0,
    python: Path | None = None,
) -> Taken:
    """Run `python -m benchmarks.…` once and account for it; `python` is the interpreter of another environment.

    Raises:
        Failed: when it failed, took longer than `limit` seconds or told nothing.
    """
    watch = Watch(companions)
    begun = time.monotonic()
    with subprocess.Popen(
        [python or sys.executable, "-m", *arguments], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        guard = threading.Timer(limit, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            told = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            guard.cancel()
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not told.strip():
        raise Failed(f"{name} failed with {process.returncode}; look above for what it said")
    return Taken(
        name,
        size,
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * _RSS_UNIT / 1e6,
        watch.foreign(),
        json.loads(told.splitlines()[-1]),
    )


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Modules are compiled once for all runs, as they are for an installed program.
    return kept | {"PYTHONPYCACHEPREFIX": str(RESULTS / "pycache")}


def warm_up(*modules: str, python: Path | None = None) -> None:
    """Let the modules be compiled and read into the file cache before anything is measured."""
    for module in modules:
        subprocess.run(
            [python or sys.executable, "-m", module, "--help"],
            cwd=ROOT,
            env=environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, int]]:
    """Run a server that prints `ready PORT` and ends with its standard input; gives its address and process id."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            word, _, port = process.stdout.readline().strip().partition(" ")
            if word != "ready":
                raise SystemExit(f"{arguments[0]} did not start")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            if process.poll() is not None:
                print(f"{arguments[0]} ended by itself with {process.returncode}", file=sys.stderr)
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder on the disk that holds the project: a store in memory would make commits cost nothing."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="run-") as place:
        yield Path(place)


def keep(file: str, taken: Taken) -> None:
    """Add a run to a results file, one line of JSON each."""
    RESULTS.mkdir(exist_ok=True)
    row = asdict(taken) | {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine()}
    with (RESULTS / file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")


def verdict(met: bool) -> str:  # one word for one fact
    """Say whether a goal was met."""
    return "met" if met else "MISSED"


def machine() -> str:
    """Describe what this ran on, without naming it."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
