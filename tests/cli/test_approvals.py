"""`approvals`: questions are listed with how they stand, and answered from the command line as from a chat."""

import shutil
from pathlib import Path

import pytest

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge, installed

RECIPE = """
title = "Ask before escalating"
owner = "support-ops"
stage = "live"
use = { desk = "zendesk" }

[[trigger]]
on = "ticket.changed"
from = "desk"

[when]
asked_for = "'needs-engineering' in ticket.tags"

[run]
once_per = "'the first of them'"

[[step]]
id = "triage"
do = "approve"
[step.with]
ask        = "Escalate {{ ticket.source_key }}?"
quorum     = 2
ttl        = "4h"
on_timeout = "reject"
[step.with.form]
severity = { type = "choice", of = ["S1", "S2"], label = "How bad?" }
hours    = { type = "number", optional = true, default = 8 }

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{ triage.severity }} in {{ triage.hours }} h, says {{ triage.by }}" }
"""


@pytest.fixture(scope="session")
def _asked(company: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = installed(company, tmp_path_factory.mktemp("asked") / "it")
    (place / "recipes" / "ask-first.toml").write_text(RECIPE, encoding="utf-8")
    with Bridge(load(place / "cxbridge.toml")) as bridge:
        for connection, stream in bridge.streams("zendesk"):
            bridge.pull(connection, stream)
        bridge.recipe("ask-first")
        bridge.plan()
    return place


@pytest.fixture
def asked(_asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a recipe has asked one question, and nobody is asked in a chat. The vendors need not answer."""
    shutil.copytree(_asked, tmp_path / "asked")
    monkeypatch.chdir(tmp_path / "asked")
    return tmp_path / "asked"


def question(cxbridge: Cxbridge) -> str:
    [one] = cxbridge("approvals", "list", "--json").data
    return str(one["id"])


def test_list_shows_what_waits_and_how_to_answer(cxbridge: Cxbridge, asked: Path) -> None:
    [row] = cxbridge("approvals", "list", "--recipe", "ask-first", "--json").data
    assert (row["recipe"], row["state"], row["run_state"], row["stands"]) == (
        "ask-first",
        "open",
        "waiting",
        "open, 0 of 2 approved",
    )
    assert row["question"].startswith("Escalate ")
    words = cxbridge("approvals", "list")
    assert row["id"] in words.out
    assert "cxbridge approvals answer ID approve|reject" in words.err
    assert cxbridge("approvals", "list", "--recipe", "another", "--json").data == []
    assert cxbridge("approvals", "list", "--state", "approved", "--json").data == []
    assert "no question is approved" in cxbridge("approvals", "list", "--state", "approved").err


def test_answering_moves_the_run_on_once_enough_people_did(cxbridge: Cxbridge, asked: Path) -> None:
    one = question(cxbridge)
    first = cxbridge("approvals", "answer", one, "approve", "--as", "ines", "--form", "severity=S1")
    assert (first.code, first.out) == (0, f"{one} is open, 1 of 2 approved\n")
    again = cxbridge("approvals", "answer", one, "approve", "--as", "ines", "--form", "severity=S2")
    assert again.out == f"{one} is open, 1 of 2 approved\n"
    second = cxbridge(
        "approvals", "answer", one, "approve", "--as", "tom@us.test", "--form", "severity=S2", "--form", "hours=4"
    )
    assert second.out.startswith(f"{one} is approved by ines and tom@us.test at ")
    [told] = cxbridge("approvals", "list", "--state", "approved", "--json").data
    assert [(one["name"], one["choice"], one["form"]["severity"]) for one in told["answers"]] == [
        ("ines", "approve", "S1"),
        ("ines", "approve", "S2"),
        ("tom@us.test", "approve", "S2"),
    ]
    run = cxbridge("runs", "show", told["run"])
    assert "triage: approved by ines and tom@us.test" in run.out
    assert "body = S2 in 4 h, says ines and tom@us.test" in run.out
    assert cxbridge("runs", "show", told["run"], "--json").data["results"]["triage"]["hours"] == 4
    assert "no question waits" in cxbridge("approvals", "list").err


def test_show_tells_everything_there_is_to_know(cxbridge: Cxbridge, asked: Path) -> None:
    one = question(cxbridge)
    cxbridge("approvals", "answer", one, "approve", "--as", "ines", "--form", "severity=S1")
    told = cxbridge("approvals", "show", one).out
    for part in (
        "ask-first asks in step triage of run_",
        "stands    open, 1 of 2 approved",
        "then: reject",
        "form      severity: choice, one of S1, S2 (How bad?)",
        "form      hours: number, may stay empty, 8 without an answer",
        "ines: approve severity = S1",
    ):
        assert part in told
    assert cxbridge("approvals", "show", one, "--json").data["quorum"] == 2


def test_a_rejection_stops_the_run(cxbridge: Cxbridge, asked: Path) -> None:
    one = question(cxbridge)
    ended = cxbridge("approvals", "answer", one, "reject", "--as", "ines")
    assert ended.out.startswith(f"{one} is rejected by ines at ")
    [run] = cxbridge("runs", "list", "--recipe", "ask-first", "--json").data
    assert run["state"] == "stopped"
    late = cxbridge("approvals", "answer", one, "approve", "--as", "tom", "--form", "severity=S1")
    assert late.code == 65
    assert "it is decided already: rejected by ines" in late.err


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("approve",), 65, "severity is missing"),
        (("approve", "--form", "severity=S9"), 65, "severity is one of S1, S2"),
        (("approve", "--form", "severity"), 64, "write NAME=VALUE"),
        (("approve", "--form", "colour=red"), 64, "it asks for severity, hours"),
        (("perhaps",), 64, "say approve or reject"),
    ],
)
def test_an_answer_that_is_none_changes_nothing(
    cxbridge: Cxbridge, asked: Path, more: tuple[str, ...], code: int, told: str
) -> None:
    one = question(cxbridge)
    ended = cxbridge("approvals", "answer", one, *more)
    assert ended.code == code
    assert told in ended.err
    assert cxbridge("approvals", "show", one, "--json").data["answers"] == []


def test_a_question_that_is_not_there(cxbridge: Cxbridge, played: Path) -> None:
    for command in (("show", "apr_nothing"), ("answer", "apr_nothing", "approve")):
        ended = cxbridge("approvals", *command)
        assert ended.code == 65
        assert "cxbridge approvals list" in ended.err
    assert "there is no state" in cxbridge("approvals", "list", "--state", "undecided").err
    assert "no question waits for an answer" in cxbridge("approvals", "list").err


def test_a_plan_shows_what_is_taken_for_granted(cxbridge: Cxbridge, asked: Path) -> None:
    file = asked / "recipes" / "ask-first.toml"
    file.write_text(RECIPE.replace("the first of them", "another"), encoding="utf-8")
    told = cxbridge("recipes", "plan", "ask-first").out
    assert "triage: taken as approved: nobody was asked" in told
    assert "body = S1 in 8 h, says «whoever answers»" in told
