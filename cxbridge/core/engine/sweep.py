"""Scheduled triggers: when one is due, every record that its `find` names meets the recipe; reads no vendor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from cxbridge.core.clock import Clock
from cxbridge.core.engine import guard, restoring
from cxbridge.core.engine.batch import Batch, Planned
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.errors import GuardError
from cxbridge.core.ledger import Ref, body_view
from cxbridge.core.recipes.expressions import ExpressionError, Unmapped
from cxbridge.core.recipes.model import Recipe, Trigger
from cxbridge.core.store import Store, changes, planning, records, state

_BATCH = 500
# How many missed firings `catch_up = "all"` repeats at most; each looks at the same records.
_MOST_MISSED = 24


def due_times(trigger: Trigger, last: datetime | None, now: datetime) -> list[datetime]:
    """List the firings since `last`, by the trigger's `catch_up`. A trigger that never fired is due now.

    Cron fires once per local time, on both clock changes.
    """
    if last is None:
        return [_slot(trigger, now)]
    missed = list(_after(trigger, last, now))
    if not missed:
        return []
    catch_up = trigger.catch_up
    if catch_up == "all":
        return missed[-_MOST_MISSED:]
    if catch_up == "none":
        return [one for one in missed if now - one < timedelta(minutes=1)][-1:]
    if isinstance(catch_up, timedelta):
        missed = [one for one in missed if now - one <= catch_up]
    return missed[-1:]


def next_due(trigger: Trigger, last: datetime | None, now: datetime) -> datetime:
    """Say when the trigger fires next."""
    if last is None:
        return now
    if trigger.every is not None:
        return last + trigger.every
    return next(iter(CronSim(trigger.cron or "", last.astimezone(ZoneInfo(trigger.zone))))).astimezone(UTC)


def _slot(trigger: Trigger, now: datetime) -> datetime:
    if trigger.every is None:
        return now.replace(second=0, microsecond=0)
    seconds = trigger.every.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


def _after(trigger: Trigger, last: datetime, now: datetime) -> Iterable[datetime]:
    if trigger.every is not None:
        moment = last + trigger.every
        # Far behind, only the newest slots can matter.
        if now - moment > trigger.every * (_MOST_MISSED + 1):
            moment += trigger.every * ((now - moment) // trigger.every - _MOST_MISSED)
        while moment <= now:
            yield moment
            moment += trigger.every
        return
    for local in CronSim(trigger.cron or "", last.astimezone(ZoneInfo(trigger.zone))):
        moment = local.astimezone(UTC)
        if moment > now:
            return
        yield moment


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Fires what is due. Intents to fire are rows, unique per schedule and time: a restart neither repeats nor forgets one."""

    store: Store
    planner: Planner
    clock: Clock

    def sweep(self, recipes: Sequence[Recipe]) -> Planned:
        """Fire every due trigger of the recipes once."""
        total = Planned()
        for recipe in recipes:
            if not recipe.considered:
                continue
            for trigger in recipe.triggers:
                if trigger.sweeps:
                    total.add(self._fire(recipe, trigger))
        return total

    def next_at(self, recipes: Sequence[Recipe]) -> datetime | None:
        """Say when the next trigger fires."""
        now = self.clock.now()
        with self.store.read() as tx:
            times = [
                next_due(trigger, planning.last_fire(tx, schedule(recipe, trigger)), now)
                for recipe in recipes
                if recipe.considered
                for trigger in recipe.triggers
                if trigger.sweeps
            ]
        return min(times, default=None)

    def _fire(self, recipe: Recipe, trigger: Trigger) -> Planned:
        now = self.clock.now()
        with self.store.read() as tx:
            if guard.name(recipe) in state.pauses(tx):
                return Planned()
            due = due_times(trigger, planning.last_fire(tx, schedule(recipe, trigger)), now)
        result = Planned()
        for moment in due:
            try:
                with self.planner.lock, self.store.write() as tx:
                    if planning.fire(tx, schedule(recipe, trigger), moment, now):
                        batch = Batch(tx, Scopes(tx, now))
                        batch.lost = restoring.swept_in_lost_time(
                            batch.scopes, self.planner.stepper.connections, trigger.connection, moment
                        )
                        self._meet_all(batch, recipe, trigger)
                        batch.finish()
                        guard.watch(tx, [recipe], batch.result.runs, now)
                        result.add(batch.result)
            except GuardError as stop:
                guard.halt(self.store, recipe, stop, now)
        return result

    def _meet_all(self, batch: Batch, recipe: Recipe, trigger: Trigger) -> None:
        seq = changes.last_seq(batch.tx)
        after: Ref | None = None
        while True:
            found = records.scan(
                batch.tx, kinds=[trigger.kind], connection=trigger.connection, after=after, limit=_BATCH
            )
            for record in found:
                shown = body_view(record.ref, record.kind, record.body)
                if trigger.find is not None:
                    scope = batch.scopes.build(recipe, trigger.noun, shown, event={"trigger": trigger.id})
                    try:
                        if not trigger.find.holds(scope):
                            continue
                    except (ExpressionError, Unmapped) as error:
                        batch.tally(recipe, f"error: find ({error})", record.ref)
                        continue
                subject = Subject(record.ref, record.kind, "swept", seq, batch.now, shown)
                self.planner.consider(batch, recipe, trigger, subject)
            if len(found) < _BATCH:
                return
            after = found[-1].ref


def schedule(recipe: Recipe, trigger: Trigger) -> str:
    """Name a trigger's schedule."""
    return f"{recipe.id}/{trigger.id}"
