"""Regular expressions whose cost grows with the text only, never with what the text says.

A pattern becomes a Thompson automaton that is run as a set of states, cached as it goes (a lazy DFA): there is no
backtracking to explode. It must never hand a pattern to another engine.
"""

from typing import NoReturn

from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.pattern_syntax import (
    Assert,
    Char,
    Either,
    Member,
    Part,
    PatternReader,
    Repeat,
    Row,
    is_word,
)
from cxbridge.core.recipes.values import Budget

LONGEST_PATTERN = 200
_MOST_STATES = 1200
# Work that only the first texts cause, until the rows they need are cached; bounded apart from the frame's budget, so
# that a condition does not depend on which texts came before.
_COLD_BUDGET = 500_000
_MOST_ROWS = 1500
_MOST_CHARACTERS = 4096

_START, _WORD, _OTHER, _END = range(4)  # what stands beside a position, for ^, $ and \b
_ANY_CONTEXT = (0, 0)


class _State:
    """One state: it consumes a character of its class, or leads on for free (perhaps only beside the right thing)."""

    __slots__ = ("bit", "condition", "free", "target")

    def __init__(self, bit: int | None = None, condition: str = "") -> None:
        self.bit = bit  # index of its character class; None for a state that consumes nothing
        self.condition = condition
        self.free: list[int] = []
        self.target = -1


class _Cached:
    """A set of states the automaton can be in after some text, with what each kind of next character leads to."""

    __slots__ = ("before", "ends", "following", "states")

    def __init__(self, states: frozenset[int], before: int) -> None:
        self.states = states
        self.before = before
        self.following: dict[int, _Cached | None] = {}  # None: the pattern has matched
        self.ends: bool | None = None  # whether the pattern matches when the text ends here; None: not asked yet


class Pattern:
    """A compiled pattern; safe to share between threads.

    Raises ExpressionError, with the offset inside the pattern, for a pattern outside the subset.
    """

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise ExpressionError(f"a pattern may have at most {LONGEST_PATTERN} characters", LONGEST_PATTERN, 1)
        self.source = source
        self._states: list[_State] = []
        self._members: list[Member] = []
        self._bits: dict[int, int] = {}
        self._built = 0
        self._accept = self._add(_State())
        self._entry = self._build(PatternReader(source).read(), self._accept)
        self._contextual = any(state.condition for state in self._states)
        self._closures: dict[tuple[int, int, int], frozenset[int]] = {}
        self._signatures: dict[str, int] = {}
        self._rows: dict[tuple[frozenset[int], int], _Cached] = {}

    def _add(self, state: _State) -> int:
        if len(self._states) >= _MOST_STATES:
            self._refuse_size()
        self._states.append(state)
        return len(self._states) - 1

    def _refuse_size(self) -> NoReturn:
        raise ExpressionError("this pattern is too large once its counts are written out", 0, len(self.source))

    def _build(self, part: Part, onward: int) -> int:
        """Add the states of a part that leads to ``onward``; gives the state that begins it."""
        self._built += 1
        if self._built > 4 * _MOST_STATES:  # counted repetitions of nothing add no states, yet take time
            self._refuse_size()
        if isinstance(part, Char):
            # A part written out a hundred times keeps one character class.
            bit = self._bits.setdefault(id(part.member), len(self._members))
            if bit == len(self._members):
                self._members.append(part.member)
            state = _State(bit=bit)
            state.target = onward
            return self._add(state)
        if isinstance(part, Assert):
            state = _State(condition=part.what)
            state.free = [onward]
            return self._add(state)
        if isinstance(part, Row):
            for item in reversed(part.items):
                onward = self._build(item, onward)
            return onward
        if isinstance(part, Either):
            fork = _State()
            fork.free = [self._build(option, onward) for option in part.options]
            return self._add(fork)
        return self._build_repeat(part, onward)

    def _build_repeat(self, part: Repeat, onward: int) -> int:
        if part.most is None:
            loop = _State()
            entry = self._add(loop)
            loop.free = [self._build(part.part, entry), onward]
            onward = entry
        else:
            end = onward
            for _ in range(part.most - part.least):
                fork = _State()
                fork.free = [self._build(part.part, onward), end]
                onward = self._add(fork)
        for _ in range(part.least):
            onward = self._build(part.part, onward)
        return onward

    def matches(self, text: str, budget: Budget) -> bool:
        """Whether the pattern occurs anywhere in the text. Raises ExpressionError when the budget is used up."""
        budget.spend(2 * len(text))
        cold = Budget(_COLD_BUDGET)
        row = self._row(frozenset((self._entry,)), _START)
        signatures = self._signatures
        for char in text:
            signature = signatures.get(char)
            if signature is None:
                signature = self._classify(char, cold)
            following = row.following
            after = following[signature] if signature in following else self._advance(row, signature, cold)
            if after is None:
                return True
            row = after
        if row.ends is None:
            row.ends = self._accept in self._reach(row.states, row.before, _END, cold)
        return row.ends

    def _classify(self, char: str, cold: Budget) -> int:
        """A number that is the same for all characters the pattern cannot tell apart."""
        cold.spend(20 + 3 * len(self._members))
        signature = 1 if is_word(char) else 0
        for index, member in enumerate(self._members):
            if member(char):
                signature |= 2 << index
        if len(self._signatures) >= _MOST_CHARACTERS:
            self._signatures = {}
        self._signatures[char] = signature
        return signature

    def _row(self, states: frozenset[int], before: int) -> _Cached:
        key = (states, before)
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= _MOST_ROWS:
                self._rows = {}  # rows still in use by another thread stay whole: they hold each other
            row = self._rows[key] = _Cached(states, before)
        return row

    def _advance(self, row: _Cached, signature: int, cold: Budget) -> _Cached | None:
        after = _WORD if signature & 1 else _OTHER
        reached = self._reach(row.states, row.before, after, cold)
        if self._accept in reached:
            row.following[signature] = None
            return None
        cold.spend(30 + 3 * len(reached))
        states = self._states
        moved = {states[index].target for index in reached if signature >> (states[index].bit or 0) & 2}
        moved.add(self._entry)  # the match may begin at any character
        row.following[signature] = found = self._row(frozenset(moved), after if self._contextual else _OTHER)
        return found

    def _reach(self, entries: frozenset[int], before: int, after: int, cold: Budget) -> frozenset[int]:
        """The consuming states (and the accepting one) that can be got to without a character."""
        if not self._contextual:
            before, after = _ANY_CONTEXT
        reached: set[int] = set()
        for entry in entries:
            closure = self._closures.get((entry, before, after))
            if closure is None:
                closure = self._closures[entry, before, after] = self._close(entry, before, after)
                cold.spend(6 * len(closure) + 10)
            cold.spend(1 + len(closure) // 2)
            reached |= closure
        return frozenset(reached)

    def _close(self, entry: int, before: int, after: int) -> frozenset[int]:
        seen: set[int] = set()
        found: set[int] = set()
        waiting = [entry]
        while waiting:
            index = waiting.pop()
            if index in seen:
                continue
            seen.add(index)
            state = self._states[index]
            if index == self._accept or state.bit is not None:
                found.add(index)
            elif not state.condition or _holds(state.condition, before, after):
                waiting.extend(state.free)
        return frozenset(found)


def _holds(condition: str, before: int, after: int) -> bool:
    if condition == "^":
        return before == _START
    if condition == "$":
        return after == _END
    boundary = (before == _WORD) is not (after == _WORD)
    return boundary is (condition == "b")
