"""Functions and filters that see the expression they stand in, the scope or the time: their shape, and what they share.

Each is built once, when a recipe is loaded, into a closure; what it reads in a run comes with the scope.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import Builder, Eval, Frame, static_path
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.paths import Key
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.values import kind

# Keys of the scope; no recipe can name them, because they begin with ``_``.
LINKED = "_linked"
"""The callable behind ``linked``: called with the record (a dict) and the relation, it gives the linked records as dicts."""
ITS = "_its"
"""The callable behind ``its``: called with the record and a name such as ``contact``, it gives the record behind it."""
MOVES = "_moves"
"""The callable behind ``crossed``: called with the parts of a path, it gives the values that the field has had, oldest first,
each with whether it is news to the recipe."""
JUDGED = "_judged"
"""A dict in which ``sentiment`` keeps what it was told, so that a run sees the same again and shows it."""
AROUND = "_around"
"""The surroundings that hold in the place of the installation's own."""


@dataclass(frozen=True, slots=True)
class Form:
    """A function or filter of the language that sees the expression: its parameters, and how it is built."""

    parameters: tuple[str, ...]
    build: Callable[[Builder, Any, list[nodes.Expr]], Eval]
    least: int
    variadic: bool = False


def field_of(builder: Builder, name: str, argument: nodes.Expr, example: str) -> tuple[Key, ...]:
    """The path that an argument must be: a field of a record."""
    parts = static_path(argument)
    if parts is None or len(parts) == 1 or builder.is_loop_item(parts):
        builder.reading.refuse(f"`{name}` needs a field", argument, f"for example {example}")
    return parts


def record(value: Any, name: str, example: str) -> dict[str, Any]:
    """The value if it is a record. Raises ExpressionError, naming what wanted one."""
    if type(value) is not dict:
        raise ExpressionError(f"`{name}` needs a whole record such as `{example}`, not {kind(value)}")
    return value


def around(builder: Builder) -> Callable[[Frame], Surroundings]:
    """A closure that gives the surroundings: those of the scope, else those of the recipe."""
    own = builder.vocabulary.around

    def found(frame: Frame) -> Surroundings:
        given = frame.scope.get(AROUND)
        return given if type(given) is Surroundings else own

    return found
