"""What recipes take part in is put together when it is first asked for: once, and not for what needs none of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import identity, library, plan, workshop
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.engine.identity import Identifier
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.sweep import Sweeper
from cxbridge.core.engine.waking import Waker
from cxbridge.core.errors import ConfigError, PluginError
from cxbridge.core.store import state
from tests.core.engine.little_company import HEAD, company

STEP = """
[[step]]
id = "stop"
do = "stop"
with = { reason = "enough" }
"""


def test_threads_that_ask_at_once_get_the_same(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Counted(workshop.Workshop):
        def __init__(self, *args: object, **named: object) -> None:
            made.append(self)
            super().__init__(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(workshop, "Workshop", Counted)
    with company(tmp_path, HEAD + STEP, clock) as staged, staged.open() as bridge, ThreadPoolExecutor(4) as threads:
        made.clear()
        begin = Barrier(4)

        def ask(_: int) -> tuple[int, int]:
            begin.wait()
            return id(bridge.planner), id(bridge.identifier)

        assert len(set(threads.map(ask, range(4)))) == 1
        assert len(made) == 1
        assert [one.id for one in bridge.library.recipes] == ["example"]


def test_whom_a_batch_made_something_to_do_for_is_told_once(tmp_path: Path, clock: ManualClock) -> None:
    step = """
[[step]]
id = "tell"
do = "chat.message.notify_once"
with = { to = "#support", text = "look" }
"""
    with company(tmp_path, HEAD + step, clock) as staged:
        told: list[set[str]] = []
        staged.vendors.put("desk/tickets", cx.Ticket(source_id="1", subject="x"))
        staged.bridge.pull("desk", "tickets")
        planned = staged.bridge.plan(lambda one: told.append(set(one.connections)))
        assert (planned.started, told, planned.connections) == (1, [{"chat"}], set())
        staged.vendors.put("desk/tickets", cx.Ticket(source_id="2", subject="x"))
        staged.bridge.pull("desk", "tickets")
        assert staged.bridge.plan().connections == {"chat"}


def test_a_key_that_was_altered_is_told_once_it_is_needed_and_keeps_nothing_else_from_work(
    tmp_path: Path, clock: ManualClock
) -> None:
    with company(tmp_path, HEAD + STEP, clock) as staged:
        with staged.bridge.store.write() as tx:
            kept = state.meta_get(tx, state.INSTANCE_KEY)
            assert kept is not None
            state.meta_set(tx, state.INSTANCE_KEY, kept[:-1] + bytes([kept[-1] ^ 1]))
        with staged.open() as bridge:
            assert bridge.pull("desk", "tickets").seen == 0
            bridge.identifier.run()
            with pytest.raises(ConfigError, match="was altered in the store and is of no use"):
                bridge.plan()


def test_what_comes_after_planning_keeps_nobody_from_what_it_made_to_do(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Offered:
        def offer(self) -> None:
            order.append("offered")

    with company(tmp_path, HEAD + STEP, clock) as staged:
        monkeypatch.setattr(workshop, "BATON", Offered())
        for one, what in ((Planner, "plan"), (Sweeper, "sweep"), (Waker, "wake")):
            real = getattr(one, what)

            def told(*args: object, what: str = what, real: Callable[..., object] = real, **named: object) -> object:
                order.append(what)
                return real(*args, **named)

            monkeypatch.setattr(one, what, told)
        staged.bridge.plan()
    assert order == ["plan", "offered", "offered", "sweep", "offered", "wake"]


class Looked:
    """A desk whose tickets are planned as webhooks bring them; notes when it is looked what else is due."""

    def __init__(self, staged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.staged, self.count, self._number = staged, 0, 0
        self.asked: list[str] = []
        for one, what in ((Identifier, "run"), (Planner, "_is_waiting"), (Waker, "wake")):
            monkeypatch.setattr(one, what, self._noting(what, getattr(one, what)))

    def ticket(self, fresh: int = 1, **fields: Any) -> Planned:
        self._number += 1
        self.staged.vendors.put("desk/tickets", cx.Ticket(source_id=str(self._number), subject="x", **fields))
        self.staged.bridge.pull("desk", "tickets")
        self.asked.clear()
        planned: Planned = self.staged.bridge.plan(fresh=fresh)
        return planned

    def _noting(self, what: str, real: Callable[..., object]) -> Callable[..., object]:
        def note(*args: object, **named: object) -> object:
            self.asked.append(what)
            return real(*args, **named)

        return note


TELL = """
[[step]]
id = "tell"
do = "chat.message.notify_once"
with = { to = "#support", text = "look" }
"""
WAIT = """
[[step]]
id = "pause"
do = "wait"
with = { for = "1h" }
"""


@pytest.mark.parametrize(("due_in", "alarm_in"), [(-60, 5), (0, 5), (2, 2), (60, 5), (None, 5)])
def test_a_schedule_that_is_due_and_does_not_fire_is_no_reason_to_plan_at_once(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, due_in: float | None, alarm_in: float
) -> None:
    # As of a recipe that is halted, or of one that catches up on nothing.
    due = None if due_in is None else clock.now() + timedelta(seconds=due_in)
    monkeypatch.setattr(Sweeper, "next_at", lambda *_: due)
    alarms: dict[str, datetime] = {}

    class Alarms:
        def later(self, job: str, at: datetime) -> None:
            alarms[job] = at

    with company(tmp_path, HEAD + STEP, clock) as staged:
        daemon = Daemon(staged.bridge)
        daemon._jobs = Alarms()  # type: ignore[assignment]  # all that planning asks of them
        daemon._plan()
    assert alarms["plan"] == clock.now() + timedelta(seconds=alarm_in)


def test_a_worker_that_only_writes_hears_that_a_recipe_was_paused(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, HEAD + TELL, clock) as staged, staged.open() as writer:
        staged.vendors.put("desk/tickets", cx.Ticket(source_id="1", subject="x"))
        staged.bridge.pull("desk", "tickets")
        assert staged.bridge.plan().started == 1
        staged.write({"example": (HEAD + TELL).replace('stage = "live"', 'stage = "paused"')})
        clock.advance(library.LOOK_EVERY)
        assert writer.push("chat").confirmed == 0
        staged.write({"example": HEAD + TELL})
        clock.advance(120)
        assert writer.push("chat").confirmed == 1


def test_a_folder_that_cannot_be_read_keeps_nobody_from_writing(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with company(tmp_path, HEAD + TELL, clock) as staged:
        staged.vendors.put("desk/tickets", cx.Ticket(source_id="1", subject="x"))
        staged.bridge.pull("desk", "tickets")
        assert staged.bridge.plan().started == 1

        def refuse(_: Path) -> tuple[tuple[str, int, int], ...]:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(library, "_stamp_of", refuse)
        clock.advance(library.LOOK_EVERY)
        assert staged.bridge.push("chat").confirmed == 1
        with pytest.raises(PermissionError):
            staged.bridge.plan()


def test_a_worker_that_only_reads_hears_what_recipes_listen_to(tmp_path: Path, clock: ManualClock) -> None:
    def read() -> set[tuple[str, str]]:
        with pytest.raises(PluginError, match="cannot read one entity"):
            reader.read("desk", "tickets", ["1"])
        return {*reader.library.listened}

    with company(tmp_path, HEAD + TELL, clock) as staged, staged.open() as reader:
        assert read() == {("desk", "ticket")}
        staged.write({"example": (HEAD + TELL).replace("ticket.changed", "contact.changed")})
        assert read() == {("desk", "ticket")}, "looked at a moment ago"
        clock.advance(library.LOOK_EVERY)
        assert read() == {("desk", "contact")}


class TestWhatComesOneByOne:
    @pytest.fixture
    def looked(
        self, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> Iterator[Looked]:
        with company(tmp_path, HEAD + getattr(request, "param", TELL), clock) as staged:
            yield Looked(staged, monkeypatch)

    def test_what_else_is_due_is_looked_for_once_in_a_while(self, looked: Looked, clock: ManualClock) -> None:
        assert looked.ticket().looked, "for the first time"
        assert looked.asked == ["run", "_is_waiting", "wake"]
        planned = looked.ticket()
        assert (planned.started, planned.looked, looked.asked) == (1, False, [])
        clock.advance(workshop.LOOK_EVERY)
        assert looked.ticket().looked
        # Who has caught up since a restore is noted there: without it what comes later would count as lost.
        assert looked.asked == ["run", "_is_waiting", "wake"]

    def test_whoever_does_not_say_what_came_has_everything_looked_for(self, looked: Looked) -> None:
        looked.ticket()
        assert looked.ticket(fresh=0).looked
        assert looked.asked == ["run", "_is_waiting", "wake"]

    def test_of_many_it_is_found_out_first_who_is_who(self, looked: Looked) -> None:
        looked.ticket()
        looked.ticket(fresh=identity.BATCH)
        assert looked.asked == ["run", "_is_waiting", "wake"]

    def test_where_nothing_came_after_all_everything_is_looked_for(self, looked: Looked) -> None:
        looked.ticket()
        looked.asked.clear()
        planned = looked.staged.bridge.plan(fresh=1)
        assert (planned.changes, planned.looked, looked.asked) == (0, True, ["run", "wake"])

    @pytest.mark.parametrize("looked", [WAIT, STEP], ids=["waits", "ended"], indirect=True)
    def test_a_run_that_waits_or_is_over_has_it_looked_for_what_is_due(self, looked: Looked) -> None:
        looked.ticket()
        planned = looked.ticket()
        assert (planned.looked, planned.started) == (True, 1)

    def test_somebody_who_is_known_now_has_it_looked_for_who_waited_for_that(self, looked: Looked) -> None:
        looked.ticket()
        for stream in ("desk/contacts", "survey/contacts"):
            looked.staged.vendors.put(stream, cx.Contact(source_id="1", name="Mia", emails=["mia@northwind.test"]))
            looked.staged.bridge.pull(*stream.split("/"))
        assert looked.ticket().looked
        assert not looked.ticket().looked


def test_between_two_batches_of_planning_others_may_compute(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Offered:
        def offer(self) -> None:
            order.append("offered")

    monkeypatch.setattr(plan, "BATCH", 1)
    with company(tmp_path, HEAD + STEP, clock) as staged:
        for number in range(3):
            staged.vendors.put("desk/tickets", cx.Ticket(source_id=str(number), subject="x"))
        staged.bridge.pull("desk", "tickets")
        monkeypatch.setattr(plan, "BATON", Offered())
        planner = staged.bridge.planner
        planner.plan(staged.bridge.library.recipes, lambda one: order.append(f"{one.changes} planned"))
    # A batch that was full may have left something.
    assert order == ["1 planned", "offered", "2 planned", "offered"]
