"""What a turn of pushing came to, as a value, and whom it tells; decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cxbridge.core.connector import Receipt
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe

# Told of each delivery that was settled, after the commit.
OnSettled = Callable[[Delivery, Receipt | None], None]
# Gives the recipe in the version that a run began under, if it can still be had.
RecipeOf = Callable[[Run], Recipe | None]


@dataclass(slots=True)
class Pushed:
    """What one push of a connection did. `next_at` is when something is due again; `connections` have new work.

    `waits` says whether a run came to a step at which it waits for a time. `kept_back` is until when we keep back ourselves what is
    due: the vendor is left alone, or another worker speaks to it.
    """

    confirmed: int = 0
    adopted: int = 0
    retried: int = 0
    unknown: int = 0
    dead: int = 0
    paused: bool = False
    waits: bool = False
    kept_back: datetime | None = None
    next_at: datetime | None = None
    connections: set[str] = field(default_factory=set)
    settled: list[tuple[Delivery, Receipt | None]] = field(default_factory=list)

    def add(self, other: "Pushed") -> None:
        """Sum up what was done; of what is due next another one says nothing."""
        self.confirmed += other.confirmed
        self.adopted += other.adopted
        self.retried += other.retried
        self.unknown += other.unknown
        self.dead += other.dead
        self.paused = self.paused or other.paused
        self.waits = self.waits or other.waits
        self.kept_back = other.kept_back or self.kept_back
        self.connections |= other.connections
        self.settled += other.settled
