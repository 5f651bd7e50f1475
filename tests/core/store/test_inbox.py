"""The inbox: deliveries once each, what is left to do of them, and what nobody announced."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.ledger import Ref, StoredReceipt
from cxbridge.core.store import Store, inbox, receipts, schema
from cxbridge.core.store.inbox import Arrival
from cxbridge.core.webhooks import Nudge

SECOND = timedelta(seconds=1)


@pytest.fixture
def arrive(store: Store, clock: ManualClock) -> Any:
    """Store one delivery in a commit of its own; tells whether it was new."""

    def run(event_id: str, *nudges: Nudge, connection: str = "desk", body: bytes = b"{}") -> bool:
        with store.write() as tx:
            (new,) = inbox.add(tx, [arrival(event_id, clock, *nudges, connection=connection, body=body)])
        return new

    return run


def arrival(
    event_id: str, clock: ManualClock, *nudges: Nudge, connection: str = "desk", body: bytes = b"{}"
) -> Arrival:
    return Arrival(
        connection=connection,
        event_id=event_id,
        received_at=clock.now(),
        announced=msgspec.Raw(msgspec.json.encode({"nudges": nudges, "pressed": []})),
        nudges=nudges,
        body=body,
    )


def test_a_delivery_is_new_once_for_its_connection(store: Store, clock: ManualClock, arrive: Any) -> None:
    assert arrive("a", Nudge("tickets", "1"))
    assert not arrive("a", Nudge("tickets", "2"))
    assert arrive("a", Nudge("tickets", "1"), connection="other")
    with store.write() as tx:
        many = [arrival(name, clock) for name in ("b", "a", "b", "c")]
        assert inbox.add(tx, many) == [True, False, False, True]
    with store.read() as tx:
        rows = inbox.waiting(tx)
    assert [(row.connection, row.received_at) for row in rows] == [
        (name, clock.now()) for name in ("desk", "other", "desk", "desk")
    ]
    assert rows[0].announced == {"nudges": [{"stream": "tickets", "key": "1"}], "pressed": []}


def test_more_than_one_statement_holds_in_one_commit(store: Store, clock: ManualClock) -> None:
    with store.write() as tx:
        new = inbox.add(tx, [arrival(str(n % 700), clock, Nudge("tickets", str(n))) for n in range(1400)])
    assert new == [True] * 700 + [False] * 700
    with store.read() as tx:
        assert len(inbox.waiting(tx, limit=2000)) == 700


def test_what_is_done_stays_known_and_loses_its_body(store: Store, clock: ManualClock, arrive: Any) -> None:
    for name in "abc":
        arrive(name, body=b'{"said": "in confidence"}')
    with store.read() as tx:
        first, second, third = inbox.waiting(tx)
    with store.write() as tx:
        inbox.done(tx, [first.id, third.id], clock.now())
    with store.read() as tx:
        assert [row.id for row in inbox.waiting(tx)] == [second.id]
        assert inbox.waiting(tx, after=second.id) == []
        bodies = {row.event_id: row.body for row in tx.connection.execute(schema.inbox.select())}
        assert bodies == {"a": b"", "b": b'{"said": "in confidence"}', "c": b""}
    assert not arrive("a")
    with store.read() as tx:
        heard = inbox.heard(tx)["desk"]
    assert (heard.deliveries, heard.waiting, heard.last_at) == (3, 1, clock.now())


def test_what_is_left_of_a_delivery_is_written_anew(store: Store, arrive: Any) -> None:
    arrive("a", Nudge("tickets", "1"))
    with store.write() as tx:
        (row,) = inbox.waiting(tx)
        inbox.keep(tx, row.id, {"nudges": [], "pressed": []})
    with store.read() as tx:
        assert inbox.waiting(tx)[0].announced == {"nudges": [], "pressed": []}


def test_events_are_forgotten_when_they_are_old_and_done(store: Store, clock: ManualClock, arrive: Any) -> None:
    arrive("done", Nudge("tickets", "1"))
    arrive("open", Nudge("tickets", "2"))
    since = clock.now()
    with store.write() as tx:
        inbox.done(tx, [inbox.waiting(tx)[0].id], clock.now())
    clock.advance(31 * 86_400)
    arrive("young")
    with store.write() as tx:
        assert inbox.forget(tx, clock.now() - timedelta(days=30)) == 1
    assert arrive("done")
    assert not arrive("open")
    with store.read() as tx:
        assert inbox.announced_streams(tx, "desk") == {"tickets": since}


@pytest.mark.parametrize("odd", ["\u00e9v\u00e9nement-\u732b", "a" * 200, "' OR 1=1 --", "%", "_"])
def test_odd_names_are_kept_as_they_are(store: Store, arrive: Any, odd: str) -> None:
    assert arrive(odd, Nudge("tickets", odd))
    assert not arrive(odd, Nudge("tickets", odd))
    with store.read() as tx:
        assert inbox.waiting(tx)[0].announced["nudges"] == [{"stream": "tickets", "key": odd}]


# -- what nobody announced ---------------------------------------------------------------------------------------------


def settled(store: Store, clock: ManualClock, stream: str = "tickets") -> int:
    """Let the time for late webhooks pass, and count what was missed."""
    clock.advance(600)
    with store.write() as tx:
        return inbox.missed(tx, "desk", stream, clock.now() - timedelta(minutes=5))


def doubted(store: Store, clock: ManualClock, *keys: str, stream: str = "tickets") -> int:
    with store.write() as tx:
        return inbox.doubt(tx, "desk", stream, dict.fromkeys(keys, clock.now()))


def test_a_stream_that_was_never_announced_misses_nothing(store: Store, clock: ManualClock, arrive: Any) -> None:
    assert doubted(store, clock, "1", "2") == 0
    arrive("a", Nudge("users", "7"))
    assert doubted(store, clock, "1", "2") == 0
    assert settled(store, clock) == 0


def test_what_changed_before_the_first_webhook_is_passed_over(store: Store, clock: ManualClock, arrive: Any) -> None:
    before = clock.now()
    clock.advance(60)
    arrive("a", Nudge("tickets", "1"))
    with store.write() as tx:
        assert inbox.doubt(tx, "desk", "tickets", {"2": before, "3": clock.now() + SECOND}) == 1
    assert settled(store, clock) == 1


def test_what_was_announced_since_its_change_is_not_missed(store: Store, clock: ManualClock, arrive: Any) -> None:
    arrive("a", Nudge("tickets", "1"))
    clock.advance(60)
    assert doubted(store, clock, "1", "2", "3") == 3, "an old announcement is none of this change"
    arrive("b", Nudge("tickets", "1"))
    arrive("c", Nudge("tickets", "3"), connection="other")
    assert settled(store, clock) == 2
    assert settled(store, clock) == 0, "each is counted once"


def test_a_webhook_that_names_no_entity_announces_all_of_its_stream(
    store: Store, clock: ManualClock, arrive: Any
) -> None:
    arrive("a", Nudge("tickets", "1"))
    clock.advance(60)
    doubted(store, clock, "1", "2")
    arrive("b", Nudge("tickets"))
    assert settled(store, clock) == 0
    assert doubted(store, clock, "5") == 1


def test_what_we_wrote_ourselves_need_not_be_announced(store: Store, clock: ManualClock, arrive: Any) -> None:
    arrive("a", Nudge("tickets", "1"))
    clock.advance(60)
    with store.write() as tx:
        receipts.add(
            tx,
            [
                StoredReceipt(
                    delivery="d", run="r", recipe="x", ref=Ref("desk", "tickets", "1"), role="wrote", at=clock.now()
                )
            ],
        )
    clock.advance(30)
    assert doubted(store, clock, "1", "2") == 1
    clock.advance(60)
    assert doubted(store, clock, "1") == 1, "a later change is somebody else's"
    assert settled(store, clock) == 2


def test_what_is_in_doubt_waits_until_it_is_late(store: Store, clock: ManualClock, arrive: Any) -> None:
    arrive("a", Nudge("tickets", "1"))
    clock.advance(60)
    doubted(store, clock, "2")
    with store.write() as tx:
        assert inbox.missed(tx, "desk", "tickets", clock.now() - timedelta(minutes=5)) == 0
    assert settled(store, clock) == 1


def test_streams_whose_names_begin_alike_are_kept_apart(store: Store, clock: ManualClock, arrive: Any) -> None:
    arrive("a", Nudge("ticket", "1"), Nudge("tickets", "1"))
    clock.advance(60)
    doubted(store, clock, "2", stream="ticket")
    assert settled(store, clock, "tickets") == 0
    assert settled(store, clock, "ticket") == 1
