"""Dead letters by the thousand and one by one: each goes out at most once, in its turn, and looked for where it may be there."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import Blind, Findable, Idempotent, Keyed
from cxbridge.core.engine import mend
from cxbridge.core.engine.mend import CHUNK, Around, Mended
from cxbridge.core.ledger import Delivery, Ref, Run
from cxbridge.core.store import Store, Tx, audit, letters, outbox, runs, schema, state
from cxbridge.core.store.letters import Chosen
from cxbridge.core.store.statements import row_of
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
HOUR = 3600.0
NOTE = """
[run]
key = "account.id"

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ ticket.subject }}" }
"""
WAIT = NOTE.replace("[[step]]", '[[step]]\nid = "pause"\ndo = "wait"\nwith = { for = "2h" }\n\n[[step]]')


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def _fill(tx: Tx, now: datetime, count: int, **more: Any) -> None:
    """Store so many failed runs, each with its dead letter."""
    state.instance_key(tx)
    made, begun = [], []
    for number in range(count):
        subject = Ref("desk", "tickets", f"{number:05}")
        run = Run(
            id=f"run_{number:05}",
            recipe="example" if number % 2 else "other",
            version="1",
            part="steps",
            key=str(subject),
            once=f"{number}",
            subject=subject,
            state="failed",
            reason="step note: was rejected",
            started_at=now,
            ended_at=now,
        )
        begun.append(row_of(run))
        given = {
            "id": f"dlv_{number:05}",
            "run": run.id,
            "recipe": run.recipe,
            "step": "note",
            "connection": "desk",
            "action": "comment.add_once",
            "target": subject,
            "marker": f"cxb:{number:016x}",
            "order_key": str(subject),
            "state": "dead",
            "attempts": 1,
            "not_before": now,
            "sent_at": now,
            "settled_at": now + timedelta(seconds=number),
            "error": "was rejected",
            "error_code": "rejected" if number % 5 else "timeout",
            "created_at": now,
        }
        made.append(Delivery(**{**given, **more}))
    tx.connection.execute(sa.insert(schema.runs), begun)
    outbox.add(tx, made)


def _states(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return Counter(one.state for one in outbox.find(tx, limit=100_000))


def test_ten_thousand_are_queued_in_chunks(store: Store, clock: ManualClock) -> None:
    with store.write() as tx:
        _fill(tx, START, 10_000)
    chunks: list[int] = []
    clock.advance(20_000)
    done = mend.retry(store, Chosen(), clock.now(), "Ada Blum", on_chunk=lambda so_far: chunks.append(so_far.seen))
    assert (done.seen, done.done, done.waiting, done.left) == (10_000, 10_000, 0, {})
    assert chunks == list(range(CHUNK, 10_001, CHUNK)), "one commit each, whatever is interrupted"
    assert _states(store) == {"planned": 10_000}
    with store.read() as tx:
        begun = Counter((one.recipe, one.state) for one in runs.find(tx, limit=20_000))
        assert begun == {("example", "running"): 5_000, ("other", "running"): 5_000}
        assert [one.id for one in outbox.due(tx, "desk", clock.now(), 3)] == ["dlv_00000", "dlv_00001", "dlv_00002"]
        told = audit.find(tx, about="dlv_07777")
        assert [one.what for one in told] == ["dead.retried"]
        assert audit.verify(tx).wrong == ""


def test_whoever_is_interrupted_begins_again_without_harm(store: Store, clock: ManualClock) -> None:
    class Interrupted(BaseException):
        pass

    def stop(so_far: Mended) -> None:
        if so_far.seen == 2 * CHUNK:
            raise Interrupted

    with store.write() as tx:
        _fill(tx, START, 4 * CHUNK)
    clock.advance(20_000)
    with pytest.raises(Interrupted):
        mend.retry(store, Chosen(), clock.now(), on_chunk=stop)
    # What was being decided when it was interrupted was not decided.
    assert _states(store) == {"planned": CHUNK, "dead": 3 * CHUNK}
    assert mend.retry(store, Chosen(), clock.now()).done == 3 * CHUNK
    assert mend.retry(store, Chosen(), clock.now()).seen == 0
    assert mend.drop(store, Chosen(), clock.now()).seen == 0
    assert _states(store) == {"planned": 4 * CHUNK}
    with store.read() as tx:
        assert len(audit.find(tx, limit=10_000)) == 4 * CHUNK


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Chosen(recipe="example"), 50),
        (Chosen(connection="desk"), 100),
        (Chosen(connection="chat"), 0),
        (Chosen(code="timeout"), 20),
        (Chosen(recipe="other", code="timeout"), 10),
        (Chosen(since=START + timedelta(seconds=90)), 10),
        (Chosen(until=START + timedelta(seconds=9)), 10),
    ],
    ids=["recipe", "connection", "another connection", "code", "recipe and code", "since", "until"],
)
def test_only_those_that_are_meant(store: Store, clock: ManualClock, chosen: Chosen, count: int) -> None:
    with store.write() as tx:
        _fill(tx, START, 100)
    with store.read() as tx:
        assert sum(one.n for one in letters.tally(tx, chosen)) == count
        assert len(letters.newest(tx, chosen, 1000)) == count
    assert mend.retry(store, chosen, clock.now()).done == count
    assert _states(store).get("planned", 0) == count


def test_drop_gives_them_up_in_chunks(store: Store, clock: ManualClock) -> None:
    with store.write() as tx:
        _fill(tx, START, 2 * CHUNK + 1)
    clock.advance(20_000)
    assert mend.drop(store, Chosen(), clock.now()).done == 2 * CHUNK + 1
    assert _states(store) == {"cancelled": 2 * CHUNK + 1}
    with store.read() as tx:
        assert {one.state for one in runs.find(tx, limit=100_000)} == {"failed"}


def test_what_is_in_doubt_goes_out_again_only_by_its_id(store: Store, clock: ManualClock) -> None:
    with store.write() as tx:
        _fill(tx, START, 3, state="held", error_code="unknown_outcome", settled_at=None)
    assert mend.retry(store, Chosen(), clock.now()).seen == 0
    assert mend.retry(store, ["dlv_00001", "dlv_00001", "dlv_none"], clock.now()).done == 1
    assert mend.drop(store, Chosen(held=True, code="unknown_outcome"), clock.now()).done == 2
    assert _states(store) == {"planned": 1, "cancelled": 2}


# -- looking first -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "attempts", "code", "first"),
    [
        (Findable(settle=5), 1, "rejected", False),
        (Findable(settle=5), 1, "notfound", False),
        (Findable(settle=5), 0, "unsupported", False),
        (Findable(settle=5), 2, "rejected", True),
        (Findable(settle=5), 8, "timeout", True),
        (Findable(settle=5), 1, "rate_limited", True),
        (Findable(settle=5), 1, "unknown_outcome", True),
        (Keyed(window=7200, settle=5), 2, "server_error", True),
        (Keyed(window=7200, settle=5), 1, "conflict", False),
        (Idempotent(), 8, "server_error", False),
        (Blind(), 8, "timeout", False),
    ],
)
def test_what_may_be_there_is_looked_for_first(
    sqlite_store: Store, tmp_path: Path, clock: ManualClock, effect: Any, attempts: int, code: str, first: bool
) -> None:
    store = sqlite_store
    (tmp_path / "company").mkdir()
    with company(tmp_path / "company", NOTE, clock) as staged:
        connection = staged.bridge.connections["desk"]
        action = connection.actions["comment.add_once"]
        changed = type(action)(action.name, action.stream, action.perform, effect, action.find)
        around = Around({"desk": type(connection)("desk", connection.connector, {}, {action.name: changed})})
        with store.write() as tx:
            _fill(tx, START, 1, attempts=attempts, error_code=code)
        assert mend.retry(store, Chosen(), clock.now() + timedelta(days=1), around=around).done == 1
    assert _states(store) == {"unknown" if first else "planned": 1}


# -- taking turns ------------------------------------------------------------------------------------------------------


def _retry(staged: Company, which: Any = None) -> Mended:
    bridge = staged.bridge
    return mend.retry(
        bridge.store,
        which if which is not None else Chosen(),
        bridge.clock.now(),
        around=Around(bridge.connections, bridge.library.of_run),
    )


def _active(staged: Company) -> list[str]:
    """The runs that have begun and are not over."""
    return [
        run.id
        for run in staged.runs()
        if run.state in ("running", "held") or (run.state == "waiting" and run.wake_at is not None)
    ]


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "over a restart"])
def test_a_run_that_is_retried_waits_for_the_one_that_began_after_it(
    tmp_path: Path, clock: ManualClock, store_url: str, restarted: bool
) -> None:
    with company(tmp_path, WAIT, clock, store={"url": store_url}) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"]
        staged.ticket("1", subject="first")
        staged.cycle()
        staged.later(2 * HOUR)
        staged.ticket("2", subject="second")
        staged.cycle()
        [second] = _active(staged)
        done = _retry(staged)
        assert (done.done, done.waiting) == (0, 1)
        assert _active(staged) == [second]
        assert [run.state for run in staged.runs()] == ["waiting", "waiting"]
        [letter] = staged.deliveries(state="dead")
        assert letters.waits_its_turn(letter)
        again = _retry(staged)
        assert (again.done, again.waiting) == (0, 1), "asking twice is asking once"
        if restarted:
            staged.restart()
        staged.cycle()
        assert staged.notes() == []
        assert _active(staged) == [second]
        staged.later(2 * HOUR)
        for _ in range(3):
            staged.cycle()
        assert staged.notes() == ["second", "first"]
        assert {run.state for run in staged.runs()} == {"done"}


def test_runs_of_one_key_that_are_retried_together_follow_each_other(
    tmp_path: Path, clock: ManualClock, store_url: str
) -> None:
    with company(tmp_path, NOTE, clock, store={"url": store_url}) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"] * 4
        for number in range(4):
            staged.ticket(str(number), subject=str(number))
            staged.cycle()
        assert len(staged.deliveries(state="dead")) == 4
        done = _retry(staged)
        assert (done.done, done.waiting) == (1, 3)
        for _ in range(5):
            assert len(_active(staged)) <= 1
            staged.cycle()
        assert staged.notes() == ["0", "1", "2", "3"]
        assert {run.state for run in staged.runs()} == {"done"}
        assert staged.deliveries(state="dead") == []


def test_who_waits_for_its_turn_may_be_dropped(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, NOTE, clock) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"] * 2
        for number in range(2):
            staged.ticket(str(number), subject=str(number))
            staged.cycle()
        _retry(staged)
        [letter] = staged.deliveries(state="dead")
        assert mend.drop(staged.bridge.store, [letter.id], clock.now()).done == 1
        staged.cycle()
        assert staged.notes() == ["0"]
        assert sorted(run.state for run in staged.runs()) == ["done", "failed"]


def test_who_waits_for_its_turn_and_may_be_there_is_looked_for_first(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, NOTE, clock) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"]
        staged.ticket("1", subject="first")
        staged.cycle()
        staged.vendors.script["comment.add_once"] = ["lost"]
        staged.ticket("2", subject="second")
        staged.cycle()
        [doubtful] = staged.deliveries(state="unknown")
        with staged.bridge.store.write() as tx:
            # As after tries without a clear answer: it was done, and nobody knows.
            _bury(tx, doubtful, clock.now())
        done = _retry(staged)
        assert (done.done, done.waiting) == (1, 1)
        for _ in range(4):
            staged.later(60)
        assert sorted(staged.notes()) == ["first", "second"], "the second was done once, and found"
        assert {run.state for run in staged.runs()} == {"done"}


def _bury(tx: Tx, delivery: Delivery, now: datetime) -> None:
    outbox.update(tx, msgspec.structs.replace(delivery, state="dead", settled_at=now, error_code="unknown_outcome"))
    run = runs.get(tx, delivery.run)
    assert run is not None
    runs.save(tx, msgspec.structs.replace(run, state="failed", ended_at=now))


@pytest.mark.parametrize(
    ("mode", "done", "waiting", "left"), [("parallel", 1, 0, 0), ("restart", 0, 0, 1), ("skip", 0, 1, 0)]
)
def test_the_recipe_says_how_runs_follow_each_other(
    tmp_path: Path, clock: ManualClock, mode: str, done: int, waiting: int, left: int
) -> None:
    with company(tmp_path, WAIT.replace("[run]", f'[run]\nmode = "{mode}"'), clock) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"]
        staged.ticket("1", subject="first")
        staged.cycle()
        staged.later(2 * HOUR)
        staged.ticket("2", subject="second")
        staged.cycle()
        mended = _retry(staged)
        assert (mended.done, mended.waiting, sum(mended.left.values())) == (done, waiting, left)


@pytest.mark.parametrize(
    ("newer", "left"),
    [({"state": "done"}, 1), ({"state": "running"}, 1), ({"state": "failed"}, 0), ({"once": "1~desk/tickets/9@7"}, 0)],
    ids=["done", "under way", "failed as well", "another's"],
)
def test_an_older_value_does_not_overwrite_a_newer_one(
    store: Store, clock: ManualClock, newer: dict[str, Any], left: int
) -> None:
    with store.write() as tx:
        _fill(tx, START, 1)
        first = runs.get(tx, "run_00000")
        assert first is not None
        common = {"part": "sync:status", "key": "desk/tickets/1"}
        old = msgspec.structs.replace(first, id="run_1", once="1~desk/tickets/1@5", **common)
        assert runs.start(tx, old)
        late = {"id": "run_2", "once": "1~desk/tickets/1@7", "state": "done", **common, **newer}
        assert runs.start(tx, msgspec.structs.replace(first, **late))
        delivery = outbox.get(tx, "dlv_00000")
        assert delivery is not None
        outbox.add(tx, [msgspec.structs.replace(delivery, id="dlv_1", run="run_1")])
    done = mend.retry(store, ["dlv_1"], clock.now())
    assert (done.done, done.left) == (
        1 - left,
        {"a newer value of the same field was set since: drop it": 1} if left else {},
    )
