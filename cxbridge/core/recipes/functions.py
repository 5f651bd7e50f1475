"""The functions and filters a recipe may name, and the shape in which a plugin adds more of them.

An implementation gets plain values only and must give one back; it must not look at the time, the store or the network
unless whoever registered it handed those in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from cxbridge.core.recipes.mistakes import ExpressionError, Unmapped
from cxbridge.core.recipes.values import (
    NUMBERS,
    SEQUENCES,
    Budget,
    check_number,
    equal,
    kind,
    number_text,
    refuse_foreign,
)


class _Dynamic:
    __slots__ = ()

    def __repr__(self) -> str:
        return "DYNAMIC"


DYNAMIC: Final = _Dynamic()
"""Stands for an argument whose value is known only when the recipe runs."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language: ``name(argument, …)``.

    ``parameters`` are the names of its arguments in order, the first ``required`` of which must be given. ``check``
    gets the arguments as far as they are constants (``DYNAMIC`` otherwise) when a recipe is loaded, and raises
    ValueError for one that cannot work. ``lists_are_yes`` lets the result stand as a condition by itself: a list that
    holds something.
    A ValueError from ``call`` is shown to the admin with the place of the call; any other exception is passed on.
    """

    call: Callable[..., Any]
    parameters: tuple[str, ...]
    required: int | None = None
    variadic: bool = False
    metered: bool = False  # `call` takes the budget first
    lists_are_yes: bool = False
    check: Callable[..., None] | None = None

    @property
    def least(self) -> int:
        """How many arguments must be given."""
        return len(self.parameters) if self.required is None else self.required


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the language: ``value | name(argument, …)``; ``call`` gets the value before the arguments."""

    call: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    required: int | None = None
    metered: bool = False
    check: Callable[..., None] | None = None
    variadic: bool = False

    @property
    def least(self) -> int:
        """How many arguments must be given, the value before the bar not counted."""
        return len(self.parameters) if self.required is None else self.required


@dataclass(frozen=True, slots=True)
class Default:
    """The value that a map gives for everything it does not list."""

    value: Any


@dataclass(frozen=True, slots=True)
class ValueMap:
    """A table from one system's values to another's; ``unmapped`` says what happens to a value it does not list.

    ``"hold"`` raises Unmapped, ``"pass"`` gives the value unchanged, ``Default(x)`` gives x.
    """

    name: str
    entries: Mapping[str, Any]
    unmapped: Literal["hold", "pass"] | Default = "hold"

    def look_up(self, value: Any) -> Any:
        """The entry for a value; numbers and yes/no values are looked up as they print. Raises Unmapped."""
        if isinstance(value, bool):
            key: str | None = "true" if value else "false"
        elif type(value) in NUMBERS:
            key = number_text(value)
        else:
            key = value if type(value) is str else None
            if type(value) in SEQUENCES or type(value) is dict:
                raise ExpressionError(f"a map translates single values, not {kind(value)}")
        if key is not None and key in self.entries:
            return self.entries[key]
        if isinstance(self.unmapped, Default):
            return self.unmapped.value
        if self.unmapped == "pass":
            return value
        raise Unmapped(self.name, value)


def need_text(value: Any, what: str) -> str:
    """The value if it is a text. Raises ExpressionError, naming what wanted one."""
    if type(value) is not str:
        raise ExpressionError(
            f"{what} works on a text, not {kind(value)}",
            hint="give a value for when it is empty: `… | default('')`" if value is None else "",
        )
    return value


def need_list(value: Any, what: str) -> Any:
    """The value if it is a list. Raises ExpressionError, naming what wanted one."""
    if type(value) not in SEQUENCES:
        raise ExpressionError(
            f"{what} works on a list, not {kind(value)}",
            hint="give a value for when it is empty: `… | default([])`" if value is None else "",
        )
    return value


def changed_text(what: str, change: Callable[[str], str]) -> Callable[[Budget, Any], str]:
    """An implementation that needs a text and gives another."""

    def run(budget: Budget, value: Any) -> str:
        text = need_text(value, what)
        budget.spend(1 + len(text) // 10)
        return change(text)

    return run


def size_of(value: Any) -> int:
    """How many items, characters or fields there are; none has no size, because it means not known."""
    if type(value) not in (str, list, tuple, dict):
        raise ExpressionError(
            f"{kind(value)} has no size",
            hint="give a value for when it is empty: `… | default([])`" if value is None else "",
        )
    return len(value)


def sum_of(budget: Budget, value: Any) -> Any:
    """The sum of a list of numbers."""
    total: Any = 0
    for item in need_list(value, "sum"):
        budget.spend(4)
        total = check_number(total + check_number(item))
    return total


def _any(budget: Budget, value: Any) -> bool:
    return any(_filled(item, budget) for item in need_list(value, "any"))


def _all(budget: Budget, value: Any) -> bool:
    return all(_filled(item, budget) for item in need_list(value, "all"))


def _filled(item: Any, budget: Budget) -> bool:
    budget.spend(4)
    refuse_foreign(item)
    return bool(item)


def _count(budget: Budget, value: Any, wanted: Any = DYNAMIC) -> int:
    items = need_list(value, "count")
    if wanted is DYNAMIC:
        return len(items)
    budget.spend(1 + 3 * len(items))
    return sum(1 for item in items if equal(item, wanted, budget))


def standard_functions() -> dict[str, Function]:
    """The functions of the language that need nothing but the values of their arguments."""
    return {
        "size": Function(size_of, ("value",)),
        "any": Function(_any, ("list",), metered=True),
        "all": Function(_all, ("list",), metered=True),
        "count": Function(_count, ("list", "value"), required=1, metered=True),
        "sum": Function(sum_of, ("list",), metered=True),
        "lower": Function(changed_text("lower", str.lower), ("text",), metered=True),
    }
