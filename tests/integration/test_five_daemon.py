"""The daemon over five vendors whose next pull is an hour away: what happens there is told by webhooks, and acted on at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cxbridge.console.receiver import Receiver
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.store import approvals, checkpoints, inbox
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.integration.five import COMPANY, INES, MAYA, Five
from tests.integration.test_daemon import until

SELDOM = '\n[daemon]\npoll = "1h"\n'
OPTIONS: dict[str, dict[str, Any]] = {
    "gainsight": {"per_minute": None, "per_day": None},
    # What is answered is in the next export at once: here a pull that nobody asked for would show.
    "qualtrics": {"limits": None, "export_lag": 0, "export_seconds": 0, "export_polls": 0},
    "slack": {"limits": None},
}


class Hearing(Five):
    """Five vendors by the real clock, a daemon that has read everything once, and a receiver that all of them know."""

    daemon: Daemon

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the daemon run, and have the vendors tell it what happens once it has come to rest."""
        self.bridge.close()
        self.bridge = Bridge(load(self.folder / "cxbridge.toml"))
        self.daemon = Daemon(self.bridge)
        self.daemon.start()
        try:
            with Receiver(self.bridge, self.daemon.nudge) as receiver:
                self.subscribe(receiver)
                until(self.has_read_everything, "the first pull of every stream")
                yield
        finally:
            assert self.daemon.end(), "something did not end in time"

    def has_read_everything(self) -> bool:
        with self.bridge.store.read() as tx:
            pulled = {(one.connection, one.stream) for one in checkpoints.find(tx) if one.caught_up}
        return self.daemon.idle() and set(self.bridge.streams()) <= pulled

    def is_quiet(self) -> bool:
        """Whether everything that was told is worked off, every delivery is decided, and nothing runs."""
        with self.bridge.store.read() as tx:
            waiting = inbox.waiting(tx)
        undecided = [one for state in ("planned", "sent", "retry", "unknown") for one in self.deliveries(state=state)]
        return self.world.hooks.settle() and not waiting and not undecided and self.daemon.idle()

    def exports(self) -> int:
        """How often the survey tool was asked for an export, by its own log: that is how a pull begins."""
        asked = self.world.journal.requests("qualtrics")
        return sum(one.method == "POST" and one.path.endswith("/export-responses") for one in asked)

    def posted(self, to: str) -> int:
        """How many messages integrations wrote into a channel, or to a person."""
        sent = self.effects("message.posted")
        return sum(to in (one.detail["channel"], one.detail["person"]) for one in sent)

    def done_once(self) -> None:
        until(self.is_quiet, "rest")
        assert {one.status for one in self.world.hooks.sent()} == {200}
        assert self.summary()["duplicates"] == []


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Hearing]:
    world = World(
        zendesk_options={"limits": None}, jira_options={"limits": None, "issue_writes": None}, options=OPTIONS
    )
    with Sandbox(world) as sandbox:
        staged = Hearing(sandbox, tmp_path / "d", store_url, SELDOM)
        try:
            staged.load(*COMPANY)
            with staged.running():
                assert staged.writes() == 0
                yield staged
        finally:
            staged.close()


def test_an_answer_is_a_task_and_a_message_without_any_pull(stage: Hearing) -> None:
    before = stage.exports()
    stage.act(
        "POST",
        "/qualtrics/responses",
        {"score": 3, "email": INES, "verbatim": "The export keeps failing.", "contact_ok": True},
    )
    until(lambda: len(stage.tasks()) == 1, "the task")
    until(lambda: stage.posted(MAYA) == 1, "the owner's message")
    until(lambda: len(stage.tickets_of(INES)) == 1, "the customer's ticket")
    stage.done_once()
    [task] = stage.tasks()
    assert "Northwind" in task["Name"]
    assert "The export keeps failing." in task["Comments"]
    assert [run.state for run in stage.runs(recipe="closed-loop-feedback")] == ["done"]
    assert stage.exports() == before, "nothing was exported: the one answer was read"


def test_three_announcements_and_an_export_are_one_task(stage: Hearing) -> None:
    stage.act("POST", "/qualtrics/responses", {"score": 2, "email": INES, "contact_ok": False, "announce": 3})
    before = stage.exports()
    stage.daemon.nudge("pull:qualtrics/responses")
    until(lambda: stage.exports() > before, "the export")
    until(lambda: len(stage.tasks()) == 1, "the task")
    stage.done_once()
    # And once more when all is done: the survey tool says the same again, and exports it again.
    [answer] = [one.key for one in stage.world.journal.effects("response.created", via="ui")]
    stage.act("POST", f"/qualtrics/responses/{answer}/announce", {"times": 2})
    before = stage.exports()
    stage.daemon.nudge("pull:qualtrics/responses")
    until(lambda: stage.exports() > before, "the second export")
    stage.done_once()
    assert len([one for one in stage.world.hooks.sent() if one.vendor == "qualtrics"]) == 5
    assert len(stage.tasks()) == 1
    assert stage.posted(MAYA) == 1
    assert len(stage.runs(recipe="closed-loop-feedback")) == 1


def test_a_fall_of_health_is_an_alert_at_once(stage: Hearing) -> None:
    stage.act("PATCH", "/gainsight/companies/HL-1", {"current_score": 44})
    until(lambda: len(stage.tasks()) == 1, "the task")
    until(lambda: stage.posted(MAYA) == 1, "the owner's message")
    stage.done_once()
    assert "health fell to 44" in stage.tasks()[0]["Name"]
    # The task that we made is told too, and starts nothing.
    assert [run.recipe for run in stage.runs()] == ["churn-alert"]


def test_a_pressed_button_decides_and_what_was_asked_for_happens(stage: Hearing) -> None:
    stage.act("PATCH", "/gainsight/companies/HL-3", {"current_score": 42})
    until(lambda: stage.posted("churn-desk") == 1, "the question")
    until(stage.is_quiet, "rest while the question is open")
    assert stage.tasks() == []
    with stage.bridge.store.read() as tx:
        [question] = approvals.find(tx, state="open")
    press = {"approval": question.id, "choice": "approve", "user": "Maya Ortiz", "form": {"kind": "executive call"}}
    stage.act("POST", "/slack/click", press)
    until(lambda: len(stage.tasks()) == 1, "the task")
    until(lambda: stage.posted(MAYA) == 1, "the owner's message")
    until(lambda: "Approved by Maya Ortiz" in str(stage.messages("churn-desk")), "the question's end")
    stage.done_once()
    assert "executive call" in stage.tasks()[0]["Comments"]
    [run] = stage.runs(recipe="churn-alert")
    assert (run.state, run.results["play"]["by"]) == ("done", "Maya Ortiz")
