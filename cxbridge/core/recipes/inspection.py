"""Looks at the tokens of a source before the parser does.

What it refuses here can neither be parsed nor exhaust the parser: tags, depth, names, operators and numbers that the
language does not have. It must run before any recursive step.
"""

import math
from collections.abc import Iterable

from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.reading import Mark, Reading
from cxbridge.core.recipes.values import BIGGEST_NUMBER

MOST_NODES = 300
DEEPEST = 40
_MOST_TOKENS = 5 * MOST_NODES  # brackets, operators and tags around so many parts
_TAGS = {"if": "endif", "for": "endfor"}


# Names that make no node of their own; every other name, text and number makes at least one.
_JOINING = frozenset({"and", "or", "not", "in", "is", "if", "else", "elif", "endif", "for", "endfor", "recursive"})


def _makes_a_node(mark: Mark, previous: Mark | None) -> bool:
    """Whether a token is sure to become a node of the tree: the tree has at least as many as there are of these."""
    if mark.type == "operator":
        called = mark.text == "(" and previous is not None and previous.text in (")", "]")
        return called or mark.text in ("[", "{")
    return mark.type in ("data", "string", "integer", "float") or (mark.type == "name" and mark.text not in _JOINING)


class Inspector:
    """Takes the tokens one by one into a reading, which it stops at the first that is not allowed.

    It also notes which brackets belong together.
    """

    def __init__(self, reading: Reading, *, expression: bool) -> None:
        self.reading = reading
        self.expression = expression
        self.brackets: list[Mark] = []
        self.blocks: list[Mark] = []
        self.open: Mark | None = None  # the braces we are in
        self.parts = 0
        self.prefixes = 0  # not, - and + in a row
        self.branches = 0  # inline ifs and elses since the expression began

    def inspect(self, marks: Iterable[Mark]) -> None:
        """Raises ExpressionError at the first token that is not allowed."""
        for mark in marks:
            previous = self.reading.marks[-1] if self.reading.marks else None
            if previous is not None and previous.type == "block_begin":
                self._see_tag(mark, previous)
            check = getattr(self, "_see_" + mark.type, None)
            if check is not None:
                check(mark, previous)
            self.parts += _makes_a_node(mark, previous)
            place = mark.start, mark.end - mark.start
            if self.parts > MOST_NODES or len(self.reading.marks) > _MOST_TOKENS:
                raise ExpressionError(f"this has more than {MOST_NODES} parts", *place, hint="split it into several")
            if len(self.brackets) + len(self.blocks) + self.prefixes + self.branches > DEEPEST:
                raise ExpressionError("this is nested too deeply", *place, hint="split it into several")
            self.reading.marks.append(mark)
        self._see_end()

    def _see_end(self) -> None:
        for mark in (*self.brackets, *self.blocks):
            closing = {"(": ")", "[": "]", "{": "}"}.get(mark.text)
            message = "this bracket is never closed" if closing else f"this `{mark.text}` is never closed"
            hint = f"add `{closing}`" if closing else f"add {{% {_TAGS[mark.text]} %}}"
            raise ExpressionError(message, mark.start, mark.end - mark.start, hint)
        if self.open is not None:
            hint = "add }}" if self.open.type == "variable_begin" else "add %}"
            raise ExpressionError("these braces are never closed", self.open.start, 2, hint)

    def _see_variable_begin(self, mark: Mark, _previous: Mark | None) -> None:
        self.prefixes = self.branches = 0
        self.open = mark

    def _see_variable_end(self, mark: Mark, _previous: Mark | None) -> None:
        if self.expression:
            raise ExpressionError("these braces close nothing", mark.start, 2, "leave them out")
        self.open = None

    def _see_block_begin(self, mark: Mark, _previous: Mark | None) -> None:
        self.prefixes = self.branches = 0
        self.open = mark

    def _see_block_end(self, _mark: Mark, _previous: Mark | None) -> None:
        self.open = None

    def _see_tag(self, tag: Mark, begin: Mark) -> None:
        if tag.type != "name":
            raise ExpressionError("a tag begins with `if` or `for`", begin.start, begin.end - begin.start)
        place = tag.start, tag.end - tag.start
        inner = self.blocks[-1].text if self.blocks else None
        if tag.text in _TAGS:
            if tag.text == "for" and any(block.text == "for" for block in self.blocks):
                raise ExpressionError("a loop cannot stand inside another loop", *place)
            self.blocks.append(tag)
        elif tag.text in ("elif", "else"):
            if inner != "if":
                raise ExpressionError(f"`{tag.text}` belongs to an `if`, and none is open here", *place)
        elif tag.text in _TAGS.values():
            if inner is None or _TAGS[inner] != tag.text:
                hint = f"close it with {{% {_TAGS[inner]} %}}" if inner else "leave it out"
                raise ExpressionError(f"`{tag.text}` does not close what is open here", *place, hint=hint)
            self.blocks.pop()
        else:
            raise ExpressionError(
                f"there is no tag `{tag.text[:40]}`", *place, hint="a template knows only `if` and `for`"
            )

    def _see_operator(self, mark: Mark, previous: Mark | None) -> None:
        text = mark.text
        if text in ("(", "[", "{"):
            self.brackets.append(mark)
        elif text in (")", "]", "}"):
            self.reading.pairs[self.brackets.pop().start] = mark.end  # the lexer has seen to it that they balance
        elif text == "**":
            raise ExpressionError("there is no power operator", mark.start, 2, "multiply instead")
        elif text == "=":
            called = bool(self.brackets) and self.brackets[-1].text == "(" and previous is not None
            if not called or previous is None or previous.type != "name":
                raise ExpressionError("a single `=` compares nothing", mark.start, 1, "write `==`")
        elif text == ";":
            raise ExpressionError("`;` means nothing here", mark.start, 1, "leave it out")
        self.prefixes = self.prefixes + 1 if text in ("-", "+") else 0
        if text == "|" and previous is not None and previous.text == "|":
            raise ExpressionError("`||` means nothing here", previous.start, 2, "write `or`")

    def _see_name(self, mark: Mark, previous: Mark | None) -> None:
        text = mark.text
        if not text.isascii() or not text.isidentifier():
            raise ExpressionError(
                "a name may hold only the letters a to z, digits and `_`",
                mark.start,
                mark.end - mark.start,
                "other field names are read as record['name']",
            )
        if text.startswith("_"):
            raise ExpressionError("a name may not begin with `_`", mark.start, mark.end - mark.start)
        self.prefixes = self.prefixes + 1 if text == "not" else 0
        if text in ("if", "else") and (previous is None or previous.type != "block_begin"):
            self.branches += 1

    def _see_string(self, mark: Mark, previous: Mark | None) -> None:
        self.prefixes = 0
        if previous is not None and previous.type == "string":
            raise ExpressionError(
                "an operator is missing between two texts",
                mark.start,
                mark.end - mark.start,
                "put them together with ~",
            )

    def _see_integer(self, mark: Mark, _previous: Mark | None) -> None:
        self.prefixes = 0
        if len(mark.text) > 66 or int(mark.text.replace("_", ""), 0) > BIGGEST_NUMBER:  # 64 binary digits and 0b
            raise ExpressionError(
                "this number is too large", mark.start, mark.end - mark.start, "whole numbers go up to 2^63"
            )

    def _see_float(self, mark: Mark, _previous: Mark | None) -> None:
        self.prefixes = 0
        if not math.isfinite(float(mark.text.replace("_", ""))):
            raise ExpressionError("this number is too large", mark.start, mark.end - mark.start)
