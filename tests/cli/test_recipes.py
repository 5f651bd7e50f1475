"""`recipes`: mistakes at their places, tests in files, the list, and letting a stopped recipe go on."""

from pathlib import Path

import pytest

from cxbridge.cli.start import RECIPE
from cxbridge.core.config import load
from cxbridge.core.engine import guard
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import state
from tests.cli.conftest import Cxbridge


def test_check_finds_nothing_wrong(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("recipes", "check")
    assert ended.code == 0
    assert "escalation-to-jira: fine (shadow, 4 tests)" in ended.out
    assert not (folder / "cxbridge.db").exists()


def test_check_names_line_and_column_of_every_mistake(cxbridge: Cxbridge, folder: Path) -> None:
    file = folder / "recipes" / RECIPE
    text = file.read_text().replace("account.tier in", "account.teir in").replace("process =", "proces =")
    file.write_text(text)
    lines = text.splitlines()
    tier = next(number for number, line in enumerate(lines, 1) if "account.teir" in line)
    ended = cxbridge("recipes", "check")
    assert ended.code == 65
    assert f"{RECIPE}:{tier}:" in ended.out
    assert "did you mean `process`?" in ended.out
    assert "2 problem(s) in 1 file(s)" in ended.err
    problems = cxbridge("recipes", "check", "--json").data["problems"]
    assert {one["line"] for one in problems} >= {tier}
    assert all(one["code"].startswith("CX") for one in problems)


def test_check_of_one_that_is_not(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("recipes", "check", "nothing")
    assert ended.code == 65
    assert "escalation-to-jira" in ended.err


def test_tests_in_the_file_pass(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("recipes", "test")
    assert ended.code == 0
    assert ended.out.count("✓") == 15
    assert "15 of 15 tests pass" in ended.err
    assert not (folder / "cxbridge.db").exists()


def test_a_test_that_fails_says_what_differs(cxbridge: Cxbridge, folder: Path) -> None:
    file = folder / "recipes" / RECIPE
    file.write_text(file.read_text().replace('stopped_at = "right_tier"', 'stopped_at = "asked_for"'))
    ended = cxbridge("recipes", "test", "escalation-to-jira", "--json")
    assert ended.code == 65
    (failed,) = [one for one in ended.data if not one["ok"]]
    assert "right_tier" in failed["told"][0]


def test_plan_of_a_recipe_shows_what_it_would_write(cxbridge: Cxbridge, folder: Path) -> None:
    cxbridge("pull")
    ended = cxbridge("recipes", "plan", "escalation-to-jira")
    assert ended.code == 4
    assert "would act" in ended.out
    assert "issue: jira issue.ensure" in ended.out
    assert "held: zendesk/tickets/" in ended.out
    assert "the stage is shadow" in ended.out


def test_list_shows_stage_runs_and_what_is_broken(
    cxbridge: Cxbridge, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (played / "recipes" / "broken.toml").write_text("title = 5\n")
    rows = {one["recipe"]: one for one in cxbridge("recipes", "list", "--json").data}
    assert rows["escalation-to-jira"]["stage"] == "live"
    assert rows["escalation-to-jira"]["runs"] == {"done": 24, "held": 2}
    assert rows["broken"]["state"] == "broken"
    listed = cxbridge("recipes", "list").out
    assert "broken" in listed
    assert "24 done, 2 held" in listed
    monkeypatch.setattr("cxbridge.core.store.runs.COUNTED", 24)
    assert "24+ done, 2 held" in cxbridge("recipes", "list").out, "as many, or more that were not counted"


def test_resume_lets_a_stopped_recipe_go_on(cxbridge: Cxbridge, played: Path) -> None:
    with Bridge(load(played / "cxbridge.toml")) as bridge, bridge.store.write() as tx:
        guard.halt_in(tx, bridge.recipe("escalation-to-jira"), "it would act for 201 subjects", bridge.clock.now())
    listed = cxbridge("recipes", "list")
    assert "stopped" in listed.out
    assert "201 subjects" in listed.out
    assert cxbridge("recipes", "resume", "escalation-to-jira", "--allow", "5").code == 0
    with Bridge(load(played / "cxbridge.toml")) as bridge, bridge.store.read() as tx:
        assert state.pauses(tx) == {}
    ended = cxbridge("recipes", "resume", "escalation-to-jira")
    assert ended.code == 65
    assert "not stopped" in ended.err
