"""One commit of planning under way: what is read and counted in it, and what it came to; which runs begin is not decided here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cxbridge.core.engine.index import Showing
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Delivery, Ref, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Tx, outbox, planning, state


@dataclass(slots=True)
class Planned:
    """What one batch came to, or several. `more` says whether changes are left, `stopped` counts by condition.

    `runs` are those of one batch: where batches are summed up they are left out, since there may be any number of them.
    """

    changes: int = 0
    considered: int = 0
    matched: int = 0
    started: int = 0
    echoes: int = 0
    held: int = 0
    deliveries: int = 0
    more: bool = False
    # Whether a run came to wait, or to its end: others may be due by that.
    moved: bool = False
    stopped: dict[str, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    connections: set[str] = field(default_factory=set)
    # Whether it was looked at what else is due, and when the next run is that waits for a time.
    looked: bool = False
    wakes_at: datetime | None = None

    def add(self, other: "Planned") -> None:
        """Sum up, but for `runs`; `more` is the newer one's."""
        for name in ("changes", "considered", "matched", "started", "echoes", "held", "deliveries"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, count in other.stopped.items():
            self.stopped[name] = self.stopped.get(name, 0) + count
        self.connections |= other.connections
        self.more = other.more
        self.moved |= other.moved


@dataclass(slots=True)
class Batch:
    """One commit under way: its transaction, what was read in it, what came of it, and what is to be counted at its end."""

    tx: Tx
    scopes: Scopes
    result: Planned = field(default_factory=Planned)
    # Whether what is met now may have been met before, in a time that a restored store knows nothing of.
    lost: bool = False
    # The number of the subject that is met.
    turn: int = 0
    # Of runs that began, in their order, and not written yet: of these nothing is read. And recipes that are kept, by version.
    _deliveries: list[Delivery] = field(default_factory=list)
    _kept: set[str] = field(default_factory=set)
    # By recipe and what: how often, and in which turn and with which record last.
    _tallies: dict[tuple[str, str], tuple[int, int, Ref]] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The time of the commit."""
        return self.scopes.now

    def tally(self, recipe: Recipe, what: str, ref: Ref) -> None:
        """Count something that is not worth a row of its own."""
        self._count(recipe.id, what, 1, self.turn, ref)

    def count(self, showing: Showing) -> None:
        """Count what came of the changes for the recipes that they were not shown to."""
        stopped = self.result.stopped
        for recipe, what, condition, count, turn, ref in showing.stops():
            self._count(recipe.id, what, count, turn, ref)
            if condition:
                self.result.considered += count
                stopped[condition] = stopped.get(condition, 0) + count

    def _count(self, recipe: str, what: str, count: int, turn: int, ref: Ref) -> None:
        known = self._tallies.get((recipe, what))
        if known is not None:
            count += known[0]
            if known[1] > turn:
                _, turn, ref = known
        self._tallies[recipe, what] = (count, turn, ref)

    def keep_recipe(self, recipe: Recipe) -> None:
        """Keep the text of a recipe under which a run began."""
        if recipe.version not in self._kept:
            state.keep_recipe(self.tx, recipe.version, recipe.id, recipe.source, self.now)
            self._kept.add(recipe.version)

    def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Have deliveries put into the outbox, behind those before them."""
        self._deliveries += deliveries

    def write(self) -> None:
        """Put into the outbox what is not there yet: before anything of it is read, or anything else is added."""
        outbox.add(self.tx, self._deliveries)
        self._deliveries = []

    def finish(self) -> None:
        """Write what is not written yet, and the counts."""
        self.write()
        rows = ((recipe, what, count, ref) for (recipe, what), (count, _, ref) in self._tallies.items())
        planning.tally_all(self.tx, rows, at=self.now)
