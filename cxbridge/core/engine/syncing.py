"""Fields kept in step on both sides of a link: what the owner says, and the run that gives it to the other side; writes nothing.

Which value is wanted depends on the owner's side alone, so it makes no difference which side moved, or whether it was an echo:
the same question has the same answer until both sides agree.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import started
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.recipes.decide import join_values, mapped, read_path
from cxbridge.core.recipes.expressions import Unmapped
from cxbridge.core.recipes.model import Recipe, Sync, SyncField


def sync_runs(scopes: Scopes, recipe: Recipe, subject: Subject, prefix: str) -> Iterator[Run]:
    """Make a run, not stored yet, for every field of a link that the subject's change may have put out of step.

    A run whose value no map knows comes as held, with the reason. One that changes nothing is ended as done: it tells the
    planner that an earlier one of its key has no cause any more.
    """
    if subject.op == "deleted":
        return
    for sync in recipe.syncs:
        if subject.ref.connection not in (sync.left_connection, sync.right_connection):
            continue
        on_left = subject.ref.connection == sync.left_connection
        touched = [one for one in sync.fields if (one.left if on_left else one.right)[0] in subject.fields]
        for link in scopes.links_of(subject.ref, sync.relation) if touched else []:
            for field in touched:
                yield _field_run(scopes, recipe, sync, field, link.left, link.right, subject, prefix)


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
        owners = [one.left if field.owner == "left" else one.right for one in scopes.links_of(other, sync.relation)]
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
    context = {"connection": field.connection, "action": field.action, "target": str(other), "inputs": inputs}
    return msgspec.structs.replace(run, context=context)


def _present(entity: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Any, ...]:
    """Give what the other side has: the canonical value, and the platform's own name for it."""
    return (read_path(entity, path), entity.get(f"{path[0]}_native") if len(path) == 1 else None)
