"""On SQLite the processes that write take turns, from before the transaction until after the check-point."""

import errno
import fcntl
import os

import pytest
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError, StoreError
from cxbridge.core.store import Store, migrate, state
from cxbridge.core.store.sqlite import turn_of
from cxbridge.core.store.turns import turn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cxbridge.db"


@pytest.fixture
def taken(path):
    """Tell whether some process has the turn now."""

    def taken():
        handle = os.open(turn_of(path), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(handle)

    return taken


def test_writing_lasts_until_the_connection_is_given_back(path, clock, taken, monkeypatch):
    store = Store.open(f"sqlite:///{path}", clock=clock)
    told = []
    give_back = store._to_write.give_back

    def given_back(connection, **how):
        give_back(connection, **how)
        told.append(("given back", taken()))

    monkeypatch.setattr(store._to_write, "give_back", given_back)
    with store.read():
        assert not taken()
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
        assert taken()
    assert told == [("given back", True)]
    with pytest.raises(ValueError, match="no"), store.write():
        raise ValueError("no")
    assert not taken()
    store.close()


def test_opening_and_closing_are_turns_of_their_own(path, clock, taken, monkeypatch):
    told = []
    original = migrate.make

    def make(connection):
        told.append(("make", taken()))
        original(connection)

    monkeypatch.setattr(migrate, "make", make)
    store = Store.open(f"sqlite:///{path}", clock=clock)
    assert not taken()
    sa.event.listen(store._writers, "close", lambda *_: told.append(("close", taken())))
    store.close()
    assert told == [("make", True), ("close", True)]
    assert not taken()


def test_a_writer_waits_for_its_turn_and_no_longer_than_agreed(path, clock):
    store = Store.open(f"sqlite:///{path}", clock=clock, timeout=0.05)
    with turn(turn_of(path), 0.05, "the store"):
        with pytest.raises(StoreError, match="is locked by another process: let it finish or stop it"), store.write():
            pass
        with pytest.raises(StoreError, match="is locked by another process"):
            Store.open(f"sqlite:///{path}", clock=clock, timeout=0.05)
        with store.read() as tx:
            assert state.meta_get(tx, "colour") is None
    with store.write() as tx:
        state.meta_set(tx, "colour", b"green")
    store.close()


def test_closing_goes_on_without_a_turn(path, clock):
    store = Store.open(f"sqlite:///{path}", clock=clock, timeout=0.05)
    with turn(turn_of(path), 0.05, "the store"):
        store.close()
    with pytest.raises(StoreError, match="is closed"), store.read():
        pass


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EACCES, ConfigError), (errno.EROFS, ConfigError), (errno.ENOSPC, StoreError), (errno.EMFILE, StoreError)],
)
def test_a_lock_that_cannot_be_made_is_told_in_words(path, monkeypatch, number, expected):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(expected, match=f"^the store x cannot be written.*{os.strerror(number)}"):
        with turn(path, 1, "the store x"):
            pass
