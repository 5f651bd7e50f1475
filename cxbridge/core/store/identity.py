"""What records can be found by, and which are the same company or person; what makes them so is not decided here.

Clusters are not stored: they are what confirmed pairs connect.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import Ref
from cxbridge.core.store import changes, schema
from cxbridge.core.store.prepared import Prepared
from cxbridge.core.store.statements import chunks, fill, replacing, row_of, take_numbers, unsought
from cxbridge.core.store.tx import Tx

MatchState = Literal["suggested", "confirmed", "rejected", "split"]
# What only a person says, and no rule takes back.
APART: tuple[MatchState, ...] = ("rejected", "split")
KINDS = ("account", "contact")
# Who is somebody else's customer today may be a colleague tomorrow: such a record's keys have to go.
_LOOKED_AT = (*KINDS, "agent")

_keys = schema.identity_keys.c
_matches = schema.matches.c
_records = schema.records.c
_changes = schema.changes.c
_whole = sa.select(schema.matches)
_confirmed = _matches.state == "confirmed"
_sides = (_matches.left, _matches.right)

_touched = Prepared(
    sa.select(_changes.seq, _records.connection, _records.stream, _records.key)
    .join(schema.records, _records.id == _changes.record)
    .where(_changes.seq > sa.bindparam("seq"), schema.among(_records.kind, _LOOKED_AT))
    .order_by(_changes.seq)
    .limit(sa.bindparam("most"))
)
_remove_key = sa.delete(schema.identity_keys).where(
    _keys.key == sa.bindparam("its_key"), _keys.ref == sa.bindparam("its_ref")
)
_remove_match = sa.delete(schema.matches).where(
    _matches.left == sa.bindparam("its_left"), _matches.right == sa.bindparam("its_right")
)
# One walk along an index per side; an OR over both would be left to the database's mood. All that are confirmed are far more.
_partners = [
    sa.select(here, there).where(
        unsought(_matches.state) == "confirmed", here.in_(sa.bindparam("refs", expanding=True))
    )
    for here, there in ((_matches.left, _matches.right), (_matches.right, _matches.left))
]


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Two records of one kind in two connections, `left` before `right`, and whether they are the same.

    `evidence` is a list of grounds as JSON values; `decided_by` is `rule:…`, `score` or `person:…`.
    """

    left: Ref
    right: Ref
    kind: str
    state: MatchState
    score: float
    evidence: list[Any]
    decided_by: str
    at: datetime

    @property
    def pair(self) -> tuple[Ref, Ref]:
        """The two records."""
        return (self.left, self.right)

    @property
    def by_person(self) -> bool:
        """Whether a person decided it."""
        return self.decided_by.startswith("person")

    def other(self, ref: Ref) -> Ref:
        """Give the side that a record is not on."""
        return self.right if ref == self.left else self.left


# -- keys --------------------------------------------------------------------------------------------------------------


def touched(tx: Tx, seq: int, limit: int) -> tuple[list[Ref], int]:
    """Name the people and companies that changed behind `seq`, and how far in the change log that goes."""
    rows = _touched.rows(tx.connection, {"seq": seq, "most": limit})
    # Behind the last of them, where there are no more, is nothing that concerns anybody.
    last = rows[-1][0] if len(rows) == limit else changes.last_seq(tx)
    return list(dict.fromkeys(Ref(*row[1:]) for row in rows)), max(last, seq)


def keys_of(tx: Tx, refs: Iterable[Ref]) -> dict[Ref, tuple[str, frozenset[str]]]:
    """Read the kind and the keys of those of the records that have keys."""
    kinds: dict[Ref, str] = {}
    found: dict[Ref, set[str]] = {}
    for some in chunks(sorted(set(refs))):
        rows = tx.connection.execute(sa.select(_keys.ref, _keys.key, _keys.kind).where(_keys.ref.in_(some)))
        for ref, key, kind in rows:
            kinds[ref] = kind
            found.setdefault(ref, set()).add(key)
    return {ref: (kinds[ref], frozenset(keys)) for ref, keys in found.items()}


def write_keys(tx: Tx, kind: str, added: Iterable[tuple[str, Ref]], removed: Iterable[tuple[str, Ref]]) -> None:
    """Store and forget keys of records of a kind."""
    gone = [{"its_key": key, "its_ref": ref} for key, ref in removed]
    if gone:
        tx.connection.execute(_remove_key, gone)
    fill(tx, schema.identity_keys, ("key", "ref", "kind"), [(key, str(ref), kind) for key, ref in added])


def counts(tx: Tx, kind: str, keys: Iterable[str]) -> dict[str, int]:
    """Count who has each of the keys; those that nobody has are left out."""
    found: dict[str, int] = {}
    for some in chunks(sorted(set(keys))):
        rows = tx.connection.execute(
            sa.select(_keys.key, sa.func.count()).where(_keys.key.in_(some), _keys.kind == kind).group_by(_keys.key)
        )
        found.update((key, number) for key, number in rows)
    return found


def holders(tx: Tx, kind: str, keys: Iterable[str]) -> dict[str, list[Ref]]:
    """Name who has each of the keys."""
    found: dict[str, list[Ref]] = {}
    for some in chunks(sorted(set(keys))):
        rows = tx.connection.execute(
            sa.select(_keys.key, _keys.ref)
            .where(_keys.key.in_(some), _keys.kind == kind)
            .order_by(_keys.key, _keys.ref)
        )
        for key, ref in rows:
            found.setdefault(key, []).append(ref)
    return found


def all_keys(tx: Tx, kind: str) -> Iterator[tuple[Ref, list[str]]]:
    """Read the keys of every record of a kind, record by record."""
    # As text: reading a ref for each of a hundred thousand rows costs more than the rows.
    rows = tx.connection.execute(
        sa.select(sa.type_coerce(_keys.ref, sa.Text), _keys.key)
        .where(_keys.kind == kind)
        .order_by(sa.type_coerce(_keys.ref, sa.Text))
    )
    last, keys = "", list[str]()
    for ref, key in rows:
        if ref != last and last:
            yield Ref.parse(last), keys
            keys = []
        last = ref
        keys.append(key)
    if last:
        yield Ref.parse(last), keys


# -- matches -----------------------------------------------------------------------------------------------------------


def save(tx: Tx, matches: Iterable[Match]) -> None:
    """Write matches, new ones and those that are there."""
    rows = [row_of(one) for one in matches]
    if rows:
        tx.connection.execute(replacing(tx.dialect, schema.matches, "left", "right"), rows)


def remove(tx: Tx, matches: Iterable[Match]) -> None:
    """Forget matches that have no ground any more."""
    rows = [{"its_left": one.left, "its_right": one.right} for one in matches]
    if rows:
        tx.connection.execute(_remove_match, rows)


def get(tx: Tx, one: Ref, other: Ref) -> Match | None:
    """Read what is said of two records, in whichever order they are named."""
    left, right = sorted((one, other))
    row = tx.connection.execute(_whole.where(_matches.left == left, _matches.right == right)).mappings().first()
    return None if row is None else Match(**row)


def of(tx: Tx, refs: Iterable[Ref]) -> list[Match]:
    """Read what is said of any of the records, on whichever side they stand; in the order of the pairs."""
    found: dict[tuple[Ref, Ref], Match] = {}
    for some in chunks(sorted(set(refs))):
        for side in _sides:
            for row in tx.connection.execute(_whole.where(side.in_(some))).mappings():
                found[row["left"], row["right"]] = Match(**row)
    return [found[pair] for pair in sorted(found)]


def find(tx: Tx, *, state: MatchState | None = None, kind: str | None = None, limit: int = 100) -> list[Match]:
    """Read matches, the highest scores first."""
    query = _whole.order_by(_matches.score.desc(), _matches.left, _matches.right).limit(limit)
    if state is not None:
        query = query.where(_matches.state == state)
    if kind is not None:
        query = query.where(_matches.kind == kind)
    return [Match(**row) for row in tx.connection.execute(query).mappings()]


def count(tx: Tx) -> dict[tuple[str, MatchState], int]:
    """Count matches by kind and state."""
    rows = tx.connection.execute(
        sa.select(_matches.kind, _matches.state, sa.func.count()).group_by(_matches.kind, _matches.state)
    )
    return {(kind, state): number for kind, state, number in rows}


def any_confirmed(tx: Tx) -> bool:
    """Whether anything at all is known to be the same."""
    return tx.connection.scalar(sa.select(_matches.state).where(_confirmed).limit(1)) is not None


def clusters(tx: Tx, refs: Collection[Ref]) -> dict[Ref, frozenset[Ref]]:
    """Give for each record all that it is known to be the same as, itself among them."""
    near: dict[Ref, set[Ref]] = {}
    asked: set[Ref] = set()
    asking = set(refs)
    while asking:
        asked |= asking
        for some in chunks(sorted(asking)):
            for query in _partners:
                for here, there in tx.connection.execute(query, {"refs": some}):
                    near.setdefault(here, set()).add(there)
                    near.setdefault(there, set()).add(here)
        asking = {ref for ref in near if ref not in asked}
    return components(near, refs)


def components(near: Mapping[Ref, Collection[Ref]], refs: Iterable[Ref]) -> dict[Ref, frozenset[Ref]]:
    """Give for each record all that it is connected with, itself among them."""
    found: dict[Ref, frozenset[Ref]] = {}
    for ref in refs:
        if ref in found:
            continue
        seen, open_ones = {ref}, [ref]
        while open_ones:
            for other in near.get(open_ones.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    open_ones.append(other)
        found.update(dict.fromkeys(seen, frozenset(seen)))
    return found


# -- the queue ---------------------------------------------------------------------------------------------------------


def known(tx: Tx, kind: str, connection: str | None = None) -> list[Ref]:
    """Name the living records of a kind that can be matched, in the order of their refs."""
    # Each has one key of this sort.
    query = sa.select(_keys.ref).where(_keys.key >= "own:", _keys.key < "own;", _keys.kind == kind).order_by(_keys.ref)
    if connection is not None:
        text = sa.type_coerce(_keys.ref, sa.Text)
        query = query.where(text >= f"{connection}/", text < f"{connection}0")
    return list(tx.connection.scalars(query))


def matched(tx: Tx, kind: str) -> set[Ref]:
    """Name the records of a kind that are known to be the same as another one."""
    return {
        ref
        for side in _sides
        for ref in tx.connection.scalars(sa.select(side).where(_confirmed, _matches.kind == kind).distinct())
    }


def moved(tx: Tx) -> None:
    """Note that more, or something else, is known of who is who; belongs in the commit of what is."""
    take_numbers(tx, "identity", 1)


def version(tx: Tx) -> int:
    """Count how often that was noted: who waits for a match need not look again before it grows."""
    return take_numbers(tx, "identity", 0) - 1
