"""The committed cursor of a stream."""

from datetime import timedelta

import pytest

from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import checkpoints


@pytest.mark.parametrize("cursor", [None, 7, "eyJ", {"after": "x", "seen": [1, 2]}, ["a", 1.5, True]])
def test_a_checkpoint_comes_back_as_it_was_put(store, noon, cursor):
    first = Checkpoint(connection="desk", stream="tickets", cursor=cursor, at=noon)
    with store.write() as tx:
        checkpoints.put(tx, first)
    with store.read() as tx:
        assert checkpoints.get(tx, "desk", "tickets") == first
        assert checkpoints.get(tx, "desk", "users") is None


def test_putting_again_moves_it(store, noon):
    later = noon + timedelta(minutes=1)
    moved = Checkpoint(connection="desk", stream="tickets", cursor=2, at=later, pages=9, caught_up=later)
    with store.write() as tx:
        checkpoints.put(tx, Checkpoint(connection="desk", stream="tickets", cursor=1, at=noon, caught_up=noon))
        checkpoints.put(tx, moved)
        assert checkpoints.find(tx) == [moved]


def test_find_and_reset(store, noon):
    with store.write() as tx:
        for connection, stream in [("tracker", "issues"), ("desk", "users"), ("desk", "tickets")]:
            checkpoints.put(tx, Checkpoint(connection=connection, stream=stream, cursor=1, at=noon))
        assert [(c.connection, c.stream) for c in checkpoints.find(tx)] == [
            ("desk", "tickets"),
            ("desk", "users"),
            ("tracker", "issues"),
        ]
        assert checkpoints.reset(tx, "desk", "users")
        assert not checkpoints.reset(tx, "desk", "users")
        assert [c.stream for c in checkpoints.find(tx)] == ["tickets", "issues"]
