"""`figures`: what a recipe came to, in numbers; reads the store and nothing else."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cxbridge.cli import opening
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output

if TYPE_CHECKING:
    from cxbridge.core.engine.figures import Figures


def figures(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe's id.")],
    *,
    since: Annotated[str, typer.Option(metavar="TIME", help="Of what came in within this time, like 30d.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show a recipe's figures: its runs, and for feedback the loop's rate, time to contact and change of score."""
    from cxbridge.cli.errors import CommandError
    from cxbridge.core.engine.figures import figures as worked_out
    from cxbridge.core.recipes.schema import parse_duration

    output = Output(json)
    try:
        span = parse_duration(since) if since else None
    except ValueError as error:
        raise CommandError(str(error)) from error
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        found = worked_out(bridge.store, bridge.recipe(recipe), bridge.clock, span)
    if json:
        output.data(asdict(found))
    else:
        tell(output, found)


def tell(output: Output, found: "Figures") -> None:
    """Say a recipe's figures in lines."""
    told = ", ".join(f"{number} {state}" for state, number in sorted(found.runs.items())) or "none yet"
    output.line(f"{found.recipe}: runs: {told}")
    if not found.has_loops:
        return
    output.line(f"  answers          {found.answers}, unhappy {found.unhappy}")
    output.line(f"  loops            {found.opened} opened, {found.contacted} begun, {found.closed} closed")
    output.line(f"  overdue          {found.overdue} past their clock without a first contact")
    output.line(f"  loop rate        {_share(found.loop_rate)} of the opened are closed")
    hours = "nobody was contacted yet" if found.hours_to_contact is None else f"{found.hours_to_contact:.1f} h (median)"
    output.line(f"  time to contact  {hours}")
    change = (
        "nobody answered again yet"
        if found.score_change is None
        else (f"{found.score_change:+.1f} of 100 points over {found.rescored} who answered again")
    )
    output.line(f"  score change     {change}")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"
