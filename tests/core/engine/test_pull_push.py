"""Pull and push against a connector made for the purpose: commits, reading ahead, effect classes, refusals."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import failing, guard
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.pull import pull
from cxbridge.core.engine.push import Pusher
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import PluginError
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Delivery, Ref, Run
from cxbridge.core.store import Store, checkpoints, outbox, records, runs, state

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)


class Fake(cx.Connector):
    """A vendor without a wire."""

    name = "fake"

    def endpoint(self) -> cx.Endpoint:
        return cx.Endpoint("https://fake.test")


def entity(number: int, subject: str = "one") -> cx.Ticket:
    return cx.Ticket(source_id=str(number), subject=subject, updated_at=START)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/t.db", clock=clock)
    yield opened
    opened.close()


def connection(*, streams: tuple[cx.Stream, ...] = (), actions: tuple[cx.Action, ...] = ()) -> Connection:
    return Connection("fake", Fake(), {s.name: s for s in streams}, {a.name: a for a in actions})


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="fake", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


# -- pull --------------------------------------------------------------------------------------------------------------


def stream(pages: Callable[[cx.Client, Any], Iterator[cx.Page]]) -> cx.Stream:
    return cx.Stream("tickets", (cx.Ticket,), pages=pages)


def test_between_two_pages_others_may_compute(
    store: Store, client: cx.Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Offered:
        def offer(self) -> None:
            with store.read() as tx:
                seen.append(records.count(tx)["fake", "tickets"])

    monkeypatch.setattr("cxbridge.core.engine.pull.BATON", Offered())
    one = connection(
        streams=(stream(lambda _client, _cursor: iter([cx.Page([entity(n)], cursor=n) for n in range(3)])),)
    )
    pull(store, one, one.streams["tickets"], client, clock)
    assert seen == [1, 2, 3], "each when its page was committed"


def test_every_page_is_one_commit_with_its_cursor(store: Store, client: cx.Client, clock: ManualClock) -> None:
    def pages(_: cx.Client, cursor: Any) -> Iterator[cx.Page]:
        for number in range(int(cursor or 0), 3):
            yield cx.Page([entity(number)], cursor=number + 1)
        raise cx.Retryable("gone for lunch", sent=False)

    one = connection(streams=(stream(pages),))
    with pytest.raises(cx.Retryable):
        pull(store, one, one.streams["tickets"], client, clock)
    with store.read() as tx:
        assert records.count(tx) == {("fake", "tickets"): 3}
        found = checkpoints.get(tx, "fake", "tickets")
    assert found is not None
    assert found.cursor == 3


def test_a_page_in_parts_is_one_commit_with_the_cursor_of_its_end(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    broken = True

    def pages(_: cx.Client, cursor: Any) -> Iterator[cx.Page]:
        for first in range(int(cursor or 0), 9, 3):
            people = {"users": [cx.Agent(source_id=str(first), name="Jo")]}
            yield cx.Page([entity(first)], cursor=first or None, raw=[b"raw"], deleted=["x"], refused=["a"], more=True)
            yield cx.Page([], cursor=first or None, more=True)
            if broken and first == 6:
                raise cx.Retryable("gone for lunch", sent=False)
            yield cx.Page([entity(first + 1), entity(first + 2)], cursor=first + 3, refused=["b"], beside=people)

    hooks: list[str] = []
    one = connection(streams=(stream(pages),))
    with pytest.raises(cx.Retryable):
        pull(store, one, one.streams["tickets"], client, clock, probe=hooks.append)
    # Of the page that broke off nothing is stored, and it is asked for again.
    assert hooks == ["pull.fetched", "pull.stored", "pull.committed"] * 2
    with store.read() as tx:
        assert records.count(tx) == {("fake", "tickets"): 6, ("fake", "users"): 2}
        assert [records.raw(tx, Ref("fake", "tickets", key)) for key in "0134"] == [b"raw", None, b"raw", None]
        found = checkpoints.get(tx, "fake", "tickets")
    assert found is not None
    assert (found.cursor, found.pages) == (6, 2)
    broken = False
    told = pull(store, one, one.streams["tickets"], client, clock)
    assert (told.pages, told.created, told.refused) == (1, 4, 2)


@pytest.mark.parametrize("order", ["changed", "scan"])
def test_a_stream_without_anything_in_it_counts_as_read(
    store: Store, client: cx.Client, clock: ManualClock, order: Any
) -> None:
    shown: list[cx.Page] = []
    there = connection(streams=(cx.Stream("tickets", (cx.Ticket,), lambda _client, _cursor: iter(shown), order=order),))
    for _ in range(2):
        clock.advance(60)
        pull(store, there, there.streams["tickets"], client, clock)
        with store.read() as tx:
            [kept] = checkpoints.find(tx)
        assert (kept.cursor, kept.pages, kept.caught_up) == (None, 0, clock.now())
    shown.append(cx.Page([entity(1)], cursor={"n": 1}))
    assert pull(store, there, there.streams["tickets"], client, clock).created == 1


def test_a_crash_before_the_commit_leaves_neither_records_nor_cursor(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    class Killed(BaseException):
        pass

    def pages(_: cx.Client, cursor: Any) -> Iterator[cx.Page]:
        yield cx.Page([entity(1)], cursor=1)

    def probe(boundary: str) -> None:
        if boundary == "pull.stored":
            raise Killed

    one = connection(streams=(stream(pages),))
    with pytest.raises(Killed):
        pull(store, one, one.streams["tickets"], client, clock, probe=probe)
    with store.read() as tx:
        assert records.count(tx) == {}
        assert checkpoints.get(tx, "fake", "tickets") is None


def test_what_a_plugin_raises_by_mistake_names_the_plugin(store: Store, client: cx.Client, clock: ManualClock) -> None:
    def pages(_: cx.Client, cursor: Any) -> Iterator[cx.Page]:
        yield cx.Page([entity(1)], cursor=1)
        raise KeyError("a customer's secret word")

    one = connection(streams=(stream(pages),))
    with pytest.raises(PluginError, match="stream tickets of fake broke") as caught:
        pull(store, one, one.streams["tickets"], client, clock)
    assert "secret word" not in str(caught.value)
    with store.read() as tx:
        assert records.count(tx) == {("fake", "tickets"): 1}


# -- push --------------------------------------------------------------------------------------------------------------


class Vendor:
    """Does what is asked, and answers as the script says: `ok`, `lost` (done, no answer), `never` (not done, no answer)."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.done: list[str] = []
        self.looked = 0

    def perform(self, _: cx.Client, call: cx.Call) -> cx.Receipt:
        how = self.script.pop(0) if self.script else "ok"
        if how != "never":
            self.done.append(call.marker)
        if how == "defect":
            raise KeyError("a customer's secret word")
        if how != "ok":
            raise cx.Retryable("no answer", sent=True)
        return cx.Receipt("tickets", "1", source_key="T-1")

    def find(self, _: cx.Client, call: cx.Call) -> cx.Receipt | None:
        self.looked += 1
        return cx.Receipt("tickets", "1", source_key="T-1") if call.marker in self.done else None


def pushing(store: Store, clock: ManualClock, vendor: Vendor, effect: cx.Effect) -> tuple[Pusher, Connection]:
    find = vendor.find if isinstance(effect, cx.Findable | cx.Keyed) else None
    action = cx.Action("comment.add_once", "tickets", vendor.perform, effect, find)
    one = connection(actions=(action,))
    ref = Ref("fake", "tickets", "1")
    run = Run(id="run_1", recipe="r", version="v", part="steps", key="k", once="o", subject=ref, started_at=START)
    delivery = Delivery(
        id="dlv_1",
        run="run_1",
        recipe="r",
        step="note",
        connection="fake",
        action="comment.add_once",
        target=ref,
        inputs={"visibility": "internal", "body": "hello"},
        marker="cxb:0123456789abcdef",
        order_key=str(ref),
        not_before=START,
        created_at=START,
    )
    with store.write() as tx:
        runs.start(tx, run)
        outbox.add(tx, [delivery])
    return Pusher(store, Stepper({"fake": one}, b"key"), clock, lambda _: None), one


def due_as_well(store: Store, deliveries: int) -> None:
    """Make so many deliveries due in all, each to another ticket."""
    with store.write() as tx:
        first = outbox.get(tx, "dlv_1")
        assert first is not None
        more = []
        for number in range(2, deliveries + 1):
            ref = Ref("fake", "tickets", str(number))
            name, marker = f"dlv_{number}", f"cxb:{number:016}"
            more.append(msgspec.structs.replace(first, id=name, target=ref, order_key=str(ref), marker=marker))
        outbox.add(tx, more)


def play(pusher: Pusher, one: Connection, client: cx.Client, clock: ManualClock, rounds: int = 12) -> Delivery:
    for _ in range(rounds):
        pusher.push(one, client)
        clock.advance(60)
    with pusher.store.read() as tx:
        found = outbox.get(tx, "dlv_1")
    assert found is not None
    return found


def test_what_was_called_off_while_its_turn_came_is_not_sent(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    vendor = Vendor()
    pusher, one = pushing(store, clock, vendor, cx.Idempotent())

    def probe(reached: str) -> None:
        if reached == "push.claimed":
            with store.write() as tx:
                found = outbox.get(tx, "dlv_1")
                assert found is not None
                outbox.update(tx, msgspec.structs.replace(found, state="cancelled"))

    pusher.probe = probe
    assert play(pusher, one, client, clock).state == "cancelled"
    assert vendor.done == []


def test_what_waits_for_the_same_is_put_off_together_and_keeps_no_others(
    store: Store, client: cx.Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Vendor()
    pusher, one = pushing(store, clock, vendor, cx.Idempotent())
    with store.write() as tx:
        first, run = outbox.get(tx, "dlv_1"), runs.get(tx, "run_1")
        assert first is not None
        assert run is not None
        runs.start(tx, msgspec.structs.replace(run, id="run_2", recipe="other"))
        runs.start(tx, msgspec.structs.replace(run, id="run_3", once="3"))
        more = []
        for number in range(2, 130):
            ref = Ref("fake", "tickets", str(number))
            of = {"run": "run_2", "recipe": "other"} if number == 100 else {}
            ident, marker = f"dlv_{number}", f"cxb:{number:016}"
            one_more = msgspec.structs.replace(first, id=ident, target=ref, order_key=str(ref), marker=marker, **of)
            # What tells of a failure goes out all the same.
            notice = msgspec.structs.replace(one_more, run="run_3", step=failing.STEP)
            more.append(notice if number == 120 else one_more)
        outbox.add(tx, more)
    commits: list[object] = []
    commit = store._to_write.commit

    def counted(connection: Any) -> None:
        commits.append(connection)
        commit(connection)

    monkeypatch.setattr(store._to_write, "commit", counted)
    monkeypatch.setattr(guard, "must_wait", lambda *_: "the hour is full")
    pusher.settler = replace(pusher.settler, recipe_of=lambda _: None)
    recipe: Any = object()
    pusher.claims = replace(pusher.claims, recipe_of=lambda run: recipe if run.id == "run_1" else None)
    pushed = pusher.push(one, client)
    assert (pushed.retried, pushed.confirmed) == (127, 2)
    assert pushed.next_at == clock.now() + timedelta(minutes=1)
    assert len(commits) < 10
    with store.read() as tx:
        left = outbox.find(tx, state="retry", limit=500)
    assert {(one.recipe, one.not_before, one.attempts, one.error) for one in left} == {
        ("r", clock.now() + timedelta(minutes=1), 0, "the hour is full")
    }


@pytest.mark.parametrize("lost", ["lost", "defect"])
def test_findable_is_found_again_and_not_repeated(
    store: Store, client: cx.Client, clock: ManualClock, lost: str
) -> None:
    vendor = Vendor(lost)
    pusher, one = pushing(store, clock, vendor, cx.Findable(settle=30))
    assert play(pusher, one, client, clock).state == "confirmed"
    assert len(vendor.done) == 1


def test_findable_is_looked_for_twice_a_settle_apart_before_it_is_sent_again(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    vendor = Vendor("never")
    pusher, one = pushing(store, clock, vendor, cx.Findable(settle=30))
    pusher.push(one, client)
    assert vendor.looked == 0
    clock.advance(29)
    pusher.push(one, client)
    assert vendor.looked == 0, "the vendor was given no time to show it"
    clock.advance(2)
    pusher.push(one, client)
    assert (vendor.looked, vendor.done) == (1, [])
    clock.advance(31)
    pusher.push(one, client)
    assert (vendor.looked, len(vendor.done)) == (2, 1)
    assert play(pusher, one, client, clock, 1).state == "confirmed"


def test_idempotent_is_sent_again(store: Store, client: cx.Client, clock: ManualClock) -> None:
    vendor = Vendor("lost", "never", "ok")
    pusher, one = pushing(store, clock, vendor, cx.Idempotent())
    assert play(pusher, one, client, clock).state == "confirmed"


def test_keyed_is_sent_again_inside_half_its_window_and_looked_for_afterwards(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    vendor = Vendor("lost")
    pusher, one = pushing(store, clock, vendor, cx.Keyed(window=7200, settle=5))
    pusher.push(one, client)
    clock.advance(3599)
    pusher.push(one, client)
    assert (len(vendor.done), vendor.looked) == (2, 0), "the same key again: the vendor drops it"

    late = Vendor("lost")
    other = Store.open(f"sqlite:///{store.path}.2", clock=clock)
    pusher, one = pushing(other, clock, late, cx.Keyed(window=7200, settle=5))
    pusher.push(one, client)
    clock.advance(3601)
    pusher.push(one, client)
    assert (len(late.done), late.looked) == (1, 1)
    other.close()


def test_blind_is_done_at_most_once_and_a_person_is_asked(store: Store, client: cx.Client, clock: ManualClock) -> None:
    vendor = Vendor("lost")
    pusher, one = pushing(store, clock, vendor, cx.Blind())
    found = play(pusher, one, client, clock)
    assert (found.state, found.error_code) == ("held", "unknown_outcome")
    assert len(vendor.done) == 1


def test_a_defect_in_a_connector_is_named_without_what_it_carried(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    pusher, one = pushing(store, clock, Vendor("defect"), cx.Blind())
    pusher.push(one, client)
    with store.read() as tx:
        found = outbox.get(tx, "dlv_1")
    assert found is not None
    assert found.state == "unknown"
    assert "KeyError" in found.error
    assert "secret word" not in found.error


def test_what_was_under_way_when_the_process_ended_is_in_doubt(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    vendor = Vendor()
    pusher, one = pushing(store, clock, vendor, cx.Findable(settle=30))
    with store.write() as tx:
        found = outbox.get(tx, "dlv_1")
        assert found is not None
        outbox.update(tx, msgspec.structs.replace(found, state="sent", sent_at=START))
    vendor.done.append(found.marker)
    assert pusher.recover() == 1
    assert play(pusher, one, client, clock).state == "confirmed"
    assert len(vendor.done) == 1


def test_tries_are_counted_and_backed_off_then_it_is_a_dead_letter(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    class Refusing(Vendor):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[datetime] = []

        def perform(self, _: cx.Client, call: cx.Call) -> cx.Receipt:
            self.times.append(clock.now())
            raise cx.Retryable("busy", status=503, sent=False)

    vendor = Refusing()
    pusher, one = pushing(store, clock, vendor, cx.Idempotent())
    for _ in range(24 * 60):
        pusher.push(one, client)
        clock.advance(60)
    with store.read() as tx:
        found = outbox.get(tx, "dlv_1")
    assert found is not None
    assert (found.state, len(vendor.times)) == ("dead", 8)
    gaps = [later - earlier for earlier, later in zip(vendor.times, vendor.times[1:], strict=False)]
    assert gaps[-1] > gaps[0]
    assert gaps[-1] > timedelta(minutes=5)


def test_a_refused_credential_pauses_the_connection_and_burns_no_try(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    class Locked(Vendor):
        calls = 0

        def perform(self, _: cx.Client, call: cx.Call) -> cx.Receipt:
            self.calls += 1
            raise cx.Unauthorized("token expired")

    vendor = Locked()
    pusher, one = pushing(store, clock, vendor, cx.Idempotent())
    found = play(pusher, one, client, clock)
    assert (found.state, vendor.calls) == ("planned", 1)
    with store.read() as tx:
        assert "token expired" in state.pauses(tx)["fake"].reason


@pytest.mark.parametrize("effect", [cx.Idempotent(), cx.Findable(settle=5), cx.Keyed(window=60, settle=5)])
def test_a_write_that_never_gets_an_answer_is_given_up_after_its_tries(
    store: Store, client: cx.Client, clock: ManualClock, effect: cx.Effect
) -> None:
    vendor = Vendor(*["never"] * 100)
    pusher, one = pushing(store, clock, vendor, effect)
    for _ in range(24 * 60):
        pusher.push(one, client)
        clock.advance(60)
    with store.read() as tx:
        found = outbox.get(tx, "dlv_1")
    assert found is not None
    assert (found.state, found.attempts) == ("dead", 8)
    assert "8 tries" in found.error
