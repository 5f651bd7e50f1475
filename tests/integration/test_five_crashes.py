"""kill -9 all along a closed loop and an alert that a person decides: whatever the process dies of, everything is there once.

A real process is really killed and started again over the same store, again and again, until it comes to rest. Every start but the
last is killed a little further on; what there is then is read off the vendors' own journal.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.ledger import Run
from cxbridge.core.store import approvals, inbox, runs
from cxbridge.core.store.approvals import Approval
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.integration import children
from tests.integration.five import COMPANY, INES, MAYA, Five
from tests.integration.test_five_daemon import OPTIONS

pytestmark = pytest.mark.process

PUSH = ("push.claimed", "push.sent", "push.answered", "push.recorded", "push.settled")
# What a closed loop writes, each by a delivery of its own, and what an alert does that a person decides.
LOOP = {
    "gainsight task.created": 1,
    "slack message.posted": 1,
    "zendesk ticket.created": 1,
    "zendesk tags": 1,
    "qualtrics response.updated": 1,
}
ALERT = {
    "gainsight task.created": 1,
    "slack channel.joined": 1,
    "slack message.posted": 2,
    "slack message.updated": 1,
}
# One after the other, so that what is confirmed tells how far it came.
ALONE = '\n[daemon]\npoll = "1h"\nworkers = 1\n'


class Killed(Five):
    """Five vendors by the real clock, and daemons that do not live long."""

    def prepare(self) -> None:
        """Wait for no vendor that is not slow here."""
        self.bridge.close()
        config = self.folder / "cxbridge.toml"
        text = config.read_text(encoding="utf-8")
        for line in ("per_minute = 100", 'url = "{}/api"'.format(self.world.public_urls["slack"])):
            assert line in text
            text = text.replace(line, f"{line}\nsettle = 0")
        config.write_text(text, encoding="utf-8")
        for file in (self.folder / "recipes").glob("*.toml"):
            source = file.read_text(encoding="utf-8")
            assert 'first = "10s"' in source
            file.write_text(source.replace('first = "10s"', 'first = "1s"'), encoding="utf-8")

    def read_everything(self) -> None:
        """Pull what is there before anything happens, so that what happens is the only news."""
        self.bridge = Bridge(load(self.folder / "cxbridge.toml"))
        with self.bridge:
            assert self.bridge.library.errors == ()
            assert self.pull() == []
            assert self.bridge.plan().started == 0

    def start(self, boundary: str = "-", confirmed: int = 0) -> list[str] | None:
        """Run a daemon; gives the boundaries that it passed, or None where it was killed."""
        child = children.run("tests.integration.five_crash_child", str(self.folder), boundary, str(confirmed))
        if child.returncode == -9:
            return None
        assert child.returncode == 0, child.stderr
        return list(json.loads(child.stdout.splitlines()[-1]))

    def killed(self, boundary: str, confirmed: int = 0) -> None:
        assert self.start(boundary, confirmed) is None, f"it never came to {boundary}"

    def opened(self) -> Bridge:
        """Look into the store while no daemon runs."""
        return Bridge(load(self.folder / "cxbridge.toml"), writing=False)

    def runs(self, **wanted: Any) -> list[Run]:
        with self.opened() as bridge, bridge.store.read() as tx:
            return runs.find(tx, **wanted)

    def question(self) -> Approval:
        """The one that was asked."""
        with self.opened() as bridge, bridge.store.read() as tx:
            [found] = approvals.find(tx)
        return found

    def counts(self) -> Counter[str]:
        """What integrations did, by vendor and kind."""
        return Counter(f"{one.vendor} {one.kind}" for one in self.world.journal.effects(via="api"))

    def press(self, approval: str, choice: str, user: str = "Maya Ortiz", **form: str) -> None:
        """Somebody presses a button; the delivery is stored, and what takes it in ends before anybody looks at it."""
        self.bridge = Bridge(load(self.folder / "cxbridge.toml"))
        with self.bridge, self.listening():
            body = {"approval": approval, "choice": choice, "user": user, "form": form}
            self.act("POST", "/slack/click", body)
            assert self.world.hooks.settle()
            assert self.world.hooks.sent("slack")[-1].status == 200
            with self.bridge.store.read() as tx:
                assert len([one for one in inbox.waiting(tx) if one.connection == "slack"]) == 1


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Killed]:
    world = World(
        zendesk_options={"limits": None}, jira_options={"limits": None, "issue_writes": None}, options=OPTIONS
    )
    with Sandbox(world) as sandbox:
        staged = Killed(sandbox, tmp_path / "d", None, ALONE)
        try:
            staged.load(*COMPANY)
            staged.prepare()
            staged.read_everything()
            yield staged
        finally:
            staged.close()


@pytest.mark.parametrize("boundary", PUSH)
def test_a_closed_loop_killed_at_every_write_is_there_once(stage: Killed, boundary: str) -> None:
    body = {"score": 3, "email": INES, "verbatim": "It fails.", "contact_ok": True, "announce": False}
    stage.act("POST", "/qualtrics/responses", body)
    # An export is asked for to the second, so that one in this same second would not hold the answer yet.
    time.sleep(1.1)
    if boundary == PUSH[0]:
        stage.killed("plan.decided")
        assert stage.runs() == []
        stage.killed("plan.committed")
        assert len(stage.runs()) == 1
    kills = 0
    # Each start goes on until one delivery more than at the last one is behind it.
    while stage.start(boundary, kills) is None:
        kills += 1
        assert kills < 10, "it was killed more often than there are writes"
    assert kills == len(LOOP), "the task, the message, the ticket, its tag and the mark on the answer"
    assert stage.counts() == LOOP | {"zendesk user.created": 1}
    [task] = stage.tasks()
    assert "It fails." in task["Comments"]
    assert [run.state for run in stage.runs()] == ["done"]
    assert stage.summary()["duplicates"] == []


def test_an_alert_that_a_person_decides_killed_all_along_is_there_once(stage: Killed) -> None:
    stage.act("PATCH", "/gainsight/companies/HL-3", {"current_score": 42})
    stage.killed("push.answered")
    assert stage.counts()["slack message.posted"] == 1
    assert stage.question().state == "open", "it was asked, and nobody here knows yet that it was"
    stage.killed("push.settled")
    question = stage.question()
    assert question.state == "open"
    stage.press(question.id, "approve", kind="executive call")
    # The answer is stored and decided, and the run has not moved on.
    stage.killed("wake.moved")
    assert stage.question().state == "approved"
    assert [run.state for run in stage.runs()] == ["waiting"]
    stage.killed("wake.committed")
    assert [run.state for run in stage.runs()] == ["running"]
    assert stage.tasks() == []
    # The task, the message, and the question whose buttons go: the first of four deliveries is behind it.
    for confirmed in (1, 2, 3):
        stage.killed("push.answered", confirmed)
    assert stage.start() is not None
    assert stage.counts() == ALERT
    assert "executive call" in stage.tasks()[0]["Comments"]
    told = [one.detail["person"] or one.detail["channel"] for one in stage.effects("message.posted")]
    assert sorted(told) == ["churn-desk", MAYA], "one question, and one message to the owner"
    [run] = stage.runs()
    assert (run.state, run.results["play"]["kind"]) == ("done", "executive call")
    assert stage.summary()["duplicates"] == []
