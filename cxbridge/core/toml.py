"""Where things stand in a TOML file that a person wrote: each key's and value's line and column; decides nothing.

A file is read by Python's own parser. Another one tells places, and what is wrong; it also reads the few things that are new in
TOML 1.1. It is loaded where it is asked: it takes 5 MB, and a file without mistakes needs none of that.

Columns count characters, a tab as one. Files may have Windows line ends and a byte order mark.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

from cxbridge.core.errors import Problem

if TYPE_CHECKING:
    from toml_rs import TOMLDecodeError

Path = tuple[str | int, ...]

# Whatever a person writes is far smaller; the parser ends the whole process on what is nested a few thousand deep.
LARGEST = 1024 * 1024
_DEEPEST = 64
# One that is not closed goes on to where it could be at the latest, so that each letter is looked at once.
_TEXT_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)|' + r"'''.*?(?:'''|\Z)" + r'|"(?:\\.|[^"\\\n])*+"?|' + r"'[^'\n]*+'?|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{_DEEPEST}}}")
_BRACKET = re.compile(r"[\[\]{}]")

_KEY = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|[A-Za-z0-9_-]+')
_ESCAPED = {"u": 6, "U": 10, "x": 4}
# What the parser says → what to do about it.
_REMEDIES = (
    ("duplicate key", "it stands further up already: keep one of the two"),
    ("string values must be quoted", 'a text stands in quotes: "…"'),
    ("invalid basic string", 'close the text with " on the same line'),
    ("invalid literal string", "close the text with ' on the same line"),
    ("invalid multi-line basic string", 'close the text with """'),
    ("invalid multi-line literal string", "close the text with '''"),
    ("missing comma between array elements", "put a comma between the items, and ] behind the last"),
    ("missing comma between key-value pairs", "put a comma between the entries, and } behind the last"),
    ("key with no value", 'write it as key = "value"'),
    ("invalid unquoted key", 'put a name with such characters in quotes: "…"'),
    ("unexpected key or value", "begin a new line here, or put the whole text in quotes"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line; line and column count from 1."""

    line: int
    column: int
    length: int


class Source:
    """One parsed file: `value` is the document; `key_span`, `value_span` and `inside` tell where a path stands.

    Lists count from 0. A path that does not stand in the file is placed at the nearest table that does.
    """

    def __init__(self, path: str, text: str, value: dict[str, Any]) -> None:
        self.path = path
        self.text = text
        self.lines = _lines(text)
        self.value = value
        # Line → first and last column of what must not be shown of it.
        self._hidden: dict[int, list[tuple[int, int]]] = {}

    @classmethod
    def parse(cls, path: str, text: str) -> "Source | Problem":
        """Read TOML; a syntax error comes back as a problem with its place, and so does a text without measure."""
        text = text.removeprefix("\ufeff")
        told = _beyond_measure(text)
        if told:
            return Problem(path, 0, 0, "CX001", told)
        try:
            return cls(path, text, tomllib.loads(text))
        except ValueError:
            pass
        import toml_rs  # noqa: PLC0415 - see above

        try:
            return cls(path, text, toml_rs.loads(text))
        except toml_rs.TOMLDecodeError as error:
            return _syntax_problem(path, text, error)
        except ValueError as error:
            # A date or time that no calendar and no clock has: the parser tells no place.
            return Problem(path, 0, 0, "CX001", f"this is not valid TOML: {error}")

    @cached_property
    def _nodes(self) -> dict[str, Any]:
        """What the parser notes of places; nothing where it does not take what Python's does."""
        import toml_rs  # noqa: PLC0415 - see above

        try:
            nodes: dict[str, Any] = toml_rs.load_with_metadata(self.text).meta["nodes"]
        except ValueError:
            return {}
        return nodes

    def stands(self, path: Path) -> bool:
        """Whether the file says anything at this path."""
        found: Any = self.value
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def key_span(self, path: Path) -> Span:
        """Tell where the key of `path` stands; for something in a list, where it begins."""
        while path:
            node = self._node(path)
            if _is_meta(node):
                side = "key" if "key_line" in node else "value"
                return self._span(node[f"{side}_line"], node[f"{side}_col"])
            if path in self._headers:
                return self._headers[path]
            if node is not None and (first := self._first_line(node)):
                # The front part of a dotted key has no place of its own.
                shown = self.lines[first - 1]
                return Span(first, len(shown) - len(shown.lstrip()) + 1, len(shown.split("=", 1)[0].strip()))
            path = path[:-1]
        return Span(1, 1, 1)

    def value_span(self, path: Path) -> Span:
        """Tell where the value of `path` stands, its quotes included; of several lines, the first."""
        node = self._node(path)
        if _is_meta(node) and "value_line" in node:
            return self._span(node["value_line"], node["value_col"])
        return self.key_span(path)

    def inside(self, path: Path, offset: int, length: int) -> Span:
        """Tell where a range of characters of a text value stands, in the file's own lines and columns."""
        span = self.value_span(path)
        raw = str((self._node(path) or {}).get("value_raw", ""))
        letters = _letters(raw)
        if not letters:
            return span
        first = letters[min(offset, len(letters) - 1)][0]
        last = letters[max(0, min(offset + length, len(letters)) - 1)][1]
        before = raw[:first]
        breaks = before.count("\n")
        column = first - before.rfind("\n") if breaks else span.column + first
        return Span(span.line + breaks, column, max(1, last - first))

    def hide(self, path: Path) -> None:
        """Show dots in the place of this value wherever its lines are shown."""
        node = self._node(path)
        if not _is_meta(node) or "value_line" not in node:
            return
        first, last, start, end = self._stretch(node["value_line"], node["value_col"])
        for number in range(first, last + 1):
            whole = len(self.lines[number - 1])
            stretch = (start if number == first else 1, end if number == last else whole)
            self._hidden.setdefault(number, []).append(stretch)

    def problem(self, span: Span, code: str, message: str, hint: str = "") -> Problem:
        """Make a problem that shows the offending line."""
        shown = self.lines[span.line - 1] if 0 < span.line <= len(self.lines) else ""
        for start, end in self._hidden.get(span.line, ()):
            shown = shown[: start - 1] + "•" * (end - start + 1) + shown[end:]
        return Problem(self.path, span.line, span.column, code, message, shown, max(1, span.length), hint)

    def _node(self, path: Path) -> dict[str, Any] | None:
        node: Any = self._nodes
        for part in path:
            inner: Any = node.get("value") if _is_meta(node) else node
            try:
                node = inner[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node if isinstance(node, dict) else None

    def _span(self, line: Any, column: Any) -> Span:
        first, last, start, end = self._stretch(line, column)
        return Span(first, start, max(1, (end if first == last else len(self.lines[first - 1])) - start + 1))

    def _stretch(self, line: Any, column: Any) -> tuple[int, int, int, int]:
        """First line and last, first column and last."""
        first, last = (line, line) if isinstance(line, int) else (line[0], line[-1])
        start, end = (column, column) if isinstance(column, int) else (column[0], column[-1])
        # The parser counts bytes; people count letters.
        return first, last, self._letters_before(first, start - 1) + 1, self._letters_before(last, end)

    def _letters_before(self, line: int, bytes_: int) -> int:
        return len(self.lines[line - 1].encode()[:bytes_].decode(errors="ignore"))

    @cached_property
    def _headers(self) -> Mapping[Path, Span]:
        """Where the names in `[table]` headers stand: the parser keeps no position for them."""
        found: dict[Path, Span] = {}
        newest: dict[Path, int] = {}
        inside_values = {line for first, last in _stretches(self._nodes) for line in range(first + 1, last + 1)}
        for number, line in enumerate(self.lines, start=1):
            bare = line.lstrip()
            if not bare.startswith("[") or number in inside_values:
                continue
            listed = bare.startswith("[[")
            names = list(_header_names(line))
            path: Path = ()
            for at, (name, column, length) in enumerate(names, start=1):
                path = (*path, name)
                found.setdefault(path, Span(number, column, length))
                if listed and at == len(names):
                    newest[path] = newest.get(path, -1) + 1
                if path in newest:
                    path = (*path, newest[path])
        return found

    def _first_line(self, node: Any) -> int | None:
        for inner in _below(node):
            if _is_meta(inner):
                line = inner.get("key_line", inner.get("value_line"))
                return line if isinstance(line, int) else None
            if (found := self._first_line(inner)) is not None:
                return found
        return None


class Placed(dict[str, Any]):
    """A table of a file that remembers where it stands, for whoever finds out later what is wrong with it."""

    def __init__(self, values: Mapping[str, Any], source: Source, path: Path) -> None:
        super().__init__(values)
        self.source = source
        self.path = path


@dataclass(slots=True)
class Problems:
    """Collects what is wrong in one file, so that everything is told at once.

    What follows from a value that was refused already is no news: `mute` its path.
    """

    source: Source
    found: list[Problem] = field(default_factory=list)
    muted: set[Path] = field(default_factory=set)

    def at_key(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a key."""
        self._note(path, self.source.key_span(path), code, message, hint)

    def at_value(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a value."""
        self._note(path, self.source.value_span(path), code, message, hint)

    def inside(self, path: Path, offset: int, length: int, code: str, message: str, hint: str = "") -> None:
        """Note a problem with some characters of a text value."""
        self._note(path, self.source.inside(path, offset, length), code, message, hint)

    def elsewhere(self, problem: Problem) -> None:
        """Note a problem that stands in another file."""
        self.found.append(problem)

    def mute(self, path: Path) -> None:
        """Say no more about what stands at this path and below it."""
        self.muted.add(path)

    def is_muted(self, path: Path) -> bool:
        """Whether what stands at this path was refused already."""
        return any(path[:end] in self.muted for end in range(len(path) + 1))

    def touches(self, path: Path) -> bool:
        """Whether something at this path, above it or below it was refused already."""
        return self.is_muted(path) or any(one[: len(path)] == path for one in self.muted)

    def sorted(self) -> tuple[Problem, ...]:
        """Give all of them in the order of the file, each once."""
        own = self.source.path
        return tuple(sorted(dict.fromkeys(self.found), key=lambda one: (one.path != own, one.path, *_place(one))))

    def _note(self, path: Path, span: Span, code: str, message: str, hint: str) -> None:
        if not self.is_muted(path):
            self.found.append(self.source.problem(span, code, message, hint))


def nearest(word: str, known: Sequence[str]) -> str:
    """Say `did you mean …?` when one of the known words is close, else nothing."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""


def _place(problem: Problem) -> tuple[int, int, str]:
    return problem.line, problem.column, problem.code


def _lines(text: str) -> list[str]:
    # Not splitlines: TOML knows no line ends but these, and a text may hold others.
    return [line.removesuffix("\r") for line in text.split("\n")]


def _beyond_measure(text: str) -> str:
    """Say what is too much about a text, nothing where it may be parsed."""
    if len(text) > LARGEST:
        return f"the file is larger than {LARGEST >> 20} MiB, which no settings and no recipe need to be"
    bare = _TEXT_OR_COMMENT.sub("_", text)
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        if depth > _DEEPEST:
            return f"lists and tables are nested more than {_DEEPEST} deep"
    return f"a key has more than {_DEEPEST} parts" if _LONG_KEY.search(bare) else ""


def _syntax_problem(path: str, text: str, error: "TOMLDecodeError") -> Problem:
    # The parser's own line and column count bytes in places: its position is the only number to trust.
    before = text.encode()[: error.pos].decode(errors="ignore")
    line = before.count("\n") + 1
    lines = _lines(text)
    shown = lines[line - 1] if line <= len(lines) else ""
    told = [one.strip() for one in str(error.msg).splitlines() if one.strip()]
    reason = told[-1] if told else "the text breaks off"
    hint = next((remedy for sign, remedy in _REMEDIES if reason.startswith(sign)), "")
    if hint == _REMEDIES[1][1] and shown.rstrip().endswith("="):
        reason, hint = "a value is missing here", "write one behind the ="
    return Problem(
        path, line, len(before) - before.rfind("\n"), "CX001", f"this is not valid TOML: {reason}", shown, 1, hint
    )


def _is_meta(node: Any) -> TypeGuard[dict[str, Any]]:
    # A table's children may themselves be called key_line or value_line: then they are dicts, never numbers.
    return isinstance(node, dict) and any(
        isinstance(node.get(name), int | list | tuple) for name in ("key_line", "value_line")
    )


def _below(node: Any) -> Iterable[Any]:
    inner = node.get("value") if _is_meta(node) else node
    if isinstance(inner, dict):
        return list(inner.values())
    return inner if isinstance(inner, list) else []


def _stretches(node: Any) -> Iterator[tuple[int, int]]:
    """First and last lines of the values that take several."""
    for inner in _below(node):
        line = inner.get("value_line") if _is_meta(inner) else None
        if isinstance(line, list | tuple):
            yield line[0], line[-1]
        else:
            yield from _stretches(inner)


def _header_names(line: str) -> Iterator[tuple[str, int, int]]:
    """The names of a `[table]` header, each with its column and length."""
    at = len(line) - len(line.lstrip(" \t["))
    while at < len(line) and (found := _KEY.match(line, at)):
        word = found[0]
        name = str(tomllib.loads(f"x = {word}")["x"]) if word[0] in "\"'" else word
        yield name, at + 1, len(word)
        rest = line[found.end() :].lstrip(" \t")
        if not rest.startswith("."):
            return
        at = len(line) - len(rest[1:].lstrip(" \t"))


def _letters(raw: str) -> list[tuple[int, int]]:
    """For each letter of a text value, where its spelling in the file begins and ends; an empty one stands for the end."""
    quotes = 3 if raw.startswith(('"""', "'''")) else 1 if raw.startswith(('"', "'")) else 0
    if not quotes:
        return []
    at, end = quotes, len(raw) - quotes
    if quotes == 3:
        # TOML drops a line break right behind the opening quotes.
        at += 2 if raw.startswith("\r\n", at) else 1 if raw.startswith("\n", at) else 0
    letters: list[tuple[int, int]] = []
    while at < end:
        step = 1
        if raw[at] == "\\" and raw[0] == '"':
            if raw[at + 1] in " \t\r\n":
                # The text goes on at the next letter that is no blank.
                at += 1
                while at < end and raw[at] in " \t\r\n":
                    at += 1
                continue
            step = _ESCAPED.get(raw[at + 1], 2)
        elif raw.startswith("\r\n", at):
            step = 2
        letters.append((at, at + step))
        at += step
    return [*letters, (end, end)]
