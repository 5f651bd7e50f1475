"""Judges a database image: what the invariants demand of our own tables, whatever the process died of.

The vendors' log is judged by `cxbridge.sandbox.checker`. Here stand I2, I8, I10, I12, I13 and I14, as far as an image shows them.
Pass the store of a bridge, or one opened on a copy of its file; it is only read.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs

import sqlalchemy as sa

from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.ledger import OPEN_DELIVERIES, Delivery, Run
from cxbridge.core.store import Store, audit, checkpoints, outbox, packing, runs, schema
from cxbridge.sandbox.checker import Violation
from cxbridge.sandbox.journal import Journal
from cxbridge.sandbox.verdict import markers

_ALL = 1_000_000
STATES = {"planned", "sent", "confirmed", "unknown", "retry", "dead", "held", "cancelled", "shadow"}


def _broken(invariant: str, what: str, *evidence: object) -> Violation:
    return Violation(invariant=invariant, what=what, evidence=[str(one) for one in evidence])


def judge_store(
    store: Store, *, journal: Journal | None = None, most: Mapping[str, int] | None = None, at_rest: bool = False
) -> list[Violation]:
    """Say what is wrong with an image: I8 and I10, and I12 where bounds are given. `at_rest`: nothing may be under way in it."""
    with store.read() as tx:
        deliveries = outbox.find(tx, limit=_ALL)
        known = runs.find(tx, limit=_ALL)
        receipted = set(tx.connection.execute(sa.select(schema.receipts.c.delivery)).scalars())
        numbers = {row.name: row.value for row in tx.connection.execute(sa.select(schema.counters))}
        entries = audit.find(tx, limit=_ALL)
        chain = audit.verify(tx)
        rows = {
            name: tx.connection.scalar(sa.select(sa.func.count()).select_from(schema.metadata.tables[name])) or 0
            for name in most or {}
        }
    found = [*_conserved(deliveries, known, receipted, numbers.get("delivery", 0))]
    if chain.wrong:
        found.append(_broken("I10", f"the audit chain does not verify: {chain.wrong}"))
    found += _entered(deliveries, entries)
    found += [
        _broken("I12", f"{rows[name]} rows in {name}, and {limit} are the most")
        for name, limit in (most or {}).items()
        if rows[name] > limit
    ]
    if journal is not None:
        planted = {one.marker for one in deliveries}
        done = {marker for effect in journal.effects(via="api") for marker in markers(effect.detail)}
        strange = {one for one in done if one.replace("-", ":").replace("_", ":") not in planted}
        found += [
            _broken("I8", f"{one} was done at a vendor, and no delivery is known for it") for one in sorted(strange)
        ]
    if at_rest:
        found += _resting(deliveries, known)
    return found


def _conserved(
    deliveries: Sequence[Delivery], known: Sequence[Run], receipted: set[str], given_out: int
) -> Iterator[Violation]:
    """Every planned delivery is in one of the states, belongs to a run, and has a receipt exactly if it was confirmed."""
    ids = {run.id for run in known}
    if len(deliveries) != given_out:
        counts = Counter(one.state for one in deliveries)
        yield _broken("I8", f"{given_out} deliveries were planned, and {len(deliveries)} are known", dict(counts))
    for one in deliveries:
        if one.state not in STATES:
            yield _broken("I8", f"delivery {one.id} is in the state {one.state!r}", one)
        if one.run not in ids:
            yield _broken("I8", f"delivery {one.id} belongs to no run", one)
        if one.state == "confirmed" and one.id not in receipted and not _adopts(one, deliveries):
            yield _broken("I8", f"delivery {one.id} is confirmed and has no receipt", one)
        if one.state != "confirmed" and one.id in receipted:
            yield _broken("I8", f"delivery {one.id} is {one.state} and has a receipt", one)
    working = {one.run for one in deliveries if one.state in OPEN_DELIVERIES}
    for run in known:
        ended = run.state in ("done", "failed", "stopped", "cancelled")
        if ended != (run.ended_at is not None):
            yield _broken("I8", f"run {run.id} is {run.state} and ended at {run.ended_at}", run)
        if run.state == "running" and run.id not in working:
            yield _broken("I8", f"run {run.id} is running and has no open delivery: nothing will ever move it on", run)
        if run.state == "waiting" and run.wake_at is None and not _queued(run, known):
            yield _broken("I8", f"run {run.id} waits for nothing", run)


def _adopts(one: Delivery, deliveries: Sequence[Delivery]) -> bool:
    return any(other.marker == one.marker and other.id != one.id and other.state == "confirmed" for other in deliveries)


def _queued(run: Run, known: Sequence[Run]) -> bool:
    same = [
        one for one in known if (one.recipe, one.part, one.key) == (run.recipe, run.part, run.key) and one.id < run.id
    ]
    return any(one.ended_at is None for one in same)


def _entered(deliveries: Sequence[Delivery], entries: Sequence[audit.Entry]) -> Iterator[Violation]:
    """Each confirmed delivery is entered in the chain once, and nothing is entered as confirmed that is not."""
    ends = ("write.confirmed", "write.adopted")
    entered = Counter(str(one.detail.get("delivery")) for one in entries if one.what in ends)
    confirmed = {one.id for one in deliveries if one.state == "confirmed"}
    for ident in sorted(confirmed):
        if entered[ident] != 1:
            yield _broken("I10", f"delivery {ident} is confirmed, and entered in the chain {entered[ident]} times")
    for ident in sorted(set(entered) - confirmed):
        yield _broken("I10", f"delivery {ident} is entered in the chain as done, and is not confirmed")


def _resting(deliveries: Sequence[Delivery], known: Sequence[Run]) -> Iterator[Violation]:
    for one in deliveries:
        if one.state in ("planned", "sent", "unknown", "retry"):
            yield _broken("I8", f"delivery {one.id} ({one.action}) is still {one.state} at rest: {one.error}")
    for run in known:
        if run.state == "running" and not any(one.run == run.id and one.state == "held" for one in deliveries):
            yield _broken("I8", f"run {run.id} ({run.part}) is still running at rest")


# -- I2 ----------------------------------------------------------------------------------------------------------------


def checkpoint_ahead(bridge: Bridge, streams: Sequence[tuple[str, str]]) -> list[Violation]:
    """I2: whatever a full reading shows and a reading from the checkpoint does not must be stored, in that version or a newer one.

    Reads from the vendors, and writes nothing anywhere.
    """
    found: list[Violation] = []
    for connection, name in streams:
        stream = bridge.connections[connection].streams[name]
        with bridge.store.read() as tx:
            checkpoint = checkpoints.get(tx, connection, name)
            held = {
                key: (ordinal, deleted)
                for key, ordinal, deleted in tx.connection.execute(
                    sa.select(schema.records.c.key, schema.records.c.ordinal, schema.records.c.deleted).where(
                        schema.records.c.connection == connection, schema.records.c.stream == name
                    )
                )
            }
        if stream.pages is None or checkpoint is None or stream.order != "changed":
            continue
        client = bridge.clients.of(connection)
        everything = {one.source_id: one for page in stream.pages(client, None) for one in page.mapped(name).entities}
        ahead = {
            one.source_id for page in stream.pages(client, checkpoint.cursor) for one in page.mapped(name).entities
        }
        for key, entity in everything.items():
            if key in ahead:
                continue
            updated = int(entity.updated_at.timestamp() * 1_000_000) if entity.updated_at else 0
            if key not in held:
                found.append(
                    _broken("I2", f"{connection}/{name}/{key} lies behind the checkpoint and is not stored", checkpoint)
                )
            elif held[key][0] < updated:
                found.append(
                    _broken(
                        "I2", f"{connection}/{name}/{key} is stored in an older version than lies behind the checkpoint"
                    )
                )
    return found


# -- I13 ---------------------------------------------------------------------------------------------------------------


def leaks(folder: Path, words: Sequence[str]) -> list[Violation]:
    """I13: none of these words stands in any file of the store."""
    found = []
    for file in sorted(folder.glob("cxbridge.db*")):
        body = file.read_bytes() + (_unpacked(file) if file.suffix == ".db" else b"")
        found += [
            _broken("I13", f"{file.name} holds a text that must stand nowhere", word[:4] + "…")
            for word in words
            if word.encode() in body
        ]
    return found


def _unpacked(file: Path) -> bytes:
    """Give what is packed in a store as it was before."""
    engine = sa.create_engine(f"sqlite:///{file}")
    packs = packing.Packs()
    columns = (schema.records.c.body, schema.changes.c.before, schema.payloads.c.raw)
    with engine.connect() as connection:
        values = [one for column in columns for one in connection.scalars(sa.select(column)) if one is not None]
        texts = [packs.unpack(connection, bytes(one)) for one in values]
    engine.dispose()
    return b"\n".join(texts)


# -- I14 ---------------------------------------------------------------------------------------------------------------


def read_again(
    journal: Journal, restarts: int, paths: Mapping[str, str] | None = None, *, besides: Collection[int] = ()
) -> list[Violation]:
    """I14: after each start at most one page of a stream is asked for again. `paths` maps a path to the name of its cursor.

    `besides` are the numbers of entries that do not count.
    """
    found = []
    for path, name in (paths or {"/api/v2/incremental/tickets/cursor.json": "cursor"}).items():
        asked = [
            parse_qs(one.query).get(name, ["first"])[0]
            for one in journal.requests()
            if one.path == path and one.status == 200 and not one.fault and one.seq not in besides
        ]
        # Reading on asks with a new cursor, or with the newest again where nothing is new; going back is reading again.
        met: dict[str, int] = {}
        newest, again = "", 0
        for cursor in asked:
            again += cursor in met and cursor != newest
            met.setdefault(cursor, len(met))
            newest = max(met, key=met.__getitem__)
        if again > restarts:
            found.append(_broken("I14", f"{again} pages of {path} were read again after {restarts} restarts"))
    return found
