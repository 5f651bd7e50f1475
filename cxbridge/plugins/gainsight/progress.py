"""How a stream goes on from run to run: changes first, then the delete log; a cursor for each, and pages made of rows."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates
from cxbridge.plugins.gainsight.cockpit import Days
from cxbridge.plugins.gainsight.errors import NoObject
from cxbridge.plugins.gainsight.rows import Row, Unreadable
from cxbridge.plugins.gainsight.rules import Rules
from cxbridge.plugins.gainsight.walk import Found, Position, Source, walk

# The delete log forgets after fifteen days; the look-back takes one of them.
_LOG_KEPT: Final = timedelta(days=14)
_TOO_OLD: Final = (
    "the delete log keeps 15 days, and this stream was read longer ago: earlier deletions are not told any more"
)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a stream is: in its changes, in a second object that belongs to it, and in the delete logs.

    `part` names what is being read in the middle of a run. `log` is which of the delete logs.
    """

    changes: Position | None = None
    days: Days | None = None
    beside: Position | None = None
    deleted: Position | None = None
    # Where the first run began: what was deleted later is read from there on.
    since: int | None = None
    part: str | None = None
    log: int = 0


def resumed(cursor: cx.Json) -> Cursor:
    """Take up a cursor; one of an unknown form is as good as none."""
    try:
        return Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    except msgspec.ValidationError:
        return Cursor()


def begun(held: Cursor, client: cx.Client) -> Cursor:
    """Note when the first run began."""
    if held.since is not None:
        return held
    return msgspec.structs.replace(held, since=dates.millis(client.server_now()) // 1000)


def stored(held: Cursor | None) -> cx.Json:
    """Give a cursor as plain values."""
    return None if held is None else msgspec.to_builtins(held)


def page_of(found: Found, read: Callable[[Row], cx.AnyEntity], held: Cursor | None) -> cx.Page:
    """Make a page of rows; one that cannot be read is told and costs only itself."""
    entities: list[cx.AnyEntity] = []
    raw: list[bytes] = []
    refused = list(found.refused)
    for row in found.rows:
        try:
            entities.append(read(row))
            raw.append(row.raw)
        except Unreadable as error:
            refused.append(f"{row.key}: {error}")
    return cx.Page(entities, cursor=stored(held), raw=raw, refused=refused)


def with_deletions(
    client: cx.Client,
    rules: Rules,
    held: Cursor,
    source: Source,
    logged: Sequence[str],
    read: Callable[[Row], cx.AnyEntity],
) -> Iterator[cx.Page]:
    """Read an object's changes, then what of it was deleted; `logged` is what the delete log calls it."""
    held = begun(held, client)
    if held.part != "deleted":
        for found in walk(client, rules, source, held.changes):
            held = msgspec.structs.replace(held, changes=found.position)
            yield page_of(found, read, held)
    yield from deletions(client, rules, held, logged)


def deletions(client: cx.Client, rules: Rules, held: Cursor, logged: Sequence[str]) -> Iterator[cx.Page]:
    """Read the ids of what was deleted since the last run; a log that a tenant does not have holds none."""
    began = dates.millis(client.server_now()) // 1000
    if held.part != "deleted":
        held = msgspec.structs.replace(held, part="deleted", log=0, deleted=None)
    since = held.since or began
    refused: list[str] = []
    if client.server_now() - datetime.fromtimestamp(since, UTC) > _LOG_KEPT:
        refused.append(_TOO_OLD)
    for number, log in enumerate(rules.delete_logs):
        if number < held.log:
            continue
        source = Source(log, (), "DeletedOn", "RecordId", [("ObjectName", "IN", list(logged))])
        position = held.deleted or Position(at=since)
        try:
            for found in walk(client, rules, source, position):
                held = msgspec.structs.replace(held, log=number, deleted=found.position)
                if found.rows:
                    yield cx.Page(
                        [], cursor=stored(held), deleted=[row.key for row in found.rows], refused=found.refused
                    )
        except NoObject:
            pass
        held = msgspec.structs.replace(held, log=number + 1, deleted=None)
    # The next run asks from this one's beginning on: a log of nothing new would otherwise seem too old after a fortnight.
    held = msgspec.structs.replace(held, part=None, log=0, deleted=None, since=began)
    yield cx.Page([], cursor=stored(held), refused=refused)


def is_over(found: Found) -> bool:
    """Tell whether a walk has come to its end with this page."""
    return found.position.began is None
