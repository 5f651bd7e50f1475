"""`recipes`: look at recipe files, try them, and let a stopped one go on; the files themselves are edited by people."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CHANGES, DATA, CommandError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output

if TYPE_CHECKING:
    from cxbridge.core.config import Configuration
    from cxbridge.core.recipes.load import Loaded
    from cxbridge.core.recipes.model import Recipe

app = typer.Typer(no_args_is_help=True, help="Recipes: check, preview, test, list; let a stopped one go on.")

_Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe's id: its file's name without .toml.")]
_Some = Annotated[list[str] | None, typer.Argument(metavar="[RECIPE…]", help="Some recipes; all without.")]


@app.command("check")
def check(names: _Some = None, *, config: ConfigFile = DEFAULT_CONFIG, json: Json = False) -> None:
    """Look for mistakes in recipe files, all of them at once; exits with 65 if there are any."""
    output = Output(json)
    read = opening.configuration(config)
    loaded = _load(read, names)
    problems = [problem for error in loaded.errors for problem in error.problems]
    if json:
        output.data(
            {
                "recipes": [one.id for one in loaded.recipes],
                "problems": [
                    {name: getattr(one, name) for name in ("path", "line", "column", "code", "message", "hint")}
                    for one in problems
                ],
            }
        )
    else:
        for problem in problems:
            output.line(str(problem))
        for recipe in loaded.recipes:
            output.line(f"{recipe.id}: fine ({recipe.stage}, {len(recipe.tests)} tests)")
        if problems:
            files = len(loaded.errors)
            output.say(f"{len(problems)} problem(s) in {files} file(s)")
        elif not loaded.recipes:
            output.say(f"there are no recipe files in {read.recipes_dir}")
    if problems:
        raise typer.Exit(DATA)


@app.command("plan")
def plan(
    name: _Recipe,
    *,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Only what changed this recently, like 30d.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Show what a recipe would write, field by field, and where it would stop; exits with 4 if it would act."""
    from cxbridge.cli import preview

    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        found = preview.show(Output(json), bridge, [bridge.recipe(name)], since)
    if found:
        raise typer.Exit(CHANGES)


@app.command("test")
def run_tests_in_files(names: _Some = None, *, config: ConfigFile = DEFAULT_CONFIG, json: Json = False) -> None:
    """Run the tests that stand in the recipe files; exits with 65 if one fails. Needs no store and no vendor."""
    import tempfile

    from cxbridge.core.clock import SystemClock
    from cxbridge.core.engine.trial import run_tests
    from cxbridge.core.store import Store

    output = Output(json)
    read = opening.configuration(config)
    loaded = _load(read, names)
    if loaded.errors:
        raise loaded.errors[0]
    connections, clock = opening.connections(read), SystemClock()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as folder:
        # Tests meet an empty world, never what this installation has stored.
        store = Store.open(f"sqlite:///{folder}/tests.db", clock=clock)
        try:
            for recipe in loaded.recipes:
                rows += [
                    {"recipe": recipe.id, "test": one.name, "ok": one.ok, "told": list(one.told)}
                    for one in run_tests(recipe, store, connections, clock)
                ]
        finally:
            store.close()
    failed = [row for row in rows if not row["ok"]]
    if json:
        output.data(rows)
    else:
        for row in rows:
            output.line(f"{'✓' if row['ok'] else '✗'} {row['recipe']}: {row['test']}")
            for told in row["told"]:
                output.line(f"    {told}")
        output.say(f"{len(rows) - len(failed)} of {len(rows)} tests pass")
    if failed:
        raise typer.Exit(DATA)


@app.command("list")
def list_(*, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """List the recipes: stage, whether one is stopped and why, how many runs there are; of each kind they are counted up to 1,000.

    `cxbridge figures` counts all.
    """
    from cxbridge.core.engine import guard
    from cxbridge.core.store import planning, runs, state

    output = Output(json)
    rows: list[dict[str, Any]] = []
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        with bridge.store.read() as tx:
            paused = state.pauses(tx)
            counted = {one.id: runs.counts(tx, one.id) for one in bridge.library.recipes}
            tallies = {one.id: planning.tallies(tx, one.id) for one in bridge.library.recipes}
        for recipe in bridge.library.recipes:
            pause = paused.get(guard.name(recipe))
            rows.append(
                {
                    "recipe": recipe.id,
                    "stage": recipe.stage,
                    "state": "stopped" if pause else "on" if recipe.considered else "off",
                    "title": recipe.title,
                    "reason": pause.reason if pause else "",
                    "hint": pause.hint if pause else "",
                    "runs": dict(sorted(counted[recipe.id].items())),
                    "counts": {what: one.n for what, one in sorted(tallies[recipe.id].items())},
                }
            )
        rows += [
            {
                "recipe": Path(error.path).stem,
                "stage": "",
                "state": "broken",
                "title": "",
                "reason": str(error).splitlines()[0],
                "hint": "cxbridge recipes check",
                "runs": {},
                "counts": {},
            }
            for error in bridge.library.errors
        ]
    if json:
        output.data(rows)
        return
    output.table(
        ["recipe", "stage", "state", "runs", "title"],
        [[row["recipe"], row["stage"], row["state"], _counts(row["runs"]), row["title"]] for row in rows],
    )
    for row in rows:
        if row["reason"]:
            output.line(f"{row['recipe']}: {row['reason']}\n  hint: {row['hint']}")


@app.command("resume")
def resume(
    name: _Recipe,
    *,
    allow: Annotated[
        int, typer.Option(min=0, metavar="N", help="Let it start this many runs beyond the limit that stopped it.")
    ] = 0,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Let a recipe that stopped at a limit, or after a failure, go on where it stopped."""
    from cxbridge.core.engine.mend import resume_recipe

    output = Output()
    with opening.bridge(config, database, read_only=True) as bridge:
        recipe = bridge.recipe(name)
        if not resume_recipe(bridge.store, recipe, allow, bridge.clock.now(), opening.who()):
            raise CommandError(f"{name} is not stopped; nothing was changed", "see all with: cxbridge recipes list")
    output.line(f"{name} goes on" + (f", for {allow} runs beyond its limit" if allow else ""))


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of recipe files, for completion and checks in an editor."""
    from cxbridge.core.recipes.editor import schema

    Output(json=True).data(schema())


def _load(read: "Configuration", names: Sequence[str] | None) -> "Loaded":
    from cxbridge.core.engine.surroundings import surroundings
    from cxbridge.core.recipes.load import Loaded, load_folder

    loaded = load_folder(read.recipes_dir, opening.connections(read), read.settings.recipes.inputs, surroundings(read))
    if not names:
        return loaded
    wanted = [Path(name).stem for name in names]
    known: dict[str, Recipe] = {one.id: one for one in loaded.recipes}
    errors = tuple(one for one in loaded.errors if Path(one.path).stem in wanted)
    for name in wanted:
        if name not in known and all(Path(one.path).stem != name for one in errors):
            raise CommandError(
                f"there is no recipe {name!r} in {read.recipes_dir}", f"there are: {', '.join(known) or 'none'}"
            )
    return Loaded(tuple(known[name] for name in wanted if name in known), errors)


def _counts(counts: dict[str, int]) -> str:
    from cxbridge.core.store.runs import COUNTED

    told = (f"{count}{'+' if count >= COUNTED else ''} {name}" for name, count in counts.items())
    return ", ".join(told) or "none"
