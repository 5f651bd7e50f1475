"""Reads the text of a regular expression into a tree, and refuses what cannot be matched in linear time.

The subset: literals, ``.``, classes in square brackets, \\d \\w \\s and their capitals, \\b \\B ^ $, groups, ``|``,
``* + ? {m,n}``, and a leading ``(?i)``. Back-references, look-around and named groups are refused.
Nothing here matches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from cxbridge.core.recipes.mistakes import ExpressionError

MOST_REPETITIONS = 100
_DEEPEST_GROUP = 20

Member = Callable[[str], bool]


def is_word(char: str) -> bool:
    """Whether a character counts as part of a word, for \\w and \\b."""
    return char.isalnum() or char == "_"


_CLASSES: dict[str, Member] = {
    "d": str.isdecimal,
    "D": lambda c: not c.isdecimal(),
    "w": is_word,
    "W": lambda c: not is_word(c),
    "s": str.isspace,
    "S": lambda c: not c.isspace(),
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r"}


def _foreign_escape(char: str) -> bool:
    return char.isalnum() and char not in _CLASSES and char not in _CONTROL


@dataclass(frozen=True, slots=True)
class Char:
    """One character of a class."""

    member: Member


@dataclass(frozen=True, slots=True)
class Assert:
    """A position beside the right thing: one of ``^ $ b B``."""

    what: str


@dataclass(frozen=True, slots=True)
class Row:
    """Parts one after another."""

    items: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several parts."""

    options: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part several times; ``most`` is None for no upper bound."""

    part: "Part"
    least: int
    most: int | None


Part = Char | Assert | Row | Either | Repeat


class PatternReader:
    """Reads a pattern; positions in errors count from the pattern's first character."""

    def __init__(self, pattern: str) -> None:
        self.ignore_case = pattern.startswith("(?i)")
        self.pattern = pattern
        self.at = 4 if self.ignore_case else 0
        self.depth = 0

    def refuse(self, message: str, hint: str = "", at: int | None = None) -> NoReturn:
        raise ExpressionError(message, min(self.at if at is None else at, max(0, len(self.pattern) - 1)), 1, hint)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def read(self) -> Part:
        """The whole pattern as a tree. Raises ExpressionError with the offset inside the pattern."""
        part = self.either()
        if self.at < len(self.pattern):
            self.refuse("this `)` closes no group", "write \\) for the character itself")
        return part

    def either(self) -> Part:
        options = [self.row()]
        while self.peek() == "|":
            self.at += 1
            options.append(self.row())
        return options[0] if len(options) == 1 else Either(tuple(options))

    def row(self) -> Part:
        items: list[Part] = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.repeated())
        return items[0] if len(items) == 1 else Row(tuple(items))

    def repeated(self) -> Part:
        start = self.at
        part = self.one()
        bounds = self.bounds()
        if bounds is None:
            return part
        if isinstance(part, Assert) and self.pattern[start] != "(":
            self.refuse("there is nothing to repeat here", at=start)
        if self.peek() == "?":  # lazy or greedy makes no difference to whether it matches
            self.at += 1
        if self.peek() in ("*", "+") or (self.peek() == "{" and self.counted() is not None):
            self.refuse("two repetitions follow each other", "put the first into a group: (…)")
        return Repeat(part, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        char = self.peek()
        if char and char in "*+?":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        if char == "{":
            counted = self.counted()
            if counted is None:
                return None
            least, most, after = counted
            if least > MOST_REPETITIONS or (most or 0) > MOST_REPETITIONS:
                self.refuse(f"a part may be repeated at most {MOST_REPETITIONS} times by count", "use * or +")
            if most is not None and most < least:
                self.refuse("the counts here are the wrong way round", f"write {{{most},{least}}}")
            self.at = after
            return least, most
        return None

    def counted(self) -> tuple[int, int | None, int] | None:
        """``{m}``, ``{m,}``, ``{,n}`` or ``{m,n}`` here, or None where the brace is an ordinary character."""
        close = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at + 1 : close].partition(",") if close > 0 else ("x", "", "")
        if not all(part == "" or (part.isascii() and part.isdecimal()) for part in (low, high)):
            return None
        if not low and not high:
            return None
        least = int(low or 0)
        return least, (int(high) if high else None) if comma else least, close + 1

    def one(self) -> Part:
        char = self.peek()
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        if char == "\\":
            return self.escape()
        if char in "*+?":
            self.refuse("there is nothing to repeat here", f"write \\{char} for the character itself")
        self.at += 1
        if char == ".":
            return Char(lambda c: c != "\n")
        if char in "^$":
            return Assert(char)
        return self.literal(char)

    def group(self) -> Part:
        start = self.at
        if self.depth >= _DEEPEST_GROUP:
            self.refuse("groups are nested too deeply")
        self.depth += 1
        self.at += 1
        if self.peek() == "?":
            if self.pattern[self.at : self.at + 2] != "?:":
                self.refuse(
                    "groups that look around, remember or set options are not supported",
                    "only (…), (?:…) and a leading (?i) are",
                    start,
                )
            self.at += 2
        part = self.either()
        if self.peek() != ")":
            self.refuse("this group is never closed", "add `)`", start)
        self.at += 1
        self.depth -= 1
        return part

    def escape(self) -> Part:
        start = self.at
        self.at += 1
        char = self.peek()
        self.at += 1
        if char in ("b", "B"):
            return Assert(char)
        if char and char in _CLASSES:
            return Char(_CLASSES[char])
        return self.literal(self.plain_escape(char, start))

    def plain_escape(self, char: str, start: int) -> str:
        if not char:
            self.refuse("the pattern ends in the middle of `\\`", "write \\\\ for the character itself", start)
        if char.isdecimal():
            self.refuse("a pattern cannot refer back to a group", at=start)
        if _foreign_escape(char):
            self.refuse(f"`\\{char}` is not supported", r"\d \w \s \b, their capitals, \n, \t and \r are", start)
        return _CONTROL.get(char, char)

    def literal(self, char: str) -> Char:
        if not self.ignore_case:
            return Char(char.__eq__)
        forms = {char, char.lower(), char.upper()}
        return Char(forms.__contains__)

    def char_class(self) -> Part:
        start = self.at
        self.at += 1
        negated = self.peek() == "^"
        self.at += negated
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        members: list[Member] = []
        first = True
        while first or self.peek() != "]":
            first = False
            low = self.class_item(start)
            if not isinstance(low, str):
                members.append(low)
                continue
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.class_item(start)
                if not isinstance(high, str) or high < low:
                    self.refuse("the range in these brackets is the wrong way round", at=start)
                ranges.append((low, high))
            else:
                singles.add(low)
        self.at += 1

        def member(c: str) -> bool:
            return c in singles or any(a <= c <= b for a, b in ranges) or any(m(c) for m in members)

        folded = (lambda c: member(c) or member(c.lower()) or member(c.upper())) if self.ignore_case else member
        return Char((lambda c: not folded(c)) if negated else folded)

    def class_item(self, start: int) -> str | Member:
        char = self.peek()
        if not char:
            self.refuse("these square brackets are never closed", "add `]`", start)
        self.at += 1
        if char != "\\":
            return char
        escaped = self.peek()
        self.at += 1
        return _CLASSES[escaped] if escaped in _CLASSES else self.plain_escape(escaped, self.at - 2)
