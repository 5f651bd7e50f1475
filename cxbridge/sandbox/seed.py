"""Reads company files into a world: JSON lines, or a CSV of tickets, plain or gzipped. Knows no vendor's rules.

Each JSON line is an object with a `kind`: organization, user, group, custom_status, ticket_field, article or ticket
(the default). `cxbridge.sandbox.zendesk.rows` holds the fields of each. A kind that begins with another vendor's name
and a dot (`jira.issue`, `gainsight.company`) is a row of that vendor.

A CSV has a header. Its columns, under any of these names: `subject`, `title` or `summary`; `description`, `body` or
`text`; `priority` or `urgency`, in words or as a number where 0 is urgent, 1 high, 2 normal and 3 low; `type`, which
becomes a tag if it is none that a ticket can have. Other columns are left out.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cxbridge.sandbox import zendesk
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk.rows import RowError

_COLUMNS = {
    "subject": ("subject", "title", "summary"),
    "description": ("description", "body", "text"),
    "priority": ("priority", "urgency"),
    "type": ("type",),
}
_PRIORITIES = ("urgent", "high", "normal", "low")
_TYPES = ("problem", "incident", "question", "task")
_SHORTEST_SUBJECT = 80
# The help desk, then what customer success, surveys and chat know of the same customers.
_COMPANY = ("company.jsonl", "success.jsonl")


class SeedError(ValueError):
    """A company file that cannot be used; the message names file and line, and what to do."""


class Line(NamedTuple):
    """One row of a file and where it stands."""

    where: str
    row: dict[str, Any]


def load_company(world: World) -> dict[str, int]:
    """Fill a world with the company that ships with the sandbox, as far as its vendors run here."""
    lines = [line for name in _COMPANY for line in _json_lines(_shipped(name), name)]
    here = {"zendesk", "jira", *world.vendors}
    return _load(world, [line for line in lines if _vendor_of(line.row) in here])


def _shipped(name: str) -> str:
    return resources.files("cxbridge.sandbox").joinpath("data", name).read_text(encoding="utf-8")


def _vendor_of(row: Mapping[str, Any]) -> str:
    vendor, dot, _ = str(row.get("kind", "")).partition(".")
    return vendor if dot else "zendesk"


def load_file(world: World, path: Path) -> dict[str, int]:
    """Fill a world from a file; returns how many rows of each kind there were.

    Raises:
        SeedError: a line is broken. What was wrong in shape is found before anything is loaded.
        OSError: the file cannot be read.
    """
    return _load(world, list(read_file(path)))


def load_text(world: World, text: str, name: str = "request body") -> dict[str, int]:
    """Fill a world from JSON lines that are at hand already.

    Raises:
        SeedError: a line is broken.
    """
    return _load(world, list(_json_lines(text, name)))


def read_file(path: Path) -> Iterator[Line]:
    """The rows of a file, by its ending: `.jsonl` or `.ndjson`, `.csv`, each also with `.gz`.

    Raises:
        SeedError: a line is broken, or the ending is unknown.
    """
    endings = [ending.lower() for ending in path.suffixes]
    packed = bool(endings) and endings[-1] == ".gz"
    ending = (endings[:-1] if packed else endings)[-1:] or [""]
    if ending[0] not in (".jsonl", ".ndjson", ".csv"):
        raise SeedError(f"{path.name}: the ending is unknown; name it .jsonl or .csv, with or without .gz")
    try:
        text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode("utf-8-sig")
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise SeedError(f"{path.name}: cannot be read as text ({error}); save it as UTF-8") from error
    yield from _csv_lines(text, path.name) if ending[0] == ".csv" else _json_lines(text, path.name)


def _load(world: World, lines: list[Line]) -> dict[str, int]:
    """Give each row to its vendor: the one whose name and a dot begin its `kind`, else Zendesk."""
    ours = [line for line in lines if _vendor_of(line.row) == "zendesk"]
    theirs = [line for line in lines if _vendor_of(line.row) != "zendesk"]
    try:
        counts = Counter(zendesk.load(world, [line.row for line in ours]))
    except RowError as error:
        raise SeedError(f"{ours[error.index].where}: {error.problem}") from error
    for line in theirs:
        kind = str(line.row["kind"])
        name = _vendor_of(line.row)
        vendor = world.jira if name == "jira" else world.vendors.get(name)
        if vendor is None:
            raise SeedError(f"{line.where}: rows of kind {kind} need the simulated {name}; leave them out")
        try:
            with world.lock:
                vendor.load_row(line.row)
        except (LookupError, ValueError, TypeError) as error:
            if name == "jira":
                raise
            raise SeedError(f"{line.where}: {error}") from error
        counts[kind] += 1
    return dict(counts)


def _json_lines(text: str, name: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise SeedError(f"{where}: not JSON ({error}); write one object per line") from error
        if not isinstance(row, dict):
            raise SeedError(f"{where}: not an object; write one object per line")
        yield Line(where, row)


def _csv_lines(text: str, name: str) -> Iterator[Line]:
    # Texts in cells may be long.
    csv.field_size_limit(16 * 1024 * 1024)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = {(column or "").strip().lower(): column for column in reader.fieldnames or []}
    found = {ours: next((header[c] for c in theirs if c in header), None) for ours, theirs in _COLUMNS.items()}
    if found["subject"] is None and found["description"] is None:
        wanted = ", ".join((*_COLUMNS["subject"], *_COLUMNS["description"]))
        raise SeedError(f"{name}:1: no column for a ticket's text; name one of {wanted}")
    for record in reader:
        where = f"{name}:{reader.line_num}"
        if None in record:
            raise SeedError(f"{where}: more cells than the header has columns; put quotes around cells with commas")
        cells = {ours: (record.get(theirs) or "").strip() for ours, theirs in found.items() if theirs is not None}
        yield Line(where, _ticket(cells, where))


def _ticket(cells: dict[str, str], where: str) -> dict[str, Any]:
    description = cells.get("description", "")
    subject = cells.get("subject") or _first_words(description)
    if not subject:
        raise SeedError(f"{where}: subject and description are both empty; remove the line")
    row: dict[str, Any] = {"kind": "ticket", "subject": subject, "description": description or subject}
    if cells.get("priority"):
        row["priority"] = _priority(cells["priority"], where)
    kind = cells.get("type", "").lower()
    if kind in _TYPES:
        row["type"] = kind
    elif kind:
        row["tags"] = [kind]
    return row


def _priority(given: str, where: str) -> str:
    word = given.lower()
    if word in _PRIORITIES:
        return word
    if re.fullmatch(r"[0-3](\.0)?", word):
        return _PRIORITIES[int(word[0])]
    if word in ("medium", "critical"):
        return {"medium": "normal", "critical": "urgent"}[word]
    raise SeedError(f"{where}: priority {given!r} is unknown; use urgent, high, normal, low or 0 to 3")


def _first_words(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first if len(first) <= _SHORTEST_SUBJECT else first[:_SHORTEST_SUBJECT].rsplit(" ", 1)[0] + " …"
