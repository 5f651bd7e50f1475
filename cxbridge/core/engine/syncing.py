"""What holds for the life of a link: fields kept in step, comments carried over, as runs that do so; writes nothing.

Which value is wanted depends on the owner's side alone, so it makes no difference which side moved, or whether it was an echo:
the same question has the same answer until both sides agree. A comment is carried over once, and never one that we wrote: told by
its receipt, by the marker it carries, and, while the answer to our own write is still on its way, by its words.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cxbridge.core.engine.advancing import started
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.ledger import Link, Ref, Run
from cxbridge.core.recipes.decide import join_values, mapped, read_path
from cxbridge.core.recipes.expressions import Escape, ExpressionError, Unmapped
from cxbridge.core.recipes.model import Recipe, Sync, SyncComment, SyncField
from cxbridge.core.store import outbox

_TAG = re.compile(r"<[^<>]{1,500}>")
_WORD = re.compile(r"\w+")


EscapeOf = Callable[[str, str], Escape]


def sync_runs(scopes: Scopes, recipe: Recipe, subject: Subject, prefix: str, escape_of: EscapeOf) -> Iterator[Run]:
    """Make a run, not stored yet, for every field of a link that the subject's change may have put out of step.

    A run whose value no map knows comes as held, with the reason. One that changes nothing is ended as done: it tells the
    planner that an earlier one of its key has no cause any more. `escape_of(connection, action)` says how texts are written there.
    """
    if subject.op == "deleted":
        return
    if subject.kind == "comment":
        yield from _comment_runs(scopes, recipe, subject, prefix, escape_of)
        return
    for sync in recipe.syncs:
        side = _side_of(sync, subject.ref)
        if side is None:
            continue
        on_left = side == "left"
        moved = subject.fields | subject.overruled
        touched = [one for one in sync.fields if (one.left if on_left else one.right)[0] in moved]
        for link in _links(scopes, sync, subject.ref) if touched else ():
            for field in touched:
                yield _field_run(scopes, recipe, sync, field, link.left, link.right, subject, prefix)


def field_runs(scopes: Scopes, recipe: Recipe, link: Link, hops: int) -> Iterator[Run]:
    """Make a run, as `sync_runs` does, for every field that a link keeps in step; for a link that is new."""
    # Later than any change that met the pair before, where it was linked once already.
    cause = Subject(
        ref=link.left, kind="ticket", op="linked", seq=int(scopes.now.timestamp()), at=scopes.now, after={}, hops=hops
    )
    for sync in recipe.syncs:
        if sync.relation == link.relation and _joins(sync, link):
            for field in sync.fields:
                yield _field_run(scopes, recipe, sync, field, link.left, link.right, cause, "")


def _field_run(
    scopes: Scopes,
    recipe: Recipe,
    sync: Sync,
    field: SyncField,
    left: Ref,
    right: Ref,
    subject: Subject,
    prefix: str,
) -> Run:
    owner, other = (left, right) if field.owner == "left" else (right, left)
    owner_path, other_path = (field.left, field.right) if field.owner == "left" else (field.right, field.left)
    owners = [owner]
    if sync.many == field.owner:
        owners = [one.left if field.owner == "left" else one.right for one in _links(scopes, sync, other)]
    values = [read_path(shown, owner_path) for ref in owners if (shown := scopes.entity(ref)) is not None]
    run = started(
        recipe,
        f"sync:{field.name}",
        str(other),
        f"{prefix}{other}@{subject.seq}",
        subject.ref,
        scopes.now,
        subject.hops,
        {},
    )
    try:
        wanted = mapped(join_values(values, field), recipe.maps.get(field.map) if field.map else None)
    except Unmapped as held:
        return msgspec.structs.replace(run, state="held", reason=str(held))
    shown = scopes.entity(other)
    if wanted is None or (shown is not None and wanted in _present(shown, other_path)):
        return msgspec.structs.replace(run, state="done", ended_at=scopes.now)
    inputs: dict[str, Any] = {other_path[0]: wanted}
    if other_path[0] == "custom":
        inputs = {"custom": {other_path[1]: wanted}}
    context: dict[str, Any] = {
        "connection": field.connection,
        "action": field.action,
        "target": str(other),
        "inputs": inputs,
    }
    if subject.ref == other and not subject.echo and other_path[0] in subject.fields | subject.overruled:
        # Somebody set it on the side that does not own it: they are told why it went back.
        context["told"] = (
            f"{'.'.join(other_path)} was set to {read_path(subject.after, other_path)!r} there; the {field.owner} side owns it "
            f"and says {wanted!r}"
        )
    return msgspec.structs.replace(run, context=context)


def _comment_runs(scopes: Scopes, recipe: Recipe, subject: Subject, prefix: str, escape_of: EscapeOf) -> Iterator[Run]:
    """Make a run for every linked entity that a new comment is to be carried over to."""
    comment = subject.after
    if subject.op != "created" or subject.echo or not isinstance(comment.get("ticket"), str):
        return
    home = Ref.parse(comment["ticket"])
    for sync in recipe.syncs:
        side = _side_of(sync, home)
        rules = [one for one in sync.comments if one.source == side]
        if not rules or _ours(scopes, comment, home):
            continue
        for link in _links(scopes, sync, home):
            other = link.right if side == "left" else link.left
            run = _comment_run(scopes, recipe, rules, subject, other, prefix, escape_of)
            if run is not None:
                yield run


def _side_of(sync: Sync, ref: Ref) -> str | None:
    """Say on which side an entity of that connection stands; None for a connection that the sync is not about."""
    if ref.connection == sync.left_connection:
        return "left"
    return "right" if ref.connection == sync.right_connection else None


def _joins(sync: Sync, link: Link) -> bool:
    # Other recipes may use the same word for what they link with a third connection.
    return (link.left.connection, link.right.connection) == (sync.left_connection, sync.right_connection)


def _links(scopes: Scopes, sync: Sync, ref: Ref) -> list[Link]:
    return [link for link in scopes.links_of(ref, sync.relation) if _joins(sync, link)]


def _comment_run(
    scopes: Scopes,
    recipe: Recipe,
    rules: Sequence[SyncComment],
    subject: Subject,
    other: Ref,
    prefix: str,
    escape_of: EscapeOf,
) -> Run | None:
    """Make the run of the first rule whose condition holds; None where none does."""
    scope = scopes.build(
        recipe,
        "comment",
        subject.after,
        event={"type": "comment.created", "at": subject.at},
        item=scopes.entity(other),
    )
    for rule in rules:
        run = started(
            recipe,
            f"sync:{rule.name}",
            str(other),
            f"{prefix}{subject.ref}>{other}",
            subject.ref,
            scopes.now,
            subject.hops,
            {},
        )
        try:
            if rule.condition is not None and not rule.condition.holds(scope):
                continue
            inputs = rule.inputs.render(scope, escape_of(rule.connection, rule.action))
        except (ExpressionError, Unmapped) as error:
            return msgspec.structs.replace(run, state="failed", reason=str(error), ended_at=scopes.now)
        context = {"connection": rule.connection, "action": rule.action, "target": str(other), "inputs": inputs}
        return msgspec.structs.replace(run, context=context)
    return None


def _ours(scopes: Scopes, comment: Mapping[str, Any], home: Ref) -> bool:
    """Whether we wrote a comment whose receipt is not there yet."""
    if str(comment.get("marker") or "").startswith("cxb:"):
        return True
    said = words(str(comment.get("body_text") or ""))
    return any(
        said and said == words(str(text))
        for one in outbox.under_way(scopes.tx, home)
        for text in (one.inputs.get("body"), one.inputs.get("note"))
        if text
    )


def words(text: str) -> str:
    """Take from a text what platforms change when they keep it: mark-up, entities, blanks, letters' case."""
    return " ".join(_WORD.findall(html.unescape(_TAG.sub(" ", text)).casefold()))


def _present(entity: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Any, ...]:
    """Give what the other side has: the canonical value, and the platform's own name for it."""
    return (read_path(entity, path), entity.get(f"{path[0]}_native") if len(path) == 1 else None)
