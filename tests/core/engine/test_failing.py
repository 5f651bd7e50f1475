"""Who is told that runs fail: once for many, also of a recipe that was stopped, and never of itself."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import inputs, steps
from cxbridge.core.engine.mend import drop_deliveries, retry_deliveries
from tests.core.engine.little_company import HEAD, Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ ticket.subject }}" }

[on_error]
notify = "chat:#cx-ops"
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def failing(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, NOTE, clock) as staged:
        yield staged


def told(staged: Company) -> list[str]:
    return [one.text for one in staged.vendors.calls("message.notify_once")]


def test_many_failures_are_one_message(failing: Company) -> None:
    failing.vendors.script["comment.add_once"] = ["refused"] * 5
    for number in range(5):
        failing.ticket(str(number))
    failing.cycle()
    [text] = told(failing)
    assert text == (
        "An example: a run for desk/tickets/0 failed. step note: was rejected (404): there is no such channel. "
        "See all of them with: cxbridge dead list --recipe example"
    )
    assert [one.to for one in failing.vendors.calls("message.notify_once")] == ["#cx-ops"]
    assert {run.state for run in failing.runs()} == {"failed"}
    failing.vendors.script["comment.add_once"] = ["refused"]
    failing.ticket("6")
    failing.later(3600)
    assert len(told(failing)) == 2
    assert "4 others failed since 08:00Z." in told(failing)[1]


def test_when_nothing_fails_nobody_is_told(failing: Company) -> None:
    failing.ticket()
    failing.cycle()
    assert told(failing) == []


def test_a_run_that_cannot_be_planned_is_told_too(tmp_path: Path, clock: ManualClock) -> None:
    wait = '\n[[step]]\nid = "pause"\ndo = "wait"\nwith = { until = "{{ ticket.due_at }}" }\n' + NOTE
    with company(tmp_path, wait, clock) as staged:
        staged.ticket()
        staged.cycle()
        [text] = told(staged)
        assert "step pause cannot wait until nothing: that is no time" in text


@pytest.mark.parametrize("then", ["halt", "skip"])
def test_a_stopped_recipe_and_one_that_goes_on_are_told_as_well(tmp_path: Path, clock: ManualClock, then: str) -> None:
    with company(tmp_path, NOTE + f'then = "{then}"\n', clock) as staged:
        staged.vendors.script["comment.add_once"] = ["refused"]
        staged.ticket()
        staged.cycle()
        staged.later(60)
        assert len(told(staged)) == 1


def test_a_run_that_goes_on_does_not_wait_for_the_message(tmp_path: Path, clock: ManualClock) -> None:
    more = NOTE.replace('id = "note"', 'id = "more"').partition("[on_error]")[0]
    text = more + NOTE + 'then = "skip"\n'
    with company(tmp_path, text, clock) as staged:
        # The chat is down all day, and then has no such channel any more.
        staged.vendors.script |= {"comment.add_once": ["refused"], "message.notify_once": ["busy"] * 3 + ["refused"]}
        staged.ticket()
        staged.cycle()
        assert staged.run().state == "done"
        assert len(staged.notes()) == 1


def test_a_message_that_fails_itself_fails_nothing_and_tells_nobody(failing: Company) -> None:
    failing.vendors.script |= {"comment.add_once": ["refused"], "message.notify_once": ["refused", "ok"]}
    failing.ticket()
    failing.cycle()
    dead = {one.step: one.id for one in failing.deliveries(state="dead")}
    assert set(dead) == {"note", "on_error.notify"}
    assert told(failing) == []
    # Sent again it tells, and the run is where it was.
    assert retry_deliveries(failing.bridge.store, [dead["on_error.notify"]], failing.clock.now()) == 1
    failing.later(60)
    assert len(told(failing)) == 1
    assert failing.run().state == "failed"
    assert drop_deliveries(failing.bridge.store, [dead["note"]], failing.clock.now()) == 1


def test_in_shadow_nobody_is_told(tmp_path: Path, clock: ManualClock) -> None:
    text = HEAD.replace('stage = "live"', 'stage = "shadow"') + NOTE
    with company(tmp_path, text.replace("ticket.subject }}", "ticket.due_at | date('%Y') }}"), clock) as staged:
        staged.ticket()
        staged.cycle()
        assert staged.run().state == "failed"
        assert staged.deliveries() == []


def test_a_defect_fails_the_run_it_is_met_in_and_nothing_else(
    failing: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = inputs.fitted

    def broken(given: Mapping[str, Any], struct: type[cx.Inputs]) -> dict[str, Any]:
        if given.get("body") == "broken":
            raise KeyError("mia@northwind.test")
        return whole(given, struct)

    monkeypatch.setattr(steps, "fitted", broken)
    failing.ticket("1", subject="broken")
    failing.ticket("2", subject="Export stops")
    failing.cycle()
    assert failing.notes() == ["Export stops"]
    [failed] = failing.runs(state="failed")
    assert failed.reason.startswith("a defect of cxbridge stopped it (KeyError at test_failing.py:")
    assert "mia" not in failed.reason
    assert failed.reason in told(failing)[0]
