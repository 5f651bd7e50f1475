"""Runs that are held because somebody was not known where they write, looked at again once more is known; calls no vendor.

How much is known is a number that grows in the commits in which matches are made, by rules or by a person in another process; how
far it was looked at is kept beside it. So no match is overlooked, whoever made it and whatever ended meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cxbridge.core.clock import Clock
from cxbridge.core.engine import guard
from cxbridge.core.engine.batch import Batch, Planned
from cxbridge.core.engine.identity_views import WAITS_FOR, Counterparts, Unmatched
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, identity, planning, runs, state

LOOKED_AT: Final = "identity:held"
_BATCH: Final = 100
_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rematcher:
    """Moves runs on for whom a match was made."""

    store: Store
    planner: Planner
    clock: Clock

    def look_again(self, recipes: Sequence[Recipe]) -> Planned:
        """Move on every held run whose account or contact is known now; one of a recipe that may not act waits until it may."""
        total = Planned()
        with self.store.read() as tx:
            version = identity.version(tx)
            # Most of the time nothing new is known.
            if version <= (planning.position(tx, LOOKED_AT) or 0):
                return total
            same = Scopes(tx, self.clock.now()).same
            known = [run.id for run in waiting(tx) if _is_known(same, run)]
        done = True
        for some in (known[at : at + _BATCH] for at in range(0, len(known), _BATCH)):
            with self.planner.lock, self.store.write() as tx:
                batch = Batch(tx, Scopes(tx, self.clock.now()))
                done = self._batch(batch, some, recipes) and done
                batch.finish()
            total.add(batch.result)
        if done:
            with self.store.write() as tx:
                planning.set_position(tx, LOOKED_AT, version)
        return total

    def _batch(self, batch: Batch, some: Sequence[str], recipes: Sequence[Recipe]) -> bool:
        held = state.pauses(batch.tx)
        done = True
        for one in some:
            run = runs.get(batch.tx, one)
            if run is None or run.state != "held" or not _is_known(batch.scopes.same, run):
                continue
            recipe = next((recipe for recipe in recipes if recipe.id == run.recipe), None)
            if recipe is None or not recipe.considered or guard.name(recipe) in held:
                done = False
                continue
            self.planner.again(batch, recipe, run)
        return done


def waiting(tx: Tx) -> list[Run]:
    """List the runs that are held until somebody is known."""
    return [run for run in runs.find(tx, state="held", limit=_MOST) if waits_for(run) is not None]


def waits_for(run: Run) -> tuple[Ref, str, str] | None:
    """Say for whom a held run waits: the record, its kind, and the connection in which it must be known."""
    told: Any = run.context.get(WAITS_FOR) if run.state == "held" else None
    return None if told is None else (Ref.parse(told["ref"]), told["kind"], told["connection"])


def _is_known(same: Counterparts, run: Run) -> bool:
    whom = waits_for(run)
    if whom is None:
        return False
    try:
        same.in_connection(*whom)
    except Unmatched:
        return False
    return True
