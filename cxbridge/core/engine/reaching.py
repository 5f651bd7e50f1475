"""Where a run meets people and time: it comes to a step at which it waits, or would reach a customer; sends nothing itself."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from cxbridge.core.engine import approvals, asking, consent, pausing
from cxbridge.core.engine.advancing import Advance, noted, skipped, with_result
from cxbridge.core.engine.pausing import Place
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.escaping import escape_value
from cxbridge.core.recipes.expressions import Escape
from cxbridge.core.recipes.model import Recipe, Step
from cxbridge.core.recipes.values import Budget
from cxbridge.core.store.approvals import Approval

if TYPE_CHECKING:
    from cxbridge.core.engine.steps import Stepper


def pause(stepper: "Stepper", scopes: Scopes, recipe: Recipe, result: Advance, step: Step) -> bool:
    """Come to a `wait` or an `approve`; False where the run stops there, for now or for good.

    Raises:
        Unreached: when the step cannot be done as it stands.
    """
    place = _place(stepper, scopes, recipe, result.run, step)
    reached = asking.approve(place) if step.do == "approve" else pausing.wait(place)
    result.run = reached.run
    if reached.approval is not None:
        result.approvals.append(reached.approval)
    for one in reached.messages:
        delivery = stepper.delivery(scopes, recipe, result.run, one.step, {}, one.target, one.index)
        result.planned.append((one.step.id, delivery))
        stepper.count(recipe, result, 1)
        if stepper.simulate:
            delivery = msgspec.structs.replace(delivery, state="shadow", settled_at=scopes.now)
            result.run = with_result(result.run, one.step.id, stepper.likely(scopes, delivery))
        result.deliveries.append(delivery)
    return reached.goes_on


def closing(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, approval: Approval) -> list[Delivery]:
    """Say what became of a decided question under those of its messages that do not say so yet."""
    step = next((one for one in recipe.steps if one.id == approval.step), None)
    if step is None or approval.state == "open":
        return []
    messages = asking.closing(_place(stepper, scopes, recipe, run, step), approval)
    return [stepper.delivery(scopes, recipe, run, one.step, {}, one.target, one.index) for one in messages]


def called_off(
    stepper: "Stepper", scopes: Scopes, recipe_of: Callable[[Run], Recipe | None], run: Run
) -> list[Delivery]:
    """Ask no longer what a run asked that is cancelled, and say so under the messages: nothing hangs on those buttons any more."""
    gone = approvals.cancel(scopes.tx, run.id, scopes.now)
    recipe = recipe_of(run) if gone else None
    return [made for one in gone if recipe for made in closing(stepper, scopes, recipe, run, one)]


def allowed(
    stepper: "Stepper", scopes: Scopes, recipe: Recipe, result: Advance, step: Step, deliveries: list[Delivery]
) -> list[Delivery]:
    """Leave out deliveries that would reach customers who are to be left alone; the run and the tallies say so."""
    kept, told = [], ""
    for one in deliveries:
        reached = outreach(stepper, scopes, recipe, result.run, one)
        refused = consent.refusal(scopes, reached, result.run) if reached is not None else None
        if refused is None:
            kept.append(one)
            continue
        told = refused.told
        result.tallies.append(refused.reason)
        result.run = noted(result.run, f"{step.id}: {told}")
    if told and not kept and result.run.part == "steps":
        result.run = with_result(result.run, step.id, skipped(step, told))
    return kept


def outreach(
    stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, delivery: Delivery
) -> consent.Outreach | None:
    """Tell which customer a delivery would reach, if any."""
    connection = stepper.connections.get(delivery.connection)
    action = connection.actions.get(delivery.action) if connection is not None else None
    if action is None:
        return None
    return consent.outreach(scopes, stepper.key, recipe, run, delivery, action.inputs_type, stepper.quarantine)


def _place(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, step: Step) -> Place:
    def fill(escape: Escape = Escape.PLAIN) -> dict[str, Any]:
        return step.inputs.render(stepper.scope(scopes, recipe, run), escape)

    return Place(
        tx=scopes.tx,
        now=scopes.now,
        run=run,
        step=step,
        fill=fill,
        ask=lambda connection: str(fill(stepper.escape(connection, asking.ASK)).get("ask", "")),
        write=lambda connection, text: str(escape_value(text, stepper.escape(connection, asking.ASK), Budget())),
        after=partial(pausing.after, recipe.around),
        use=recipe.use,
        connections=stepper.connections,
        pretended=stepper.simulate,
    )
