"""Some records with all who are tied to them, as far as a decision about them can reach; reads the store, decides nothing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cxbridge.core.engine.identity_rules import Pair, pairs_of_key
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Tx, identity
from cxbridge.core.store.identity import Match
from cxbridge.functions.matching import Profile

# A key that more records have than this joins nobody, and nobody looks at who they are.
MOST_HOLDERS: Final = 64
_JOINING: Final = ("id:", "own:", "domain:", "email:")


@dataclass(slots=True)
class Region:
    """Records of a kind that may hang together: what is known of them, who has their keys, and what is said of them."""

    kind: str
    refs: set[Ref] = field(default_factory=set)
    keys: dict[Ref, frozenset[str]] = field(default_factory=dict)
    profiles: dict[Ref, Profile] = field(default_factory=dict)
    holders: dict[str, list[Ref]] = field(default_factory=dict)
    rows: list[Match] = field(default_factory=list)

    @property
    def told(self) -> list[Match]:
        """What people said of them."""
        return [one for one in self.rows if one.by_person]

    @property
    def confirmed(self) -> list[Pair]:
        """The pairs that are stored as being the same."""
        return [one.pair for one in self.rows if one.state == "confirmed"]

    def clusters(self, pairs: Iterable[Pair]) -> dict[Ref, frozenset[Ref]]:
        """Give for each record all that such pairs connect it with, itself among them."""
        near: dict[Ref, set[Ref]] = {}
        for left, right in pairs:
            near.setdefault(left, set()).add(right)
            near.setdefault(right, set()).add(left)
        return identity.components(near, self.refs)


def gather(tx: Tx, kind: str, seeds: Collection[Ref]) -> Region:
    """Read the records and, step by step, all whom a key or a confirmed pair ties to those read before."""
    region = Region(kind)
    rows: dict[Pair, Match] = {}
    asked: set[str] = set()
    frontier = set(seeds)
    while frontier:
        region.refs |= frontier
        found = {ref: keys for ref, (its, keys) in identity.keys_of(tx, frontier).items() if its == kind}
        region.keys |= found
        region.profiles |= {ref: Profile.of(keys) for ref, keys in found.items()}
        new_rows = identity.of(tx, frontier)
        rows |= {one.pair: one for one in new_rows}
        beyond = {ref for one in new_rows if one.state == "confirmed" for ref in one.pair}
        keys = {key for held in found.values() for key in held if key.startswith(_JOINING)}
        keys |= {f"own:{key[3:]}" for key in keys if key.startswith("id:")}
        keys |= {f"id:{key[4:]}" for key in keys if key.startswith("own:")}
        beyond |= _holders(tx, region, keys - asked, {key: ref for ref, held in found.items() for key in held})
        asked |= keys
        frontier = beyond - region.refs
    region.rows = [rows[pair] for pair in sorted(rows)]
    return region


def _holders(tx: Tx, region: Region, keys: Collection[str], one_of: Mapping[str, Ref]) -> set[Ref]:
    """Read who has these keys, where they are few; gives those whom a key may join. `one_of` is somebody who has a key."""
    counts = identity.counts(tx, region.kind, keys)
    few = [key for key, number in counts.items() if 0 < number <= MOST_HOLDERS]
    # Nearly every key is one record's alone, which is known already.
    alone = {key: [one_of[key]] for key in few if counts[key] == 1 and key in one_of}
    region.holders |= alone | identity.holders(tx, region.kind, {*few} - alone.keys())
    # An own id is looked at with the same one given by others.
    joining = {f"id:{key[4:]}" if key.startswith("own:") else key for key in few}
    return {ref for key in joining for pair in pairs_of_key(key, region.holders) for ref in pair}
