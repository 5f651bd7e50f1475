"""Whom a person is asked about: records that may be the same, scored by what is alike; nothing is joined for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from cxbridge.core.engine.identity_region import MOST_HOLDERS, Region
from cxbridge.core.engine.identity_rules import Pair, Tie, pair_of
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Tx, identity
from cxbridge.functions.matching import Evidence, NameIndex, Profile, score_accounts, score_contacts

# Pair → score, grounds as stored, and what found it.
Suggestions = dict[Pair, tuple[float, list[Any], str]]


@dataclass(slots=True)
class Suggester:
    """Finds and scores. Holds accounts' names between batches, one index for each connection, while nobody else writes keys."""

    least: float
    _names: dict[str, NameIndex[Ref]] | None = None
    _at: int = -1

    def stand_at(self, position: int) -> None:
        """Be told where the position stands before a batch: names that were held for another one are forgotten."""
        if self._at != position:
            self._names = None

    def moved_to(self, position: int) -> None:
        """Be told where the position stands after a batch. Not stored after all, it will not be told again."""
        self._at = position

    def heard(self, tx: Tx, accounts: Mapping[Ref, frozenset[str]]) -> None:
        """Hear of accounts whose keys are others now, or none."""
        if self._names is None:
            return
        for ref, keys in accounts.items():
            index = self._names.setdefault(ref.connection, NameIndex())
            if keys:
                index.put(ref, Profile.of(keys))
            else:
                index.drop(ref)

    def suggestions(
        self,
        tx: Tx,
        region: Region,
        fresh: Collection[Ref],
        doubted: Mapping[Pair, tuple[Tie, str]],
        clusters: Mapping[Ref, frozenset[Ref]],
        settled: Collection[Pair],
    ) -> Suggestions:
        """Suggest for the `fresh` records of a region. `settled` pairs are not asked about; `clusters` say who is one already."""
        open_ones = sorted(ref for ref in fresh if ref in region.profiles)
        near = (self._near_accounts if region.kind == "account" else _near_contacts)(tx, region, open_ones, clusters)
        # Who was suggested stays in question, whichever side it was found from.
        for one in region.rows:
            if one.state == "suggested" and (one.left in fresh or one.right in fresh):
                near.add(one.pair)
        near = {pair for pair in near if pair not in settled and pair not in doubted}
        profiles = self._profiles(tx, region, near)
        known = _Clusters(clusters, identity.clusters(tx, {ref for pair in near for ref in pair} - {*clusters}))
        score = score_accounts if region.kind == "account" else score_contacts
        found: Suggestions = {}
        for left, right in sorted(near):
            if left not in profiles or right not in profiles or known.served(left, right):
                continue
            points, grounds = score(profiles[left], profiles[right], self.least)
            if points >= self.least:
                found[left, right] = (points, msgspec.to_builtins(list(grounds)), "score")
        for (left, right), (tie, why) in doubted.items():
            if (left, right) in settled or right in known.of(left):
                continue
            points, grounds = score(region.profiles[left], region.profiles[right], 0.0)
            told = [*tie.evidence, *(one for one in grounds if one.key not in {key.key for key in tie.evidence})]
            found[left, right] = (
                max(points, self.least),
                msgspec.to_builtins([*told, Evidence("conflict", 0.0, why)]),
                f"rule:{tie.rule}",
            )
        return found

    def _near_accounts(
        self, tx: Tx, region: Region, open_ones: Collection[Ref], clusters: Mapping[Ref, frozenset[Ref]]
    ) -> set[Pair]:
        if not open_ones:
            return set()
        if self._names is None:
            self._names = {}
            for ref, keys in identity.all_keys(tx, "account"):
                self._names.setdefault(ref.connection, NameIndex()).put(ref, Profile.of(keys))
        found: set[Pair] = set()
        for ref in open_ones:
            served = {one.connection for one in clusters.get(ref, (ref,))}
            for connection, index in self._names.items():
                if connection not in served:
                    found |= {pair_of(ref, other) for other in index.near(region.profiles[ref])}
        return found

    def _profiles(self, tx: Tx, region: Region, pairs: Collection[Pair]) -> dict[Ref, Profile]:
        wanted = {*chain.from_iterable(pairs)}
        found = {ref: region.profiles[ref] for ref in wanted if ref in region.profiles}
        missing = wanted - {*found} - region.refs
        for ref in missing:
            index = (self._names or {}).get(ref.connection) if region.kind == "account" else None
            if index is not None and ref in index.profiles:
                found[ref] = index.profiles[ref]
        for ref, (kind, keys) in identity.keys_of(tx, missing - {*found}).items():
            if kind == region.kind:
                found[ref] = Profile.of(keys)
        return found


def _near_contacts(
    tx: Tx, region: Region, open_ones: Collection[Ref], clusters: Mapping[Ref, frozenset[Ref]]
) -> set[Pair]:
    """Pair contacts of one name, or with an address that a rule could not go by; a name that too many have finds nobody."""
    keys_of = {
        ref: [key for key in region.keys[ref] if key.startswith(("name:", "email:", "id:"))] for ref in open_ones
    }
    counts = identity.counts(tx, region.kind, chain.from_iterable(keys_of.values()))
    few = {key for key, number in counts.items() if 1 < number <= MOST_HOLDERS}
    holders = identity.holders(tx, region.kind, few)
    return {
        pair_of(ref, other)
        for ref, keys in keys_of.items()
        for key in keys
        for other in holders.get(key, ())
        if other.connection not in {one.connection for one in clusters.get(ref, (ref,))}
    }


@dataclass(slots=True)
class _Clusters:
    """Who is one already, in a region and around it."""

    inside: Mapping[Ref, frozenset[Ref]]
    around: Mapping[Ref, frozenset[Ref]]
    _places: dict[Ref, frozenset[str]] = field(default_factory=dict)

    def of(self, ref: Ref) -> Collection[Ref]:
        return self.inside.get(ref) or self.around.get(ref) or (ref,)

    def served(self, left: Ref, right: Ref) -> bool:
        """Whether one of two has its counterpart already where the other one is, so that there is nothing to ask."""
        return bool(self._connections(left) & self._connections(right))

    def _connections(self, ref: Ref) -> frozenset[str]:
        if ref not in self._places:
            self._places[ref] = frozenset(one.connection for one in self.of(ref))
        return self._places[ref]
