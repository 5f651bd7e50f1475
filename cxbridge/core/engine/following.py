"""What a recipe's `[[follow]]` parts make of a change: the runs that begin because of it; stores nothing.

A change follows once, whether it is met in the change log or when the link is made that it was waiting for.
"""

from collections.abc import Iterator
from typing import Any

from cxbridge.core.engine import restoring
from cxbridge.core.engine.advancing import started
from cxbridge.core.engine.scope import Scope, Scopes
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.expressions import ExpressionError, Unmapped
from cxbridge.core.recipes.model import Follow, Recipe

# What an admin's expressions may raise.
FAULTS = (ExpressionError, Unmapped, TypeError, KeyError, AttributeError)


def follow_runs(
    scopes: Scopes,
    recipe: Recipe,
    follow: Follow,
    subject: Subject,
    prefix: str,
    *,
    lost: bool,
    only: str | None = None,
) -> Iterator[Run]:
    """Make the runs, not stored yet, that a follow begins because of a change; `only` names the one entity that it may act on.

    `lost` says that the change may have been met before, in a time that a restored store knows nothing of.

    Raises:
        ExpressionError, Unmapped, TypeError, KeyError, AttributeError: the recipe's expressions cannot be worked out (`FAULTS`).
    """
    noun = follow.trigger.noun
    event = {"type": f"{noun}.{subject.op}", "at": subject.at, "trigger": follow.id}
    scope = scopes.build(recipe, noun, subject.after, before=subject.before, event=event)
    if not follow.when.holds(scope):
        return
    part, key = f"follow:{follow.id}", str(subject.ref)
    for value, items in _chosen(follow, scope, only).items():
        # By value it is once for good; else once per change, all items in one run, and those linked later in one of their own.
        told = f">{value}" if value is not None else f"@{subject.seq}" if only is None else f"@{subject.seq}+{only}"
        context: dict[str, Any] = {"noun": noun, "items": items, "event": event}
        if value is None:
            context |= restoring.named(scopes, recipe.id, part, key, f"{prefix}{key}@", lost=lost)
        yield started(recipe, part, key, f"{prefix}{key}{told}", subject.ref, scopes.now, subject.hops, context)


def _chosen(follow: Follow, scope: Scope, only: str | None) -> dict[str | None, list[str]]:
    """Name whom a follow acts on, by the value of `once_per`, or all under None where there is no such rule."""
    chosen: dict[str | None, list[str]] = {}
    for one in follow.for_each.evaluate(scope):
        # What was deleted meanwhile has nobody left who could read about it.
        if one.get("deleted_at") or (only is not None and one["id"] != only):
            continue
        if follow.condition is not None or follow.once_per is not None:
            scope["item"] = one
            if follow.condition is not None and not follow.condition.holds(scope):
                continue
        value = str(follow.once_per.evaluate(scope)) if follow.once_per is not None else None
        if value is None or value not in chosen:
            chosen.setdefault(value, []).append(one["id"])
    return chosen
