"""How functions and filters are bound to their arguments, and those that see the expression but neither scope nor time.

``default`` and ``coalesce`` accept a missing value, ``map`` and ``matches`` want constants.

    records      changed, was, crossed, linked, its       timing    ages, deadlines, windows, and times as people read them
    judging      sentiment, language
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import (
    Builder,
    BuildNode,
    Eval,
    Frame,
    always,
    constant,
)
from cxbridge.core.recipes.forms import Form
from cxbridge.core.recipes.functions import Filter, Function, need_text
from cxbridge.core.recipes.judging import JUDGING_FORMS
from cxbridge.core.recipes.mistakes import ExpressionError, nearest
from cxbridge.core.recipes.paths import listed
from cxbridge.core.recipes.patterns import Pattern
from cxbridge.core.recipes.records import RECORD_FORMS
from cxbridge.core.recipes.timing import TIMING_FILTERS, TIMING_FORMS
from cxbridge.core.recipes.values import MISSING, PLAIN, refuse_foreign

_UNITS_PER_CALL = 20

_INSTEAD = {
    "format": "put texts together with `~`",
    "attr": "read a field with a dot: ticket.subject",
    "center": "the receiving system lays texts out",
    "indent": "the receiving system lays texts out",
    "wordwrap": "the receiving system lays texts out",
    "truncate": "use limit(...)",
    "safe": "texts are always escaped for where they go",
    "escape": "texts are always escaped for where they go",
    "e": "texts are always escaped for where they go",
    "tojson": "use json",
    "reverse": "use sort(true)",
    "len": "use length",
    "size": "use length",
    "contact()": "use its(record, 'contact')",
    "account()": "use its(record, 'account')",
    "owner()": "use its(record, 'owner')",
    "time": "use clock",
    "strftime": "use date(form)",
    "len()": "use size(...)",
    "default()": "use coalesce(...)",
    "range()": "a template can loop over a list only",
}


def _filter(builder: Builder, node: nodes.Filter) -> Eval:
    name = node.name
    assert node.node is not None  # noqa: S101 - only filter blocks have no value, and they are not in the allow-list
    form = _FILTER_FORMS.get(name)
    if form is not None:
        return form.build(builder, node, _bind(builder, node, name, form))
    known = builder.vocabulary.filters.get(name)
    if known is None:
        hint = _INSTEAD.get(name, "")
        names = [*builder.vocabulary.filters, *_FILTER_FORMS]
        raise ExpressionError(f"there is no filter `{name[:40]}`", node.lineno, len(name), listed(name, names, hint))
    arguments = _bind(builder, node, name, known)
    return _plain_call(builder, node, name, known, [node.node, *arguments], arguments)


def _call(builder: Builder, node: nodes.Call) -> Eval:
    assert isinstance(node.node, nodes.Name)  # noqa: S101 - the allow-list has seen to it
    name = node.node.name
    form = _FUNCTION_FORMS.get(name)
    if form is not None:
        arguments = _bind(builder, node, name, form)
        builder.note(name, node, arguments)
        return form.build(builder, node, arguments)
    known = builder.vocabulary.functions.get(name)
    if known is None:
        hint = _INSTEAD.get(name + "()", "")
        names = [*builder.vocabulary.functions, *_FUNCTION_FORMS]
        builder.reading.refuse(f"there is no function `{name[:40]}`", node.node, listed(name, names, hint))
    arguments = _bind(builder, node, name, known)
    return _plain_call(builder, node, name, known, arguments, arguments)


def _plain_call(
    builder: Builder,
    node: nodes.Call | nodes.Filter,
    name: str,
    known: Function | Filter,
    inputs: Sequence[nodes.Expr],
    arguments: Sequence[nodes.Expr],
) -> Eval:
    builder.note(name, node, arguments)
    if known.check is not None:
        try:
            known.check(*(constant(argument) for argument in arguments))
        except ValueError as error:
            at = builder.reading.span(arguments[0] if arguments else node)
            raise _as_mistake(error).at(*at) from None
    values, call, metered = [builder.build(each) for each in inputs], known.call, known.metered

    def run(frame: Frame) -> Any:
        frame.spend(_UNITS_PER_CALL)
        given = [value(frame) for value in values]
        try:
            result = call(frame, *given) if metered else call(*given)
        except ValueError as error:
            raise _as_mistake(error) from error.__cause__
        if type(result) not in PLAIN:
            raise ExpressionError(f"`{name}` gave something that is not plain data")
        return result

    return builder.placed(node, run)


def _as_mistake(error: ValueError) -> ExpressionError:
    return error if isinstance(error, ExpressionError) else ExpressionError(str(error))


def _bind(
    builder: Builder, node: nodes.Call | nodes.Filter, name: str, shape: Function | Filter | Form
) -> list[nodes.Expr]:
    """The argument nodes in the order of the parameters. Refuses what does not fit."""
    reading = builder.reading
    given: list[nodes.Expr] = list(node.args)
    for keyword in (each for each in node.kwargs if isinstance(each, nodes.Keyword)):
        if keyword.key not in shape.parameters:
            reading.refuse(f"`{name}` has no argument `{keyword.key[:40]}`", keyword)
        if shape.parameters.index(keyword.key) != len(given):
            reading.refuse(f"the arguments of `{name}` are in the wrong order", keyword)
        given.append(keyword.value)
    if len(given) < shape.least or (not shape.variadic and len(given) > len(shape.parameters)):
        written = f"{name}({', '.join(shape.parameters)}{', …' if shape.variadic else ''})"
        reading.refuse(f"`{name}` is written {written}", node)
    return given


# --- filters that see the expression ------------------------------------------------------------------------


def _default(builder: Builder, node: nodes.Filter, arguments: list[nodes.Expr]) -> Eval:
    builder.note("default", node, arguments)
    assert node.node is not None  # noqa: S101 - the caller has looked
    value = builder.lenient(node.node)
    other = builder.build(arguments[0]) if arguments else always("")
    also_empty = constant(arguments[1]) if len(arguments) > 1 else False
    if type(also_empty) is not bool:
        builder.reading.refuse("the second argument of default is true or false", arguments[1])

    def run(frame: Frame) -> Any:
        found = value(frame)
        return other(frame) if found is MISSING or found is None or (also_empty and not found) else found

    return run


def _map(builder: Builder, node: nodes.Filter, arguments: list[nodes.Expr]) -> Eval:
    name, maps = constant(arguments[0]), builder.vocabulary.maps
    if type(name) is not str:
        builder.reading.refuse("map needs the name of a value map in quotes", node, "for example map('priority')")
    if name not in maps:
        guess = nearest(name, maps)
        hint = f"did you mean `{guess}`?" if guess else f"add a table [map.{name[:40]}]"
        builder.reading.refuse(f"there is no value map `{name[:40]}`", arguments[0], hint)
    builder.note("map", node, arguments)
    assert node.node is not None  # noqa: S101 - the caller has looked
    value, table = builder.build(node.node), maps[name]

    def run(frame: Frame) -> Any:
        found = table.look_up(value(frame))
        refuse_foreign(found)
        return found

    return builder.placed(node, run)


# --- functions that see the expression ----------------------------------------------------------------------


def _matches(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    source, reading = constant(arguments[1]), builder.reading
    if type(source) is not str:
        reading.refuse("the pattern of `matches` is a text in quotes", arguments[1], "it is never taken from data")
    try:
        pattern = Pattern(source)
    except ExpressionError as error:
        offset, length = reading.span(arguments[1])
        # Inside the quotes, unless escapes have made the text shorter than it was written.
        place = (offset + 1 + error.offset, error.length) if length == len(source) + 2 else (offset, length)
        raise ExpressionError(f"in this pattern, {error.message}", *place, hint=error.hint) from None
    text = builder.build(arguments[0])
    return builder.placed(node, lambda frame: pattern.matches(need_text(text(frame), "matches"), frame))


def _coalesce(builder: Builder, _node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    choices = [builder.lenient(argument) for argument in arguments]

    def run(frame: Frame) -> Any:
        for choice in choices:
            value = choice(frame)
            if value is not MISSING and value is not None:
                return value
        return None

    return run


_FILTER_FORMS: Mapping[str, Form] = {
    "default": Form(("value", "boolean"), _default, 0),
    "d": Form(("value", "boolean"), _default, 0),
    "map": Form(("name",), _map, 1),
    **TIMING_FILTERS,
}
_FUNCTION_FORMS: Mapping[str, Form] = {
    **RECORD_FORMS,
    **TIMING_FORMS,
    **JUDGING_FORMS,
    "matches": Form(("text", "pattern"), _matches, 2),
    "coalesce": Form(("value",), _coalesce, 1, variadic=True),
}
RESERVED_FUNCTIONS = frozenset(_FUNCTION_FORMS)
RESERVED_FILTERS = frozenset(_FILTER_FORMS)
CALLS: Mapping[type[nodes.Node], BuildNode] = {nodes.Call: _call, nodes.Filter: _filter}
