"""Which record here is which record there; a link is never deleted, it changes its state."""

from collections.abc import Collection
from typing import Literal

import sqlalchemy as sa

from cxbridge.core.ledger import Link, Ref
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Dialect, Prepared
from cxbridge.core.store.statements import AnyInsert, chunks, insert, row_of
from cxbridge.core.store.tx import Tx

_links = schema.links.c
_active = schema.among(_links.state, ("active",))
_whole = sa.select(schema.links)


def _sides(*which: sa.ColumnElement[bool]) -> tuple[Prepared, ...]:
    # One walk along an index per side; an OR over both would be left to the database's mood.
    return tuple(
        Prepared(_whole.where(*which, column == sa.bindparam("ref"))) for column in (_links.left, _links.right)
    )


# By whether a relation is named, and whether links that hold no more are left out.
_of = {
    (named, living): _sides(
        *((_links.relation == sa.bindparam("relation"),) if named else ()), *((_active,) if living else ())
    )
    for named in (False, True)
    for living in (False, True)
}


def _ensuring(dialect: Dialect) -> AnyInsert:
    statement = insert(dialect, schema.links)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["left", "right", "relation"],
        set_={"made_by": new.made_by, "made_at": new.made_at, "state": new.state},
        where=~_active,
    )


_ensure = Prepared(_ensuring, columns=Link.__struct_fields__)


def ensure(tx: Tx, link: Link) -> bool:
    """Make a link active; True when it is new or was broken or removed before."""
    return _ensure.run(tx.connection, {**row_of(link), "state": "active"}) > 0


def mark(tx: Tx, link: Link, state: Literal["broken", "removed"]) -> bool:
    """Say that a link holds no more; the row stays as evidence. True when it was active."""
    done = tx.connection.execute(
        sa.update(schema.links)
        .where(_links.left == link.left, _links.right == link.right, _links.relation == link.relation, _active)
        .values(state=state)
    )
    return done.rowcount > 0


def of(tx: Tx, ref: Ref, relation: str | None = None, *, active_only: bool = True) -> list[Link]:
    """Find the links of a record, on whichever side it stands, oldest first."""
    asked = {"ref": ref} if relation is None else {"ref": ref, "relation": relation}
    found = [
        link for side in _of[relation is not None, active_only] for link in side.structs(tx.connection, Link, asked)
    ]
    unique = {(link.left, link.right, link.relation): link for link in found}
    return sorted(unique.values(), key=lambda link: (link.made_at, link.left, link.right))


def among(tx: Tx, refs: Collection[Ref]) -> set[Ref]:
    """Tell which of these records stand in an active link, on whichever side."""
    found: set[Ref] = set()
    for some in chunks(sorted(refs)):
        for column in (_links.left, _links.right):
            found.update(tx.connection.scalars(sa.select(column).where(column.in_(some), _active)))
    return found


def find(tx: Tx, relation: str, limit: int = 1000, after: tuple[Ref, Ref] | None = None) -> list[Link]:
    """Page through the active links of a relation in the order of their texts; `after` is the last pair seen."""
    query = (
        sa.select(schema.links)
        .where(_links.relation == relation, _active)
        .order_by(_links.left, _links.right)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(_links.left, _links.right) > sa.tuple_(*after, types=(_links.left.type,) * 2))
    return [Link(**row) for row in tx.connection.execute(query).mappings()]
