"""Writing what a page came to, bodies and payloads packed on the way; what counts as a change is decided elsewhere."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from cxbridge.core.ledger import ChangeOp, Incoming
from cxbridge.core.store import counting, packing, schema
from cxbridge.core.store.learning import Buffer
from cxbridge.core.store.statements import fill, many, take_numbers
from cxbridge.core.store.tx import Tx

T = TypeVar("T")

# Written out, and given values as they lie in the tables: SQLAlchemy's own way costs more than the database does.
_log_replaced = """INSERT INTO "changes" ("seq", "record", "op", "at", "before")
SELECT ?, "id", ?, ?, "body" FROM "records" WHERE "id" = ?"""
_update = """UPDATE "records" SET "kind" = ?, "source_key" = ?, "digest" = ?, "ordinal" = ?, "deleted" = ?, "seen_at" = ?,
"imprint" = ?, "body" = ? WHERE "id" = ?"""
_touch = """UPDATE "records" SET "ordinal" = ?, "seen_at" = ?, "imprint" = ?, "body" = ? WHERE "id" = ?"""
_sign = """UPDATE "records" SET "imprint" = ? WHERE "id" = ?"""
_put_raw = """INSERT INTO "payloads" ("record", "raw") VALUES (?, ?)
ON CONFLICT ("record") DO UPDATE SET "raw" = excluded."raw"
"""
_new_record = (
    "id",
    "connection",
    "stream",
    "key",
    "kind",
    "source_key",
    "digest",
    "ordinal",
    "deleted",
    "seen_at",
    "body",
    "imprint",
)


@dataclass(slots=True)
class Page:
    """What a page comes to, by statement: records with what is to be stored of them, or with what happened to them."""

    inserts: list[tuple[int, Incoming]] = field(default_factory=list)
    updates: list[tuple[int, Incoming]] = field(default_factory=list)
    touches: list[tuple[int, Incoming]] = field(default_factory=list)
    imprints: list[tuple[bytes, int]] = field(default_factory=list)
    created: list[int] = field(default_factory=list)
    replaced: list[tuple[int, ChangeOp]] = field(default_factory=list)
    # By how many more of each stream live than before.
    living: Counter[str] = field(default_factory=Counter)
    # Payloads of those that had none, and of those that may have one.
    new_raws: list[tuple[int, Incoming]] = field(default_factory=list)
    raws: list[tuple[int, Incoming]] = field(default_factory=list)


def write(tx: Tx, page: Page, at: int, packer: packing.Packer, connection: str) -> int:
    """Write a page at a moment (microseconds), in its connection; gives the newest of all changes."""
    first = take_numbers(tx, "change", len(page.replaced) + len(page.created))
    batch = packer.batch()
    # In the order in which they are stored below.
    updates, touches, inserts = (
        batch.add("body", ((item.stream, item.body) for _, item in rows))
        for rows in (page.updates, page.touches, page.inserts)
    )
    new_raws, raws = (
        batch.add("raw", ((item.stream, item.raw or b"") for _, item in rows)) for rows in (page.new_raws, page.raws)
    )
    with batch.ahead():
        # The order matters: the log copies stored bodies before they are replaced, and points at records that exist.
        log(tx, page.replaced, first, at)
        first += len(page.replaced)
        for some in _sliced(page.updates, updates):
            changed = [
                (item.kind, item.source_key, item.digest, item.ordinal, item.deleted, at, item.imprint, body, record)
                for (record, item), body in some
            ]
            many(tx, _update, changed)
        for some in _sliced(page.touches, touches):
            many(tx, _touch, [(item.ordinal, at, item.imprint, body, record) for (record, item), body in some])
        if page.imprints:
            many(tx, _sign, page.imprints)
        for some in _sliced(page.inserts, inserts):
            new = [
                (
                    record,
                    connection,
                    item.stream,
                    item.key,
                    item.kind,
                    item.source_key,
                    item.digest,
                    item.ordinal,
                    item.deleted,
                    at,
                    body,
                    item.imprint,
                )
                for (record, item), body in some
            ]
            fill(tx, schema.records, _new_record, new)
        created = [(seq, record, "created", at) for seq, record in enumerate(page.created, first)]
        fill(tx, schema.changes, ("seq", "record", "op", "at"), created)
        for some in _sliced(page.new_raws, new_raws):
            kept = [(record, raw) for (record, _), raw in some]
            fill(tx, schema.payloads, ("record", "raw"), kept)
        for some in _sliced(page.raws, raws):
            many(tx, _put_raw, [(record, raw) for (record, _), raw in some])
    counting.add(tx, connection, page.living)
    return first + len(created) - 1


def log(tx: Tx, replaced: Sequence[tuple[int, ChangeOp]], first: int, at: int) -> None:
    """Log changes of records that are there, with their bodies as they stand, numbered from `first`."""
    rows = [(seq, op, at, record) for seq, (record, op) in enumerate(replaced, first)]
    if rows:
        many(tx, _log_replaced, rows)


def _sliced(rows: Sequence[T], packed: Iterator[Buffer]) -> Iterator[list[tuple[T, Buffer]]]:
    """Put what was packed beside its rows, slice by slice; a value too few must not leave a row out in silence."""
    for start in range(0, len(rows), packing.SLICE):
        some = rows[start : start + packing.SLICE]
        yield list(zip(some, islice(packed, len(some)), strict=True))
