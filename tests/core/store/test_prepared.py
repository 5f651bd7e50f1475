"""Prepared statements say and give what SQLAlchemy would, on both databases, and fail as its own do."""

import threading

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import StoreError
from cxbridge.core.ledger import Delivery, Link, Ref, Run, StoredReceipt
from cxbridge.core.store import Store, links, outbox, planning, receipts, runs, schema, state
from cxbridge.core.store.prepared import Among, Prepared
from cxbridge.core.store.statements import ignoring, row_of

_meta = schema.meta.c
ADD = Prepared(sa.insert(schema.meta), columns=("name", "value"))
ONE = Prepared(sa.select(schema.meta).where(_meta.name == sa.bindparam("which")))
ALL = Prepared(sa.select(schema.meta).where(_meta.name.like("a %")).order_by(_meta.name))
SET = Prepared(sa.update(schema.meta).where(_meta.name == sa.bindparam("which")).values(value=sa.bindparam("value")))
FORGET = Prepared(sa.delete(schema.meta).where(_meta.name == sa.bindparam("which")))


def put(tx, *names):
    ADD.run_all(tx.connection, [{"name": name, "value": name.encode()} for name in names])


def test_rows_come_as_tuples_in_the_order_of_the_columns(store):
    with store.write() as tx:
        put(tx, "a 1", "a 2", "b 1")
        assert ALL.rows(tx.connection) == [("a 1", b"a 1"), ("a 2", b"a 2")]
        assert ONE.first(tx.connection, {"which": "b 1"}) == ("b 1", b"b 1")
        assert ONE.first(tx.connection, {"which": "c"}) is None
        assert ONE.scalar(tx.connection, {"which": "a 1"}) == "a 1"
        assert ONE.scalar(tx.connection, {"which": "c"}) is None


def test_writing_tells_how_many_rows_were_met(store):
    with store.write() as tx:
        put(tx, "a 1")
        assert SET.run(tx.connection, {"which": "a 1", "value": b"2"}) == 1
        assert SET.run(tx.connection, {"which": "a 2", "value": b"2"}) == 0
        assert FORGET.run(tx.connection, {"which": "a 1"}) == 1
        assert FORGET.run(tx.connection, {"which": "a 1"}) == 0


def test_every_kind_of_column_comes_back_as_it_was_given(store, run, delivery, noon):
    """Through the statements that are in use: what SQLAlchemy reads is what they wrote, and the other way round."""
    ref = Ref("tracker", "issues", "1")
    a_run = run(
        results={"one": {"ünd": [1, None]}}, context={"told": "x"}, wake_at=noon, reason="half \ud800 a pair, \0"
    )
    one = delivery(target=ref, inputs={"body": "words"}, sent_at=noon, error="nul \0")
    link = Link(left=Ref("desk", "tickets", "1"), right=ref, relation="mentions", made_by="run_1", made_at=noon)
    receipt = StoredReceipt(
        delivery=one.id, run=a_run.id, recipe="r", ref=ref, role="made", wrote={"a": 1}, changed=False, at=noon
    )
    with store.write() as tx:
        assert runs.start(tx, a_run)
        assert not runs.start(tx, a_run)
        outbox.add(tx, [one])
        assert links.ensure(tx, link)
        assert not links.ensure(tx, link)
        receipts.add(tx, [receipt, receipt])
        for table, of, given in (
            (schema.runs, Run, a_run),
            (schema.deliveries, Delivery, one),
            (schema.links, Link, link),
            (schema.receipts, StoredReceipt, receipt),
        ):
            query = sa.select(*[table.c[name] for name in of.__struct_fields__])
            mapped = [of(**row) for row in tx.connection.execute(query).mappings()]
            assert mapped == Prepared(query).structs(tx.connection, of)
            shown = row_of(mapped[0])
            assert {name for name in shown if shown[name] != getattr(given, name)} <= {"reason", "error"}
        # What no database holds was replaced on the way.
        kept = runs.get(tx, a_run.id)
        assert kept is not None
        assert kept.reason == "half ? a pair, \ufffd"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 512, 513, 1300])
def test_a_list_of_any_length_finds_each_row_once(store, length):
    several = Among(_meta.name, lambda among: sa.select(schema.meta).where(among, _meta.value != sa.bindparam("but")))
    names = [f"a {number:04}" for number in range(1500)]
    with store.write() as tx:
        put(tx, *names)
        asked = [*names[:length], *(["nobody"] if length else [])]
        found = several.rows(tx.connection, asked, {"but": b"a 0001"})
        assert sorted(name for name, _ in found) == [name for name in names[:length] if name != "a 0001"]
        assert all(value == name.encode() for name, value in found)
        assert len(several.structs(tx.connection, dict, asked, {"but": b"x"})) == length


def test_an_insert_may_give_back_and_differ_from_database_to_database(store):
    made = Prepared(
        lambda dialect: ignoring(dialect, schema.meta, "name").returning(_meta.name), columns=("name", "value")
    )
    with store.write() as tx:
        assert made.scalar(tx.connection, {"name": "a 1", "value": b"1"}) == "a 1"
        assert made.scalar(tx.connection, {"name": "a 1", "value": b"1"}) is None


def test_what_cannot_be_prepared_is_refused(sqlite_store):
    listed = Prepared(sa.select(_meta.value).where(_meta.name.in_(sa.bindparam("names", expanding=True))))
    with sqlite_store.read() as tx, pytest.raises(ValueError, match="cannot be prepared"):
        listed.rows(tx.connection, {"names": ["a"]})


def test_a_value_that_was_not_given_or_is_not_taken_is_a_mistake_of_ours(store):
    with store.read() as tx:
        with pytest.raises(KeyError, match="which"):
            ONE.rows(tx.connection)
        with pytest.raises(KeyError, match="who"):
            ONE.rows(tx.connection, {"which": "a", "who": "b"})


def test_it_fails_as_any_other_statement_does(store):
    """With SQLAlchemy's errors, without values, and nothing of the transaction is stored."""

    def doubled():
        with store.write() as tx:
            put(tx, "a 1")
            ADD.run(tx.connection, {"name": "a 1", "value": b"a customer's words"})

    with pytest.raises(sa.exc.IntegrityError) as caught:
        doubled()
    assert "customer" not in str(caught.value)
    with store.read() as tx:
        assert ALL.rows(tx.connection) == []


def test_it_fails_in_the_same_way_where_the_first_rows_went_well(store):
    """A database may stumble over any row, as over a damaged page behind sound ones."""
    positions = schema.positions.c
    distance = Prepared(sa.select(sa.func.abs(positions.seq)).order_by(positions.name))
    with store.write() as tx:
        planning.set_position(tx, "a", 1)
        planning.set_position(tx, "b", -(2**63))
    with pytest.raises((sa.exc.DBAPIError, StoreError)), store.read() as tx:
        distance.rows(tx.connection)
    with store.read() as tx:
        assert planning.position(tx, "a") == 1


def test_a_damaged_page_behind_sound_ones_is_told_in_words(sqlite_store, clock):
    path = sqlite_store.path
    with sqlite_store.write() as tx:
        for number in range(400):
            ADD.run(tx.connection, {"name": f"a {number:03}", "value": b"x" * 1500})
    sqlite_store.close()
    content = bytearray(path.read_bytes())
    holding = [at for at in range(0, len(content), 4096) if content.count(b"x", at, at + 4096) > 2000]
    at = holding[len(holding) * 2 // 3]
    content[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    spoiled = Store.open(f"sqlite:///{path}", clock=clock, writing=False)
    with pytest.raises(StoreError, match="is damaged: restore it from a backup"), spoiled.read() as tx:
        ALL.rows(tx.connection)
    spoiled.close()


def test_a_reader_cannot_write(store):
    with pytest.raises(StoreError), store.read() as tx:
        put(tx, "a 1")
    assert store.trouble == ""


def test_a_full_disk_is_told_in_words(sqlite_store):
    with sqlite_store.write() as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")

    def fill():
        with sqlite_store.write() as tx:
            for number in range(1000):
                ADD.run(tx.connection, {"name": f"a {number}", "value": bytes(20_000)})

    with pytest.raises(StoreError, match="is full: free disk space, then try again"):
        fill()
    assert "is full" in sqlite_store.trouble
    with sqlite_store.read() as tx:
        assert ALL.rows(tx.connection) == []


@pytest.mark.postgres
def test_a_connection_that_is_lost_is_dropped_and_those_beside_it_are_asked_first(clock, postgresql_lost):
    store, end_all = postgresql_lost

    def cut_off():
        with store.read() as tx:
            ONE.rows(tx.connection, {"which": "a"})
            end_all()
            ONE.rows(tx.connection, {"which": "a"})

    with pytest.raises(StoreError):
        cut_off()
    with store.write() as tx:
        put(tx, "a 1")
    with store.read() as tx:
        assert ONE.first(tx.connection, {"which": "a 1"}) == ("a 1", b"a 1")


@pytest.fixture
def postgresql_lost(postgresql, clock):
    """A store on the server with idle connections of both kinds, and what ends all its connections there."""
    import psycopg

    from cxbridge.core.store import Store

    url = postgresql.store(clock)
    store = Store.open(url, clock=clock)
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")

    def end_all():
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )

    yield store, end_all
    store.close()


def test_one_that_is_interrupted_leaves_no_connection_that_others_would_meet(sqlite_store, monkeypatch):
    class Interrupted:
        def __init__(self, driver):
            self.driver = driver

        def execute(self, *_):
            raise KeyboardInterrupt

    def interrupted():
        with sqlite_store.write() as tx:
            put(tx, "a 1")
            with monkeypatch.context() as patch:
                patch.setattr(tx.connection.connection, "dbapi_connection", Interrupted(None))
                put(tx, "a 2")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with sqlite_store.write() as tx:
        assert ALL.rows(tx.connection) == []
        put(tx, "a 3")


def test_threads_share_it(sqlite_store):
    found = []

    def ask():
        with sqlite_store.read() as tx:
            found.append(ONE.rows(tx.connection, {"which": "a"}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[]] * 8
