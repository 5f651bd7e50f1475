"""`dead`: what waits for a person is listed with its next step, and retry and drop do just what was chosen."""

from pathlib import Path

import pytest

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge, installed


@pytest.fixture
def refused(cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A tracker that refused two issues for good; the current folder holds the store that knows."""
    monkeypatch.chdir(installed(vendors, tmp_path / "here", live=True))
    vendors.world.faults.add("status", "jira", method="POST", path_regex="/rest/api/3/issue$", times=2, code=400)
    with Bridge(load(Path("cxbridge.toml"))) as bridge:
        for connection, stream in bridge.streams():
            bridge.pull(connection, stream)
        bridge.plan()
    ended = cxbridge("push")
    assert ended.code == 3
    assert "cxbridge dead list" in ended.err
    return vendors


def _dead(cxbridge: Cxbridge) -> list[str]:
    return [one["id"] for one in cxbridge("dead", "list", "--json").data if one["what"] == "dead letter"]


def test_list_says_why_and_what_next(cxbridge: Cxbridge, refused: Sandbox) -> None:
    rows = cxbridge("dead", "list", "--json").data
    assert sorted(one["what"] for one in rows) == ["dead letter", "dead letter", "held run", "held run"]
    letter = next(one for one in rows if one["what"] == "dead letter")
    assert "400" in letter["why"]
    assert "cxbridge dead retry" in letter["next"]
    words = cxbridge("dead", "list")
    assert letter["id"] in words.out
    assert "cxbridge dead retry ID" in words.err


def test_retry_sends_again_once_the_cause_is_mended(cxbridge: Cxbridge, refused: Sandbox) -> None:
    one, _ = _dead(cxbridge)
    ended = cxbridge("dead", "retry", one)
    assert ended.code == 0
    assert ended.out.startswith("1 of 1 ")
    assert cxbridge("dead", "retry", "--all", "--yes", "--recipe", "escalation-to-jira").out.startswith("1 of 1 ")
    assert cxbridge("push").code == 0
    assert _dead(cxbridge) == []
    assert len(refused.world.journal.effects("issue.created", "api")) == 22


def test_retry_of_nothing(cxbridge: Cxbridge, played: Path) -> None:
    assert cxbridge("dead", "retry", "--all").out.startswith("0 of 0 ")
    ended = cxbridge("dead", "retry", "dlv_nothing")
    assert ended.code == 65
    assert "nothing was changed" in ended.err


def test_a_run_is_not_a_delivery(cxbridge: Cxbridge, played: Path) -> None:
    held = cxbridge("dead", "list", "--json").data[0]
    assert held["what"] == "held run"
    ended = cxbridge("dead", "retry", held["id"])
    assert ended.code == 65
    assert "is a run" in ended.err


def test_drop_gives_up_for_good(cxbridge: Cxbridge, refused: Sandbox) -> None:
    assert cxbridge("dead", "drop", "--all", "--recipe", "another").out.startswith("0 of 0 ")
    assert cxbridge("dead", "drop", "--all", "--yes").out.startswith("2 of 2 ")
    assert _dead(cxbridge) == []
    before = len(refused.world.journal.writes())
    assert cxbridge("push").code == 0
    assert len(refused.world.journal.writes()) == before


def test_an_empty_list_is_good_news(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("dead", "list")
    assert ended.code == 0
    assert "nothing waits for a person" in ended.err
    assert cxbridge("dead", "list", "--json").data == []


def test_a_whole_group_is_shown_and_asked_about(
    cxbridge: Cxbridge, refused: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = cxbridge("dead", "retry", "--all")
    assert ended.code == 64
    assert "2 deliveries are meant" in ended.err
    assert "--yes" in ended.err
    asked: list[str] = []

    def answer(question: str, **_: object) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", answer)
    ended = cxbridge("dead", "drop", "--all")
    assert (ended.code, ended.out) == (0, "")
    assert "2  escalation-to-jira to jira: rejected" in ended.err
    assert "nothing was changed" in ended.err
    assert len(_dead(cxbridge)) == 2
    assert cxbridge("dead", "retry", "--all").out.startswith("2 of 2 ")
    assert asked == ["give up for good 2 deliveries?", "send again 2 deliveries?"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--connection", "jira"], 2),
        (["--connection", "zendesk"], 0),
        (["--code", "rejected"], 2),
        (["--code", "timeout"], 0),
        (["--since", "1h"], 2),
        (["--since", "2999-01-01"], 0),
        (["--recipe", "escalation-to-jira", "--connection", "jira", "--code", "rejected", "--since", "1d"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_only_the_group_that_is_named(cxbridge: Cxbridge, refused: Sandbox, options: list[str], count: int) -> None:
    listed = [one for one in cxbridge("dead", "list", "--json", *options).data if one["what"] == "dead letter"]
    assert len(listed) == count
    assert cxbridge("dead", "retry", "--all", "--yes", *options).out.startswith(f"{count} of {count} ")


@pytest.mark.parametrize("since", ["soon", "2026-13-01", "-1d"])
def test_a_time_that_is_none_is_told(cxbridge: Cxbridge, refused: Sandbox, since: str) -> None:
    ended = cxbridge("dead", "retry", "--all", "--yes", f"--since={since}")
    assert ended.code == 64
    assert "7d" in ended.err
    assert len(_dead(cxbridge)) == 2


def test_a_long_list_says_how_long_it_is(cxbridge: Cxbridge, refused: Sandbox) -> None:
    ended = cxbridge("dead", "list", "--limit", "1")
    assert "these are the newest 1 of 2" in ended.err
    letters = [one for one in cxbridge("dead", "list", "--json", "--limit", "1").data if one["what"] == "dead letter"]
    assert len(letters) == 1
