"""How the parts of an expression are worked out: comparisons, and/or/not, arithmetic, texts, inline if and tests.

Each function here gets a builder and a node and gives the closure for it. None may look at anything but the values of
the node's parts.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import Builder, BuildNode, Eval, Frame, always, flatten
from cxbridge.core.recipes.functions import need_text
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.paths import listed
from cxbridge.core.recipes.values import (
    MISSING,
    NUMBERS,
    SEQUENCES,
    Budget,
    check_number,
    contains,
    equal,
    ordered,
    parse_duration,
    text_of,
)


def _read(builder: Builder, node: nodes.Name | nodes.Getattr | nodes.Getitem) -> Eval:
    return builder.read(node, optional=False)


def _const(_builder: Builder, node: nodes.Const) -> Eval:
    return always(node.value)


def _list(builder: Builder, node: nodes.List) -> Eval:
    items = [builder.build(item) for item in node.items]
    return lambda frame: [item(frame) for item in items]


def _dict(builder: Builder, node: nodes.Dict) -> Eval:
    pairs = [(builder.build(pair.key), builder.build(pair.value)) for pair in node.items]

    def run(frame: Frame) -> dict[str, Any]:
        return {need_text(key(frame), "the name of a field"): value(frame) for key, value in pairs}

    return builder.placed(node, run)


def _and(builder: Builder, node: nodes.And) -> Eval:
    parts = [builder.build(part) for part in flatten(node)]

    def run(frame: Frame) -> Any:
        value: Any = True
        for part in parts:
            value = part(frame)
            if not value:
                break
        return value

    return run


def _or(builder: Builder, node: nodes.Or) -> Eval:
    parts = [builder.build(part) for part in flatten(node)]

    def run(frame: Frame) -> Any:
        value: Any = False
        for part in parts:
            value = part(frame)
            if value:
                break
        return value

    return run


def _not(builder: Builder, node: nodes.Not) -> Eval:
    inner = builder.build(node.node)
    return lambda frame: not inner(frame)


# --- comparisons --------------------------------------------------------------------------------------------

_Compare = Callable[[Any, Any, Budget], bool]


def _by_order(symbol: str) -> _Compare:
    return lambda left, right, _budget: ordered(left, symbol, right)


_COMPARISONS: Mapping[str, _Compare] = {
    "eq": equal,
    "ne": lambda left, right, budget: not equal(left, right, budget),
    "lt": _by_order("<"),
    "lteq": _by_order("<="),
    "gt": _by_order(">"),
    "gteq": _by_order(">="),
    "in": lambda item, container, budget: contains(container, item, budget),
    "notin": lambda item, container, budget: not contains(container, item, budget),
}


def _compare(builder: Builder, node: nodes.Compare) -> Eval:
    _check_durations(builder, node)
    left = builder.build(node.expr)
    links = [(_COMPARISONS[link.op], builder.build(link.expr)) for link in node.ops]
    if len(links) > 1:
        return builder.placed(node, _chained(left, links))
    only = node.ops[0]
    words = _words(only.expr) if only.op in ("in", "notin") else None
    if words is not None:
        return builder.placed(node, _among(left, words, wanted=only.op == "in"))
    compare, right = links[0]
    return builder.placed(node, lambda frame: compare(left(frame), right(frame), frame))


def _chained(left: Eval, links: list[tuple[_Compare, Eval]]) -> Eval:
    def run(frame: Frame) -> bool:
        value = left(frame)
        for compare, following in links:
            right = following(frame)
            if not compare(value, right, frame):
                return False
            value = right
        return True

    return run


def _words(node: nodes.Node) -> frozenset[str] | None:
    """The texts of a list that holds nothing but literal texts."""
    items = node.items if isinstance(node, nodes.List) else [node]
    words = [item.value for item in items if isinstance(item, nodes.Const) and type(item.value) is str]
    return frozenset(words) if isinstance(node, nodes.List) and len(words) == len(items) else None


def _among(left: Eval, words: frozenset[str], *, wanted: bool) -> Eval:
    as_list = sorted(words)

    def run(frame: Frame) -> bool:
        value = left(frame)
        if type(value) is str:
            return (value in words) is wanted
        return contains(as_list, value, frame) is wanted

    return run


def _check_durations(builder: Builder, node: nodes.Compare) -> None:
    """A text compared with age(...) or business_age(...) must be a duration, which can be said before anything runs."""
    sides = [node.expr, *(link.expr for link in node.ops)]
    called = {getattr(side.node, "name", "") for side in sides if isinstance(side, nodes.Call)}
    if not called & {"age", "business_age"}:
        return
    for side in sides:
        if isinstance(side, nodes.Const) and type(side.value) is str:
            try:
                parse_duration(side.value, open="business_age" in called)
            except ExpressionError as error:
                raise error.at(*builder.reading.span(side)) from None


# --- numbers and texts --------------------------------------------------------------------------------------

_ARITHMETIC: Mapping[type[nodes.Node], Callable[[Any, Any], Any]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.FloorDiv: operator.floordiv,
    nodes.Mod: operator.mod,
}


def _arithmetic(builder: Builder, node: nodes.BinExpr) -> Eval:
    left, right, calculate = builder.build(node.left), builder.build(node.right), _ARITHMETIC[type(node)]

    def run(frame: Frame) -> Any:
        try:
            return check_number(calculate(check_number(left(frame)), check_number(right(frame))))
        except ZeroDivisionError:
            raise ExpressionError("this divides by zero", hint="test that it is not 0 first") from None

    return builder.placed(node, run)


def _sign(builder: Builder, node: nodes.Neg | nodes.Pos) -> Eval:
    inner, sign = builder.build(node.node), -1 if isinstance(node, nodes.Neg) else 1
    return builder.placed(node, lambda frame: sign * check_number(inner(frame)))


def _concat(builder: Builder, node: nodes.Concat) -> Eval:
    parts = [builder.build(part) for part in node.nodes]

    def run(frame: Frame) -> str:
        texts = [text_of(part(frame), frame) for part in parts]
        frame.copy(sum(map(len, texts)))
        return "".join(texts)

    return builder.placed(node, run)


# --- inline if and tests ------------------------------------------------------------------------------------


def _inline_if(builder: Builder, node: nodes.CondExpr) -> Eval:
    builder.refuse_bare_text(node.test)
    test, yes = builder.build(node.test), builder.build(node.expr1)
    no = builder.build(node.expr2) if node.expr2 is not None else always(None)
    return lambda frame: yes(frame) if test(frame) else no(frame)


_TESTS: Mapping[str, frozenset[type]] = {
    "none": frozenset({type(None)}),
    "string": frozenset({str}),
    "number": NUMBERS,
    "boolean": frozenset({bool}),
    "mapping": frozenset({dict}),
    "sequence": SEQUENCES,
}


def _test(builder: Builder, node: nodes.Test) -> Eval:
    name = node.name
    if name not in ("defined", "in") and name not in _TESTS:
        builder.reading.refuse(
            f"there is no test `is {name[:40]}`", node, listed(name, ["defined", "in", *_TESTS], "`==` compares values")
        )
    if len(node.args) != (1 if name == "in" else 0) or node.kwargs:
        builder.reading.refuse(f"the test `is {name}` takes {'one value' if name == 'in' else 'no value'}", node)
    if name == "defined":
        found = builder.lenient(node.node)
        return lambda frame: found(frame) is not MISSING
    inner = builder.build(node.node)
    if name == "in":
        container = builder.build(node.args[0])
        return builder.placed(node, lambda frame: contains(container(frame), inner(frame), frame))
    types = _TESTS[name]
    return lambda frame: type(inner(frame)) in types


OPERATORS: Mapping[type[nodes.Node], BuildNode] = {
    nodes.Name: _read,
    nodes.Getattr: _read,
    nodes.Getitem: _read,
    nodes.Const: _const,
    nodes.List: _list,
    nodes.Dict: _dict,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.Compare: _compare,
    nodes.Add: _arithmetic,
    nodes.Sub: _arithmetic,
    nodes.Mul: _arithmetic,
    nodes.Div: _arithmetic,
    nodes.FloorDiv: _arithmetic,
    nodes.Mod: _arithmetic,
    nodes.Neg: _sign,
    nodes.Pos: _sign,
    nodes.Concat: _concat,
    nodes.CondExpr: _inline_if,
    nodes.Test: _test,
}
