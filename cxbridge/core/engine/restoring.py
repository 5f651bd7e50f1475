"""What is done otherwise because the store was put back to an earlier moment; says what is doubtful and why, and sends nothing.

Three things may have been done in the lost time without the store knowing: what was open at the backup, what a run that was under
way then came to since, and what was planned because of changes that are only now pulled again. Each is looked for before it is
sent. That it can be found rests on markers that come out the same when the same thing is planned again: see `named`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from cxbridge.core.connector import Action, Idempotent
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.engine.written import same
from cxbridge.core.ledger import Delivery, Record, Run
from cxbridge.core.store import Store, Tx, changes, records, restored, runs

# In a run's context: it began because of something that happened in the lost time.
LOST = "lost_time"
# In a run's context: what its writes are told by.
NAMED = "named"

Verdict = Literal["send", "wait", "overtaken", "undecided"]

# Verbs that give fields a value; the others add something, which an older one does not undo.
_SETTING = ("set", "transition")
# More changes of one record since a restore than this are not gone through.
_MOST_CHANGES = 10_000


# -- planning ----------------------------------------------------------------------------------------------------------


def from_lost_time(scopes: Scopes, connections: Mapping[str, Connection], subject: Subject) -> bool:
    """Whether a change may have been met before, in the time that the store knows nothing of."""
    mark = scopes.restored
    if mark is None:
        return False
    last = _caught_up(scopes, mark, connections, subject.ref.connection)
    return last is None or subject.seq <= last


def swept_in_lost_time(
    scopes: Scopes, connections: Mapping[str, Connection], connection: str, due_at: datetime
) -> bool:
    """Whether a firing may have happened before, or looks at records that are not yet what they are at the vendor."""
    mark = scopes.restored
    if mark is None:
        return False
    return due_at < mark.at or _caught_up(scopes, mark, connections, connection) is None


def named(scopes: Scopes, recipe: str, part: str, what: str, prefix: str, *, lost: bool) -> dict[str, Any]:
    """Give what a new run keeps in its context, by which its writes are told: for what it is, and the how manieth one for that.

    Not by the number of a change, nor by the time: those are others when the same is planned again from the vendor's records.
    Runs that begin after a restore, and not because of the lost time, are named apart: their numbers may have been used in it.
    """
    mark = scopes.restored
    number = runs.count_like(scopes.tx, recipe, part, prefix) + 1
    epoch = "" if mark is None else mark.before if lost else mark.epoch
    return {NAMED: f"{what}#{number}{epoch}", **({LOST: True} if lost else {})}


def looked_for_first(scopes: Scopes, run: Run, delivery: Delivery, action: Action) -> Delivery:
    """Give a new delivery as it is to be stored: as a doubt, where the same may have been done in the lost time.

    What may be repeated is simply done: its values were worked out from what the vendor shows now.
    """
    mark = scopes.restored
    if mark is None or isinstance(action.effect, Idempotent):
        return delivery
    if run.started_at >= mark.at and not run.context.get(LOST):
        return delivery
    return msgspec.structs.replace(delivery, state="unknown", error=restored.TOLD, error_code=restored.CODE)


def is_news(tx: Tx, connections: Mapping[str, Connection]) -> bool:
    """Whether a connection has caught up since a restore and nobody has noted it yet: hardly ever."""
    mark = restored.read(tx)
    if mark is None or set(connections) <= set(mark.caught_up):
        return False
    before = mark
    for name in connections:
        mark = restored.catch_up(tx, mark, name, _streams(connections, name))
    return mark != before


def note_caught_up(store: Store, connections: Mapping[str, Connection]) -> None:
    """Note which connections are caught up since a restore, as soon as they are: what is met after that is nothing lost."""
    with store.write() as tx:
        now = restored.read(tx)
        for name in connections if now is not None else ():
            now = now and restored.catch_up(tx, now, name, _streams(connections, name))


def _streams(connections: Mapping[str, Connection], name: str) -> list[str]:
    found = connections.get(name)
    return [one.name for one in found.streams.values() if one.pages is not None] if found is not None else []


def _caught_up(scopes: Scopes, mark: restored.Mark, connections: Mapping[str, Connection], name: str) -> int | None:
    if name not in mark.caught_up:
        mark = scopes.restored = restored.catch_up(scopes.tx, mark, name, _streams(connections, name))
    return mark.caught_up.get(name)


# -- deciding about what was open at the backup --------------------------------------------------------------------------


def is_lost(delivery: Delivery) -> bool:
    """Whether a delivery is looked for because of a restore, not because its answer is missing."""
    return delivery.error_code == restored.CODE


def may_be_lost(tx: Tx, delivery: Delivery) -> bool:
    """Whether somebody may have had a dead letter sent again in the time that a restored store knows nothing of."""
    mark = restored.read(tx)
    return mark is not None and delivery.state == "dead" and (delivery.settled_at or mark.since) < mark.at


def since(tx: Tx, delivery: Delivery) -> datetime:
    """Say from when on a delivery may have been done."""
    mark = restored.read(tx) if is_lost(delivery) else None
    return delivery.created_at if mark is None else min(delivery.created_at, mark.since)


def may_be_sent(tx: Tx, connection: Connection, delivery: Delivery) -> tuple[Verdict, str]:
    """Judge whether a value that was decided before the restore may still be set: an older one must not undo a newer one.

    Says why, where it may not. Untouched since the backup, the entity can neither have got this value nor a newer one.
    """
    mark = restored.read(tx) if is_lost(delivery) else None
    verb = delivery.action.rpartition(".")[2]
    if mark is None or delivery.target is None or delivery.created_at >= mark.at or verb not in _SETTING:
        return "send", ""
    streams = _streams({connection.name: connection}, connection.name)
    if streams and connection.name not in restored.catch_up(tx, mark, connection.name, streams).caught_up:
        return "wait", f"the store was put back: first all of {connection.name} is read again"
    record = records.get(tx, delivery.target)
    if record is None or record.seen_at < mark.at:
        return "send", ""
    before = _as_of(tx, record, mark.seq)
    undecided = ""
    for field, wanted, now, then in _fields(delivery, record, before):
        if same(wanted, now):
            continue
        if not same(now, then):
            return "overtaken", f"{field} was changed since the store's backup, and is not set back to {wanted!r}"
        undecided = (
            f"{delivery.target} was changed since the store's backup, and nobody can tell whether {field} was set to "
            f"{wanted!r} and set back, or never: look at the vendor, then `cxbridge dead retry` or `cxbridge dead drop`"
        )
    return ("undecided", undecided) if undecided else ("send", "")


def _as_of(tx: Tx, record: Record, seq: int) -> Any:
    """Give the entity as it was when change `seq` was the last."""
    later = [one for one in changes.of(tx, record.ref, _MOST_CHANGES) if one.seq > seq]
    body = min(later, key=lambda one: one.seq).before if later else record.body
    return msgspec.structs.replace(record, body=body).entity() if body is not None else None


def _fields(delivery: Delivery, record: Record, before: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """List the fields that a delivery gives a value: name, wanted, as it is now, as it was at the backup."""
    now: Any = record.entity()
    for name, wanted in delivery.inputs.items():
        if wanted is None:
            continue
        if name == "custom" and isinstance(wanted, Mapping):
            for key, value in wanted.items():
                yield f"custom.{key}", value, _custom(now, key), _custom(before, key)
            continue
        field = "status_category" if name == "to" and hasattr(now, "status_category") else name
        if not hasattr(now, field):
            continue
        native = f"{field}_native"
        shown, then = getattr(now, field), getattr(before, field, None)
        # A platform's own name stands for a value as well as the canonical one.
        if not same(wanted, shown) and hasattr(now, native) and same(wanted, getattr(now, native)):
            continue
        yield field, wanted, shown, then


def _custom(entity: Any, key: str) -> Any:
    return (getattr(entity, "custom", None) or {}).get(key)
