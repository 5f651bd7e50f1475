"""Stores deliveries before their senders are answered: all that wait at a moment share one commit; judges none of them."""

import queue
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

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
    """One thread that writes for all.

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
        self._line: queue.SimpleQueue[_Put | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._open = False

    def start(self) -> None:
        """Begin to write."""
        with self._lock:
            self._open = True
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Store what is in line, then take nothing more."""
        with self._lock:
            self._open = False
        if self._thread is not None:
            self._line.put(None)
            self._thread.join()
            self._thread = None

    @property
    def alive(self) -> bool:
        """Whether what is put in line will be stored."""
        return self._thread is not None and self._thread.is_alive()

    def put(self, arrival: Arrival, *, old_secret: bool = False) -> Future[bool]:
        """Put a delivery in line: its result comes after its commit, and says whether it was new."""
        put = _Put(arrival, old_secret)
        with self._lock:
            if self._open:
                self._line.put(put)
                return put.answer
        put.answer.set_exception(StoreError("webhooks are not taken any more: this program is ending"))
        return put.answer

    def refused(self, connection: str) -> None:
        """Count a refused delivery. It is written with the next good one: strangers must not make us write."""
        with self._lock:
            self._refused[connection] += 1

    def _work(self) -> None:
        ending = False
        while not ending:
            batch: list[_Put] = []
            put = self._line.get()
            while put is not None:
                batch.append(put)
                if len(batch) == _MOST or self._line.empty():
                    break
                put = self._line.get()
            ending = put is None
            if batch:
                self._write(batch)

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
        for put, is_new in zip(batch, new, strict=True):
            put.answer.set_result(is_new)
        if fresh:
            self._on_stored(fresh)

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
        for (name, what), number in sorted(counted.items()):
            planning.tally(tx, f"{name}/webhooks", what, at=now, n=number)
