"""How many changes are planned in one commit: few at first, more while there is a long way to go."""

from dataclasses import dataclass, field

# What a batch costs for every recipe there is, whatever changed, is shared by so many changes at most.
_MOST = 4_000
# Others wait for the writer meanwhile, and what was read stays in memory: a batch comes to about so many runs, and so many bytes of
# what was before the changes, at most.
_RUNS, _BYTES = 200, 16_000_000


@dataclass(slots=True)
class Pace:
    """How many changes the next batch reads: `size`, and `least` where it begins."""

    least: int
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self.size = self.least

    def after(self, read: int, runs: int, weight: int) -> None:
        """Go on from a batch of `read` changes, with `weight` bytes of what was before them, that came to so many runs."""
        if read >= self.size:
            room = min(_MOST, _RUNS * read // max(1, runs), _BYTES * read // max(1, weight))
            self.size = max(self.least, min(2 * self.size, room))
