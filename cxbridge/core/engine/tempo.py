"""How fast a vendor answers, which says whether several threads gain anything; waits for nobody and counts no limits."""

import threading
from collections import deque

# As many are marked at once, and recorded at once, as the vendor answers within so many seconds, and never more than `_MOST`: so
# long, and a call, an outcome waits for its commit at most.
MOMENT = 0.02
_MOST = 32
# A vendor that answers so many within a moment is not waited for: most of that is our own work.
_QUICK = 8
_OF_LATE = 9


class Tempo:
    """How fast a vendor answered of late, by the median of a few answers: one that was held up for once does not change it.

    Share it among threads.
    """

    __slots__ = ("_lock", "_took", "most")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took: deque[float] = deque(maxlen=_OF_LATE)
        # How many it answers within a moment: one where that is not known yet.
        self.most = 1

    def note(self, took: float) -> None:
        """Take an answer into account that took so many seconds."""
        with self._lock:
            self._took.append(took)
            median = sorted(self._took)[len(self._took) // 2]
        self.most = _MOST if median * _MOST <= MOMENT else max(1, int(MOMENT / median))

    @property
    def is_quick(self) -> bool:
        """Whether there is so little to wait for that several threads would only share what one of them can do."""
        return self.most >= _QUICK
