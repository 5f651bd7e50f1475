"""`backup` and `restore`: the whole store in one file, taken, looked through and put back; decides nothing about what is in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cxbridge.cli import opening
from cxbridge.cli.errors import UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, progress

if TYPE_CHECKING:
    from datetime import datetime

    from cxbridge.core.config import Configuration
    from cxbridge.core.store.backup import Backup

_MAKE = "make"
# What people count a store by; the rest is told with --json.
_SHOWN = ("records", "changes", "runs", "deliveries", "approvals", "audit")


class _MakingByDefault(TyperGroup):
    """`cxbridge backup FILE` makes one: what is no command of the group is the file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = next((one for one in args if not one.startswith("-")), None)
        if first not in self.commands and "--help" not in args:
            args = [_MAKE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakingByDefault, help="The whole store in one file, while the daemon works: make one, or verify it."
)


@app.command(_MAKE)
def make(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; a new name in this folder without.")
    ] = None,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Write the store as it is now into one file that only its owner can read. Whoever works on the store goes on.

    The key file is not in it, and without it the backup is of no use: keep both, in different places. An older backup of the same
    name is replaced once the new one is complete.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import Store, backup

    output, clock = Output(json), SystemClock()
    read = opening.configuration(config, database)
    path = file or Path(f"cxbridge-{clock.now():%Y%m%dT%H%M%SZ}.backup")
    store = Store.as_found(read.store_url, clock=clock)
    try:
        with progress() as bars:
            made = backup.make(store, path, on_rows=bars.set)
    finally:
        store.close()
    _tell(output, made, f"{path} holds the store of {made.taken:%Y-%m-%d %H:%M:%S}Z")
    output.say(
        f"keep the key file {read.key_file} as well, in another place: it is not in there, and opens what is sealed"
    )


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `cxbridge backup` made.")],
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Put a backup back into a scratch file and look whether everything in it holds together; the store is not touched.

    Looked at are the file itself, the rows that point at others, the outbox, the change log, the audit chain, whether the key
    opens what is sealed, and whether as many records are there as were counted. Exits with 65 and every reason when it is of no
    use, or when it can be put back but the counts do not agree.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import backup

    output = Output(json)
    found = backup.verify(file, clock=SystemClock(), key=_key(opening.configuration(config)))
    _tell(output, found, f"{file} is sound and holds the store of {found.taken:%Y-%m-%d %H:%M:%S}Z")


def restore(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file that `cxbridge backup` made.")] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Put the store that is there aside under another name; it is never removed.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Without FILE: the store was put back by other means, such as a snapshot of its disk, to what it was then.",
        ),
    ] = "",
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Make a backup the store. Without FILE: tell what became of the last restore.

    What may have been done since the backup is looked for at the vendors before it is sent, and what the vendors changed since is
    pulled again. What can neither be looked for nor repeated is held for a person.
    """
    from cxbridge.core.clock import SystemClock
    from cxbridge.core.store import Store, backup, restored

    output = Output(json)
    read = opening.configuration(config, database)
    if since:
        if file is not None:
            raise UsageError(
                "--since goes without a file: a backup knows of which moment it is", "cxbridge restore --help"
            )
        moment = _moment(since)
        store = Store.as_found(read.store_url, clock=SystemClock(), key=_key(read))
        try:
            marked = backup.put_back_otherwise(store, moment, opening.who())
        finally:
            store.close()
        _doubts(output, marked.doubts, f"the store is taken to be as it was at {since}")
        return
    if file is None:
        store = Store.open(read.store_url, clock=SystemClock(), writing=False)
        try:
            with store.read() as tx:
                mark, left = restored.read(tx), restored.waiting(tx)
        finally:
            store.close()
        _report(output, mark, left)
        return
    done = backup.restore(file, read.store_url, clock=SystemClock(), key=_key(read), who=opening.who(), force=force)
    if json:
        output.data({"taken": done.backup.taken, "doubts": done.doubts, "aside": done.aside, "rows": done.backup.rows})
        return
    if done.aside:
        output.line(f"the store that was there before is now {done.aside}")
    _doubts(output, done.doubts, f"the store is as it was at {done.backup.taken:%Y-%m-%d %H:%M:%S}Z")


def _doubts(output: Output, doubts: dict[str, int], words: str) -> None:
    if output.json:
        output.data({"doubts": doubts})
        return
    output.line(words)
    output.line(f"{sum(doubts.values())} deliveries were open then: each is looked for before it is sent")
    for connection, count in sorted(doubts.items()):
        output.line(f"  {count} at {connection}")
    output.say(
        "what is planned from the vendors' changes since then is looked for as well; how it went: cxbridge restore"
    )


def _moment(text: str) -> "datetime":
    from cxbridge.core.clock import SystemClock, from_iso

    try:
        moment = from_iso(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: write it with its offset, as 2026-05-06T08:46:00Z") from error
    if moment > SystemClock().now():
        raise UsageError(f"{text} is still to come: name the moment that the store shows")
    return moment


def _report(output: Output, mark: Any, left: int) -> None:
    if output.json:
        told = None
        if mark is not None:
            told = {
                "since": mark.since,
                "at": mark.at,
                "open": mark.open,
                "left": left,
                "outcomes": dict(mark.outcomes),
            }
        output.data(told)
        return
    if mark is None:
        output.line("this store was never restored")
        return
    output.line(f"restored at {mark.at:%Y-%m-%d %H:%M:%S}Z to what it was at {mark.since:%Y-%m-%d %H:%M:%S}Z")
    output.line(
        f"{mark.open} deliveries were open then; {left} are still to be looked for, with what was planned since"
    )
    for name, words in (
        ("found", "had been done, and were found"),
        ("sent", "were not there, or may be repeated, and are sent"),
        ("overtaken", "would have undone something newer, and were left out"),
        ("held", "nobody can look for: they wait for a person, see `cxbridge dead list`"),
    ):
        output.line(f"  {mark.outcomes.get(name, 0)} {words}")


def _tell(output: Output, found: "Backup", words: str) -> None:
    if output.json:
        output.data(
            {
                "file": found.path,
                "taken": found.taken,
                "revision": found.revision,
                "size": found.size,
                "rows": found.rows,
            }
        )
        return
    output.line(words)
    counted = ", ".join(f"{found.rows[name]} {name}" for name in _SHOWN if name in found.rows)
    output.line(f"  {found.size / 1e6:.1f} MB, tables of revision {found.revision}: {counted}")


def _key(read: "Configuration") -> bytes | None:
    """Give the key, where there is one: looking at a backup makes none."""
    from cxbridge.core.store import keyfile

    return keyfile.load_or_create(read.key_file) if read.key_file.exists() else None
