"""Writes values for the place they are going to, so that a customer's text cannot become markup there.

What the author of a recipe wrote literally is never escaped; what comes out of ``{{ }}`` always is. The destination is
chosen by the type of the field that is written, never by the author.
"""

import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.values import BIGGEST_TEXT, NUMBERS, Budget, Duration, number_text, refuse_foreign, text_of


class Escape(StrEnum):
    """The kind of text that is being written.

    PLAIN and ADF change nothing: plain text has no markup, and the ADF writer puts text into text nodes, where no
    character means anything. JSON writes whole JSON values, or the inside of a string where the author opened quotes.
    """

    PLAIN = "plain"
    HTML = "html"
    MARKDOWN = "markdown"
    ADF = "adf"
    JSON = "json"
    SLACK = "slack"


_DEEPEST = 40
_ESCAPED_PER_UNIT = 20
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
# docs.slack.dev/messaging/formatting-message-text: these three, and no others, must be written as entities.
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = str.maketrans({char: "\\" + char for char in "\\`*_[]<>~|&$"})
# Characters that mean something only at the beginning of a line, and numbers that would begin a list.
_MARKDOWN_LINE = re.compile(r"^([ \t]{0,40})(?:([#+=-])|(\d{1,9})([.)]))", re.MULTILINE)
_MARKDOWN_INDENT = re.compile(r"^[ \t]{4,}", re.MULTILINE)
_JSON_STRING_EDGE = re.compile(r'\\.|"', re.DOTALL)


def _escape_markdown(text: str) -> str:
    # An indented line would become a code block, in which the backslashes would be seen.
    text = _MARKDOWN_INDENT.sub("   ", text.translate(_MARKDOWN))
    return _MARKDOWN_LINE.sub(
        lambda found: found[1] + (f"\\{found[2]}" if found[2] else f"{found[3]}\\{found[4]}"), text
    )


_ESCAPES: dict[Escape, Callable[[str], str]] = {
    Escape.HTML: lambda text: text.translate(_HTML),
    Escape.MARKDOWN: _escape_markdown,
    Escape.SLACK: lambda text: text.translate(_SLACK),
}


def escape_value(value: Any, escape: Escape, budget: Budget) -> Any:
    """A native value with every text in it escaped for its destination; other values stay as they are.

    Raises ExpressionError when its texts come to more than 256 KiB together.
    """
    return _Escaping(_ESCAPES.get(escape), budget).through(value, 0)


class _Escaping:
    """Goes through one value: a function in a function that calls itself would keep what it uses until circles are looked for."""

    __slots__ = ("_budget", "_change", "_size")

    def __init__(self, change: Callable[[str], str] | None, budget: Budget) -> None:
        self._change = change
        self._budget = budget
        self._size = 0

    def through(self, inner: Any, depth: int) -> Any:
        refuse_foreign(inner)
        if depth > _DEEPEST:
            raise ExpressionError("a value here is nested too deeply")
        self._budget.spend(4)
        if type(inner) is str:
            self._size += len(inner)
            _check_size(self._size)
            self._budget.spend(len(inner) // _ESCAPED_PER_UNIT)
            return self._change(inner) if self._change else inner
        if type(inner) in (list, tuple):
            return [self.through(item, depth + 1) for item in inner]
        if type(inner) is dict:
            return {self.through(key, depth + 1): self.through(item, depth + 1) for key, item in inner.items()}
        return float(inner) if type(inner) is Duration else inner


def _check_size(size: int) -> None:
    if size > BIGGEST_TEXT:
        raise ExpressionError("the text made here is longer than 256 KiB", hint="shorten its parts with limit(...)")


def json_text(value: Any, budget: Budget) -> str:
    """A value as JSON; times become ISO 8601 text, durations seconds. Raises ExpressionError for what JSON lacks."""
    size = 0

    def through(inner: Any, depth: int) -> Any:
        nonlocal size
        found = type(inner)
        budget.spend(8)
        size += len(inner) if found is str else 1
        _check_size(size)
        if depth > _DEEPEST:
            raise ExpressionError("a value here is nested too deeply for JSON")
        if found in (list, tuple):
            return [through(item, depth + 1) for item in inner]
        if found is dict:
            return {_need_name(key): through(item, depth + 1) for key, item in inner.items()}
        if inner is None or found in (str, bool):
            return inner
        if found in NUMBERS:
            number_text(inner)  # refuses what JSON cannot hold
            return float(inner) if found is Duration else inner
        return text_of(inner, budget)

    text = json.dumps(through(value, 0), ensure_ascii=False)
    _check_size(len(text))
    return text


def _need_name(key: Any) -> str:
    """The name of a field if it is a text, otherwise ExpressionError."""
    if type(key) is not str:
        raise ExpressionError("a group of fields has a name that is no text")
    return key


class Writer:
    """Collects the text of one template. Raises ExpressionError when it grows past 256 KiB."""

    __slots__ = ("_budget", "_change", "_json", "_parts", "_quoted", "_size")

    def __init__(self, escape: Escape, budget: Budget) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._budget = budget
        self._json = escape is Escape.JSON
        self._quoted = False
        self._change = _ESCAPES.get(escape)

    def literal(self, text: str) -> None:
        """Add what the author wrote."""
        if self._json:
            for edge in _JSON_STRING_EDGE.finditer(text):
                if edge.group() == '"':
                    self._quoted = not self._quoted
        self._add(text)

    def value(self, value: Any) -> None:
        """Add a value, escaped for the destination."""
        if self._json:
            whole = json_text(text_of(value, self._budget) if self._quoted else value, self._budget)
            self._add(whole[1:-1] if self._quoted else whole)
            return
        text = text_of(value, self._budget)
        _check_size(len(text))
        self._budget.spend(len(text) // _ESCAPED_PER_UNIT)
        self._add(self._change(text) if self._change else text)

    def _add(self, text: str) -> None:
        self._size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        _check_size(self._size)
        self._budget.spend(2 + len(text) // 128)
        self._parts.append(text)

    def text(self) -> str:
        """All that was added."""
        return "".join(self._parts)
