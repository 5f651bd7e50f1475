"""Runs whose time has come, moved on: waits that are over, questions that were answered or ran out; calls no vendor.

A run that waits is a row with the time at which it is to be looked at, so a restart forgets none. One batch is one commit. Runs of
a recipe that is paused or stopped are left as they are until it goes on; their questions can be answered meanwhile.
"""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.engine import guard
from cxbridge.core.engine.connections import Probe, no_probe
from cxbridge.core.engine.pushed import Pushed, RecipeOf
from cxbridge.core.engine.settle import Settler
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, runs, state

BATCH = 100


@dataclass(slots=True)
class Woken:
    """What a waking did: how many runs were looked at, which connections have new work, and when the next run is due."""

    runs: int = 0
    next_at: datetime | None = None
    connections: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Waker:
    """Moves runs on whose time has come. `recipe_of` gives the recipe in the version a run began under, or `None`."""

    store: Store
    settler: Settler
    clock: Clock
    recipe_of: RecipeOf
    probe: Probe = no_probe

    def wake(self) -> Woken:
        """Look at every run that is due, batch by batch, and at those that nothing is in front of any more."""
        result = Woken()
        with self.store.read() as tx:
            # Nearly always there is nothing: found out by one look, without waiting for the writer.
            now = self.clock.now()
            if not runs.due(tx, now, 1) and not runs.freed(tx, 1):
                result.next_at = runs.next_wake(tx, now)
                return result
        after: tuple[datetime, str] | None = None
        while True:
            with self.store.read() as tx:
                due = runs.due(tx, self.clock.now(), BATCH, after)
            if not due:
                break
            after = (due[-1].wake_at or self.clock.now(), due[-1].id)
            self._batch([one.id for one in due], result)
        self._free(result)
        with self.store.read() as tx:
            result.next_at = runs.next_wake(tx, self.clock.now())
        return result

    def _batch(self, ids: list[str], result: Woken) -> None:
        with self.store.write() as tx:
            held = state.pauses(tx)
            pushed = Pushed()
            now, found = self.clock.now(), runs.get_many(tx, ids)
            due = [found[one] for one in ids if one in found and _is_due(found[one], now)]
            moved = [(run, recipe) for run in due if (recipe := self._may_go(run, held)) is not None]
            self.settler.move_all(tx, moved, pushed)
            result.runs += len(moved)
            result.connections |= pushed.connections
            self.probe("wake.moved")
        self.probe("wake.committed")

    def _may_go(self, run: Run, held: dict[str, state.Pause]) -> Recipe | None:
        recipe = self.recipe_of(run)
        if recipe is None or recipe.stage == "paused" or guard.name(recipe) in held:
            return None
        return recipe

    def _free(self, result: Woken) -> None:
        """Let runs begin that wait behind one that is over: whoever ended it may have been a person, or a failure."""
        after = ""
        while True:
            with self.store.read() as tx:
                if not runs.freed(tx, 1, after):
                    return
            with self.store.write() as tx:
                held = state.pauses(tx)
                pushed = Pushed()
                freed = runs.freed(tx, BATCH, after)
                after = freed[-1].id if freed else after
                moved = [
                    (msgspec.structs.replace(run, state="running", reason=""), recipe)
                    for run in freed
                    if (recipe := self._may_go(run, held)) is not None
                ]
                self.settler.move_all(tx, moved, pushed)
                result.runs += len(moved)
                result.connections |= pushed.connections


def _is_due(run: Run, now: datetime) -> bool:
    return run.state == "waiting" and run.wake_at is not None and run.wake_at <= now
