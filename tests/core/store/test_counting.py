"""The counts of records are what anybody who counted would find, whoever brought or removed what, and whatever was restored."""

import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.ledger import Incoming
from cxbridge.core.store import Store, Tx, backup, compacting, counting, migrate, moving, records, schema, verifying

KEY = bytes(range(32))
Make = Callable[..., Incoming]


def counted(tx: Tx) -> dict[tuple[str, str], int]:
    """Count what lives as plainly as it can be said, and see that all that tells a number of records tells the same."""
    rows = tx.connection.exec_driver_sql(
        "SELECT connection, stream, count(*) FROM records WHERE NOT deleted GROUP BY connection, stream"
    )
    plainly = {(connection, stream): number for connection, stream, number in rows}
    assert records.count(tx) == plainly
    assert counting.go_through(tx.connection) == plainly
    if not counting.is_behind(tx.connection):
        assert counting.kept(tx.connection) == plainly
    return plainly


def by_older_program(tx: Tx, *words: str) -> None:
    """Do what a program of revision 0005 does: it takes a number for each change, and knows of no counts."""
    moved = tx.connection.exec_driver_sql(
        f"UPDATE counters SET value = value + {len(words)} WHERE name = 'change'"
    ).rowcount
    if not moved:
        tx.connection.exec_driver_sql(f"INSERT INTO counters (name, value) VALUES ('change', {len(words)})")
    for one in words:
        tx.connection.exec_driver_sql(one)


def new(key: int, deleted: bool = False, stream: str = "tickets", kind: str = "ticket") -> str:
    """The words by which a record is stored on either database."""
    return (
        "INSERT INTO records (id, connection, stream, key, kind, digest, ordinal, deleted, seen_at, body) "
        f"VALUES ({1000 + key}, 'desk', '{stream}', '{key}', '{kind}', 'd', 1, {str(deleted).lower()}, 0, 'b')"
    )


@pytest.fixture
def filled(store: Store, item: Make, noon: datetime) -> Store:
    """Two streams, of which one has two kinds, and something deleted in each."""
    with store.write() as tx:
        page = [item(str(number), kind="task" if number % 3 else "ticket", deleted=number == 9) for number in range(10)]
        records.apply(tx, "desk", [*page, item("1", stream="users"), item("2", stream="users", deleted=True)], noon)
        records.apply(tx, "tracker", [item("1")], noon)
    return store


def test_what_comes_goes_and_comes_back_is_counted(filled: Store, item: Make, noon: datetime) -> None:
    with filled.write() as tx:
        assert counted(tx) == {("desk", "tickets"): 9, ("desk", "users"): 1, ("tracker", "tickets"): 1}
        # Again, changed, of another kind, newer without a change, and of two versions in one page: none of them is one more.
        records.apply(tx, "desk", [item("3", kind="task"), item("4", "new", 2), item("5", "new", 2, kind="case")], noon)
        records.apply(tx, "desk", [item("6", ordinal=4), item("7", "a", 2), item("7", "b", 2)], noon)
        assert counted(tx)["desk", "tickets"] == 9
        # Gone by a version of its own, once and again; heard of as gone; back; back from the first page.
        for _ in range(2):
            records.apply(tx, "desk", [item("4", "gone", 3, deleted=True), item("11", deleted=True)], noon)
            assert counted(tx)["desk", "tickets"] == 8
        records.apply(tx, "desk", [item("4", "gone more", 4, deleted=True), item("9", "back", 2), item("12")], noon)
        assert counted(tx)["desk", "tickets"] == 10
        # Gone by its key alone, once and again, and one that nobody ever heard of.
        for _ in range(2):
            records.mark_deleted(tx, "desk", "tickets", ["1", "2", "unheard-of"], noon)
            assert counted(tx)["desk", "tickets"] == 8
        records.mark_deleted(tx, "desk", "users", ["1"], noon)
        assert counted(tx) == {("desk", "tickets"): 8, ("tracker", "tickets"): 1}
        records.apply(tx, "desk", [item("1", kind="task")], noon)
        records.log_again(tx, "desk", [("tickets", "1"), ("tickets", "2")], noon)
        assert counted(tx)["desk", "tickets"] == 9


def test_what_was_not_stored_is_not_counted(filled: Store, item: Make, noon: datetime) -> None:
    def stored() -> None:
        with filled.write() as tx:
            records.apply(tx, "desk", [item("20"), item("21")], noon)
            records.mark_deleted(tx, "desk", "tickets", ["1"], noon)
            raise KeyError("gave up")

    with pytest.raises(KeyError, match="gave up"):
        stored()
    with filled.read() as tx:
        assert counted(tx)["desk", "tickets"] == 9


def test_two_that_store_at_once_are_both_counted(
    store_url: str, clock: ManualClock, item: Make, noon: datetime
) -> None:
    def store_some(first: int) -> None:
        mine = Store.open(store_url, clock=clock, timeout=60)
        for number in range(first, first + 30):
            with mine.write() as tx:
                records.apply(tx, "desk", [item(f"{number}-{one}") for one in range(3)], noon)
        mine.close()

    threads = [threading.Thread(target=store_some, args=(first,)) for first in (0, 100)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = Store.open(store_url, clock=clock)
    with found.read() as tx:
        assert counted(tx) == {("desk", "tickets"): 180}
    found.close()


def test_a_page_takes_one_statement_more_and_none_where_nothing_comes_or_goes(
    sqlite_store: Store, heard: Any, item: Make, noon: datetime
) -> None:
    def counting_statements(tx: Tx, do: Callable[[], object]) -> int:
        with heard(tx) as asked:
            do()
        return sum("record_counts" in sql for sql, _ in asked)

    page = [item(str(number), stream=("tickets", "users")[number % 2]) for number in range(350)]
    changed = [item(str(number), "new", 2, stream=("tickets", "users")[number % 2]) for number in range(350)]
    with sqlite_store.write() as tx:
        assert counting_statements(tx, lambda: records.apply(tx, "desk", page, noon)) == 1
        assert counting_statements(tx, lambda: records.apply(tx, "desk", page, noon)) == 0
        assert counting_statements(tx, lambda: records.apply(tx, "desk", changed, noon)) == 0
        assert counting_statements(tx, lambda: records.apply(tx, "desk", [item("0", deleted=True)], noon)) == 0
        assert counted(tx) == {("desk", "tickets"): 175, ("desk", "users"): 175}


# -- stores from before, and older programs beside --------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["0001", "0005"])
def test_a_store_from_before_is_counted_as_it_is_upgraded(
    empty_url: str, clock: ManualClock, revision: str, item: Make, noon: datetime
) -> None:
    engine = sa.create_engine(empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        migrate.upgrade(connection, revision)
        for words in (
            *(new(key, kind=("ticket", "task")[key % 2], deleted=key > 7) for key in range(10)),
            *(new(key, stream="users", kind="contact") for key in range(20, 23)),
            new(30, stream="gone", deleted=True),
            "INSERT INTO counters (name, value) VALUES ('record', 1030)",
            "INSERT INTO counters (name, value) VALUES ('change', 40)",
        ):
            connection.exec_driver_sql(words)
    engine.dispose()
    store = Store.open(empty_url, clock=clock)
    with store.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx) == {("desk", "tickets"): 8, ("desk", "users"): 3}
    with store.write() as tx:
        records.apply(tx, "desk", [item("1", "new", 2), item("9", "back", 2), item("new")], noon)
    with store.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx)["desk", "tickets"] == 10
    store.close()


def test_what_an_older_program_stores_beside_is_seen_at_once_and_counted_by_the_next_that_opens(
    filled: Store, store_url: str, clock: ManualClock, item: Make, noon: datetime
) -> None:
    with filled.write() as tx:
        by_older_program(tx, new(50), new(51), "UPDATE records SET deleted = true WHERE key = '3'")
    with filled.read() as tx:
        assert counting.is_behind(tx.connection)
        assert counted(tx)["desk", "tickets"] == 10
        assert list(verifying.miscounts(tx)) == [], "nobody believes these counts"
    # This one goes on beside it.
    with filled.write() as tx:
        records.apply(tx, "desk", [item("60")], noon)
        by_older_program(tx, new(52))
    with filled.read() as tx:
        assert counted(tx)["desk", "tickets"] == 12
    # Who only looks alters nothing.
    looking = Store.open(store_url, clock=clock, writing=False)
    with looking.read() as tx:
        assert counted(tx)["desk", "tickets"] == 12
        assert counting.is_behind(tx.connection)
    looking.close()
    filled.close()
    again = Store.open(store_url, clock=clock)
    with again.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx) == {("desk", "tickets"): 12, ("desk", "users"): 1, ("tracker", "tickets"): 1}
    with again.write() as tx:
        records.apply(tx, "desk", [item("61")], noon)
    with again.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx)["desk", "tickets"] == 13
    again.close()


def test_an_older_program_that_is_the_first_to_store_anything_is_seen(
    store: Store, store_url: str, clock: ManualClock, item: Make, noon: datetime
) -> None:
    with store.write() as tx:
        by_older_program(tx, new(1))
    with store.read() as tx:
        assert counted(tx) == {("desk", "tickets"): 1}
    with store.write() as tx:
        records.apply(tx, "desk", [item("2")], noon)
    with store.read() as tx:
        assert counting.is_behind(tx.connection)
        assert counted(tx) == {("desk", "tickets"): 2}
    store.close()
    again = Store.open(store_url, clock=clock)
    with again.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx) == {("desk", "tickets"): 2}
    again.close()


def test_packing_everything_counts_anew(filled: Store, store_url: str, clock: ManualClock) -> None:
    """The way to mend counts that do not agree without any older program having been there."""
    with filled.write() as tx:
        tx.connection.execute(sa.delete(schema.record_counts))
        assert records.count(tx) == {}
    filled.close()
    found = Store.as_found(store_url, clock=clock)
    compacting.compact(found)
    with found.read() as tx:
        assert counted(tx) == {("desk", "tickets"): 9, ("desk", "users"): 1, ("tracker", "tickets"): 1}
    found.close()


# -- carried elsewhere -------------------------------------------------------------------------------------------------


def test_a_store_that_was_moved_has_them(
    filled: Store, store_url: str, tmp_path: Path, clock: ManualClock, item: Make, noon: datetime, request: Any
) -> None:
    """From SQLite to PostgreSQL, and the other way."""
    lite = filled.path is not None
    target = request.getfixturevalue("postgresql").empty() if lite else f"sqlite:///{tmp_path}/there.db"
    filled.close()
    source = Store.as_found(store_url, clock=clock)
    try:
        assert moving.move(source, target, clock=clock).rows["record_counts"] == 3
    finally:
        with source.write() as tx:
            # Other tests share that database.
            tx.connection.execute(sa.delete(schema.meta).where(schema.meta.c.name == migrate.MOVED))
        source.close()
    there = Store.open(target, clock=clock)
    with there.read() as tx:
        assert counted(tx) == {("desk", "tickets"): 9, ("desk", "users"): 1, ("tracker", "tickets"): 1}
    with there.write() as tx:
        records.apply(tx, "desk", [item("new"), item("1", "gone", 2, deleted=True)], noon)
        records.apply(tx, "tracker", [item("2")], noon)
    with there.read() as tx:
        assert not counting.is_behind(tx.connection)
        assert counted(tx) == {("desk", "tickets"): 9, ("desk", "users"): 1, ("tracker", "tickets"): 2}
    there.close()


class TestBackup:
    @pytest.fixture
    def path(self, filled: Store, tmp_path: Path) -> Path:
        """A backup of the store, which goes on."""
        backup.make(filled, tmp_path / "it.backup")
        with filled.write() as tx:
            tx.connection.execute(sa.delete(schema.record_counts))
        filled.close()
        return tmp_path / "it.backup"

    def restored(
        self, path: Path, tmp_path: Path, clock: ManualClock, server: Any = None
    ) -> dict[tuple[str, str], int]:
        """Put it back into an empty place and count there."""
        url = server.empty() if server else f"sqlite:///{tmp_path}/again.db"
        backup.restore(path, url, clock=clock, key=KEY, who="mia")
        again = Store.open(url, clock=clock, key=KEY)
        with again.read() as tx:
            assert not counting.is_behind(tx.connection)
            found = counted(tx)
        again.close()
        return found

    def test_what_was_put_back_has_them(self, path: Path, tmp_path: Path, clock: ManualClock) -> None:
        backup.verify(path, clock=clock, key=KEY)
        assert self.restored(path, tmp_path, clock) == {
            ("desk", "tickets"): 9,
            ("desk", "users"): 1,
            ("tracker", "tickets"): 1,
        }

    @pytest.mark.parametrize("server", [False, pytest.param(True, marks=pytest.mark.postgres)])
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("UPDATE record_counts SET n = 8 WHERE n = 9", "of desk/tickets 9 records are there, and 8 were counted"),
            ("DELETE FROM record_counts", "of desk/users 1 records are there, and 0 were counted"),
            (
                "INSERT INTO record_counts VALUES ('desk', 'calls', 2)",
                "of desk/calls 0 records are there, and 2 were counted",
            ),
        ],
    )
    def test_counts_that_do_not_agree_are_told_and_mended_as_it_is_put_back(
        self, path: Path, tmp_path: Path, clock: ManualClock, words: str, told: str, server: bool, request: Any
    ) -> None:
        with sqlite3.connect(path) as copy:
            copy.execute(words)
        copy.close()
        with pytest.raises(backup.Unsound) as refused:
            backup.verify(path, clock=clock, key=KEY)
        assert refused.value.exit_code == 65
        assert told in refused.value.problems
        assert "`cxbridge db compact` counts those of the store anew" in str(refused.value)
        assert "`cxbridge restore` takes it as it is" in str(refused.value)
        found = self.restored(path, tmp_path, clock, request.getfixturevalue("postgresql") if server else None)
        assert found["desk", "tickets"] == 9

    def test_what_an_older_program_brought_is_no_reason(self, path: Path, tmp_path: Path, clock: ManualClock) -> None:
        with sqlite3.connect(path) as copy:
            copy.execute(new(70))
            copy.execute("UPDATE records SET digest = X'64', body = X'7B7D' WHERE id = 1070")
            copy.execute("INSERT INTO changes (seq, record, op, at) VALUES (999, 1070, 'created', 0)")
            copy.execute("UPDATE counters SET value = 1070 WHERE name = 'record'")
            copy.execute("UPDATE counters SET value = 999 WHERE name = 'change'")
        copy.close()
        backup.verify(path, clock=clock, key=KEY)
        assert self.restored(path, tmp_path, clock)["desk", "tickets"] == 10
