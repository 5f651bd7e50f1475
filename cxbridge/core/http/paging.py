"""What every walk over pages shares; it must not know any vendor's page form, and is no framework."""

from collections import deque
from collections.abc import Hashable

from cxbridge.core.errors import WireFormat

# A vendor that goes in circles repeats itself after one or two pages; three back is far enough.
MEMORY = 3


class Unrepeating:
    """Lets each cursor of a walk pass once: a repeated one would make the walk endless.

    Remembers the last few cursors only, so a walk of any length costs the same.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._seen: deque[Hashable] = deque(maxlen=memory)

    def __call__(self, cursor: Hashable) -> None:
        """Note the cursor that the next page will be asked with.

        Raises:
            WireFormat: when it is one of the last few.
        """
        if cursor in self._seen:
            raise WireFormat("the pages go in circles: the vendor gave a cursor that was already followed")
        self._seen.append(cursor)
