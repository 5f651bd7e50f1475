"""The long run: every suite of this programme at ten times its volume, one after another, until all is done or the time is up.

    python -m tests.reliability.soak        SOAK_MINUTES=120 SOAK_ONLY="kills simulation" SOAK_REPORT=results/soak.md

Prints and writes a report: how much each suite did, what was wrong and how to play it again, and what was not done for want of
time. Ends with 1 if anything was wrong.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from cxbridge.core.clock import SystemClock
from tests.reliability.killing.load import Loaded, loaded
from tests.reliability.killing.nursery import ROOT, Nursery
from tests.reliability.killing.scene import Scene
from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground

HERE = "tests/reliability"
# By name: what is played, and what share of the time it may take if all suites want more than there is.
SUITES: Mapping[str, tuple[tuple[str, ...], float]] = {
    "wrong-engines": ((f"{HERE}/test_wrong_engines.py",), 1),
    "kills": ((f"{HERE}/test_kills.py",), 4),
    "crash-sweep": ((f"{HERE}/test_crash_sweep.py",), 6),
    "simulation": ((f"{HERE}/test_simulation.py",), 6),
    "stateful": ((f"{HERE}/test_stateful.py",), 6),
    "matrix": (("tests/matrix",), 4),
    "bounds": (("tests/bounds",), 1),
}
MEMORY = "memory"
MEMORY_SHARE = 3.0
# What tests tell in numbers, beside the properties that they note: "84 crash points", "20 days".
TOLD = re.compile(r"(?<![\w.])(\d+) (crash points|days|starts after a crash|examples|steps)\b")
# How long a suite may take to end in order.
GRACE = 60.0
GOAL = 1.0


@dataclass
class Done:
    """What became of one suite."""

    name: str
    seconds: float = 0.0
    tests: int = 0
    planned: int = 0
    skipped: int = 0
    cut: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def left(self) -> str:
        """What was not done, in words; empty where all was."""
        if not self.tests and self.cut:
            return "not begun, or nothing of it finished"
        return f"{self.planned - self.tests} of {self.planned} tests" if self.cut else ""

    def __str__(self) -> str:
        counted = "".join(f", {number} {what}" for what, number in sorted(self.counts.items()))
        skipped = f" ({self.skipped} skipped)" if self.skipped else ""
        ended = f"; NOT DONE: {self.left}" if self.left else ""
        wrong = f"; {len(self.wrong)} WRONG" if self.wrong else ""
        return f"{self.name}: {self.tests} tests{skipped}{counted} in {self.seconds:.0f} s{ended}{wrong}"


class Soak:
    """A long run under way."""

    def __init__(self, minutes: float, folder: Path) -> None:
        self._clock = SystemClock()
        self._end = self._clock.monotonic() + 60 * minutes
        self._folder = folder
        self._stop = False
        signal.signal(signal.SIGTERM, self._told_to_stop)
        signal.signal(signal.SIGINT, self._told_to_stop)

    def _told_to_stop(self, number: int, frame: object) -> None:
        del number, frame
        self._stop = True

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return 0.0 if self._stop else max(0.0, self._end - self._clock.monotonic())

    def run(self, names: list[str]) -> Iterator[Done]:
        """Play suites; each may take its share of what time is left."""
        shares = {name: SUITES[name][1] if name in SUITES else MEMORY_SHARE for name in names}
        for place, name in enumerate(names):
            share = self.left * shares[name] / sum(shares[one] for one in names[place:])
            yield self._memory(share) if name == MEMORY else self._suite(name, share)

    def _suite(self, name: str, seconds: float) -> Done:
        done = Done(name)
        paths = [one for one in SUITES[name][0] if (ROOT / one).exists()]
        if not paths or seconds < 1:
            done.cut = True
            return done
        done.planned = self._planned(paths)
        report = self._folder / f"{name}.xml"
        begun = self._clock.monotonic()
        process = subprocess.Popen(
            [*_PYTEST, "-n", "auto", "--tb=short", f"--junitxml={report}", "-o", "junit_logging=system-out", *paths],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while process.poll() is None:
            over = self._clock.monotonic() - begun > seconds or self._stop
            if over and not done.cut:
                done.cut = True
                # As by the keyboard: what is finished is still reported.
                process.send_signal(signal.SIGINT)
            if self._clock.monotonic() - begun > seconds + GRACE:
                os.killpg(process.pid, signal.SIGKILL)
            self._clock.wait(0.5)
        done.seconds = self._clock.monotonic() - begun
        _read(report, done)
        if not done.cut and process.returncode not in (0, 1):
            done.wrong.append(f"pytest ended with {process.returncode}: .venv/bin/python -m pytest {' '.join(paths)}")
        return done

    def _planned(self, paths: list[str]) -> int:
        told = subprocess.run(
            [*_PYTEST, "--collect-only", *paths], cwd=ROOT, capture_output=True, text=True, check=False
        )
        found = re.search(r"(\d+)(?:/\d+)? tests? collected", told.stdout)
        return int(found[1]) if found else 0

    def _memory(self, seconds: float) -> Done:
        done = Done(MEMORY, planned=1)
        if seconds < 30:
            done.cut = True
            return done
        setting = shape_of("two_way").setting
        folder = self._folder / "memory"
        folder.mkdir()
        with Nursery() as nursery, Scene(nursery, Ground(self._folder), setting, folder, draw=1) as scene:
            # What comes to rest in the end takes some time too.
            result = loaded(scene, self._clock, 0.9 * seconds, lambda: self._stop)
        done.tests, done.seconds = 1, result.seconds
        done.counts.update(cycles=result.cycles, deeds=result.deeds, requests=result.requests, faults=result.faults)
        done.wrong += [str(one) for one in result.violations]
        self.memory = result
        if result.tells and result.slope >= GOAL:
            done.wrong.append(
                f"I12 resident memory grows by {result.slope:.2f} MB in ten minutes, and {GOAL} is the most"
            )
        return done

    memory: Loaded | None = None


_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def _read(report: Path, done: Done) -> None:
    """Read what pytest reported; nothing where it could not any more."""
    if not report.exists():
        done.cut = True
        return
    for case in ET.parse(report).iter("testcase"):
        done.tests += 1
        done.skipped += case.find("skipped") is not None
        for one in case.iter("property"):
            value = one.get("value", "")
            done.counts[str(one.get("name"))] += int(value) if value.isdigit() else 1
        for out in case.iter("system-out"):
            for number, what in TOLD.findall(out.text or ""):
                done.counts[what] += int(number)
        for problem in (*case.iter("failure"), *case.iter("error")):
            if "KeyboardInterrupt" in (problem.get("message") or ""):
                continue
            done.wrong.append(f"{case.get('classname')}::{case.get('name')}\n{_shown(problem)}")


def _shown(problem: ET.Element) -> str:
    """What a failure says, shortened; with the line that says how to play it again, wherever it stands."""
    lines = [*(problem.get("message") or "").splitlines(), *(problem.text or "").splitlines()]
    again = [one.strip() for one in lines if "again" in one and "pytest" in one]
    return "\n".join([*lines[:20], *dict.fromkeys(again)])


def summary(results: list[Done], memory: Loaded | None, minutes: float) -> str:
    """Say everything in words."""
    lines = [f"# Soak: {os.environ['CXBRIDGE_SOAK']} times the usual volume, {minutes:.0f} minutes at most", ""]
    lines += [f"- {one}" for one in results]
    if memory is not None:
        judged = "" if memory.tells else " (too short to judge by)"
        lines.append(
            f"- resident memory: {memory.first:.1f} MB, then {memory.last:.1f} MB; {memory.slope:+.2f} MB in ten minutes{judged}"
        )
    wrong = [told for one in results for told in one.wrong]
    undone = [one.name for one in results if one.left]
    lines += [
        "",
        f"{len(wrong)} violations" + (f"; not done to the end: {', '.join(undone)}" if undone else "; all done"),
    ]
    for told in wrong:
        lines += ["", *(f"    {line}" for line in told.splitlines())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Soak; gives the exit code."""
    os.environ.setdefault("CXBRIDGE_SOAK", "10")
    minutes = float(os.environ.get("SOAK_MINUTES", "120"))
    # The memory run is played only where it is named: it was seen to outlast its share of the time.
    names = os.environ.get("SOAK_ONLY", "").split() or [*SUITES]
    unknown = [one for one in names if one not in (*SUITES, MEMORY)]
    if unknown:
        print(f"there is no suite {unknown[0]}; there are {', '.join((*SUITES, MEMORY))}", file=sys.stderr)
        return 64
    report = ROOT / os.environ.get("SOAK_REPORT", "results/soak.md")
    report.parent.mkdir(parents=True, exist_ok=True)
    results: list[Done] = []
    with tempfile.TemporaryDirectory(prefix="cxbridge-soak-") as folder:
        soak = Soak(minutes, Path(folder))
        for done in soak.run(names):
            results.append(done)
            print(done, flush=True)
            # Written anew after each, so that whatever ends this loses one suite at most.
            report.write_text(summary(results, soak.memory, minutes), encoding="utf-8")
    print()
    print(report.read_text(encoding="utf-8"))
    print(f"written to {report.relative_to(ROOT)}" if report.is_relative_to(ROOT) else f"written to {report}")
    return 1 if any(one.wrong for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
