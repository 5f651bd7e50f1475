"""Threads that have nothing to do for now; what they do otherwise is not known here.

Who came last is woken first: what it needs is likeliest still at hand, in the caches of a processor. Of several who are woken in
turn each finds them cold, which costs what comes now and then more than the work itself.
"""

import threading


class Resting:
    """Those who rest; everything is called with the lock held that was given."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        # Each behind a lock of its own that is opened to wake it.
        self._beds: list[threading.Lock] = []

    def rest(self) -> None:
        """Have the calling thread wait until it is woken, and let the lock go meanwhile; why it was, it has to see for itself."""
        bed = threading.Lock()
        bed.acquire()
        self._beds.append(bed)
        self._lock.release()
        try:
            bed.acquire()
        finally:
            self._lock.acquire()

    def wake(self) -> None:
        """Wake the one who came last, if anybody rests."""
        if self._beds:
            self._beds.pop().release()

    def wake_all(self) -> None:
        """Wake everybody."""
        while self._beds:
            self.wake()
