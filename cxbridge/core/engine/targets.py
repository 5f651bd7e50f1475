"""What a verb acts on, and what makes two writes the same write; reads the run alone."""

from collections.abc import Mapping

from cxbridge.core.connector import Action, Inputs
from cxbridge.core.engine.advancing import Fault
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.restoring import NAMED
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.recipes.checks.each import needs_target
from cxbridge.core.recipes.model import Recipe, Step
from cxbridge.core.recipes.nouns import NOUNS


def target_of(connection: Connection | None, run: Run, step: Step, noun: str, item: Ref | None = None) -> Ref | None:
    """Find the entity a verb acts on: its item, the subject where it lives there, else what an earlier step made there.

    `None` for a verb that brings something about.

    Raises:
        Fault: when there is nothing to act on.
    """
    action = connection.actions.get(step.action) if connection is not None else None
    if action is None or connection is None:
        raise Fault(f"{step.connection} does not offer {step.action} any more")
    if not needs_target(action, step.inputs.values):
        return None
    if item is not None and item.connection == step.connection:
        return item
    if run.subject.connection == step.connection and _acts_on(connection, action, noun):
        return run.subject
    made = [
        text
        for told in reversed(list(run.results.values()))
        if isinstance(told, Mapping) and isinstance(text := told.get("id"), str)
        if text.startswith(f"{step.connection}/")
    ]
    # Of several things that were made there, the last of the sort that the verb is for.
    fitting = [text for text in made if text.startswith(f"{step.connection}/{action.stream}/")]
    found = next(iter(fitting or made), None)
    if found is None:
        raise Fault(f"step {step.id} has nothing to act on in {step.connection}: no earlier step gave an entity there")
    return Ref.parse(found)


def _acts_on(connection: Connection, action: Action, noun: str) -> bool:
    stream = connection.streams.get(action.stream)
    kind = NOUNS.get(noun, noun)
    return stream is None or any(one.__struct_config__.tag == kind for one in stream.kinds)


def identity_of(recipe: Recipe, run: Run, step: Step, inputs: Inputs, index: int, item: str = "") -> tuple[str, ...]:
    """Say what makes a write the same write: for `ensure` the thing that is meant, for everything else this run's own act.

    `item` names what a step is done for, where it is done for several.
    """
    same_as = getattr(inputs, "same_as", None)
    if same_as:
        return ("same", step.connection, step.action, same_as)
    each = (item,) if item else ()
    if "same_as" in inputs.__struct_fields__:
        return ("ensure", recipe.id, step.id, step.connection, step.action, run.key, *each)
    return (recipe.id, run.part, str(run.context.get(NAMED, run.once)), step.id, *(each or (str(index),)))
