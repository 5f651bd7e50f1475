"""Whatever is drawn by lot, drawn from one seed: ids, keys, pauses. Only for what runs in one thread."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from cxbridge.core import ledger


@contextmanager
def decided(seed: int | str) -> Iterator[None]:
    """Let the operating system's own randomness come from a seed, for everybody in this process who asks meanwhile."""
    lots: dict[str, random.Random] = {}

    def drawn(size: int) -> bytes:
        # Each module has a lot of its own. SQLAlchemy draws a name for each alias, when a statement is first built or a module
        # first imported: how often it does depends on what was played before, and must move nobody else's lot.
        who = sys._getframe(1).f_globals["__name__"]
        if who not in lots:
            lots[who] = random.Random(f"fate/{seed}/{who}")
        return lots[who].randbytes(size)

    with (
        mock.patch.object(os, "urandom", drawn),
        # Taken over at its import by the generator that clients draw their pauses from.
        mock.patch.object(random, "_urandom", drawn),
        # Ids made within one millisecond go on from the last one, whoever made that.
        mock.patch.dict(ledger._last, clear=True),
    ):
        yield
