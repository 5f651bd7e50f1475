"""`pull`, `plan` and `push` by hand: what they print, what they leave alone, and how they end."""

from pathlib import Path

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox, runs
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge, installed


def test_pull_reads_every_stream_and_counts(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("pull", "--json")
    rows = {(one["connection"], one["stream"]): one for one in ended.data}
    assert ended.code == 0, ended.err
    assert rows["zendesk", "tickets"]["created"] >= 320
    assert ("jira", "issues") in rows
    again = {(one["connection"], one["stream"]): one for one in cxbridge("pull", "--json").data}
    assert again["zendesk", "tickets"]["created"] == 0


def test_pull_of_one_stream(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("pull", "zendesk/organizations")
    assert ended.code == 0
    header, row = ended.out.splitlines()
    assert header.split()[:2] == ["CONNECTION", "STREAM"]
    assert row.split()[:4] == ["zendesk", "organizations", "1", "24"]


def test_pull_of_a_stream_that_is_not(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("pull", "zendesk/tickts")
    assert ended.code == 65
    assert "tickets" in ended.err


def test_one_refused_vendor_does_not_stop_the_other(cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path) -> None:
    settings = str(installed(vendors, tmp_path) / "cxbridge.toml")
    vendors.world.faults.revoke("zendesk")
    ended = cxbridge("pull", "--json", "-c", settings)
    assert ended.code == 77
    rows = {(one["connection"], one["stream"]): one for one in ended.data}
    assert "refused" in rows["zendesk", "tickets"]["error"]
    assert rows["jira", "issues"]["created"] > 0


def test_plan_shows_all_and_writes_nothing(cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path) -> None:
    here = installed(vendors, tmp_path)
    settings = str(here / "cxbridge.toml")
    assert cxbridge("pull", "-c", settings).code == 0
    ended = cxbridge("plan", "--json", "-c", settings)
    assert ended.code == 4
    told = next(one for one in ended.data if one["recipe"] == "escalation-to-jira")
    assert (told["considered"], len(told["acts"]), len(told["held"])) == (320, 24, 2)
    assert told["stopped"] == {"asked_for": 289, "right_tier": 3, "still_open": 2}
    first = told["acts"][0]["deliveries"][0]
    assert (first["action"], first["inputs"]["project"]) == ("issue.ensure", "ENG")
    assert vendors.world.journal.writes() == []
    with Bridge(load(here / "cxbridge.toml")) as bridge, bridge.store.read() as tx:
        assert runs.find(tx) == []
        assert outbox.find(tx) == []


def test_plan_in_words(cxbridge: Cxbridge, played: Path) -> None:
    """Where all was done before there is nothing to do, which is exit code 0."""
    ended = cxbridge("plan", "escalation-to-jira")
    assert ended.code == 0
    assert "stopped at not_linked" in ended.out
    told = cxbridge("plan", "escalation-to-jira", "--since", "1d", "--json")
    assert 0 < told.data[0]["considered"] < 320


def test_plan_of_an_unknown_recipe(cxbridge: Cxbridge, played: Path) -> None:
    ended = cxbridge("plan", "escalation")
    assert ended.code == 78
    assert "escalation-to-jira" in ended.err


def test_push_performs_what_is_due_and_nothing_twice(cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path) -> None:
    here = installed(vendors, tmp_path, live=True)
    settings = str(here / "cxbridge.toml")
    with Bridge(load(here / "cxbridge.toml")) as bridge:
        for connection, stream in bridge.streams():
            bridge.pull(connection, stream)
        bridge.plan()
    ended = cxbridge("push", "--json", "-c", settings)
    assert ended.code == 0, ended.err
    assert {one["connection"]: one["confirmed"] for one in ended.data} == {
        "zendesk": 48,
        "jira": 48,
        "gainsight": 0,
        "qualtrics": 0,
        "slack": 0,
    }
    before = len(vendors.world.journal.writes())
    assert cxbridge("push", "-c", settings).code == 0
    assert len(vendors.world.journal.writes()) == before


def test_push_beside_another_writer_waits_for_a_better_time(cxbridge: Cxbridge, played: Path) -> None:
    with Bridge(load(played / "cxbridge.toml")) as bridge, bridge.store.alone("run"):
        ended = cxbridge("push")
    assert ended.code == 75
    assert "cxbridge run (process" in ended.err
    assert cxbridge("runs", "list").code == 0
