"""Says why a condition held or did not: each of its parts with its verdict and the values it saw.

It evaluates just as the condition does, stops where the condition stopped, and must never raise for what a value holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from cxbridge.core.recipes.evaluation import Builder, Eval, Frame, flatten
from cxbridge.core.recipes.mistakes import ExpressionError, Unmapped
from cxbridge.core.recipes.values import spoken


@dataclass(frozen=True, slots=True)
class Leaf:
    """One part of a condition that must hold.

    ``verdict`` is None when the part was not reached, or when it failed with ``error``. ``values`` holds what it read:
    the text of a path, or of a call such as ``age(ticket.created_at)``, and its value (for ``linked``, the keys of the
    linked records); whole records are left out. A field that is not there is ``MISSING``.
    """

    text: str
    offset: int
    verdict: bool | None
    values: tuple[tuple[str, Any], ...] = ()
    error: ExpressionError | Unmapped | None = None

    @property
    def seen(self) -> str:
        """The values as a trace shows them: ``account.tier = "self_serve"; inputs.tiers = ["enterprise"]``."""
        return "; ".join(f"{text} = {spoken(value)}" for text, value in self.values)


@dataclass(frozen=True, slots=True)
class LeafPlan:
    """What is needed to judge one part of a condition, and to show what it saw."""

    text: str
    offset: int
    judge: Eval
    watched: tuple[tuple[str, Eval], ...]


def plan_leaves(builder: Builder, node: nodes.Node) -> tuple[LeafPlan, ...]:
    """The parts of a condition joined by ``and``, in order; a condition without ``and`` is one part."""
    plans = []
    for part in flatten(node) if isinstance(node, nodes.And) else [node]:
        before = len(builder.watched)
        judge = builder.verdict(part)
        watched = dict(reversed(builder.watched[before:]))  # each text once
        plans.append(
            LeafPlan(builder.reading.text(part), builder.reading.span(part)[0], judge, tuple(reversed(watched.items())))
        )
    return tuple(plans)


def explain(plans: Sequence[LeafPlan], scope: Mapping[str, Any]) -> list[Leaf]:
    """Judge each part in order; after the first that does not hold, the rest is not reached."""
    leaves: list[Leaf] = []
    going = True
    frame = Frame(scope)  # one budget for all parts, as when the condition is judged
    for plan in plans:
        if not going:
            leaves.append(Leaf(plan.text, plan.offset, None))
            continue
        values = tuple(_values(plan, scope))
        try:
            verdict = bool(plan.judge(frame))
        except (ExpressionError, Unmapped) as error:
            leaves.append(Leaf(plan.text, plan.offset, None, values, error))
            going = False
        else:
            leaves.append(Leaf(plan.text, plan.offset, verdict, values))
            going = verdict
    return leaves


def _values(plan: LeafPlan, scope: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for text, read in plan.watched:
        try:
            value = read(Frame(scope))
        except (ExpressionError, Unmapped):
            continue  # the verdict says what is wrong
        if type(value) is not dict:
            found.append((text, value))
    return found
