"""Reads single entities that webhooks named, a few at a time; which those are, and what follows, is not decided here.

With several requests under way a storm of webhooks is read as fast as the connection's limits allow, and what they brought is one
commit.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Client, Stream
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
from cxbridge.core.store import Store, Tx

T = TypeVar("T")

# So many entities that cannot be read now mean that none can.
ENOUGH = 3
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

    Up to `abreast` requests are under way at once; each thread that is made for one works inside `watched`. Ends early where the
    vendor cannot be asked now, or `stop` is set: what was not come to is left out. What an ordinary pull brings later of the same
    version changes nothing.

    Raises:
        PluginError: the stream cannot read one. StoreError: nothing of it could be stored.
    """
    if stream.one is None:
        raise PluginError(
            connection.connector.name, f"stream {stream.name} of {connection.name} cannot read one entity"
        )
    fetched: dict[str, Prepared | VendorError | PluginError | None] = {}
    for start in range(0, len(keys), abreast):
        if (stop is not None and stop.is_set()) or is_down(fetched.values()):
            break
        few = keys[start : start + abreast]
        fetched |= _side_by_side(few, partial(_fetch, connection, stream, client), f"read {connection.name}", watched)
    outcomes: dict[str, Outcome] = {}
    pages = {key: page for key, page in fetched.items() if isinstance(page, Prepared)}
    if pages:
        probe("read.fetched")
        with store.write() as tx:
            for key, page in pages.items():
                nothing = Pulled(connection.name, stream.name)
                outcomes[key] = store_page(tx, connection, stream, page, clock.now(), nothing, judged=False)
            if on_stored is not None:
                on_stored(tx, pages.keys())
            probe("read.stored")
        probe("read.committed")
    return outcomes | {key: one for key, one in fetched.items() if not isinstance(one, Prepared)}


def _side_by_side(
    keys: Sequence[str], work: Callable[[str], T], name: str, watched: Callable[[], AbstractContextManager[None]]
) -> dict[str, T]:
    """Do some work for each of a few keys at once, and raise what it failed with where it did."""
    done: dict[str, T] = {}
    failed: list[BaseException] = []

    def do(key: str) -> None:
        try:
            done[key] = work(key)
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that asked
            failed.append(error)

    def do_watched(key: str) -> None:
        with watched():
            do(key)

    # A connector's code that stands still must not keep the process from ending.
    others = [
        threading.Thread(target=copy_context().run, args=(do_watched, key), name=name, daemon=True) for key in keys[1:]
    ]
    for other in others:
        other.start()
    # The thread that asked does its share, and all of it where one is read at a time.
    do(keys[0])
    for other in others:
        other.join()
    if failed:
        raise failed[0]
    return {key: done[key] for key in keys}


def _fetch(
    connection: Connection, stream: Stream, client: Client, key: str
) -> Prepared | VendorError | PluginError | None:
    try:
        with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
            found = stream.one(client, key) if stream.one is not None else None
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
