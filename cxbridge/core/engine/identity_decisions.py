"""What a person says about who is who: confirm, reject, split; each can be taken back, and no rule goes against it."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from cxbridge.core.engine.identity import Identifier
from cxbridge.core.engine.identity_rules import list_of, pair_of
from cxbridge.core.errors import CxbridgeError
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Tx, audit, identity
from cxbridge.core.store.identity import APART, Match, MatchState


class DecisionError(CxbridgeError):
    """A decision would contradict an earlier one, or is about nothing; nothing was changed."""

    exit_code = 65


@dataclass(frozen=True, slots=True)
class Decisions:
    """Writes what people say, each in one commit with all that follows from it."""

    identifier: Identifier

    def confirm(self, one: Ref, other: Ref, who: str) -> Match:
        """Say that two records are the same; their clusters become one, even where that brings two of one connection together.

        Raises:
            DecisionError: they cannot be, or two in their clusters were told apart.
        """
        with self.identifier.store.write() as tx:
            kind = self._kind(tx, one, other)
            clusters = identity.clusters(tx, (one, other))
            self._refuse_contradiction(tx, clusters[one], clusters[other], pair_of(one, other))
            whole = clusters[one] | clusters[other]
            if len({list_of(ref) for ref in whole}) < len(whole):
                # No rule would keep two of one list together: what they were joined by before is this person's word now.
                identity.save(
                    tx,
                    [
                        msgspec.structs.replace(match, decided_by=f"person:{who}", at=self.identifier.clock.now())
                        for match in identity.of(tx, whole)
                        if match.state == "confirmed" and not match.by_person
                    ],
                )
            return self._say(tx, kind, one, other, "confirmed", who, whole)

    def reject(self, one: Ref, other: Ref, who: str) -> Match:
        """Say that two records are not the same, so that nobody is asked again.

        Raises:
            DecisionError: they cannot be matched at all, or are the same through others, as people said.
        """
        return self._apart(one, other, "rejected", who)

    def split(self, one: Ref, other: Ref, who: str) -> Match:
        """Undo a confirmed pair for good.

        Raises:
            DecisionError: it is not confirmed, or they stay the same through others, as people said.
        """
        with self.identifier.store.read() as tx:
            held = identity.get(tx, one, other)
            together = other in identity.clusters(tx, (one,))[one]
        if not together and (held is None or held.state != "confirmed"):
            raise DecisionError(f"{one} and {other} are not known to be the same: there is nothing to split")
        return self._apart(one, other, "split", who)

    def split_off(self, ref: Ref, who: str) -> list[Match]:
        """Take a record out of its cluster for good: it is split from everybody in it.

        Raises:
            DecisionError: it is in none.
        """
        with self.identifier.store.write() as tx:
            cluster = identity.clusters(tx, (ref,))[ref]
            others = sorted(cluster - {ref})
            if not others:
                raise DecisionError(f"{ref} is not known to be the same as any other: there is nothing to split")
            kind = self._kind(tx, ref, others[0])
            made = [self._match(tx, kind, ref, other, "split", who) for other in others]
            self._write(tx, kind, made, cluster)
            self._enter(tx, "split", ref, others, who)
            return made

    # -- one commit ------------------------------------------------------------------------------------------------

    def _apart(self, one: Ref, other: Ref, state: MatchState, who: str) -> Match:
        with self.identifier.store.write() as tx:
            kind = self._kind(tx, one, other)
            cluster = frozenset().union(*identity.clusters(tx, (one, other)).values())
            pair = pair_of(one, other)
            by_people = [
                match.pair
                for match in identity.of(tx, cluster)
                if match.state == "confirmed" and match.by_person and match.pair != pair
            ]
            near: dict[Ref, set[Ref]] = {}
            for left, right in by_people:
                near.setdefault(left, set()).add(right)
                near.setdefault(right, set()).add(left)
            if other in identity.components(near, (one,))[one]:
                told = "; ".join(f"{left} {right}" for left, right in by_people)
                raise DecisionError(
                    f"{one} and {other} are the same through pairs that a person confirmed; split those first: {told}"
                )
            return self._say(tx, kind, one, other, state, who, cluster)

    def _say(
        self, tx: Tx, kind: str, one: Ref, other: Ref, state: MatchState, who: str, cluster: Iterable[Ref]
    ) -> Match:
        match = self._match(tx, kind, one, other, state, who)
        self._write(tx, kind, [match], {*cluster, one, other})
        self._enter(tx, state, one, [other], who)
        return match

    def _enter(self, tx: Tx, state: MatchState, one: Ref, others: Iterable[Ref], who: str) -> None:
        told = [str(ref) for ref in others]
        now = self.identifier.clock.now()
        audit.decided(tx, f"identity.{state}", who=who, subject=str(one), now=now, others=told)

    def _match(self, tx: Tx, kind: str, one: Ref, other: Ref, state: MatchState, who: str) -> Match:
        left, right = pair_of(one, other)
        held = identity.get(tx, one, other)
        now = self.identifier.clock.now()
        by = f"person:{who}"
        if held is not None:
            return msgspec.structs.replace(held, state=state, decided_by=by, at=now)
        return Match(left=left, right=right, kind=kind, state=state, score=1.0, evidence=[], decided_by=by, at=now)

    def _write(self, tx: Tx, kind: str, made: list[Match], cluster: Iterable[Ref]) -> None:
        identity.save(tx, made)
        identity.moved(tx)
        around = {*cluster}
        self.identifier.settle_by_hand(tx, kind, around)

    def _kind(self, tx: Tx, one: Ref, other: Ref) -> str:
        if one == other:
            raise DecisionError(f"{one} is one record")
        if one.connection == other.connection:
            raise DecisionError(
                f"{one} and {other} are both in {one.connection}: match each of them with a record of another connection"
            )
        kinds = {ref: kind for ref, (kind, _) in identity.keys_of(tx, (one, other)).items()}
        for match in identity.of(tx, (one, other)):
            # Of what was deleted, what is said can still be changed.
            kinds.setdefault(match.left, match.kind)
            kinds.setdefault(match.right, match.kind)
        for ref in (one, other):
            if ref not in kinds:
                raise DecisionError(f"{ref} is no account or contact that is known; is it pulled, and planned since?")
        if kinds[one] != kinds[other]:
            raise DecisionError(f"{one} is one of the {kinds[one]}s, {other} one of the {kinds[other]}s")
        return kinds[one]

    def _refuse_contradiction(self, tx: Tx, here: frozenset[Ref], there: frozenset[Ref], pair: tuple[Ref, Ref]) -> None:
        for match in identity.of(tx, here):
            if match.state in APART and match.pair != pair and {*match.pair} & here and {*match.pair} & there:
                raise DecisionError(
                    f"that would make {match.left} and {match.right} the same, which {match.decided_by} told apart; if they are, "
                    f"confirm these first"
                )
