"""What the threads share that push one connection: what is marked and not sent, what is answered and not recorded."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from cxbridge.core.connector import Action, Call, Client
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.fresh import Fresh
from cxbridge.core.engine.tempo import MOMENT, Tempo
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe


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


@dataclass(slots=True)
class Turn:
    """One turn of a connection, shared by the threads that work at it."""

    connection: Connection
    client: Client
    tempo: Tempo
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
            self.tempo.note(took)
            self.since = self.since if self.answers else now
            self.answers.append(answer)
            return [] if self.begun and now - self.since < MOMENT else self._take()

    def room(self) -> int:
        """Say how many more may be marked by whoever has an answer, and keep that free until `mark`: always one, mostly all."""
        with self.lock:
            room = max(1, self.tempo.most - self.marking)
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
