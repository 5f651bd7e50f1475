"""`connections webhooks` and the receiver of `run`: what an operator sees, sets up and is told."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cxbridge.console.endpoints import Endpoints
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import planning, state
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge
from tests.cli.test_processes import Child, _event
from tests.integration.scene import write_folder

SECRET = "a-signing-secret"


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Start commands; none outlives its test."""
    started: list[Child] = []

    def command(*argv: str, cwd: Path) -> Child:
        started.append(Child(*argv, cwd=cwd))
        return started[-1]

    yield command
    for child in started:
        child.close()


@pytest.fixture
def here(company: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: both connections, no webhooks, nothing stored yet."""
    write_folder(tmp_path / "here", company.zendesk_url, company.jira_url)
    (tmp_path / "here" / "secrets" / "hook").write_text(SECRET)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def settle(folder: Path, *lines: str) -> None:
    """Give Zendesk a secret, and the receiver its settings."""
    file = folder / "cxbridge.toml"
    text = file.read_text().replace(
        'connector = "zendesk"', 'connector = "zendesk"\nwebhook_secret = { secret = "hook" }'
    )
    file.write_text("\n".join([text, "[webhooks]", *lines, ""]))


def test_it_says_where_to_send_and_what_to_set(cxbridge: Cxbridge, here: Path) -> None:
    settle(here, 'listen = "127.0.0.1:8700"', 'url = "https://hooks.example.com"')
    Bridge(load(here / "cxbridge.toml")).close()
    zendesk, jira = sorted(
        cxbridge("connections", "webhooks", "--json").data, key=lambda row: str(row["signed"]), reverse=True
    )
    assert (zendesk["connection"], zendesk["signed"], zendesk["open"], zendesk["secrets"]) == ("zendesk", True, True, 1)
    assert (jira["connection"], jira["signed"], jira["open"]) == ("jira", False, True)
    assert zendesk["url"] == f"https://hooks.example.com{zendesk['path']}"
    assert zendesk["path"].startswith("/hooks/zendesk/")
    told = cxbridge("connections", "webhooks", "zendesk").out
    assert zendesk["url"] in told
    assert "Admin Center" in told
    assert "webhook_secret" in told
    assert SECRET not in told
    assert jira["path"] not in told
    assert "not signed" in cxbridge("connections", "webhooks").out


def test_the_first_who_asks_makes_the_addresses_and_they_stay(cxbridge: Cxbridge, here: Path) -> None:
    """A pull needs none, and whoever only looks changes nothing else of the store."""
    settle(here, 'listen = "127.0.0.1:8700"')
    assert cxbridge("pull", "zendesk/groups").code == 0
    with Bridge(load(here / "cxbridge.toml"), writing=False) as bridge:
        assert bridge.library.errors == ()
        with bridge.store.read() as tx:
            assert not state.has_instance_key(tx)
    assert cxbridge("audit", "verify").code == 0
    shown = {row["path"] for row in cxbridge("connections", "webhooks", "--json").data}
    assert {row["path"] for row in cxbridge("connections", "webhooks", "--json").data} == shown
    with Bridge(load(here / "cxbridge.toml")) as bridge:
        assert {one.path for one in Endpoints(bridge.connections, bridge.instance_key()).all.values()} == shown


def test_it_says_what_is_closed_and_that_nothing_listens(cxbridge: Cxbridge, here: Path) -> None:
    Bridge(load(here / "cxbridge.toml")).close()
    told = cxbridge("connections", "webhooks").out
    assert "nothing listens: set listen under [webhooks]" in told
    assert "! closed: every delivery is refused until webhook_secret is set" in told


def test_it_says_what_came_in_and_what_was_missed(cxbridge: Cxbridge, here: Path) -> None:
    settle(here, 'listen = "127.0.0.1:0"')
    with Bridge(load(here / "cxbridge.toml")) as bridge, bridge.store.write() as tx:
        for what, number in (("received", 41), ("refused", 3), ("old secret", 2), ("missed: tickets", 7)):
            planning.tally(tx, "zendesk/webhooks", what, at=datetime(2026, 5, 6, 8, 46, tzinfo=UTC), n=number)
    told = cxbridge("connections", "webhooks", "zendesk").out
    assert "received: 41, last at 2026-05-06 08:46:00 UTC" in told
    assert "missed: tickets: 7" in told
    (row,) = cxbridge("connections", "webhooks", "zendesk", "--json").data
    assert row["counts"]["missed: tickets"]["n"] == 7
    assert "! 7 changes of tickets came without their webhook" in cxbridge("connections", "check", "zendesk").out
    (row,) = cxbridge("connections", "check", "zendesk", "--json").data
    assert row["missed"]["tickets"]["n"] == 7


def test_a_store_that_was_never_used_has_its_addresses(cxbridge: Cxbridge, here: Path) -> None:
    ended = cxbridge("connections", "webhooks")
    assert ended.code == 0
    assert "/hooks/zendesk/" in ended.out


@pytest.mark.process
def test_run_takes_webhooks_in_and_ends_in_order(
    start: Callable[..., Child], cxbridge: Cxbridge, company: Sandbox, here: Path
) -> None:
    settle(here, 'listen = "127.0.0.1:0"')
    daemon = start("run", cwd=here)
    told = json.loads(daemon.line(_event("webhooks.listening")))
    assert told["connections"] == ["jira", "zendesk"]
    (row,) = cxbridge("connections", "webhooks", "zendesk", "--json").data
    body, stamp = b'{"ticket_id": "1"}', f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made = base64.b64encode(hmac.new(SECRET.encode(), stamp.encode() + body, hashlib.sha256).digest()).decode()
    headers = {"x-zendesk-webhook-signature": made, "x-zendesk-webhook-signature-timestamp": stamp}
    url = f"http://{told['at']}{row['path']}"
    assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code == 200
    assert httpx.post(url, content=body, trust_env=False).status_code == 401
    refused = json.loads(daemon.line(_event("webhook.refused", connection="zendesk")))
    assert row["path"] not in json.dumps(refused)
    assert daemon.end() == 0
    assert row["path"] not in "\n".join(daemon.lines), "a path is a secret"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{told['at']}/healthz", trust_env=False)
    del company


@pytest.mark.process
def test_a_port_that_is_taken_is_told_in_a_sentence(start: Callable[..., Child], here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settle(here, f'listen = "127.0.0.1:{taken.getsockname()[1]}"')
        daemon = start("run", cwd=here)
        assert daemon.wait() == 78
    assert any("choose another port" in line for line in daemon.lines)
    assert not any("Traceback" in line for line in daemon.lines)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('listen = "0.0.0.0:8700"', "speaks no TLS"),
        ('listen = "[::]:8700"', "speaks no TLS"),
        ('listen = "192.0.2.7:8700"', "speaks no TLS"),
        ('listen = "hooks.example.com:8700"', "speaks no TLS"),
        ('listen = "127.0.0.1"', "write host and port"),
        ('listen = "8700"', "write host and port"),
        ('listen = "127.0.0.1:99999"', "write host and port"),
        ('listen = "http://127.0.0.1:8700"', "write host and port"),
        ('listen = "a@127.0.0.1:8700"', "write host and port"),
        ('url = "http://hooks.example.com"', "like https://hooks.example.com"),
        ('url = "https://hooks.example.com/?a=b"', "like https://hooks.example.com"),
        ('keep = "1h"', "at least 1d"),
        ('patience = "0s"', "between 1s and 1m"),
        ("public = 7", "public"),
    ],
)
def test_settings_that_cannot_be_are_told_at_their_line(cxbridge: Cxbridge, here: Path, line: str, told: str) -> None:
    settle(here, line)
    ended = cxbridge("connections", "list")
    assert ended.code == 78
    assert told in ended.err


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ['listen = "localhost:8700"'],
        ['listen = "[::1]:8700"'],
        ['listen = "127.9.9.9:1"'],
        ['listen = "0.0.0.0:8700"', "public = true"],
    ],
)
def test_settings_that_can_be(here: Path, lines: list[str]) -> None:
    settle(here, *lines)
    assert load(here / "cxbridge.toml").settings.webhooks.listen in "".join(lines)
