"""The churn recipe over the simulators: noise is silent, a fall is one alert and then a cooling-off, and a person decides."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cxbridge.core.store import approvals
from tests.integration.five import DEPUTY, MAYA, Five, five

OUTAGE = """
[[windows]]
name = "eu-login"
kind = "outage"
from = 2026-05-06T08:00:00Z
to   = 2026-05-06T12:00:00Z
about = "log-in failed in the EU"
"""


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Five]:
    with five(tmp_path / "d", store_url=store_url) as staged:
        yield staged


def moves(stage: Five, company: str, *scores: float) -> None:
    for score in scores:
        stage.health(company, score)
        stage.cycle()


def test_a_dip_inside_the_band_alerts_nobody(stage: Five) -> None:
    moves(stage, "HL-1", 66, 52, 58, 71)
    assert stage.tasks() == []
    assert stage.writes() == 0


def test_a_fall_alerts_once_and_then_cools_off(stage: Five) -> None:
    moves(stage, "HL-1", 66, 44)
    [task] = stage.tasks()
    assert "health fell to 44" in task["Name"]
    assert len(stage.messages(MAYA)) == 1
    # Back and forth at the edge, and even up and down again: the owner knows already.
    moves(stage, "HL-1", 49, 45, 58, 46, 72, 41)
    assert len(stage.tasks()) == 1
    assert len(stage.messages(MAYA)) == 1
    stage.quiet()


def test_after_the_cooling_off_a_further_fall_is_a_further_alert(stage: Five) -> None:
    moves(stage, "HL-1", 44, 72)
    stage.world.clock.advance(timedelta(days=15).total_seconds())
    moves(stage, "HL-1", 43)
    assert len(stage.tasks()) == 2
    stage.quiet()


def test_an_account_without_an_owner_goes_to_the_deputy(stage: Five) -> None:
    moves(stage, "HL-2", 30)
    assert len(stage.tasks()) == 1
    assert len(stage.messages(DEPUTY)) == 1
    stage.quiet()


def test_a_missing_score_is_neither_a_fall_nor_good_news(stage: Five) -> None:
    stage.act("PATCH", "/gainsight/companies/HL-1", {"current_score": None})
    stage.world.clock.advance(60)
    stage.cycle()
    assert stage.writes() == 0
    moves(stage, "HL-1", 45)
    assert len(stage.tasks()) == 1


def test_a_known_outage_keeps_it_back_says_so_and_it_is_caught_up_afterwards(tmp_path: Path, store_url: str) -> None:
    with five(tmp_path / "d", store_url=store_url, more=OUTAGE) as stage:
        moves(stage, "HL-1", 44)
        assert stage.writes() == 0
        from cxbridge.core.store import planning

        with stage.bridge.store.read() as tx:
            told = planning.tallies(tx, "churn-alert")
        assert any("calm" in what and "eu-login" in what for what in told), told
        stage.world.clock.advance(timedelta(hours=4).total_seconds())
        stage.cycle()
        assert len(stage.tasks()) == 1
        stage.quiet()


def asked(stage: Five) -> str:
    moves(stage, "HL-3", 42)
    assert stage.tasks() == [], "nothing happens before somebody has decided"
    assert len(stage.messages("churn-desk")) == 1
    with stage.bridge.store.read() as tx:
        [one] = approvals.find(tx, state="open")
    return str(one.id)


def test_above_the_limit_a_person_decides_and_the_form_stays_with_the_run(stage: Five) -> None:
    with stage.listening():
        approval = asked(stage)
        stage.press(approval, "approve", kind="executive call", note="Call them today")
        stage.cycle()
    [task] = stage.tasks()
    assert "executive call" in task["Comments"]
    assert "Call them today" in task["Comments"]
    [run] = stage.runs(recipe="churn-alert", state="done")
    assert run.results["play"]["kind"] == "executive call"
    stage.quiet()


def test_who_says_no_is_obeyed(stage: Five) -> None:
    with stage.listening():
        approval = asked(stage)
        stage.press(approval, "reject")
        stage.cycle()
    assert stage.tasks() == []
    [run] = stage.runs(recipe="churn-alert", state="stopped")
    assert "reject" in run.reason
    stage.quiet()


def test_silence_does_what_the_file_says(stage: Five) -> None:
    asked(stage)
    stage.world.clock.advance(timedelta(hours=3).total_seconds())
    stage.cycle()
    assert stage.tasks() == []
    stage.world.clock.advance(timedelta(hours=2).total_seconds())
    stage.cycle()
    assert len(stage.tasks()) == 1, "on_timeout = approve"
    stage.quiet()
