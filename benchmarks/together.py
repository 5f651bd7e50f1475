"""Lets several processes work on one store at once, from the same moment on, and tells what that took; knows no store."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure

# So many seconds they may take to open their store and to do their work.
LONGEST = 900.0


@dataclass(frozen=True, slots=True)
class Worked:
    """What the processes took together: seconds from the word until the last one was done, and what each of them told."""

    seconds: float
    foreign: float | None
    told: list[dict[str, Any]]

    @property
    def cpu(self) -> float:
        """Seconds of processor time of all of them."""
        return sum(float(one["cpu"]) for one in self.told)


def work(name: str, commands: Sequence[Sequence[str]], python: Path | None = None) -> Worked:
    """Start `python -m …` once for each of the commands, wait until each printed `ready`, and give all of them the word.

    Each of them reads a line, works, and prints one line of JSON with at least `cpu`, in seconds.

    Raises:
        Failed: when one did not start, failed, took too long or told nothing.
    """
    processes = [_started(command, python) for command in commands]
    guard = threading.Timer(LONGEST, _kill, [processes])
    guard.start()
    try:
        for process in processes:
            if _line(process) != "ready":
                raise measure.Failed(f"{name} did not start; look above for what it said")
        watch, begun = measure.Watch(), time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        lines = [_line(process) for process in processes]
        seconds = time.monotonic() - begun
        codes = [process.wait() for process in processes]
    finally:
        guard.cancel()
        _kill(processes)
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
    if any(codes) or not all(lines):
        raise measure.Failed(f"{name} failed with {codes}; look above for what it said")
    return Worked(seconds, watch.foreign(), [json.loads(line) for line in lines])


def _started(command: Sequence[str], python: Path | None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [python or sys.executable, "-m", *command],
        cwd=measure.ROOT,
        env=measure.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _kill(processes: Sequence["subprocess.Popen[str]"]) -> None:
    for process in processes:
        process.kill()


def _line(process: "subprocess.Popen[str]") -> str:
    """Read one line; empty where the process ended without one."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
