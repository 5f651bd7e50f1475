"""What vendors answered: which record a delivery wrote or made, and with which values; kept for good."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from cxbridge.core.ledger import Ref, StoredReceipt
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Among, Prepared
from cxbridge.core.store.statements import row_of
from cxbridge.core.store.tx import Tx

_receipts = schema.receipts.c
_fields = [_receipts[name] for name in StoredReceipt.__struct_fields__]
_whole = sa.select(*_fields)
_insert = Prepared(sa.insert(schema.receipts), columns=StoredReceipt.__struct_fields__)
_of_delivery = Prepared(_whole.where(_receipts.delivery == sa.bindparam("delivery")).order_by(_receipts.id))
_place = sa.func.row_number().over(partition_by=_receipts.ref, order_by=_receipts.id.desc()).label("place")


def _newest_of(among: sa.ColumnElement[bool]) -> sa.Select[Any]:
    ranked = sa.select(_receipts.id, _place).where(among).subquery()
    return (
        _whole.join(ranked, ranked.c.id == _receipts.id)
        .where(ranked.c.place <= sa.bindparam("limit"))
        .order_by(_receipts.id.desc())
    )


_of_many = Among(_receipts.ref, _newest_of)
_mark = sa.update(schema.receipts).where(
    _receipts.delivery == sa.bindparam("which_delivery"),
    _receipts.ref == sa.bindparam("which_ref"),
    _receipts.role == sa.bindparam("which_role"),
)


def add(tx: Tx, receipts: Sequence[StoredReceipt]) -> None:
    """Keep what the vendor answered; belongs in the commit that settles the delivery."""
    if receipts:
        _insert.run_all(tx.connection, [row_of(receipt) for receipt in receipts])


def of(tx: Tx, ref: Ref, limit: int = 20) -> list[StoredReceipt]:
    """Read the receipts of a record, newest first."""
    return _read(tx.connection.execute(_whole.where(_receipts.ref == ref).order_by(_receipts.id.desc()).limit(limit)))


def of_many(tx: Tx, refs: Iterable[Ref], limit: int = 20) -> dict[Ref, list[StoredReceipt]]:
    """Read the newest receipts of many records, newest first; a record without any is left out."""
    found: dict[Ref, list[StoredReceipt]] = {}
    for receipt in _of_many.structs(tx.connection, StoredReceipt, sorted(set(refs)), {"limit": limit}):
        found.setdefault(receipt.ref, []).append(receipt)
    return found


def of_delivery(tx: Tx, delivery: str) -> list[StoredReceipt]:
    """Read what one delivery wrote and made, in the order it was added."""
    return _of_delivery.structs(tx.connection, StoredReceipt, {"delivery": delivery})


def mark_seen(tx: Tx, seen: Sequence[StoredReceipt], seq: int) -> None:
    """Note which change showed these receipts again; belongs in the commit that plans the change."""
    if seen:
        rows = [
            {"which_delivery": one.delivery, "which_ref": one.ref, "which_role": one.role, "seen_seq": seq}
            for one in seen
        ]
        tx.connection.execute(_mark, rows)


def _read(rows: sa.CursorResult[Any]) -> list[StoredReceipt]:
    return [StoredReceipt(**row) for row in rows.mappings()]
