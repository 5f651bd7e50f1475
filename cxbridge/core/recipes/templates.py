"""Templates: text with ``{{ }}``, ``{% if %}`` and one level of ``{% for %}``, rendered for a destination.

A template is read once, when a recipe is loaded. What a value says is never read as a template, and literal text is
never escaped: it is the author's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.escaping import Escape, Writer, escape_value
from cxbridge.core.recipes.evaluation import Builder, Call, Eval, Frame
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.paths import Path
from cxbridge.core.recipes.values import MISSING, PLAIN, SEQUENCES, kind

MOST_ITEMS = 1_000
_UNITS_PER_NODE = 4

Emit = Callable[[Frame, Writer], None]


class Template:
    """A template that was read and checked; immutable, and safe to share between threads.

    ``paths`` and ``calls`` are what it may read and use, in the order in which they stand; paths that begin at the item
    of a loop are left out.
    """

    __slots__ = ("_emits", "_single", "calls", "paths", "source")

    def __init__(self, builder: Builder) -> None:
        tree = builder.reading.tree
        assert isinstance(tree, nodes.Template)  # noqa: S101 - what reading a template gives
        self.source = builder.reading.source
        self._emits = _body(builder, tree.body)
        self._single = _single(builder, tree)
        self.paths: tuple[Path, ...] = tuple(builder.paths)
        self.calls: tuple[Call, ...] = tuple(builder.calls)

    def render(self, scope: Mapping[str, Any], escape: Escape = Escape.PLAIN) -> str:
        """The text for a scope, every value in it escaped for its destination.

        Raises ExpressionError, or Unmapped where a value map holds.
        """
        frame = Frame(scope)
        writer = Writer(escape, frame)
        for emit in self._emits:
            emit(frame, writer)
        return writer.text()

    def value(self, scope: Mapping[str, Any], escape: Escape = Escape.PLAIN) -> Any:
        """Like render, but a template that is one ``{{ }}`` and nothing else gives the value itself: a list, a number…

        Texts within it are escaped like all others. With Escape.JSON it is always JSON text.
        """
        if self._single is None or escape is Escape.JSON:
            return self.render(scope, escape)
        frame = Frame(scope)
        return escape_value(self._single(frame), escape, frame)


def _single(builder: Builder, tree: nodes.Template) -> Eval | None:
    """The closure of the only expression of a template that holds nothing else."""
    outputs = tree.body
    if len(outputs) == 1 and isinstance(outputs[0], nodes.Output) and len(outputs[0].nodes) == 1:
        only = outputs[0].nodes[0]
        if not isinstance(only, nodes.TemplateData):
            return builder.build(only)
    return None


def _body(builder: Builder, body: Sequence[nodes.Node]) -> list[Emit]:
    emits: list[Emit] = []
    for node in body:
        if isinstance(node, nodes.Output):
            emits.extend(_output(builder, part) for part in node.nodes)
        elif isinstance(node, nodes.If):
            emits.append(_if(builder, node))
        else:
            assert isinstance(node, nodes.For)  # noqa: S101 - the allow-list lets nothing else through
            emits.append(_for(builder, node))
    return emits


def _output(builder: Builder, node: nodes.Expr) -> Emit:
    if isinstance(node, nodes.TemplateData):
        text = node.data
        return _at(builder, node, lambda _frame, writer: writer.literal(text))
    value = builder.build(node)
    return _at(builder, node, lambda frame, writer: writer.value(value(frame)))


def _at(builder: Builder, node: nodes.Node, emit: Emit) -> Emit:
    """The same, with errors that have no place yet placed at the node."""
    reading = builder.reading

    def placed(frame: Frame, writer: Writer) -> None:
        try:
            emit(frame, writer)
        except ExpressionError as error:
            if not error.placed:
                error.at(*reading.span(node))
            raise

    return placed


def _if(builder: Builder, node: nodes.If) -> Emit:
    branches: list[tuple[Eval, list[Emit]]] = []
    for branch in (node, *node.elif_):
        builder.refuse_bare_text(branch.test)
        branches.append((builder.build(branch.test), _body(builder, branch.body)))
    otherwise = _body(builder, node.else_)

    def run(frame: Frame, writer: Writer) -> None:
        chosen = next((body for test, body in branches if test(frame)), otherwise)
        for emit in chosen:
            emit(frame, writer)

    return run


def _for(builder: Builder, node: nodes.For) -> Emit:
    assert isinstance(node.target, nodes.Name)  # noqa: S101 - the allow-list has seen to it
    items = builder.build(node.iter)
    with builder.loop(node.target.name):
        body = _body(builder, node.body)
    cost = _UNITS_PER_NODE * sum(1 for part in node.body for _ in _nodes(part))

    def begin(frame: Frame) -> Sequence[Any]:
        found = items(frame)
        if type(found) not in SEQUENCES:
            hint = "add `| default([])`" if found is None else ""
            raise ExpressionError(f"a loop goes over a list, not {kind(found)}", hint=hint)
        if len(found) > MOST_ITEMS:
            raise ExpressionError(f"a loop goes over at most {MOST_ITEMS} items, and here are {len(found)}")
        if any(type(item) not in PLAIN for item in found):
            raise ExpressionError("the list of this loop holds something that is not plain data")
        return found  # type: ignore[no-any-return]  # it is a list or a tuple

    begin_placed = builder.placed(node.iter, begin)

    def run(frame: Frame, writer: Writer) -> None:
        for item in begin_placed(frame):
            frame.spend(cost)
            frame.item = item
            for emit in body:
                emit(frame, writer)
        frame.item = MISSING

    return _at(builder, node.iter, run)


def _nodes(node: nodes.Node) -> list[nodes.Node]:
    found = [node]
    for inner in found:
        found.extend(inner.iter_child_nodes())
    return found
