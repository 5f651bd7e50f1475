"""A source cut into tokens, with the place of each, and what a syntax tree made from them is called where it stands.

Jinja's lexer does the cutting; it knows lines only, so the offsets are worked out here. Nothing here decides what is
allowed, except that a source must be made of Jinja's tokens.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import Lexer, Token, operators

from cxbridge.core.recipes.mistakes import ExpressionError

_MEANT = {
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=`",
    "?": "write `a if test else b`",
    "“": 'use straight quotes: "',
    "”": 'use straight quotes: "',
    "‘": "use straight quotes: '",
    "’": "use straight quotes: '",
}
_ANCHORED = (
    nodes.Name,
    nodes.Const,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
)
_OPENED = (nodes.Call, nodes.Getitem, nodes.List, nodes.Dict)


class Mark(NamedTuple):
    """One token with its place in the source as written."""

    start: int
    end: int
    type: str
    text: str


class Reading:
    """A source that was read: its checked tree, and where everything in it stands."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.marks: list[Mark] = []
        self.index: dict[int, int] = {}  # start of a token → its number
        self.pairs: dict[int, int] = {}  # start of an opening bracket → end of its closing one
        self.tree: nodes.Node = nodes.Const(None)
        self._extents: dict[int, tuple[int, int]] = {}

    def span(self, node: nodes.Node) -> tuple[int, int]:
        """Where a node stands: offset and length. Brackets around the whole node are left out, cut ones taken in."""
        start, end = self._extent(node)
        if start >= end:
            return min(start, max(0, len(self.source) - 1)), 1
        widened = True
        while widened:
            widened = False
            for opening, closing in self.pairs.items():
                inside = start <= opening < end, start < closing <= end
                if inside[0] is not inside[1]:
                    start, end = min(start, opening), max(end, closing)
                    widened = True
        return start, end - start

    def beginning(self, node: nodes.Node) -> tuple[int, int]:
        """The place of a node's first part, found without recursion: for nodes that may be nested too deeply."""
        while True:
            inner = next(node.iter_child_nodes(), None)
            if inner is None:
                number = self.index.get(node.lineno, 0)
                return self.marks[number].start, self.marks[number].end - self.marks[number].start
            node = inner

    def text(self, node: nodes.Node) -> str:
        """A node as its author wrote it, on one line."""
        offset, length = self.span(node)
        return " ".join(self.source[offset : offset + length].split())

    def refuse(self, message: str, node: nodes.Node, hint: str = "") -> NoReturn:
        """Raise ExpressionError at a node."""
        raise ExpressionError(message, *self.span(node), hint=hint)

    def _extent(self, node: nodes.Node) -> tuple[int, int]:
        """From the first to past the last character of a node's tokens; its depth has been checked before."""
        known = self._extents.get(id(node))
        if known is None:
            start, end = self._own(node)
            for child in node.iter_child_nodes():
                low, high = self._extent(child)
                start, end = min(start, low), max(end, high)
            known = self._extents[id(node)] = start, end
        return known

    def _own(self, node: nodes.Node) -> tuple[int, int]:
        """The place of the tokens that belong to a node itself; an empty place for one that has none."""
        number = self.index.get(node.lineno)
        if number is None:
            return len(self.source), 0
        mark = self.marks[number]
        end = 0
        if isinstance(node, _ANCHORED):
            end = mark.end
        elif isinstance(node, nodes.Getattr):
            end = self.marks[number + 1].end
        elif isinstance(node, nodes.Filter):
            end = self._called(number)
        elif isinstance(node, nodes.Test):
            end = self._called(number + (2 if self.marks[number + 1].text == "not" else 1))
        elif isinstance(node, _OPENED):
            end = self.pairs.get(mark.start, mark.end)
        return (mark.start, end) if end else (len(self.source), 0)

    def _called(self, number: int) -> int:
        """Where a name ends, its arguments in brackets included."""
        after = self.marks[number + 1] if number + 1 < len(self.marks) else None
        if after is not None and after.text == "(" and after.start in self.pairs:
            return self.pairs[after.start]
        return self.marks[number].end


def scan(lexer: Lexer, source: str, *, expression: bool) -> Iterator[Mark]:
    """The tokens of a source one by one, blanks and comments left out.

    Raises ExpressionError where Jinja's lexer cannot go on.
    """
    text, shift = _one_newline(source)
    at = 0
    kind = ""
    try:
        for _, kind, raw in lexer.tokeniter(text, None, None, "variable" if expression else None):
            # Whitespace control drops blanks in front of a tag, so a token may begin later than the last ended.
            at = text.index(raw, at)
            if kind == "raw_begin":
                hint = "write {{ '{{' }} for the braces themselves"
                raise ExpressionError("there is no `raw` here", shift(at), len(raw), hint)
            if kind not in ("whitespace", "comment", "comment_begin", "comment_end"):
                yield Mark(shift(at), shift(at + len(raw)), kind, raw)
            at += len(raw)
    except TemplateSyntaxError:
        _explain_character(source, shift(at), kind)


def _one_newline(source: str) -> tuple[str, Callable[[int], int]]:
    """The source with Unix line ends, and a function from its offsets to those of the source as written."""
    if "\r" not in source:
        return source, int
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    origin: list[int] = []
    at = 0
    for _ in text:
        origin.append(at)
        at += 2 if source[at : at + 2] == "\r\n" else 1
    origin.append(at)
    return text, origin.__getitem__


def _explain_character(source: str, at: int, before: str) -> NoReturn:
    """Say why the lexer could not go on at a character; ``before`` is the kind of token that it had read last."""
    if before == "comment_begin":
        raise ExpressionError("this comment is never closed", at - 2, 2, "add #} at its end")
    char = source[at : at + 1]
    if char in ("'", '"'):
        raise ExpressionError("this text is never closed", at, 1, f"add {char} at its end")
    if char and char in ")]}":
        raise ExpressionError(f"this `{char}` does not fit the brackets before it", at, 1, "close the last one first")
    raise ExpressionError(f"`{char}` means nothing here", at, 1, _MEANT.get(char, "leave it out or put it in quotes"))


def token(mark: Mark) -> Token:
    """A token as Jinja's parser takes it, its offset in the place of a line number."""
    value: Any = mark.text
    kind = mark.type
    if kind == "operator":
        kind = operators[mark.text]
    elif kind == "string":
        value = _unescape(mark)
    elif kind == "integer":
        value = int(mark.text.replace("_", ""), 0)
    elif kind == "float":
        value = float(mark.text.replace("_", ""))
    return Token(mark.start, kind, value)


_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_CODED = {"x": 2, "u": 4, "U": 8}


def _unescape(mark: Mark) -> str:
    r"""A string literal's text; unlike in Jinja, an unknown escape keeps its backslash: ``'\bdown\b'`` is a pattern."""
    body = mark.text[1:-1]
    if "\\" not in body:
        return body
    done: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        following = body[at + 1 : at + 2]
        if char != "\\":
            done.append(char)
            at += 1
        elif following in _ESCAPED:
            done.append(_ESCAPED[following])
            at += 2
        elif following in _CODED:
            width = _CODED[following]
            digits = body[at + 2 : at + 2 + width]
            try:
                code = int(digits, 16) if len(digits) == width and digits.isalnum() else -1
                done.append(chr(code))
            except (ValueError, OverflowError):
                place = mark.start + 1 + at
                raise ExpressionError(
                    f"`\\{following}` needs {width} hexadecimal digits of a character", place, 2 + len(digits)
                ) from None
            at += 2 + width
        else:
            done.append("\\" + following)
            at += 2
    return "".join(done)
