"""Keeps the log of changes from growing for ever, a little at a time; what may go is decided in `store/keeping`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.engine.connections import Probe, no_probe
from cxbridge.core.engine.plan import position_of
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, keeping, planning, restored

# So many seconds lie between two rounds. A round is so many commits of so many changes at the most: a few milliseconds each, and
# more in a day than a large company has.
_EVERY, _ROUND, _BATCH = 60.0, 20, 500


class Tidier:
    """Removes changes that later ones have outlived for longer than `keep`; None keeps all."""

    def __init__(self, store: Store, clock: Clock, keep: timedelta | None, probe: Probe = no_probe) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._probe = probe
        self._looked: float | None = None

    def tidy(self, recipes: Sequence[Recipe]) -> int:
        """Do a round, at most once a minute; gives how many changes went.

        What a recipe that is on has not met yet, what a run under way began with, and what came since a restore stays.
        """
        now = self._clock.monotonic()
        if self._keep is None or (self._looked is not None and now < self._looked + _EVERY):
            return 0
        self._looked = now
        before, gone = self._clock.now() - self._keep, 0
        with self._store.read() as tx:
            # Most of the time there is nothing: found out without waiting for the writer. What nobody needs now nobody needs later.
            upto = _upto(tx, recipes, before) if keeping.is_due(tx, before) else 0
        for _ in range(_ROUND if upto else 0):
            with self._store.write() as tx:
                done = keeping.forget(tx, before, upto, _BATCH)
                self._probe("tidy.decided")
            self._probe("tidy.committed")
            gone += done.gone
            if not done.more:
                break
            BATON.offer()
        return gone


def _upto(tx: Tx, recipes: Sequence[Recipe], before: datetime) -> int:
    """Give the last change that nobody has to meet, or to look back from, any more."""
    names = [position_of(one) for one in recipes if one.considered]
    known = planning.positions(tx, names)
    # One that never came anywhere begins at the beginning.
    found = [known.get(name, 0) for name in names]
    needed, mark = keeping.needed_by_runs(tx), restored.read(tx)
    if needed is not None:
        found.append(needed - 1)
    # A restore that is as old is looked back to by nobody.
    if mark is not None and mark.at >= before:
        found.append(mark.seq)
    return min(found, default=1 << 62)
