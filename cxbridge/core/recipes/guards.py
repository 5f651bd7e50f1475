"""Parts of conditions that a field's value alone decides: read from the syntax tree, so that nobody has to be asked in vain.

A guard says of an entity that its part of the condition holds, that it does not, or that it cannot tell. It must never say
anything else than the condition would, and where working out the condition might fail it says that it cannot tell. It mirrors how
paths are read (`evaluation`), and what `==`, `in` and `is none` mean (`values`).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import constant, flatten, static_path
from cxbridge.core.recipes.functions import DYNAMIC
from cxbridge.core.recipes.mistakes import ExpressionError
from cxbridge.core.recipes.paths import follow
from cxbridge.core.recipes.values import MISSING, SEQUENCES

# Longer lists are left to the condition itself, which minds how much work it is.
_LONGEST = 500
# What is never the same as a text, a number, yes or no, or nothing. A duration may be the same as a text.
_NO_SCALARS = frozenset({list, tuple, dict, datetime})

Form = Literal["among", "holds", "yes"]


@dataclass(frozen=True, slots=True)
class Field:
    """What a guard looks at: a field of the entity, `keys` being its path behind the entity's name.

    `instead` stands for a value that is missing or none, and with `also_empty` for one that is empty; MISSING where nothing does.
    `form` says how it is looked at: as one value (`among`), as a list of texts (`holds`), as a yes or no (`yes`).
    """

    keys: tuple[str, ...]
    form: Form = "among"
    instead: Any = MISSING
    also_empty: bool = False

    def read(self, entity: Mapping[str, Any]) -> tuple[Hashable, ...] | None:
        """Give what guards compare with: the one value, or the texts of the list. None where the condition itself must look."""
        value: Any = entity
        for key in self.keys:
            if type(value) is not dict:
                return None
            value = value.get(key, MISSING)
        if self.instead is not MISSING and (value is MISSING or value is None or (self.also_empty and not value)):
            value = self.instead
        if self.form == "among":
            if type(value) is str:
                return (value,)
            told = told_by(value)
            return None if told is None else (told,)
        if self.form == "yes":
            return (value,) if type(value) is bool else None
        if type(value) not in SEQUENCES or len(value) > _LONGEST:
            return None
        for item in value:
            # Whatever is no text may be refused, and sooner than the text that is looked for is found.
            if type(item) is not str:
                return None
        return tuple(value)


# Stands for every list, group of fields and time, none of which is like anything that a guard knows.
_OTHER = ("other",)


def told_by(value: Any) -> Hashable | None:
    """Give what stands for a value in a set, so that only what the language takes for the same is the same there.

    A text stands for itself. None for what is no plain value.
    """
    found = type(value)
    if found is str:
        return str(value)
    if value is None or found is bool:
        return (found.__name__, value)
    if found is int or found is float:
        return ("number", value)
    return _OTHER if found in _NO_SCALARS else None


@dataclass(frozen=True, slots=True)
class Guard:
    """A part of a condition that holds where the field has one of the `values`, or, if `negated`, where it has none of them."""

    field: Field
    values: frozenset[Hashable]
    negated: bool = False

    def verdict(self, entity: Mapping[str, Any]) -> bool | None:
        """Whether its part of the condition holds for an entity; None where that cannot be told from here."""
        found = self.field.read(entity)
        return None if found is None else self.values.isdisjoint(found) is self.negated


def guards_of(tree: nodes.Node, name: str, inputs: Mapping[str, Any]) -> tuple[list[Guard], bool]:
    """Read off a condition which of its first parts are guards on the entity of that name; and whether that is all of it.

    Parts are those joined by `and`, in the order in which they are judged. `inputs` are the recipe's.
    """
    parts = flatten(tree) if isinstance(tree, nodes.And) else [tree]
    found: list[Guard] = []
    for part in parts:
        guard = _Reader(name, inputs).guard(part)
        if guard is None:
            return found, False
        found.append(guard)
    return found, True


@dataclass(frozen=True, slots=True)
class _Reader:
    name: str
    inputs: Mapping[str, Any]

    def guard(self, node: nodes.Node) -> Guard | None:
        """The guard that a part of a condition is, or None."""
        if isinstance(node, nodes.Or):
            return self._any_of(node)
        if isinstance(node, nodes.Not):
            inner = None if isinstance(node.node, nodes.And | nodes.Or | nodes.Not) else self.guard(node.node)
            return replace(inner, negated=not inner.negated) if inner is not None else None
        if isinstance(node, nodes.Test):
            field = self._field(node.node) if node.name == "none" else None
            return Guard(field, frozenset([told_by(None)])) if field is not None else None
        if isinstance(node, nodes.Compare):
            return self._compared(node)
        field = self._field(node) if isinstance(node, nodes.Getattr | nodes.Getitem) else None
        return Guard(replace(field, form="yes"), frozenset([True])) if field is not None else None

    def _any_of(self, node: nodes.Or) -> Guard | None:
        parts = [self.guard(part) for part in flatten(node)]
        first = parts[0]
        if first is None or any(one is None or one.negated or one.field != first.field for one in parts):
            return None
        return replace(first, values=frozenset().union(*(one.values for one in parts if one is not None)))

    def _compared(self, node: nodes.Compare) -> Guard | None:
        if len(node.ops) != 1:
            return None
        left, op, right = node.expr, node.ops[0].op, node.ops[0].expr
        negated = op in ("ne", "notin")
        if op in ("eq", "ne"):
            for side, other in ((left, right), (right, left)):
                field, told = self._field(side), told_by(self._constant(other))
                if field is not None and told not in (None, _OTHER):
                    return Guard(field, frozenset([told]), negated)
            return None
        if op not in ("in", "notin"):
            return None
        field, several = self._field(left), self._constant(right)
        if field is not None and type(several) in SEQUENCES and len(several) <= _LONGEST:
            known = [told_by(item) for item in several]
            return None if None in known or _OTHER in known else Guard(field, frozenset(known), negated)
        field, text = self._field(right), self._constant(left)
        if field is not None and field.instead is MISSING and type(text) is str:
            return Guard(replace(field, form="holds"), frozenset([text]), negated)
        return None

    def _field(self, node: nodes.Node) -> Field | None:
        """The field of the entity that a node reads, be it with `| default(…)`; None for anything else."""
        if isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node is not None:
            return self._with_default(node)
        parts = static_path(node)
        if parts is None or len(parts) == 1 or parts[0] != self.name:
            return None
        # An item of a list by its number is nothing that many records could be told apart by.
        keys = tuple(key for key in parts[1:] if type(key) is str)
        return Field(keys) if len(keys) == len(parts) - 1 else None

    def _with_default(self, node: nodes.Filter) -> Field | None:
        field = self._field(node.node) if isinstance(node.node, nodes.Getattr | nodes.Getitem) else None
        given = [constant(one) for one in node.args]
        instead = given[0] if given else ""
        also_empty = given[1] if len(given) > 1 else False
        if field is None or node.kwargs or type(also_empty) is not bool or told_by(instead) in (None, _OTHER):
            return None
        return replace(field, instead=instead, also_empty=also_empty)

    def _constant(self, node: nodes.Node) -> Any:
        """The value of a constant or of an input; DYNAMIC for anything else."""
        value = constant(node)
        parts = static_path(node) if value is DYNAMIC else None
        if parts is None or parts[0] != "inputs":
            return value
        try:
            found = follow({"inputs": self.inputs}, parts)
        except ExpressionError:
            return DYNAMIC
        return DYNAMIC if found is MISSING else found
