"""Storing pages: what counts as new, changed, the same, older, deleted; and reading records back."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from cxbridge.core.ledger import Record, Ref
from cxbridge.core.store import changes, records
from cxbridge.core.store.records import Applied

ONE = Ref("desk", "tickets", "1")


@pytest.fixture
def apply(store, noon):
    """Store one page in a transaction of its own."""

    def apply(*items, connection="desk", at=noon):
        with store.write() as tx:
            return records.apply(tx, connection, items, at)

    return apply


@pytest.fixture
def log(store):
    """Read the whole change log as (key, op, before)."""

    def log():
        with store.read() as tx:
            return [(change.ref.key, change.op, change.before) for change in changes.after(tx, 0, 1000)]

    return log


@pytest.fixture
def stored(store):
    """Read one record."""

    def stored(ref=ONE):
        with store.read() as tx:
            return records.get(tx, ref)

    return stored


def test_new_records_are_created(apply, stored, log, item, noon):
    assert apply(item("1", source_key="ENG-1"), item("2")) == Applied(created=2, last_seq=2)
    assert log() == [("1", "created", None), ("2", "created", None)]
    record = stored()
    assert (record.kind, record.body, record.ordinal, record.seen_at) == ("ticket", b"1:text:1", 1, noon)
    assert (record.deleted, record.source_key, len(record.digest)) == (False, "ENG-1", 16)


def test_an_empty_page_changes_nothing(apply, item):
    assert apply() == Applied()
    apply(item("1"))
    assert apply() == Applied(last_seq=1)


def test_the_same_content_again_is_free(apply, stored, log, item, noon):
    apply(item("1"))
    assert apply(item("1", body=b"other bytes"), at=noon + timedelta(hours=1)) == Applied(unchanged=1, last_seq=1)
    assert stored().body == b"1:text:1"
    assert stored().seen_at == noon
    assert len(log()) == 1


def test_the_same_content_of_a_newer_version_refreshes_without_a_change(apply, store, stored, log, item, noon):
    apply(item("1", raw=b"first"))
    later = noon + timedelta(hours=1)
    again = item("1", ordinal=2, raw=b"second")
    assert apply(again, at=later) == Applied(unchanged=1, last_seq=1, refreshed=(again,))
    assert (stored().body, stored().ordinal, stored().seen_at) == (b"1:text:2", 2, later)
    with store.read() as tx:
        assert records.raw(tx, ONE) == b"second"
    assert len(log()) == 1


def test_what_differs_in_nothing_can_be_logged_once_more(apply, store, stored, item, noon):
    apply(item("1"))
    with store.write() as tx:
        assert records.log_again(tx, "desk", [("tickets", "1"), ("tickets", "not there")], noon) == 1
    with store.read() as tx:
        again = changes.of(tx, ONE)[0]
    assert (again.seq, again.ref, again.op, again.before) == (2, ONE, "updated", stored().body)
    assert apply(item("2")).last_seq == 3


def test_other_content_is_updated_and_the_old_body_is_logged(apply, stored, log, item, noon):
    apply(item("1"))
    changed = item("1", "new", 2, kind="task", source_key="ENG-2")
    assert apply(changed, at=noon + timedelta(hours=1)) == Applied(updated=1, last_seq=2)
    record = stored()
    assert (record.body, record.digest, record.ordinal) == (b"1:new:2", changed.digest, 2)
    assert (record.kind, record.source_key, record.seen_at) == ("task", "ENG-2", noon + timedelta(hours=1))
    assert log() == [("1", "created", None), ("1", "updated", b"1:text:1")]


def test_other_content_under_the_same_ordinal_is_updated(apply, log, item):
    """Vendors' times are coarse: two edits within a second have one `updated_at`."""
    apply(item("1"))
    assert apply(item("1", "new")).updated == 1


def test_an_older_version_is_ignored(apply, stored, log, item):
    apply(item("1", "newer", 5, raw=b"raw"))
    assert apply(item("1", "older", 4, raw=b"old raw")) == Applied(stale=1, last_seq=1)
    assert apply(item("1", "newer", 4)) == Applied(stale=1, last_seq=1)
    assert apply(item("1", "older", 4, deleted=True)) == Applied(stale=1, last_seq=1)
    assert (stored().body, stored().ordinal, stored().deleted) == (b"1:newer:5", 5, False)
    assert len(log()) == 1


def test_deletion_is_one_change(apply, stored, log, item):
    apply(item("1"))
    assert apply(item("1", "gone", 2, deleted=True)) == Applied(deleted=1, last_seq=2)
    assert apply(item("1", "gone", 2, deleted=True)) == Applied(unchanged=1, last_seq=2)
    assert stored().deleted
    assert log()[1:] == [("1", "deleted", b"1:text:1")]


def test_what_changes_while_deleted_is_stored_without_a_change(apply, stored, log, item):
    apply(item("1"))
    apply(item("1", "gone", 2, deleted=True))
    assert apply(item("1", "erased", 3, deleted=True)) == Applied(unchanged=1, last_seq=2)
    assert stored().body == b"1:erased:3"


def test_what_is_first_heard_of_as_deleted_is_stored_without_a_change(apply, stored, log, item):
    assert apply(item("1", deleted=True, raw=b"raw"), item("2")) == Applied(created=1, unchanged=1, last_seq=1)
    assert stored().deleted
    assert log() == [("2", "created", None)]


def test_coming_back_from_deletion_is_an_update(apply, stored, log, item):
    apply(item("1", deleted=True))
    assert apply(item("1", "back", 2)) == Applied(updated=1, last_seq=1)
    assert not stored().deleted
    assert log() == [("1", "updated", b"1:text:1")]


def test_of_two_versions_in_a_page_the_last_one_counts(apply, stored, log, item):
    assert apply(item("1", "a", 1), item("2"), item("1", "b", 1)) == Applied(created=2, stale=1, last_seq=2)
    assert stored().body == b"1:b:1"
    assert len(log()) == 2


def test_of_two_versions_in_a_page_an_older_one_never_counts(apply, stored, item):
    assert apply(item("1", "new", 2), item("1", "old", 1)) == Applied(created=1, stale=1, last_seq=1)
    assert stored().body == b"1:new:2"


def test_a_page_may_span_streams_and_connections_are_apart(apply, store, item):
    apply(item("1"), item("1", stream="users", kind="contact"))
    assert apply(item("1"), connection="tracker") == Applied(created=1, last_seq=3)
    with store.read() as tx:
        assert records.count(tx) == {("desk", "tickets"): 1, ("desk", "users"): 1, ("tracker", "tickets"): 1}
        assert records.places(tx) == [("desk", "tickets"), ("desk", "users"), ("tracker", "tickets")]


@pytest.mark.parametrize("size", [1, 2, 16, 17, 501], ids=lambda size: f"{size} of each")
def test_what_is_known_is_found_in_each_stream_of_a_page(apply, log, item, size):
    streams = {"tickets": "ticket", "users": "contact", "organizations": "account"}
    places = [(stream, kind, str(number)) for stream, kind in streams.items() for number in range(size)]
    first = [item(key, f"{stream} {key}", stream=stream, kind=kind) for stream, kind, key in places]
    apply(*first)
    new = item("new", stream="groups", kind="container")
    again = [item(key, f"{stream} {key}", 1, stream=stream, kind=kind) for stream, kind, key in places]
    assert apply(*again, new) == Applied(created=1, unchanged=len(places), last_seq=len(places) + 1)
    other = [item(key, "new", 2, stream=stream, kind=kind) for stream, kind, key in places]
    assert apply(*other).updated == len(places)
    assert {before for _, op, before in log() if op == "updated"} <= {one.body for one in first}


def test_where_anything_is_stored_is_told_of_what_is_deleted_too(apply, store, item):
    with store.read() as tx:
        assert records.places(tx) == []
    apply(item("1", deleted=True), item("2"))
    apply(item("2", "gone", 2, deleted=True))
    with store.read() as tx:
        assert records.count(tx) == {}
        assert records.places(tx) == [("desk", "tickets")]


def test_payloads_follow_their_records(apply, store, item):
    apply(item("1", raw=b"first"), item("2"))
    apply(item("1", "new", 2, raw=b"second"), item("2", "new", 2, raw=b"late"))
    apply(item("1", "newer", 3))
    with store.read() as tx:
        assert records.raw(tx, ONE) == b"second"
        assert records.raw(tx, Ref("desk", "tickets", "2")) == b"late"
        assert records.raw(tx, Ref("desk", "tickets", "3")) is None


def test_a_page_larger_than_one_statement_holds(apply, store, log, item):
    first = [item(f"{number:04}") for number in range(1203)]
    assert apply(*first) == Applied(created=1203, last_seq=1203)
    second = [item(f"{number:04}", "new" if number % 3 == 0 else "text", 2) for number in range(1203)]
    alike = tuple(one for number, one in enumerate(second) if number % 3)
    assert apply(*second) == Applied(updated=401, unchanged=802, last_seq=1604, refreshed=alike)
    with store.read() as tx:
        assert records.count(tx) == {("desk", "tickets"): 1203}
        assert len(records.get_many(tx, [Ref("desk", "tickets", entry.key) for entry in first])) == 1203
        assert len(changes.after(tx, 1203, 1000)) == 401


@pytest.mark.parametrize("size", [1, 99, 100, 101, 250])
def test_every_row_of_a_page_keeps_its_own_values(apply, store, log, item, size):
    apply(*(item(str(number), f"text {number}", number, raw=b"raw %d" % number) for number in range(size)))
    with store.read() as tx:
        found = records.get_many(tx, [Ref("desk", "tickets", str(number)) for number in range(size)])
        assert {ref.key: (one.body, one.ordinal) for ref, one in found.items()} == {
            str(number): (f"{number}:text {number}:{number}".encode(), number) for number in range(size)
        }
        assert [records.raw(tx, Ref("desk", "tickets", str(number))) for number in range(size)] == [
            b"raw %d" % number for number in range(size)
        ]
    assert log() == [(str(number), "created", None) for number in range(size)]


def test_statements_grow_by_the_hundred_rows_and_not_by_the_row(store, item, noon):
    def statements(page):
        count = 0

        def counted(*_):
            nonlocal count
            count += 1

        with store.write() as tx:
            sa.event.listen(tx.connection, "before_cursor_execute", counted)
            records.apply(tx, "desk", page, noon)
            sa.event.remove(tx.connection, "before_cursor_execute", counted)
        return count

    statements([item("first", raw=b"raw")])
    few = statements([item(str(number), raw=b"raw") for number in range(2)])
    many = statements([item(str(number), raw=b"raw") for number in range(100, 407)])
    # One for each hundred rows, and another for the rest, for each of three tables.
    assert few <= many <= few + 3 * 4


class TestMarkDeleted:
    def test_only_what_lives_is_marked(self, apply, store, stored, log, item, noon):
        apply(item("1"), item("2"), item("3", deleted=True), item("4"))
        with store.write() as tx:
            assert records.mark_deleted(tx, "desk", "tickets", ["1", "2", "1", "3", "unheard-of"], noon) == 2
        assert stored().deleted
        assert stored().body == b"1:text:1"
        assert log()[3:] == [("1", "deleted", b"1:text:1"), ("2", "deleted", b"2:text:1")]
        with store.write() as tx:
            assert records.mark_deleted(tx, "desk", "tickets", ["1"], noon) == 0
            assert records.mark_deleted(tx, "desk", "tickets", [], noon) == 0

    def test_the_same_version_brings_it_back(self, apply, store, stored, log, item, noon):
        apply(item("1"))
        with store.write() as tx:
            records.mark_deleted(tx, "desk", "tickets", ["1"], noon)
        assert apply(item("1")) == Applied(updated=1, last_seq=3)
        assert not stored().deleted

    def test_many(self, apply, store, item, noon):
        apply(*(item(str(number)) for number in range(701)))
        with store.write() as tx:
            assert records.mark_deleted(tx, "desk", "tickets", [str(number) for number in range(701)], noon) == 701
            assert records.count(tx) == {}


class TestReading:
    @pytest.fixture(autouse=True)
    def some(self, apply, item):
        apply(item("1"), item("10"), item("2", kind="task"), item("3", deleted=True), item("Ä"), item("a b/c"))
        apply(item("7", stream="users", kind="contact"))
        apply(item("1", stream="issues", source_key="ENG-1"), connection="tracker")
        apply(item("2", stream="issues", source_key="ENG-2", deleted=True), connection="tracker")
        apply(item("3", stream="issues", source_key="ENG-2"), connection="tracker")

    def test_get(self, store):
        with store.read() as tx:
            for ref, deleted in [
                (ONE, False),
                (Ref("desk", "tickets", "3"), True),
                (Ref("desk", "tickets", "a b/c"), False),
            ]:
                record = records.get(tx, ref)
                assert record is not None
                assert (record.ref, record.deleted) == (ref, deleted)
            assert records.get(tx, Ref("desk", "tickets", "99")) is None

    def test_get_many(self, store):
        asked = [ONE, ONE, Ref("tracker", "issues", "1"), Ref("desk", "users", "7"), Ref("desk", "users", "8")]
        with store.read() as tx:
            found = records.get_many(tx, asked)
            assert set(found) == {asked[0], asked[2], asked[3]}
            assert all(record.ref == ref for ref, record in found.items())
            assert records.get_many(tx, []) == {}

    def test_by_source_key_gives_the_living_first(self, store):
        with store.read() as tx:
            assert [record.ref.key for record in records.by_source_key(tx, "tracker", "ENG-2")] == ["3", "2"]
            assert [record.ref.key for record in records.by_source_key(tx, "tracker", "ENG-1")] == ["1"]
            assert records.by_source_key(tx, "desk", "ENG-1") == []

    def test_count_leaves_the_deleted_out(self, store):
        with store.read() as tx:
            assert records.count(tx) == {("desk", "tickets"): 5, ("desk", "users"): 1, ("tracker", "issues"): 2}

    @pytest.mark.parametrize(
        ("choice", "keys"),
        [
            ({}, ["1", "10", "2", "a b/c", "Ä", "7", "1", "3"]),
            ({"kinds": ["ticket"]}, ["1", "10", "a b/c", "Ä", "1", "3"]),
            ({"kinds": ["ticket", "contact", "task", "none"]}, ["1", "10", "2", "a b/c", "Ä", "7", "1", "3"]),
            ({"kinds": []}, []),
            ({"connection": "desk"}, ["1", "10", "2", "a b/c", "Ä", "7"]),
            ({"connection": "desk", "kinds": ["task"]}, ["2"]),
            ({"connection": "desk", "kinds": ["ticket", "contact"]}, ["1", "10", "a b/c", "Ä", "7"]),
            ({"connection": "nowhere"}, []),
        ],
    )
    def test_scan_pages_in_the_order_of_refs(self, store, choice, keys):
        with store.read() as tx:
            for limit in (1, 2, 100):
                seen: list[Record] = []
                while page := records.scan(tx, **choice, after=seen[-1].ref if seen else None, limit=limit):
                    assert len(page) <= limit
                    seen += page
                assert [record.ref.key for record in seen] == keys
                assert [record.ref for record in seen] == sorted(record.ref for record in seen)


@pytest.mark.parametrize("count", [1, 3, 150])
@pytest.mark.parametrize("size", [5, 3_000])
def test_a_look_into_an_answer_is_stored_as_the_bytes_that_it_shows(store, item, noon, count, size):
    """Both too short to be packed and packed, by statements and by COPY, new and in place of another."""
    for version in (1, 2):
        answer = b"".join(b"%d" % (number % 10) * size for number in range(version, count + version))
        looks = [memoryview(answer)[at : at + size] for at in range(0, len(answer), size)]
        page = [item(str(number), f"v{version}", version, raw=look) for number, look in enumerate(looks)]
        with store.write() as tx:
            records.apply(tx, "desk", page, noon)
        with store.read() as tx:
            for number, look in enumerate(looks):
                assert records.raw(tx, Ref("desk", "tickets", str(number))) == bytes(look)
