"""Webhooks, the whole way: a vendor tells of a change, it is stored, read and acted on, whatever happens in between."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import structlog.testing

from cxbridge.console.receiver import Receiver
from cxbridge.core.config import load
from cxbridge.core.engine import reading
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.engine.pull import Pulled
from cxbridge.core.ledger import Ref
from cxbridge.core.store import changes, inbox, planning, records
from cxbridge.sandbox.server import Sandbox
from tests.integration.scene import Scene, scene, write_folder
from tests.integration.test_daemon import effects, tickets, until

SECRET = "a-signing-secret"
EVENTS = [
    f"zen:event-type:ticket.{what}"
    for what in ("created", "comment_added", "status_changed", "priority_changed", "tags_changed", "subject_changed")
]
ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("webhook_child.py")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(zendesk_options={"limits": None}, jira_options={"search_lag": 0}) as running:
        yield running


def write(folder: Path, sandbox: Sandbox, store_url: str | None = None, *, poll: str = "1h") -> None:
    """Settings with a receiver on a free port, both vendors' secrets, and pulls that come too seldom to help."""
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url, store_url)
    (folder / "secrets" / "hook").write_text(SECRET)
    file = folder / "cxbridge.toml"
    text = file.read_text().replace('poll = "500ms"', f'poll = "{poll}"')
    text = text.replace('connector = "zendesk"', 'connector = "zendesk"\nwebhook_secret = { secret = "hook" }')
    text = text.replace('connector = "jira"', 'connector = "jira"\nwebhook_secret = { secret = "hook" }')
    file.write_text(text + '\n[webhooks]\nlisten = "127.0.0.1:0"\n')


def register(sandbox: Sandbox, receiver: Receiver) -> None:
    """Have both vendors send their webhooks to a receiver."""
    paths = {name: one.path for name, one in receiver.endpoints.all.items()}
    zendesk = {"endpoint": f"http://{receiver.address}{paths['zendesk']}", "subscriptions": EVENTS, "secret": SECRET}
    jira = {"url": f"http://{receiver.address}{paths['jira']}", "secret": SECRET}
    for vendor, body in (("zendesk", zendesk), ("jira", jira)):
        reply = httpx.post(f"{sandbox.control_url}/{vendor}/webhooks", json=body)
        assert reply.is_success, reply.text


def act(sandbox: Sandbox, method: str, path: str, body: Any) -> Any:
    reply = httpx.request(method, f"{sandbox.control_url}{path}", json=body)
    assert reply.is_success, reply.text
    return reply.json()


@contextmanager
def running(folder: Path) -> Iterator[tuple[Daemon, Receiver]]:
    with Bridge(load(folder / "cxbridge.toml")) as bridge:
        daemon = Daemon(bridge)
        daemon.start()
        try:
            with Receiver(bridge, daemon.nudge) as receiver:
                yield daemon, receiver
        finally:
            assert daemon.end(), "something did not end in time"


def test_a_ticket_tagged_by_an_agent_is_escalated_at_once_although_the_next_pull_is_an_hour_away(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write(tmp_path / "d", sandbox)
    tickets(sandbox, 7001)
    act(sandbox, "PATCH", "/zendesk/tickets/7001", {"tags_remove": ["needs-engineering"]})
    sandbox.world.clock.advance(61)
    with running(tmp_path / "d") as (daemon, receiver):
        register(sandbox, receiver)
        until(lambda: daemon.idle() and known(daemon, "zendesk/tickets/7001"), "the first pull")
        assert effects(sandbox, "issue.created") == 0
        # The simulated clock went ahead of ours; deliveries are signed by it.
        sandbox.world.clock.advance(-61)
        act(sandbox, "PATCH", "/zendesk/tickets/7001", {"tags_add": ["needs-engineering"]})
        until(lambda: effects(sandbox, "issue.created") == 1, "the issue")
        until(lambda: effects(sandbox, "comment.added") == 1, "the note")
        (issue,) = [one for one in act(sandbox, "GET", "/jira/issues", None) if any("cxb" in v for v in one["labels"])]
        done = {"to": "Done", "resolution": "Done"}
        act(sandbox, "POST", f"/jira/issues/{issue['key']}/transition", done)
        until(lambda: effects(sandbox, "comment.added") == 2, "the answer, once the issue is resolved")
        # What is still on its way to the receiver must find it there.
        assert sandbox.world.hooks.settle()
    assert {one.status for one in sandbox.world.hooks.sent()} == {200}
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []


def known(daemon: Daemon, ref: str) -> bool:
    with daemon.bridge.store.read() as tx:
        return records.get(tx, Ref.parse(ref)) is not None


def test_comments_that_no_recipe_listens_to_cost_no_request_and_come_with_the_pull(tmp_path: Path) -> None:
    with scene(tmp_path / "d") as staged:
        staged.ticket(7001, tags=[])
        staged.cycle()
        [recipe] = (staged.folder / "recipes").iterdir()
        text = recipe.read_text(encoding="utf-8")

        def read(body: str) -> tuple[int, int]:
            staged.act(
                "PATCH", "/zendesk/tickets/7001", {"comment": {"body": body, "public": True, "author": "customer"}}
            )
            before = len(staged.world.journal.requests("zendesk"))
            staged.bridge.library.refresh()
            found = staged.bridge.read("zendesk", "tickets", ["7001"])["7001"]
            assert isinstance(found, Pulled)
            asked = [one.path for one in staged.world.journal.requests("zendesk")[before:]]
            return found.created, sum("comments" in path for path in asked)

        assert read("Listened to.") == (1, 1)
        recipe.write_text(re.sub(r'stage *= "live"', 'stage = "paused"', text), encoding="utf-8")
        assert read("Not while it is paused.") == (0, 0)
        recipe.unlink()
        assert read("Not without it.") == (0, 0)
        staged.world.clock.advance(120)
        assert staged.bridge.pull("zendesk", "comments").created == 2
        recipe.write_text(text, encoding="utf-8")
        assert read("Listened to again.") == (1, 1)


@pytest.mark.parametrize("author", ["customer", "agent@example.test"])
def test_what_was_read_for_a_webhook_is_not_news_when_the_pull_brings_it(tmp_path: Path, author: str) -> None:
    with scene(tmp_path / "d") as staged:
        staged.ticket(7001, tags=[])
        staged.agent(7001, subject="Export stops")
        staged.cycle()
        comment = {"body": "It still stops.", "public": True, "author": author}
        staged.act("PATCH", "/zendesk/tickets/7001", {"priority": "urgent", "comment": comment})
        issue = staged.act("POST", "/jira/issues", {"project": "ENG", "summary": "Export stops", "priority": "High"})
        staged.act("POST", f"/jira/issues/{issue['key']}/comment", {"body": "Seen.", "actor": "ana"})
        read = staged.bridge.read("zendesk", "tickets", ["7001"])["7001"]
        assert isinstance(read, Pulled)
        assert (read.created, read.updated) == (1, 1), "the comment and the ticket"
        read = staged.bridge.read("jira", "issues", [issue["id"]])[issue["id"]]
        assert isinstance(read, Pulled)
        assert read.created >= 2, "the issue, its comment, and whoever is new"
        with staged.bridge.store.read() as tx:
            before = changes.last_seq(tx)
        staged.world.clock.advance(120)
        assert staged.pull() == []
        with staged.bridge.store.read() as tx:
            later = [(str(one.ref), one.op) for one in changes.after(tx, before, 100)]
        assert later == []
        assert staged.bridge.read("zendesk", "tickets", ["999999"]) == {"999999": None}
        assert staged.bridge.read("jira", "issues", ["999999"]) == {"999999": None}


class Child:
    """A daemon with a receiver in a process of its own."""

    def __init__(self, folder: Path, boundary: str = "-") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), boundary],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.urls = {name: f"http://{told['at']}{path}" for name, path in told["paths"].items()}

    def end(self) -> list[str]:
        """Let it end in order; gives the boundaries that it passed."""
        out, _ = self.process.communicate(timeout=60)
        return list(json.loads(out.splitlines()[-1]))

    def killed(self) -> int:
        code = self.process.wait(timeout=60)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return code


@pytest.mark.process
@pytest.mark.parametrize("boundary", ["read.fetched", "read.stored", "read.committed"])
def test_killed_between_the_answer_and_the_read_the_nudge_is_worked_off_by_the_next_process(
    sandbox: Sandbox, tmp_path: Path, boundary: str
) -> None:
    folder = tmp_path / "d"
    write(folder, sandbox)
    tickets(sandbox, 7001)
    act(sandbox, "PATCH", "/zendesk/tickets/7001", {"tags_remove": ["needs-engineering"]})
    first = Child(folder, boundary)
    body = {"endpoint": first.urls["zendesk"], "subscriptions": EVENTS, "secret": SECRET}
    httpx.post(f"{sandbox.control_url}/zendesk/webhooks", json=body).raise_for_status()
    act(sandbox, "PATCH", "/zendesk/tickets/7001", {"tags_add": ["needs-engineering"]})
    assert first.killed() == -signal.SIGKILL
    assert sandbox.world.hooks.settle()
    assert [one.status for one in sandbox.world.hooks.sent()] == [200], "it was accepted before the process died"
    assert effects(sandbox, "issue.created") == 0
    # The export holds the last minute back, so that only the stored nudge can bring it now; nothing is sent again.
    second = Child(folder)
    until(lambda: effects(sandbox, "issue.created") == 1, "the issue")
    until(lambda: effects(sandbox, "comment.added") == 1, "the note")
    # Stored and done with in one commit: what is there is not read again.
    assert ("read.committed" in second.end()) == (boundary != "read.committed")
    with Bridge(load(folder / "cxbridge.toml")) as bridge, bridge.store.read() as tx:
        assert inbox.waiting(tx) == []
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []


class Desk:
    """A scene whose vendors send webhooks; the daemon's jobs are done one by one, on the scene's clock."""

    def __init__(self, staged: Scene, receiver: Receiver) -> None:
        self.staged = staged
        self.bridge = staged.bridge
        self.receiver = receiver
        self.daemon = Daemon(staged.bridge)

    def heard(self) -> frozenset[str]:
        """Wait for what vendors send, then take it up; gives the jobs that follow."""
        assert self.staged.world.hooks.settle()
        return frozenset().union(*(self.bridge.inbox.take(name).jobs for name in self.bridge.connections))

    def do(self, *jobs: str) -> list[Any]:
        """Do jobs as the daemon does; gives what it logs."""
        with structlog.testing.capture_logs() as logged:
            for job in jobs:
                self.daemon._run(job, Event())
        return logged

    def tallies(self, connection: str) -> dict[str, int]:
        with self.bridge.store.read() as tx:
            return {what: one.n for what, one in planning.tallies(tx, f"{connection}/webhooks").items()}

    def waiting(self) -> int:
        with self.bridge.store.read() as tx:
            return len(inbox.waiting(tx))

    def updates(self, ref: str) -> int:
        with self.bridge.store.read() as tx:
            return len(changes.of(tx, Ref.parse(ref)))


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Iterator[Desk]:
    del sandbox
    with scene(tmp_path / "d", jira_options={"search_lag": 0}) as staged:
        write(tmp_path / "d", staged.sandbox)
        staged.bridge.close()
        staged.bridge = staged.open()
        # What a job asks for next is asked for by the test.
        with Receiver(staged.bridge, lambda job: None) as receiver:
            register(staged.sandbox, receiver)
            yield Desk(staged, receiver)


def test_with_the_receiver_down_for_an_hour_the_pulls_find_everything_and_say_how_much_was_missed(desk: Desk) -> None:
    staged = desk.staged
    for number in range(7001, 7011):
        staged.ticket(number, tags=[])
    staged.cycle()
    assert desk.tallies("zendesk") == {}, "what was there before the first webhook was not missed"

    staged.agent(7001, priority="low")
    assert desk.heard() == {"read:zendesk/tickets"}
    desk.do("read:zendesk/tickets")
    assert desk.updates("zendesk/tickets/7001") == 2
    staged.cycle()
    assert desk.tallies("zendesk") == {"received": 1}

    staged.world.hooks.down = True
    for number in range(7002, 7008):
        staged.agent(number, priority="urgent")
        staged.world.clock.advance(600)
    staged.world.hooks.down = False
    assert desk.heard() == frozenset()
    (told,) = [one for one in desk.do("pull:zendesk/tickets") if one["event"] == "webhooks.missed"]
    assert (told["connection"], told["stream"], told["changes"]) == ("zendesk", "tickets", 6)
    assert all(desk.updates(f"zendesk/tickets/{number}") == 2 for number in range(7002, 7008))
    assert desk.tallies("zendesk")["missed: tickets"] == 6
    assert [one["event"] for one in desk.do("pull:zendesk/tickets")] == [], "each is told once"


def test_what_we_wrote_ourselves_and_what_comes_late_is_not_missed(desk: Desk) -> None:
    staged = desk.staged
    staged.ticket(7001, tags=[])
    staged.ticket(7002, tags=[])
    staged.cycle()
    staged.agent(7002, priority="low")
    desk.do(*desk.heard())
    staged.world.clock.advance(10)
    # Our own issue and note are not announced here, as in an account whose trigger leaves out the integration's user.
    staged.world.hooks.down = True
    staged.agent(7001, tags_add=["needs-engineering"])
    staged.settle()
    assert len(staged.issues()) == 1
    staged.world.clock.advance(600)
    desk.do("pull:zendesk/tickets", "pull:jira/issues")
    assert desk.tallies("zendesk") == {"received": 1, "missed: tickets": 1}, "the agent's change, and not our note"
    assert desk.tallies("jira") == {}

    # The pull is faster than the webhook.
    staged.world.hooks.down = False
    staged.act("PATCH", "/zendesk/tickets/7002", {"priority": "high"})
    assert staged.world.hooks.settle()
    before = desk.tallies("zendesk")
    staged.world.clock.advance(61)
    desk.do("pull:zendesk/tickets")
    desk.do(*desk.heard())
    staged.world.clock.advance(600)
    desk.do("pull:zendesk/tickets")
    assert desk.tallies("zendesk").get("missed: tickets") == before["missed: tickets"]


def test_what_a_round_of_reading_did_not_come_to_is_read_by_the_next_round_of_the_same_job(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everything is late, so that each round reads one.
    monkeypatch.setattr(reading, "LONGEST", -1.0)
    numbers = (7001, 7002, 7003)
    for number in numbers:
        desk.staged.ticket(number, tags=[])
    desk.staged.cycle()
    for number in numbers:
        desk.staged.agent(number, priority="low")
    assert desk.heard() == {"read:zendesk/tickets"}
    desk.do("read:zendesk/tickets")
    assert [desk.updates(f"zendesk/tickets/{number}") for number in numbers] == [2, 2, 2]
    assert desk.waiting() == 0


def test_a_storm_asks_each_vendor_once_for_what_it_tells_of_several_at_once(desk: Desk) -> None:
    staged, numbers = desk.staged, range(7001, 7013)
    for number in numbers:
        staged.ticket(number, tags=[])
    staged.cycle()
    # The vendors' clock stands still: both are asked as they are, and the export shows nothing of it yet.
    for number in numbers:
        staged.act("PATCH", f"/zendesk/tickets/{number}", {"tags_add": ["needs-engineering"]})
    assert desk.heard() == {"read:zendesk/tickets"}
    asked = len(staged.world.journal.requests())
    desk.do("read:zendesk/tickets", "plan", "push:jira")
    made = Counter((one.method, re.sub("[0-9]{3,}", "N", one.path)) for one in staged.world.journal.requests()[asked:])
    assert len(staged.issues()) == len(numbers)
    assert made["GET", "/api/v2/tickets/show_many.json"] == 1
    assert made["GET", "/api/v2/tickets/N.json"] == 0
    assert made["GET", "/api/v2/tickets/N/comments.json"] == len(numbers)
    assert made["GET", "/rest/api/3/search/jql"] == 1, "whether they were made before"
    assert made["POST", "/rest/api/3/issue"] == len(numbers)
    assert desk.bridge._tempi["zendesk"]._took, "which later reads go by"

    # What the export and the search bring later is known.
    before = [desk.updates(f"zendesk/tickets/{number}") for number in numbers]
    staged.push()
    staged.world.clock.advance(61)
    desk.do("pull:zendesk/tickets")
    noted = [desk.updates(f"zendesk/tickets/{number}") for number in numbers]
    assert [after - at for after, at in zip(noted, before, strict=True)] == [1] * len(numbers), "our own note alone"
    assert desk.waiting() > 0, "what our own writes announced"
    desk.do(*desk.heard())
    assert desk.waiting() == 0
    assert len(staged.issues()) == len(numbers)


def test_a_delivery_that_comes_three_times_begins_one_thing(desk: Desk) -> None:
    staged = desk.staged
    staged.ticket(7001, tags=[])
    staged.cycle()
    kept = Keep(staged)
    staged.agent(7001, tags_add=["needs-engineering"])
    assert staged.world.hooks.settle()
    url, headers, body = kept.posts[-1]
    assert [httpx.post(url, headers=headers, content=body).status_code for _ in range(2)] == [200, 200]
    assert desk.heard() == {"read:zendesk/tickets"}
    desk.do("read:zendesk/tickets")
    assert desk.waiting() == 0
    assert desk.tallies("zendesk") == {"received": 1, "repeated": 2}
    staged.bridge.plan()
    staged.push()
    assert len(staged.issues()) == 1
    desk.heard()
    assert httpx.post(url, headers=headers, content=body).status_code == 200
    assert desk.heard() == frozenset()
    staged.world.clock.advance(300)
    assert httpx.post(url, headers=headers, content=body).status_code == 401, "by now it is too old as well"


class Keep:
    """Keeps what a simulated vendor sends."""

    def __init__(self, staged: Scene) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        send = staged.world.hooks.send

        def keeping(vendor: str, url: str, headers: Any, body: bytes) -> None:
            self.posts.append((url, dict(headers), body))
            send(vendor, url, headers, body)

        staged.world.hooks.send = keeping  # type: ignore[method-assign]


def test_what_is_announced_and_not_shown_yet_is_asked_for_again_after_growing_pauses(desk: Desk) -> None:
    staged = desk.staged
    staged.ticket(7001, tags=[])
    staged.cycle()
    issue = staged.act("POST", "/jira/issues", {"project": "ENG", "summary": "Export stops"})
    jobs = desk.heard()
    assert jobs == {"read:jira/issues"}
    staged.act("PATCH", f"/jira/issues/{issue['key']}", {"hidden": True})
    pauses = []
    while (due := desk.bridge.inbox.next_due("jira", "issues")) is not None:
        pauses.append((due - desk.bridge.clock.now()).total_seconds())
        staged.world.clock.advance(max(0.0, pauses[-1]) + 0.01)
        last = desk.do(*jobs)
    assert [round(one) for one in pauses] == [0, 1, 2, 4, 8, 15, 30]
    assert [one["event"] for one in last] == ["read.given_up"]
    assert desk.waiting() == 0, "it is left to the next pull"


def test_it_comes_up_in_the_middle_of_the_pauses(desk: Desk) -> None:
    staged = desk.staged
    issue = staged.act("POST", "/jira/issues", {"project": "ENG", "summary": "Export stops"})
    staged.act("PATCH", f"/jira/issues/{issue['key']}", {"hidden": True})
    jobs = desk.heard()
    desk.do(*jobs)
    staged.act("PATCH", f"/jira/issues/{issue['key']}", {"hidden": False})
    assert desk.waiting() == 1
    desk.do(*jobs)
    assert desk.waiting() == 1, "not before the pause is over"
    staged.world.clock.advance(1.1)
    desk.do(*jobs)
    assert desk.waiting() == 0
    assert desk.updates(f"jira/issues/{issue['id']}") == 1


def test_an_issue_of_another_project_is_not_taken_in_whoever_announces_it(desk: Desk) -> None:
    issue = desk.staged.act("POST", "/jira/issues", {"project": "OPS", "type": "[System] Incident", "summary": "x"})
    desk.do(*desk.heard())
    assert desk.waiting() == 0
    assert desk.updates(f"jira/issues/{issue['id']}") == 0


def test_a_vendor_that_is_down_keeps_the_nudge_until_it_answers(desk: Desk) -> None:
    staged = desk.staged
    staged.ticket(7001, tags=[])
    staged.cycle()
    staged.agent(7001, priority="low")
    jobs = desk.heard()
    staged.act("POST", "/faults", {"name": "status", "vendor": "zendesk", "times": None, "params": {"status": 503}})
    assert "job.failed" in [one["event"] for one in desk.do(*jobs)]
    assert desk.waiting() == 1
    staged.control.delete("/faults")
    staged.world.clock.advance(120)
    desk.do(*jobs)
    assert desk.waiting() == 0
    assert desk.updates("zendesk/tickets/7001") == 2
