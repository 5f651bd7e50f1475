"""Reads single entities that webhooks named, a few at a time; which those are, and what follows, is not decided here.

With several requests under way a storm of webhooks is read as fast as the connection's limits allow, and what they brought is one
commit.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import reduce
from typing import Generic, TypeVar

from cxbridge.core.baton import BATON
from cxbridge.core.canonical import KIND_OF
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Client, ReadOne, Stream
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.pull import Prepared, Pulled, broke, prepare, store_page
from cxbridge.core.engine.soundness import Unsound, blaming
from cxbridge.core.engine.tempo import Tempo
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

K = TypeVar("K")
T = TypeVar("T")

# So many entities that cannot be read now mean that none can.
ENOUGH = 3
# After so many seconds no other one is begun: somebody waits for what follows from the first ones.
LONGEST = 0.25
# What became of one: None where the vendor does not show it (yet), or what reading it failed with.
Outcome = Pulled | VendorError | PluginError | None
_Fetched = Prepared | VendorError | PluginError | None
# The key of an entity, and whether what stands beside it is meant and not itself.
_Part = tuple[str, bool]
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
    tempo: Tempo | None = None,
    probe: Probe = no_probe,
) -> dict[str, Outcome]:
    """Read entities and what stands beside them: records and changes in one commit, no checkpoint moves.

    What the vendor tells of several at once is asked for first. Then up to `abreast` requests are under way at once, of a vendor
    that takes its time by `tempo` an entity and what stands beside it, too; each thread that is made works inside `watched`. Ends
    early when it has taken `LONGEST` seconds since then, where the vendor cannot be asked now, or `stop` is set: what was not come
    to is left out. What an ordinary pull brings later of the same version changes nothing. Those that are stored together are
    counted together, by the outcome of the first of them.

    Raises:
        PluginError: the stream cannot read one. StoreError: nothing of it could be stored.
    """
    asking = _Asking(connection, stream, client, clock, tempo or Tempo(), stop)
    fetched = asking.ask(keys, abreast, watched)
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


def heard(connection: Connection, name: str, listened: Collection[tuple[str, str]]) -> Stream:
    """Give a stream without what stands beside its entities, where nobody listens to any of that.

    A request for each of them would be made for nobody; pulls bring it in time. `listened` are connections and kinds.
    """
    stream = connection.streams[name]
    beside = [connection.streams.get(one) for one in stream.beside_streams]
    for one in beside or [None]:
        # What it gives is not told, or told wrong.
        if one is None or any((connection.name, KIND_OF[struct]) in listened for struct in one.kinds):
            return stream
    return replace(stream, beside=None)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks a vendor for some entities of a stream, and stores nothing."""

    connection: Connection
    stream: Stream
    client: Client
    clock: Clock
    tempo: Tempo
    stop: threading.Event | None

    def ask(
        self, keys: Sequence[str], abreast: int, watched: Callable[[], AbstractContextManager[None]]
    ) -> dict[str, _Fetched]:
        """Give what came of each that was come to.

        Raises:
            PluginError: the stream cannot read one.
        """
        stream, name = self.stream, self.connection.name
        if stream.one is None:
            raise PluginError(self.connection.connector.name, f"stream {stream.name} of {name} cannot read one entity")
        together: ReadOne | None = None
        if stream.several is not None and len(keys) > 1:
            told = _together(self.connection, stream, self.client, keys)
            if isinstance(told, VendorError):
                return {keys[0]: told}
            together = told
        # What is known of each already is not waited for.
        apart = stream.beside is not None and together is None and abreast > 1 and not self.tempo.is_quick
        itself = together or stream.one

        def fetch(part: _Part) -> _Fetched:
            key, aside = part
            wanted = [] if aside else [itself]
            if stream.beside is not None and (aside or not apart):
                wanted.append(stream.beside)
            began = self.clock.monotonic()
            found = _fetch(self.connection, stream, self.client, wanted, key)
            asked = len(wanted) - (together is not None)
            if asked and isinstance(found, Prepared):
                self.tempo.note((self.clock.monotonic() - began) / asked)
            return found

        until = self.clock.monotonic() + LONGEST

        def over(found: Iterable[object], part: _Part) -> bool:
            # The first one is read whatever time it is: a round that reads nothing would be followed by another one. So is the
            # other half of one that is begun.
            late = not part[1] and self.clock.monotonic() > until and any(True for _ in found)
            return late or (self.stop is not None and self.stop.is_set()) or is_down(found)

        parts = [(key, aside) for key in keys for aside in ((False, True) if apart else (False,))]
        done = _Round(parts, fetch, over, abreast=abreast, name=f"read {name}", watched=watched).work()
        return _joined(done) if apart else {key: found for (key, _), found in done.items()}


def _joined(halves: Mapping[_Part, _Fetched]) -> dict[str, _Fetched]:
    """Put both halves of each entity together; what is shown, and whose other half was not come to, is left out."""
    found: dict[str, _Fetched] = {}
    for (key, aside), half in halves.items():
        if aside:
            continue
        if not isinstance(half, Prepared):
            found[key] = half
        elif (key, True) in halves:
            other = halves[key, True]
            found[key] = half.then(other) if isinstance(other, Prepared) else other or half
    return found


class _Round(Generic[K, T]):
    """Some work for each of a few parts, several at once: whoever is free takes the next, until `over` says that it is enough."""

    def __init__(
        self,
        parts: Iterable[K],
        work: Callable[[K], T],
        over: Callable[[Iterable[T], K], bool],
        *,
        abreast: int,
        name: str,
        watched: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._rest = deque(parts)
        self._work = work
        self._over = over
        # How many may help, what they are called, and what each works inside.
        self._most = abreast - 1
        self._name = name
        self._watched = watched
        self._taking_part = BATON.for_helpers()
        self._helpers: list[threading.Thread] = []
        self._done: dict[K, T] = {}
        self._failed: list[BaseException] = []
        self._lock = threading.Lock()

    def work(self) -> dict[K, T]:
        """Do it; gives what came of each part that was come to, or raises what the first one failed with."""
        # The thread that asked does its share, and all of it where one is read at a time.
        mine = self._next()
        if mine is not None:
            self._call_help()
            self._go_on(mine)
        if self._helpers:
            with BATON.away():
                for helper in self._helpers:
                    helper.join()
        if self._failed:
            raise self._failed[0]
        return self._done

    def _call_help(self) -> None:
        if len(self._helpers) < self._most and self._rest:
            # A connector's code that stands still must not keep the process from ending.
            helper = threading.Thread(target=copy_context().run, args=(self._help_too,), name=self._name, daemon=True)
            self._helpers.append(helper)
            helper.start()

    def _help_too(self) -> None:
        with self._watched(), self._taking_part():
            part = self._next()
            if part is not None:
                # One calls the next: where nothing is waited for, the first of them finds nothing left to do.
                self._call_help()
                self._go_on(part)

    def _go_on(self, part: K | None) -> None:
        while part is not None:
            try:
                made = self._work(part)
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that asked
                with self._lock:
                    self._failed.append(error)
                return
            with self._lock:
                self._done[part] = made
            part = self._next()

    def _next(self) -> K | None:
        with self._lock:
            if self._failed or not self._rest or self._over(self._done.values(), self._rest[0]):
                return None
            return self._rest.popleft()


def _together(
    connection: Connection, stream: Stream, client: Client, keys: Sequence[str]
) -> ReadOne | VendorError | None:
    """Ask for several at once: how each is read then, why the vendor cannot be asked now, or None where one by one is better.

    What is wrong with one of many is found, and told, where each is read by itself.
    """
    told: CxbridgeError
    try:
        with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
            read_one = stream.several(client, keys) if stream.several is not None else None
        if read_one is not None and not callable(read_one):
            raise Unsound(f"it gave {type(read_one).__name__} where a function was expected")
        return read_one
    except (VendorError, PluginError) as error:
        if isinstance(error, VendorError) and is_down([error]):
            return error
        told = error
    except CxbridgeError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a connector's code raises by mistake is told as the plugin's
        told = broke(connection, stream, error)
    # A vendor that fails is told of by whoever asks next.
    level = "debug" if isinstance(told, Retryable) else "warning"
    getattr(_log, level)("read.one_by_one", connection=connection.name, stream=stream.name, error=str(told))
    return None


def _fetch(connection: Connection, stream: Stream, client: Client, parts: Iterable[ReadOne], key: str) -> _Fetched:
    """Read one entity by its parts, the first of which says whether it is shown at all."""
    made: Prepared | None = None
    try:
        for read_part in parts:
            found = _shown(connection, stream, client, read_part, key)
            if found is None and made is None:
                return None
            if found is not None:
                made = found if made is None else made.then(found)
    except (VendorError, PluginError) as error:
        return error
    except CxbridgeError:
        # Of ours, such as another worker's turn: nothing about this entity.
        raise
    except Exception as error:  # noqa: BLE001  # whatever a connector's code raises by mistake is told as the plugin's
        told = broke(connection, stream, error)
        told.__cause__ = error
        return told
    return made


def _shown(connection: Connection, stream: Stream, client: Client, read_part: ReadOne, key: str) -> Prepared | None:
    with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
        try:
            found = read_part(client, key)
        except NotFound:
            return None
        return None if found is None else prepare(connection.connector.name, stream, found)


def is_down(outcomes: Iterable[object]) -> bool:
    """Whether the vendor is not to be asked for more now. One that fails may be that one alone; several are not."""
    failed = [one for one in outcomes if isinstance(one, Retryable | Withheld | Unauthorized)]
    return len(failed) >= ENOUGH or any(isinstance(one, RateLimited | Withheld | Unauthorized) for one in failed)
