"""Reads single entities that webhooks named, a few at a time; which those are, and what follows, is not decided here.

With several requests under way a storm of webhooks is read as fast as the connection's limits allow, and what they brought is one
commit.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial, reduce
from typing import Generic, TypeVar

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Client, ReadOne, Stream
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.pull import Prepared, Pulled, broke, prepare, store_page
from cxbridge.core.engine.soundness import blaming
from cxbridge.core.errors import (
    CxbridgeError,
    NotFound,
    PluginError,
    RateLimited,
    Retryable,
    Unauthorized,
    VendorError,
    Withheld,
)
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, Tx

_log = structlog.get_logger("cxbridge")

T = TypeVar("T")

# So many entities that cannot be read now mean that none can.
ENOUGH = 3
# After so many seconds no other one is begun: somebody waits for what follows from the first ones.
LONGEST = 0.25
# What became of one: None where the vendor does not show it (yet), or what reading it failed with.
Outcome = Pulled | VendorError | PluginError | None
# What belongs in the commit that stores entities; it is given their keys.
OnStored = Callable[[Tx, Collection[str]], None]


def read(
    store: Store,
    connection: Connection,
    stream: Stream,
    client: Client,
    clock: Clock,
    keys: Sequence[str],
    *,
    abreast: int = 1,
    stop: threading.Event | None = None,
    on_stored: OnStored | None = None,
    watched: Callable[[], AbstractContextManager[None]] = nullcontext,
    probe: Probe = no_probe,
) -> dict[str, Outcome]:
    """Read entities and what stands beside them: records and changes in one commit, no checkpoint moves.

    What the vendor tells of several at once is asked for first. Then up to `abreast` requests are under way at once; each thread
    that is made for one works inside `watched`. Ends early when it has taken `LONGEST` seconds since then, where the vendor cannot
    be asked now, or `stop` is set: what was not come to is left out. What an ordinary pull brings later of the same version changes
    nothing. Those that are stored together are counted together, by the outcome of the first of them.

    Raises:
        PluginError: the stream cannot read one. StoreError: nothing of it could be stored.
    """
    if stream.one is None:
        raise PluginError(
            connection.connector.name, f"stream {stream.name} of {connection.name} cannot read one entity"
        )
    one: ReadOne | VendorError = stream.one
    if stream.several is not None and len(keys) > 1:
        one = _together(connection, stream, client, keys) or one
    if isinstance(one, VendorError):
        return {keys[0]: one}
    fetch = partial(_fetch, connection, stream, client, one)
    until = clock.monotonic() + LONGEST

    def over(found: Iterable[object]) -> bool:
        # The first one is read whatever time it is: a round that reads nothing would be followed by another one.
        late = clock.monotonic() > until and any(True for _ in found)
        return late or (stop is not None and stop.is_set()) or is_down(found)

    readers = _Round(keys, fetch, over)
    fetched = readers.work(abreast, f"read {connection.name}", watched)
    outcomes: dict[str, Outcome] = {}
    # In the order in which they were asked for, whichever came first.
    pages = {key: page for key in keys if isinstance(page := fetched.get(key), Prepared)}
    if pages:
        probe("read.fetched")
        with store.write() as tx:
            # As one page: who stands around many of them is looked for and stored once.
            first, *others = pages
            nothing = Pulled(connection.name, stream.name)
            together = reduce(Prepared.then, pages.values())
            outcomes[first] = store_page(tx, connection, stream, together, clock.now(), nothing, judged=False)
            outcomes |= dict.fromkeys(others, nothing)
            if on_stored is not None:
                on_stored(tx, pages.keys())
            probe("read.stored")
        probe("read.committed")
    return outcomes | {key: one for key, one in fetched.items() if not isinstance(one, Prepared)}


class _Round(Generic[T]):
    """Some work for each of a few keys, several at once: whoever is free takes the next, until `over` says that it is enough."""

    def __init__(self, keys: Iterable[str], work: Callable[[str], T], over: Callable[[Iterable[T]], bool]) -> None:
        self._rest = deque(keys)
        self._work = work
        self._over = over
        self._done: dict[str, T] = {}
        self._failed: list[BaseException] = []
        self._lock = threading.Lock()

    def work(self, abreast: int, name: str, watched: Callable[[], AbstractContextManager[None]]) -> dict[str, T]:
        """Do it; gives what came of each key that was come to, or raises what the first one failed with."""
        taking_part = BATON.for_helpers()
        helpers: list[threading.Thread] = []

        def call_help() -> None:
            if len(helpers) < abreast - 1 and self._rest:
                # A connector's code that stands still must not keep the process from ending.
                helper = threading.Thread(target=copy_context().run, args=(help_too,), name=name, daemon=True)
                helpers.append(helper)
                helper.start()

        def help_too() -> None:
            with watched(), taking_part():
                key = self._next()
                if key is not None:
                    # One calls the next: where nothing is waited for, the first of them finds nothing left to do.
                    call_help()
                    self._go_on(key)

        # The thread that asked does its share, and all of it where one is read at a time.
        mine = self._next()
        if mine is not None:
            call_help()
            self._go_on(mine)
        with BATON.away():
            for helper in helpers:
                helper.join()
        if self._failed:
            raise self._failed[0]
        return self._done

    def _go_on(self, key: str | None) -> None:
        while key is not None:
            try:
                made = self._work(key)
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that asked
                with self._lock:
                    self._failed.append(error)
                return
            with self._lock:
                self._done[key] = made
            key = self._next()

    def _next(self) -> str | None:
        with self._lock:
            return None if self._failed or self._over(self._done.values()) or not self._rest else self._rest.popleft()


def _together(
    connection: Connection, stream: Stream, client: Client, keys: Sequence[str]
) -> ReadOne | VendorError | None:
    """Ask for several at once: how each is read then, why the vendor cannot be asked now, or None where one by one is better.

    What is wrong with one of many is found, and told, where each is read by itself.
    """
    told: CxbridgeError
    try:
        with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
            return stream.several(client, keys) if stream.several is not None else None
    except (VendorError, PluginError) as error:
        if isinstance(error, VendorError) and is_down([error]):
            return error
        told = error
    except CxbridgeError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a connector's code raises by mistake is told as the plugin's
        told = broke(connection, stream, error)
    _log.warning("read.one_by_one", connection=connection.name, stream=stream.name, error=str(told))
    return None


def _fetch(
    connection: Connection, stream: Stream, client: Client, one: ReadOne, key: str
) -> Prepared | VendorError | PluginError | None:
    try:
        with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
            found = one(client, key)
            return None if found is None else prepare(connection.connector.name, stream, found)
    except NotFound:
        return None
    except (VendorError, PluginError) as error:
        return error
    except CxbridgeError:
        # Of ours, such as another worker's turn: nothing about this entity.
        raise
    except Exception as error:  # noqa: BLE001  # whatever a connector's code raises by mistake is told as the plugin's
        told = broke(connection, stream, error)
        told.__cause__ = error
        return told


def is_down(outcomes: Iterable[object]) -> bool:
    """Whether the vendor is not to be asked for more now. One that fails may be that one alone; several are not."""
    failed = [one for one in outcomes if isinstance(one, Retryable | Withheld | Unauthorized)]
    return len(failed) >= ENOUGH or any(isinstance(one, RateLimited | Withheld | Unauthorized) for one in failed)
