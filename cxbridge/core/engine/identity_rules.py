"""Which keys make two records the same, and which do not suffice; keys and people's decisions in, pairs out, no I/O.

What comes out depends on what goes in alone: not on the order in which records came, nor on what was decided before.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Final

from rapidfuzz import fuzz

from cxbridge.core.ledger import Ref
from cxbridge.functions import naming
from cxbridge.functions.matching import Evidence, Profile, alike, contradiction, unlike

Pair = tuple[Ref, Ref]

RULES: Final = ("external_id", "domain", "email")
# The sort of key → its rule, and how much it weighs: what an id has joined, no domain takes apart.
_RULE_OF: Final = {"id": ("external_id", 0), "domain": ("domain", 1), "email": ("email", 1)}
RANKS: Final = (0, 1)


@dataclass(frozen=True, slots=True)
class Tie:
    """Two records that share a key nobody else in their connections has. `doubt` says why that does not suffice.

    `against` says that they look like two: then nobody else may bring them together either.
    """

    pair: Pair
    rule: str
    rank: int
    evidence: tuple[Evidence, ...]
    doubt: str = ""
    against: bool = False


@dataclass(slots=True)
class Decided:
    """What the keys come to: pairs that are the same, and pairs that a person is asked about, each with the reason."""

    same: dict[Pair, Tie] = field(default_factory=dict)
    doubted: dict[Pair, tuple[Tie, str]] = field(default_factory=dict)


def pair_of(one: Ref, other: Ref) -> Pair:
    """Put two records into the order in which a pair is kept."""
    return (one, other) if one < other else (other, one)


def ties(
    kind: str, profiles: Mapping[Ref, Profile], holders: Mapping[str, Sequence[Ref]], rules: Collection[str] = RULES
) -> list[Tie]:
    """Find the pairs that share a key. `holders` names everybody who has a key; a key that too many have is not in it."""
    found: dict[Pair, list[Tie]] = {}
    for key in sorted(holders):
        sort, _, value = key.partition(":")
        rule, rank = _RULE_OF.get(sort, ("", 0))
        if rule not in rules:
            continue
        for one, other in pairs_of_key(key, holders):
            if one in profiles and other in profiles:
                weak = _weakness(kind, sort, value, profiles[one], profiles[other])
                against = _against(kind, sort, value, profiles[one], profiles[other])
                tie = Tie(
                    (one, other),
                    rule,
                    rank,
                    (Evidence(key, 1.0 if rank == 0 else 0.9),),
                    against or weak,
                    bool(against),
                )
                found.setdefault(tie.pair, []).append(tie)
    return [_together(found[pair]) for pair in sorted(found)]


def _together(found: list[Tie]) -> Tie:
    # One good key suffices, whatever is wrong with another.
    best = min(found, key=lambda tie: (bool(tie.doubt), tie.rank))
    evidence = tuple(one for tie in sorted(found, key=lambda tie: tie.rank) for one in tie.evidence)
    return Tie(best.pair, best.rule, best.rank, evidence, best.doubt, best.against)


def pairs_of_key(key: str, holders: Mapping[str, Sequence[Ref]]) -> Iterator[Pair]:
    """Pair those whom a key may join: one of each list at most, else it tells nobody apart.

    An id joins those to whom it was given, and the one whose own it is; never two whose own it is.
    """
    sort, _, value = key.partition(":")
    given = holders.get(key, ())
    own = holders.get(f"own:{value}", ()) if sort == "id" else ()
    everybody = sorted({*given, *own})
    if len({list_of(one) for one in everybody}) < len(everybody) or len({*own} - {*given}) > 1:
        return
    for one, other in combinations(everybody, 2):
        if one in given or other in given:
            yield one, other


def list_of(ref: Ref) -> tuple[str, str]:
    """Name the list that a record is from: no vendor keeps one person twice in it, but those who answered stand in another one than
    those in the directory."""
    return ref.connection, ref.stream


def _weakness(kind: str, sort: str, value: str, one: Profile, other: Profile) -> str:
    """Say why a shared key says little; nothing when it says enough."""
    if sort == "id" and naming.is_weak_id(value) and not _fits(kind, one, other):
        return f"{value} is too short an id to rest on alone"
    return ""


def _against(kind: str, sort: str, value: str, one: Profile, other: Profile) -> str:
    """Say why two records look like two although they share a key; nothing when they do not."""
    if kind == "account":
        differ = contradiction(one, other)
        if differ:
            return f"their ids differ: {differ}"
        if sort == "domain" and unlike(one, other):
            return f"the names have nothing in common: {one.name}, {other.name}"
        return ""
    if sort == "email" and naming.is_role(value) and one.name != other.name:
        return f"{value} looks like a mailbox of several people"
    if sort == "email" and not same_person(one.name, other.name):
        return f"the names have nothing in common: {one.name}, {other.name}"
    return ""


def _fits(kind: str, one: Profile, other: Profile) -> bool:
    if kind == "contact":
        return bool(one.emails & other.emails) or one.name == other.name != ""
    return bool(one.domains & other.domains) or alike(one, other) >= 80


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person's: a word in common, or nearly, or one inside the other. No name may be anybody's."""
    if not one or not other:
        return True
    return any(
        fuzz.ratio(mine, theirs) >= 80 or (min(len(mine), len(theirs)) >= 3 and (mine in theirs or theirs in mine))
        for mine in one.split()
        for theirs in other.split()
    )


# -- deciding ----------------------------------------------------------------------------------------------------------


class Groups:
    """Records put together, and what keeps groups apart: two of one list, a person's word, ids that differ."""

    def __init__(self, profiles: Mapping[Ref, Profile], apart: Iterable[Pair]) -> None:
        self._profiles = profiles
        self._parent: dict[Ref, Ref] = {}
        self._members: dict[Ref, set[Ref]] = {}
        self._apart: dict[Ref, dict[Ref, str]] = {}
        for one, other in apart:
            self.keep_apart(one, other, f"a person told {one} and {other} apart")

    def keep_apart(self, one: Ref, other: Ref, why: str) -> None:
        """Let no rule bring two records into one group."""
        self._apart.setdefault(one, {}).setdefault(other, why)
        self._apart.setdefault(other, {}).setdefault(one, why)

    def root(self, ref: Ref) -> Ref:
        """Name the group that a record is in."""
        while self._parent.get(ref, ref) != ref:
            ref = self._parent[ref]
        return ref

    def members(self, ref: Ref) -> set[Ref]:
        """Give everybody in a record's group."""
        root = self.root(ref)
        return self._members.get(root, {root})

    def join(self, one: Ref, other: Ref) -> None:
        """Put two groups together."""
        left, right = sorted((self.root(one), self.root(other)))
        if left != right:
            members = self.members(left) | self.members(right)
            self._parent[right] = left
            self._members[left] = members
            self._members.pop(right, None)

    def conflict(self, one: Ref, other: Ref) -> str:
        """Say why two groups cannot be one; nothing when they can."""
        for mine, theirs in product(sorted(self.members(one)), sorted(self.members(other))):
            if list_of(mine) == list_of(theirs):
                return f"{mine} and {theirs} would be the same, both in {mine.connection}"
            if theirs in self._apart.get(mine, ()):
                return self._apart[mine][theirs]
            if mine in self._profiles and theirs in self._profiles:
                differ = contradiction(self._profiles[mine], self._profiles[theirs])
                if differ:
                    return f"{mine} and {theirs} would be the same, and their ids differ: {differ}"
        return ""


def decide(
    found: Sequence[Tie], profiles: Mapping[Ref, Profile], together: Iterable[Pair], apart: Collection[Pair]
) -> Decided:
    """Say which ties make two records the same.

    People's pairs hold first, then ids, then domains and addresses. Within each, a tie is doubted that would bring two records
    together that cannot be one; and whoever could be either of two is joined with neither, nor with anybody else of either.
    """
    result = Decided()
    groups = Groups(profiles, apart)
    told = {*together}
    for one, other in sorted(told):
        groups.join(one, other)
    told |= {*apart}
    for tie in found:
        if tie.doubt and tie.pair not in told:
            result.doubted[tie.pair] = (tie, tie.doubt)
            if tie.against:
                groups.keep_apart(*tie.pair, tie.doubt)
    for rank in RANKS:
        open_ones = [tie for tie in found if tie.rank == rank and not tie.doubt and tie.pair not in told]
        doubted = _decide_rank(groups, open_ones, result)
        for tie, why in doubted:
            result.doubted[tie.pair] = (tie, why)
            groups.keep_apart(*tie.pair, why)
    return result


def _decide_rank(groups: Groups, open_ones: Sequence[Tie], result: Decided) -> list[tuple[Tie, str]]:
    """Join what one rank of keys joins; gives what it does not, with the reasons."""
    doubted: list[tuple[Tie, str]] = []
    between: dict[Pair, list[Tie]] = {}
    for tie in open_ones:
        left, right = sorted((groups.root(tie.pair[0]), groups.root(tie.pair[1])))
        if left == right:
            result.same[tie.pair] = tie
            continue
        why = groups.conflict(left, right)
        if why:
            doubted.append((tie, why))
        else:
            between.setdefault((left, right), []).append(tie)
    for find in (_ambiguous, _tangled):
        for edge, why in find(groups, between).items():
            doubted += [(tie, why) for tie in between.pop(edge)]
    for (left, right), agreed in sorted(between.items(), key=lambda one: one[0]):
        groups.join(left, right)
        result.same.update({tie.pair: tie for tie in agreed})
    return doubted


def _ambiguous(groups: Groups, edges: Collection[Pair]) -> dict[Pair, str]:
    """Find the edges of groups that could go with either of two that cannot go together."""
    neighbours: dict[Ref, list[Ref]] = {}
    for left, right in sorted(edges):
        neighbours.setdefault(left, []).append(right)
        neighbours.setdefault(right, []).append(left)
    found: dict[Pair, str] = {}
    for here, others in sorted(neighbours.items()):
        either = next(((one, other) for one, other in combinations(others, 2) if groups.conflict(one, other)), None)
        if either is not None:
            why = f"{here} may be {either[0]} or {either[1]}"
            for other in others:
                found.setdefault(pair_of(here, other), why)
    return found


def _tangled(groups: Groups, edges: Collection[Pair]) -> dict[Pair, str]:
    """Find the edges of a chain whose ends cannot go together."""
    trial: dict[Ref, list[Ref]] = {}
    for left, right in edges:
        trial.setdefault(left, []).append(right)
        trial.setdefault(right, []).append(left)
    found: dict[Pair, str] = {}
    seen: set[Ref] = set()
    for start in sorted(trial):
        if start in seen:
            continue
        chain, open_ones = {start}, [start]
        while open_ones:
            for other in trial[open_ones.pop()]:
                if other not in chain:
                    chain.add(other)
                    open_ones.append(other)
        seen |= chain
        why = next(
            (told for one, other in combinations(sorted(chain), 2) if (told := groups.conflict(one, other))),
            "",
        )
        if why:
            found.update({edge: why for edge in edges if edge[0] in chain})
    return found
