"""What the threads share that push one connection: what is marked and not sent, what is answered and not recorded."""

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from cxbridge.core.connector import Action, Call, Client
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.fresh import Fresh
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe

# As many are marked at once, and recorded at once, as the vendor answers within so many seconds, and never more than `_MOST`: so
# long, and a call, an outcome waits for its commit at most.
MOMENT = 0.02
_MOST = 32
# A vendor that answers so many within a moment is not waited for: most of that is our own work.
_QUICK = 8
_OF_LATE = 9


class Ready(msgspec.Struct, frozen=True):
    """A delivery that is about to be sent: as it was read, as it is once it is marked, and what its connector is told."""

    delivery: Delivery
    sent: Delivery
    action: Action
    call: Call
    run: Run
    recipe: Recipe | None
    # By the monotonic clock.
    since: float


class Pace:
    """How fast a vendor answered of late, by the median of a few answers: one that was held up for once does not change it."""

    __slots__ = ("_took", "most")

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=_OF_LATE)
        # How many it answers within a moment: one where that is not known yet.
        self.most = 1

    def note(self, took: float) -> None:
        """Take an answer into account that took so many seconds."""
        self._took.append(took)
        median = sorted(self._took)[len(self._took) // 2]
        self.most = _MOST if median * _MOST <= MOMENT else max(1, int(MOMENT / median))

    @property
    def is_quick(self) -> bool:
        """Whether there is so little to wait for that several threads would only share what one of them can do."""
        return self.most >= _QUICK


@dataclass(slots=True)
class Turn:
    """One turn of a connection, shared by the threads that work at it."""

    connection: Connection
    client: Client
    pace: Pace
    fresh: Fresh
    # Those that are marked and not sent, by id. Each is with the crew, or in the hand of the thread that marked it.
    begun: dict[str, Ready] = field(default_factory=dict)
    # Those that were answered and are not recorded, and when the first of them was.
    answers: list[Answer] = field(default_factory=list)
    since: float = 0.0
    # How many are being marked.
    marking: int = 0
    # See `guard.must_wait`.
    far: set[str] = field(default_factory=set)
    # Recipes all of whose deliveries wait, since it was last asked what is due.
    waiting: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, answer: Answer, now: float, took: float) -> list[Answer]:
        """Note an answer; gives those that are to be recorded now, none as long as the next ones are under way."""
        with self.lock:
            self.pace.note(took)
            self.since = self.since if self.answers else now
            self.answers.append(answer)
            return [] if self.begun and now - self.since < MOMENT else self._take()

    def room(self) -> int:
        """Say how many more may be marked by whoever has an answer, and keep that free until `mark`: always one, mostly all."""
        with self.lock:
            room = max(1, self.pace.most - self.marking)
            self.marking += room
            return room

    def mark(self, room: int, marked: Sequence[Ready]) -> None:
        """Note what was marked of what was kept free."""
        with self.lock:
            self.marking -= room
            self.begun |= {one.delivery.id: one for one in marked}

    def unrecorded(self, before: float = math.inf) -> list[Answer]:
        """Take what is not recorded, where the first of it was answered before that time."""
        with self.lock:
            return self._take() if self.answers and self.since < before else []

    def _take(self) -> list[Answer]:
        taken, self.answers = self.answers, []
        return taken
