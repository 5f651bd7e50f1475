"""The one language of recipes: conditions and templates in Jinja syntax over plain data, with explanations.

Sources are read once, when recipes are loaded, and refused as a whole if anything in them is not on the allow-list.
Evaluating does no I/O: links and the time come in with the scope. No text that came from a vendor may be given to
``condition`` or ``template``; such texts are values and nothing else.

    allowlist    source → checked syntax tree, each part with its place
    evaluation   tree → closures over plain values (operators and calls hold one builder per kind of node)
    templates    text around expressions, escaped for where it goes        explain   why a condition did not hold
    guards       parts of a condition that a field's value alone decides
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cxbridge.core.recipes.allowlist import Allowlist
from cxbridge.core.recipes.bands import Band
from cxbridge.core.recipes.calls import CALLS, RESERVED_FILTERS, RESERVED_FUNCTIONS
from cxbridge.core.recipes.escaping import Escape
from cxbridge.core.recipes.evaluation import Builder, Call, Frame, Vocabulary
from cxbridge.core.recipes.explain import Leaf, explain, plan_leaves
from cxbridge.core.recipes.filters import standard_filters
from cxbridge.core.recipes.forms import AROUND, ITS, JUDGED, LINKED, MOVES
from cxbridge.core.recipes.functions import DYNAMIC, Default, Filter, Function, ValueMap, standard_functions
from cxbridge.core.recipes.guards import Guard, guards_of
from cxbridge.core.recipes.mistakes import ExpressionError, Unmapped
from cxbridge.core.recipes.operators import OPERATORS
from cxbridge.core.recipes.paths import Path
from cxbridge.core.recipes.reading import Reading
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.templates import Template
from cxbridge.core.recipes.values import MISSING, Duration, parse_duration, spoken

__all__ = [
    # what is read
    "Language", "Expression", "Condition", "Template", "Escape",
    # what a checker looks at
    "Path", "Call", "DYNAMIC",
    # what a recipe set and its plugins add
    "Function", "Filter", "ValueMap", "Default", "Band", "Surroundings",
    # keys of the scope behind functions that ask the engine
    "LINKED", "ITS", "MOVES", "JUDGED", "AROUND",
    # what comes out
    "Leaf", "Guard", "Duration", "MISSING", "parse_duration", "spoken", "ExpressionError", "Unmapped",
]  # fmt: skip

_BUILDERS = MappingProxyType({**OPERATORS, **CALLS})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Expression:
    """An expression that was read and checked; immutable, and safe to share between threads.

    ``paths`` and ``calls`` are what it may read and use, in the order in which they stand.
    """

    __slots__ = ("_run", "calls", "paths", "source")

    def __init__(self, builder: Builder) -> None:
        self.source = builder.reading.source
        self._run = builder.build(builder.reading.tree)
        self.paths: tuple[Path, ...] = tuple(builder.paths)
        self.calls: tuple[Call, ...] = tuple(builder.calls)

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value of the expression. Raises ExpressionError, or Unmapped where a value map holds."""
        return self._run(Frame(scope))


class Condition(Expression):
    """An expression that says yes or no."""

    __slots__ = ("_plans", "_tree")

    def __init__(self, builder: Builder) -> None:
        self._tree = builder.reading.tree
        self._plans = plan_leaves(builder, builder.reading.tree)
        super().__init__(builder)

    def holds(self, scope: Mapping[str, Any]) -> bool:
        """Whether the condition holds. Raises ExpressionError, also for a part that is neither yes nor no."""
        frame = Frame(scope)
        return all(plan.judge(frame) for plan in self._plans)

    def explain(self, scope: Mapping[str, Any]) -> list[Leaf]:
        """Each part joined by ``and`` with its verdict and what it saw; an error is told in its part, not raised."""
        return explain(self._plans, scope)

    def guards(self, name: str, inputs: Mapping[str, Any]) -> tuple[list[Guard], bool]:
        """Those of its first parts that a field of the entity of this name decides alone, and whether they are all there is.

        ``inputs`` are the recipe's.
        """
        return guards_of(self._tree, name, inputs)


class Language:
    """Reads the conditions and templates of one set of recipes; immutable, and safe to share between threads.

    Raises ValueError for a function or filter whose name is not free.
    """

    def __init__(
        self,
        *,
        functions: Mapping[str, Function] = _NOTHING,
        filters: Mapping[str, Filter] = _NOTHING,
        maps: Mapping[str, ValueMap] = _NOTHING,
        bands: Mapping[str, Band] = _NOTHING,
        around: Surroundings = Surroundings(),  # noqa: B008  # it is immutable
    ) -> None:
        own_functions, own_filters = standard_functions(), standard_filters()
        _check_names("function", functions, RESERVED_FUNCTIONS | own_functions.keys())
        _check_names("filter", filters, RESERVED_FILTERS | own_filters.keys())
        self._vocabulary = Vocabulary(
            own_functions | dict(functions), own_filters | dict(filters), dict(maps), dict(bands), around
        )
        self._allowlist = Allowlist()

    def condition(self, source: str) -> Condition:
        """Read a condition. Raises ExpressionError at the first thing that is wrong with it."""
        return Condition(self._builder(self._allowlist.expression(source)))

    def expression(self, source: str) -> Expression:
        """Read an expression that may give any value. Raises ExpressionError at the first thing that is wrong."""
        return Expression(self._builder(self._allowlist.expression(source)))

    def template(self, source: str) -> Template:
        """Read a template. Raises ExpressionError at the first thing that is wrong with it."""
        return Template(self._builder(self._allowlist.template(source)))

    def _builder(self, reading: Reading) -> Builder:
        return Builder(reading, self._vocabulary, _BUILDERS)


def _check_names(what: str, given: Mapping[str, Any], taken: frozenset[str] | set[str]) -> None:
    for name in given:
        if name in taken:
            raise ValueError(f"the {what} {name!r} exists already")
        if not name.isascii() or not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"{name!r} is not a name for a {what}")
