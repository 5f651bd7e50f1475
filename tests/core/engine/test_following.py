"""The next deliveries are marked as sent in the commit that records outcomes, as many as the vendor answers within a moment."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
import sqlalchemy as sa

import cxbridge.core.connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import abreast
from cxbridge.core.engine.abreast import Abreast
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.fresh import Fresh
from cxbridge.core.engine.push import Pusher
from cxbridge.core.engine.pushed import Pushed
from cxbridge.core.engine.tempo import Tempo
from cxbridge.core.engine.turn import Ready, Turn
from cxbridge.core.errors import StoreError
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Delivery
from cxbridge.core.store import Store, audit, outbox, receipts
from tests.core.engine.test_pull_push import Fake, Vendor, due_as_well, pushing


class Crash(BaseException):
    """Stands for the end of the process."""


Begin = Callable[..., tuple[Pusher, Connection, Vendor]]


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="fake", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


@pytest.fixture
def begin(store: Store, clock: ManualClock) -> Begin:
    """Make a pusher to whose vendor some deliveries are due, each to another ticket."""

    def make(
        effect: cx.Effect | None = None, *script: str, deliveries: int = 3, slowly: float = 0.0
    ) -> tuple[Pusher, Connection, Vendor]:
        vendor = Vendor(*script)
        if slowly:
            slow(vendor, clock, slowly)
        pusher, one = pushing(store, clock, vendor, effect or cx.Findable(settle=30))
        due_as_well(store, deliveries)
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


def replaced(pusher: Pusher, one: Connection, vendor: Vendor) -> tuple[Pusher, Connection]:
    """Have the connection perform as the vendor now does."""
    [action] = one.actions.values()
    changed = replace(one, actions={action.name: replace(action, perform=vendor.perform)})
    return pusher, changed


def slow(vendor: Vendor, clock: ManualClock, seconds: float = 0.1) -> None:
    """Have a vendor take its time."""
    perform = vendor.perform

    def later(client: cx.Client, call: cx.Call) -> cx.Receipt:
        clock.advance(seconds)
        return perform(client, call)

    vendor.perform = later  # type: ignore[method-assign, assignment]


def test_of_a_slow_vendor_each_outcome_and_the_next_mark_are_one_commit(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin, commits: list[dict[str, str]]
) -> None:
    pusher, one, vendor = begin(slowly=0.1)
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
    recorded_wholly(store, 3)


def test_of_a_quick_vendor_several_are_marked_and_recorded_in_one_commit(
    store: Store, client: cx.Client, begin: Begin, commits: list[dict[str, str]]
) -> None:
    pusher, one, vendor = begin()
    commits.clear()
    pushed = pusher.push(one, client)
    assert pushed.confirmed == 3
    assert [delivery.state for delivery, _ in pushed.settled] == ["confirmed"] * 3
    assert [" ".join(seen.values()) for seen in commits] == [
        "sent planned planned",
        "confirmed sent sent",
        "confirmed confirmed confirmed",
    ]
    assert len(vendor.done) == 3
    recorded_wholly(store, 3)


def recorded_wholly(store: Store, count: int) -> None:
    with store.read() as tx:
        assert audit.verify(tx).wrong == ""
        assert len(audit.find(tx)) == count
        for number in range(1, count + 1):
            assert len(receipts.of_delivery(tx, f"dlv_{number}")) == 1


@pytest.mark.parametrize("abreast", [1, 3])
def test_no_more_are_marked_than_the_vendor_answers_within_a_moment(
    store: Store, client: cx.Client, begin: Begin, commits: list[dict[str, str]], abreast: int
) -> None:
    pusher, one, vendor = begin(deliveries=100)
    commits.clear()
    assert pusher.push(one, client, abreast=abreast).confirmed == 100
    sent = [sum(state == "sent" for state in seen.values()) for seen in commits]
    assert 16 <= max(sent) <= 32 + 2 * abreast, sent
    assert len(vendor.done) == len(set(vendor.done)) == 100
    recorded_wholly(store, 100)


def test_a_vendor_that_answers_at_once_is_served_by_one_thread(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long this machine takes for one of them.
    monkeypatch.setattr(abreast, "_IDLE", 60.0)
    pusher, one, vendor = begin(deliveries=60)
    threads: set[int] = set()
    perform = vendor.perform

    def noted(client: cx.Client, call: cx.Call) -> cx.Receipt:
        threads.add(threading.get_ident())
        return perform(client, call)

    vendor.perform = noted  # type: ignore[method-assign, assignment]
    pusher, one = replaced(pusher, one, vendor)
    pusher._tempi[one.name] = tempo = Tempo()
    tempo.note(0.001)
    assert pusher.push(one, client, abreast=4).confirmed == 60
    assert threads == {threading.get_ident()}


def test_one_that_becomes_slow_keeps_no_outcome_waiting_beyond_its_own_answer(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin, commits: list[dict[str, str]]
) -> None:
    pusher, one, vendor = begin(deliveries=5)
    perform = vendor.perform

    def third_takes_long(client: cx.Client, call: cx.Call) -> cx.Receipt:
        if len(vendor.done) == 2:
            clock.advance(0.5)
        return perform(client, call)

    vendor.perform = third_takes_long  # type: ignore[method-assign, assignment]
    pusher, one = replaced(pusher, one, vendor)
    commits.clear()
    assert pusher.push(one, client).confirmed == 5
    assert [" ".join(state[0] for state in seen.values()) for seen in commits] == [
        "s p p p p",
        "c s s s s",
        "c c c s s",
        "c c c c c",
    ]


def test_while_one_hangs_what_was_answered_is_recorded_beside_and_the_others_go_on(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin
) -> None:
    pusher, one, vendor = begin(deliveries=6)
    perform, hangs = vendor.perform, threading.Event()
    seen: list[str] = []

    def second_hangs(client: cx.Client, call: cx.Call) -> cx.Receipt:
        receipt = perform(client, call)
        if len(vendor.done) == 2:
            clock.advance(0.5)
            for _ in range(200):
                seen[:] = states(store)
                if seen.count("confirmed") == 5 or hangs.wait(0.05):
                    break
        return receipt

    vendor.perform = second_hangs  # type: ignore[method-assign, assignment]
    pusher, one = replaced(pusher, one, vendor)
    assert pusher.push(one, client, abreast=2).confirmed == 6
    assert seen.count("confirmed") == 5, "they waited for the one that hung"
    assert len(vendor.done) == len(set(vendor.done)) == 6


def test_what_was_marked_long_ago_is_put_back_and_looked_at_anew(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin
) -> None:
    pusher, one, vendor = begin()
    perform = vendor.perform

    def second_takes_long(client: cx.Client, call: cx.Call) -> cx.Receipt:
        if len(vendor.done) == 1:
            clock.advance(30)
            with store.read() as tx:
                third = outbox.get(tx, "dlv_3")
            assert third is not None
            assert (third.state, third.attempts) == ("sent", 1)
        return perform(client, call)

    vendor.perform = second_takes_long  # type: ignore[method-assign, assignment]
    pusher, one = replaced(pusher, one, vendor)
    assert pusher.push(one, client).confirmed == 3
    with store.read() as tx:
        third = outbox.get(tx, "dlv_3")
    assert third is not None
    assert third.attempts == 1
    assert third.sent_at is not None
    assert third.sent_at == clock.now()
    assert len(vendor.done) == 3


def test_what_is_marked_when_the_turn_is_over_is_put_back(store: Store, client: cx.Client, begin: Begin) -> None:
    pusher, one, vendor = begin(deliveries=5)
    stop = threading.Event()
    answered = 0

    def probe(name: str) -> None:
        nonlocal answered
        answered += name == "push.answered"
        if answered == 3:
            stop.set()

    watch(pusher, probe)
    assert pusher.push(one, client, stop).confirmed == 3
    assert states(store) == ["confirmed", "confirmed", "confirmed", "planned", "planned"]
    with store.read() as tx:
        assert [one.attempts for one in sorted(outbox.find(tx), key=lambda one: one.id)] == [1, 1, 1, 0, 0]
    recorded_wholly(store, 3)
    watch(pusher, lambda _: None)
    assert pusher.push(one, client).confirmed == 2
    assert len(vendor.done) == len(set(vendor.done)) == 5


def test_marks_that_cannot_be_taken_back_are_doubts(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher, one, vendor = begin(deliveries=5)
    stop = threading.Event()

    def fails(*_: object) -> None:
        raise StoreError("the disk is full")

    def probe(name: str) -> None:
        if name == "push.answered" and len(vendor.done) == 2:
            stop.set()
            monkeypatch.setattr(outbox, "update_all", fails)

    watch(pusher, probe)
    assert pusher.push(one, client, stop).confirmed == 2
    assert states(store) == ["confirmed", "confirmed", "sent", "sent", "sent"]
    monkeypatch.undo()
    watch(pusher, lambda _: None)
    pusher.push(one, client)
    assert states(store) == ["confirmed", "confirmed", "unknown", "unknown", "unknown"]


def test_one_that_fails_among_several_takes_no_outcome_with_it(store: Store, client: cx.Client, begin: Begin) -> None:
    pusher, one, vendor = begin(None, "ok", "ok", "lost", "ok", deliveries=5)
    assert pusher.push(one, client).confirmed == 4
    assert states(store) == ["confirmed", "confirmed", "unknown", "confirmed", "confirmed"]
    assert len(vendor.done) == 5


@pytest.mark.parametrize("kind", [ZeroDivisionError, StoreError], ids=["defect", "a value that cannot be kept"])
def test_one_whose_outcome_cannot_be_recorded_takes_no_other_with_it(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    pusher, one, vendor = begin(deliveries=5)
    add = receipts.add

    def adds(tx: Any, rows: Any) -> None:
        if any(row.delivery == "dlv_3" for row in rows):
            raise kind("it cannot be kept")
        add(tx, rows)

    monkeypatch.setattr(receipts, "add", adds)
    told: list[str] = []
    pusher.settler = replace(pusher.settler, on_settled=lambda delivery, _: told.append(delivery.id))
    with pytest.raises(kind):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "confirmed", "sent", "confirmed", "confirmed"]
    assert sorted(told) == ["dlv_1", "dlv_2", "dlv_4", "dlv_5"]
    monkeypatch.undo()
    assert pusher.recover() == 1
    assert len(vendor.done) == 5


def test_where_nobody_knows_whether_outcomes_were_stored_none_is_recorded_twice(
    store: Store, client: cx.Client, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher, one, vendor = begin(deliveries=5)
    commit = store._to_write.commit

    def loses_its_answer(connection: sa.Connection) -> None:
        commit(connection)
        if len(vendor.done) == 5:
            raise StoreError("lost the connection")

    monkeypatch.setattr(store._to_write, "commit", loses_its_answer)
    with pytest.raises(StoreError):
        pusher.push(one, client)
    monkeypatch.undo()
    assert states(store) == ["confirmed"] * 5
    recorded_wholly(store, 5)


def test_who_is_told_of_outcomes_and_fails_has_none_recorded_twice(
    store: Store, client: cx.Client, begin: Begin
) -> None:
    pusher, one, _ = begin(deliveries=5)
    told: list[str] = []

    def fails(delivery: Delivery, _: object) -> None:
        told.append(delivery.id)
        if len(told) == 3:
            raise ZeroDivisionError

    pusher.settler = replace(pusher.settler, on_settled=fails)
    with pytest.raises(ZeroDivisionError):
        pusher.push(one, client)
    assert states(store) == ["confirmed"] * 5
    assert told == ["dlv_1", "dlv_2", "dlv_3"]
    recorded_wholly(store, 5)


def test_a_crash_in_the_middle_leaves_as_many_doubts_as_were_marked_and_nothing_is_done_twice(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin
) -> None:
    pusher, one, vendor = begin(deliveries=6)
    answered = 0

    def probe(name: str) -> None:
        nonlocal answered
        answered += name == "push.answered"
        if answered == 3:
            raise Crash

    watch(pusher, probe)
    with pytest.raises(Crash):
        pusher.push(one, client)
    assert states(store) == ["confirmed", *["sent"] * 5]
    assert len(vendor.done) == 3
    watch(pusher, lambda _: None)
    assert pusher.recover() == 5
    for _ in range(6):
        pusher.push(one, client)
        clock.advance(60)
    assert states(store) == ["confirmed"] * 6
    assert len(vendor.done) == len(set(vendor.done)) == 6
    with store.read() as tx:
        assert audit.verify(tx).wrong == ""
        assert [one.what for one in audit.find(tx)].count("write.confirmed") == 6


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


@pytest.mark.parametrize(("effect", "state"), [(cx.Blind(), "confirmed"), (cx.Findable(settle=30), "sent")])
def test_an_outcome_that_nobody_could_look_up_is_recorded_at_once_whatever_is_marked(
    store: Store, client: cx.Client, begin: Begin, effect: cx.Effect, state: str
) -> None:
    pusher, one, _ = begin(effect)
    with store.read() as tx:
        first = outbox.get(tx, "dlv_1")
    assert first is not None
    turn = Turn(one, client, Tempo(), Fresh(one, client, pusher.clock))
    # As when another thread has just marked one.
    turn.begun["dlv_3"] = cast("Ready", None)
    crew = Abreast("fake", 2, lambda _: [], lambda *_: None, lambda: False)
    pusher._deliver(turn, crew, first, Pushed())
    assert states(store) == [state, "planned", "planned"]


def test_a_crash_after_the_commit_leaves_doubts_that_are_looked_up(
    store: Store, client: cx.Client, clock: ManualClock, begin: Begin
) -> None:
    pusher, one, vendor = begin()

    def probe(name: str) -> None:
        if name == "push.settled":
            raise Crash

    watch(pusher, probe)
    with pytest.raises(Crash):
        pusher.push(one, client)
    assert states(store) == ["confirmed", "sent", "sent"]
    watch(pusher, lambda _: None)
    assert pusher.recover() == 2
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

    def claims(tx: Any, some: Any) -> set[str]:
        if any(sent.id == "dlv_2" for sent, _ in some):
            raise ZeroDivisionError
        return claim(tx, some)

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
