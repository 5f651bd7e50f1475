"""A link that has just been made: it is stored, and the fields that it keeps in step are compared once; calls no vendor.

What changed on either side before there was a link met none. Where a side is not stored yet nothing is compared: the change that
brings it will meet the link.
"""

from typing import TYPE_CHECKING

from cxbridge.core.engine.advancing import Advance
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.syncing import field_runs
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import links, outbox, runs, state

if TYPE_CHECKING:
    from cxbridge.core.engine.steps import Stepper


def keep(stepper: "Stepper", scopes: Scopes, recipe: Recipe | None, advanced: Advance) -> list[Delivery]:
    """Store the links of a run that was moved on, and what follows from those that are new; gives the deliveries for that."""
    planned: list[Delivery] = []
    for link in advanced.links:
        new = links.ensure(scopes.tx, link)
        scopes.joined(link)
        if new and recipe is not None and scopes.entity(link.left) and scopes.entity(link.right):
            for run in field_runs(scopes, recipe, link, advanced.run.hops + 1):
                planned += _begun(stepper, scopes, recipe, run)
    return planned


def _begun(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run) -> list[Delivery]:
    if run.state == "done":
        return []
    begun = stepper.advance(scopes, recipe, run) if run.state == "running" else Advance(run)
    if not runs.start(scopes.tx, begun.run):
        return []
    state.keep_recipe(scopes.tx, recipe.version, recipe.id, recipe.source, scopes.now)
    outbox.add(scopes.tx, begun.deliveries)
    begun.keep(scopes.tx, scopes.now)
    return begun.deliveries
