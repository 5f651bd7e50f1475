"""Stores deliveries before their senders are answered: all that wait at a moment share one commit; judges none of them."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from cxbridge.core import defects
from cxbridge.core.clock import Clock
from cxbridge.core.errors import StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, Tx, inbox, planning
from cxbridge.core.store.inbox import Arrival

_log = structlog.get_logger("cxbridge")

# More in one commit gains nothing, and keeps the first of them waiting.
_MOST = 500


@dataclass(frozen=True, slots=True)
class _Put:
    arrival: Arrival
    old_secret: bool
    # Whether it was new; a StoreError where the store cannot take it now.
    answer: Future[bool] = field(default_factory=Future)


class Intake:
    """One thread at a time writes for all: of those that put something in line, the one that finds nobody writing.

    `on_storing` is called inside each commit that brings something new, `on_stored` after it, both with the connections that it
    came for.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        on_stored: Callable[[set[str]], None],
        on_storing: Callable[[Tx, set[str]], None] = lambda _tx, _connections: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_stored = on_stored
        self._on_storing = on_storing
        self._line: list[_Put] = []
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rests = threading.Condition(self._lock)
        self._writing = False
        self._open = False

    def start(self) -> None:
        """Begin to take deliveries."""
        with self._lock:
            self._open = True

    def stop(self) -> None:
        """Store what is in line, then take nothing more."""
        with self._lock:
            self._open = False
        self.write()
        with self._rests:
            while self._writing:
                self._rests.wait()

    @property
    def alive(self) -> bool:
        """Whether what is put in line will be stored."""
        return self._open

    def put(self, arrival: Arrival, *, old_secret: bool = False) -> Future[bool]:
        """Put a delivery in line, for `write`: its result comes after its commit, and says whether it was new."""
        put = _Put(arrival, old_secret)
        with self._lock:
            if self._open:
                self._line.append(put)
                return put.answer
        put.answer.set_exception(StoreError("webhooks are not taken any more: this program is ending"))
        return put.answer

    def write(self) -> None:
        """Write what is in line, and what comes meanwhile; where another thread does so already, leave it to that one."""
        with self._lock:
            if self._writing:
                return
            self._writing = True
        try:
            while batch := self._taken():
                self._write(batch)
        except BaseException:
            # Whatever it was, the next one that comes must not wait for a thread that is gone.
            with self._lock:
                self._writing = False
                self._rests.notify_all()
            raise

    def _taken(self) -> list[_Put]:
        """Take what is in line; rest where that is nothing, in one step, so that nobody leaves a delivery to one who goes."""
        with self._lock:
            batch, self._line = self._line[:_MOST], self._line[_MOST:]
            if not batch:
                self._writing = False
                self._rests.notify_all()
            return batch

    def refused(self, connection: str) -> None:
        """Count a refused delivery. It is written with the next good one: strangers must not make us write."""
        with self._lock:
            self._refused[connection] += 1

    def _write(self, batch: list[_Put]) -> None:
        try:
            with self._store.write() as tx:
                new = inbox.add(tx, [put.arrival for put in batch])
                self._count(tx, batch, new)
                fresh = {put.arrival.connection for put, is_new in zip(batch, new, strict=True) if is_new}
                if fresh:
                    self._on_storing(tx, fresh)
        except StoreError as error:
            _log.error("webhooks.not_stored", deliveries=len(batch), error=str(error))
            for put in batch:
                put.answer.set_exception(error)
            return
        except Exception as error:  # noqa: BLE001  # one delivery that cannot be kept must not take others with it
            if len(batch) > 1:
                for put in batch:
                    self._write([put])
                return
            _log.error("webhooks.not_kept", connection=batch[0].arrival.connection, error=type(error).__name__)
            batch[0].answer.set_exception(error)
            return
        if fresh:
            # Before the answers: somebody waits for what follows from a delivery, and nobody for its answer.
            try:
                self._on_stored(fresh)
            except Exception as error:  # noqa: BLE001  # it is stored; whoever is in line waits for this thread
                defects.tell(_log, "webhooks.not_nudged", error)
        for put, is_new in zip(batch, new, strict=True):
            put.answer.set_result(is_new)

    def _count(self, tx: Tx, batch: list[_Put], new: list[bool]) -> None:
        now = self._clock.now()
        counted = Counter(
            (put.arrival.connection, "received" if is_new else "repeated")
            for put, is_new in zip(batch, new, strict=True)
        )
        counted.update((put.arrival.connection, "old secret") for put in batch if put.old_secret)
        with self._lock:
            counted.update({(name, "refused"): n for name, n in self._refused.items()})
            self._refused.clear()
        planning.tally_all(
            tx, [(f"{name}/webhooks", what, number, None) for (name, what), number in sorted(counted.items())], at=now
        )
