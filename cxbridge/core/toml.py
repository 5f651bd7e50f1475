"""Where things stand in a TOML file that a person wrote: each value's line and column; decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import toml_rs

from cxbridge.core.errors import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line; line and column count from 1. `quotes` is how many characters of quoting come first."""

    line: int
    column: int
    length: int
    quotes: int = 0


class Source:
    """One parsed file: `value` is the document; `key_span`, `value_span` and `inside` tell where a path stands."""

    def __init__(self, path: str, text: str, value: dict[str, Any], nodes: dict[str, Any]) -> None:
        self.path = path
        self.text = text
        self.lines = text.splitlines()
        self.value = value
        self._nodes = nodes

    @classmethod
    def parse(cls, path: str, text: str) -> "Source | Problem":
        """Read TOML; a syntax error comes back as a problem with its place."""
        try:
            document = toml_rs.load_with_metadata(text)
        except toml_rs.TOMLDecodeError as error:
            lines = text.splitlines()
            shown = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else ""
            told = [line.strip() for line in str(error.msg).splitlines() if line.strip()]
            reason = told[-1] if told else "the text breaks off"
            return Problem(path, error.lineno, error.colno, "CX001", f"this is not valid TOML: {reason}", shown)
        return cls(path, text, document.value, document.meta["nodes"])

    def key_span(self, path: Path) -> Span:
        """Tell where the key of `path` stands; for something in a list, where it begins."""
        node = self._node(path)
        if node is not None and "key_line" in node:
            return _span(node["key_line"], node["key_col"])
        if node is not None and _is_meta(node):
            return _span(node["value_line"], node["value_col"])
        return self._header(path)

    def value_span(self, path: Path) -> Span:
        """Tell where the value of `path` stands."""
        node = self._node(path)
        if node is None or not _is_meta(node) or "value_line" not in node:
            return self.key_span(path)
        raw = node.get("value_raw", "")
        quotes = 3 if raw.startswith(('"""', "'''")) else 1 if raw.startswith(('"', "'")) else 0
        span = _span(node["value_line"], node["value_col"])
        return Span(span.line, span.column, span.length, quotes)

    def inside(self, path: Path, offset: int, length: int) -> Span:
        """Tell where a range of characters of a text value stands, in the file's own lines and columns."""
        span = self.value_span(path)
        raw: str = (self._node(path) or {}).get("value_raw", "")
        start = span.quotes
        # TOML drops a line break right behind the opening quotes of a multi-line text.
        if span.quotes == 3 and raw[3:5] == "\r\n":
            start += 2
        elif span.quotes == 3 and raw[3:4] == "\n":
            start += 1
        start = _escaped_offset(raw, start, offset) if raw.startswith('"') else start + offset
        before = raw[:start]
        breaks = before.count("\n")
        column = start - before.rfind("\n") if breaks else span.column + start
        return Span(span.line + breaks, column, max(1, length))

    def problem(self, span: Span, code: str, message: str, hint: str = "") -> Problem:
        """Make a problem that shows the offending line."""
        shown = self.lines[span.line - 1] if 0 < span.line <= len(self.lines) else ""
        return Problem(self.path, span.line, span.column, code, message, shown, max(1, span.length), hint)

    def _node(self, path: Path) -> dict[str, Any] | None:
        node: Any = self._nodes
        for part in path:
            inner: Any = node.get("value") if isinstance(node, dict) and _is_meta(node) else node
            try:
                node = inner[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node if isinstance(node, dict) else None

    def _header(self, path: Path) -> Span:
        # The parser keeps no position for a [table] header of its own.
        names = [part for part in path if isinstance(part, str)]
        while names:
            title = ".".join(names)
            for number, line in enumerate(self.lines, start=1):
                bare = line.split("#", 1)[0].strip()
                if bare in (f"[{title}]", f"[[{title}]]"):
                    return Span(number, line.index("[") + 1, len(bare))
            names.pop()
        return Span(1, 1, 1)


def _is_meta(node: dict[str, Any]) -> bool:
    # A table's children may themselves be called key_line or value_line: then they are dicts, never numbers.
    return any(isinstance(node.get(name), int | list | tuple) for name in ("key_line", "value_line"))


def _span(line: Any, column: Any) -> Span:
    if isinstance(line, int):
        if isinstance(column, int):
            return Span(line, column, 1)
        return Span(line, column[0], column[1] - column[0] + 1)
    return Span(line[0], column if isinstance(column, int) else column[0], 1)


def _escaped_offset(raw: str, start: int, offset: int) -> int:
    """Walk a basic string: an escape is longer in the file than in the value."""
    at = start
    for _ in range(offset):
        if at >= len(raw):
            break
        step = 1
        if raw[at] == "\\" and at + 1 < len(raw):
            step = {"u": 6, "U": 10, "x": 4}.get(raw[at + 1], 2)
        at += step
    return at


def nearest(word: str, known: Sequence[str]) -> str:
    """Say `did you mean …?` when one of the known words is close, else nothing."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""


@dataclass(slots=True)
class Problems:
    """Collects what is wrong in one file, so that everything is told at once."""

    source: Source
    found: list[Problem] = field(default_factory=list)

    def at_key(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a key."""
        self.found.append(self.source.problem(self.source.key_span(path), code, message, hint))

    def at_value(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a value."""
        self.found.append(self.source.problem(self.source.value_span(path), code, message, hint))

    def inside(self, path: Path, offset: int, length: int, code: str, message: str, hint: str = "") -> None:
        """Note a problem with some characters of a text value."""
        self.found.append(self.source.problem(self.source.inside(path, offset, length), code, message, hint))

    def sorted(self) -> tuple[Problem, ...]:
        """Give all of them in the order of the file, each once."""
        unique = dict.fromkeys(self.found)
        return tuple(sorted(unique, key=lambda problem: (problem.line, problem.column, problem.code)))
