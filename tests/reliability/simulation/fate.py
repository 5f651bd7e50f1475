"""Whatever is drawn by lot, drawn from one seed: ids, keys, pauses. Only for what runs in one thread."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from cxbridge.core import ledger


@contextmanager
def decided(seed: int | str) -> Iterator[None]:
    """Let the operating system's own randomness come from a seed, for everybody in this process who asks meanwhile."""
    fate = random.Random(f"fate/{seed}")
    with (
        mock.patch.object(os, "urandom", fate.randbytes),
        # Taken over at its import by the generator that clients draw their pauses from.
        mock.patch.object(random, "_urandom", fate.randbytes),
        # Ids made within one millisecond go on from the last one, whoever made that.
        mock.patch.dict(ledger._last, clear=True),
    ):
        yield
