"""Finding out whether a store takes a write, by one that leaves nothing; it is made only where nothing else tells."""

from cxbridge.core.errors import StoreError
from cxbridge.core.store import state
from cxbridge.core.store.engine import Store

_NAME = "probe"
# Seconds for which a write that went well says that the next one will.
FRESH = 60.0
# A full disk has room for a few bytes in a log that is there already: this has to grow something.
_ROOMY = 256 * 1024


def writable(store: Store) -> str:
    """Say what keeps the store from taking writes; nothing where it takes them.

    Costs nothing while others write. After a write that failed, only one that needs room, made here and taken away again, tells
    that it is over. Waits as long as a write waits.
    """
    if not store.writing:
        return "it was opened for reading"
    last = store.committed_at
    if not store.trouble and last is not None and store.clock.monotonic() - last < FRESH:
        return ""
    try:
        with store.write() as tx:
            state.meta_set(tx, _NAME, b"\0" * (_ROOMY if store.trouble else 1))
        with store.write() as tx:
            state.meta_set(tx, _NAME, None)
    except StoreError as error:
        return str(error).removeprefix(f"{store.place} ")
    store.trouble = ""
    return ""
