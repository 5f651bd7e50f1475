"""Whether a store, as an image of one moment, can be true: its file, its keys, what must hold between its tables.

It alters nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.ledger import DeliveryState
from cxbridge.core.store import audit, counting, packing, schema, state
from cxbridge.core.store.sealing import unseal
from cxbridge.core.store.tokens import name_of
from cxbridge.core.store.tx import Tx

_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
_SETTLED: tuple[DeliveryState, ...] = ("confirmed", "dead", "cancelled")

_records, _changes = schema.records.c, schema.changes.c
_deliveries, _counters = schema.deliveries.c, schema.counters.c


def problems(tx: Tx) -> Iterator[str]:
    """Name everything that cannot be true, one sentence each; nothing where the store is sound."""
    checks: tuple[Callable[[Tx], Iterator[str]], ...] = (_pages, _log, _packed, _outbox, _numbers, _secrets, _chain)
    for check in checks:
        yield from check(tx)


def miscounts(tx: Tx) -> Iterator[str]:
    """Name the streams of which other records are there than were counted, one sentence each; whoever counts anew mends that."""
    if counting.is_behind(tx.connection):
        # Nobody believes these counts.
        return
    there, counted = counting.go_through(tx.connection), counting.kept(tx.connection)
    for place in sorted(there.keys() | counted.keys()):
        if there.get(place, 0) != counted.get(place, 0):
            told = "/".join(place)
            yield f"of {told} {there.get(place, 0)} records are there, and {counted.get(place, 0)} were counted"


def _pages(tx: Tx) -> Iterator[str]:
    if tx.dialect != "sqlite":
        return
    for (told,) in tx.connection.exec_driver_sql("PRAGMA integrity_check(10)"):
        if told != "ok":
            yield f"the file is damaged: {told}"
    for row in tx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(10):
        yield f"row {row[1]} of {row[0]} points at nothing in {row[2]}"


def _log(tx: Tx) -> Iterator[str]:
    """A checkpoint is never ahead: what a page brought was stored with its changes, in the commit that moved the cursor."""
    unlogged = _count(
        tx,
        sa.select(sa.func.count())
        .select_from(schema.records)
        .where(~_records.deleted, ~sa.exists().where(_changes.record == _records.id)),
    )
    if unlogged:
        yield f"{unlogged} records came without a change, so that no recipe would ever see them"


def _packed(tx: Tx) -> Iterator[str]:
    """Every dictionary that values are packed with is there."""
    named: set[int] = set()
    for column in (_records.body, _changes.before, schema.payloads.c.raw):
        begun = sa.func.substr(column, 1, packing.HEADER)
        for head in tx.connection.scalars(sa.select(begun).where(column.is_not(None)).distinct()):
            named |= packing.names(bytes(head))
    there = set(tx.connection.scalars(sa.select(schema.dictionaries.c.id)))
    for ident in sorted(named - there):
        yield f"values are packed with the dictionary {ident}, which is not there: they cannot be read"


def _outbox(tx: Tx) -> Iterator[str]:
    """What was planned is in one of the states, and nothing is gone."""
    counts = {
        str(name): int(number)
        for name, number in tx.connection.execute(
            sa.select(_deliveries.state, sa.func.count()).group_by(_deliveries.state)
        )
    }
    strange = sorted(set(counts) - set(_STATES))
    if strange:
        yield f"deliveries are in states that nobody knows: {', '.join(strange)}"
    planned = _count(tx, sa.select(_counters.value).where(_counters.name == "delivery"))
    there = sum(counts.values())
    if planned != there:
        yield f"{planned} deliveries were planned, and {there} are there"
    for told, wrong in (
        ("deliveries are settled without a time", _deliveries.state.in_(_SETTLED) & _deliveries.settled_at.is_(None)),
        (
            "deliveries are under way without having been sent",
            (_deliveries.state == "sent") & _deliveries.sent_at.is_(None),
        ),
        ("deliveries belong to no run", ~sa.exists().where(schema.runs.c.id == _deliveries.run)),
    ):
        found = _count(tx, sa.select(sa.func.count()).select_from(schema.deliveries).where(wrong))
        if found:
            yield f"{found} {told}"


def _numbers(tx: Tx) -> Iterator[str]:
    """No number was used that was not given out, or it would be given out again."""
    for name, column in (("record", _records.id), ("change", _changes.seq), ("delivery", _deliveries.seq)):
        given = _count(tx, sa.select(_counters.value).where(_counters.name == name))
        used = _count(tx, sa.select(sa.func.max(column)))
        if used > given:
            yield f"the {name} {used} is there, and only {given} were numbered"


def _secrets(tx: Tx) -> Iterator[str]:
    try:
        state.instance_key(tx)
    except ConfigError as error:
        yield f"{error}"
    except StoreError:
        # One that was never opened for writing has none yet.
        pass
    rows = tx.connection.execute(sa.select(schema.tokens.c.connection, schema.tokens.c.sealed))
    for connection, sealed in rows:
        try:
            unseal(tx.key or b"", name_of(connection), sealed)
        except ConfigError as error:
            yield f"{error}"


def _chain(tx: Tx) -> Iterator[str]:
    try:
        found = audit.verify(tx)
    except (ConfigError, StoreError):
        # Told with the secrets; without a key there is no chain.
        return
    if found.wrong:
        yield f"the audit chain does not hold: {found.wrong}"


def _count(tx: Tx, query: sa.Select[Any]) -> int:
    return int(tx.connection.scalar(query) or 0)
