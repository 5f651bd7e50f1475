"""`runs`: what recipes did, run by run; changes nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, clean, shown

if TYPE_CHECKING:
    from cxbridge.core.ledger import Delivery, Run, StoredReceipt

app = typer.Typer(no_args_is_help=True, help="What recipes did, run by run.")


@app.command("list")
def list_(
    *,
    recipe: Annotated[str, typer.Option(metavar="RECIPE", help="Only runs of this recipe.")] = "",
    state: Annotated[str, typer.Option(metavar="STATE", help="Only runs in this state.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from cxbridge.core.ledger import RunState
    from cxbridge.core.store import runs

    wanted: Any = state or None
    if wanted is not None and wanted not in get_args(RunState):
        raise UsageError(f"there is no run state {state!r}", f"the states are {', '.join(get_args(RunState))}")
    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        found = runs.find(tx, recipe=recipe or None, state=wanted, limit=limit)
    if json:
        output.data([_as_data(run) for run in found])
        return
    output.table(
        ["run", "recipe", "part", "subject", "state", "started", "reason"],
        [[one.id, one.recipe, one.part, one.subject, one.state, one.started_at, one.reason] for one in found],
    )
    if not found:
        output.say(
            "no run matches" if recipe or state else "no recipe has run yet: see what would, with: cxbridge plan"
        )


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `runs list` shows it.")],
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show a run: its steps, what was sent, and what the vendors answered."""
    from cxbridge.core.recipes.judging import judged_text
    from cxbridge.core.store import outbox, receipts, runs

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        found = runs.get(tx, run)
        if found is None:
            raise CommandError(f"there is no run {run!r}", "see them with: cxbridge runs list")
        deliveries = [(one, receipts.of_delivery(tx, one.id)) for one in outbox.of_run(tx, run)]
    if json:
        output.data(_as_data(found) | {"deliveries": [_delivery_data(one, rows) for one, rows in deliveries]})
        return
    output.line(f"{found.id}: {found.recipe} ({found.part}), version {found.version}")
    output.line(f"  subject  {found.subject}")
    output.line(f"  state    {found.state}" + (f": {clean(found.reason)}" if found.reason else ""))
    output.line(f"  started  {shown(found.started_at)}   ended {shown(found.ended_at)}")
    for told in found.context.get("judged", {}).values():
        # What the run was told about a text, and by which model; the text itself is in the record.
        output.line(f"  judged   {clean(judged_text(told) if isinstance(told, Mapping) else str(told))}")
    for one, rows in deliveries:
        target = f" on {one.target}" if one.target else ""
        output.line(
            f"\n  {one.step}: {one.connection} {one.action}{target}  [{one.state}, sent {one.attempts}×]  {one.id}"
        )
        if one.error:
            output.line(f"      {clean(one.error)}")
        for name, value in one.inputs.items():
            if value not in (None, "", [], {}):
                output.line(f"      {name} = {clean(str(value))[:160]}")
        for row in rows:
            where = f" ({row.source_key})" if row.source_key else ""
            output.line(f"      → {row.role} {row.ref}{where} at {shown(row.at)}")
        told = found.results.get(one.step)
        if not rows and one.state == "confirmed" and isinstance(told, Mapping):
            # It made and wrote nothing: another delivery had done so before.
            output.line(f"      → {told.get('source_key') or told.get('id')}: {told.get('told') or 'as it was'}")
    sent = {one.step for one, _ in deliveries if one.state != "cancelled"}
    for step, told in found.results.items():
        if step not in sent and isinstance(told, Mapping) and told.get("told"):
            # A step that asked people, waited, or left somebody alone.
            output.line(f"\n  {step}: {clean(str(told['told']))}")


def _as_data(run: "Run") -> dict[str, Any]:
    return {
        "id": run.id,
        "recipe": run.recipe,
        "version": run.version,
        "part": run.part,
        "subject": str(run.subject),
        "state": run.state,
        "reason": run.reason,
        "results": dict(run.results),
        "judged": list(run.context.get("judged", {}).values()),
        "hops": run.hops,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "wake_at": run.wake_at,
    }


def _delivery_data(delivery: "Delivery", rows: "list[StoredReceipt]") -> dict[str, Any]:
    return {
        "id": delivery.id,
        "step": delivery.step,
        "connection": delivery.connection,
        "action": delivery.action,
        "target": str(delivery.target) if delivery.target else None,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "error_code": delivery.error_code,
        "inputs": dict(delivery.inputs),
        "sent_at": delivery.sent_at,
        "settled_at": delivery.settled_at,
        "receipts": [
            {
                "ref": str(row.ref),
                "role": row.role,
                "source_key": row.source_key,
                "url": row.url,
                "at": row.at,
                "told": row.told,
            }
            for row in rows
        ],
    }
