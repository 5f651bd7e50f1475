"""Bands over a store: a fall is met once, a wavering value and a late sweep meet nothing twice, and why-not shows the values."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.history import why_not
from cxbridge.core.engine.rehearse import rehearse
from cxbridge.core.ledger import Ref
from tests.core.engine.little_company import Company, company

START = datetime(2026, 5, 6, 8, 0, tzinfo=UTC)
DAY = 86_400.0
SCORE = Ref("success", "scores", "northwind")
FALLS = """
title = "Falls"
owner = "customer-success"
stage = "live"
use   = { success = "success", chat = "chat" }

[inputs]
enter = { type = "number", default = 40 }

[band.red]
enter = "{{ inputs.enter }}"
leave = 55

[[trigger]]
id     = "moved"
on     = "health.changed"
from   = "success"
fields = ["value"]

[[trigger]]
id    = "sweep"
every = "1d"
from  = "success"
find  = "crossed(health.value, 'red')"

[when]
fell = "crossed(health.value, 'red')"
calm = "not in_window(now, 'outage')"

[run]
once_per = "health.account"
window   = "7d"

[[step]]
id   = "task"
do   = "success.task.ensure"
if   = "crossed(health.value, 'red')"
[step.with]
account = "{{ account.id }}"
title   = "{{ account.name }} fell to {{ health.value }}"
reason  = "Health"
same_as = "{{ health.account }}:{{ now | day }}"
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def staged(tmp_path: Path, clock: ManualClock) -> Iterator[Company]:
    with company(tmp_path, FALLS, clock) as opened:
        yield begun(opened)


def begun(opened: Company) -> Company:
    opened.vendors.put("success/companies", cx.Account(source_id="northwind", name="Northwind", external_id="HL-1"))
    return opened


def score(staged: Company, *values: float | None) -> None:
    """The score takes these values one after the other, each of them is seen, and recipes meet them after the last."""
    for value in values:
        staged.vendors.put(
            "success/scores",
            cx.Health(source_id="northwind", account="companies/northwind", value=value, updated_at=staged.clock.now()),
        )
        staged.bridge.pull("success", "scores")
        staged.clock.advance(1)
    staged.cycle()


def titles(staged: Company) -> list[str]:
    return [one.title for one in staged.vendors.calls("task.ensure")]


def test_a_fall_alerts_once_and_wavering_does_not(staged: Company) -> None:
    score(staged, 80)
    score(staged, 50)  # a dip inside the band
    assert titles(staged) == []
    score(staged, 38)
    score(staged, 45)
    score(staged, 39)
    assert titles(staged) == ["Northwind fell to 38"]
    staged.later(8 * DAY)
    score(staged, 56)  # armed again
    score(staged, 40)
    assert titles(staged) == ["Northwind fell to 38", "Northwind fell to 40"]
    [first, second] = reversed(staged.runs())
    assert (first.state, second.state) == ("done", "done")


def test_what_is_red_when_it_is_first_seen_has_not_fallen(staged: Company) -> None:
    score(staged, 20)
    score(staged, None)
    score(staged, 25)
    assert titles(staged) == []
    assert staged.tallies("example") == {"stopped: fell": 3}


def test_a_fall_between_two_looks_is_a_fall_unless_it_was_over_by_then(staged: Company) -> None:
    score(staged, 80)
    score(staged, 30, 60)
    assert titles(staged) == []
    score(staged, 30, 45)
    assert titles(staged) == ["Northwind fell to 45"]


def test_a_step_sees_the_fall_that_began_the_run_whatever_came_after(tmp_path: Path, clock: ManualClock) -> None:
    tell = '[[step]]\nid = "tell"\ndo = "chat.message.notify_once"\nwith = { to = "#desk", text = "x" }\n\n'
    with company(tmp_path, FALLS.replace("[[step]]", tell + "[[step]]", 1), clock) as staged:
        begun(staged)
        staged.vendors.script["message.notify_once"] = ["busy"]
        score(staged, 80)
        score(staged, 30)
        score(staged, 60)
        assert titles(staged) == []
        staged.later(7200)
        assert titles(staged) == ["Northwind fell to 60"]


def test_a_second_fall_cools_off_and_is_met_by_the_sweep_when_it_lasts(staged: Company) -> None:
    score(staged, 80)
    score(staged, 30)
    score(staged, 60)
    score(staged, 35)
    assert titles(staged) == ["Northwind fell to 30"]
    assert staged.tallies("example")["skipped: once_per"] >= 1
    for _ in range(8):
        staged.later(DAY)
    assert titles(staged) == ["Northwind fell to 30", "Northwind fell to 35"]
    for _ in range(8):
        staged.later(DAY)
    assert len(titles(staged)) == 2


def test_a_window_keeps_a_fall_back_and_the_sweep_catches_up(tmp_path: Path, clock: ManualClock) -> None:
    window = {"name": "eu-login", "kind": "outage", "from": "2026-05-06T07:00:00Z", "to": "2026-05-06T20:00:00Z"}
    others = {"name": "theirs", "kind": "outage", "from": "2026-05-01T07:00:00Z", "accounts": ["HL-2"]}
    with company(tmp_path, FALLS, clock, windows=[others, window]) as staged:
        begun(staged)
        score(staged, 80)
        score(staged, 30)
        assert titles(staged) == []
        assert staged.tallies("example")["stopped: calm (window eu-login)"] == 1
        staged.later(DAY)
        assert titles(staged) == ["Northwind fell to 30"]
        staged.later(DAY)
        assert len(titles(staged)) == 1


def test_a_window_of_one_account_holds_for_that_account_only(tmp_path: Path, clock: ManualClock) -> None:
    window = {"name": "ours", "kind": "outage", "from": "2026-05-01T07:00:00Z", "accounts": ["hl-1"]}
    with company(tmp_path, FALLS, clock, windows=[window]) as staged:
        begun(staged)
        score(staged, 80)
        score(staged, 30)
        assert titles(staged) == []
        assert staged.tallies("example")["stopped: calm (window ours)"] == 1


def test_a_plan_and_why_not_say_what_the_sweep_would_do(staged: Company) -> None:
    score(staged, 80)
    score(staged, 62)
    told = why_not(staged.bridge.store, staged.bridge.recipe("example"), SCORE, staged.clock)
    assert told is not None
    assert not told.acts
    shown = dict(told.conditions[0].values)
    assert shown["moves of health.value"] == "80 → 62"
    assert shown["band red"] == "enters at 40, leaves at 55"
    assert shown["crossed(health.value, 'red')"] is False
    recipe = staged.bridge.recipe("example")
    found = rehearse(staged.bridge.store, staged.bridge.stepper, recipe, staged.clock)
    assert found.stopped == {"fell": 1}
    score(staged, 33)
    told = why_not(staged.bridge.store, recipe, SCORE, staged.clock)
    assert told is not None
    assert dict(told.conditions[0].values)["moves of health.value"] == "80 → 62 → 33"
    assert not told.acts  # it has acted on this fall
    assert any("once_per" in note for note in told.notes)


def test_in_shadow_a_fall_counts_as_met_for_the_shadow_only(tmp_path: Path, clock: ManualClock) -> None:
    with company(tmp_path, FALLS.replace('stage = "live"', 'stage = "shadow"'), clock) as staged:
        begun(staged)
        score(staged, 80)
        score(staged, 30)
        for _ in range(3):
            staged.later(DAY)
        assert len(staged.runs()) == 1
        assert titles(staged) == []
        staged.write({"example": FALLS})
        staged.later(DAY)
        assert titles(staged) == ["Northwind fell to 30"]
