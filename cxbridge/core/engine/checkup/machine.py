"""What this machine offers: Python, SQLite, the file system and the room on it."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from cxbridge.core.engine.checkup.findings import Finding, ok, problem, warning
from cxbridge.core.store import condition

_PYTHON = (3, 11)
MIB = 1024 * 1024
GIB = 1024 * MIB
# SQLite's log may grow to this before it is folded into the file.
LEAST_FREE = 64 * MIB
# With less room than this a person has to act within days.
_LITTLE = GIB
_SOON_DAYS = 30


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    told = f"Python {platform.python_version()}"
    if sys.version_info[:2] < _PYTHON:
        yield problem("python", f"{told} is too old", "install Python 3.11 or newer", 78)
    else:
        yield ok("python", told)


def sqlite() -> Iterator[Finding]:
    """Look at the SQLite that the store would be opened with."""
    found = condition.sqlite_version()
    told = f"SQLite {'.'.join(map(str, found))}"
    if found < condition.SOUND_SQLITE:
        yield warning(
            "sqlite",
            f"{told} has the WAL-reset bug: connections that write at once could damage the file; cxbridge lets only one write, "
            "other programs on the same file may not",
            "install a newer one beside Python's own, `pip install pysqlite3`, which is used as soon as it is there; "
            "until then let nothing but cxbridge write to the store",
        )
    else:
        yield ok("sqlite", told)


def room(path: Path, size: int, per_day: float) -> Iterator[Finding]:
    """Look at the disk under a SQLite store of `size` bytes that grows by `per_day`."""
    system = condition.file_system(path.parent)
    if system in condition.NETWORKED:
        yield problem(
            "file system",
            f"the store stands on {system}, over a network: its locks do not hold what a write-ahead log needs",
            "move the store to a local disk, or use PostgreSQL",
            78,
        )
    else:
        yield ok("file system", f"{system or 'unknown'}, local as far as can be told")
    free = condition.free_disk(path)
    told = f"{_amount(free)} free, the store holds {_amount(size)} and grows by {_amount(round(per_day))} a day"
    days = free / per_day if per_day > 0 else None
    if free < LEAST_FREE:
        yield problem("disk", told, f"free disk space: below {_amount(LEAST_FREE)} any write may fail", 73)
    elif days is not None and days < _SOON_DAYS:
        yield warning("disk", f"{told}: full in {days:.0f} days", "free disk space, or move the store to a larger disk")
    elif free < max(_LITTLE, size):
        yield warning("disk", told, "free disk space: a backup beside the store needs as much room as the store")
    else:
        yield ok("disk", told)
    log = path.with_name(f"{path.name}-wal")
    length = log.stat().st_size if log.exists() else 0
    if length > 4 * LEAST_FREE:
        yield warning(
            "log",
            f"{log.name} has grown to {_amount(length)}: something reads the store for so long that it cannot be folded in",
            "end programs that keep the store open, then restart the daemon",
        )


def _amount(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.1f} MiB"
