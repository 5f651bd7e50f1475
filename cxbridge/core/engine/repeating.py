"""A step that is done once for each item of a list, so many of them at a time; and what it leaves behind.

The list is worked out once, when the step is reached, and kept with the run: what joins it later is not in it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from cxbridge.core.engine import reaching
from cxbridge.core.engine.advancing import Advance, Fault
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.targets import target_of
from cxbridge.core.ledger import Delivery, Ref, Run
from cxbridge.core.recipes.model import RESULT_FIELDS, Recipe, Step
from cxbridge.core.recipes.values import kind
from cxbridge.core.store import outbox, receipts

if TYPE_CHECKING:
    from cxbridge.core.engine.steps import Stepper

MOST_ITEMS = 1_000


def unfinished(run: Run, step: Step) -> bool:
    """Whether a step has begun on its items and has some left."""
    progress = run.context.get("each", {}).get(step.id)
    return step.for_each is not None and progress is not None and "done" not in progress


def go_on(stepper: "Stepper", scopes: Scopes, recipe: Recipe, result: Advance, step: Step) -> bool:
    """Plan the next batch; True when there is none left, and the step has its result.

    Raises:
        Fault: when there is no list, or a delivery cannot be planned.
    """
    progress = result.run.context.get("each", {}).get(step.id)
    if progress is None:
        progress = {"items": _items(stepper, scopes, recipe, result.run, step), "next": 0}
    items: list[Any] = progress["items"]
    while progress["next"] < len(items):
        begin = progress["next"]
        batch = items[begin : begin + step.batch]
        deliveries = [
            _delivery(stepper, scopes, recipe, result.run, step, one, begin + offset)
            for offset, one in enumerate(batch)
        ]
        progress = {**progress, "next": begin + len(batch)}
        _keep(result, step, progress)
        deliveries = reaching.allowed(stepper, scopes, recipe, result, step, deliveries)
        if deliveries and stepper.enqueue(scopes, recipe, result, deliveries):
            return False
    told = _told(stepper, scopes, result, step)
    first = told[0] if told else dict.fromkeys(RESULT_FIELDS)
    _keep(result, step, {**progress, "done": True})
    results = {**result.run.results, step.id: {**first, "items": told, "count": len(told)}}
    result.run = msgspec.structs.replace(result.run, results=results)
    return True


def _items(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, step: Step) -> list[Any]:
    """Work out the list. Records are kept by their ids: what they hold when their turn comes is what counts."""
    found = step.for_each.evaluate(stepper.scope(scopes, recipe, run)) if step.for_each is not None else []
    if not isinstance(found, list | tuple):
        raise Fault(f"step {step.id}: `for_each` goes over a list, and this is {kind(found)}")
    if len(found) > MOST_ITEMS:
        raise Fault(f"step {step.id}: `for_each` goes over at most {MOST_ITEMS} items, and here are {len(found)}")
    items = []
    for one in found:
        if not isinstance(one, Mapping) or not _is_ref(one.get("id")):
            items.append({"value": msgspec.to_builtins(one)})
        elif not one.get("deleted_at"):
            items.append({"ref": one["id"]})
    return items


def _is_ref(value: Any) -> bool:
    """Whether it names a record: what else has an `id`, such as a vendor's own table, is taken as it stands."""
    try:
        return isinstance(value, str) and bool(Ref.parse(value))
    except ValueError:
        return False


def _delivery(
    stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, step: Step, one: Mapping[str, Any], index: int
) -> Delivery:
    ref = Ref.parse(one["ref"]) if "ref" in one else None
    scope = stepper.scope(scopes, recipe, run)
    scope["item"] = scopes.shown(ref) if ref is not None else one["value"]
    noun = str(run.context.get("noun", recipe.noun))
    target = target_of(stepper.connections.get(step.connection), run, step, noun, ref)
    named = str(ref) if ref is not None else msgspec.json.encode(one["value"], order="deterministic").decode()
    return stepper.delivery(scopes, recipe, run, step, scope, target, index, item=named)


def _keep(result: Advance, step: Step, progress: Mapping[str, Any]) -> None:
    context = result.run.context
    each = {**context.get("each", {}), step.id: progress}
    result.run = msgspec.structs.replace(result.run, context={**context, "each": each})


def _told(stepper: "Stepper", scopes: Scopes, result: Advance, step: Step) -> list[dict[str, Any]]:
    """Give what came of each delivery, in their order; in a plan, what would likely come of it."""
    if stepper.simulate:
        return [dict(stepper.likely(scopes, one)) for one in result.deliveries if one.step == step.id]
    found = []
    for delivery in outbox.of_run(scopes.tx, result.run.id):
        rows = receipts.of_delivery(scopes.tx, delivery.id) if delivery.step == step.id else []
        if rows:
            row = rows[0]
            shown = {name: getattr(row, name) for name in RESULT_FIELDS if name != "id"}
            found.append({"id": str(row.ref), **shown})
    return found
