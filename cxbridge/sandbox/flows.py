"""Fields that follow others: whether every write to one carries what its sources held, each as last seen, and none goes back.

No vendor shows two records at the same moment, and a webhook of one may be lost while that of the other comes. So of each source
another version may have been seen last, and what a write carries need not have stood anywhere at one time. But a version once
used is never followed by an older one of the same source.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

import msgspec

from cxbridge.sandbox.history import History, Moment, Place
from cxbridge.sandbox.journal import Journal

# The place of a source that does not count yet, or was not seen; before all versions.
_OUT = 0


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A field that follows others: `target` gets the value of `sources`, translated by `map`.

    Of several sources the value that stands first in `map` counts. `written` translates what the journal shows of a write into what
    the vendor shows, where that differs. A source without a value is not carried over. `joined` says of each source, where given,
    from which entry on it may count and from which on it must: in between a write may be with it or without it.
    """

    what: str
    sources: Sequence[Place]
    target: Place
    map: Mapping[str, str] = {}
    written: Mapping[str, str] = {}
    joined: Sequence[tuple[int, int]] = ()

    def value(self, held: Sequence[Any]) -> Any:
        """What the target must hold where the sources hold these."""
        known = [one for one in held if one is not None]
        if self.map:
            known = sorted((one for one in known if one in self.map), key=list(self.map).index)
        if not known:
            return None
        return self.map.get(known[0], known[0]) if self.map else known[0]


class _Source(msgspec.Struct, frozen=True):
    """What there was to see of a source, oldest first: from which entry on, and which value. From `must` on it counts."""

    place: Place
    seen: Sequence[tuple[int, Any]]
    must: int

    @classmethod
    def of(cls, place: Place, history: History, joined: tuple[int, int]) -> "_Source":
        may, must = joined
        first = min((one.seq for one in history.moments), default=0)
        begin = max(may, first)
        later = [(one.seq, one.value) for one in history.moments if one.seq > begin]
        return cls(place, [(begin, history.value_at(begin)), *later], max(must, first))

    def value(self, at: int) -> Any:
        return None if at == _OUT else self.seen[at - 1][1]

    def seq(self, at: int) -> int:
        return -1 if at == _OUT else self.seen[at - 1][0]

    def places(self, least: int, before: int) -> Iterator[int]:
        """Give the versions from one on that there were before an entry."""
        for at in range(max(least, _OUT + 1), len(self.seen) + 1):
            if self.seq(at) < before:
                yield at

    def __str__(self) -> str:
        return f"{self.place}: " + ", ".join(f"#{seq} {value!r}" for seq, value in self.seen)


# Of each source the version that was seen last.
_View = tuple[int, ...]


def gone_back(journal: Journal, flow: Flow) -> Iterator[tuple[str, list[str]]]:
    """Name every write to the target that no order of its sources' versions explains, with what shows it.

    Where several versions explain a write it counts as of the oldest that may follow the write before.
    """
    histories = [History.of(journal, one) for one in flow.sources]
    joined = flow.joined or [(-1, -1)] * len(histories)
    sources = [_Source.of(*given) for given in zip(flow.sources, histories, joined, strict=True)]
    # With which value a field began may be unknown: until a known one was written, what was written may be that.
    whole, begun = all(one.whole for one in histories), False
    nothing: _View = (_OUT,) * len(sources)
    views = [nothing]
    for moment in _writes(journal, flow.target):
        value = flow.written.get(str(moment.value), moment.value)
        followed = _oldest([one for view in views for one in _after(flow, sources, view, moment.seq, value)])
        if followed:
            views, begun = followed, True
            continue
        known = any(True for _ in _after(flow, sources, nothing, moment.seq, value))
        if not known and not whole and not begun:
            continue
        what = f"went back to {value!r}" if known else f"was given {value!r}, which nobody had set"
        yield f"{flow.what}: {flow.target} {what}", [f"#{moment.seq}", *map(str, sources)]


def _writes(journal: Journal, target: Place) -> list[Moment]:
    """Give the writes to a field in the order in which they were asked for.

    What a vendor does late, when its client has long given up waiting, may come over a newer write that it has done already.
    """
    requests = journal.requests(target.vendor)

    def asked(moment: Moment) -> tuple[float, int]:
        made = bisect_right(requests, moment.seq, key=lambda one: one.seq)
        return (requests[made].began if made < len(requests) else inf), moment.seq

    return sorted((one for one in History.of(journal, target).moments if one.via == "api"), key=asked)


def _after(flow: Flow, sources: Sequence[_Source], view: _View, before: int, value: Any) -> Iterator[_View]:
    """Give the oldest views not older than this one that come to a value, for each version that it may be of."""
    for giver, source in enumerate(sources):
        for at in source.places(view[giver], before):
            if flow.value([source.value(at)]) == value:
                found = _with(flow, sources, view, giver, at, before)
                if found is not None:
                    yield found


def _with(flow: Flow, sources: Sequence[_Source], view: _View, giver: int, at: int, before: int) -> _View | None:
    """Give the oldest view in which the giver's version is the one that counts; None where another source overrules it."""
    given = sources[giver].value(at)
    found = [*view]
    found[giver] = at
    settled = False
    while not settled:
        settled = True
        newest = max(source.seq(place) for source, place in zip(sources, found, strict=True))
        for number, source in enumerate(sources):
            # Who counts is no matter of what was seen last: whoever saw so much knew of each source that had to count by then.
            if number == giver or (found[number] == _OUT and newest < source.must):
                continue
            place = next(
                (
                    one
                    for one in source.places(found[number], before)
                    if _overruled_by_none(flow, given, source.value(one), first=giver < number)
                ),
                None,
            )
            if place is None:
                return None
            settled = settled and place == found[number]
            found[number] = place
    return tuple(found)


def _overruled_by_none(flow: Flow, given: Any, other: Any, *, first: bool) -> bool:
    return bool(flow.value([given, other] if first else [other, given]) == flow.value([given]))


def _oldest(views: Sequence[_View]) -> list[_View]:
    """Leave out every view that is newer than another one in each source: what may follow it may follow the other too."""
    unlike = sorted(set(views))
    return [
        one
        for one in unlike
        if not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in unlike)
    ]
