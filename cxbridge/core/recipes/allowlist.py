"""Reads the source of an expression or template into a Jinja syntax tree that holds nothing but what is allowed.

Jinja's own lexer and parser do the reading, so the syntax is Jinja's; what they return is data, and nothing of Jinja
ever runs it. Everything outside the list is refused here, before anything is evaluated, at the character where it
stands. The tree's ``lineno`` holds character offsets: Jinja has no columns, and a caret needs one.
"""

from typing import NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from cxbridge.core.recipes.inspection import DEEPEST, MOST_NODES, Inspector
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.reading import Mark, Reading, scan, token

LONGEST_EXPRESSION = 2_000
LONGEST_TEMPLATE = 20_000

EXPRESSIONS: frozenset[type[nodes.Node]] = frozenset(
    {
        nodes.Name,
        nodes.Const,
        nodes.List,
        nodes.Dict,
        nodes.Pair,
        nodes.Getattr,
        nodes.Getitem,
        nodes.Compare,
        nodes.Operand,
        nodes.And,
        nodes.Or,
        nodes.Not,
        nodes.Neg,
        nodes.Pos,
        nodes.Add,
        nodes.Sub,
        nodes.Mul,
        nodes.Div,
        nodes.FloorDiv,
        nodes.Mod,
        nodes.Concat,
        nodes.CondExpr,
        nodes.Filter,
        nodes.Test,
        nodes.Call,
        nodes.Keyword,
    }
)
STATEMENTS: frozenset[type[nodes.Node]] = EXPRESSIONS | {
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
}

_REFUSED_NODES: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Tuple: ("a list is written in square brackets", "for example ['new', 'open']"),
    nodes.Slice: ("parts of a list or text cannot be cut out with `:`", "use first, last or limit(...)"),
    nodes.Pow: ("there is no power operator", "multiply instead"),
}
_RESERVED = frozenset({"and", "or", "not", "in", "is", "if", "else", "elif", "for"})


class Allowlist:
    """Reads sources; holds Jinja's lexer and no more."""

    def __init__(self) -> None:
        # Lines that hold nothing but a tag leave no blank line behind, as people expect of a message.
        self._environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - only its lexer and parser are used
        self._environment.globals.clear()
        self._environment.filters.clear()
        self._environment.tests.clear()

    def expression(self, source: str) -> Reading:
        """Read one expression. Raises ExpressionError at the first thing that is not allowed."""
        stripped = source.strip()
        if stripped.startswith(("{{", "{%")):
            raise ExpressionError(
                "a condition is written without `{{ }}`", len(source) - len(source.lstrip()), 2, "leave the braces out"
            )
        if not stripped:
            raise ExpressionError("there is nothing here", 0, max(1, len(source)), "write a condition")
        return self._read(source, LONGEST_EXPRESSION, expression=True)

    def template(self, source: str) -> Reading:
        """Read one template. Raises ExpressionError at the first thing that is not allowed."""
        return self._read(source, LONGEST_TEMPLATE, expression=False)

    def _read(self, source: str, longest: int, *, expression: bool) -> Reading:
        if len(source) > longest:
            raise ExpressionError(f"this is {len(source)} characters long, and {longest} are allowed", longest, 1)
        reading = Reading(source)
        Inspector(reading, expression=expression).inspect(scan(self._environment.lexer, source, expression=expression))
        reading.index = {mark.start: number for number, mark in enumerate(reading.marks)}
        tokens = [token(mark) for mark in reading.marks]
        parser = Parser(self._environment, "")
        parser.stream = TokenStream(tokens, None, None)
        try:
            reading.tree = parser.parse_expression() if expression else parser.parse()
            if not parser.stream.eos:
                raise TemplateSyntaxError("more follows", parser.stream.current.lineno)
        except TemplateSyntaxError as error:
            _explain_syntax(reading, None if parser.stream.eos else error.lineno)
        except RecursionError:
            raise ExpressionError("this is nested too deeply", 0, len(source), "split it into several") from None
        _check_tree(reading, EXPRESSIONS if expression else STATEMENTS)
        return reading


def _explain_syntax(reading: Reading, at: int | None) -> NoReturn:
    """Say why the parser could not go on at a token (None: at the end)."""
    number = reading.index.get(at) if at is not None else None
    if number is None:
        end = len(reading.source.rstrip()) or 1
        raise ExpressionError("this ends too early: something is missing at its end", end - 1, 1, "finish it")
    mark = reading.marks[number]
    before = reading.marks[number - 1] if number else None
    length = mark.end - mark.start
    if mark.type in ("variable_end", "block_end"):
        empty = before is not None and before.type in ("variable_begin", "block_begin")
        message = "there is nothing between these braces" if empty else "something is missing before these braces"
        raise ExpressionError(message, mark.start, length)
    if before is not None and _is_value(before, ends=True) and _is_value(mark, ends=False):
        hint = "for example `==`, `and`, or `~` between texts"
        raise ExpressionError("an operator is missing before this", mark.start, length, hint)
    raise ExpressionError(f"`{mark.text.strip()[:20]}` cannot stand here", mark.start, length)


def _is_value(mark: Mark, *, ends: bool) -> bool:
    if mark.type == "name":
        return mark.text not in _RESERVED
    return mark.type in ("string", "integer", "float") or mark.text in ((")", "]") if ends else ("(",))


def _check_tree(reading: Reading, allowed: frozenset[type[nodes.Node]]) -> None:
    """Every node's type must be listed, and there must not be too many nodes, nor too many inside each other."""
    found: list[nodes.Node] = []
    waiting: list[tuple[nodes.Node, int]] = [(reading.tree, 1)]
    # The bounds come first: whatever looks at a node after this may do so by recursion.
    while waiting:
        node, depth = waiting.pop()
        found.append(node)
        if len(found) > MOST_NODES:
            raise ExpressionError(
                f"this has more than {MOST_NODES} parts", *reading.beginning(node), hint="split it into several"
            )
        if depth > DEEPEST:
            raise ExpressionError("this is nested too deeply", *reading.beginning(node), hint="split it into several")
        for child in node.iter_child_nodes():
            # a and b and c is one flat list to its reader, however the parser stacks it
            flat = type(child) is type(node) and isinstance(node, nodes.And | nodes.Or)
            waiting.append((child, depth if flat else depth + 1))
    for node in found:
        if type(node) not in allowed:
            message, hint = _REFUSED_NODES.get(type(node), ("this is not part of the language", ""))
            reading.refuse(message, node, hint)
        _check_node(reading, node)


def _check_node(reading: Reading, node: nodes.Node) -> None:
    if isinstance(node, nodes.Name) and node.name in _RESERVED:
        reading.refuse(f"`{node.name}` cannot stand here", node)
    elif isinstance(node, nodes.Const) and isinstance(node.value, str) and not node.value.isascii():
        if any("\ud800" <= char <= "\udfff" for char in node.value):
            reading.refuse("this text holds half a character", node)
    elif isinstance(node, nodes.Getitem):
        key = node.arg
        if isinstance(key, nodes.Const) and isinstance(key.value, str) and key.value.startswith("_"):
            reading.refuse("a name may not begin with `_`", key)
    elif isinstance(node, nodes.Call | nodes.Filter | nodes.Test):
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            reading.refuse("arguments cannot be unpacked with `*`", node)
        if isinstance(node, nodes.Call) and not isinstance(node.node, nodes.Name):
            reading.refuse("only functions can be called, and only by their names", node, "leave out the brackets")
    elif isinstance(node, nodes.For):
        if not isinstance(node.target, nodes.Name):
            reading.refuse("a loop has one name for the item it is at", node.target)
        if node.test is not None:
            reading.refuse("a loop takes every item", node.test, "put {% if … %} inside the loop")
        if node.recursive:
            reading.refuse("a loop cannot call itself", node)
