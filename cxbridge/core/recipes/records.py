"""Functions that look at records: what changed, which band was crossed, what is linked, and who belongs to whom."""

from collections.abc import Mapping
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import Builder, Eval, Frame, constant
from cxbridge.core.recipes.forms import ITS, LINKED, MOVES, Form, field_of, record
from cxbridge.core.recipes.mistakes import ExpressionError, nearest
from cxbridge.core.recipes.nouns import BELONGING_NAMES
from cxbridge.core.recipes.paths import Key, path_text, step_into
from cxbridge.core.recipes.values import MISSING, NUMBERS, equal, kind, number_text, refuse_foreign

# How many of the last values a trace shows.
_SHOWN = 6


def _before(frame: Frame, parts: tuple[Key, ...]) -> Any:
    """The value a field had in the record before the change; None when it was not there, or nothing was."""
    value = frame.scope.get("before")
    for part in parts[1:]:
        value = step_into(value, part)
    if value is MISSING:
        return None
    refuse_foreign(value)
    return value


def _changed(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    del node
    parts = field_of(builder, "changed", arguments[0], "changed(ticket.priority)")
    now = builder.lenient(arguments[0])
    builder.watched.append((f"was({path_text(parts)})", lambda frame: _before(frame, parts)))

    def run(frame: Frame) -> bool:
        value = now(frame)
        value = None if value is MISSING else value
        if frame.scope.get("before") is None:
            return not (value is None or value == "" or (type(value) in (list, tuple, dict) and not value))
        return not equal(value, _before(frame, parts), frame)

    return builder.placed(arguments[0], run)


def _was(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    parts = field_of(builder, "was", arguments[0], "was(ticket.priority)")
    builder.lenient(arguments[0])  # for its path: the field must exist
    run = builder.placed(node, lambda frame: _before(frame, parts))
    builder.watched.append((builder.reading.text(node), run))
    return run


def _crossed(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    parts = field_of(builder, "crossed", arguments[0], "crossed(health.value, 'red')")
    name, bands = constant(arguments[1]), builder.vocabulary.bands
    if type(name) is not str:
        builder.reading.refuse("`crossed` needs the name of a band in quotes", arguments[1], "for example 'red'")
    if name not in bands:
        guess = nearest(name, bands)
        hint = f"did you mean `{guess}`?" if guess else f"add a table [band.{name[:40]}]"
        builder.reading.refuse(f"there is no band `{name[:40]}`", arguments[1], hint)
    band = bands[name]
    builder.lenient(arguments[0])  # for its path: the field must exist

    def moves(frame: Frame) -> list[tuple[float | None, bool]]:
        look_up = frame.scope.get(MOVES)
        if look_up is None:
            raise ExpressionError("earlier values are not known here, so nothing can have been crossed")
        found = list(look_up(parts))
        for value, _ in found:
            frame.spend(4)
            if value is not None and type(value) not in NUMBERS:
                raise ExpressionError(f"a band is about numbers, and `{path_text(parts)}` held {kind(value)}")
        return found

    def run(frame: Frame) -> bool:
        found = moves(frame)
        at = band.crossing([value for value, _ in found])
        return at is not None and found[at][1]

    placed = builder.placed(node, run)
    text = builder.reading.text(node)
    builder.watched.append((f"moves of {path_text(parts)}", lambda frame: _shown(moves(frame))))
    told = f"enters at {number_text(band.enter)}, leaves at {number_text(band.leave)}"
    builder.watched.append((f"band {name}", lambda _frame: told))
    builder.watched.append((text, placed))
    return placed


def _shown(moves: list[tuple[float | None, bool]]) -> str:
    known = [number_text(value) for value, _ in moves if value is not None]
    return " → ".join((["…"] if len(known) > _SHOWN else []) + known[-_SHOWN:])


def _linked(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    relation = constant(arguments[1])
    if type(relation) is not str:
        builder.reading.refuse("`linked` needs the name of a relation in quotes", arguments[1])
    entity = builder.build(arguments[0])

    def run(frame: Frame) -> list[Any]:
        subject = record(entity(frame), "linked", "ticket")
        look_up = frame.scope.get(LINKED)
        if look_up is None:
            raise ExpressionError("links cannot be looked up here")
        found = list(look_up(subject, relation))
        if any(type(one) is not dict for one in found):
            raise ExpressionError("`linked` gave something that is not plain data")
        return found

    placed = builder.placed(node, run)
    builder.watched.append((builder.reading.text(node), lambda frame: [_name_of(one) for one in placed(frame)]))
    return placed


def _its(builder: Builder, node: nodes.Call, arguments: list[nodes.Expr]) -> Eval:
    name = constant(arguments[1])
    if type(name) is not str or name not in BELONGING_NAMES:
        guess = nearest(name, BELONGING_NAMES) if type(name) is str else None
        hint = f"did you mean `{guess}`?" if guess else f"there are {', '.join(BELONGING_NAMES)}"
        builder.reading.refuse("`its` needs the name of what belongs to the record, in quotes", arguments[1], hint)
    entity = builder.build(arguments[0])

    def run(frame: Frame) -> dict[str, Any]:
        subject = record(entity(frame), "its", "item")
        look_up = frame.scope.get(ITS)
        if look_up is None:
            raise ExpressionError("what belongs to a record cannot be looked up here")
        return record(look_up(subject, name), "its", "item")

    placed = builder.placed(node, run)
    builder.watched.append((builder.reading.text(node), lambda frame: _name_of(placed(frame))))
    return placed


def _name_of(one: Mapping[str, Any]) -> Any:
    named = (one.get(key) for key in ("source_key", "name", "source_id", "id"))
    return next((name for name in named if type(name) is str), "?")


RECORD_FORMS: Mapping[str, Form] = {
    "changed": Form(("field",), _changed, 1),
    "was": Form(("field",), _was, 1),
    "crossed": Form(("field", "band"), _crossed, 2),
    "linked": Form(("record", "relation"), _linked, 2),
    "its": Form(("record", "name"), _its, 2),
}
