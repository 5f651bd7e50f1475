"""Bodies and payloads as they lie in the store, packed with a dictionary learnt from their like; what they say is not its matter.

What the records of a stream have in common stands in each of them once: with a dictionary they get several times smaller than by
packing each for itself. It is learnt from the first few hundred and kept in the store, in the commit of the first row that needs
it. It outlives those records: only words that many of them share go into it. A person who is in that many is still named there.

Format of a packed value: a Zstandard frame (RFC 8878) that names its dictionary. JSON never begins like one.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Literal

import sqlalchemy as sa
import zstandard
from sqlalchemy.engine import Connection

from cxbridge.core.errors import StoreError
from cxbridge.core.store import schema
from cxbridge.core.store.learning import Buffer, id_of, learn
from cxbridge.core.store.prepared import Prepared

What = Literal["body", "raw"]
Place = tuple[str, str, What]

# What each frame begins with, and the longest header of one, in bytes.
HEADER = 18
MAGIC = b"\x28\xb5\x2f\xfd"
# The table of dictionaries came with this revision; from it on programs read packed values.
SINCE = "0004"

_LEVEL = 3
# So many like values are learnt from.
SAMPLES = 500
# Where values are large, fewer are enough, and no more are kept in memory.
_SAMPLE_BYTES, _LEAST_SAMPLES = 4 << 20, 100
# Seconds of each pause in learning.
_BREATH = 0.001
# So many values of a page are packed in one call. From so many in all on it is worth a thread.
SLICE, _SLICE_BYTES, _LEAST_AHEAD = 100, 1 << 20, 201
# Up to so many values of a slice are packed one by one: many at once begin with 10 us, and let go of the interpreter.
_FEW = 20
# What is shorter is left as it is.
_WORTH = 64

_dictionaries = schema.dictionaries.c
_current = Prepared(
    sa.select(_dictionaries.stream, _dictionaries.what, _dictionaries.id).where(
        _dictionaries.connection == sa.bindparam("connection")
    )
)
_content = sa.select(_dictionaries.content).where(_dictionaries.id == sa.bindparam("id")).limit(1)


class Packs:
    """What a process knows of a store's dictionaries, for all its threads; what an id stands for never changes."""

    def __init__(self) -> None:
        self.packed = False
        self._known: dict[int, zstandard.ZstdCompressionDict] = {}
        self._samples: dict[Place, list[bytes]] = {}
        # Who learns, or has learnt, and what came of it; nothing where values have too little in common.
        self._learning: dict[Place, threading.Thread] = {}
        self._ready: dict[Place, bytes] = {}
        # What packs and unpacks serves one thread at a time. Those that nobody has in hand, by their dictionary.
        self._idle: dict[int, list[zstandard.ZstdCompressor]] = {}
        self._own = threading.local()
        self._lock = threading.Lock()

    def unpack(self, connection: Connection, value: bytes) -> bytes:
        """Give a value as it was before it was packed; one that was not comes back as it is.

        Raises:
            StoreError: it is damaged, or its dictionary is not there.
        """
        if value[:4] != MAGIC:
            return value
        try:
            ident = zstandard.get_frame_parameters(value).dict_id
            mine: dict[int, zstandard.ZstdDecompressor] = self._own.__dict__.setdefault("unpackers", {})
            if ident not in mine:
                mine[ident] = zstandard.ZstdDecompressor(dict_data=self.dictionary(connection, ident))
            return mine[ident].decompress(value)
        except zstandard.ZstdError as error:
            raise StoreError(f"a value in the store is damaged ({error}): restore a backup") from error

    def pack_each(self, values: Iterable[Buffer], dictionary: zstandard.ZstdCompressionDict | None) -> list[bytes]:
        """Pack a few values one by one, by one of the packers at hand: to make one takes longer than to pack a few."""
        idle = self._idle.setdefault(0 if dictionary is None else dictionary.dict_id(), [])
        try:
            packer = idle.pop()
        except IndexError:
            packer = _compressor(dictionary)
        packed = [packer.compress(value) for value in values]
        idle.append(packer)
        return packed

    def dictionary(self, connection: Connection, ident: int) -> zstandard.ZstdCompressionDict | None:
        """Give a dictionary, which any number of threads may pack and unpack with; None where `ident` is 0.

        Raises:
            StoreError: it is not there.
        """
        if not ident:
            return None
        known = self._known.get(ident)
        if known is None:
            content = connection.scalar(_content, {"id": ident})
            if content is None:
                raise StoreError(
                    f"the dictionary {ident}, which values in the store are packed with, is not there: restore a backup"
                )
            known = zstandard.ZstdCompressionDict(bytes(content))
            known.precompute_compress(level=_LEVEL)
            self._known[ident] = known
        return known

    def learnt(self, place: Place, values: Iterable[Buffer]) -> bytes | None:
        """Give the dictionary of a stream that was learnt from these values and those met before; None where there is none yet.

        From a page that is enough by itself it is learnt at once. From what comes bit by bit it is learnt beside the work that goes
        on, and given the next time: that takes a tenth of a second, in which nobody could write.
        """
        with self._lock:
            if place in self._learning:
                learning = self._learning[place]
                if learning.is_alive():
                    return None
                return self._ready.get(place)
            kept = self._samples.setdefault(place, [])
            met = len(kept)
            size = sum(map(len, kept))
            for value in values:
                if len(kept) >= SAMPLES or size >= _SAMPLE_BYTES:
                    break
                # A copy: what is looked into is larger, and would stay until enough have come.
                kept.append(bytes(value))
                size += len(value)
            if len(kept) < (_LEAST_SAMPLES if size >= _SAMPLE_BYTES else SAMPLES):
                return None
            thread = threading.Thread(
                target=self._learn,
                args=(place, self._samples.pop(place)),
                kwargs={"aside": bool(met)},
                name=f"dictionary of {place[1]}",
                daemon=True,
            )
            self._learning[place] = thread
            thread.start()
        if not met:
            thread.join()
        return self._ready.get(place)

    def _learn(self, place: Place, samples: Sequence[bytes], *, aside: bool) -> None:
        # The interpreter runs one thread at a time: without pauses the others would stand still for a quarter of a second.
        breathe = partial(threading.Event().wait, _BREATH) if aside else lambda: None
        content = learn(samples, breathe)
        if content is not None:
            self._ready[place] = content


class Packer:
    """Packs values of one of the store's connections, in a transaction that writes."""

    def __init__(self, packs: Packs, connection: Connection, name: str) -> None:
        self._packs = packs
        self._connection = connection
        self._name = name
        packs.packed = packs.packed or is_packed(connection)
        rows = _current.rows(connection, {"connection": name}) if packs.packed else ()
        self._ids: dict[tuple[str, str], int] = {(stream, what): ident for stream, what, ident in rows}

    def learn(self, stream: str, what: What, values: Iterable[Buffer]) -> None:
        """Let the values of a page be learnt from, before they are packed; nothing where the stream has its dictionary."""
        if not self._packs.packed or (stream, what) in self._ids:
            return
        content = self._packs.learnt((self._name, stream, what), values)
        if content is None:
            return
        ident = id_of(content)
        there = self._connection.scalar(_content, {"id": ident})
        if there is not None and bytes(there) != content:
            # Of two thousand million ids somebody else's. The next process learns anew.
            return
        row = {"connection": self._name, "stream": stream, "what": what, "id": ident, "content": content}
        self._connection.execute(sa.insert(schema.dictionaries), row)
        self._ids[stream, what] = ident

    def pack(self, stream: str, what: What, value: bytes) -> bytes:
        """Give a value as it is to lie in the store."""
        if value[:4] != MAGIC and (len(value) < _WORTH or not self._packs.packed):
            return value
        [packed] = self._packs.pack_each([value], self._dictionary(stream, what))
        # What begins like a packed value must be one.
        return packed if len(packed) < len(value) or value[:4] == MAGIC else value

    def batch(self) -> "Batch":
        """Begin to gather values that are packed together, with the dictionaries that are known by now."""
        return Batch(self._packs, self._dictionary)

    def _dictionary(self, stream: str, what: What) -> zstandard.ZstdCompressionDict | None:
        return self._packs.dictionary(self._connection, self._ids.get((stream, what), 0))

    def is_current(self, stream: str, what: What, value: bytes) -> bool:
        """Whether packing a stored value anew would gain nothing."""
        if value[:4] != MAGIC:
            return len(value) < _WORTH
        return zstandard.get_frame_parameters(value).dict_id == self._ids.get((stream, what), 0)


class Batch:
    """The values of a page, packed slice by slice: when they are asked for, or before, by a thread that works ahead meanwhile.

    The library packs a slice without the interpreter's lock, as SQLite stores one: with a second core that costs no time.
    """

    def __init__(self, packs: Packs, dictionary: Callable[[str, What], zstandard.ZstdCompressionDict | None]) -> None:
        self._packs = packs
        self._dictionary = dictionary
        self._slices: list[_Slice] = []

    def add(self, what: What, values: Iterable[tuple[str, Buffer]]) -> Iterator[Buffer]:
        """Take values by their streams, in the order in which they will be asked for; gives them as they are to be stored."""
        slices = []
        for stream, some in groupby(values, itemgetter(0)):
            like = [value for _, value in some]
            dictionary = self._dictionary(stream, what) if self._packs.packed else None
            slices += [_Slice(part, self._packs, dictionary) for part in _cut(like)]
        self._slices += slices
        return chain.from_iterable(one.take(self._help) for one in slices)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Have them packed meanwhile, where there are many; ends with the block, whatever was not asked for."""
        if sum(map(len, self._slices)) < _LEAST_AHEAD:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._work, args=(over,), name="packing", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _help(self) -> None:
        """Pack what the thread ahead would come to last, rather than wait for what it is at."""
        for one in reversed(self._slices):
            if one.begin():
                return

    def _work(self, over: threading.Event) -> None:
        for one in self._slices:
            if over.is_set():
                return
            one.begin()


def _cut(values: Sequence[Buffer]) -> Iterator[list[Buffer]]:
    """Cut values into slices: of so many, or of fewer where they are large, since the library wants as much room again."""
    part: list[Buffer] = []
    size = 0
    for value in values:
        if part and (len(part) == SLICE or size + len(value) > _SLICE_BYTES):
            yield part
            part, size = [], 0
        part.append(value)
        size += len(value)
    if part:
        yield part


class _Slice:
    """Values that are packed in one go, by whichever thread is the first to want them."""

    __slots__ = ("_claim", "_dictionary", "_done", "_found", "_packs", "_values")

    def __init__(self, values: list[Buffer], packs: Packs, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self._values, self._packs, self._dictionary = values, packs, dictionary
        self._claim, self._done = threading.Lock(), threading.Event()
        self._found: list[Buffer] | Exception = []

    def __len__(self) -> int:
        return len(self._values)

    def begin(self) -> bool:
        """Pack them, unless somebody does or did; tells whether it was done here."""
        if not self._claim.acquire(blocking=False):
            return False
        try:
            self._found = _pack_all(self._values, self._packs, self._dictionary)
        except Exception as error:  # noqa: BLE001  # raised where they are asked for
            self._found = error
        self._values = []
        self._done.set()
        return True

    def take(self, meanwhile: Callable[[], None]) -> list[Buffer]:
        """Give them packed, once; `meanwhile` is done before another thread is waited for.

        Raises:
            ZstdError: as the library did.
        """
        if not self.begin() and not self._done.is_set():
            meanwhile()
            self._done.wait()
        found, self._found = self._found, []
        if isinstance(found, Exception):
            raise found
        return found


def _pack_all(values: list[Buffer], packs: Packs, dictionary: zstandard.ZstdCompressionDict | None) -> list[Buffer]:
    """Pack like values as `Packer.pack` does each, many of them in one call of the library."""
    places = [
        place for place, value in enumerate(values) if value[:4] == MAGIC or (packs.packed and len(value) >= _WORTH)
    ]
    chosen: list[Buffer] = [values[place] for place in places]
    found = values.copy()
    some: Iterable[bytes] = ()
    if len(places) > _FEW:
        segments = _compressor(dictionary).multi_compress_to_buffer(chosen)
        some = (segments[number].tobytes() for number in range(len(places)))
    elif places:
        some = packs.pack_each(chosen, dictionary)
    for place, small in zip(places, some, strict=True):
        if len(small) < len(values[place]) or values[place][:4] == MAGIC:
            found[place] = small
    return found


def _compressor(dictionary: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=_LEVEL, dict_data=dictionary, write_checksum=False)


def is_packed(connection: Connection) -> bool:
    """Whether values may be packed: no program from before that can work on the store. Never taken back."""
    mark = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == schema.OLDEST))
    return mark is not None and bytes(mark).decode() >= SINCE


def names(head: bytes) -> set[int]:
    """Give the id of the dictionary that a value is packed with, by its first `HEADER` bytes; nothing where it needs none."""
    if head[:4] != MAGIC:
        return set()
    try:
        return {zstandard.get_frame_parameters(head).dict_id} - {0}
    except zstandard.ZstdError:
        # Damage is told by whoever reads the value.
        return set()
