"""The daemon as a whole, in this process: from start to rest on each database, stopping in order, pausing, going on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.core.baton import BATON
from cxbridge.core.canonical import Container
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon, Watcher
from cxbridge.core.engine.jobs import Board
from cxbridge.core.engine.pushed import Pushed
from cxbridge.core.ledger import Ref, incoming
from cxbridge.core.store import changes, outbox, records, state
from cxbridge.sandbox.server import Sandbox
from tests.integration.scene import write_folder
from tests.integration.test_crashes import ticket


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(zendesk_options={"limits": None, "export_lag": 0}, jira_options={"search_lag": 0}) as running:
        yield running


def tickets(sandbox: Sandbox, *numbers: int) -> None:
    lines = [{"kind": "organization", "name": "Northwind", "tier": "enterprise", "domains": []}]
    lines += [ticket(number, ["needs-engineering"]) for number in numbers]
    body = b"\n".join(msgspec.json.encode(line) for line in lines)
    assert httpx.post(f"{sandbox.control_url}/load", content=body).is_success


def effects(sandbox: Sandbox, kind: str) -> int:
    return sum(one.kind == kind for one in sandbox.world.journal.effects(via="api"))


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a condition; the deadline only ends a test that has failed already."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.05)


@contextmanager
def daemon(folder: Path, watcher: Watcher | None = None) -> Iterator[Daemon]:
    with Bridge(load(folder / "cxbridge.toml")) as bridge:
        running = Daemon(bridge, watcher or Watcher())
        running.start()
        try:
            yield running
        finally:
            assert running.end(), "something did not end in time"


def test_it_carries_tickets_across_and_hears_of_new_ones(sandbox: Sandbox, tmp_path: Path, store_url: str) -> None:
    write_folder(tmp_path / "d", sandbox.zendesk_url, sandbox.jira_url, store_url)
    tickets(sandbox, 7001, 7002)
    with daemon(tmp_path / "d"):
        until(lambda: effects(sandbox, "comment.added") == 2, "two notes")
        tickets(sandbox, 7003)
        until(lambda: effects(sandbox, "comment.added") == 3, "the third note")
    assert effects(sandbox, "issue.created") == 3
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []


def test_old_changes_go_beside_the_work(sandbox: Sandbox, tmp_path: Path, store_url: str) -> None:
    write_folder(tmp_path / "d", sandbox.zendesk_url, sandbox.jira_url, store_url)
    tickets(sandbox, 7001)
    with Bridge(load(tmp_path / "d" / "cxbridge.toml")) as bridge:
        for day in range(500, 390, -10):
            told = Container(source_id="11", name=f"the team on day {day}")
            with bridge.store.write() as tx:
                records.apply(tx, "zendesk", [incoming("groups", told)], bridge.clock.now() - timedelta(days=day))
    with daemon(tmp_path / "d") as running:
        until(lambda: effects(sandbox, "comment.added") == 1, "the note")

        def kept() -> list[str]:
            with running.bridge.store.read() as tx:
                return [one.op for one in changes.of(tx, Ref("zendesk", "groups", "11"))]

        # The last that is older than 400 days, and what came in the ten after that.
        until(lambda: kept() == ["updated"], "the end of what is old")


def test_its_jobs_compute_one_after_the_other(sandbox: Sandbox, tmp_path: Path, store_url: str) -> None:
    told: list[bool] = []
    write_folder(tmp_path / "d", sandbox.zendesk_url, sandbox.jira_url, store_url)
    tickets(sandbox, 7001)
    hears = Watcher(
        pulled=lambda _: told.append(BATON.takes_part),
        planned=lambda _: told.append(BATON.takes_part),
        pushed=lambda *_: told.append(BATON.takes_part),
    )
    with daemon(tmp_path / "d", hears):
        until(lambda: effects(sandbox, "comment.added") == 1, "the note")
    assert told
    assert all(told)


def test_an_orderly_stop_leaves_no_doubt_behind_and_a_restart_finishes(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url)
    tickets(sandbox, *range(7001, 7013))
    busy = threading.Event()
    told = Watcher(pushed=lambda _, pushed: busy.set() if pushed.confirmed else None)
    fault = {"name": "latency", "vendor": "jira", "method": "POST", "times": None, "params": {"seconds": 0.2}}
    assert httpx.post(f"{sandbox.control_url}/faults", json=fault).is_success
    with daemon(folder, told):
        until(lambda: effects(sandbox, "issue.created") >= 2, "the first issues")
    made = effects(sandbox, "issue.created")
    assert made < 12, "it was stopped in the middle"
    with Bridge(load(folder / "cxbridge.toml")) as bridge, bridge.store.read() as tx:
        states = {one.state for one in outbox.find(tx)}
    assert states <= {"planned", "confirmed", "retry"}, states
    httpx.delete(f"{sandbox.control_url}/faults")
    with daemon(folder):
        until(lambda: effects(sandbox, "comment.added") == 12, "all notes")
    assert effects(sandbox, "issue.created") == 12
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []


def test_a_revoked_token_pauses_one_connection_and_a_check_lets_it_go_on(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url)
    tickets(sandbox, 7001)
    httpx.post(f"{sandbox.control_url}/tokens/jira/revoke")
    with daemon(folder) as running:
        store = running.bridge.store

        def paused() -> set[str]:
            with store.read() as tx:
                return set(state.pauses(tx))

        until(lambda: paused() == {"jira"}, "the pause")
        # What was asked with the revoked token and is answered after the check would pause it once more.
        until(running.idle, "the end of what is under way")
        httpx.post(f"{sandbox.control_url}/tokens/jira/restore")
        running.bridge.check("jira")
        assert paused() == set()
        running.nudge("push:jira")
        until(lambda: effects(sandbox, "comment.added") == 1, "the note after the check")
    assert effects(sandbox, "issue.created") == 1


def test_a_defect_in_a_job_does_not_stop_it_for_ever(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "d"
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url)
    tickets(sandbox, 7001)
    broken = [True]
    push = Bridge.push

    def once_broken(self: Bridge, connection: str, *more: Any) -> Pushed:
        if connection == "jira" and broken:
            broken.clear()
            raise ZeroDivisionError
        return push(self, connection, *more)

    monkeypatch.setattr(Bridge, "push", once_broken)
    with daemon(folder):
        until(lambda: effects(sandbox, "comment.added") == 1, "the note after the defect")


def test_an_alarm_is_not_lost_while_the_one_before_it_is_still_answered(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, sandbox.zendesk_url, sandbox.jira_url)
    rung: list[str] = []
    go_on = threading.Event()

    def slow(_: Board, job: str) -> None:
        if job == "pull:test/alarm":
            rung.append(job)
            go_on.wait(30)

    monkeypatch.setattr(Board, "nudge", slow)
    with daemon(tmp_path) as running:
        try:
            running._later("pull:test/alarm", running.bridge.clock.now())
            until(lambda: len(rung) == 1, "the first alarm")
            running._later("pull:test/alarm", running.bridge.clock.now())
            until(lambda: len(rung) == 2, "the second alarm", 20)
        finally:
            go_on.set()
