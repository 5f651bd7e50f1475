"""A move carries a store over whole or not at all, and at no moment do both places accept a daemon."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.ledger import Ref, StoredReceipt
from cxbridge.core.store import (
    SealedTokens,
    Store,
    audit,
    copying,
    leases,
    migrate,
    moving,
    outbox,
    receipts,
    records,
    restored,
    runs,
    schema,
    state,
)

KEY = bytes(range(32))
WAYS = ["sqlite-postgresql", "postgresql-sqlite", "sqlite-sqlite"]


class KilledError(BaseException):
    """The process ends here."""


@pytest.fixture(params=[pytest.param(one, marks=pytest.mark.postgres if "post" in one else ()) for one in WAYS])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Where the store is, and where it is to go."""
    urls = []
    for number, dialect in enumerate(request.param.split("-")):
        if dialect == "sqlite":
            urls.append(f"sqlite:///{tmp_path}/{number}.db")
        else:
            urls.append(request.getfixturevalue("postgresql").empty())
    return urls[0], urls[1]


@pytest.fixture
def filled(places: tuple[str, str], clock: ManualClock, item: Any, run: Any, delivery: Any, noon: Any) -> str:
    """A store with rows in many tables, among them every type of column and values that are easily mangled."""
    store = Store.open(places[0], clock=clock, key=KEY)
    with store.write() as tx:
        state.instance_key(tx)
        records.apply(
            tx,
            "desk",
            [item(str(number), text=f"ünïcode ☃ {number}", raw=bytes(range(256))) for number in range(30)],
            noon,
        )
        records.apply(tx, "desk", [item("7", text="again", ordinal=2)], noon)
        records.apply(tx, "desk", [item("8", ordinal=3, deleted=True)], noon)
        runs.start(tx, run(1, context={"n": 1.5, "none": None, "text": "\\u0000 \x00 ☃"}))
        made = [delivery(1, state="unknown", sent_at=noon), delivery(2, error="half \ud83d of a pair \0")]
        outbox.add(tx, made)
        audit.wrote(tx, [audit.Wrote("unknown", made[0])], noon)
        receipts.add(
            tx,
            [
                StoredReceipt(
                    delivery="dlv_00001",
                    run="run_00001",
                    recipe="hand-over",
                    ref=Ref("desk", "tickets", "1"),
                    role="made",
                    at=noon,
                )
            ],
        )
        leases.take(tx, "connection:desk", "worker-1", timedelta(seconds=0))
        tx.connection.execute(
            sa.insert(schema.matches).values(
                left=Ref("a", "b", "1"),
                right=Ref("a", "b", "2"),
                kind="account",
                state="suggested",
                score=0.1 + 0.2,
                evidence={},
                decided_by="rule",
                at=noon,
            )
        )
    SealedTokens(store, KEY).write("desk", b"refresh")
    store.close()
    return places[0]


@pytest.fixture
def move(places: tuple[str, str], clock: ManualClock) -> Callable[..., moving.Moved]:
    """Do what the command does."""

    def move(to: str = places[1], source: str = places[0]) -> moving.Moved:
        opened = Store.as_found(source, clock=clock)
        try:
            return moving.move(opened, to, clock=clock)
        finally:
            opened.close()

    return move


def contents(url: str, clock: ManualClock) -> dict[str, Any]:
    """Everything that is in a store, as it lies there."""
    store = Store.as_found(url, clock=clock)
    with store.read() as tx:
        told = {
            table.name: sorted(
                (tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in tx.connection.execute(
                    sa.select(*[sa.type_coerce(column, column.type) for column in table.columns])
                )),
                key=repr,
            )
            for table in copying.tables()
            if table.name not in ("leases", "meta")
        }  # fmt: skip
        told["meta"] = [
            (name, bytes(value))
            for name, value in tx.connection.execute(sa.select(schema.meta).order_by(schema.meta.c.name))
            if name not in (migrate.MOVED, migrate.ARRIVING, moving.CAME)
        ]
    store.close()
    return told


def test_everything_is_there_as_it_was(filled: str, places: tuple[str, str], move: Any, clock: ManualClock) -> None:
    before = contents(filled, clock)
    moved = move()
    assert contents(places[1], clock) == before
    assert moved.rows["records"] == 30
    assert {name for name, count in moved.rows.items() if count} == {
        "records", "payloads", "changes", "counters", "runs", "deliveries", "receipts", "audit", "meta", "tokens", "leases",
        "matches", "record_counts",
    }  # fmt: skip
    there = Store.open(places[1], clock=clock, key=KEY)
    with there.read() as tx:
        assert audit.verify(tx).wrong == ""
        assert leases.living(tx) == []
    assert SealedTokens(there, KEY).read("desk") == b"refresh"
    there.close()


def test_rows_are_numbered_on_where_they_end(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock, noon: Any, item: Any, delivery: Any
) -> None:
    move()
    there = Store.open(places[1], clock=clock, key=KEY)
    with there.write() as tx:
        receipts.add(
            tx,
            [
                StoredReceipt(
                    delivery="dlv_00002",
                    run="run_00001",
                    recipe="hand-over",
                    ref=Ref("desk", "tickets", "1"),
                    role="wrote",
                    at=noon,
                )
            ],
        )
        assert records.apply(tx, "desk", [item("new")], noon).last_seq == 33
        outbox.add(tx, [delivery(3)])
    there.close()


def test_the_old_place_refuses_and_names_the_new_one(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock
) -> None:
    move()
    for writing in (True, False):
        with pytest.raises(ConfigError, match="was moved to") as refused:
            Store.open(filled, clock=clock, key=KEY, writing=writing)
        assert refused.value.exit_code == 78
        assert moving.address(places[1]) in str(refused.value)


def test_a_password_is_never_shown() -> None:
    shown = moving.address("postgresql://me:secret@db.example:5432/cx?sslpassword=hidden&host=/run/pg")
    assert "secret" not in shown
    assert "hidden" not in shown
    assert shown.startswith("postgresql://me@db.example:5432/cx")


def test_a_place_that_holds_something_is_refused(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock, noon: Any, item: Any
) -> None:
    there = Store.open(places[1], clock=clock, key=KEY)
    with there.write() as tx:
        records.apply(tx, "desk", [item("mine")], noon)
    there.close()
    with pytest.raises(ConfigError, match="holds a store already"):
        move()
    with pytest.raises(ConfigError, match="holds a store already"):
        move(to=filled)
    Store.open(filled, clock=clock, key=KEY).close()


def test_a_place_that_was_only_looked_at_is_empty(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock
) -> None:
    before = contents(filled, clock)
    there = Store.open(places[1], clock=clock, key=KEY)
    with there.write() as tx:
        state.instance_key(tx)
    there.close()
    move()
    assert contents(places[1], clock) == before


def test_neither_is_touched_while_a_daemon_works_on_it(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock
) -> None:
    for url in places:
        store = Store.open(url, clock=clock, key=KEY)
        if store.path is None:
            with store.aside() as tx:
                held = leases.take(tx, "plan", "worker-7", timedelta(seconds=30))
            with pytest.raises(StoreError, match="worker-7 is at work"):
                move()
            assert held is not None
            with store.aside() as tx:
                leases.let_go(tx, held)
        else:
            with store.alone("run"), pytest.raises(StoreError, match="at work"):
                move()
        store.close()
    Store.open(filled, clock=clock, key=KEY).close()


def test_of_another_revision_it_is_not_moved(filled: str, move: Any, clock: ManualClock) -> None:
    store = Store.as_found(filled, clock=clock)
    with store.write() as tx:
        tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(ConfigError, match="cxbridge db upgrade"):
        move()
    with store.write() as tx:
        tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(ConfigError, match="only a program of that revision"):
        move()


@pytest.mark.parametrize(
    "where", ["half-way", "before the commit", "before the source is marked", "before the last step"]
)
def test_ended_anywhere_the_same_command_goes_on(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = contents(filled, clock)

    def end(*_: Any, **__: Any) -> None:
        raise KilledError

    original = copying.copy

    def half(source: Any, target: Any, table: Any, on_rows: Any) -> int:
        if table.name == "runs":
            raise KilledError
        return original(source, target, table, on_rows)

    with monkeypatch.context() as patched:
        {
            "half-way": lambda: patched.setattr(copying, "copy", half),
            "before the commit": lambda: patched.setattr(moving, "_announce", end),
            "before the source is marked": lambda: patched.setattr(moving, "leave", end),
            "before the last step": lambda: patched.setattr(moving, "_arrive", end),
        }[where]()
        with pytest.raises(KilledError):
            move()

    # Never both, and never half of it.
    accepted = [url for url in places if accepts(url, clock)]
    assert accepted in ([filled], [])
    if accepted:
        assert contents(filled, clock) == before
    done = move()
    assert done.finished is (where == "before the last step")
    assert [url for url in places if accepts(url, clock)] == [places[1]]
    assert contents(places[1], clock) == before


def accepts(url: str, clock: ManualClock) -> bool:
    """Whether a daemon would work there on what is there."""
    try:
        store = Store.as_found(url, clock=clock)
    except ConfigError:
        return False
    try:
        with store.read() as tx:
            if migrate.revision_of(tx.connection, "it") is None:
                return False
        Store.open(url, clock=clock, key=KEY).close()
    except ConfigError:
        return False
    finally:
        store.close()
    return True


def test_rows_that_arrive_otherwise_are_noticed(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = copying._read

    def mangled(connection: Any, table: Any) -> Iterator[Any]:
        for row in original(connection, table):
            yield (*row[:-2], row[-2] + b" ", row[-1]) if table.name == "records" else row

    into = copying.copy

    def copy(source: Any, target: Any, table: Any, on_rows: Any) -> int:
        with monkeypatch.context() as patched:
            patched.setattr(copying, "_read", mangled)
            return into(source, target, table, on_rows)

    monkeypatch.setattr(copying, "copy", copy)
    with pytest.raises(StoreError, match="of 30 rows of records 30 arrived, or not as they were"):
        move()
    assert [url for url in places if accepts(url, clock)] == [filled]


def test_moved_on_twice_it_says_so(filled: str, places: tuple[str, str], move: Any, tmp_path: Path) -> None:
    move()
    with pytest.raises(ConfigError, match="the move is complete"):
        move()
    with pytest.raises(ConfigError, match="--undo"):
        move(to=f"sqlite:///{tmp_path}/elsewhere.db")


class TestUndo:
    @pytest.fixture
    def undo(self, places: tuple[str, str], clock: ManualClock) -> Callable[..., restored.Marked]:
        def undo(target: str | None = places[1]) -> restored.Marked:
            source = Store.as_found(places[0], clock=clock)
            beyond = Store.as_found(target, clock=clock) if target is not None else None
            try:
                return moving.undo(source, beyond, moving.address(places[0]), clock.now())
            finally:
                source.close()
                if beyond is not None:
                    beyond.close()

        return undo

    def test_back_at_the_old_place_what_was_done_since_is_in_doubt(
        self, filled: str, places: tuple[str, str], move: Any, undo: Any, clock: ManualClock
    ) -> None:
        at = clock.now()
        move()
        clock.advance(600)
        marked = undo()
        assert (marked.since, marked.at, marked.doubts) == (at, clock.now(), {"tracker": 2})
        assert [url for url in places if accepts(url, clock)] == [filled]
        with pytest.raises(ConfigError, match="was moved to"):
            Store.open(places[1], clock=clock, key=KEY)

    def test_it_must_be_the_place_it_was_moved_to(
        self, filled: str, move: Any, undo: Any, clock: ManualClock, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="was not moved"):
            undo(filled)
        move()
        other = f"sqlite:///{tmp_path}/other.db"
        Store.open(other, clock=clock).close()
        with pytest.raises(ConfigError, match="is not what the store was moved to"):
            undo(other)

    def test_also_when_the_new_place_is_gone(self, filled: str, move: Any, undo: Any, clock: ManualClock) -> None:
        move()
        undo(None)
        assert accepts(filled, clock)


def test_what_a_webhook_brings_after_the_move_is_numbered_on(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock, noon: Any
) -> None:
    before = Store.open(filled, clock=clock, key=KEY)
    with before.write() as tx:
        tx.connection.execute(
            sa.insert(schema.inbox),
            [
                {"connection": "desk", "event_id": str(number), "received_at": noon, "announced": [], "body": b""}
                for number in range(3)
            ],
        )
    before.close()
    move()
    there = Store.open(places[1], clock=clock, key=KEY)
    with there.write() as tx:
        tx.connection.execute(
            sa.insert(schema.inbox).values(connection="desk", event_id="3", received_at=noon, announced=[], body=b"")
        )
        rows = tx.connection.execute(sa.select(schema.inbox.c.id).order_by(schema.inbox.c.id)).scalars().all()
    assert len(set(rows)) == 4
    there.close()


def test_a_worker_that_had_opened_it_before_gets_no_lease(
    filled: str, places: tuple[str, str], move: Any, clock: ManualClock
) -> None:
    early = Store.open(filled, clock=clock, key=KEY)
    move()
    with early.aside() as tx:
        assert leases.take(tx, "connection:desk", "worker-1", timedelta(seconds=30)) is None
    if early.path is not None:
        with pytest.raises(ConfigError, match="was moved to"), early.alone("run"):
            pass
    early.close()
