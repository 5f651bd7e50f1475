"""The order in which rows changed, as incremental exports walk it. Holds positions, never the rows themselves."""

import bisect
from typing import NamedTuple


class Position(NamedTuple):
    """A place in the order: the second of the change, then a running number, so that no two changes share a place."""

    second: int
    number: int
    id: int


class ChangeLog:
    """Each row once, at its latest change. A row that changes again moves, and leaves no trace where it was.

    No row ever takes a place in front of one that was read: a reader who goes on from there would never meet it.
    """

    def __init__(self) -> None:
        self._read = 0
        self._entries: list[Position] = []
        self._latest: dict[int, Position] = {}
        self._numbers = 0

    def put(self, ident: int, second: int) -> int:
        """Move a row to its new place, and give the second of that: the wished one, or the last that was read."""
        second = max(second, self._read)
        self._numbers += 1
        entry = Position(second, self._numbers, ident)
        self._latest[ident] = entry
        if not self._entries or entry > self._entries[-1]:
            self._entries.append(entry)
        else:
            bisect.insort(self._entries, entry)
        if len(self._entries) > 2 * len(self._latest) + 64:
            self._entries = [e for e in self._entries if self._latest[e.id] is e]
        return second

    def after(self, second: int, number: int, until: int, limit: int, *, whole_seconds: bool = False) -> list[Position]:
        """Up to `limit` places behind a given one, none later than the second `until`.

        `whole_seconds` lets the list grow until its last second is complete.
        """
        found: list[Position] = []
        # No row has the id infinity: the search lands behind every entry of exactly this place.
        start = bisect.bisect_right(self._entries, (second, number, _BEYOND_IDS))
        for entry in self._entries[start:]:
            if entry.second > until:
                break
            if self._latest[entry.id] is not entry:
                continue
            if len(found) >= limit and not (whole_seconds and entry.second == found[-1].second):
                break
            found.append(entry)
        if found:
            self._read = max(self._read, found[-1].second)
        return found

    def since(self, second: int, until: int, limit: int, *, whole_seconds: bool = False) -> list[Position]:
        """Like `after`, from the first place of a second on."""
        return self.after(second, 0, until, limit, whole_seconds=whole_seconds)


_BEYOND_IDS = 1 << 80
