"""`audit`: what was written at vendors and what people decided, as it was entered when it happened; alters no entry."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, clean

if TYPE_CHECKING:
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.store.audit import Entry

app = typer.Typer(
    no_args_is_help=True,
    help="The chain of writes and decisions: list it, verify that nobody altered it, forget a person's name.",
)


@app.command("list")
def list_(
    *,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="ENTITY",
            help="Only what is about this entity or names it; also a delivery, a question, a marker.",
        ),
    ] = "",
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="Only what this run did, and was decided on it.")
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Only what is newer: 7d, 12h, or a day like 2026-05-06.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, newest first.")] = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """List what was written at vendors and what people decided, newest first. Texts and values are not in it."""
    from cxbridge.core.store import audit

    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge:
        about = _about(bridge, subject) if subject else None
        from_ = _from(bridge, since) if since else None
        with bridge.store.read() as tx:
            found = audit.find(tx, about=about, run=run or None, since=from_, limit=limit)
            names = {one.actor: audit.name_of(tx, one.actor) for one in found}
    if json:
        output.data([_as_data(one, names[one.actor]) for one in found])
        return
    output.table(
        ["entry", "at", "who", "what", "about", "told"],
        [[one.seq, one.at, names[one.actor] or one.actor, one.what, one.subject, _told(one)] for one in found],
    )
    if not found:
        output.say("no entry matches" if subject or run or since else "nothing was written or decided yet")
    elif len(found) == limit:
        output.say(f"the newest {limit}: older ones with --limit")


@app.command("verify")
def verify(
    *,
    head: Annotated[
        str,
        typer.Option(
            "--head", metavar="HEAD", help="A head that was noted outside: it must still be there, and be the same."
        ),
    ] = "",
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="N", help="Take the entries up to this one for granted.")
    ] = 0,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Go through the chain from its first entry to its head. Exits with 65 at the first entry that does not fit.

    Note the head it prints in another place: nothing inside a store can show that the whole store was put back to an earlier day.
    """
    from cxbridge.core.store import audit

    output = Output(json)
    try:
        noted = audit.Head.parse(head) if head else None
    except ValueError as error:
        raise UsageError(str(error)) from error
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        found = audit.verify(tx, noted, after)
    if json:
        output.data(
            {
                "whole": found.at is None,
                "entries": found.entries,
                "head": str(found.head) if found.at is None else None,
                "first_wrong": found.at,
                "wrong": found.wrong,
            }
        )
    if found.at is not None:
        raise CommandError(
            f"the audit chain is broken: {found.wrong}",
            "keep this store and its backups as they are and find out who could write to it; "
            f"what came later is checked with: cxbridge audit verify --after {max(found.at, 0)}",
        )
    if not json:
        output.line(f"{found.entries} entries fit" if found.entries != 1 else "1 entry fits")
        output.line(f"head {found.head}")


@app.command("forget")
def forget(
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="A pseudonym, as `audit list --json` shows it: person:…")
    ],
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Forget which name a pseudonym stands for. The entries stay, the chain stays whole; older backups still hold it, sealed."""
    from cxbridge.core.store import audit

    with opening.bridge(config, database, read_only=True) as bridge, bridge.store.write() as tx:
        if not audit.forget(tx, person):
            raise CommandError(f"no name is kept for {person}", "see them with: cxbridge audit list --json")
        now = bridge.clock.now()
        audit.decided(tx, "person.forgotten", who=opening.who(), subject=person, now=now)
    Output().line(f"nobody can tell any more who {person} is")


def _about(bridge: "Bridge", text: str) -> str:
    """Give the ref of an entity that people have a name for; what names none is taken as it stands."""
    from cxbridge.cli.history import resolve

    try:
        return str(resolve(bridge, text))
    except UsageError:
        if text.count("/") >= 2 or ":" in text:
            return text
        raise
    except CommandError:
        # It may be gone from the store, or be no entity: a delivery, a recipe, a marker.
        return text


def _from(bridge: "Bridge", text: str) -> datetime:
    from cxbridge.core.clock import from_iso
    from cxbridge.core.recipes.schema import parse_duration

    try:
        return bridge.clock.now() - parse_duration(text)
    except ValueError:
        pass
    try:
        return from_iso(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError as error:
        raise UsageError(f"--since {text}: write how long ago, like 7d, or a day, like 2026-05-06") from error


def _told(entry: "Entry") -> str:
    """Say the rest of an entry in a few words."""
    told = entry.detail
    words = [told[name] for name in ("connection", "action", "choice", "state", "code") if told.get(name)]
    if told.get("ref") not in (None, entry.subject):
        words.append(f"→ {told['ref']}")
    if told.get("by") == "look-up":
        words.append("(found by looking)")
    return clean(" ".join(str(word) for word in words))


def _as_data(entry: "Entry", name: str | None) -> dict[str, Any]:
    return {
        "entry": entry.seq,
        "at": entry.at,
        "actor": entry.actor,
        "name": name,
        "what": entry.what,
        "subject": entry.subject,
        "detail": dict(entry.detail),
    }
