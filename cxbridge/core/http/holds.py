"""What a vendor said about waiting, kept where the next process finds it; it must not send, nor know what is held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cxbridge.core.clock import Clock
from cxbridge.core.http.reply import LONGEST_RETRY_AFTER

# A wait that is over by then is not worth a write: whoever takes over needs longer to begin.
KEPT_OVER = 1.0


class HoldStore(Protocol):
    """Where the end of a wait outlives the process."""

    def read(self, connection: str) -> Mapping[str, datetime]:
        """Give the ends of a connection's waits, by budget."""
        ...

    def keep(self, connection: str, ends: Mapping[str, datetime], over: Mapping[str, datetime]) -> None:
        """Keep these ends, unless later ones are kept; forget those of `over` that are not later than said there.

        Durable on return.
        """
        ...


@dataclass(slots=True)
class Moves:
    """What is to be written of one connection: new ends, and waits that are over before their time."""

    ends: dict[str, datetime] = field(default_factory=dict)
    over: dict[str, datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ends or self.over)


class HoldBook:
    """Which ends are kept of which connection's budgets. Its owner sees to it that one thread at a time calls it.

    Ends are counted by the monotonic clock while a process lives and by the wall clock in the store, since nothing else is common
    to two processes. A clock that was set back between them makes a wait longer, by an hour at most.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], float] = {}

    @property
    def holds(self) -> bool:
        """Whether anything is kept."""
        return bool(self._kept)

    def found(self, connection: str, ends: Mapping[str, datetime]) -> dict[str, float]:
        """Take what the store has: gives the ends that are still to come, by the monotonic clock."""
        now, wall = self._clock.monotonic(), self._clock.now()
        told = {}
        for bucket, end in ends.items():
            seconds = min((end - wall).total_seconds(), LONGEST_RETRY_AFTER)
            if seconds > 0:
                told[bucket] = self._kept[connection, bucket] = now + seconds
        return told

    def moves(self, connection: str, waits: Iterable[tuple[str, float]], *, anew: bool = False) -> Moves:
        """Say what has to be written for these waits, in seconds from now, and take it as written.

        With `anew` what is kept already is written once more, by what the wall clock says now.
        """
        now, wall = self._clock.monotonic(), self._clock.now()
        made = Moves()
        for bucket, seconds in waits:
            kept = self._kept.get((connection, bucket), 0.0)
            end = now + seconds
            if seconds > KEPT_OVER:
                if anew or end > kept + KEPT_OVER:
                    self._kept[connection, bucket] = end
                    made.ends[bucket] = wall + timedelta(seconds=seconds)
            elif kept > now + KEPT_OVER:
                # What was told later is that more is allowed than was thought.
                made.over[bucket] = wall + timedelta(seconds=kept - now)
                del self._kept[connection, bucket]
            elif kept:
                del self._kept[connection, bucket]
        return made

    def undo(self, connection: str, moves: Moves) -> None:
        """Take moves as not written, so that they are tried again."""
        now, wall = self._clock.monotonic(), self._clock.now()
        for bucket in moves.ends:
            self._kept.pop((connection, bucket), None)
        for bucket, end in moves.over.items():
            self._kept[connection, bucket] = now + (end - wall).total_seconds()

    def forget(self, connection: str) -> None:
        """Know nothing of a connection any more."""
        for place in [place for place in self._kept if place[0] == connection]:
            del self._kept[place]
