"""What may be wrong with an expression, in words for its author; it never carries a vendor's text.

Nothing here decides anything: the reader, the evaluator and the filters raise these; a caller adds file and line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_LONGEST_GUESS = 60
_MOST_GUESSES = 300


class ExpressionError(ValueError):
    """An expression or template cannot be read, or cannot be worked out on the values it met.

    ``offset`` and ``length`` count characters of the source as written. ``hint`` is the likeliest remedy, or empty.
    """

    def __init__(self, message: str, offset: int | None = None, length: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.length = max(1, length)
        self.placed = offset is not None
        self.offset = 0 if offset is None else offset

    def at(self, offset: int, length: int) -> "ExpressionError":
        """Give the error a place unless an inner part has given it one already; returns the error itself."""
        if not self.placed:
            self.offset, self.length, self.placed = offset, max(1, length), True
        return self

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Unmapped(Exception):
    """A value map that holds has no entry for a value: the run waits until a person adds one."""

    def __init__(self, map_name: str, value: Any) -> None:
        super().__init__(f"map {map_name!r} has no entry for {str(value)[:80]!r}: add one, or say what unmapped means")
        self.map_name = map_name
        self.value = value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word a person most likely meant, or None when nothing is near."""
    if len(word) > _LONGEST_GUESS:
        return None
    candidates = [name for _, name in zip(range(_MOST_GUESSES), known, strict=False) if len(name) <= _LONGEST_GUESS]
    # `prio` for `priority` and `body` for `body_text`: clear to a reader, too short for the measure below.
    starts = [name for name in candidates if len(word) >= 3 and name.startswith(word)]
    if len(starts) == 1:
        return starts[0]
    found = get_close_matches(word, candidates, n=1, cutoff=0.6)
    return found[0] if found else None
