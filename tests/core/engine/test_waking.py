"""Runs that wait for a time: over restarts, behind a pause, with what is true when they go on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import guard
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.engine.mend import drop_deliveries
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.store import runs, state
from tests.core.engine.little_company import HEAD, Company, company

NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ ticket.subject }}, after {{ pause.until | date('%H:%M') }}" }
"""
WAIT = '\n[[step]]\nid = "pause"\ndo = "wait"\nwith = { for = "2h" }\n' + NOTE
START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
HOUR = 3600.0
Open = Callable[..., AbstractContextManager[Company]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def waiting(tmp_path: Path, clock: ManualClock, store_url: str) -> Iterator[Company]:
    with company(tmp_path, WAIT, clock, store={"url": store_url}) as staged:
        staged.ticket()
        staged.cycle(0)
        yield staged


def test_a_run_waits_its_time_and_then_goes_on(waiting: Company) -> None:
    run = waiting.run()
    assert (run.state, run.wake_at) == ("waiting", START + timedelta(hours=2))
    assert run.reason == "pause: waits until 2026-05-06 10:00Z"
    waiting.later(2 * HOUR - 2)
    assert waiting.notes() == []
    waiting.later(2)
    assert waiting.notes() == ["Export stops, after 10:00"]
    run = waiting.run()
    assert (run.state, run.wake_at, run.reason) == ("done", None, "")
    assert run.results["pause"] == {"until": "2026-05-06T10:00:00Z", "told": "waited until 2026-05-06 10:00Z"}


def test_waiting_outlives_the_process(waiting: Company) -> None:
    waiting.restart()
    waiting.later(HOUR)
    assert waiting.notes() == []
    waiting.restart()
    waiting.later(HOUR)
    waiting.restart()
    waiting.cycle()
    assert len(waiting.notes()) == 1


def test_what_is_true_when_it_goes_on_is_what_counts(tmp_path: Path, clock: ManualClock) -> None:
    conditional = WAIT.replace('id = "note"', 'id = "note"\nif = "ticket.status_category != \'resolved\'"')
    with company(tmp_path, conditional + '\n[run]\nonce_per = "ticket.id"\n', clock) as staged:
        staged.ticket("1", status_category="open")
        staged.ticket("2", status_category="open")
        staged.cycle()
        staged.ticket("1", status_category="resolved")
        staged.ticket("2", status_category="open", subject="Export still stops")
        staged.later(3 * HOUR)
        assert staged.notes() == ["Export still stops, after 10:00"]
        assert {run.state for run in staged.runs()} == {"done"}


def test_a_paused_or_stopped_recipe_does_not_wake(waiting: Company) -> None:
    recipe = waiting.bridge.recipe("example")
    with waiting.bridge.store.write() as tx:
        guard.halt_in(tx, recipe, "somebody stopped it", waiting.clock.now())
    waiting.later(3 * HOUR)
    assert waiting.run().state == "waiting"
    with waiting.bridge.store.write() as tx:
        state.resume(tx, guard.name(recipe))
    waiting.write({"example": HEAD.replace('stage = "live"', 'stage = "paused"') + WAIT})
    waiting.later(3 * HOUR)
    assert (waiting.run().state, waiting.notes()) == ("waiting", [])
    waiting.write({"example": HEAD + WAIT + "\n# back again\n"})
    waiting.later(60)
    assert len(waiting.notes()) == 1


@pytest.mark.parametrize("boundary", ["wake.moved", "wake.committed"])
def test_killed_while_waking_it_is_done_once(waiting: Company, boundary: str) -> None:
    class Killed(BaseException):
        pass

    def probe(reached: str) -> None:
        if reached == boundary:
            raise Killed

    waiting.restart(probe)
    waiting.clock.advance(2 * HOUR)
    with pytest.raises(Killed):
        waiting.bridge.wake()
    waiting.restart()
    for _ in range(3):
        waiting.cycle()
    assert len(waiting.notes()) == 1
    assert waiting.run().state == "done"


def test_until_a_time_that_a_record_names(tmp_path: Path, clock: ManualClock) -> None:
    until = WAIT.replace('for = "2h"', 'until = "{{ ticket.due_at }}"')
    with company(tmp_path, until, clock) as staged:
        staged.ticket("1", due_at=START + timedelta(minutes=30))
        staged.ticket("2", due_at=START - timedelta(minutes=30))
        staged.ticket("3")
        staged.cycle()
        by_key = {run.subject.key: run for run in staged.runs()}
        assert by_key["1"].wake_at == START + timedelta(minutes=30)
        assert by_key["2"].state == "done"
        assert by_key["2"].results["pause"]["told"] == "2026-05-06 07:30Z was over already"
        assert (by_key["3"].state, by_key["3"].reason) == (
            "failed",
            "step pause cannot wait until nothing: that is no time",
        )
        staged.later(30 * 60)
        assert staged.notes() == ["Export stops, after 07:30", "Export stops, after 08:30"]


def test_open_time_of_a_calendar(tmp_path: Path) -> None:
    # A Friday at four in the afternoon; the built-in week ends at five.
    clock = ManualClock(datetime(2026, 5, 8, 16, 0, tzinfo=UTC))
    with company(tmp_path, WAIT.replace('for = "2h"', 'for = "2h", clock = "weekdays"'), clock) as staged:
        staged.ticket()
        staged.cycle()
        assert staged.run().wake_at == datetime(2026, 5, 11, 10, 0, tzinfo=UTC)


def test_runs_of_one_key_queue_behind_the_one_that_waits(waiting: Company) -> None:
    waiting.ticket(subject="Export stops again")
    waiting.later(60)
    states = [(run.state, run.wake_at is None) for run in waiting.runs()]
    assert states == [("waiting", True), ("waiting", False)]
    waiting.later(2 * HOUR)
    assert [run.state for run in waiting.runs()] == ["waiting", "done"]
    assert waiting.runs()[0].wake_at == waiting.clock.now() - timedelta(seconds=1) + timedelta(hours=2)
    waiting.later(3 * HOUR)
    assert len(waiting.notes()) == 2


def test_a_run_queued_behind_one_that_failed_or_was_dropped_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, WAIT, clock) as staged:
        staged.ticket()
        staged.cycle()
        staged.ticket(subject="Export stops again")
        staged.cycle()
        staged.vendors.script["comment.add_once"] = ["refused"]
        staged.later(2 * HOUR)
        assert [run.state for run in staged.runs()] == ["waiting", "failed"]
        [dead] = staged.deliveries(state="dead")
        assert drop_deliveries(staged.bridge.store, [dead.id], clock.now()) == 1
        staged.later(3 * HOUR)
        staged.later(3 * HOUR)
        assert [run.state for run in staged.runs()] == ["done", "failed"]


def test_runs_of_one_batch_queue_in_the_order_of_their_changes(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, '\n[run]\nkey = "account.id"\n' + WAIT, clock) as staged:
        for number in range(10):
            staged.ticket(str(number), subject=str(number))
        staged.cycle()
        for _ in range(10):
            assert len([run for run in staged.runs(state="waiting") if run.wake_at]) == 1
            staged.later(2 * HOUR)
        assert [note.partition(",")[0] for note in staged.notes()] == [str(number) for number in range(10)]


def test_a_long_queue_of_runs_that_end_at_once_is_worked_off(tmp_path: Path, clock: ManualClock) -> None:
    # Only the first of them waits and has anything to write; all of a company's tickets stand behind it.
    text = WAIT.replace('do = "', 'if = "ticket.priority == \'urgent\'"\ndo = "')
    rules = '\n[run]\nkey = "account.id"\n\n[limits]\nhalt_if_matches = 1000\n'
    with company(tmp_path, rules + text, clock) as staged:
        for number in range(400):
            staged.ticket(str(number), priority="low" if number else "urgent")
        staged.cycle()
        assert len(staged.runs(state="waiting", limit=1000)) == 400
        staged.later(2 * HOUR)
        assert len(staged.runs(state="done", limit=1000)) == 400
        assert len(staged.notes()) == 1


def test_queued_runs_of_a_paused_recipe_are_in_nobodys_way(tmp_path: Path, clock: ManualClock) -> None:
    paused = HEAD.replace('stage = "live"', 'stage = "paused"') + WAIT
    with company(tmp_path, {"first": paused, "second": WAIT}, clock) as staged:
        staged.ticket()
        for connection, stream in staged.bridge.streams("desk"):
            staged.bridge.pull(connection, stream)
        with staged.bridge.store.write() as tx:
            for number in range(151):
                recipe = staged.bridge.recipe("first" if number < 150 else "second")
                queued = Run(
                    id=f"run_{number:04}",
                    recipe=recipe.id,
                    version=recipe.version,
                    part="steps",
                    key=str(number),
                    once=str(number),
                    subject=Ref("desk", "tickets", "1"),
                    state="waiting",
                    started_at=START,
                )
                assert runs.start(tx, queued)
        assert staged.bridge.wake().runs == 1
        assert staged.run(recipe="second").wake_at == START + timedelta(hours=2)


def test_many_are_woken_in_batches_and_a_stuck_one_is_in_nobodys_way(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, {"first": WAIT, "second": WAIT}, clock) as staged:
        for number in range(150):
            staged.ticket(str(number))
        staged.cycle()
        staged.write({"first": HEAD.replace('stage = "live"', 'stage = "paused"') + WAIT})
        staged.clock.advance(2 * HOUR)
        staged.bridge.library.refresh()
        woken = staged.bridge.wake()
        assert (woken.runs, woken.connections, woken.next_at) == (150, {"desk"}, None)


def test_in_shadow_and_in_a_plan_nobody_waits(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, HEAD.replace('stage = "live"', 'stage = "shadow"') + WAIT, clock) as staged:
        staged.ticket()
        staged.cycle()
        run = staged.run()
        assert run.state == "done"
        assert run.results["pause"]["told"] == "would wait until 2026-05-06 10:00Z"
        found = rehearse(staged.bridge.store, staged.bridge.stepper, staged.bridge.recipe("example"), clock)
        assert [one.action for one in found.acts[0].deliveries] == ["comment.add_once"]


def test_the_daemon_sets_an_alarm_for_the_next_run(waiting: Company) -> None:
    alarms: dict[str, datetime] = {}

    class Watched(Daemon):
        def _later(self, job: str, moment: datetime) -> None:
            alarms[job] = moment

    daemon = Watched(waiting.bridge)
    daemon._run("plan", Event())
    assert alarms["wake"] == START + timedelta(hours=2)
    waiting.clock.advance(2 * HOUR)
    daemon._run("wake", Event())
    with waiting.bridge.store.read() as tx:
        assert runs.next_wake(tx, waiting.clock.now()) is None
    assert waiting.deliveries(state="planned")[0].step == "note"
