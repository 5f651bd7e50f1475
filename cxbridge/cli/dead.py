"""`dead`: what waits for a person, and what that person decides about it; sends nothing itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Bars, Output, progress

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.mend import Mended, Which
    from cxbridge.core.ledger import Delivery, Run
    from cxbridge.core.store import Tx
    from cxbridge.core.store.letters import Chosen, Tally

app = typer.Typer(no_args_is_help=True, help="Dead letters, writes in doubt and held runs: list, retry, drop.")

_Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Deliveries, as `dead list` shows them.")]
_All = Annotated[bool, typer.Option("--all", help="All dead letters, or all that the other options name.")]
_OfRecipe = Annotated[str, typer.Option("--recipe", metavar="RECIPE", help="Only those of this recipe.")]
_OfConnection = Annotated[
    str, typer.Option("--connection", metavar="CONNECTION", help="Only those to this connection.")
]
_OfCode = Annotated[
    str, typer.Option("--code", metavar="CODE", help="Only those that died of this, as `dead list --json` tells it.")
]
_Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="Only those that died since then: 7d, 12h, or 2026-05-06.")
]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether all of these are meant.")]
_Limit = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many of each kind are shown at most.")]
_MOST = 1_000
_PARTS = 10


@app.command("list")
def list_(
    *,
    recipe: _OfRecipe = "",
    connection: _OfConnection = "",
    code: _OfCode = "",
    since: _Since = "",
    limit: _Limit = _MOST,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """List what waits for a person: dead letters, writes nobody can look up, runs that are held or failed."""
    from cxbridge.core.store import letters

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        chosen = _chosen(bridge, recipe, connection, code, since, held=True)
        around = _around(bridge)
        with bridge.store.read() as tx:
            deliveries = letters.newest(tx, chosen, limit)
            count = sum(one.n for one in letters.tally(tx, chosen))
            narrowed = bool(connection or code or since)
            stuck = [] if narrowed else _stuck_runs(tx, recipe, {one.run for one in deliveries}, limit)
    rows = [_delivery_row(one, looks=around.looks_first(one)) for one in deliveries] + [_run_row(one) for one in stuck]
    if json:
        output.data(rows)
        return
    output.table(
        ["id", "what", "recipe", "since", "tries", "why"],
        [[row["id"], row["what"], row["recipe"], row["since"], row["attempts"], row["why"]] for row in rows],
    )
    for told in dict.fromkeys(f"{row['what']}: {row['next']}" for row in rows):
        output.say(told)
    if count > len(deliveries):
        output.say(f"these are the newest {len(deliveries)} of {count}: narrow them, or say --limit {count}")
    if not rows:
        output.say("nothing waits for a person")


@app.command("retry")
def retry(
    ids: _Ids = None,
    *,
    everything: _All = False,
    recipe: _OfRecipe = "",
    connection: _OfConnection = "",
    code: _OfCode = "",
    since: _Since = "",
    yes: _Yes = False,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Send deliveries again. Each keeps its marker, so that what the vendor already did is found instead of repeated.

    Whole groups are shown and asked about first. It may be interrupted and begun again: nothing is retried twice. Writes in doubt
    that nobody can look up go out again only by their ids.
    """
    from cxbridge.core.engine import mend

    narrowing = (recipe, connection, code, since)
    with opening.bridge(config, database, read_only=True) as bridge:
        which, meant = _which(bridge, ids, narrowing, everything=everything, held=False)
        if not _asked(which, meant, "send again", yes=yes):
            return

        def work(on_chunk: "Callable[[Mended], None]") -> "Mended":
            now, who = bridge.clock.now(), opening.who()
            return mend.retry(bridge.store, which, now, who, around=_around(bridge), on_chunk=on_chunk)

        done = _watched("retried", sum(one.n for one in meant), work)
    output = Output()
    output.line(f"{done.done} of {done.seen} go out again: a running daemon takes them, or: cxbridge push")
    if done.waiting:
        output.line(f"{done.waiting} wait for their turn: another run of their key is under way, and they follow it")
    for why, count in done.left.items():
        output.line(f"{count} stay as they are: {why}")


@app.command("drop")
def drop(
    ids: _Ids = None,
    *,
    everything: _All = False,
    recipe: _OfRecipe = "",
    connection: _OfConnection = "",
    code: _OfCode = "",
    since: _Since = "",
    yes: _Yes = False,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Give deliveries up for good; their runs stay failed and are kept as evidence.

    Whole groups are shown and asked about first. Writes in doubt belong to a group only with `--code unknown_outcome`.
    """
    from cxbridge.core.engine import mend

    narrowing = (recipe, connection, code, since)
    with opening.bridge(config, database, read_only=True) as bridge:
        which, meant = _which(bridge, ids, narrowing, everything=everything, held=code == "unknown_outcome")
        if not _asked(which, meant, "give up for good", yes=yes):
            return

        def work(on_chunk: "Callable[[Mended], None]") -> "Mended":
            return mend.drop(bridge.store, which, bridge.clock.now(), opening.who(), on_chunk=on_chunk)

        done = _watched("dropped", sum(one.n for one in meant), work)
    Output().line(f"{done.done} of {done.seen} given up")


# -- which are meant ---------------------------------------------------------------------------------------------------


def _which(
    bridge: "Bridge", ids: list[str] | None, narrowing: tuple[str, str, str, str], *, everything: bool, held: bool
) -> "tuple[Which, list[Tally]]":
    """Give what is meant, with counts where it is a group.

    Raises:
        UsageError: nothing, or too much, was named. CommandError: an id is no such delivery.
    """
    from cxbridge.core.store import letters

    if bool(ids) == everything:
        raise UsageError(
            "name the deliveries, or say --all (with --recipe, --connection, --code or --since for some of them)",
            "cxbridge dead list",
        )
    if ids:
        if any(narrowing):
            raise UsageError("--recipe, --connection, --code and --since go with --all, not with ids")
        with bridge.store.read() as tx:
            _see_that_they_wait(tx, ids)
        return ids, []
    chosen = _chosen(bridge, *narrowing, held=held)
    with bridge.store.read() as tx:
        return chosen, letters.tally(tx, chosen)


def _see_that_they_wait(tx: "Tx", ids: list[str]) -> None:
    from cxbridge.core.engine.mend import MENDABLE
    from cxbridge.core.store import letters, runs

    known = letters.by_id(tx, ids)
    for one in ids:
        if one in known and known[one].state in MENDABLE:
            continue
        run = runs.get(tx, one)
        if run is not None:
            raise CommandError(f"{one} is a run, not a delivery", _run_row(run)["next"])
        raise CommandError(f"{one} is no delivery that waits for a person; nothing was changed", "cxbridge dead list")


def _chosen(bridge: "Bridge", recipe: str, connection: str, code: str, since: str, *, held: bool) -> "Chosen":
    from cxbridge.core.store.letters import Chosen

    now = bridge.clock.now()
    return Chosen(
        recipe=recipe or None,
        connection=connection or None,
        code=code or None,
        since=_moment(since, now) if since else None,
        # What dies while this works was not among those that were shown.
        until=now,
        held=held,
    )


def _moment(text: str, now: datetime) -> datetime:
    from cxbridge.core.recipes.schema import parse_duration

    try:
        if "-" in text:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return now - parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--since {text}: write how long ago, like 7d, or a day, like 2026-05-06") from error


def _around(bridge: "Bridge") -> Any:
    from cxbridge.core.engine.mend import Around

    return Around(bridge.connections, bridge.library.of_run)


def _asked(which: "Which", meant: "list[Tally]", what: str, *, yes: bool) -> bool:
    """Show what a group consists of, and ask whether it is meant; ids are meant as they were named."""
    if isinstance(which, list) or not meant:
        return True
    output = Output()
    count = sum(one.n for one in meant)
    for one in sorted(meant, key=lambda tally: -tally.n)[:_PARTS]:
        output.say(f"  {one.n:>6}  {one.recipe} to {one.connection}: {one.code or 'no code'}")
    if len(meant) > _PARTS:
        output.say(f"          and {len(meant) - _PARTS} groups more")
    if yes:
        return True
    import sys

    if not sys.stdin.isatty():
        raise UsageError(f"{count} deliveries are meant, and nobody is here to ask: say --yes", "cxbridge dead list")
    if typer.confirm(f"{what} {count} deliveries?", err=True):
        return True
    output.say("nothing was changed")
    return False


def _watched(name: str, count: int, work: "Callable[[Callable[[Mended], None]], Mended]") -> "Mended":
    """Do what was decided, and show how far it is where there is much of it."""
    if count <= _MOST:
        return work(lambda _: None)
    with progress() as bars:
        shown: Bars = bars
        return work(lambda done: shown.set(name, done.seen, count))


# -- how they are shown ------------------------------------------------------------------------------------------------


def _stuck_runs(tx: "Tx", recipe: str, told: set[str], limit: int) -> "list[Run]":
    """Runs that are held or failed and are not already shown by one of their deliveries."""
    from cxbridge.core.store import runs

    found = [
        *runs.find(tx, recipe=recipe or None, state="held", limit=limit),
        *runs.find(tx, recipe=recipe or None, state="failed", limit=limit),
    ]
    return [run for run in found if run.id not in told]


def _delivery_row(delivery: "Delivery", *, looks: bool) -> dict[str, Any]:
    from cxbridge.core.store import letters

    doubt = delivery.error_code == "unknown_outcome"
    if letters.waits_its_turn(delivery):
        following = (
            "goes out by itself once no other run of its key is under way; give it up with `cxbridge dead drop ID`"
        )
    elif delivery.state == "held":
        following = (
            "look at the vendor whether it was done: if so `cxbridge dead drop ID`, if not `cxbridge dead retry ID`"
        )
    elif looks:
        following = (
            "`cxbridge dead retry ID` looks for it at the vendor first, and sends it only if it is not there; "
            "or give it up with `cxbridge dead drop ID`"
        )
    else:
        following = "mend the cause, then `cxbridge dead retry ID`; or give it up with `cxbridge dead drop ID`"
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
        "next": following,
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
