"""Holding leases of the store while something is done under them; what that is, it does not know."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from cxbridge.core.clock import Clock
from cxbridge.core.errors import StoreError, Withheld
from cxbridge.core.store import Store, Tx, leases
from cxbridge.core.store.leases import Lease

# How long a lease lasts that is not renewed: so long after a worker has died, another one takes over at the earliest.
LASTING = timedelta(seconds=12)
# So much earlier its holder stops by itself: it has counted from before it asked, and what it does then takes a moment.
_MARGIN = 3.0
# How often leases are renewed, in seconds.
RENEWED_EVERY = 1.0


def of_connection(connection: str) -> str:
    """Name the lease without which nobody speaks to a connection."""
    return f"connection:{connection}"


@dataclass(slots=True)
class Held:
    """A lease as its holder sees it: good until then by the monotonic clock, or lost."""

    lease: Lease
    good_until: float
    lost: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Holder:
    """The leases of one process. `worker` is its name, which no other process has."""

    store: Store
    clock: Clock
    worker: str
    _held: dict[str, Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str) -> Held | None:
        """Take a lease; None where another process has it.

        Raises:
            StoreError: the database cannot be written now.
        """
        begun = self.clock.monotonic()
        with self.store.aside() as tx:
            lease = leases.take(tx, name, self.worker, LASTING)
        if lease is None:
            return None
        held = Held(lease, begun + LASTING.total_seconds() - _MARGIN)
        with self._lock:
            self._held[name] = held
        return held

    def renew(self) -> None:
        """Let all of them last on; one that was taken over meanwhile is lost.

        Raises:
            StoreError: the database cannot be written now; they last as long as they did.
        """
        with self._lock:
            mine = list(self._held.values())
        if not mine:
            return
        begun = self.clock.monotonic()
        with self.store.aside() as tx:
            kept = leases.renew(tx, [held.lease for held in mine], LASTING)
        for held in mine:
            if held.lease.name in kept:
                held.good_until = begun + LASTING.total_seconds() - _MARGIN
            else:
                held.lost.set()

    def let_go(self, held: Held) -> None:
        """Give a lease back, so that another process need not wait for its end.

        Raises:
            StoreError: the database cannot be written now; it lapses by itself.
        """
        with self._lock:
            if self._held.get(held.lease.name) is held:
                del self._held[held.lease.name]
        held.lost.set()
        with self.store.aside() as tx:
            leases.let_go(tx, held.lease)

    def guard(self, held: Held) -> Callable[[Tx], None]:
        """Give what each write transaction under a lease begins with, see `Store.under`."""

        def check(tx: Tx) -> None:
            try:
                leases.check(tx, held.lease)
            except leases.LostLeaseError:
                held.lost.set()
                raise

        return check

    def may_send(self, connection: str) -> None:
        """See that this process may speak to a connection at this moment; called before each request.

        A process that stood still, or cannot reach the database, does not know that it was given up: it goes by its own clock.

        Raises:
            Withheld: it may not, or may not any more.
        """
        with self._lock:
            held = self._held.get(of_connection(connection))
        if held is None or held.lost.is_set() or self.clock.monotonic() >= held.good_until:
            raise Withheld("another worker may be speaking to it by now", connection=connection, sent=False)


@contextmanager
def holding(
    store: Store, clock: Clock, connections: Sequence[str], who: str, worker: str
) -> Iterator[Callable[[str], None] | None]:
    """Be the one process that speaks to these connections; gives what is to be asked before each request, if anything.

    On SQLite one process has all of them. On PostgreSQL each is taken by its lease, which this process keeps renewing.

    Raises:
        StoreError: another process has one of them.
    """
    if store.dialect == "sqlite":
        with store.alone(who):
            yield None
        return
    holder = Holder(store, clock, worker)
    taken: list[Held] = []
    over = threading.Event()

    def keep() -> None:
        while not clock.wait(RENEWED_EVERY, over):
            # Not renewed, they lapse, and `may_send` says so.
            try:
                holder.renew()
            except StoreError:
                continue

    def still_held(tx: Tx) -> None:
        for held in taken:
            leases.check(tx, held.lease)

    try:
        for connection in connections:
            held = holder.take(of_connection(connection))
            if held is None:
                raise StoreError(
                    f"a running worker speaks to {connection} at the moment; only one process at a time may: let it do the work, "
                    "or try again when it is idle"
                )
            taken.append(held)
        thread = threading.Thread(target=keep, name="leases", daemon=True)
        thread.start()
        try:
            with store.under(still_held):
                yield holder.may_send
        finally:
            over.set()
            thread.join()
    finally:
        for held in taken:
            holder.let_go(held)
