"""`connections`: which accounts are configured, whose credentials they are, and whether they work."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import REFUSED, UNAVAILABLE, report
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output
from cxbridge.core.errors import CxbridgeError, Retryable

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge

app = typer.Typer(no_args_is_help=True, help="Configured accounts: list them, check their credentials.")


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One connection; all without.")] = "",
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Ask each vendor whose credential it is. A connection that was paused for it goes on when it works again.

    Exits with 77 if a credential is refused, with 69 if a vendor cannot be reached.
    """
    output = Output(json)
    rows: list[dict[str, Any]] = []
    worst = 0
    with opening.bridge(config, database, read_only=True) as bridge:
        for told in bridge.broken:
            worst = worst or report(told)
        names = [bridge.connection(name).name] if name else list(bridge.connections)
        for one in names:
            try:
                rows.append(_checked(bridge, one))
            except CxbridgeError as error:
                rows.append({"connection": one, "ok": False, "error": str(error)})
                report(error)
                # A refused credential is what a person must know first.
                code = UNAVAILABLE if isinstance(error, Retryable) else error.exit_code
                worst = code if code == REFUSED or not worst else worst
    if json:
        output.data(rows)
    else:
        for row in rows:
            _print(output, row)
        if not rows:
            output.say("there are no connections in the settings")
    if worst:
        raise typer.Exit(worst)


@app.command("list")
def list_(*, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """List the connections with what is stored of each; asks no vendor."""
    from cxbridge.core.store import checkpoints, outbox, records, state

    output = Output(json)
    rows: list[dict[str, Any]] = []
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        with bridge.store.read() as tx:
            paused, counted, waiting = state.pauses(tx), records.count(tx), outbox.counts(tx)
            caught_up = {(one.connection, one.stream): one.caught_up for one in checkpoints.find(tx)}
        for name, connection in bridge.connections.items():
            pause = paused.get(name)
            rows.append(
                {
                    "connection": name,
                    "connector": connection.connector.name,
                    "state": "paused" if pause else "on",
                    "reason": pause.reason if pause else "",
                    "hint": pause.hint if pause else "",
                    "streams": [
                        {
                            "stream": stream,
                            "records": counted.get((name, stream), 0),
                            "caught_up": caught_up.get((name, stream)),
                        }
                        for stream in connection.streams
                    ],
                    "deliveries": {kind: count for (one, kind), count in sorted(waiting.items()) if one == name},
                    "actions": sorted(connection.actions),
                }
            )
        for told in opening.broken(bridge):
            output.say(f"warning: {told}")
    if json:
        output.data(rows)
        return
    output.table(
        ["connection", "connector", "state", "stream", "records", "caught up"],
        [
            [row["connection"], row["connector"], row["state"], one["stream"], one["records"], one["caught_up"]]
            for row in rows
            for one in row["streams"]
        ],
    )
    for row in rows:
        if row["reason"]:
            output.line(f"{row['connection']} is paused: {row['reason']}\n  hint: {row['hint']}")


def _checked(bridge: "Bridge", name: str) -> dict[str, Any]:
    found = bridge.check(name)
    return {
        "connection": name,
        "ok": True,
        "identity": found.name,
        "ref": found.ref,
        "notices": list(found.notices),
        "budgets": [
            {"budget": one.name or "all requests", "limit": one.limit, "remaining": one.remaining}
            for one in bridge.clients.budgets(name)
        ],
    }


def _print(output: Output, row: dict[str, Any]) -> None:
    if not row["ok"]:
        output.line(f"✗ {row['connection']}")
        return
    output.line(
        f"✓ {row['connection']}: works, and belongs to {row['identity']}" + (f" ({row['ref']})" if row["ref"] else "")
    )
    for notice in row["notices"]:
        output.line(f"  ! {notice}")
    for one in row["budgets"]:
        if one["remaining"] is not None:
            output.line(f"  {one['budget']}: {one['remaining']} of {one['limit'] or '?'} requests left")
