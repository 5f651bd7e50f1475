"""What the simulated vendors share: clock, journal, servers; and that they share nothing with the connectors."""

import ast
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import cxbridge.sandbox
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.journal import Journal
from cxbridge.sandbox.server import VENDORS, Sandbox
from cxbridge.sandbox.world import World

START = datetime(2026, 5, 6, tzinfo=UTC)


def test_a_frozen_clock_moves_only_when_told():
    clock = SandboxClock(START, frozen=True)
    assert clock.now() == START
    clock.advance(61)
    clock.freeze()

    assert clock.now() == START + timedelta(seconds=61)
    assert clock.time() == clock.now().timestamp()
    clock.advance(-3600)
    assert clock.now() < START


def test_a_thawed_clock_goes_on_from_where_it_stood():
    clock = SandboxClock(START)
    clock.freeze()
    clock.advance(86400)
    stood = clock.now()
    clock.thaw()
    clock.thaw()

    assert stood <= clock.now() < stood + timedelta(hours=1)


def test_the_journal_numbers_entries_and_tells_api_from_people():
    journal = Journal(SandboxClock(START))
    journal.effect("zendesk", "ticket.created", "1", "mia", "ui", subject="a")
    journal.request("zendesk", "PUT", "/x", "", 200, "bot", 3, {})
    journal.effect("zendesk", "comment.added", "1", "bot", body="b")
    journal.effect("jira", "noop", "OPS-1", "other")

    assert [entry.seq for entry in journal.entries()] == [1, 2, 3, 4]
    assert [entry.seq for entry in journal.entries(since=2)] == [3, 4]
    assert [effect.actor for effect in journal.writes()] == ["bot", "other"]
    assert [effect.key for effect in journal.writes("bot")] == ["1"]
    assert journal.counts() == {"zendesk:ticket.created": 1, "zendesk:comment.added": 1, "jira:noop": 1}
    assert journal.counts("ui") == {"zendesk:ticket.created": 1}
    assert [effect.vendor for effect in journal.effects(vendor="jira")] == ["jira"]


def test_equal_seeds_give_equal_random_numbers_to_each_vendor_alone():
    one, two, other = World(7), World(7), World(8)

    assert one.random_for("jira").random() == two.random_for("jira").random()
    assert one.random_for("jira").random() != one.random_for("zendesk").random()
    assert one.random_for("jira").random() != other.random_for("jira").random()


def test_a_taken_port_is_named_and_nothing_is_left_listening():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sandbox = Sandbox(vendors=("zendesk",), ports={"control": port})

        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 cannot be used"):
            sandbox.start()


def test_a_stopped_sandbox_answers_no_more_and_may_be_stopped_again():
    with Sandbox(vendors=("zendesk",)) as sandbox:
        url = sandbox.control_url
        assert httpx.get(url, trust_env=False).status_code == 200
    sandbox.stop()

    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_stopping_does_not_wait_for_an_answer_a_fault_holds_back(site):
    site.world.faults.add("latency", "zendesk", seconds=3600)
    with pytest.raises(httpx.ReadTimeout):
        site.ask("GET", "/tickets.json", timeout=0.1)

    site.sandbox.stop()


def test_every_vendor_runs_in_one_sandbox():
    with Sandbox() as sandbox:
        for vendor in VENDORS:
            assert httpx.get(sandbox.url(vendor), trust_env=False).status_code < 500
        told = httpx.get(f"{sandbox.control_url}/state", trust_env=False).json()

    assert set(told["urls"]) == {*VENDORS, "control"}
    assert set(VENDORS) <= set(told)
    assert {request.vendor for request in sandbox.world.journal.requests()} == set(VENDORS)


def test_the_sandbox_shares_no_code_with_the_connectors():
    package = Path(cxbridge.sandbox.__file__).parent
    imported = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")

    ours = {name for name in imported if name.startswith("cxbridge")}
    assert "cxbridge.sandbox.world" in ours
    assert {name for name in ours if not name.startswith("cxbridge.sandbox")} == set()
