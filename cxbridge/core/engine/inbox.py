"""Works off what webhooks brought: which stream to pull, which entity to read, and when a delivery is done; speaks to no vendor.

A delivery is marked as done when everything it named was read. Until then its row stays open: whatever the process dies of, the
next one does it again, which is free. What is under way is remembered here alone.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cxbridge.core import defects
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Pressed, Stream
from cxbridge.core.engine import approvals
from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import CxbridgeError
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, Tx, inbox
from cxbridge.core.webhooks import Nudge

_log = structlog.get_logger("cxbridge")

# How long to wait, in seconds, before a vendor is asked again for an entity that it announced and does not show yet.
PAUSES = (1, 2, 4, 8, 15, 30)
# So many deliveries are taken up at once.
_AT_ONCE = 500
# How a stored delivery with an answer in it reads.
_PRESSED = '"pressed":[{'
# Webhooks come by the dozen; pulls of one stream that they cause keep this distance.
APART = timedelta(seconds=5)


class Asked(msgspec.Struct, frozen=True):
    """What a stored delivery asks for."""

    nudges: Sequence[Nudge] = ()
    pressed: Sequence[Pressed] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Jobs that follow from new deliveries, and how many answers of people were handed on."""

    jobs: frozenset[str]
    answered: int = 0


@dataclass(slots=True)
class _Entity:
    """An entity that was announced: by which rows, how often it was asked for in vain, and when to ask (again)."""

    rows: set[int]
    due: datetime
    tries: int = 0


@dataclass(slots=True)
class _Stream:
    rows: set[int] = field(default_factory=set)
    entities: dict[str, _Entity] = field(default_factory=dict)
    pulled_at: datetime | None = None


@dataclass(slots=True)
class Work:
    """The deliveries of one process that are not done, by the streams and entities that they name."""

    store: Store
    connections: Mapping[str, Connection]
    clock: Clock
    _streams: dict[tuple[str, str], _Stream] = field(default_factory=dict)
    # How many streams and entities a row still waits for.
    _left: dict[int, int] = field(default_factory=dict)
    # The last row that was taken up, of each connection.
    _taken: dict[str, int] = field(default_factory=dict)
    _forgot_at: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, connection: str) -> Taken:
        """Take up what came in for a connection since the last time, oldest first; at the first time, everything that is not done.

        What people answered is handed on at once, in a commit with the row that brought it.
        """
        jobs: set[str] = set()
        answered = 0
        while True:
            with self.store.read() as tx:
                rows = inbox.waiting(tx, self._taken.get(connection, 0), _AT_ONCE, connection=connection)
            empty = []
            for row in rows:
                asked = _read(row.announced)
                if asked.pressed and row.connection in self.connections:
                    if not self._answer(row):
                        continue
                    answered += len(asked.pressed)
                found = self._hold(row, asked.nudges)
                if not found:
                    empty.append(row.id)
                jobs |= found
            if rows:
                self._taken[connection] = rows[-1].id
            self._done(empty)
            if len(rows) < _AT_ONCE:
                return Taken(frozenset(jobs), answered)

    def hear(self) -> int:
        """Hand on what people answered in any connection, whoever takes up the rest of what came in; gives how much it was."""
        heard, after = 0, 0
        while True:
            with self.store.read() as tx:
                rows = inbox.saying(tx, _PRESSED, after)
            if not rows:
                return heard
            after = rows[-1].id
            for row in rows:
                if row.connection in self.connections and self._answer(row):
                    heard += 1

    def close_others(self) -> None:
        """Be done with what came in for connections that are not configured any more: nobody will work it off."""
        with self.store.read() as tx:
            waiting = {name for name, one in inbox.heard(tx).items() if one.waiting}
        for connection in sorted(waiting - set(self.connections)):
            self.take(connection)

    def drop(self, connection: str) -> None:
        """Forget what is under way for a connection: another process may have gone on with it meanwhile."""
        with self._lock:
            for place in [one for one in self._streams if one[0] == connection]:
                held = self._streams.pop(place)
                for row in held.rows.union(*(one.rows for one in held.entities.values())):
                    self._left.pop(row, None)
            self._taken.pop(connection, None)

    def forget(self, keep: timedelta) -> int:
        """Remove the memory of events older than that, at most once an hour; gives how many there were."""
        now = self.clock.now()
        if self._forgot_at is not None and now < self._forgot_at + timedelta(hours=1):
            return 0
        self._forgot_at = now
        with self.store.write() as tx:
            return inbox.forget(tx, now - keep)

    # -- a stream that is pulled ---------------------------------------------------------------------------------------

    def begin(self, connection: str, stream: str) -> frozenset[int]:
        """Name the rows that wait for a pull of a stream that begins now."""
        with self._lock:
            held = self._streams.get((connection, stream))
            return frozenset(held.rows) if held else frozenset()

    def pulled(self, connection: str, stream: str, rows: Collection[int]) -> None:
        """Note that a pull of a stream came to its end, which those rows waited for."""
        with self._lock:
            held = self._streams.setdefault((connection, stream), _Stream())
            held.pulled_at = self.clock.now()
            held.rows.difference_update(rows)
            over = self._over(rows)
        self._done(over)

    def pull_at(self, connection: str, stream: str) -> datetime | None:
        """Say when a stream that webhooks named may be pulled, None where none does."""
        with self._lock:
            held = self._streams.get((connection, stream))
            if held is None or not held.rows:
                return None
            now = self.clock.now()
            return now if held.pulled_at is None else max(now, held.pulled_at + APART)

    # -- entities that are read ----------------------------------------------------------------------------------------

    def due(self, connection: str, stream: str) -> list[str]:
        """Name the entities of a stream that are to be read now."""
        now = self.clock.now()
        with self._lock:
            held = self._streams.get((connection, stream))
            return [key for key, one in held.entities.items() if one.due <= now] if held else []

    def waits_for(self, connection: str, stream: str, key: str) -> frozenset[int]:
        """Name the rows that wait for an entity that is read now."""
        with self._lock:
            held = self._streams[connection, stream].entities.get(key)
            return frozenset(held.rows) if held else frozenset()

    def mark(self, tx: Tx, read: Iterable[Collection[int]]) -> list[int]:
        """Be done, in the commit that stores what was read, with the rows that wait for nothing else; gives which.

        `read` are the rows that waited for each of the entities. Nothing is forgotten before `was_read` is told.
        """
        named = Counter(row for rows in read for row in rows)
        with self._lock:
            over = [row for row, times in named.items() if self._left.get(row) == times]
        if over:
            inbox.done(tx, over, self.clock.now())
        return over

    def was_read(
        self, connection: str, stream: str, read: Mapping[str, Collection[int]], marked: Collection[int] = ()
    ) -> None:
        """Note that entities were read, and the rows that waited for each; others may have come meanwhile.

        `marked` are the rows that `mark` was done with.
        """
        over: list[int] = []
        with self._lock:
            entities = self._streams[connection, stream].entities
            for key, rows in read.items():
                held = entities.get(key)
                if held is not None:
                    held.rows.difference_update(rows)
                    held.tries = 0
                    if not held.rows:
                        del entities[key]
                over += self._over(rows)
        self._done([row for row in over if row not in marked])

    def was_not_shown(self, connection: str, stream: str, key: str, rows: Collection[int]) -> bool:
        """Note that the vendor does not show an entity: asked again after a growing pause, then left to the next pull.

        True when it was given up.
        """
        with self._lock:
            held = self._streams[connection, stream].entities.get(key)
            if held is None:
                return False
            if held.tries < len(PAUSES):
                held.due = self.clock.now() + timedelta(seconds=PAUSES[held.tries])
                held.tries += 1
                return False
        self.was_read(connection, stream, {key: rows})
        return True

    def put_off(self, connection: str, stream: str, key: str, until: datetime) -> None:
        """Note that an entity could not be read, whatever it is like: it is asked for again then."""
        with self._lock:
            held = self._streams[connection, stream].entities.get(key)
            if held is not None:
                held.due = until

    def next_due(self, connection: str, stream: str) -> datetime | None:
        """Say when the next entity of a stream is to be read, None where none is."""
        with self._lock:
            held = self._streams.get((connection, stream))
            return min((one.due for one in held.entities.values()), default=None) if held else None

    # -- inside --------------------------------------------------------------------------------------------------------

    def _hold(self, row: inbox.Waiting, nudges: Sequence[Nudge]) -> set[str]:
        """Remember what a row asks for; gives the jobs that do it, none where nothing of it can be done here."""
        # In the order in which they were named, and each once.
        found: dict[tuple[str, str, str | None], None] = {}
        connection = self.connections.get(row.connection)
        for nudge in nudges if connection is not None else ():
            stream = None if connection is None else pullable(connection.streams, nudge.stream)
            if stream is not None:
                key = nudge.key if stream.one is not None and stream.name == nudge.stream else None
                found[row.connection, stream.name, key] = None
        now = self.clock.now()
        with self._lock:
            if found:
                self._left[row.id] = len(found)
            for name, stream_name, key in found:
                held = self._streams.setdefault((name, stream_name), _Stream())
                if key is None:
                    held.rows.add(row.id)
                    continue
                entity = held.entities.setdefault(key, _Entity(set(), now))
                entity.rows.add(row.id)
                entity.due, entity.tries = now, 0
        return {f"{'pull' if key is None else 'read'}:{name}/{stream_name}" for name, stream_name, key in found}

    def _answer(self, row: inbox.Waiting) -> bool:
        """Hand on what people answered; False where that failed for now and the row stays open for the next start."""
        try:
            with self.store.write() as tx:
                # As it is now: somebody else may have heard it meanwhile.
                held = inbox.get(tx, row.id)
                asked = Asked() if held is None else _read(held.announced)
                if not asked.pressed:
                    return True
                for pressed in asked.pressed:
                    on_pressed(tx, row.connection, pressed, row.received_at)
                inbox.keep(tx, row.id, Asked(nudges=asked.nudges))
        except CxbridgeError:
            raise
        except Exception as error:  # noqa: BLE001  # a defect there must not keep all later deliveries waiting
            defects.tell(_log, "inbox.answer_failed", error, connection=row.connection, row=row.id)
            return False
        return True

    def _over(self, rows: Collection[int]) -> list[int]:
        over = []
        for row in rows:
            left = self._left.get(row, 0) - 1
            if left > 0:
                self._left[row] = left
            elif self._left.pop(row, None) is not None:
                over.append(row)
        return over

    def _done(self, rows: Collection[int]) -> None:
        if rows:
            with self.store.write() as tx:
                inbox.done(tx, rows, self.clock.now())


def on_pressed(tx: Tx, connection: str, pressed: Pressed, received_at: datetime) -> None:
    """Hand on what a person answered; what does not count is told in the log."""
    outcome = approvals.answered(tx, connection, pressed, received_at)
    if not outcome.counts:
        # Neither who decided what, nor what they filled in, nor what travels with the buttons belongs in a log.
        question, told = pressed.approval.partition(".")[0], outcome.told.partition(": ")[0]
        _log.warning("approval.unheeded", connection=connection, approval=question, told=told)


def pullable(streams: Mapping[str, Stream], name: str) -> Stream | None:
    """Find the stream that is read where one is named: itself, or the one whose pages carry its entities."""
    stream = streams.get(name)
    if stream is not None and stream.pages is None and stream.one is None and stream.filled_by is not None:
        stream = streams.get(stream.filled_by)
    return stream if stream is not None and (stream.pages is not None or stream.one is not None) else None


def _read(announced: Any) -> Asked:
    try:
        return msgspec.convert(announced, Asked)
    except msgspec.ValidationError:
        # Written by a newer version of this program, perhaps: nothing can be done about it here.
        return Asked()
