"""How results look: JSON on stdout, tables on a terminal, plain columns in a pipe; messages and progress on stderr.

Texts that come from a vendor are shown without control characters, and never as markup.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cxbridge.core.clock import SystemClock

if TYPE_CHECKING:
    from rich.progress import Progress

# How far apart the lines are that stand for a moving bar where there is no terminal.
_SECONDS_BETWEEN_LINES = 5.0
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ") | dict.fromkeys((0x202E, 0x202D, 0x2066, 0x2067), "")


def clean(text: str) -> str:
    """Take out what could steer a terminal; line breaks become blanks."""
    return text.translate(_CONTROL)


def shown(value: Any) -> str:
    """Show one value in a table."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return clean(str(value))


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes. With `json` nothing but one JSON document reaches stdout."""

    json: bool = False

    def data(self, value: Any) -> None:
        """Print the result as JSON."""
        import json

        print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
        """Print rows: a table on a terminal, aligned columns elsewhere."""
        cells = [[shown(value) for value in row] for row in rows]
        numbers = [all(isinstance(row[place], int) for row in rows) for place in range(len(columns))]
        if sys.stdout.isatty():
            _rich_table(columns, cells, numbers, title)
            return
        if title:
            print(title)
        widths = [max(len(row[place]) for row in [list(columns), *cells]) for place in range(len(columns))]
        for row in [[name.upper() for name in columns], *cells]:
            padded = [
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, numbers, strict=True)
            ]
            print("  ".join(padded).rstrip())

    def line(self, text: str = "") -> None:
        """Print a line of the result."""
        print(text)

    def say(self, text: str) -> None:
        """Tell something beside the result."""
        print(text, file=sys.stderr, flush=True)


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[bool], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name, number in zip(columns, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


class Bars:
    """Progress of several things at once: bars on a terminal, a line every few seconds elsewhere.

    `total` may be unknown (`None`) and may grow.
    """

    def __init__(self, progress: "Progress | None") -> None:
        self._progress = progress
        self._clock = SystemClock()
        self._tasks: dict[str, Any] = {}
        self._told: dict[str, tuple[int, int | None]] = {}
        self._last = self._clock.monotonic()

    def set(self, name: str, done: int, total: int | None = None) -> None:
        """Show how far something is."""
        if self._progress is not None:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total)
            self._progress.update(self._tasks[name], completed=done, total=total)
            return
        self._told[name] = (done, total)
        if self._clock.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self.tell()

    def tell(self) -> None:
        """Print one line of where everything stands, where there are no bars."""
        self._last = self._clock.monotonic()
        if self._progress is None and self._told:
            parts = [f"{name} {done}" + (f" of {total}" if total else "") for name, (done, total) in self._told.items()]
            print("  " + ", ".join(parts), file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Bars]:
    """Show bars while the block runs; what they showed last stays."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        bars = Bars(None)
        yield bars
        bars.tell()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("  {task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as running:
        yield Bars(running)
