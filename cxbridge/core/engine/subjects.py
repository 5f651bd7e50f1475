"""The change log as recipes meet it: all that happened to one entity in a batch as one subject, echoes told apart; starts nothing.

A receipt explains one change and is then used up, so that a person who later sets the same value again is heard.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from cxbridge.core.canonical import Entity
from cxbridge.core.engine.written import overruled, same
from cxbridge.core.ledger import Change, Ref, StoredReceipt, body_view
from cxbridge.core.recipes.decide import changed_fields
from cxbridge.core.recipes.model import Trigger
from cxbridge.core.store import Tx, changes, receipts

# What a platform counts or stamps by itself when another field is written: no receipt can name it, and it is no news.
CONSEQUENCES = frozenset(
    (
        "resolution",
        "resolution_native",
        "resolved_at",
        "closed_at",
        "first_response_at",
        "reply_count",
        "reopen_count",
        "waiting_on",
        "status_native",
        "status_native_id",
        "priority_native",
    )
)
# Nothing comes into being as one of these by itself, and these fields say how it came to that.
_ENDED = ("resolved", "closed", "cancelled")
_OUTCOME = ("status_category", "resolution", "resolution_native", "resolved_at", "closed_at")
# How many entities are read from the store at once.
_AT_ONCE = 500
_NONE: frozenset[str] = frozenset()


class Subject(msgspec.Struct, frozen=True, eq=False):
    """All that happened to one entity within a batch, as one change: first `before`, last `after`.

    `own` are the changed fields that show just what we wrote, `writers` the recipes that wrote them, `hops` how many of our own
    runs it took to get here. Without any changed field it tells of `overruled` ones alone, and is news to nobody but a sync.
    """

    ref: Ref
    kind: str
    op: str
    seq: int
    at: datetime
    after: dict[str, Any]
    before: Mapping[str, Any] | None = None
    before_body: bytes | None = None
    fields: frozenset[str] = frozenset()
    # The number of the first of these changes, and whether `after` is what is stored.
    since: int = 0
    stands: bool = False
    own: frozenset[str] = frozenset()
    # Fields that we wrote and that were set otherwise before any version showed what we wrote.
    overruled: frozenset[str] = frozenset()
    writers: frozenset[str] = frozenset()
    hops: int = 0

    @property
    def echo(self) -> bool:
        """Whether it shows nothing but what we wrote."""
        return bool(self.writers) and self.fields <= self.own


def subjects(tx: Tx, batch: Sequence[Change], cares: Callable[[str, str], bool]) -> Iterator[Subject]:
    """Show a batch of changes entity by entity, in the order of their first change.

    `cares(connection, kind)` says whether any recipe watches such entities; of the others only echoes are shown. Marks the
    receipts that the batch explains as seen, so it belongs in the commit that moves the position.
    """
    grouped: dict[Ref, list[Change]] = {}
    for change in batch:
        grouped.setdefault(change.ref, []).append(change)
    written = receipts.of_many(tx, grouped)
    wanted = {ref: found for ref, found in grouped.items() if ref in written or cares(ref.connection, found[-1].kind)}
    left = iter(wanted.items())
    # Bodies are large: those of a long batch are not held all at once.
    while some := list(islice(left, _AT_ONCE)):
        bodies = changes.bodies_as_of(tx, [(ref, found[-1].seq) for ref, found in some])
        for ref, found in some:
            told = bodies.get((ref, found[-1].seq))
            subject = _subject(tx, ref, found, told, written.get(ref, ())) if told is not None else None
            if subject is not None:
                yield subject


def _subject(
    tx: Tx, ref: Ref, found: Sequence[Change], told: tuple[bytes, bool], written: Sequence[StoredReceipt]
) -> Subject | None:
    """Show what happened to one entity; None where it went there and back within the batch."""
    first, last = found[0], found[-1]
    body, stands = told
    after = body_view(ref, last.kind, body)
    before = body_view(ref, first.kind, first.before) if first.before is not None else None
    fields = changed_fields(before, after, Entity.volatile)
    others = overruled(written, after) if written and first.op != "created" else _NONE
    if last.op != "deleted" and first.op != "created" and not fields and not others:
        return None
    own, writers, hops = _NONE, _NONE, 0
    if written:
        shown, explaining = _explained(written, first.op, fields, after, first.seq, last.seq)
        receipts.mark_seen(tx, [one for one in explaining if one.seen_seq is None], last.seq)
        own, writers = frozenset(shown), frozenset(one.recipe for one in explaining)
        hops = max((one.hops + 1 for one in explaining), default=0)
    return Subject(
        ref=ref,
        kind=last.kind,
        op="deleted" if last.op == "deleted" else first.op,
        seq=last.seq,
        since=first.seq,
        stands=stands,
        at=last.at,
        after=after,
        before=before,
        before_body=first.before,
        fields=frozenset(fields),
        own=own,
        overruled=others,
        writers=writers,
        hops=hops,
    )


def _explained(
    written: Sequence[StoredReceipt], op: str, fields: set[str], after: Mapping[str, Any], since: int, seq: int
) -> tuple[set[str], list[StoredReceipt]]:
    """Tell which of the changed fields show just what we wrote, and by which receipts."""
    own: set[str] = set()
    told: list[StoredReceipt] = []
    ours = op == "created" and any(receipt.role == "made" for receipt in written)
    for receipt in written:
        if receipt.seen_seq is not None and not since <= receipt.seen_seq <= seq:
            continue
        if op == "created" and (receipt.role == "made" or not ours):
            shown = fields - _ended_by_others(written, after) if receipt.role == "made" else set()
        else:
            # What we made may be met first with what we wrote to it afterwards.
            shown = {name for name, value in receipt.wrote.items() if name in fields and same(value, after.get(name))}
        if shown:
            own |= shown
            told.append(receipt)
    if own and fields - CONSEQUENCES <= own:
        own |= fields
    return own, told


def _ended_by_others(written: Sequence[StoredReceipt], after: Mapping[str, Any]) -> set[str]:
    """Name the fields that tell that somebody has ended what we made before we saw it for the first time.

    What else they may have changed by then cannot be told from what the platform fills in by itself.
    """
    ended = after.get("status_category") in _ENDED
    return set(_OUTCOME) if ended and not any("status_category" in receipt.wrote for receipt in written) else set()


def fires(trigger: Trigger, subject: Subject) -> bool:
    """Whether a trigger is about what happened to an entity; what we wrote ourselves starts nothing."""
    if trigger.event is None or trigger.kind != subject.kind or trigger.connection != subject.ref.connection:
        return False
    if subject.op == "updated" and not subject.fields:
        return False
    if trigger.event == "changed":
        if subject.op == "deleted":
            return False
    elif trigger.event != subject.op:
        return False
    return subject.op == "created" or _by_others(trigger, subject)


def is_news(trigger: Trigger, subject: Subject) -> bool:
    """Whether it is news to the recipe that made the entity: that it came into being is none, only what others did to it since."""
    return subject.op != "created" or (trigger.event != "created" and _by_others(trigger, subject))


def _by_others(trigger: Trigger, subject: Subject) -> bool:
    others = subject.fields - subject.own
    return not trigger.fields or any(name.split(".", 1)[0] in others for name in trigger.fields)
