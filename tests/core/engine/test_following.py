"""The next delivery is marked as sent in the commit that records the outcome of the one before, where it is sent at once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import cxbridge.core.connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.push import Pusher
from cxbridge.core.errors import StoreError
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Delivery, Ref
from cxbridge.core.store import Store, audit, outbox, receipts
from tests.core.engine.test_pull_push import Fake, Vendor, pushing


class Crash(BaseException):
    """Stands for the end of the process."""


Begin = Callable[..., tuple[Pusher, Connection, Vendor]]


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="fake", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


@pytest.fixture
def begin(store: Store, clock: ManualClock) -> Begin:
    """Make a pusher to whose vendor three deliveries are due, each to another ticket, and a list of the boundaries it reaches."""

    def make(effect: cx.Effect | None = None, *script: str) -> tuple[Pusher, Connection, Vendor]:
        vendor = Vendor(*script)
        pusher, one = pushing(store, clock, vendor, effect or cx.Findable(settle=30))
        with store.write() as tx:
            first = outbox.get(tx, "dlv_1")
            assert first is not None
            more = []
            for number in (2, 3):
                ref = Ref("fake", "tickets", str(number))
                name, marker = f"dlv_{number}", f"cxb:{number:016}"
                more.append(msgspec.structs.replace(first, id=name, target=ref, order_key=str(ref), marker=marker))
            outbox.add(tx, more)
        return pusher, one, vendor

    return make


@pytest.fixture
def commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """How the deliveries stood in each commit from now on."""
    seen: list[dict[str, str]] = []
    commit = store._to_write.commit

    def noted(connection: sa.Connection) -> None:
        rows = connection.execute(sa.text("SELECT id, state FROM deliveries ORDER BY id"))
        seen.append(dict(rows.all()))
        commit(connection)

    monkeypatch.setattr(store._to_write, "commit", noted)
    return seen


def watch(pusher: Pusher, probe: Callable[[str], None]) -> None:
    pusher.probe = probe
    pusher.settler = replace(pusher.settler, probe=probe)


def states(store: Store) -> list[str]:
    with store.read() as tx:
        return [one.state for one in sorted(outbox.find(tx), key=lambda one: one.id)]


def test_an_outcome_and_the_next_mark_are_one_commit(
    store: Store, client: cx.Client, begin: Begin, commits: list[dict[str, str]]
) -> None:
    pusher, one, vendor = begin()
    reached: list[str] = []
    watch(pusher, reached.append)
    commits.clear()
    assert pusher.push(one, client).confirmed == 3
    assert [" ".join(seen.values()) for seen in commits] == [
        "sent planned planned",
        "confirmed sent planned",
        "confirmed confirmed sent",
        "confirmed confirmed confirmed",
    ]
    assert len(vendor.done) == 3
    assert reached[:8] == [
        "push.claimed",
        "push.sent",
        "push.answered",
        "push.recorded",
        "push.claimed",
        "push.settled",
        "push.sent",
        "push.answered",
    ]
    with store.read() as tx:
        assert audit.verify(tx).wrong == ""
        assert len(audit.find(tx)) == 3
        for number in (1, 2, 3):
            assert len(receipts.of_delivery(tx, f"dlv_{number}")) == 1


def test_what_can_neither_be_repeated_nor_looked_up_is_marked_by_itself_right_before_it_is_sent(
    store: Store, client: cx.Client, begin: Begin
) -> None:
    pusher, one, _ = begin(cx.Blind())
    settled: list[list[str]] = []

    def probe(name: str) -> None:
        if name == "push.settled":
            settled.append(states(store))

    watch(pusher, probe)
    assert pusher.push(one, client).confirmed == 3
    assert settled[0] == ["confirmed", "planned", "planned"]
    assert settled[1] == ["confirmed", "confirmed", "planned"]


def test_a_crash_after_the_commit_leaves_one_doubt_that_is_looked_up(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin
) -> None:
    pusher, one, vendor = begin()

    def probe(name: str) -> None:
        if name == "push.settled":
            raise Crash

    watch(pusher, probe)
    with pytest.raises(Crash):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "sent", "planned"]
    watch(pusher, lambda _: None)
    assert pusher.recover() == 1
    for _ in range(5):
        pusher.push(one, client)
        clock.advance(60)
    assert states(store) == ["confirmed"] * 3
    assert len(vendor.done) == len(set(vendor.done)) == 3


def test_what_the_next_one_stumbles_over_takes_no_outcome_with_it(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher, one, vendor = begin()
    claim = outbox.claim

    def claims(tx: Any, sent: Delivery, stands: Any) -> bool:
        if sent.id == "dlv_2":
            raise ZeroDivisionError
        return claim(tx, sent, stands)

    monkeypatch.setattr(outbox, "claim", claims)
    with pytest.raises(ZeroDivisionError):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "planned", "planned"]
    assert len(vendor.done) == 1
    with store.read() as tx:
        assert len(receipts.of_delivery(tx, "dlv_1")) == 1
        assert len(audit.find(tx)) == 1
    monkeypatch.undo()
    assert pusher.push(one, client).confirmed == 2


def test_a_breaker_that_cannot_be_asked_about_the_next_one_takes_no_outcome_with_it(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher, one, vendor = begin()

    def fails() -> None:
        if vendor.done:
            raise StoreError("the database cannot be reached")

    monkeypatch.setattr(client, "left_alone_until", fails)
    with pytest.raises(StoreError):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "planned", "planned"]
    assert len(vendor.done) == 1


def test_who_is_told_of_an_outcome_and_fails_leaves_the_next_one_unsent(
    store: Store, client: cx.Client, begin: Begin
) -> None:
    pusher, one, vendor = begin()

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    pusher.settler = replace(pusher.settler, on_settled=fails)
    with pytest.raises(ZeroDivisionError):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "planned", "planned"]
    with store.read() as tx:
        second = outbox.get(tx, "dlv_2")
    assert second is not None
    assert second.attempts == 0
    assert len(vendor.done) == 1


def test_what_is_called_off_right_before_the_one_before_is_recorded_is_not_sent(
    store: Store, client: cx.Client, begin: Begin
) -> None:
    pusher, one, vendor = begin()
    answered = 0

    def probe(name: str) -> None:
        nonlocal answered
        if name != "push.answered":
            return
        answered += 1
        if answered == 1:
            with store.write() as tx:
                found = outbox.get(tx, "dlv_2")
                assert found is not None
                outbox.update(tx, msgspec.structs.replace(found, state="cancelled"))

    watch(pusher, probe)
    assert pusher.push(one, client).confirmed == 2
    assert states(store) == ["confirmed", "cancelled", "confirmed"]
    assert len(vendor.done) == 2


def test_nothing_is_marked_once_the_turn_is_over(store: Store, client: cx.Client, begin: Begin) -> None:
    pusher, one, vendor = begin()
    stop = threading.Event()

    def probe(name: str) -> None:
        if name == "push.answered":
            stop.set()

    watch(pusher, probe)
    assert pusher.push(one, client, stop).confirmed == 1
    assert states(store) == ["confirmed", "planned", "planned"]
    assert len(vendor.done) == 1


def test_after_a_failure_the_next_one_is_begun_by_itself(store: Store, client: cx.Client, begin: Begin) -> None:
    pusher, one, vendor = begin(None, "never")
    assert pusher.push(one, client).confirmed == 2
    assert states(store) == ["unknown", "confirmed", "confirmed"]
    assert len(vendor.done) == 2
