"""Working off what webhooks brought: what is pulled, what is read, when a delivery is done, and what people answered."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import structlog.testing

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import inbox as engine_inbox
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.inbox import APART, PAUSES, Asked, Work
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, Tx, inbox, planning
from cxbridge.core.store.inbox import Arrival


class Fake(cx.Connector):
    """A vendor without a wire."""

    name = "fake"

    def endpoint(self) -> cx.Endpoint:
        return cx.Endpoint("https://fake.test")


def nothing(client: cx.Client, cursor: Any) -> Iterator[cx.Page]:
    yield cx.Page([], cursor=None)


def shown(client: cx.Client, key: str) -> cx.Page | None:
    return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)


STREAMS = (
    cx.Stream("tickets", (cx.Ticket,), nothing, one=shown),
    cx.Stream("users", (cx.Contact,), nothing),
    cx.Stream("people", (cx.Contact,), filled_by="tickets"),
    cx.Stream("gone", (cx.Contact,), filled_by="nowhere"),
)


def connection(*streams: cx.Stream) -> Connection:
    return Connection("desk", Fake(), {one.name: one for one in streams or STREAMS}, {})


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def work(store: Store, clock: ManualClock) -> Work:
    return Work(store, {"desk": connection()}, clock)


Arrive = Callable[..., None]


@pytest.fixture
def arrive(store: Store, clock: ManualClock) -> Arrive:
    numbers = iter(range(10_000))

    def run(*nudges: cx.Nudge, pressed: Sequence[cx.Pressed] = (), name: str = "desk") -> None:
        one = Arrival(
            connection=name,
            event_id=str(next(numbers)),
            received_at=clock.now(),
            announced=msgspec.Raw(msgspec.json.encode(Asked(nudges, pressed))),
            nudges=nudges,
            body=b"{}",
        )
        with store.write() as tx:
            inbox.add(tx, [one])

    return run


def left(store: Store) -> int:
    with store.read() as tx:
        return len(inbox.waiting(tx))


@pytest.mark.parametrize(
    ("nudge", "job"),
    [
        (cx.Nudge("tickets", "1"), "read:desk/tickets"),
        (cx.Nudge("tickets"), "pull:desk/tickets"),
        (cx.Nudge("users", "7"), "pull:desk/users"),
        (cx.Nudge("people", "7"), "pull:desk/tickets"),
        (cx.Nudge("gone"), None),
        (cx.Nudge("nowhere"), None),
    ],
)
def test_a_nudge_becomes_the_job_that_can_do_it(
    work: Work, store: Store, arrive: Arrive, nudge: cx.Nudge, job: str | None
) -> None:
    arrive(nudge)
    assert work.take("desk").jobs == ({job} if job else set())
    assert left(store) == (1 if job else 0), "what nobody can do here is done"


def test_a_delivery_is_done_when_everything_it_named_was_read(work: Work, store: Store, arrive: Arrive) -> None:
    arrive(cx.Nudge("tickets", "1"), cx.Nudge("tickets", "2"), cx.Nudge("users"))
    assert work.take("desk").jobs == {"read:desk/tickets", "pull:desk/users"}
    for key in work.due("desk", "tickets"):
        work.was_read("desk", "tickets", {key: work.waits_for("desk", "tickets", key)})
        assert left(store) == 1
    work.pulled("desk", "users", work.begin("desk", "users"))
    assert left(store) == 0
    assert work.take("desk").jobs == frozenset()


def test_a_delivery_that_waits_for_nothing_else_is_done_in_the_commit_that_stores_what_it_named(
    work: Work, store: Store, arrive: Arrive
) -> None:
    arrive(cx.Nudge("tickets", "1"))
    arrive(cx.Nudge("tickets", "1"), cx.Nudge("tickets", "2"))
    arrive(cx.Nudge("tickets", "2"), cx.Nudge("users"))
    work.take("desk")
    waiting = {key: work.waits_for("desk", "tickets", key) for key in work.due("desk", "tickets")}

    def fail() -> None:
        with store.write() as tx:
            assert len(work.mark(tx, waiting.values())) == 2
            raise RuntimeError("and the commit failed")

    with pytest.raises(RuntimeError, match="commit failed"):
        fail()
    assert left(store) == 3
    with store.write() as tx:
        assert len(work.mark(tx, [waiting["1"]])) == 1, "one names another entity, which was not read with it"
    assert left(store) == 2
    with store.write() as tx:
        marked = work.mark(tx, waiting.values())
    assert left(store) == 1
    work.was_read("desk", "tickets", waiting, marked)
    assert not work.due("desk", "tickets")
    work.pulled("desk", "users", work.begin("desk", "users"))
    assert left(store) == 0


def test_a_delivery_that_was_over_otherwise_while_its_entity_was_stored_is_done_all_the_same(
    work: Work, store: Store, arrive: Arrive
) -> None:
    arrive(cx.Nudge("tickets", "1"), cx.Nudge("users"))
    work.take("desk")
    waiting = {"1": work.waits_for("desk", "tickets", "1")}
    with store.write() as tx:
        marked = work.mark(tx, waiting.values())
    assert marked == []
    # A pull comes to its end between that commit and the word of it.
    work.pulled("desk", "users", work.begin("desk", "users"))
    assert left(store) == 1
    work.was_read("desk", "tickets", waiting, marked)
    assert left(store) == 0


def test_many_deliveries_about_one_entity_are_one_read(work: Work, store: Store, arrive: Arrive) -> None:
    for _ in range(700):
        arrive(cx.Nudge("tickets", "1"))
    work.take("desk")
    assert work.due("desk", "tickets") == ["1"]
    work.was_read("desk", "tickets", {"1": work.waits_for("desk", "tickets", "1")})
    assert left(store) == 0


def test_what_comes_during_a_read_or_a_pull_waits_for_the_next(work: Work, store: Store, arrive: Arrive) -> None:
    arrive(cx.Nudge("tickets", "1"))
    arrive(cx.Nudge("users"))
    work.take("desk")
    reading, pulling = work.waits_for("desk", "tickets", "1"), work.begin("desk", "users")
    arrive(cx.Nudge("tickets", "1"))
    arrive(cx.Nudge("users"))
    work.take("desk")
    work.was_read("desk", "tickets", {"1": reading})
    work.pulled("desk", "users", pulling)
    assert left(store) == 2
    assert work.due("desk", "tickets") == ["1"]
    assert work.pull_at("desk", "users") is not None


def test_pulls_that_webhooks_cause_keep_their_distance(work: Work, clock: ManualClock, arrive: Arrive) -> None:
    assert work.pull_at("desk", "users") is None
    arrive(cx.Nudge("users"))
    work.take("desk")
    assert work.pull_at("desk", "users") == clock.now()
    work.pulled("desk", "users", work.begin("desk", "users"))
    assert work.pull_at("desk", "users") is None
    arrive(cx.Nudge("users"))
    work.take("desk")
    assert work.pull_at("desk", "users") == clock.now() + APART
    clock.advance(60)
    assert work.pull_at("desk", "users") == clock.now()


def test_a_new_announcement_of_what_is_not_shown_begins_its_pauses_anew(
    work: Work, clock: ManualClock, arrive: Arrive
) -> None:
    arrive(cx.Nudge("tickets", "1"))
    work.take("desk")
    for pause in PAUSES[:3]:
        assert not work.was_not_shown("desk", "tickets", "1", work.waits_for("desk", "tickets", "1"))
        assert work.next_due("desk", "tickets") == clock.now() + timedelta(seconds=pause)
    assert work.due("desk", "tickets") == []
    arrive(cx.Nudge("tickets", "1"))
    work.take("desk")
    assert work.due("desk", "tickets") == ["1"]
    assert not work.was_not_shown("desk", "tickets", "1", work.waits_for("desk", "tickets", "1"))
    assert work.next_due("desk", "tickets") == clock.now() + timedelta(seconds=PAUSES[0])


def test_what_a_process_left_open_the_next_one_takes_up(
    work: Work, store: Store, clock: ManualClock, arrive: Arrive
) -> None:
    arrive(cx.Nudge("tickets", "1"))
    arrive(cx.Nudge("users"))
    first = work.take("desk").jobs
    assert Work(store, {"desk": connection()}, clock).take("desk").jobs == first


def test_a_connection_that_is_no_longer_configured_leaves_nothing_open(
    work: Work, store: Store, arrive: Arrive
) -> None:
    arrive(cx.Nudge("tickets", "1"), name="removed")
    arrive(pressed=[cx.Pressed("a", "approve", "users/7")], name="removed")
    assert work.take("desk").jobs == frozenset()
    work.close_others()
    assert left(store) == 0


def test_what_another_version_wrote_leaves_nothing_open(work: Work, store: Store, clock: ManualClock) -> None:
    one = Arrival(
        connection="desk", event_id="a", received_at=clock.now(), announced=msgspec.Raw(b'{"nudges": {"new": "form"}}')
    )
    with store.write() as tx:
        inbox.add(tx, [one])
    assert work.take("desk").jobs == frozenset()
    assert left(store) == 0


def test_old_events_are_forgotten_about_once_an_hour(
    work: Work, store: Store, clock: ManualClock, arrive: Arrive
) -> None:
    keep = timedelta(days=30)
    arrive(cx.Nudge("nowhere"))
    work.take("desk")
    assert work.forget(keep) == 0
    clock.advance(keep.total_seconds() - 60)
    assert work.forget(keep) == 0
    clock.advance(120)
    assert work.forget(keep) == 0, "not so soon again"
    clock.advance(3600)
    assert work.forget(keep) == 1


# -- answers of people -------------------------------------------------------------------------------------------------

PRESSED = cx.Pressed("approval-1", "approve", "users/7", "Mia", {"reason": "known"})


def test_an_answer_is_handed_on_once_and_its_row_is_done(
    work: Work, store: Store, clock: ManualClock, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[Any] = []
    monkeypatch.setattr(engine_inbox, "on_pressed", lambda tx, *told: answered.append(told))
    arrive(pressed=[PRESSED])
    arrive(cx.Nudge("tickets", "1"), pressed=[PRESSED])
    taken = work.take("desk")
    assert (set(taken.jobs), taken.answered) == ({"read:desk/tickets"}, 2)
    assert answered == [("desk", PRESSED, clock.now())] * 2
    assert left(store) == 1
    # The nudge is taken up again after a restart, the answer is not.
    assert Work(store, {"desk": connection()}, clock).take("desk").answered == 0


def test_an_answer_that_breaks_us_keeps_no_other_waiting_and_is_not_lost(
    work: Work, store: Store, clock: ManualClock, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(tx: Tx, *told: Any) -> None:
        planning.tally(tx, "x", "half", at=clock.now())
        raise ValueError("a defect")

    monkeypatch.setattr(engine_inbox, "on_pressed", broken)
    arrive(pressed=[PRESSED])
    arrive(cx.Nudge("tickets", "1"))
    with structlog.testing.capture_logs() as logged:
        assert work.take("desk").jobs == {"read:desk/tickets"}
    assert [one["event"] for one in logged] == ["inbox.answer_failed"]
    assert left(store) == 2
    with store.read() as tx:
        assert planning.tallies(tx, "x") == {}, "nothing of it was stored"
    monkeypatch.setattr(engine_inbox, "on_pressed", lambda *told: None)
    assert Work(store, {"desk": connection()}, clock).take("desk").answered == 1


def test_a_store_that_is_locked_leaves_the_answer_for_the_next_time(
    work: Work, store: Store, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*told: Any) -> None:
        raise StoreError("the store is locked")

    arrive(pressed=[PRESSED])
    with monkeypatch.context() as patched:
        patched.setattr(engine_inbox, "on_pressed", locked)
        with pytest.raises(StoreError):
            work.take("desk")
    monkeypatch.setattr(engine_inbox, "on_pressed", lambda *told: None)
    assert work.take("desk").answered == 1
    assert left(store) == 0


def test_an_answer_to_a_question_nobody_asked_changes_nothing(work: Work, store: Store, arrive: Arrive) -> None:
    arrive(pressed=[PRESSED])
    with structlog.testing.capture_logs() as logged:
        work.take("desk")
    assert [one["event"] for one in logged] == ["approval.unheeded"]
    assert left(store) == 0
