"""`pull`, `plan` and `push`: one of the daemon's verbs at a time, by hand; each prints what came of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CHANGES, DEAD_LETTERS, CommandError, report
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, progress
from cxbridge.core.errors import CxbridgeError

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.pull import Pulled
    from cxbridge.core.engine.pushed import Pushed

_COUNTS = ("pages", "created", "updated", "unchanged", "deleted", "refused")


def pull(
    what: Annotated[
        str, typer.Argument(metavar="[CONNECTION[/STREAM]]", help="One connection, or one of its streams; all without.")
    ] = "",
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Read what changed at the vendors into the store, from each stream's checkpoint on."""
    output = Output(json)
    rows: list[dict[str, Any]] = []
    worst = 0
    with opening.bridge(config, database, read_only=True) as bridge:
        streams = _streams(bridge, what)
        with progress() as bars:
            for connection, stream in streams:

                def on_page(pulled: "Pulled") -> None:
                    bars.set(f"{pulled.connection}/{pulled.stream}", pulled.seen)

                try:
                    pulled = bridge.pull(connection, stream, on_page=on_page)
                except CxbridgeError as error:
                    # The other streams are not worse for it.
                    worst = worst or report(error)
                    rows.append({"connection": connection, "stream": stream, "error": str(error)})
                    continue
                row = {"connection": connection, "stream": stream}
                rows.append(row | {name: getattr(pulled, name) for name in _COUNTS})
        # So that what is asked next about what was pulled knows who is who.
        bridge.identifier.run()
    if json:
        output.data(rows)
    else:
        done = [row for row in rows if "error" not in row]
        output.table(
            ["connection", "stream", *_COUNTS],
            [[row["connection"], row["stream"], *(row[name] for name in _COUNTS)] for row in done],
        )
    if worst:
        raise typer.Exit(worst)


def plan(
    recipe: Annotated[str, typer.Argument(metavar="[RECIPE]", help="One recipe; all without.")] = "",
    *,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Only what changed this recently, like 30d.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show what recipes would do to everything that is stored. Writes nothing; exits with 4 if there is something."""
    from cxbridge.cli import preview

    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        chosen = [bridge.recipe(recipe)] if recipe else list(bridge.library.recipes)
        output = Output(json)
        if not recipe:
            for told in opening.broken(bridge):
                output.say(f"warning: {told}")
        found = preview.show(output, bridge, chosen, since)
    if found:
        raise typer.Exit(CHANGES)


def push(
    connection: Annotated[str, typer.Argument(metavar="[CONNECTION]", help="One connection; all without.")] = "",
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Perform the deliveries that are due; exits with 3 if one became a dead letter. Never beside a running daemon."""
    output = Output(json)
    with opening.bridge(config, database) as bridge:
        names = [bridge.connection(connection).name] if connection else list(bridge.connections)
        with bridge.holding(names, "push"):
            bridge.pusher.recover(names)
            done = _push_all(bridge, names)
    rows = [
        {
            "connection": name,
            "confirmed": pushed.confirmed,
            "joined": pushed.adopted,
            "put off": pushed.retried,
            "in doubt": pushed.unknown,
            "dead": pushed.dead,
            "paused": pushed.paused,
            "next": pushed.next_at,
        }
        for name, pushed in done.items()
    ]
    if json:
        output.data([{key.replace(" ", "_"): value for key, value in row.items()} for row in rows])
    else:
        output.table(list(rows[0]) if rows else ["connection"], [list(row.values()) for row in rows])
    if any(pushed.dead for pushed in done.values()):
        output.say("some deliveries are dead letters now: cxbridge dead list")
        raise typer.Exit(DEAD_LETTERS)


def _push_all(bridge: "Bridge", names: list[str]) -> "dict[str, Pushed]":
    """Push round and round until no connection moves any more: a step done here may plan the next one there."""
    total: dict[str, Pushed] = {}
    moving = True
    while moving:
        moving = False
        for name in names:
            one = bridge.push(name)
            moving = moving or bool(one.settled)
            if name in total:
                total[name].add(one)
            else:
                total[name] = one
    return total


def _streams(bridge: "Bridge", what: str) -> list[tuple[str, str]]:
    connection, slash, stream = what.partition("/")
    found = bridge.streams(connection or None)
    if slash:
        known = ", ".join(name for _, name in found)
        found = [(connection, stream)] if (connection, stream) in found else []
        if not found:
            raise CommandError(f"{connection} has no stream {stream!r} to pull", f"it has {known}")
    return found
