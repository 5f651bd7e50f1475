"""`db`: the tables under the store, brought up to date or carried over to another database; looks into no record."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, progress

if TYPE_CHECKING:
    from cxbridge.core.store.migrate import Plan, Step

app = typer.Typer(no_args_is_help=True, help="The store's tables: upgrade them, or move them to another database.")


@app.command("upgrade")
def upgrade(
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what it would do, and do nothing.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Bring the tables to this program's revision. The daemon does so by itself when it starts.

    With --plan each step is shown: what it does, whether the program before may still work beside this one, and how many rows it
    goes through. Exits with 4 when there is something to do.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import Store, migrate

    output = Output(json)
    url = opening.configuration(config, database).store_url
    store = Store.as_found(url, clock=SystemClock())
    try:
        with store.read() as tx:
            found = migrate.plan(tx.connection, store.place)
        place = store.place
    finally:
        store.close()
    if not plan and found.steps:
        Store.open(url, clock=SystemClock()).close()
    told = _told(found)
    if json:
        output.data({**told, "done": not plan})
    else:
        _print(output, found, place, done=not plan)
    if plan and found.steps:
        raise typer.Exit(4)


@app.command("move")
def move(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The store as it is: sqlite:///FILE or postgresql://…")],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="An empty database, or a file that is not there yet.")
    ] = "",
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back to FROM, which was moved to TO; what was done there is looked for.")
    ] = False,
    gone: Annotated[
        bool, typer.Option("--gone", help="With --undo: TO is not there any more, so that nothing is marked in it.")
    ] = False,
    json: Json = False,
) -> None:
    """Carry a store over to another database, whole or not at all, and see that everything arrived.

    Nobody may be at work on either. Afterwards the old store refuses to be worked on and names the new place; name it in the
    settings as well. A move that was ended on the way is gone on with by the same command.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import Store, moving

    if not undo and (gone or not target):
        raise UsageError("name both places: cxbridge db move FROM TO", "cxbridge db move --help")
    if undo and gone == bool(target):
        raise UsageError(
            "name where it was moved to, or say --gone if that is not there any more", "cxbridge db move --help"
        )
    output, clock = Output(json), SystemClock()
    opened = Store.as_found(source, clock=clock)
    beyond = Store.as_found(target, clock=clock) if undo and target else None
    try:
        if undo:
            marked = moving.undo(opened, beyond, moving.address(source), clock.now())
            doubts = sum(marked.doubts.values())
            if json:
                output.data({"place": moving.address(source), "since": marked.since, "doubts": marked.doubts})
                return
            output.line(f"{opened.place} may be worked on again, as it was at {marked.since:%Y-%m-%d %H:%M:%S}Z")
            output.line(f"{doubts} deliveries may have been done since: each is looked for before it is sent")
            return
        with progress() as bars:
            moved = moving.move(opened, target, clock=clock, on_rows=bars.set)
    finally:
        opened.close()
        if beyond is not None:
            beyond.close()
    if json:
        output.data({"to": moved.to, "rows": moved.rows, "finished": moved.finished})
        return
    if moved.finished:
        output.line(f"an earlier move had carried everything over to {moved.to}; its last step is done now")
    else:
        filled = sum(1 for rows in moved.rows.values() if rows)
        output.line(
            f"{sum(moved.rows.values())} rows of {filled} tables are in {moved.to}, and were found there as they were here"
        )
    output.say(f"name it in the settings: [store] url, or --database {moved.to} (with its password)")
    output.say(
        f"the old store is kept and refuses to work; back to it: cxbridge db move --undo {moving.address(source)} …"
    )


@app.command("compact")
def compact(*, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """Pack what an earlier program stored, and shrink the file; what is stored from now on is packed as it comes.

    Nobody may be at work on the store, and a file needs room for a copy of itself meanwhile. Afterwards programs from before
    revision 0004 cannot work on it any more. Ended on the way, the same command goes on where it was. Records are counted anew.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import Store, compacting

    output = Output(json)
    store = Store.as_found(opening.configuration(config, database).store_url, clock=SystemClock())
    try:
        with progress() as bars:
            done = compacting.compact(store, on_rows=bars.set)
    finally:
        store.close()
    if json:
        output.data({"rows": done.rows, "bytes_before": done.before, "bytes_after": done.after})
        return
    packed = (
        ", ".join(f"{count} of {table}" for table, count in done.rows.items() if count) or "nothing was left to pack"
    )
    output.line(f"{store.place}: {packed}; {done.before / 1e6:,.1f} MB before, {done.after / 1e6:,.1f} MB now")
    if store.path is None and any(done.rows.values()):
        output.say("the server gives the space to new rows; VACUUM FULL there gives it back to the disk")


def _told(found: "Plan") -> dict[str, Any]:
    return {
        "found": found.found,
        "wanted": found.wanted,
        "oldest_program": found.oldest,
        "beside": found.beside,
        "steps": [_step(one) for one in found.steps],
    }


def _step(one: "Step") -> dict[str, Any]:
    return {
        "revision": one.revision,
        "before": one.before,
        "does": one.tells,
        "kind": "expands" if one.expands else "contracts",
        "rows": one.rows,
    }


def _print(output: Output, found: "Plan", place: str, *, done: bool) -> None:
    if not found.steps:
        newer = found.found is not None and found.found > found.wanted
        also = f", which is newer than this program's {found.wanted} and leaves it room to work" if newer else ""
        output.line(f"{place} has tables of revision {found.found}{also}: there is nothing to do")
        return
    rows = [
        [
            one.revision,
            "expands" if one.expands else "contracts",
            ", ".join(f"{count} of {table}" for table, count in one.rows.items()) or "none",
            one.tells,
        ]
        for one in found.steps
    ]
    output.line(f"{place}: from {found.found or 'no tables'} to {found.wanted}{', done' if done else ''}")
    output.table(["revision", "kind", "rows", "does"], rows)
    if found.found is None:
        return
    if found.beside:
        output.say(f"a program of revision {found.found} may go on working beside this one, or again after it")
    else:
        output.say(f"a program of revision {found.found} cannot work on it any more: end every one of them first")
    if not done:
        output.say("the daemon does this by itself when it starts; before it: cxbridge backup")
