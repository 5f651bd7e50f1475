"""kill -9 at every boundary of an escalation: a real process is really killed, and started again over the same store."""

import collections
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from cxbridge.sandbox.server import Sandbox
from tests.integration import children
from tests.integration.scene import write_folder

pytestmark = pytest.mark.process

# Every boundary, as often as an escalation reaches it: four deliveries (the issue, the link on either side, the note).
PUSH = ("push.claimed", "push.sent", "push.answered", "push.recorded", "push.settled")
POINTS = [
    *((f"pull.{name}", number) for name in ("fetched", "stored", "committed") for number in (1, 2, 4)),
    ("identity.decided", 1),
    ("identity.committed", 1),
    ("plan.decided", 1),
    ("plan.committed", 1),
    *((name, number) for name in PUSH for number in (1, 2, 3, 4)),
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    # The search index lags one second here, and the connector is told to allow for two.
    with Sandbox(zendesk_options={"limits": None}, jira_options={"search_lag": 1}) as running:
        yield running


def prepare(sandbox: Sandbox, folder: Path, number: int) -> None:
    """One ticket to escalate among others, in pages of two."""
    write_folder(folder, sandbox.zendesk_url, sandbox.jira_url)
    config = (folder / "cxbridge.toml").read_text().replace("settle = 6", "settle = 2")
    config = config.replace('connector = "zendesk"', 'connector = "zendesk"\nper_page = 2')
    (folder / "cxbridge.toml").write_text(config)
    lines: list[dict[str, Any]] = [{"kind": "organization", "name": "Northwind", "tier": "enterprise", "domains": []}]
    lines += [ticket(number + one, []) for one in range(1, 5)]
    lines.append(ticket(number, ["needs-engineering"]))
    reply = httpx.post(f"{sandbox.control_url}/load", content=b"\n".join(msgspec.json.encode(line) for line in lines))
    assert reply.is_success, reply.text


def ticket(number: int, tags: list[str]) -> dict[str, Any]:
    return {
        "kind": "ticket",
        "id": number,
        "subject": f"Export {number} stops",
        "description": "It stops at forty percent.",
        "priority": "high",
        "status": "open",
        "tags": tags,
        "age": "3h",
        "updated_age": "1h",
        "requester": {"name": "Mia Lee", "email": "mia@northwind.test"},
        "organization": "Northwind",
    }


def run_child(folder: Path, boundary: str, number: int) -> children.Ended:
    return children.run("tests.integration.crash_child", str(folder), boundary, str(number))


def test_the_points_are_all_the_boundaries_there_are(sandbox: Sandbox, tmp_path: Path) -> None:
    prepare(sandbox, tmp_path, 100)
    done = run_child(tmp_path, "-", 0)
    assert done.returncode == 0, done.stderr
    passed = collections.Counter(json.loads(done.stdout.splitlines()[-1]))
    assert set(passed) == {name for name, _ in POINTS}
    for name in PUSH:
        assert passed[name] == 4, passed
    for name, number in POINTS:
        assert passed[name] >= number


@pytest.mark.parametrize(("boundary", "number"), POINTS)
def test_killed_at_a_boundary_and_started_again_everything_is_there_once(
    sandbox: Sandbox, tmp_path: Path, boundary: str, number: int
) -> None:
    prepare(sandbox, tmp_path, 7001)
    killed = run_child(tmp_path, boundary, number)
    assert killed.returncode == -9, killed.stderr
    after = run_child(tmp_path, "-", 0)
    assert after.returncode == 0, after.stderr

    effects = sandbox.world.journal.effects(via="api")
    made = [one.key for one in effects if one.kind == "issue.created"]
    assert len(made) == 1, f"issues: {made}"
    links = [one for one in effects if one.kind == "remotelink.created"]
    assert len(links) == 1
    notes = [one for one in effects if one.kind == "comment.added" and one.vendor == "zendesk"]
    assert len(notes) == 1
    assert httpx.get(f"{sandbox.control_url}/summary").json()["duplicates"] == []
    assert pages_read_again(sandbox.world.journal.requests()) <= 1


def pages_read_again(entries: list[Any]) -> int:
    """How many pages of the ticket export were asked for again by the second process."""
    read = [
        parse_qs(one.query).get("cursor", ["first"])[0]
        for one in entries
        if hasattr(one, "path") and "incremental/tickets/cursor" in one.path and one.status == 200
    ]
    # The last cursor is polled again and again: that is reading on, not reading again.
    return sum(times - 1 for cursor, times in collections.Counter(read).items() if times > 1 and cursor != read[-1])
