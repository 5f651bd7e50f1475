"""Rows that come again: what the store holds just as it came is not mapped, and nothing else is passed over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.pull import Pulled, pull
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Store, changes, checkpoints, records, schema

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)


class Fake(cx.Connector):
    """A vendor without a wire."""

    name = "fake"

    def endpoint(self) -> cx.Endpoint:
        return cx.Endpoint("https://fake.test")


def row(number: int, subject: str = "one", version: int = 1, more: str = "") -> bytes:
    return msgspec.json.encode({"id": number, "subject": subject, "version": version, "more": more})


@dataclass
class Vendor:
    """Shows a page of rows over and over, and notes which of them were mapped."""

    rows: list[bytes]
    mapping: bytes = b"1"
    prefix: str = ""
    also: dict[str, bytes] = field(default_factory=dict)
    key: Callable[[Any], str | None] = lambda raw: str(msgspec.json.decode(raw)["id"])
    mapped: list[str] = field(default_factory=list)
    pages: int = 1
    stream: str = "tickets"

    def read(self, _client: cx.Client, _cursor: Any) -> Iterator[cx.Page]:
        for _ in range(self.pages):
            yield cx.Page(
                [], {"n": 1}, rows={self.stream: cx.Rows(self.rows, self.make, self.mapping, self.key, self.also)}
            )

    def make(self, raw: Any) -> cx.Ticket | str:
        told = msgspec.json.decode(raw)
        self.mapped.append(str(told["id"]))
        if told["subject"] is None:
            return f"ticket {told['id']}: no subject"
        return cx.Ticket(
            source_id=str(told["id"]),
            subject=f"{self.prefix}{told['subject']}{self.also.get(str(told['id']), b'').decode()}",
            updated_at=START.replace(minute=told["version"]),
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(store_url: str, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def again(store: Store, clock: ManualClock) -> Callable[[Vendor], tuple[Pulled, list[str]]]:
    """Pull from the beginning; gives what it came to and which rows were mapped for it."""

    def again(vendor: Vendor) -> tuple[Pulled, list[str]]:
        stream = cx.Stream("tickets", (cx.Ticket,), vendor.read)
        connection = Connection("fake", Fake(), {"tickets": stream}, {})
        with store.write() as tx:
            checkpoints.reset(tx, "fake", "tickets")
        vendor.mapped.clear()
        with open_client(Fake().endpoint(), connection="fake", clock=clock, tokens=MemoryTokens()) as client:
            return pull(store, connection, stream, client, clock), list(vendor.mapped)

    return again


@pytest.fixture
def subjects(store: Store) -> Callable[[], dict[str, str]]:
    """Read the subject of each ticket that is not deleted."""

    def subjects() -> dict[str, str]:
        with store.read() as tx:
            return {one.ref.key: getattr(one.entity(), "subject", "") for one in records.scan(tx)}

    return subjects


Again = Callable[[Vendor], tuple[Pulled, list[str]]]
Subjects = Callable[[], dict[str, str]]


def imprints(store: Store) -> dict[str, bytes | None]:
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(schema.records.c.key, schema.records.c.imprint))
        return {key: None if found is None else bytes(found) for key, found in rows}


def test_what_comes_again_as_it_was_is_not_mapped_and_changes_nothing(
    store: Store, again: Again, subjects: Subjects
) -> None:
    vendor = Vendor([row(number) for number in range(50)])
    first, mapped = again(vendor)
    assert (first.created, len(mapped)) == (50, 50)
    second, mapped = again(vendor)
    assert (second.unchanged, second.seen, second.changed, mapped) == (50, 50, 0, [])
    with store.read() as tx:
        assert changes.last_seq(tx) == 50
        assert records.raw(tx, Ref("fake", "tickets", "7")) == row(7)
    assert subjects() == {str(number): "one" for number in range(50)}


def test_one_that_differs_is_mapped_wherever_it_stands(again: Again, subjects: Subjects) -> None:
    vendor = Vendor([row(number) for number in range(60)])
    again(vendor)
    vendor.rows[0], vendor.rows[59] = row(0, "two", 2), row(59, "two", 2)
    vendor.rows.append(row(60, "new"))
    pulled, mapped = again(vendor)
    assert (pulled.updated, pulled.created, pulled.unchanged, mapped) == (2, 1, 58, ["0", "59", "60"])
    assert (subjects()["0"], subjects()["1"], subjects()["59"], subjects()["60"]) == ("two", "one", "two", "new")
    assert again(vendor)[1] == []


def test_another_mapping_maps_all_of_it_anew_once(again: Again, subjects: Subjects) -> None:
    vendor = Vendor([row(1), row(2)])
    again(vendor)
    vendor.mapping, vendor.prefix = b"2", "! "
    pulled, mapped = again(vendor)
    assert (pulled.updated, mapped) == (2, ["1", "2"])
    assert subjects() == {"1": "! one", "2": "! one"}
    # One that makes no difference is noted as well.
    vendor.mapping = b"3"
    assert again(vendor)[1] == ["1", "2"]
    pulled, mapped = again(vendor)
    assert (pulled.changed, mapped) == (0, [])


def test_what_stands_beside_a_row_counts_as_a_part_of_it(again: Again, subjects: Subjects) -> None:
    vendor = Vendor([row(1), row(2)], also={"1": b" (3 replies)"})
    again(vendor)
    assert again(vendor)[1] == []
    vendor.also = {"1": b" (4 replies)"}
    pulled, mapped = again(vendor)
    assert (pulled.updated, mapped, subjects()["1"]) == (1, ["1"], "one (4 replies)")
    vendor.also = {}
    assert (again(vendor)[1], subjects()["1"]) == (["1"], "one")


@pytest.mark.parametrize(
    "key",
    [lambda _: None, lambda _: "2", lambda _: "nobody", lambda raw: msgspec.json.decode(raw)["id"]],
    ids=["none", "wrong", "nobody's", "no text"],
)
def test_a_key_that_is_not_known_at_a_glance_costs_a_mapping_and_no_more(
    again: Again, subjects: Subjects, key: Callable[[Any], str | None]
) -> None:
    vendor = Vendor([row(1), row(3)], key=key)
    again(vendor)
    pulled, mapped = again(vendor)
    assert (pulled.unchanged, pulled.changed, mapped) == (2, 0, ["1", "3"])
    vendor.rows[0] = row(1, "two", 2)
    assert again(vendor)[0].updated == 1
    assert subjects() == {"1": "two", "3": "one"}


def test_one_that_was_deleted_by_its_key_comes_back(
    store: Store, again: Again, subjects: Subjects, clock: ManualClock
) -> None:
    vendor = Vendor([row(1), row(2)])
    again(vendor)
    with store.write() as tx:
        records.mark_deleted(tx, "fake", "tickets", ["1"], clock.now())
    pulled, mapped = again(vendor)
    assert (pulled.updated, mapped, sorted(subjects())) == (1, ["1"], ["1", "2"])


def test_a_version_that_an_older_program_stored_is_not_taken_for_the_one_that_comes(
    store: Store, again: Again, subjects: Subjects
) -> None:
    """It knows nothing of imprints and leaves them as they are."""
    vendor = Vendor([row(1), row(2)])
    again(vendor)
    entity = cx.Ticket(source_id="1", subject="theirs", updated_at=START.replace(minute=1))
    with store.write() as tx:
        changed = sa.update(schema.records).where(schema.records.c.key == "1")
        tx.connection.execute(changed.values(body=msgspec.json.encode(entity), digest=b"t" * 16))
    assert subjects()["1"] == "theirs"
    pulled, mapped = again(vendor)
    assert (pulled.updated, mapped, subjects()["1"]) == (1, ["1"], "one")


def test_a_store_without_imprints_gets_them_as_records_come_again(store: Store, again: Again) -> None:
    vendor = Vendor([row(number) for number in range(3)])
    again(vendor)
    with store.write() as tx:
        tx.connection.execute(sa.update(schema.records).values(imprint=None))
    pulled, mapped = again(vendor)
    assert (pulled.changed, len(mapped)) == (0, 3)
    assert None not in imprints(store).values()
    assert again(vendor)[1] == []


def test_bytes_that_differ_in_nothing_each_time_are_not_written_down_each_time(store: Store, again: Again) -> None:
    vendor = Vendor([row(1)])
    again(vendor)
    kept = imprints(store)
    for time in ("08:01", "08:02"):
        vendor.rows[0] = row(1, more=f"asked at {time}")
        pulled, mapped = again(vendor)
        assert (pulled.changed, mapped) == (0, ["1"])
        assert imprints(store) == kept


def test_of_two_equally_new_versions_in_one_page_the_last_counts(again: Again, subjects: Subjects) -> None:
    vendor = Vendor([row(1, "kept")])
    again(vendor)
    vendor.rows = [row(1, "other"), row(1, "kept")]
    assert (again(vendor)[0].changed, subjects()["1"]) == (0, "kept")
    vendor.rows = [row(1, "kept"), row(1, "other")]
    assert (again(vendor)[0].updated, subjects()["1"]) == (1, "other")


def test_what_cannot_be_read_is_told_each_time(again: Again, subjects: Subjects) -> None:
    vendor = Vendor([row(1), msgspec.json.encode({"id": 2, "subject": None})])
    for _ in range(2):
        pulled, mapped = again(vendor)
        assert (pulled.refused, mapped[-1]) == (1, "2")
    assert subjects() == {"1": "one"}


def test_a_walk_in_circles_is_told_also_where_nothing_is_mapped(again: Again) -> None:
    vendor = Vendor([row(1)], pages=2)
    with pytest.raises(cx.WireFormat, match="circles"):
        again(vendor)
    with pytest.raises(cx.WireFormat, match="circles"):
        again(vendor)


def test_rows_beside_the_pages_own_are_known_again_and_their_bytes_not_kept(store: Store, again: Again) -> None:
    vendor = Vendor([row(1)], stream="users")
    assert again(vendor)[0].created == 1
    assert again(vendor)[1] == []
    with store.read() as tx:
        assert records.raw(tx, Ref("fake", "users", "1")) is None


def test_a_page_whose_rows_are_none_is_the_plugins_mistake(again: Again) -> None:
    vendor = Vendor([])
    vendor.read = lambda _client, _cursor: iter([cx.Page([], 1, rows={"tickets": [row(1)]})])  # type: ignore[method-assign,dict-item]
    with pytest.raises(cx.PluginError, match="rows of 'tickets' must be Rows"):
        again(vendor)
