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
    from cxbridge.core.http import BreakerState
    from cxbridge.core.store.state import Pause

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

    A vendor that is left alone because it failed too often is asked all the same; when it answers, all goes on at once.

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
    from cxbridge.core.store import breakers, checkpoints, holds, outbox, records, state

    output = Output(json)
    rows: list[dict[str, Any]] = []
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        with bridge.store.read() as tx:
            paused, counted, waiting = state.pauses(tx), records.count(tx), outbox.unsettled_counts(tx)
            alone, held = breakers.find(tx), holds.find(tx, bridge.clock.now())
            caught_up = {(one.connection, one.stream): one.caught_up for one in checkpoints.find(tx)}
        for name, connection in bridge.connections.items():
            rows.append(
                {
                    "connection": name,
                    "connector": connection.connector.name,
                    **_standing(name, paused.get(name), alone.get(name)),
                    "holds": {budget or "all requests": until for budget, until in held.get(name, {}).items()},
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
            output.line(f"{row['connection']} is {row['state']}: {row['reason']}\n  hint: {row['hint']}")
        for budget, until in row["holds"].items():
            output.line(f"{row['connection']} waits until {until:%H:%M:%S}Z, as its vendor asked: {budget}")


def _standing(name: str, pause: "Pause | None", alone: "BreakerState | None") -> dict[str, Any]:
    """Say how a connection stands: on, paused for a person, or degraded, its vendor left alone for a while."""
    if pause is not None:
        return {"state": "paused", "reason": pause.reason, "hint": pause.hint, "retry_at": None}
    if alone is None:
        return {"state": "on", "reason": "", "hint": "", "retry_at": None}
    return {
        "state": "degraded",
        "reason": (
            f"left alone since {alone.opened_at:%Y-%m-%d %H:%M:%S}Z: {alone.failures} requests in a row failed "
            f"({alone.reason})"
        ),
        "hint": f"asked again at {alone.retry_at:%H:%M:%S}Z by itself; at once with: cxbridge connections check {name}",
        "retry_at": alone.retry_at,
    }


@app.command("webhooks")
def webhooks(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One connection; all without.")] = "",
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show where each connection's webhooks go, what to set at the vendor, and what came in; asks no vendor.

    A path is a secret: whoever has it can make cxbridge look at a connection again, though never believe anything.
    """
    from cxbridge.console.endpoints import Endpoints
    from cxbridge.core.store import inbox, planning

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        settings = bridge.configuration.settings.webhooks
        names = [bridge.connection(name).name] if name else list(bridge.connections)
        endpoints = Endpoints(bridge.connections, bridge.instance_key()).all
        with bridge.store.read() as tx:
            heard = inbox.heard(tx)
            counts = {one: planning.tallies(tx, f"{one}/webhooks") for one in names}
    rows = [
        _row(endpoints.get(one), one, settings.url or f"http://{settings.listen}", heard.get(one), counts[one])
        for one in names
    ]
    if json:
        output.data(rows)
        return
    if not settings.listen:
        output.line("nothing listens: set listen under [webhooks], for example 127.0.0.1:8700")
    for row in rows:
        _print_webhook(output, row, listening=bool(settings.listen))


def _row(endpoint: Any, name: str, base: str, heard: Any, counts: Any) -> dict[str, Any]:
    if endpoint is None:
        return {"connection": name, "taken": False}
    return {
        "connection": name,
        "taken": True,
        "path": endpoint.path,
        "url": f"{base}{endpoint.path}",
        "signed": endpoint.webhook.signed,
        "open": endpoint.open,
        "secret": endpoint.webhook.secret,
        "secrets": len(endpoint.secrets),
        "setup": endpoint.webhook.setup,
        "waiting": heard.waiting if heard else 0,
        "last_at": heard.last_at if heard else None,
        "counts": {what: {"n": tally.n, "last_at": tally.at} for what, tally in sorted(counts.items())},
    }


def _print_webhook(output: Output, row: dict[str, Any], *, listening: bool) -> None:
    if not row["taken"]:
        output.line(f"{row['connection']}: takes no webhooks")
        return
    output.line(f"{row['connection']}: {row['url'] if listening else row['path']}")
    if not row["open"]:
        output.line(f"  ! closed: every delivery is refused until {row['secret']} is set")
    elif row["signed"]:
        both = ", and the one before it" if row["secrets"] > 1 else ""
        output.line(f"  signed, and compared with {row['secret']}{both}")
    else:
        output.line(
            "  not signed: the path is all that keeps strangers out, and nothing is believed but what to look at"
        )
    if row["setup"]:
        output.line(f"  at the vendor: {row['setup']}")
    for what, one in row["counts"].items():
        output.line(f"  {what}: {one['n']}, last at {one['last_at']:%Y-%m-%d %H:%M:%S} UTC")
    if row["waiting"]:
        output.line(f"  waiting to be worked off: {row['waiting']}")


def _checked(bridge: "Bridge", name: str) -> dict[str, Any]:
    from cxbridge.core.store import planning

    found = bridge.check(name, opening.who())
    with bridge.store.read() as tx:
        tallies = planning.tallies(tx, f"{name}/webhooks")
    missed = {
        what.removeprefix("missed: "): {"n": one.n, "last_at": one.at}
        for what, one in tallies.items()
        if what.startswith("missed: ")
    }
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
        "missed": missed,
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
    for stream, one in row["missed"].items():
        output.line(
            f"  ! {one['n']} changes of {stream} came without their webhook, the last at {one['last_at']:%Y-%m-%d %H:%M} UTC"
        )
