"""The pages of documentation, cut into what can be compared with the code; compares nothing itself."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cxbridge.core.connector import Connector

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "cxbridge/sandbox/data/README.md"]
_NAMES = (
    "operating",
    "vendors",
    "webhooks",
    "identity",
    "recipes",
    "figures",
    "promises",
    "sandbox",
    "glossary",
)
OURS = ["README.md", *(f"docs/{name}.md" for name in _NAMES)]

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line it starts at."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Table:
    """A table, by the heading it stands under."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [row[at] for row in self.rows]


@dataclass(frozen=True)
class Page:
    """One page of documentation, cut into what can be compared."""

    name: str
    text: str
    blocks: tuple[Block, ...]
    tables: tuple[Table, ...]
    headings: tuple[str, ...]
    prose: str

    def table(self, heading: str, first: str | None = None) -> Table:
        """The table under a heading, by its first column where there are several."""
        found = [one for one in self.tables if one.heading == heading and first in (None, one.header[0])]
        assert len(found) == 1, f"{self.name}: {len(found)} tables under {heading!r}"
        return found[0]


@cache
def page(name: str) -> Page:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks: list[Block] = []
    tables: list[Table] = []
    headings: list[str] = []
    prose: list[str] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    grid: list[tuple[str, ...]] = []
    for number, line in lines:
        if (fence := re.match(r"( *)```(\w*)$", line)) is not None:
            inside = []
            for _, one in lines:
                if one.strip() == "```":
                    break
                inside.append(one.removeprefix(fence[1]))
            blocks.append(Block(fence[2], "\n".join(inside) + "\n", number))
            continue
        if line.startswith("|"):
            grid.append(tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
        elif grid:
            tables.append(Table(headings[-1] if headings else "", grid[0], tuple(grid[2:])))
            grid = []
        if re.match(r"#+ ", line):
            headings.append(line.lstrip("# ").replace("`", ""))
        prose.append(line)
    if grid:
        tables.append(Table(headings[-1], grid[0], tuple(grid[2:])))
    return Page(name, text, tuple(blocks), tuple(tables), tuple(headings), "\n".join(prose))


def spans(text: str) -> list[str]:
    """What stands in backquotes."""
    return _CODE.findall(text)


def links_of(text: str) -> list[str]:
    """Where a text's links lead."""
    return _LINK.findall(text)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def listed(hint: Any) -> tuple[str, ...]:
    """The values of a type that lists them."""
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    parts = [one for one in get_args(hint) if one is not NoneType] if get_origin(hint) in (Union, UnionType) else []
    return listed(parts[0]) if len(parts) == 1 else ()


def short(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        # As people say it: 60s and 90s rather than 1m and 1.5m.
        if seconds % size == 0 and seconds // size and not (unit == "m" and seconds < 120):
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def default_of(field: FieldInfo, *, tables: bool = False) -> str:
    """A default as the tables write it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "defaults"
    if isinstance(value, timedelta):
        return short(value)
    if field.alias is None and field.annotation is float and tables:
        return f"{value:.0%}"
    if value in ([], {}) and tables:
        return "empty"
    return json.dumps(value)


def told_defaults(table: Table, key: str) -> dict[str, str]:
    return {
        spans(name)[0]: (spans(default) or [default])[0]
        for name, default in zip(table.column(key), table.column("Default"), strict=True)
    }


_LEAST: Mapping[str, Mapping[str, Any]] = {
    "zendesk": {"subdomain": "acme", "access_token": "made-up"},
    "jira": {"site": "acme", "email": "a@b.test", "api_token": "made-up", "projects": ["ENG"]},
    "gainsight": {"domain": "acme", "access_key": "made-up"},
    "qualtrics": {"datacenter": "fra1", "api_token": "made-up"},
    "slack": {"token": "made-up"},
}


def made(connector: type[Connector]) -> Connector:
    """A connector with as little as it takes."""
    return connector.model_validate(_LEAST[connector.name])
