"""records and changes → runs and outbox: lets changes meet the recipes that watch for them; calls no vendor.

One batch is one commit: position, runs, first deliveries, links and tallies together. A recipe has a position of its own in the
change log; recipes at the same position share the reading, so one that is new or was paused catches up and then joins.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.engine import failing, guard, joining, reaching, restoring
from cxbridge.core.engine.advancing import Advance, started
from cxbridge.core.engine.batch import Batch, Planned
from cxbridge.core.engine.connections import Probe, no_probe
from cxbridge.core.engine.following import FAULTS, follow_runs
from cxbridge.core.engine.index import CUT, MAX_HOPS, Indexes, Showing
from cxbridge.core.engine.pace import Pace
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.subjects import Subject, fires, is_news, subjects
from cxbridge.core.engine.syncing import sync_runs
from cxbridge.core.errors import GuardError
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.decide import in_canary, judge
from cxbridge.core.recipes.expressions import ExpressionError, Unmapped
from cxbridge.core.recipes.model import Follow, Recipe, Trigger
from cxbridge.core.store import Store, Tx, audit, changes, outbox, planning, runs, state

# How many changes a batch begins with.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Planner:
    """Everything planning needs. `recipe_of` gives the recipe in the version a run began under, or `None`."""

    store: Store
    stepper: Stepper
    clock: Clock
    recipe_of: Callable[[Run], Recipe | None]
    probe: Probe = no_probe
    # Brings who is who up to date inside a commit, so that changes meet recipes matched.
    identify: Callable[[Tx], None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)
    indexes: Indexes = field(default_factory=Indexes)
    pace: Pace = field(default_factory=lambda: Pace(BATCH))

    def plan(
        self, recipes: Sequence[Recipe], on_batch: Callable[[Planned], None] | None = None, *, sure: bool = False
    ) -> Planned:
        """Plan batch after batch until no change is left; a recipe that passes a limit is paused, the others go on.

        What is stored while the last batch is under way may be left for the next call. Whoever is `sure` that there are changes
        spares looking for them first.
        """
        total = Planned()
        with self.lock:
            self.pace.begin()
            waiting = sure or self._is_waiting(recipes)
            while waiting:
                one = self._batch(recipes)
                total.add(one)
                if on_batch and (one.changes or one.started):
                    on_batch(one)
                waiting = one.more
                if waiting:
                    BATON.offer()
        return total

    def _is_waiting(self, recipes: Sequence[Recipe]) -> bool:
        """Find out whether there are changes to be met, and note who has caught up since a restore."""
        with self.store.read() as tx:
            news = restoring.is_news(tx, self.stepper.connections)
            # Most of the time there is nothing: found out without waiting for the writer.
            _, start = self._group(tx, recipes)
            waiting = start is not None and bool(changes.after(tx, start, 1))
        if news:
            restoring.note_caught_up(self.store, self.stepper.connections)
        return waiting

    def _batch(self, recipes: Sequence[Recipe]) -> Planned:
        try:
            with self.store.write() as tx:
                result = self._plan_batch(tx, recipes)
                self.probe("plan.decided")
        except GuardError as stop:
            recipe = next(one for one in recipes if one.id == stop.limit.split(":", 1)[0])
            guard.halt(self.store, recipe, stop, self.clock.now())
            # All of it is planned once more: another one that passes its limit should not cost as much.
            self.pace.begin()
            return Planned(more=True)
        self.probe("plan.committed")
        return result

    def _group(self, tx: Tx, recipes: Sequence[Recipe]) -> tuple[dict[str, int], int | None]:
        """Give the positions of the recipes that may act, and the lowest of them."""
        held = state.pauses(tx)
        active = [one for one in recipes if one.considered and guard.name(one) not in held]
        known = planning.positions(tx, [position_of(one) for one in active])
        positions = {one.id: known.get(position_of(one), 0) for one in active}
        return positions, min(positions.values(), default=None)

    def _plan_batch(self, tx: Tx, recipes: Sequence[Recipe]) -> Planned:
        positions, start = self._group(tx, recipes)
        found = changes.after(tx, start, self.pace.size) if start is not None else []
        if not found:
            return Planned()
        read, weight = len(found), sum(len(one.before) for one in found if one.before is not None)
        self.identify(tx)
        # Those further on join when this group has caught up with them, and then all may have more to meet.
        ahead = min((seq for seq in positions.values() if seq != start), default=None)
        more = ahead is not None or read >= self.pace.size
        ahead = found[-1].seq if ahead is None else ahead
        found = [one for one in found if one.seq <= ahead]
        group = [one for one in recipes if positions.get(one.id) == start]
        index = self.indexes.of(group)
        batch = Batch(tx, Scopes(tx, self.clock.now()), Planned(changes=len(found), more=more))
        batch.scopes.look_ahead(one.ref for one in found if index.watches(one.ref.connection, one.kind))
        showing = Showing(index, batch.scopes)
        for subject in subjects(tx, found, index.watches):
            batch.turn += 1
            batch.result.echoes += subject.echo
            batch.lost = restoring.from_lost_time(batch.scopes, self.stepper.connections, subject)
            for recipe in showing.whom(subject, batch.turn):
                self._meet(batch, recipe, subject)
        planning.set_positions(tx, [position_of(one) for one in group], found[-1].seq if found else ahead)
        batch.count(showing)
        batch.finish()
        begun = {run.recipe for run in batch.result.runs}
        guard.watch(tx, [one for one in group if one.id in begun], batch.result.runs, batch.now)
        self.pace.after(read, len(batch.result.runs), weight)
        return batch.result

    # -- one change meets one recipe -------------------------------------------------------------------------------

    def _meet(self, batch: Batch, recipe: Recipe, subject: Subject) -> None:
        if subject.stands:
            batch.scopes.know(subject.ref, subject.after)
        if recipe.syncs:
            # They look at what is on its way.
            batch.write()
        for run in sync_runs(batch.scopes, recipe, subject, _prefix(recipe), self.stepper.escape):
            self._sync(batch, recipe, run, subject)
        if subject.echo and recipe.id in subject.writers:
            return
        if subject.hops > MAX_HOPS:
            batch.tally(recipe, CUT, subject.ref)
            return
        for trigger in recipe.triggers:
            if fires(trigger, subject) and (recipe.id not in subject.writers or is_news(trigger, subject)):
                self.consider(batch, recipe, trigger, subject)
                break
        for follow in recipe.follows:
            if fires(follow.trigger, subject):
                self._follow(batch, recipe, follow, subject)

    def consider(self, batch: Batch, recipe: Recipe, trigger: Trigger, subject: Subject) -> None:
        """Judge a subject by `[when]` and start a run if it may; sweeps come in here too."""
        batch.result.considered += 1
        event = {"type": f"{trigger.noun}.{subject.op}", "at": subject.at, "trigger": trigger.id}
        span = (subject.since, subject.seq) if subject.op != "swept" else None
        judged: dict[str, object] = {}
        scope = batch.scopes.build(
            recipe, trigger.noun, subject.after, before=subject.before, event=event, span=span, judged=judged
        )
        verdict = judge(recipe, scope)
        if not verdict.acts:
            stopped = batch.result.stopped
            stopped[verdict.stopped_at] = stopped.get(verdict.stopped_at, 0) + 1
            batch.tally(recipe, f"{'error' if verdict.error else 'stopped'}: {verdict.told}", subject.ref)
            return
        if recipe.stage == "canary" and not in_canary(recipe.canary, scope.get("account")):
            batch.tally(recipe, "stopped: canary", subject.ref)
            return
        try:
            key = str(recipe.run.key.evaluate(scope)) if recipe.run.key else str(subject.ref)
            once = str(recipe.run.once_per.evaluate(scope)) if recipe.run.once_per else ""
        except (ExpressionError, Unmapped) as error:
            batch.tally(recipe, f"error: run ({error})", subject.ref)
            return
        behind = self._may_start(batch, recipe, subject, key, once)
        if behind is not None:
            context = {
                "noun": trigger.noun,
                "before": subject.before_body.decode() if subject.before_body else None,
                "event": event,
                **({"span": span} if span is not None else {}),
                **({"judged": judged} if judged else {}),
            }
            self._start(batch, recipe, subject, key, once, context, behind=bool(behind))

    def _may_start(self, batch: Batch, recipe: Recipe, subject: Subject, key: str, once: str) -> Sequence[Run] | None:
        """Judge overlap and repetition; a held run of the same key is looked at again instead.

        Gives the runs of the key that still have something to do, and None where no other may start.
        """
        active = runs.active_for(batch.tx, recipe.id, "steps", key)
        held = next((one for one in active if one.state == "held"), None)
        if held is not None:
            self.again(batch, recipe, held)
            return None
        if active and recipe.run.mode == "skip":
            batch.tally(recipe, "skipped: already running", subject.ref)
            return None
        if once:
            last = runs.last_started(batch.tx, recipe.id, "steps", f"{_prefix(recipe)}{once}~")
            if last is not None and (recipe.run.window is None or batch.now - last < recipe.run.window):
                batch.tally(recipe, "skipped: once_per", subject.ref)
                return None
        if recipe.run.mode == "restart":
            for one in active:
                self._cancel(batch, one)
        return active

    def _start(
        self,
        batch: Batch,
        recipe: Recipe,
        subject: Subject,
        key: str,
        once: str,
        context: Mapping[str, object],
        *,
        behind: bool,
    ) -> None:
        batch.result.matched += 1
        named = f"{once}~{int(batch.now.timestamp())}" if once else f"{key}@{subject.seq}"
        like = _prefix(recipe) + (f"{once}~" if once else f"{key}@")
        context = {**context, **restoring.named(batch.scopes, recipe.id, "steps", once or key, like, lost=batch.lost)}
        run = started(recipe, "steps", key, f"{_prefix(recipe)}{named}", subject.ref, batch.now, subject.hops, context)
        if recipe.run.mode == "queue" and behind:
            run = msgspec.structs.replace(run, state="waiting", reason="queued behind an earlier run of the same key")
            if runs.start(batch.tx, run):
                batch.keep_recipe(recipe)
                batch.result.started += 1
            return
        self._begin(batch, recipe, run)

    def again(self, batch: Batch, recipe: Recipe, held: Run) -> None:
        """Look at a held run anew: what held it may be mended, in the entity or in the recipe."""
        its: Recipe | None = recipe
        if held.results and held.version != recipe.version:
            # Steps were done already: it ends under the version that did them.
            its = self.recipe_of(held)
        elif held.version != recipe.version:
            held = msgspec.structs.replace(held, version=recipe.version)
            batch.keep_recipe(recipe)
        if its is None:
            return
        advanced = self._stepper(its).advance(batch.scopes, its, held)
        runs.save(batch.tx, advanced.run)
        self._store(batch, advanced)

    def _follow(self, batch: Batch, recipe: Recipe, follow: Follow, subject: Subject) -> None:
        try:
            begun = list(follow_runs(batch.scopes, recipe, follow, subject, _prefix(recipe), lost=batch.lost))
        except FAULTS as error:
            batch.tally(recipe, f"error: follow {follow.id} ({error})", subject.ref)
            return
        for run in begun:
            self._begin(batch, recipe, run)

    def _sync(self, batch: Batch, recipe: Recipe, run: Run, subject: Subject) -> None:
        # A value stands in the place of the one before; each comment is carried over, also where two say the same.
        values = subject.kind != "comment"
        for earlier in runs.active_for(batch.tx, recipe.id, run.part, run.key) if values else ():
            if earlier.state == "held":
                # The value that was held is no longer the one in question.
                self._cancel(batch, earlier)
            elif run.state == "running" and _same_write(earlier, run):
                # Both sides moved at once: the same value is on its way already, and only what was overruled is noted.
                run = msgspec.structs.replace(
                    run, state="done", reason=str(run.context.get("told", "")), ended_at=batch.now
                )
                if run.reason and runs.start(batch.tx, run):
                    batch.keep_recipe(recipe)
        if run.state in ("held", "failed"):
            if runs.start(batch.tx, run):
                batch.keep_recipe(recipe)
                batch.result.held += run.state == "held"
                ended = Advance(run)
                if run.state == "failed":
                    told = failing.notice(self._stepper(recipe), batch.scopes, recipe, run, run.reason)
                    ended = Advance(run, [*told.deliveries], remembered={**told.kept}) if told else ended
                self._store(batch, ended)
        elif run.state != "done":
            self._begin(batch, recipe, run)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _begin(self, batch: Batch, recipe: Recipe, run: Run) -> None:
        if batch.lost:
            run = msgspec.structs.replace(run, context={**run.context, restoring.LOST: True})
        advanced = self._stepper(recipe).advance(batch.scopes, recipe, run)
        if not runs.start(batch.tx, advanced.run):
            return
        batch.keep_recipe(recipe)
        batch.result.started += 1
        batch.result.held += advanced.run.state == "held"
        self._store(batch, advanced)

    def _store(self, batch: Batch, advanced: Advance) -> None:
        batch.enqueue(advanced.deliveries)
        batch.result.runs.append(advanced.run)
        batch.result.moved |= advanced.run.state != "running"
        if not advanced.is_plain:
            # What belongs to it is read by what follows from it.
            batch.write()
            advanced.keep(batch.tx, batch.now)
        if all(one.state == "shadow" for one in advanced.deliveries) and advanced.deliveries:
            return
        # Looked up among all recipes, and so only where a link asks for it.
        recipe = self.recipe_of(advanced.run) if advanced.links else None
        joined = joining.keep(self.stepper, batch.scopes, recipe, advanced)
        batch.result.deliveries += len(advanced.deliveries) + len(joined)
        batch.result.connections |= {one.connection for one in (*advanced.deliveries, *joined)}

    def _cancel(self, batch: Batch, run: Run) -> None:
        batch.write()
        for delivery in outbox.of_run(batch.tx, run.id):
            if delivery.state in ("planned", "retry", "held"):
                gone = msgspec.structs.replace(delivery, state="cancelled", settled_at=batch.now)
                outbox.update(batch.tx, gone)
                if delivery.state == "held":
                    # Nobody will find out any more whether it was done.
                    audit.wrote(batch.tx, [audit.Wrote("dropped", gone, run.subject)], batch.now)
        batch.result.moved = True
        ended = msgspec.structs.replace(run, state="cancelled", ended_at=batch.now, wake_at=None)
        runs.save(batch.tx, ended)
        outbox.add(batch.tx, reaching.called_off(self.stepper, batch.scopes, self.recipe_of, ended))

    def _stepper(self, recipe: Recipe) -> Stepper:
        return self.stepper if recipe.acts else replace(self.stepper, simulate=True)


def _same_write(one: Run, other: Run) -> bool:
    names = ("target", "action", "inputs")
    return one.state == "running" and all(one.context.get(name) == other.context.get(name) for name in names)


def _prefix(recipe: Recipe) -> str:
    # A shadow run must not count as done when the recipe goes live.
    return "" if recipe.acts else "shadow|"


def position_of(recipe: Recipe) -> str:
    """Give the name under which it is kept how far a recipe has come."""
    # What a recipe saw in shadow it has not acted on: going live, it starts where it was last live, or at the beginning.
    return f"{_prefix(recipe)}{recipe.id}"
