"""A link that has just been made: it is stored, and what happened on its two sides before it is made good; calls no vendor.

The fields that it keeps in step are compared once. Where a side is not stored yet nothing is compared: the change that brings it
will meet the link. What changed, or was said, between the write that brought the two together and the moment when its answer was
known met no link when it was planned: it is met again with the link in place.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from cxbridge.core.engine import restoring
from cxbridge.core.engine.advancing import Advance
from cxbridge.core.engine.following import FAULTS, follow_runs
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.subjects import Subject, fires, subjects
from cxbridge.core.engine.syncing import field_runs, sync_runs
from cxbridge.core.ledger import Delivery, Link, Ref, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import changes, links, outbox, planning, runs, state

if TYPE_CHECKING:
    from cxbridge.core.engine.steps import Stepper

# The worker that sent and the one that stored may have clocks that differ by so much.
_CLOCKS = timedelta(seconds=1)
# More changes than that of one side are not met again, nor comments behind so many changes of whatever kind: a write that was in
# doubt for hours, while all of a help desk was read for the first time, must not keep the writer.
_LONGEST = 1_000
_MOST = 20_000


def keep(stepper: "Stepper", scopes: Scopes, recipe: Recipe | None, advanced: Advance) -> list[Delivery]:
    """Store the links of a run that was moved on, and what follows from those that are new; gives the deliveries for that."""
    planned: list[Delivery] = []
    for link in advanced.links:
        new = links.ensure(scopes.tx, link)
        scopes.joined(link)
        if not new or recipe is None:
            continue
        if scopes.entity(link.left) and scopes.entity(link.right):
            for run in field_runs(scopes, recipe, link, advanced.run.hops + 1):
                planned += _begun(stepper, scopes, recipe, run)
        for run in _overlooked(stepper, scopes, recipe, link, advanced.run):
            planned += _begun(stepper, scopes, recipe, run)
    return planned


def _overlooked(stepper: "Stepper", scopes: Scopes, recipe: Recipe, link: Link, run: Run) -> Iterator[Run]:
    """Make the runs of what was planned for before the link was known, though the two belonged together by then."""
    comments = any(one.comments for one in recipe.syncs if one.relation == link.relation)
    since = _brought_together(scopes, run, link) if recipe.follows or comments else None
    position = planning.position(scopes.tx, recipe.id) if since is not None else None
    if since is None or position is None:
        return
    since -= _CLOCKS
    sides = (link.left, link.right)
    found = [
        one
        for side in sides
        for one in changes.of(scopes.tx, side, _LONGEST)
        if one.seq <= position and one.at >= since
    ]
    if comments:
        homes = {one.connection for one in sides}
        found += changes.recent(
            scopes.tx,
            position,
            since,
            lambda ref, kind: kind == "comment" and ref.connection in homes and ref not in sides,
            _MOST,
        )
    found.sort(key=lambda one: one.seq)
    # Apart, so that what others did to an entity since it came into being is not taken for part of that.
    for some in ([one for one in found if one.op == "created"], [one for one in found if one.op != "created"]):
        for subject in subjects(scopes.tx, some, lambda *_: True):
            lost = restoring.from_lost_time(scopes, stepper.connections, subject)
            for one in _met(stepper, scopes, recipe, link, subject, lost):
                yield msgspec.structs.replace(one, context={**one.context, restoring.LOST: True}) if lost else one


def _met(stepper: "Stepper", scopes: Scopes, recipe: Recipe, link: Link, subject: Subject, lost: bool) -> Iterator[Run]:
    if subject.kind == "comment":
        home = subject.after.get("ticket")
        if home in (str(link.left), str(link.right)):
            other = link.right if home == str(link.left) else link.left
            # Those that the comment reached by other links it has reached already.
            yield from (run for run in sync_runs(scopes, recipe, subject, "", stepper.escape) if run.key == str(other))
        return
    if subject.echo and recipe.id in subject.writers:
        return
    other = link.right if subject.ref == link.left else link.left
    for follow in recipe.follows:
        if fires(follow.trigger, subject):
            try:
                yield from follow_runs(scopes, recipe, follow, subject, "", lost=lost, only=str(other))
            except FAULTS as error:
                told = f"error: follow {follow.id} ({error})"
                planning.tally(scopes.tx, recipe.id, told, at=scopes.now, ref=subject.ref)


def _brought_together(scopes: Scopes, run: Run, link: Link) -> datetime | None:
    """Say from when on the two sides may have belonged together: from when the write was sent whose answer named one of them."""
    named = {step for step, told in run.results.items() if _tells_of(told, (link.left, link.right))}
    moments = [
        # One that was sent more than once may have been done the first time.
        one.created_at if one.attempts > 1 or one.sent_at is None else one.sent_at
        for one in (outbox.of_run(scopes.tx, run.id) if named else ())
        if one.step in named
    ]
    return min(moments, default=None)


def _tells_of(told: object, sides: tuple[Ref, Ref]) -> bool:
    return isinstance(told, dict) and told.get("id") in {str(one) for one in sides}


def _begun(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run) -> list[Delivery]:
    if run.state == "done":
        return []
    begun = stepper.advance(scopes, recipe, run) if run.state == "running" else Advance(run)
    if not runs.start(scopes.tx, begun.run):
        return []
    state.keep_recipe(scopes.tx, recipe.version, recipe.id, recipe.source, scopes.now)
    outbox.add(scopes.tx, begun.deliveries)
    begun.keep(scopes.tx, scopes.now)
    return begun.deliveries
