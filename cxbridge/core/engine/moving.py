"""Runs moved on inside one commit, and what that comes to, written together; calls no vendor and ends no delivery."""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from cxbridge.core.engine import joining
from cxbridge.core.engine.pushed import Pushed, RecipeOf
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.ledger import OPEN_DELIVERIES, Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Tx, letters, outbox, runs


class Moves:
    """The runs of one transaction, each moved on at most once before `finish`, without which nothing is sure to be written.

    `result` is told which connections have new work. `recipe_of` gives the recipe of those that were queued behind others.
    """

    def __init__(self, tx: Tx, scopes: Scopes, stepper: Stepper, recipe_of: RecipeOf, result: Pushed) -> None:
        self._tx = tx
        self._scopes = scopes
        self._stepper = stepper
        self._recipe_of = recipe_of
        self._result = result
        # Open deliveries and dead letters of the runs that were looked at together.
        self._unsettled: dict[str, list[Delivery]] = {}
        # What is not written yet; of that nothing is read.
        self._runs: dict[str, Run] = {}
        self._deliveries: list[Delivery] = []
        self._ended: list[tuple[Run, Recipe]] = []

    def look_ahead(self, some: Iterable[Run]) -> None:
        """Read at once what moving these runs on takes; what is not written yet is of other runs."""
        found = {one.id: one for one in some}
        self._unsettled |= {name: [] for name in found} | outbox.unsettled(self._tx, found)
        self._scopes.read_together(one.subject for one in found.values())

    def keep(self, run: Run) -> None:
        """Have a run written as it stands."""
        self._runs[run.id] = run

    def move(self, run: Run, recipe: Recipe | None) -> None:
        """Move a run on, as far as that is possible now."""
        if recipe is None:
            self.keep(run)
            return
        if run.id not in self._unsettled:
            self.look_ahead([run])
        mine = letters.take_turn(self._tx, self._unsettled.pop(run.id), self._scopes.now)
        open_ones = [one for one in mine if one.state in OPEN_DELIVERIES]
        advanced = self._stepper.advance(self._scopes, recipe, run, open_ones)
        self.keep(advanced.run)
        self._deliveries += advanced.deliveries
        self._result.waits = self._result.waits or advanced.run.wake_at is not None
        self._result.connections |= {one.connection for one in (*open_ones, *advanced.deliveries)}
        if not advanced.is_plain:
            # What belongs to it is read by what follows from it.
            self.write()
            advanced.keep(self._tx, self._scopes.now)
            joined = joining.keep(self._stepper, self._scopes, recipe, advanced)
            self._result.connections |= {one.connection for one in joined}
        if advanced.run.ended_at is not None:
            self._ended.append((advanced.run, recipe))

    def write(self) -> None:
        """Write what the runs came to so far."""
        runs.save_all(self._tx, list(self._runs.values()))
        outbox.add(self._tx, self._deliveries)
        self._runs, self._deliveries = {}, []

    def finish(self) -> None:
        """Write all of it, and move on those that were queued behind runs that ended, as long as there are any."""
        self.write()
        while self._ended:
            ended, self._ended = self._ended, []
            following = self._queued_behind(ended)
            self.look_ahead(run for run, _ in following)
            for run, recipe in following:
                self.move(run, recipe)
            self.write()

    def _queued_behind(self, ended: list[tuple[Run, Recipe]]) -> list[tuple[Run, Recipe]]:
        found = []
        for (recipe, part), some in groupby(sorted(ended, key=_place), key=_place):
            by_key = {run.key: its for run, its in some}
            for key, active in runs.active_for_many(self._tx, recipe, part, by_key).items():
                queued = [one for one in active if one.state == "waiting" and one.wake_at is None]
                if len(queued) == len(active):
                    its = self._recipe_of(queued[0]) or by_key[key]
                    found.append((msgspec.structs.replace(queued[0], state="running", reason=""), its))
        return found


def _place(ended: tuple[Run, Recipe]) -> tuple[str, str]:
    return ended[0].recipe, ended[0].part
