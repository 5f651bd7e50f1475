"""`dead`: what waits for a person, and what that person decides about it; sends nothing itself."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output

if TYPE_CHECKING:
    from cxbridge.core.ledger import Delivery, Run
    from cxbridge.core.store import Tx

app = typer.Typer(no_args_is_help=True, help="Dead letters, writes in doubt and held runs: list, retry, drop.")

_Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Deliveries, as `dead list` shows them.")]
_All = Annotated[bool, typer.Option("--all", help="All of them, or all of one recipe.")]
_OfRecipe = Annotated[str, typer.Option("--recipe", metavar="RECIPE", help="Only those of this recipe.")]
_MOST = 10_000


@app.command("list")
def list_(
    *, recipe: _OfRecipe = "", config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False
) -> None:
    """List what waits for a person: dead letters, writes nobody can look up, runs that are held or failed."""
    from cxbridge.core.engine.mend import waiting_for_a_person

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        deliveries = waiting_for_a_person(tx, recipe or None)
        stuck = _stuck_runs(tx, recipe, {one.run for one in deliveries})
    rows = [_delivery_row(one) for one in deliveries] + [_run_row(one) for one in stuck]
    if json:
        output.data(rows)
        return
    output.table(
        ["id", "what", "recipe", "since", "tries", "why"],
        [[row["id"], row["what"], row["recipe"], row["since"], row["attempts"], row["why"]] for row in rows],
    )
    for told in dict.fromkeys(f"{row['what']}: {row['next']}" for row in rows):
        output.say(told)
    if not rows:
        output.say("nothing waits for a person")


@app.command("retry")
def retry(
    ids: _Ids = None,
    *,
    everything: _All = False,
    recipe: _OfRecipe = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Send deliveries again. Each keeps its marker, so that what the vendor already did is found instead of repeated."""
    from cxbridge.core.engine.mend import retry_deliveries

    with opening.bridge(config, database, read_only=True) as bridge:
        with bridge.store.read() as tx:
            chosen = _chosen(tx, ids, recipe, everything=everything)
        done = retry_deliveries(bridge.store, chosen, bridge.clock.now())
    Output().line(f"{done} of {len(chosen)} go out again: a running daemon takes them, or: cxbridge push")


@app.command("drop")
def drop(
    ids: _Ids = None,
    *,
    everything: _All = False,
    recipe: _OfRecipe = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Give deliveries up for good; their runs stay failed and are kept as evidence."""
    from cxbridge.core.engine.mend import drop_deliveries

    with opening.bridge(config, database, read_only=True) as bridge:
        with bridge.store.read() as tx:
            chosen = _chosen(tx, ids, recipe, everything=everything)
        done = drop_deliveries(bridge.store, chosen, bridge.clock.now())
    Output().line(f"{done} of {len(chosen)} given up")


def _chosen(tx: "Tx", ids: list[str] | None, recipe: str, *, everything: bool) -> list[str]:
    """Give the ids meant, all of which can be mended.

    Raises:
        UsageError: nothing, or too much, was named. CommandError: an id is no such delivery.
    """
    from cxbridge.core.engine.mend import waiting_for_a_person
    from cxbridge.core.store import runs

    if bool(ids) == everything:
        raise UsageError(
            "name the deliveries, or say --all (with --recipe RECIPE for one recipe's)", "cxbridge dead list"
        )
    if ids and recipe:
        raise UsageError("--recipe goes with --all, not with ids")
    mendable = [one.id for one in waiting_for_a_person(tx, recipe or None)]
    if everything:
        # Oldest first: so they were meant to go out.
        return mendable[::-1]
    for one in ids or ():
        if one in mendable:
            continue
        run = runs.get(tx, one)
        if run is not None:
            raise CommandError(f"{one} is a run, not a delivery", _run_row(run)["next"])
        raise CommandError(f"{one} is no delivery that waits for a person; nothing was changed", "cxbridge dead list")
    return list(ids or ())


def _stuck_runs(tx: "Tx", recipe: str, told: set[str]) -> "list[Run]":
    """Runs that are held or failed and are not already shown by one of their deliveries."""
    from cxbridge.core.store import runs

    found = [
        *runs.find(tx, recipe=recipe or None, state="held", limit=_MOST),
        *runs.find(tx, recipe=recipe or None, state="failed", limit=_MOST),
    ]
    return [run for run in found if run.id not in told]


def _delivery_row(delivery: "Delivery") -> dict[str, Any]:
    doubt = delivery.error_code == "unknown_outcome"
    return {
        "id": delivery.id,
        "what": "in doubt" if doubt else "dead letter",
        "recipe": delivery.recipe,
        "run": delivery.run,
        "connection": delivery.connection,
        "action": delivery.action,
        "target": str(delivery.target) if delivery.target else None,
        "since": delivery.settled_at or delivery.sent_at or delivery.created_at,
        "attempts": delivery.attempts,
        "code": delivery.error_code,
        "why": delivery.error,
        "next": (
            "look at the vendor whether it was done: if so `cxbridge dead drop ID`, if not `cxbridge dead retry ID`"
            if doubt
            else "mend the cause, then `cxbridge dead retry ID`; or give it up with `cxbridge dead drop ID`"
        ),
    }


def _run_row(run: "Run") -> dict[str, Any]:
    held = run.state == "held"
    return {
        "id": run.id,
        "what": "held run" if held else "failed run",
        "recipe": run.recipe,
        "run": run.id,
        "connection": run.subject.connection,
        "action": run.part,
        "target": str(run.subject),
        "since": run.ended_at or run.started_at,
        "attempts": 0,
        "code": run.state,
        "why": run.reason,
        "next": (
            "answer the question that it asked, with `cxbridge approvals answer`: the run goes on at once"
            if held and "cxbridge approvals answer" in run.reason
            else "mend what holds it (the entity, or the recipe's map): the run goes on with the next look at the entity"
            if held
            else f"see what happened with `cxbridge runs show {run.id}`; the recipe acts again when the entity changes"
        ),
    }
