"""Other tools beside which is measured: what is left out says why, and none of them is told to speak to anybody but the mock.

Nothing is installed, started or measured here.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import flows, measure, peers, stages, webhooks
from benchmarks.peers import N8N, NODE_RED, Node
from benchmarks.stub import Steps

TRACKER = "http://127.0.0.1:4711"
NEW = Node(Path("/there/bin/node"), "24.1.0")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(peers, "CACHE", tmp_path)
    return tmp_path


def fail(*words: str, limit: float = 0, more: Mapping[str, str] | None = None) -> None:
    raise OSError(f"no room for {words[1]}")


def node_says(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    def said(words: Any, **_: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(words, 0, version, "")

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", said)


def test_a_peer_that_cannot_be_installed_is_left_out_with_the_reason(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "_call", fail)
    assert peers.installed() == {}
    assert "without zenpy: no room for -m" in capsys.readouterr().out
    assert list(cache.iterdir()) == []


def test_without_npm_its_tools_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "npm" else f"/usr/bin/{name}")
    assert flows.found(webhooks.OTHERS) == []
    assert "without Node-RED: node and npm are not there" in capsys.readouterr().out


def test_where_node_is_too_old_npm_brings_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node_says(monkeypatch, "v20.20.2\n")
    monkeypatch.setattr(peers, "_call", lambda *words, **_: None)
    brought = peers.node_of(N8N)
    assert brought is not None
    assert (brought.version, brought.program.name) == (peers.NODE, "node")
    assert cache in brought.program.parents
    asked = json.loads((brought.program.parents[3] / "package.json").read_text())
    assert list(asked["dependencies"].values()) == [peers.NODE]
    # For a tool that it is new enough for, the one that is there does.
    assert peers.node_of(NODE_RED) == Node(Path("/usr/bin/node"), "20.20.2")


def test_a_node_that_is_too_old_and_cannot_be_had_is_left_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node_says(monkeypatch, "v16.20.2\n")
    monkeypatch.setattr(peers, "_call", fail)
    assert peers.node_of(N8N) is None
    said = capsys.readouterr().out
    assert "without node: no room for install" in said
    assert "without n8n: it needs node 24, here is 16.20.2" in said
    assert list(cache.iterdir()) == []


def test_an_installation_by_npm_that_fails_is_left_out_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "_call", fail)
    assert peers.node_installed(N8N, NEW) is None
    assert "without n8n: no room for install" in capsys.readouterr().out
    assert list(cache.iterdir()) == []


def test_what_npm_brought_is_kept_and_only_what_is_named_is_compiled(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []

    def call(*words: str, limit: float = 0, more: Mapping[str, str] | None = None) -> None:
        called.append(words)
        # What is compiled is compiled for the node that it is to run on.
        assert more is not None
        assert more["PATH"].startswith("/there/bin:")
        script = Path(words[3]) / (N8N if "n8n" in words[3] else NODE_RED).script
        script.parent.mkdir(parents=True, exist_ok=True)
        script.touch()

    monkeypatch.setattr(peers, "_call", call)
    for peer in (N8N, NODE_RED):
        place = peers.node_installed(peer, NEW)
        assert place is not None
        asked = json.loads((place / "package.json").read_text())
        assert asked["dependencies"] == {peer.package: peer.version}
        assert peers.node_installed(peer, NEW) == place
    assert [words[1] for words in called] == ["install", "rebuild", "install"]
    assert "--ignore-scripts" in called[0]
    assert called[1][-2:] == ("sqlite3", "isolated-vm")
    assert "--ignore-scripts" not in called[2]


def test_every_tool_is_pinned_by_name_and_number() -> None:
    for wanted in (one.wanted for one in (*peers.PEERS, peers.DBOS, peers.PROCRASTINATE)):
        assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==[\d.]+", one) for one in wanted.split()), wanted
    for peer in (NODE_RED, N8N):
        numbers = [peer.version, peers.NODE, *(one.rpartition("@")[2] for one in peer.instead.values())]
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", one) for one in numbers)


def test_node_red_listens_on_this_machine_only_and_writes_to_the_tracker(tmp_path: Path) -> None:
    words, _ = flows.NodeRed(Path("/there"), NEW).prepare(tmp_path, 4712, TRACKER)
    assert words[:2] == ["/there/bin/node", "/there/node_modules/node-red/red.js"]
    settings = json.loads((tmp_path / "settings.js").read_text().removeprefix("module.exports = "))
    assert (settings["uiHost"], settings["uiPort"], settings["httpAdminRoot"]) == ("127.0.0.1", 4712, False)
    assert settings["telemetry"] == {"enabled": False}
    flow = {one["id"]: one for one in json.loads((tmp_path / "flows.json").read_text())}
    assert flow["issue"]["url"] == f"{TRACKER}/rest/api/3/issue"
    wired = [target for one in flow.values() for port in one.get("wires", ()) for target in port]
    assert set(wired) == {"answer", "urgent", "fields", "issue"}


def test_n8n_is_given_its_flow_by_its_command_line_and_speaks_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def run(words: list[str], **how: Any) -> "subprocess.CompletedProcess[str]":
        called.append(words[2:])
        assert how["env"]["N8N_DIAGNOSTICS_ENABLED"] == "false"
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    words, environment = flows.N8n(Path("/there"), NEW).prepare(tmp_path, 4713, TRACKER)
    assert words[-1] == "start"
    assert (environment["N8N_PORT"], environment["N8N_LISTEN_ADDRESS"]) == ("4713", "127.0.0.1")
    assert called[0] == ["import:workflow", f"--input={tmp_path / 'flow.json'}"]
    [flow] = json.loads((tmp_path / "flow.json").read_text())
    assert called[1] == ["publish:workflow", f"--id={flow['id']}"]
    issue = next(one["parameters"] for one in flow["nodes"] if one["name"] == "Issue")
    assert issue["url"] == f"{TRACKER}/rest/api/3/issue"
    # Within the braces of an expression two closing ones would end it.
    assert "}}" not in issue["jsonBody"].removeprefix("={{").removesuffix("}}")


def test_n8n_that_does_not_take_the_flow_in_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(words, 1, "", "the native module is missing")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(measure.Failed, match=r"import:workflow ended with 1: the native module is missing"):
        flows.N8n(Path("/there"), NEW).prepare(tmp_path, 4713, TRACKER)


def test_ratios_to_other_tools_are_such_that_more_is_better() -> None:
    ours, theirs = webhooks.Found(), webhooks.Found()
    for found, rate, milliseconds in ((ours, 100.0, 4.0), (theirs, 50.0, 8.0)):
        found.rate, found.p50, found.saturated_cpu = [rate], [milliseconds], [1.0]
    ratios = webhooks.ratios_of(ours, theirs, {"Node-RED": theirs})
    assert (ratios["times Node-RED"], ratios["Node-RED p50 to ours"]) == (2.0, 2.0)
    assert ratios["share of the floor"] == 2.0
    assert webhooks.ratios_of(webhooks.Found(), webhooks.Found(), {}) == {}


@pytest.mark.parametrize("promises", [True, False])
def test_what_promises_its_issues_must_make_them_and_others_may_lose_some(promises: bool) -> None:
    with httpx.Client() as vendors:
        stage = stages.Stage(vendors, 0, TRACKER, 0, promises=promises)
        assert stage.whole({2: [1.0], 4: [1.5]}, {2, 4}, range(2, 6)) == {2, 4}
        if promises:
            with pytest.raises(measure.Failed, match="1 of 2 tickets got an issue, 0 more than one"):
                stage.whole({2: [1.0]}, {2, 4}, range(2, 6))
        else:
            assert stage.whole({2: [1.0]}, {2, 4}, range(2, 6)) == {2}
        with pytest.raises(measure.Failed, match="0 of 2"):
            stage.whole({}, {2, 4}, range(2, 6))


async def _two(steps: Steps) -> list[str]:
    return [await steps.do(7, "the issue"), await steps.do(7, "a note")]


def test_a_step_of_a_peer_makes_one_request_in_its_own_process() -> None:
    steps = Steps()
    assert asyncio.run(_two(steps)) == ["ENG-1", "ENG-2"]
    assert steps.tracker.made == 2
