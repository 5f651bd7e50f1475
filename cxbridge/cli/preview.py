"""What recipes would do, as a table and a tally; shared by `plan` and `recipes plan`, which change nothing."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cxbridge.cli.errors import UsageError
from cxbridge.cli.render import Output, clean

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.rehearse import Rehearsed, RehearsedRun
    from cxbridge.core.ledger import Delivery
    from cxbridge.core.recipes.model import Recipe

# How many runs are spelled out; the rest is counted. `--json` has them all.
_SPELLED_OUT = 5
_LONGEST = 100


def show(output: Output, bridge: "Bridge", recipes: "Sequence[Recipe]", since: str) -> bool:
    """Print what each recipe would do; True when there is anything to do."""
    from cxbridge.core.engine.rehearse import rehearse

    span = _span(since)
    found = [rehearse(bridge.store, bridge.stepper, one, bridge.clock, since=span) for one in recipes]
    if output.json:
        output.data([_as_data(recipe, one) for recipe, one in zip(recipes, found, strict=True)])
    else:
        for recipe, one in zip(recipes, found, strict=True):
            _print(output, recipe, one)
        if not recipes:
            output.line("there are no recipes to plan")
    return any(not run.held for one in found for run in one.acts)


def tally(rehearsed: "Rehearsed") -> list[tuple[str, int]]:
    """Count what becomes of the subjects: acts, held, stopped by condition, in that order."""
    held = sum(bool(run.held) for run in rehearsed.acts)
    rows = [("would act", len(rehearsed.acts) - held), ("would be held for a person", held)]
    rows += [("did so before", rehearsed.already)]
    rows += [(f"stopped at {name}", count) for name, count in rehearsed.stopped.items()]
    rows += [(f"error in {name}", count) for name, count in rehearsed.errors.items()]
    return [row for row in rows if row[1]]


def _print(output: Output, recipe: "Recipe", rehearsed: "Rehearsed") -> None:
    from cxbridge.core.recipes.nouns import several

    output.line(f"{recipe.id} ({recipe.stage}): {recipe.title}")
    output.table(
        [f"of {rehearsed.considered} {several(recipe.noun)}", "count"],
        [[name, count] for name, count in tally(rehearsed)],
    )
    acting = [run for run in rehearsed.acts if not run.held]
    for run in acting[:_SPELLED_OUT]:
        output.line(f"\n{run.subject}  {clean(run.title)}" + (f"  ({clean(run.account)})" if run.account else ""))
        for delivery in run.deliveries:
            output.line(f"  {delivery.step}: {delivery.connection} {delivery.action}" + _target(delivery))
            for name, value in delivery.inputs.items():
                if value not in (None, "", [], {}):
                    output.line(f"      {name} = {_short(value)}")
        for step, told in _told_of(run):
            output.line(f"  {step}: {_short(told)}")
    if len(acting) > _SPELLED_OUT:
        output.line(f"\n… and {len(acting) - _SPELLED_OUT} more; --json lists them all")
    for run in rehearsed.acts:
        if run.held:
            output.line(f"\nheld: {run.subject}  {clean(run.title)}\n  {run.held}")
    if acting and not recipe.acts:
        output.line(f'\nnothing of this happens while the stage is {recipe.stage}; set stage = "live" in {recipe.path}')
    output.line()


def _told_of(run: "RehearsedRun") -> list[tuple[str, str]]:
    """What steps say that write nothing themselves: a question taken as answered, a wait, somebody left alone."""
    written = {one.step for one in run.deliveries}
    return [
        (step, str(told["told"]))
        for step, told in run.run.results.items()
        if step not in written and isinstance(told, Mapping) and told.get("told")
    ]


def _target(delivery: "Delivery") -> str:
    return f" on {delivery.target}" if delivery.target else ""


def _short(value: Any) -> str:
    text = clean(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _as_data(recipe: "Recipe", rehearsed: "Rehearsed") -> dict[str, Any]:
    return {
        "recipe": recipe.id,
        "stage": recipe.stage,
        "considered": rehearsed.considered,
        "already": rehearsed.already,
        "stopped": rehearsed.stopped,
        "errors": rehearsed.errors,
        "acts": [_run_data(run) for run in rehearsed.acts if not run.held],
        "held": [_run_data(run) for run in rehearsed.acts if run.held],
    }


def _run_data(run: "RehearsedRun") -> dict[str, Any]:
    return {
        "subject": str(run.subject),
        "title": run.title,
        "account": run.account,
        "held": run.held,
        "deliveries": [
            {
                "step": one.step,
                "connection": one.connection,
                "action": one.action,
                "target": str(one.target) if one.target else None,
                "inputs": dict(one.inputs),
            }
            for one in run.deliveries
        ],
        "told": dict(_told_of(run)),
        "links": [{"left": str(one.left), "right": str(one.right), "relation": one.relation} for one in run.links],
    }


def _span(text: str) -> timedelta | None:
    from cxbridge.core.recipes.schema import parse_duration

    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise UsageError(str(error)) from error
