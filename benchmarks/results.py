"""What the last measurement of each part found, in one document: medians, ratios, sizes, versions and the kind of machine.

`results/bench.json` has an entry for each part; measuring a part again replaces its entry. A ratio is always told so that more is
better, which is what `benchmarks.check` relies on. Nothing in it names a machine, a place on it or a person.
"""

import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import Taken

FILE = measure.RESULTS / "bench.json"


def begin() -> None:
    """Forget the measurements before this one: what follows is measured in one run."""
    FILE.unlink(missing_ok=True)


def tell(
    part: str,
    *,
    sizes: Mapping[str, int | float],
    medians: Mapping[str, Mapping[str, float]],
    ratios: Mapping[str, float],
    others: float | None = None,
    peers: Mapping[str, str] | None = None,
) -> None:
    """Put what a part measured into the document.

    `medians` are by what was measured and by unit, `others` the most cores that other processes took meanwhile, `peers` the
    versions of other tools that were measured beside.
    """
    document = read(FILE) if FILE.exists() else {}
    document[part] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "sizes": dict(sizes),
        "medians": {name: {unit: _short(value) for unit, value in units.items()} for name, units in medians.items()},
        "ratios": {name: _short(value) for name, value in ratios.items()},
        "others_cores": None if others is None else _short(others),
        "versions": versions() | {"peers": dict(peers or {})},
        "machine": machine(),
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(file: Path) -> dict[str, Any]:
    """Read a document of this form.

    Raises:
        SystemExit: when there is none.
    """
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SystemExit(f"there is no {file.name} yet") from None


def median(runs: Iterable[Taken], figure: Callable[[Taken], float]) -> float:
    """Give the median of a figure over runs."""
    return statistics.median(map(figure, runs))


def ratio(ours: Sequence[Taken], theirs: Sequence[Taken], figure: Callable[[Taken], float]) -> float:
    """Give the median over rounds of ours to theirs, each round with what was measured beside it."""
    return statistics.median(figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True))


def most_others(runs: Iterable[Taken]) -> float | None:
    """Give the most cores that others took during any of the runs; None where the system does not tell."""
    return max((one.foreign for one in runs if one.foreign is not None), default=None)


def versions() -> dict[str, Any]:
    """Name what was measured and what it stands on."""
    named = (re.match(r"[\w.-]+", line) for line in metadata.requires("cxbridge") or () if "extra ==" not in line)
    libraries = sorted({found[0] for found in named if found}, key=str.lower)
    return {
        "cxbridge": metadata.version("cxbridge"),
        "commit": _commit(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: metadata.version(name) for name in libraries},
    }


def machine() -> dict[str, Any]:
    """Say what kind of machine this is, not which."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _processor() -> str | None:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return platform.processor() or None
    return found[1] if found else None


def _commit() -> str | None:
    """Name the commit; with a plus where files differ from it. None outside of a checkout."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return f"{commit}+" if _git("status", "--porcelain").strip() else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=measure.ROOT, capture_output=True, text=True, check=True).stdout


def _short(value: float) -> float:
    """Four digits are more than any run is good for."""
    return float(f"{value:.4g}")
