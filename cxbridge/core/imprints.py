"""Imprints: by them a record's bytes are known again, so that what is stored already need not be mapped anew; pure, no store.

An imprint stands for the vendor's bytes, for the mapping that they went through and for the version that came of it. Whoever
changes one of the three makes it another. It is stored beside the record; one that is missing or old costs a mapping, no more.

Its function is quick rather than cryptographic, which takes a fifteenth off a first pull and a quarter off the next one: two texts
that somebody made up to look alike would have to bear the same time of change as well, which the vendor writes, and what they could
hide is that one record changed, until it does again.
"""

import os
import struct
import sys
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from xxhash import xxh3_128_digest

# Of a mapping, and of what an imprint begins with: enough to tell whether it was made under the same mapping.
_MAPPING, HEAD = 16, 4
_version = struct.Struct("<16s16sq?")


def code_of(*modules: str) -> bytes:
    """Stand for the code of modules that are loaded, or are being loaded; to be called while they are.

    Where their files cannot be read it is another one in each process, so that nothing is taken for mapped by the same code.
    """
    made = blake2b(digest_size=_MAPPING)
    # What the library writes, and the language sorts, may change with them; and with the last word, how imprints are made.
    made.update(f"{msgspec.__version__} {sys.hexversion} xxh3".encode())
    for name in modules:
        made.update(_source(name))
    return made.digest()


def mapping_of(*parts: bytes | str | Sequence[Any] | dict[str, Any] | msgspec.Struct) -> bytes:
    """Stand for a mapping by all that it depends on beside a record's bytes: code, settings, names that were looked up."""
    return blake2b(msgspec.msgpack.encode(parts, order="deterministic"), digest_size=_MAPPING).digest()


def imprint_of(
    mapping: bytes, row: bytes | msgspec.Raw, digest: bytes, ordinal: int, deleted: bool, also: bytes = b""
) -> bytes:
    """Give the imprint of a record that was mapped from `row`, and from what of its page stands beside it (`also`).

    `mapping` is what `mapping_of` gave; `digest`, `ordinal` and `deleted` are those of the version that came of it.
    """
    # All but the last part are of one length, so that nothing can be taken for a part of something else.
    whole = b"%b%b%b" % (_version.pack(mapping, digest, ordinal, deleted), xxh3_128_digest(row), also)
    return mapping[:HEAD] + xxh3_128_digest(whole)


def _source(name: str) -> bytes:
    spec = sys.modules[name].__spec__
    try:
        # Of whatever kind it is: a file, or a part of an archive.
        source: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
    except (AttributeError, OSError, TypeError):
        return os.urandom(_MAPPING)
    return source
