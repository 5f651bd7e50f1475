"""records → who is the same company or person: keeps keys and matches in step with what was pulled; calls no vendor.

A batch is one commit: keys, matches and the position in the change log together. What rules decide follows from the keys and from
what people said, whatever the order; what people said, no rule takes back.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from cxbridge.core.canonical import Account, Contact
from cxbridge.core.clock import Clock
from cxbridge.core.config.settings import IdentitySettings
from cxbridge.core.engine.connections import Probe, no_probe
from cxbridge.core.engine.identity_region import MOST_HOLDERS, Region, gather
from cxbridge.core.engine.identity_rules import Decided, Pair, decide, ties
from cxbridge.core.engine.identity_suggest import Suggester
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Store, Tx, changes, identity, planning, records, state
from cxbridge.core.store.identity import APART, Match
from cxbridge.functions import naming
from cxbridge.functions.matching import Evidence, finds, keys_of

BATCH: Final = 500
POSITION: Final = "identity"
# Up to here everything is decided anew, whether its keys changed or not.
_ANEW: Final = "identity:anew"
# A change of how keys or matches are made: everything is looked at again.
_MADE: Final = "1"
# How far the position may lag behind while nobody changed whom it concerns, where moving it would be a commit of its own: what lies
# between is gone through each time.
_LAG: Final = 1000


@dataclass(slots=True)
class Identified:
    """What one look at the changes came to. `more` says whether changes are left."""

    looked_at: int = 0
    confirmed: int = 0
    undone: int = 0
    suggested: int = 0
    more: bool = False

    def add(self, other: "Identified") -> None:
        """Sum up; `more` is the newer one's."""
        for name in ("looked_at", "confirmed", "undone", "suggested"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.more = other.more

    @property
    def wrote(self) -> int:
        """How many matches were made, altered or undone."""
        return self.confirmed + self.undone + self.suggested


@dataclass(slots=True)
class Identifier:
    """Keeps matches in step with records. One for a store and process: it holds the names of accounts between batches."""

    store: Store
    clock: Clock
    settings: IdentitySettings = field(default_factory=IdentitySettings)
    probe: Probe = no_probe
    # Set where somebody came to be known otherwise, for whoever looks who waited for that, and sets it back.
    news: bool = False
    # Whether it goes on from where it stood, and not anew with everybody: not known before it has looked.
    goes_on: bool = False
    _suggester: Suggester = field(init=False)
    _nobodys: frozenset[str] = field(init=False)
    _made: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._suggester = Suggester(self.settings.suggest_from)
        self._nobodys = frozenset(naming.domain(one) for one in self.settings.shared_domains)
        told = msgspec.json.encode(
            [_MADE, sorted(self._nobodys), sorted(self.settings.rules), self.settings.suggest_from]
        )
        self._made = hashlib.blake2b(told, digest_size=16).digest()

    def run(self, least: int = 1) -> Identified:
        """Look at all that changed, commit by commit; fewer changes than `least` (up to `BATCH`) are left for another time."""
        total = Identified()
        while True:
            with self.store.read() as tx:
                # Most of the time there is nothing: found out without waiting for the writer.
                if self._waiting(tx, least) < least:
                    return total
            with self.store.write() as tx:
                one = self._batch(tx)
                self.probe("identity.decided")
            self.probe("identity.committed")
            total.add(one)
            if not one.more:
                return total

    def catch_up(self, tx: Tx) -> None:
        """Look at what changed since, inside a commit that is under way: what meets recipes in it meets them matched."""
        while self._batch(tx, lag=1).more:
            pass

    # What is held between batches is touched inside write transactions alone, of which there is one at a time.

    def _batch(self, tx: Tx, lag: int = _LAG) -> Identified:
        if state.meta_get(tx, POSITION) != self._made:
            # Keys or rules are made otherwise than before: everything is decided anew.
            state.meta_set(tx, POSITION, self._made)
            planning.set_position(tx, _ANEW, changes.last_seq(tx))
            planning.set_position(tx, POSITION, 0)
        self.goes_on = True
        position = planning.position(tx, POSITION) or 0
        refs, last = identity.touched(tx, position, BATCH)
        result = Identified(looked_at=len(refs))
        moves = bool(refs) or last - position >= lag
        if refs:
            self._suggester.stand_at(position)
            self._update(tx, refs, result, anew=position < (planning.position(tx, _ANEW) or 0))
            self._suggester.moved_to(last)
            result.more = last < changes.last_seq(tx)
        elif moves:
            # Nobody is concerned by what lies between: the names that are held hold there as well.
            self._suggester.stand_at(position)
            self._suggester.moved_to(last)
        if moves:
            planning.set_position(tx, POSITION, last)
        return result

    def _waiting(self, tx: Tx, most: int) -> int:
        """Count the people and companies that are to be looked at, up to `most`, which stands for "anew" and "far behind" too."""
        if state.meta_get(tx, POSITION) != self._made:
            return most if changes.last_seq(tx) > 0 else 0
        self.goes_on = True
        position = planning.position(tx, POSITION) or 0
        if changes.last_seq(tx) - position < most:
            # There cannot be as many.
            return 0
        refs, last = identity.touched(tx, position, most)
        # One that changed several times counts once, and so that there are more is not told by the number alone.
        further = bool(refs) and last < changes.last_seq(tx)
        return most if further or last - position >= _LAG else len(refs)

    # -- one batch -------------------------------------------------------------------------------------------------

    def _update(self, tx: Tx, refs: list[Ref], result: Identified, *, anew: bool) -> None:
        wanted: dict[Ref, tuple[str, frozenset[str]]] = {}
        for ref, record in records.get_many(tx, refs).items():
            if record.kind in identity.KINDS and not record.deleted:
                entity = record.entity()
                if isinstance(entity, Account | Contact):
                    wanted[ref] = (record.kind, keys_of(entity, self._nobodys))
        held = identity.keys_of(tx, refs)
        for kind in identity.KINDS:
            dirty: set[Ref] = set()
            added: list[tuple[str, Ref]] = []
            removed: list[tuple[str, Ref]] = []
            for ref in refs:
                before, after = (_of_kind(one.get(ref), kind) for one in (held, wanted))
                added += [(key, ref) for key in sorted(after - before)]
                removed += [(key, ref) for key in sorted(before - after)]
                if before != after or (anew and after):
                    dirty.add(ref)
            if not dirty:
                continue
            identity.write_keys(tx, kind, added, removed)
            if any(key.startswith(("id:", "own:")) for key, _ in added):
                # Who is named by an id alone may be found by it now.
                self._moved(tx)
            if kind == "account":
                self._suggester.heard(tx, {ref: _of_kind(wanted.get(ref), kind) for ref in dirty})
            change = Counter(key for key, _ in added)
            change.subtract(key for key, _ in removed)
            self.settle(tx, kind, dirty | _with_keys(tx, kind, change), dirty, result)

    def settle(
        self, tx: Tx, kind: str, seeds: Collection[Ref], dirty: Collection[Ref], result: Identified | None = None
    ) -> None:
        """Decide anew about some records and all who are tied to them; `dirty` ones are compared with everybody anew."""
        result = Identified() if result is None else result
        region = gather(tx, kind, seeds)
        together = [one.pair for one in region.told if one.state == "confirmed"]
        apart = [one.pair for one in region.told if one.state in APART]
        found = ties(kind, region.profiles, region.holders, self.settings.rules)
        decided = decide(found, region.profiles, together, apart)
        now = self.clock.now()
        before, after = region.clusters(region.confirmed), region.clusters([*together, *decided.same])
        moved = {ref for ref in region.refs if before.get(ref) != after.get(ref)}
        self._write_same(tx, kind, region, decided, now, result)
        if moved:
            self._moved(tx)
        fresh = {*dirty, *moved, *(ref for pair in decided.doubted for ref in pair)}
        fresh |= {ref for one in region.rows if _by_rule_suggested(one) for ref in one.pair}
        settled = {one.pair for one in region.told} | {*decided.same}
        wanted = self._suggester.suggestions(tx, region, fresh & region.refs, decided.doubted, after, settled)
        self._write_suggested(tx, kind, region, fresh, wanted, {*decided.same}, now, result)

    def _moved(self, tx: Tx) -> None:
        self.news = True
        identity.moved(tx)

    def settle_by_hand(self, tx: Tx, kind: str, refs: Collection[Ref]) -> None:
        """Decide anew about records of which a person said something, inside the commit that keeps it."""
        position = planning.position(tx, POSITION) or 0
        self._suggester.stand_at(position)
        self.settle(tx, kind, refs, refs)
        self._suggester.moved_to(position)

    def _write_same(
        self, tx: Tx, kind: str, region: Region, decided: Decided, now: datetime, result: Identified
    ) -> None:
        held = {one.pair: one for one in region.rows}
        fresh = []
        for (left, right), tie in decided.same.items():
            match = Match(
                left=left,
                right=right,
                kind=kind,
                state="confirmed",
                score=1.0,
                evidence=told_of(tie.evidence),
                decided_by=f"rule:{tie.rule}",
                at=now,
            )
            if not _same(held.get((left, right)), match):
                fresh.append(match)
        gone = [
            one
            for one in region.rows
            if one.state == "confirmed" and not one.by_person and one.pair not in decided.same
        ]
        identity.remove(tx, gone)
        identity.save(tx, fresh)
        result.confirmed += len(fresh)
        result.undone += len(gone)

    def _write_suggested(
        self,
        tx: Tx,
        kind: str,
        region: Region,
        fresh: Collection[Ref],
        wanted: Mapping[Pair, tuple[float, list[Any], str]],
        confirmed: Collection[Pair],
        now: datetime,
        result: Identified,
    ) -> None:
        held = {one.pair: one for one in region.rows if one.state == "suggested"}
        gone = [
            one
            for pair, one in held.items()
            if (pair[0] in fresh or pair[1] in fresh) and pair not in wanted and pair not in confirmed
        ]
        new = []
        for (left, right), (score, evidence, by) in sorted(wanted.items()):
            match = Match(
                left=left,
                right=right,
                kind=kind,
                state="suggested",
                score=score,
                evidence=evidence,
                decided_by=by,
                at=now,
            )
            if not _same(held.get((left, right)), match):
                new.append(match)
        identity.remove(tx, gone)
        identity.save(tx, new)
        result.suggested += len(new)
        result.undone += len(gone)


def _of_kind(held: tuple[str, frozenset[str]] | None, kind: str) -> frozenset[str]:
    return held[1] if held is not None and held[0] == kind else frozenset()


def _with_keys(tx: Tx, kind: str, change: Mapping[str, int]) -> set[Ref]:
    """Name those for whom a key may mean something else now, because one more or one fewer has it."""
    keys = {key for key in change if finds(key) and not key.startswith("name:")}
    # An id joins those who were given it and the one whose own it is.
    keys |= {f"own:{key[3:]}" for key in keys if key.startswith("id:")}
    keys |= {f"id:{key[4:]}" for key in keys if key.startswith("own:")}
    counts = identity.counts(tx, kind, keys)
    # Who has a key that nobody had before is looked at in any case.
    shared = ((key, now) for key, now in counts.items() if now != change.get(key, 0))
    few = [key for key, now in shared if min(now, now - change.get(key, 0)) <= MOST_HOLDERS]
    return {ref for refs in identity.holders(tx, kind, few).values() for ref in refs}


def told_of(evidence: Iterable[Evidence]) -> list[Any]:
    """Give grounds as they are stored."""
    told: list[Any] = msgspec.to_builtins(list(evidence))
    return told


def _by_rule_suggested(match: Match) -> bool:
    return match.state == "suggested" and match.decided_by.startswith("rule:")


def _same(held: Match | None, match: Match) -> bool:
    """Whether a match is stored as it would be written, whenever that was."""
    return held is not None and msgspec.structs.replace(held, at=match.at) == match
