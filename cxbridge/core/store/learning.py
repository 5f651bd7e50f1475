"""Learning what the values of a stream have in common, as a dictionary that packs them; who keeps it is `packing`'s matter."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b

import zstandard

# What the library's functions take.
Buffer = bytes | bytearray | memoryview

_DICTIONARY_SIZE = 32 * 1024
# Of so many bytes is each part that is taken over. The library would try several and take three times as long; what it finds packs
# real tickets, answers and made-up records at most 4 % smaller.
_SEGMENT = 1536
# Of so many bits is the table in which the library counts what comes again: by its own 20 it would take 6 MB, and twice as long, to
# find what packs no better.
_TABLE_BITS = 16
# A word must stand in so many of the samples to be learnt.
SHARED = 20
_WORDS = re.compile(rb"\w+|\W+")
# Ids below are kept for dictionaries that are known everywhere, and so are those of 31 bits and more.
_FIRST_ID, _END_OF_IDS = 1 << 15, 1 << 31


def learn(samples: Sequence[bytes], breathe: Callable[[], object] = lambda: None) -> bytes | None:
    """Make a dictionary of what many of the samples share; None where that is too little.

    `breathe` is called again and again, between two samples.
    """
    try:
        made = zstandard.train_dictionary(
            _DICTIONARY_SIZE, list[Buffer](shared(samples, breathe)), k=_SEGMENT, d=8, f=_TABLE_BITS
        ).as_bytes()
    except zstandard.ZstdError:
        return None
    # Named by all that is in it, its tables too: what is packed with one cannot be unpacked with another.
    return made[:4] + id_of(made).to_bytes(4, "little") + made[8:]


def id_of(content: bytes) -> int:
    """Give the id that belongs to a dictionary's content."""
    drawn = int.from_bytes(blake2b(content[8:], digest_size=8).digest())
    return _FIRST_ID + drawn % (_END_OF_IDS - _FIRST_ID)


def shared(samples: Sequence[bytes], breathe: Callable[[], object] = lambda: None) -> list[bytes]:
    """Leave of each sample only the words that stand in at least `SHARED` of them."""
    counts: Counter[bytes] = Counter()
    for sample in samples:
        counts.update(set(_WORDS.findall(sample)))
        breathe()
    common = {word for word, count in counts.items() if count >= SHARED}
    found = []
    for sample in samples:
        found.append(b"".join([word for word in _WORDS.findall(sample) if word in common]))
        breathe()
    return found
