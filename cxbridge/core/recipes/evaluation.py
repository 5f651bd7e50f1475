"""Turns a checked syntax tree into closures that run on plain values.

No code is generated and no object of Jinja takes part in a run. Each kind of node has one builder in a table, so a node
without a builder cannot be evaluated: the table is a second allow-list behind the first. A value is only ever compared,
counted, printed or looked up by key; none of its methods is called. Straight expressions are bounded by their number
of nodes; work that grows with the data is charged to the frame's budget.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from jinja2 import nodes

from cxbridge.core.recipes.bands import Band
from cxbridge.core.recipes.functions import DYNAMIC, Filter, Function, ValueMap
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.paths import Key, Path, follow, meant, path_text, step_into, why_missing
from cxbridge.core.recipes.reading import Reading
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.values import BUDGET, MISSING, PLAIN, SEQUENCES, Budget, kind, refuse_foreign

_YES_OR_NO: Mapping[type, str] = {
    type(None): "test `… is not none`",
    list: "test `size(…) > 0`",
    tuple: "test `size(…) > 0`",
    dict: "test `… is not none`",
}


class Frame(Budget):
    """One evaluation: its scope, the item of the loop it is in, and the work it may still do."""

    __slots__ = ("item", "scope")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        super().__init__(BUDGET)
        self.scope = scope
        self.item: Any = MISSING


Eval = Callable[[Frame], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A function or filter that an expression uses.

    ``arguments`` holds, in the order of its parameters, a constant's value (a list as a tuple), a Path, or DYNAMIC for
    anything else. A filter's own input is not among them.
    """

    name: str
    what: Literal["function", "filter"]
    offset: int
    length: int
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What expressions may name: functions, filters, value maps and bands; and the installation they stand in."""

    functions: Mapping[str, Function]
    filters: Mapping[str, Filter]
    maps: Mapping[str, ValueMap]
    bands: Mapping[str, Band] = field(default_factory=dict)
    around: Surroundings = field(default_factory=Surroundings)


BuildNode = Callable[["Builder", Any], Eval]


class Builder:
    """Builds the closures of one source, and notes which paths, functions and filters it uses.

    ``builders`` says how each type of node is built; ``paths``, ``calls`` and ``watched`` grow as nodes are built.
    """

    def __init__(
        self, reading: Reading, vocabulary: Vocabulary, builders: Mapping[type[nodes.Node], BuildNode]
    ) -> None:
        self.reading = reading
        self.vocabulary = vocabulary
        self.paths: list[Path] = []
        self.calls: list[Call] = []
        self.watched: list[tuple[str, Eval]] = []  # what a trace shows beside a condition
        self._builders = builders
        self._built: dict[int, Eval] = {}
        self._loop_name: str | None = None

    @contextmanager
    def loop(self, name: str) -> Iterator[None]:
        """While this is open, a name stands for the item of the loop and is no path into the scope."""
        self._loop_name = name
        yield
        self._loop_name = None

    def build(self, node: nodes.Node) -> Eval:
        """The closure that works out a node; building the same node again gives the same closure."""
        done = self._built.get(id(node))
        if done is None:
            done = self._built[id(node)] = self._builders[type(node)](self, node)
        return done

    def lenient(self, node: nodes.Node) -> Eval:
        """Like build, but a missing field gives MISSING instead of an error."""
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            return self.read(node, optional=True)
        return self.build(node)

    def verdict(self, node: nodes.Node) -> Eval:
        """The closure that gives the yes or no of a condition; any other result is an error where it came from."""
        if isinstance(node, nodes.And | nodes.Or):
            parts = [self.verdict(part) for part in flatten(node)]
            return _all_of(parts) if isinstance(node, nodes.And) else _any_of(parts)
        if isinstance(node, nodes.Not) and isinstance(node.node, nodes.And | nodes.Or | nodes.Not):
            inner = self.verdict(node.node)
            return lambda frame: not inner(frame)
        if isinstance(node, nodes.Const) and type(node.value) is not bool:
            self.reading.refuse(
                f"this is {kind(node.value)} by itself, which is neither yes nor no",
                node,
                "compare it: `field == …`, or `field in [..., ...]` for several values",
            )
        run, reading = self.build(node), self.reading
        called = _called_name(node)
        lists = called in {"linked", *(n for n, f in self.vocabulary.functions.items() if f.lists_are_yes)}

        def judge(frame: Frame) -> bool:
            value = run(frame)
            if type(value) is bool:
                return value
            if (lists and type(value) in SEQUENCES) or (called == "in_window" and type(value) is str):
                return bool(value)
            raise ExpressionError(
                f"a condition must be yes or no, and this is {kind(value)}",
                *reading.span(node),
                hint=_YES_OR_NO.get(type(value), "compare it with something"),
            )

        return judge

    def placed(self, node: nodes.Node, run: Eval) -> Eval:
        """The closure, with every error it raises placed at the node unless an inner node has placed it."""
        reading = self.reading

        def placed(frame: Frame) -> Any:
            try:
                return run(frame)
            except ExpressionError as error:
                if not error.placed:
                    error.at(*reading.span(node))
                raise

        return placed

    def refuse_bare_text(self, test: nodes.Node) -> None:
        """Refuse ``field == 'a' or 'b'`` as a test: the second half is always true, which nobody means."""
        if isinstance(test, nodes.And | nodes.Or):
            for part in flatten(test):
                if isinstance(part, nodes.Const) and type(part.value) is str:
                    hint = "write `field in [..., ...]`"
                    self.reading.refuse("this text by itself is neither yes nor no", part, hint)

    def note(self, name: str, node: nodes.Call | nodes.Filter, arguments: Sequence[nodes.Expr]) -> None:
        """Note the use of a function or filter."""
        offset, length = self.reading.span(node)
        filtering = isinstance(node, nodes.Filter)
        if filtering:  # the filter's name and arguments, without what stands before the bar
            offset, length = node.lineno, offset + length - node.lineno
        values = tuple(self._argument(argument) for argument in arguments)
        self.calls.append(Call(name, "filter" if filtering else "function", offset, length, values))

    def _argument(self, node: nodes.Expr) -> Any:
        value = constant(node)
        parts = static_path(node) if value is DYNAMIC else None
        return value if parts is None else Path(parts, *self.reading.span(node))

    def is_loop_item(self, parts: tuple[Key, ...]) -> bool:
        """Whether a path begins at the item of the loop that is being built."""
        return parts[0] == self._loop_name

    def read(self, node: nodes.Name | nodes.Getattr | nodes.Getitem, *, optional: bool) -> Eval:
        """The closure that reads a field; a missing one gives MISSING when optional, otherwise an error."""
        parts = static_path(node)
        if parts is not None:
            return self._read_path(node, parts, optional=optional)
        assert not isinstance(node, nodes.Name)  # noqa: S101 - a name by itself is always a fixed path
        base = self.lenient(node.node) if optional else self.build(node.node)
        return self._step(node, base, optional=optional)

    def _read_path(self, node: nodes.Node, parts: tuple[Key, ...], *, optional: bool) -> Eval:
        reading = self.reading
        root, keys = str(parts[0]), parts[1:]
        in_loop = self.is_loop_item(parts)
        if not in_loop:
            self.paths.append(Path(parts, *reading.span(node), optional=optional))
            self.watched.append((path_text(parts), lambda frame: follow(frame.scope, parts)))

        def read(frame: Frame) -> Any:
            value = frame.item if in_loop else frame.scope.get(root, MISSING)
            for key in keys:
                if type(value) is dict and type(key) is str:
                    value = value.get(key, MISSING)
                else:
                    try:
                        value = step_into(value, key)
                    except ExpressionError as error:
                        raise error.at(*reading.span(node)) from None
            if type(value) in PLAIN or (optional and value is MISSING):
                return value
            raise why_missing({root: frame.item} if in_loop else frame.scope, parts).at(*reading.span(node))

        return read

    def _step(self, node: nodes.Getattr | nodes.Getitem, base: Eval, *, optional: bool) -> Eval:
        """A field or item of something that is not a fixed path, or one whose name is worked out."""
        key_of = always(node.attr) if isinstance(node, nodes.Getattr) else self.build(node.arg)

        def step(frame: Frame) -> Any:
            value, key = base(frame), key_of(frame)
            if type(key) is str and key.startswith("_"):
                raise ExpressionError("a name may not begin with `_`")
            found = step_into(value, key)
            if type(found) in PLAIN or (optional and found is MISSING):
                return found
            if found is not MISSING:
                refuse_foreign(found)
            if type(value) is dict:
                raise ExpressionError("there is no field of this name here", hint=meant(key, value))
            raise ExpressionError("there is nothing at this place", hint="give a value with default(...)")

        return self.placed(node, step)


def flatten(node: nodes.BinExpr) -> list[nodes.Expr]:
    """The parts of ``a and b and c`` (or of an ``or``) in order."""
    parts: list[nodes.Expr] = []
    left: nodes.Expr = node
    while type(left) is type(node) and isinstance(left, nodes.BinExpr):
        parts.append(left.right)
        left = left.left
    return [left, *reversed(parts)]


def always(value: Any) -> Eval:
    """A closure that gives one value."""
    return lambda _frame: value


def constant(node: nodes.Node) -> Any:
    """The value of a constant, a negative number or a list of constants (as a tuple); DYNAMIC for anything else."""
    if isinstance(node, nodes.Const):
        return node.value
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const) and type(node.node.value) in (int, float):
        return -node.node.value
    if isinstance(node, nodes.List):
        items = tuple(constant(item) for item in node.items)
        return DYNAMIC if any(item is DYNAMIC for item in items) else items
    return DYNAMIC


def static_path(node: nodes.Node) -> tuple[Key, ...] | None:
    """The parts of a node that is a path of fixed names, otherwise None."""
    parts: list[Key] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            parts.append(node.attr)
        elif isinstance(node, nodes.Getitem):
            key = constant(node.arg)
            if type(key) not in (str, int):
                return None
            parts.append(key)
        else:
            return None
        node = node.node
    return (node.name, *reversed(parts))


def _called_name(node: nodes.Node) -> str | None:
    return node.node.name if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) else None


def _all_of(parts: list[Eval]) -> Eval:
    def run(frame: Frame) -> bool:
        for part in parts:  # noqa: SIM110 - a generator here would cost more than the parts
            if not part(frame):
                return False
        return True

    return run


def _any_of(parts: list[Eval]) -> Eval:
    def run(frame: Frame) -> bool:
        for part in parts:  # noqa: SIM110 - the same
            if part(frame):
                return True
        return False

    return run
