"""`why` and `why-not`: an entity's history over all systems, and why a recipe does not act on it; changes nothing."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Entity, Json
from cxbridge.cli.render import Output, clean, shown

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.history import Explained
    from cxbridge.core.ledger import Ref
    from cxbridge.core.recipes.model import Recipe


def why(entity: Entity, *, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """Tell what happened to an entity and to what is linked with it: changes, links, runs, writes, by time."""
    from cxbridge.core.engine import history
    from cxbridge.core.store import records

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        ref = resolve(bridge, entity)
        events = history.why(bridge.store, ref)
        with bridge.store.read() as tx:
            record = records.get(tx, ref)
    title, state = _face(record.entity()) if record else ("", "")
    if json:
        output.data(
            {
                "ref": str(ref),
                "title": title,
                "state": state,
                "events": [
                    {
                        "at": one.at,
                        "what": one.what,
                        "system": one.system,
                        "told": one.told,
                        "ref": str(one.ref) if one.ref else None,
                        "run": one.run,
                    }
                    for one in events
                ],
            }
        )
        return
    output.line(f"{ref}  {clean(title)}" + (f"  [{state}]" if state else ""))
    output.table(
        ["at", "system", "what", "entity", "told"],
        [[one.at, one.system or "cxbridge", one.what, one.ref, one.told] for one in events],
    )


def why_not(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe's id.")],
    entity: Entity,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Say why a recipe does or does not act on an entity as it is stored now: each condition with the values it saw."""
    from cxbridge.core.engine import history

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        chosen = bridge.recipe(recipe)
        ref = resolve(bridge, entity, chosen)
        told = history.why_not(bridge.store, chosen, ref, bridge.clock)
    if told is None:
        raise CommandError(f"{ref} is not stored any more", f"pull it again with: cxbridge pull {ref.connection}")
    if json:
        output.data(_explained_data(told))
        return
    verdict = "would act on" if told.acts else "did NOT act on"
    output.line(f"{told.recipe} {verdict} {ref.connection}:{ref.key} at {told.at:%H:%M:%SZ}  ({clean(told.title)})")
    _print_conditions(output, told)
    for note in told.notes:
        output.line(f"  {note}")


def resolve(bridge: "Bridge", text: str, recipe: "Recipe | None" = None) -> "Ref":
    """Find the one entity that a person means; with a recipe, one that the recipe looks at goes before others.

    Raises:
        CommandError: there is none. UsageError: there are several.
    """
    from cxbridge.core.engine.history import find_refs
    from cxbridge.core.store import records

    try:
        found = find_refs(bridge.store, text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not found:
        raise CommandError(
            f"nothing that is stored is called {text!r}",
            "pull first with `cxbridge pull`, or name it in full: connection/stream/key",
        )
    if len(found) > 1 and recipe is not None:
        with bridge.store.read() as tx:
            stored = records.get_many(tx, found)
        watched = {(one.connection, one.kind) for one in recipe.triggers}
        found = [ref for ref in found if ref in stored and (ref.connection, stored[ref].kind) in watched] or found
    if len(found) > 1:
        listed = "\n".join(f"  {ref}" for ref in found)
        raise UsageError(f"{text!r} may be any of these:\n{listed}", "name one of them in full")
    return found[0]


def _print_conditions(output: Output, told: "Explained") -> None:
    from cxbridge.core.recipes.values import spoken

    reached = [one for one in told.conditions if one.verdict is not None or one.error]
    rows = [(one, "; ".join(f"{path} = {spoken(value)}" for path, value in one.values)) for one in reached]
    name_width = max((len(one.name) for one in reached), default=0)
    text_width = min(max((len(one.text) for one in reached), default=0), 60)
    for one, seen in rows:
        mark = "✓" if one.verdict else "✗"
        output.line(
            f"  {mark} {one.name.ljust(name_width)}  {clean(one.text).ljust(text_width)}  {clean(seen)}".rstrip()
        )
        if one.error:
            output.line(f"    it could not be worked out: {clean(one.error)}")
    missed = [one.name for one in told.conditions if one.verdict is None and not one.error]
    if missed:
        output.line(f"  · not reached: {', '.join(missed)}")


def _explained_data(told: "Explained") -> dict[str, Any]:
    from cxbridge.core.recipes.values import spoken

    return {
        "recipe": told.recipe,
        "ref": str(told.ref),
        "at": told.at,
        "title": told.title,
        "acts": told.acts,
        "conditions": [
            {
                "name": one.name,
                "text": one.text,
                "verdict": one.verdict,
                "error": one.error,
                "values": {path: _plain(value, spoken) for path, value in one.values},
            }
            for one in told.conditions
        ],
        "notes": told.notes,
    }


def _plain(value: Any, spoken: Any) -> Any:
    """Keep what JSON has; the rest is said in words."""
    if value is None or isinstance(value, str | int | float | datetime):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one, spoken) for one in value]
    return spoken(value)


def _face(entity: Any) -> tuple[str, str]:
    title = getattr(entity, "subject", None) or getattr(entity, "name", None) or getattr(entity, "title", None) or ""
    return str(title), shown(getattr(entity, "status_category", None)).replace("–", "")
