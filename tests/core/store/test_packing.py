"""Bodies and payloads packed: read back as they were, a fraction of the size, and nothing of a single person in a dictionary."""

import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.ledger import Incoming, Ref
from cxbridge.core.store import Store, changes, compacting, learning, migrate, packing, records, schema, state
from cxbridge.core.store.learning import SHARED, Buffer
from cxbridge.core.store.packing import MAGIC, SAMPLES

Make = Callable[..., Incoming]
MANY = SAMPLES + 200
WORDS = ["parcel", "invoice", "refund", "login", "export", "import", "late", "customs", "label", "carrier", "order"]


def ticket(number: int, draw: random.Random) -> bytes:
    """A body as a stream has many of: the same fields, a few values, words of its own."""
    return msgspec.json.encode(
        {
            "entity": "ticket",
            "source_id": str(number),
            "url": f"https://acme.example/agent/tickets/{number}",
            "subject": " ".join(draw.sample(WORDS, 4)),
            "status_category": draw.choice(("new", "open", "waiting")),
            "requester": f"person{number}@customer.example",
            "custom": {str(36000000000 + field): draw.choice(WORDS) for field in range(12)},
        }
    )


def page(item: Make, first: int = 0, count: int = MANY, *, again: int = 0, **more: object) -> list[Incoming]:
    """So many tickets; with `again` other versions of them."""
    draw = random.Random(f"{first} {again}")
    made = []
    for number in range(first, first + count):
        body = ticket(number, draw)
        made.append(item(str(number), body, body=body, raw=b'{"raw":' + body + b"}", **more))
    return made


@pytest.fixture
def item(item: Make) -> Make:
    return lambda key, text, **more: item(key, text.decode(), **more)


def lying(store: Store, words: str) -> list[bytes]:
    """What lies in a column, as it lies there."""
    with store.read() as tx:
        return [bytes(row[0]) for row in tx.connection.exec_driver_sql(words)]


def test_what_is_packed_is_read_back_as_it_was(store: Store, item: Make, noon: datetime) -> None:
    first, second = page(item), page(item, 0, 300, again=1, ordinal=2)
    for items in (first, second):
        with store.write() as tx:
            records.apply(tx, "desk", items, noon)
    newest = {one.key: one for one in [*first, *second]}
    with store.read() as tx:
        for key, one in newest.items():
            ref = Ref("desk", "tickets", key)
            found = records.get(tx, ref)
            assert found is not None
            assert (found.body, records.raw(tx, ref)) == (one.body, one.raw)
        assert {one.ref.key: one.body for one in records.scan(tx)} == {key: one.body for key, one in newest.items()}
        replaced = [one for one in changes.after(tx, 0, 10_000) if one.op == "updated"]
        before = {one.key: one.body for one in first}
        assert all(one.before == before[one.ref.key] for one in replaced)
        asked = [(one.ref, one.seq - 1) for one in replaced[:5]]
        assert changes.bodies_as_of(tx, asked) == {(ref, seq): (before[ref.key], False) for ref, seq in asked}


def test_with_a_dictionary_a_stream_takes_a_fraction_of_its_size(store: Store, item: Make, noon: datetime) -> None:
    items = page(item)
    with store.write() as tx:
        records.apply(tx, "desk", items, noon)
    for words, size in (
        ("SELECT body FROM records", sum(len(one.body) for one in items)),
        ("SELECT raw FROM payloads", sum(len(one.raw or b"") for one in items)),
    ):
        kept = lying(store, words)
        assert all(one[:4] == MAGIC for one in kept)
        assert sum(map(len, kept)) * 3 < size
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(schema.dictionaries)).all()
    assert sorted((row.connection, row.stream, row.what) for row in rows) == [
        ("desk", "tickets", "body"),
        ("desk", "tickets", "raw"),
    ]


def learnt(store: Store) -> int:
    with store.read() as tx:
        return tx.connection.scalar(sa.select(sa.func.count()).select_from(schema.dictionaries)) or 0


def test_pages_too_small_to_learn_from_are_learnt_from_together_and_nobody_waits_for_it(
    store: Store, item: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    learn = learning.learn

    def slow(samples: Sequence[bytes], breathe: Callable[[], object]) -> bytes | None:
        assert go.wait(30)
        return learn(samples, breathe)

    monkeypatch.setattr(packing, "learn", slow)
    for first in range(0, SAMPLES + 200, 100):
        with store.write() as tx:
            records.apply(tx, "desk", page(item, first, 100), noon)
        assert learnt(store) == 0
    go.set()
    for thread in store._packs._learning.values():
        thread.join()
    with store.write() as tx:
        records.apply(tx, "desk", page(item, SAMPLES + 200, 1), noon)
    assert learnt(store) == 2
    with store.read() as tx:
        found = {one.ref.key: one.body for one in records.scan(tx, limit=5000)}
    assert len(found) == SAMPLES + 201
    assert found["3"] == page(item, 0, 100)[3].body


def test_a_dictionary_that_was_rolled_back_is_not_packed_with(store: Store, item: Make, noon: datetime) -> None:
    def half() -> None:
        with store.write() as tx:
            records.apply(tx, "desk", page(item), noon)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with store.write() as tx:
        records.apply(tx, "desk", page(item, 0, 5), noon)
    other = Store.open(_url(store), clock=store.clock)
    with other.read() as tx:
        assert [one.body for one in records.scan(tx)] == [one.body for one in page(item, 0, 5)]
    other.close()


def _url(store: Store) -> str:
    return f"sqlite:///{store.path}" if store.path else str(store.conninfo)


def test_no_word_of_a_few_is_in_a_dictionary(store: Store, item: Make, noon: datetime) -> None:
    with store.write() as tx:
        records.apply(tx, "desk", page(item), noon)
        contents = [bytes(one) for one in tx.connection.scalars(sa.select(schema.dictionaries.c.content))]
    assert contents
    for number in range(MANY):
        assert not any(f"person{number}".encode() in one for one in contents)
    assert any(b"status_category" in one for one in contents)


def test_others_come_to_their_turn_after_each_sample() -> None:
    breaths: list[int] = []
    draw = random.Random(1)
    content = learning.learn([ticket(number, draw) for number in range(SAMPLES)], lambda: breaths.append(1))
    assert content is not None
    assert len(breaths) == 2 * SAMPLES


def test_only_words_that_many_share_are_learnt_from() -> None:
    samples = [b'{"name":"Ada %d","state":"open"}' % number for number in range(SHARED)] + [b'{"name":"Grace"}']
    assert set(learning.shared(samples)) == {b'{"name":"Ada ","state":"open"}', b'{"name":""}'}


@given(st.binary(max_size=400), st.booleans())
def test_whatever_a_vendor_sends_comes_back(value: bytes, looks_packed: bool) -> None:
    sent = (MAGIC if looks_packed else b"") + value
    engine = sa.create_engine("sqlite://")
    schema.metadata.create_all(engine, [schema.meta, schema.dictionaries])
    with engine.begin() as connection:
        migrate.mark_oldest(connection, packing.SINCE)
        packs = packing.Packs()
        kept = packing.Packer(packs, connection, "desk").pack("tickets", "raw", sent)
        assert len(kept) <= len(sent) or sent.startswith(MAGIC)
        assert packing.Packs().unpack(connection, kept) == sent
    engine.dispose()


def test_values_that_share_nothing_are_not_learnt_from_again_and_again(
    sqlite_store: Store, item: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(3)
    asked = []
    monkeypatch.setattr(packing, "learn", lambda samples, breathe: asked.append(len(samples)))
    for first in (0, MANY):
        noise = [item(str(first + one), b"x", body=draw.randbytes(80)) for one in range(MANY)]
        with sqlite_store.write() as tx:
            records.apply(tx, "desk", noise, noon)
    assert asked == [SAMPLES]


def test_a_value_whose_dictionary_is_gone_is_told_in_words(sqlite_store: Store, item: Make, noon: datetime) -> None:
    with sqlite_store.write() as tx:
        records.apply(tx, "desk", page(item), noon)
        tx.connection.execute(sa.delete(schema.dictionaries))
    path = sqlite_store.path
    sqlite_store.close()
    again = Store.open(f"sqlite:///{path}", clock=sqlite_store.clock)
    with pytest.raises(StoreError, match="packed with, is not there: restore a backup"), again.read() as tx:
        records.scan(tx)
    with again.write() as tx:
        tx.connection.execute(sa.update(schema.records).values(body=MAGIC + b"torn"))
    with pytest.raises(StoreError, match=r"is damaged .* restore a backup"), again.read() as tx:
        records.scan(tx)
    again.close()


# -- stores from before ------------------------------------------------------------------------------------------------


@pytest.fixture
def old(empty_url: str, clock: ManualClock) -> Store:
    """A store that a program of revision 0003 made, upgraded: that program may still work on it."""
    engine = sa.create_engine(empty_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        migrate.upgrade(connection, "0003")
    engine.dispose()
    return Store.open(empty_url, clock=clock)


def test_nothing_is_packed_while_an_older_program_may_read_it(old: Store, item: Make, noon: datetime) -> None:
    items = page(item)
    with old.write() as tx:
        records.apply(tx, "desk", items, noon)
        assert state.meta_get(tx, migrate.OLDEST) == b"0003"
    assert sorted(lying(old, "SELECT body FROM records")) == sorted(one.body for one in items)
    assert lying(old, "SELECT content FROM dictionaries") == []
    old.close()


def test_compacting_packs_what_is_there_and_shuts_older_programs_out(old: Store, item: Make, noon: datetime) -> None:
    first, second = page(item), page(item, 0, 300, again=1, ordinal=2)
    few = page(item, 0, 20, stream="comments")
    for one in (first, second, few):
        with old.write() as tx:
            records.apply(tx, "desk", one, noon)
    with old.read() as tx:
        before = (records.scan(tx, limit=5000), changes.after(tx, 0, 5000))
    old.close()
    url = _url(old)
    found = Store.as_found(url, clock=old.clock)
    told: list[tuple[str, int]] = []
    done = compacting.compact(found, on_rows=lambda table, count: told.append((table, count)))
    assert done.rows == {"records": MANY + 20, "changes": 300, "payloads": MANY + 20}
    assert ("records", MANY + 20) in told
    if found.path is not None:
        assert done.after * 3 < done.before * 2
        assert found.path.stat().st_size == done.after
    assert compacting.compact(found).rows == {"records": 0, "changes": 0, "payloads": 0}
    found.close()
    again = Store.open(url, clock=old.clock)
    with again.read() as tx:
        assert (records.scan(tx, limit=5000), changes.after(tx, 0, 5000)) == before
        assert state.meta_get(tx, migrate.OLDEST) == packing.SINCE.encode()
    assert all(one[:4] == MAGIC for one in lying(again, "SELECT body FROM records"))
    with again.write() as tx:
        records.apply(tx, "desk", page(item, MANY, 3), noon)
    assert all(one[:4] == MAGIC for one in lying(again, "SELECT raw FROM payloads"))
    again.close()


def test_a_compaction_that_ends_on_the_way_is_gone_on_with(
    old: Store, item: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = page(item)
    with old.write() as tx:
        records.apply(tx, "desk", items, noon)
    old.close()
    monkeypatch.setattr(compacting, "_BLOCK", 100)

    def ends(table: str, count: int) -> None:
        if table == "payloads" and count == 300:
            raise KeyboardInterrupt

    found = Store.as_found(_url(old), clock=old.clock)
    with pytest.raises(KeyboardInterrupt):
        compacting.compact(found, on_rows=ends)
    with found.read() as tx:
        assert sorted(one.body for one in records.scan(tx, limit=5000)) == sorted(one.body for one in items)
    done = compacting.compact(found)
    assert done.rows == {"records": 0, "changes": 0, "payloads": MANY - 300}
    with found.read() as tx:
        assert sorted(one.body for one in records.scan(tx, limit=5000)) == sorted(one.body for one in items)
    found.close()


def test_nobody_is_compacted_under(sqlite_store: Store) -> None:
    with sqlite_store.alone("run"):
        found = Store.as_found(f"sqlite:///{sqlite_store.path}", clock=sqlite_store.clock)
        with pytest.raises(StoreError, match=r"cxbridge run .* is at work on this store"):
            compacting.compact(found)
        found.close()


def test_a_store_that_is_set_aside_or_of_another_revision_is_not_compacted(
    sqlite_store: Store, tmp_path: object, clock: ManualClock
) -> None:
    with sqlite_store.write() as tx:
        state.meta_set(tx, migrate.BACKED_UP, b"{}")
    with pytest.raises(ConfigError, match="is a backup"):
        compacting.compact(sqlite_store)
    empty = f"{tmp_path}/empty.db"
    sqlite3.connect(empty).close()
    found = Store.as_found(f"sqlite:///{empty}", clock=clock)
    with pytest.raises(ConfigError, match="bring them up to date first with `cxbridge db upgrade`"):
        compacting.compact(found)
    found.close()


class TestBatch:
    """The values of a page packed together, by whichever thread comes to them first."""

    @pytest.fixture
    def filled(self, store: Store, item: Make, noon: datetime) -> Store:
        """A store with the dictionaries of a stream."""
        with store.write() as tx:
            records.apply(tx, "desk", page(item), noon)
        return store

    @staticmethod
    def values(count: int) -> list[tuple[str, bytes]]:
        """Of one stream and then of another without a dictionary, and between them what is left as it is, or is not."""
        draw = random.Random(7)
        odd = [b"", b"short", MAGIC, MAGIC + b"like a frame" * 9, bytes(draw.randrange(256) for _ in range(90))]
        like = [ticket(number, draw) for number in range(count)]
        return [("tickets", one) for one in [*like, *odd, *like]] + [("users", one) for one in [*odd, *like]]

    def test_a_batch_gives_what_packing_each_would(self, filled: Store) -> None:
        for count in (0, 1, packing.SLICE, 3 * packing.SLICE + 1):
            values = self.values(count)
            with filled.write() as tx:
                packer = packing.Packer(tx.packs, tx.connection, "desk")
                alone = [packer.pack(stream, "body", value) for stream, value in values]
                batch = packer.batch()
                first, second = batch.add("body", values), batch.add("raw", values)
                with batch.ahead():
                    assert list(first) == alone
                    assert [tx.packs.unpack(tx.connection, bytes(one)) for one in second] == [one for _, one in values]

    def test_it_works_ahead_of_whoever_asks_and_ends_with_the_block(
        self, filled: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pack_all, packed_by = packing._pack_all, []

        def watched(some: list[Buffer], *more: Any, **named: Any) -> list[Buffer]:
            packed_by.append(threading.current_thread().name)
            return pack_all(some, *more, **named)

        monkeypatch.setattr(packing, "_pack_all", watched)
        with filled.write() as tx:
            batch = packing.Packer(tx.packs, tx.connection, "desk").batch()
            packed = batch.add("body", self.values(3 * packing.SLICE))
            with batch.ahead():
                for thread in (one for one in threading.enumerate() if one.name == "packing"):
                    thread.join(30)
                assert set(packed_by) == {"packing"}, "before anybody asked"
                assert len(list(packed)) == len(self.values(3 * packing.SLICE))
            batch.add("body", self.values(3 * packing.SLICE))
            with pytest.raises(ZeroDivisionError), batch.ahead():
                raise ZeroDivisionError
        assert not [one for one in threading.enumerate() if one.name == "packing"]

    def test_whoever_would_wait_packs_what_would_come_last(
        self, filled: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pack_all = packing._pack_all
        begun, helped = threading.Event(), threading.Event()
        packed_here: list[Buffer] = []

        def watched(some: list[Buffer], *more: Any, **named: Any) -> list[Buffer]:
            if threading.current_thread().name == "packing":
                begun.set()
                assert helped.wait(30), "nobody did anything meanwhile"
            else:
                packed_here.append(some[-1])
                helped.set()
            return pack_all(some, *more, **named)

        monkeypatch.setattr(packing, "_pack_all", watched)
        values = self.values(3 * packing.SLICE)
        with filled.write() as tx:
            batch = packing.Packer(tx.packs, tx.connection, "desk").batch()
            packed = batch.add("body", values)
            with batch.ahead():
                assert begun.wait(30)
                assert [tx.packs.unpack(tx.connection, bytes(one)) for one in packed] == [one for _, one in values]
        assert packed_here[0] == values[-1][1]

    def test_large_values_are_packed_a_few_at_a_time(self, filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        values = [("tickets", b"x" * size) for size in (700_000, 300_000, 100_000, 3_000_000, 5, 1_000_000, 99_000)]
        slices: list[int] = []
        pack_all = packing._pack_all

        def watched(some: list[Buffer], *more: Any, **named: Any) -> list[Buffer]:
            slices.append(sum(map(len, some)))
            return pack_all(some, *more, **named)

        monkeypatch.setattr(packing, "_pack_all", watched)
        with filled.write() as tx:
            batch = packing.Packer(tx.packs, tx.connection, "desk").batch()
            packed = list(batch.add("body", values))
            assert [tx.packs.unpack(tx.connection, bytes(one)) for one in packed] == [value for _, value in values]
        assert slices == [1_000_000, 100_000, 3_000_000, 1_000_005, 99_000]

    def test_a_value_that_goes_missing_leaves_no_row_out_in_silence(
        self, filled: Store, item: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packing, "_pack_all", lambda values, *_, **__: values[1:])

        def stored() -> None:
            with filled.write() as tx:
                records.apply(tx, "desk", page(item, 5_000), noon)

        with pytest.raises(ValueError, match="shorter"):
            stored()
        with filled.read() as tx:
            assert records.count(tx) == {("desk", "tickets"): MANY}

    def test_what_packing_fails_with_is_raised_where_the_values_are_asked_for(
        self, filled: Store, item: Make, noon: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: object, **__: object) -> list[bytes]:
            raise zstandard.ZstdError("no memory")

        monkeypatch.setattr(packing, "_pack_all", failing)

        def stored() -> None:
            with filled.write() as tx:
                records.apply(tx, "desk", page(item, 5_000), noon)

        with pytest.raises(zstandard.ZstdError, match="no memory"):
            stored()
        with filled.read() as tx:
            assert records.count(tx) == {("desk", "tickets"): MANY}

    def test_where_nothing_may_be_packed_only_what_looks_packed_is(self, filled: Store) -> None:
        values = self.values(3 * packing.SLICE)
        batch = packing.Batch(packing.Packs(), lambda _, __: pytest.fail("no dictionary is needed"))
        packed = batch.add("body", values)
        with batch.ahead():
            found = list(packed)
        assert all((one == value) is (value[:4] != MAGIC) for one, (_, value) in zip(found, values, strict=True))
        with filled.read() as tx:
            assert [tx.packs.unpack(tx.connection, bytes(one)) for one in found] == [value for _, value in values]
