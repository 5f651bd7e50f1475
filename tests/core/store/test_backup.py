"""A backup is whole, taken while others write, and told from everything else; what is put back says what it does not know."""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import ConfigError, CxbridgeError, StoreError
from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import (
    SealedTokens,
    Store,
    audit,
    backup,
    checkpoints,
    filing,
    outbox,
    records,
    restored,
    runs,
    schema,
    state,
    tokens,
)

KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture
def opened(store_url: str, clock: ManualClock) -> Iterator[Store]:
    """A store with a key, on each database in turn."""
    store = Store.open(store_url, clock=clock, key=KEY)
    yield store
    store.close()


@pytest.fixture
def filled(opened: Store, item: Any, run: Any, delivery: Any, noon: Any) -> Store:
    """A store with something in every state that matters."""
    with opened.write() as tx:
        state.instance_key(tx)
        records.apply(tx, "desk", [item(str(number), raw=b"raw") for number in range(50)], noon)
        runs.start(tx, run(1))
        made = [
            delivery(1, state="confirmed", settled_at=noon, sent_at=noon),
            delivery(2),
            delivery(3, state="retry"),
            delivery(4, state="sent", sent_at=noon),
            delivery(5, state="unknown", sent_at=noon, connection="desk"),
            delivery(6, state="held"),
            delivery(7, state="dead", settled_at=noon),
        ]
        outbox.add(tx, made)
        audit.wrote(tx, [audit.Wrote("confirmed", made[0])], noon)
        checkpoints.put(tx, Checkpoint(connection="desk", stream="tickets", cursor={"at": 1}, at=noon, caught_up=noon))
    SealedTokens(opened, KEY).write("desk", b"refresh")
    return opened


def taken(store: Store, path: Path) -> backup.Backup:
    """Back a store up as the command does: opened as it is found."""
    return backup.make(store, path)


def test_a_backup_holds_everything_and_is_for_its_owner_alone(
    filled: Store, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "it.backup"
    made = taken(filled, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (made.rows["records"], made.rows["payloads"], made.rows["deliveries"]) == (50, 50, 7)
    found = backup.verify(path, clock=clock, key=KEY)
    assert found == made
    assert found.taken == clock.now()
    assert [one.name for one in tmp_path.iterdir() if "draft" in one.name] == []


def test_the_key_is_not_in_it(filled: Store, tmp_path: Path) -> None:
    taken(filled, tmp_path / "it.backup")
    content = (tmp_path / "it.backup").read_bytes()
    assert KEY not in content
    assert KEY.hex().encode() not in content
    assert b"refresh" not in content


def test_it_is_one_moment_although_others_write_all_the_time(
    opened: Store, tmp_path: Path, item: Any, noon: Any
) -> None:
    """Each commit stores a record in each of two streams: a copy that mixes two moments would not hold as many of both."""
    body = os.urandom(20_000).hex().encode()
    numbers = iter(range(1_000_000))

    def both() -> None:
        with opened.write() as tx:
            for stream in ("tickets", "people"):
                some = [item(str(number), stream=stream, body=body) for number in (next(numbers) for _ in range(5))]
                records.apply(tx, "desk", some, noon)

    for _ in range(40):
        both()
    ended, written = threading.Event(), []

    def keep_writing() -> None:
        while not ended.is_set():
            both()
            written.append(1)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        path = tmp_path / "it.backup"
        while len(written) < 3:
            ended.wait(0.001)
        before = len(written)
        made = taken(opened, path)
        during = len(written) - before
    finally:
        ended.set()
        writer.join()
    assert during > 0, "the writer was starved while the backup was made"
    with sqlite3.connect(path) as copy:
        counts = dict(copy.execute("SELECT stream, count(*) FROM records GROUP BY stream").fetchall())
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    assert counts["tickets"] == counts["people"]
    assert made.rows["records"] == sum(counts.values())


def test_what_cannot_be_written_leaves_nothing(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(filing.Unwritable) as refused:
        taken(filled, tmp_path / "nowhere" / "it.backup")
    assert refused.value.exit_code == 73
    assert not (tmp_path / "nowhere").exists()


def test_a_backup_that_fails_on_the_way_leaves_the_older_one(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.backup"
    taken(filled, path)
    before = path.read_bytes()
    with monkeypatch.context() as patched:

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(filing, "_to_the_disk", full)
        with pytest.raises(filing.Unwritable, match="No space left"):
            taken(filled, path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if "draft" in one.name] == []
    # An older backup is replaced once the new one is whole.
    taken(filled, path)


def test_nothing_but_an_older_backup_is_replaced(filled: Store, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("dear")
    with pytest.raises(filing.Unwritable, match="is no backup"):
        taken(filled, letter)
    assert letter.read_text() == "dear"
    if filled.path is not None:
        with pytest.raises(filing.Unwritable, match="is no backup"):
            taken(filled, filled.path)


class TestVerify:
    @pytest.fixture
    def path(self, filled: Store, tmp_path: Path) -> Path:
        taken(filled, tmp_path / "it.backup")
        return tmp_path / "it.backup"

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("UPDATE deliveries SET state = 'lost' WHERE id = 'dlv_00002'", "states that nobody knows: lost"),
            ("DELETE FROM deliveries WHERE id = 'dlv_00002'", "7 deliveries were planned, and 6 are there"),
            ("UPDATE deliveries SET settled_at = NULL WHERE state = 'confirmed'", "settled without a time"),
            ("UPDATE deliveries SET sent_at = NULL WHERE state = 'sent'", "without having been sent"),
            ("UPDATE deliveries SET run = 'run_none' WHERE id = 'dlv_00002'", "belong to no run"),
            ("DELETE FROM changes WHERE seq < 4", "3 records came without a change"),
            ("UPDATE counters SET value = 10 WHERE name = 'change'", "the change 50 is there, and only 10"),
            ("UPDATE audit SET actor = 'recipe:other'", "the audit chain does not hold"),
            ("UPDATE payloads SET record = 999 WHERE record = 1", "of payloads points at nothing in records"),
            (
                "UPDATE payloads SET raw = X'28B52FFD22409C00' WHERE record = 1",
                "packed with the dictionary 40000, which is not",
            ),
        ],
    )
    def test_what_cannot_be_true_is_named(self, path: Path, clock: ManualClock, words: str, told: str) -> None:
        with sqlite3.connect(path) as copy:
            copy.execute(words)
        copy.close()
        with pytest.raises(backup.Unsound, match=told) as refused:
            backup.verify(path, clock=clock, key=KEY)
        assert refused.value.exit_code == 65

    def test_damage_is_found(self, path: Path, clock: ManualClock) -> None:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 30_000] = b"\xff" * 30_000
        path.write_bytes(content)
        with pytest.raises(CxbridgeError):
            backup.verify(path, clock=clock, key=KEY)

    def test_another_key_opens_nothing(self, path: Path, clock: ManualClock) -> None:
        for key in (OTHER, None):
            with pytest.raises(backup.Unsound, match="sealed"):
                backup.verify(path, clock=clock, key=key)

    def test_a_copy_of_the_file_is_no_backup(
        self, filled: Store, path: Path, tmp_path: Path, clock: ManualClock
    ) -> None:
        with sqlite3.connect(path) as copy:
            copy.execute("DELETE FROM meta WHERE name = 'backed up'")
        copy.close()
        with pytest.raises(backup.Unsound, match="is no backup"):
            backup.verify(path, clock=clock, key=KEY)
        (tmp_path / "letter").write_text("dear")
        with pytest.raises(backup.Unsound, match="is no backup"):
            backup.verify(tmp_path / "letter", clock=clock, key=KEY)
        with pytest.raises(ConfigError, match="there is no backup"):
            backup.verify(tmp_path / "nothing", clock=clock, key=KEY)

    def test_no_daemon_works_on_it(self, path: Path, clock: ManualClock) -> None:
        """What was done since is not in it, and nothing would be looked for."""
        for writing in (True, False):
            with pytest.raises(ConfigError, match="is a backup") as refused:
                Store.open(f"sqlite:///{path}", clock=clock, key=KEY, writing=writing)
            assert refused.value.exit_code == 78

    def test_it_alters_nothing(self, path: Path, clock: ManualClock) -> None:
        before = path.read_bytes()
        backup.verify(path, clock=clock, key=KEY)
        assert path.read_bytes() == before


class TestRestore:
    @pytest.fixture
    def put_back(self, store_url: str, clock: ManualClock) -> Callable[..., backup.Restored]:
        def put_back(path: Path, **more: Any) -> backup.Restored:
            return backup.restore(path, store_url, clock=clock, key=KEY, who="mia", **more)

        return put_back

    def test_the_store_is_as_it_was_and_knows_what_it_does_not_know(
        self, filled: Store, tmp_path: Path, store_url: str, clock: ManualClock, put_back: Any, noon: Any, item: Any
    ) -> None:
        path = tmp_path / "it.backup"
        taken(filled, path)
        then = clock.now()
        clock.advance(3600)
        with filled.write() as tx:
            records.apply(tx, "desk", [item("later")], clock.now())
        filled.close()
        with pytest.raises(ConfigError, match="--force"):
            put_back(path)
        done = put_back(path, force=True)
        assert done.doubts == {"tracker": 3, "desk": 1}
        assert done.aside

        again = Store.open(store_url, clock=clock, key=KEY)
        with again.read() as tx:
            assert len(records.scan(tx, limit=1000)) == 50
            assert {one.id: one.state for one in outbox.find(tx)} == {
                "dlv_00001": "confirmed",
                "dlv_00002": "unknown",
                "dlv_00003": "unknown",
                "dlv_00004": "unknown",
                "dlv_00005": "unknown",
                "dlv_00006": "held",
                "dlv_00007": "dead",
            }
            mark = restored.read(tx)
            assert mark is not None
            assert (mark.since, mark.at, mark.seq) == (then, clock.now(), 50)
            assert restored.waiting(tx) == 4
            assert audit.verify(tx).wrong == ""
            assert next(one.what for one in audit.find(tx)) == "store.restored"
        # The store that was there is kept whole.
        if again.path is not None:
            kept = Store.as_found(f"sqlite:///{done.aside}", clock=clock)
            with kept.read() as tx:
                assert len(records.scan(tx, limit=1000)) == 51
            kept.close()
        else:
            with again.read() as tx:
                name = str(done.aside).removeprefix("the schema ")
                words = f'SELECT count(*) FROM "{name}".records'
                assert tx.connection.exec_driver_sql(words).scalar() == 51
            with again.write() as tx:
                tx.connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        again.close()

    def test_it_goes_on_numbering_where_the_backup_ends(
        self, filled: Store, tmp_path: Path, store_url: str, clock: ManualClock, put_back: Any, delivery: Any, run: Any
    ) -> None:
        taken(filled, tmp_path / "it.backup")
        filled.close()
        _drop(put_back(tmp_path / "it.backup", force=True), store_url)
        again = Store.open(store_url, clock=clock, key=KEY)
        with again.write() as tx:
            runs.start(tx, run(2))
            outbox.add(tx, [delivery(8)])
        again.close()

    def test_a_store_at_work_is_not_touched(
        self, filled: Store, tmp_path: Path, put_back: Any, store_url: str, clock: ManualClock
    ) -> None:
        taken(filled, tmp_path / "it.backup")
        with filled.alone("run"), pytest.raises(StoreError, match="at work"):
            put_back(tmp_path / "it.backup", force=True)
        with filled.read() as tx:
            assert restored.read(tx) is None

    def test_a_newer_refresh_token_is_kept(
        self, filled: Store, tmp_path: Path, put_back: Any, store_url: str, clock: ManualClock
    ) -> None:
        """A vendor takes each one once: that of the backup is of no use any more."""
        taken(filled, tmp_path / "it.backup")
        clock.advance(60)
        SealedTokens(filled, KEY).write("desk", b"turned")
        filled.close()
        _drop(put_back(tmp_path / "it.backup", force=True), store_url)
        again = Store.open(store_url, clock=clock, key=KEY)
        assert SealedTokens(again, KEY).read("desk") == b"turned"
        again.close()

    def test_nothing_is_made_from_an_unsound_backup(self, filled: Store, tmp_path: Path, put_back: Any) -> None:
        path = tmp_path / "it.backup"
        taken(filled, path)
        with sqlite3.connect(path) as copy:
            copy.execute("DELETE FROM deliveries WHERE id = 'dlv_00002'")
        copy.close()
        with pytest.raises(backup.Unsound):
            put_back(path, force=True)
        with filled.read() as tx:
            assert len(outbox.find(tx)) == 7
            assert restored.read(tx) is None

    def test_into_a_place_where_nothing_is(self, filled: Store, tmp_path: Path, clock: ManualClock) -> None:
        path = tmp_path / "it.backup"
        taken(filled, path)
        url = f"sqlite:///{tmp_path}/fresh.db"
        assert backup.restore(path, url, clock=clock, key=KEY, who="mia").aside is None
        fresh = Store.open(url, clock=clock, key=KEY)
        with fresh.read() as tx:
            assert len(records.scan(tx, limit=1000)) == 50
        fresh.close()
        assert stat.S_IMODE((tmp_path / "fresh.db").stat().st_mode) == 0o600

    def test_a_damaged_store_gives_way(self, sqlite_store: Store, tmp_path: Path, clock: ManualClock) -> None:
        path = tmp_path / "it.backup"
        with sqlite_store.write() as tx:
            state.instance_key(tx)
        taken(sqlite_store, path)
        sqlite_store.close()
        place = tmp_path / "cxbridge.db"
        place.write_bytes(b"\x00" * 5000)
        url = f"sqlite:///{place}"
        with pytest.raises(ConfigError, match="--force"):
            backup.restore(path, url, clock=clock, key=None, who="mia")
        done = backup.restore(path, url, clock=clock, key=None, who="mia", force=True)
        assert Path(str(done.aside)).read_bytes() == b"\x00" * 5000
        Store.open(url, clock=clock).close()

    def test_killed_at_the_last_moment_one_of_both_is_there(
        self, sqlite_store: Store, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a file in its place a daemon would make a new store, and begin everything anew."""
        with sqlite_store.write() as tx:
            state.instance_key(tx)
            state.meta_set(tx, "colour", b"green")
        path = tmp_path / "it.backup"
        taken(sqlite_store, path)
        sqlite_store.close()
        place = tmp_path / "cxbridge.db"
        aside = filing.set_aside

        class KilledError(BaseException):
            pass

        def killed(*given: Any) -> Path:
            aside(*given)
            raise KilledError

        monkeypatch.setattr(filing, "set_aside", killed)
        with sqlite_store_filled(place, clock), pytest.raises(KilledError):
            backup.restore(path, f"sqlite:///{place}", clock=clock, key=None, who="mia", force=True)
        again = Store.open(f"sqlite:///{place}", clock=clock)
        with again.read() as tx:
            assert state.meta_get(tx, "colour") == b"green"
        again.close()

    def test_a_second_restore_looks_as_far_back_as_the_first_had_to(
        self, filled: Store, tmp_path: Path, put_back: Any, store_url: str, clock: ManualClock
    ) -> None:
        taken(filled, tmp_path / "first.backup")
        first = clock.now()
        filled.close()
        clock.advance(3600)
        _drop(put_back(tmp_path / "first.backup", force=True), store_url)
        again = Store.open(store_url, clock=clock, key=KEY)
        taken(again, tmp_path / "second.backup")
        again.close()
        clock.advance(3600)
        _drop(put_back(tmp_path / "second.backup", force=True), store_url)
        last = Store.open(store_url, clock=clock, key=KEY)
        with last.read() as tx:
            mark = restored.read(tx)
        assert mark is not None
        assert (mark.since, mark.at) == (first, first + timedelta(hours=2))
        assert mark.before
        assert mark.epoch != mark.before
        last.close()


def test_a_store_that_was_put_back_by_other_means(filled: Store, clock: ManualClock) -> None:
    since = clock.now()
    clock.advance(3600)
    marked = backup.put_back_otherwise(filled, since, "mia")
    assert (marked.since, marked.at, marked.doubts) == (since, clock.now(), {"tracker": 3, "desk": 1})
    with filled.read() as tx:
        assert next(one.what for one in audit.find(tx)) == "store.restored"
        assert restored.waiting(tx) == 4


def sqlite_store_filled(place: Path, clock: ManualClock) -> Any:
    """Something in the store, so that it has to be put aside."""
    from contextlib import nullcontext

    store = Store.open(f"sqlite:///{place}", clock=clock)
    with store.write() as tx:
        tx.connection.execute(sa.insert(schema.counters).values(name="record", value=1))
    store.close()
    return nullcontext()


def _drop(done: backup.Restored, url: str) -> None:
    """Take away what was put aside in a database that other tests share."""
    if not url.startswith("sqlite") and done.aside:
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            name = done.aside.removeprefix("the schema ")
            connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        engine.dispose()


def test_the_seal_of_a_token_names_its_connection() -> None:
    assert tokens.name_of("desk") == "the token of desk"
