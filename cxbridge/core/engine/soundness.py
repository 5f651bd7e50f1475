"""What may come out of a connector's code: typed, bounded and not in circles; whatever else comes is named as the plugin's fault.

A plugin runs in our process, so that nothing here protects from one that means harm: it keeps a mistake to the stream it is in.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b

import msgspec

from cxbridge.core.connector import Identity, Page, Receipt, Rows
from cxbridge.core.errors import PluginError, WireFormat
from cxbridge.core.ledger import Incoming

# More in one page is one commit that keeps every other writer waiting, and memory that nobody bounded.
MOST_ON_A_PAGE = 100_000
# The bytes of a page as it is stored, vendor's payloads among them: twice what a vendor's answer may hold.
LARGEST_PAGE = 128 * 1024 * 1024
LARGEST_CURSOR = 1024 * 1024
# A vendor that goes in circles repeats itself within three pages.
MEMORY = 3
# With new cursors each time the same page may come twice in honesty, at the end of an export; not over and over.
MOST_REPEATED = 3
# Streams that go through many places give an empty page for each; nobody has this many.
MOST_EMPTY = 10_000


class Unsound(Exception):
    """A plugin gave what nobody can use; the sentence is ours and shows nothing of what it gave."""


@contextmanager
def blaming(plugin: str, what: str) -> Iterator[None]:
    """Let a plugin end what it was asked for, and not the thread that asked: an exit of its own is an error of its own.

    Raises:
        PluginError: the plugin asked to end the program, or raised what only ends generators.
    """
    try:
        yield
    except (SystemExit, GeneratorExit) as error:
        raise PluginError(plugin, f"{what} tried to end the program ({type(error).__name__})") from error
    except KeyboardInterrupt as error:
        # A person's reaches the main thread alone.
        if threading.current_thread() is threading.main_thread():
            raise
        raise PluginError(plugin, f"{what} tried to end the program (KeyboardInterrupt)") from error


def page_of(given: object) -> Page:
    """Give what a stream yielded, if it is a page.

    Raises:
        Unsound: it is something else, or too large.
    """
    if not isinstance(given, Page):
        raise Unsound(f"it yielded {type(given).__name__} where a Page was expected")
    for held, name in ((given.entities, "entities"), (given.deleted, "deleted"), (given.raw, "raw")):
        _listed(held, name)
    _listed(given.refused, "refused")
    if not all(isinstance(one, str) for one in (*given.deleted, *given.refused)):
        raise Unsound("the page's deleted and refused must be texts")
    count = len(given.entities) + len(given.deleted) + len(given.refused)
    for beside, entities in given.beside.items():
        _listed(entities, f"beside {beside!r}")
        count += len(entities)
    for name, rows in given.rows.items():
        if not isinstance(rows, Rows):
            raise Unsound(f"the page's rows of {name!r} must be Rows")
        _listed(rows.raw, f"rows of {name!r}")
        count += len(rows.raw)
    bound(count, 0)
    return given


def bound(count: int, size: int) -> None:
    """Let as many records, of so many bytes as they are stored, be on one page.

    Raises:
        Unsound: they are too many, or too large together.
    """
    if count > MOST_ON_A_PAGE:
        raise Unsound(
            f"a page holds {count} records, and at most {MOST_ON_A_PAGE} may come at once: yield smaller pages"
        )
    if size > LARGEST_PAGE:
        raise Unsound(f"a page holds {size >> 20} MiB, and at most {LARGEST_PAGE >> 20} may come at once")


def size_of(items: Sequence[Incoming]) -> int:
    """Count the bytes of records as they are stored, vendor's payloads among them."""
    return sum(len(item.body) + len(item.raw or b"") for item in items)


def _listed(held: object, name: str) -> None:
    # What can only be gone through once, or without end, is no list.
    if not isinstance(held, Sequence) or isinstance(held, (str, bytes, bytearray)):
        raise Unsound(f"the page's {name} must be a list")


class Walk:
    """Follows one walk of a stream, page by page, and tells one that moves from one that goes in circles.

    It remembers a few digests, whatever a walk's length.
    """

    def __init__(self, connection: str, stream: str) -> None:
        self._connection, self._stream = connection, stream
        self._pages: deque[tuple[bytes, bytes]] = deque(maxlen=MEMORY)
        self._repeated = self._empty = 0

    def passes(self, cursor: object, items: Sequence[Incoming], deleted: Sequence[str], refused: Sequence[str]) -> None:
        """Let a page pass that may be stored.

        Raises:
            WireFormat: the pages go in circles, or bring nothing over and over. Unsound: the page or its cursor is too large.
        """
        bound(len(items), size_of(items))
        try:
            place = msgspec.json.encode(cursor, order="deterministic")
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unsound("a cursor cannot be written as JSON") from error
        if len(place) > LARGEST_CURSOR:
            raise Unsound(f"a cursor holds {len(place) >> 10} KiB, and at most {LARGEST_CURSOR >> 10} are kept")
        here = (blake2b(place, digest_size=16).digest(), _digest(items, deleted, refused))
        bare = not (items or deleted or refused)
        # A stream of several parts may have nothing to say of two of them.
        if here in self._pages if not bare else self._pages.count(here) == MEMORY - 1:
            raise self._circling("the vendor gave a page that was just read")
        self._repeated = self._repeated + 1 if not bare and any(here[1] == one[1] for one in self._pages) else 0
        if self._repeated >= MOST_REPEATED:
            raise self._circling("the same records come again and again, under new cursors")
        self._empty = self._empty + 1 if bare else 0
        if self._empty >= MOST_EMPTY:
            raise self._circling(f"{self._empty} pages in a row were empty")
        self._pages.append(here)

    def _circling(self, told: str) -> WireFormat:
        return WireFormat(
            f"the pages go in circles: {told}", connection=self._connection, operation=f"stream {self._stream}"
        )


def _digest(items: Sequence[Incoming], deleted: Sequence[str], refused: Sequence[str]) -> bytes:
    made = blake2b(digest_size=16)
    for item in items:
        made.update(f"{item.stream}\0{item.key}\0".encode(errors="surrogatepass"))
        made.update(item.digest)
    for one in (*deleted, "\0", *refused):
        made.update(one.encode(errors="surrogatepass") + b"\0")
    return made.digest()


def receipt_of(given: object) -> Receipt:
    """Give what an action answered, if it can be kept.

    Raises:
        Unsound: it is no receipt, or holds what cannot be stored.
    """
    if not isinstance(given, Receipt):
        raise Unsound(f"it gave {type(given).__name__} where a Receipt was expected")
    try:
        msgspec.json.encode(dict(given.wrote))
        # For its looks alone: the values stay as the connector gave them.
        msgspec.convert(msgspec.to_builtins(given), Receipt)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unsound("it gave a receipt that cannot be kept") from error
    return given


def identity_of(given: object) -> Identity:
    """Give what a check answered, if it is an identity.

    Raises:
        Unsound: it is something else.
    """
    if not isinstance(given, Identity):
        raise Unsound(f"it gave {type(given).__name__} where an Identity was expected")
    try:
        return msgspec.convert(msgspec.to_builtins(given), Identity)
    except (msgspec.MsgspecError, TypeError) as error:
        raise Unsound("it gave an identity that cannot be shown") from error
