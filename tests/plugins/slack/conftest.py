"""A Slack connection under test: settings, a client whose requests a router answers, bodies as Slack writes them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.slack import Slack
from tests.plugins.mocked import mocked

API = "https://slack.com/api"
# The moment at which the shared clock stands still, as the vendor's Date header says it.
DATE = "Wed, 06 May 2026 08:46:13 GMT"
NOW = 1_778_057_173
MARKER = "cxb:00112233aabbccdd"
ALERTS, OTHER = "C0ALERTS00", "C0OTHER000"
ANA, BOT = "U0ANA00000", "U0BOT00000"
AUTHORIZED = {"team_id": "T024BE7LD", "user_id": BOT, "is_bot": True}


@dataclass
class Desk:
    """One connection: what is configured, and the router that plays Slack."""

    slack: Slack
    client: cx.Client
    router: respx.MockRouter

    def stream(self, name: str) -> cx.Stream:
        (found,) = [one for one in self.slack.streams() if one.name == name]
        return found

    def pages(self, name: str, cursor: cx.Json = None) -> list[cx.Page]:
        """Pull a stream to its end."""
        pages = self.stream(name).pages
        assert pages is not None
        return list(pages(self.client, cursor))

    def one(self, name: str, key: str) -> cx.Page | None:
        one = self.stream(name).one
        assert one is not None
        return one(self.client, key)

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.slack.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None, **more: Any) -> cx.Receipt:
        """Do one write."""
        return self.action(name).perform(self.client, call(inputs, target, **more))

    def find(self, name: str, inputs: cx.Inputs, target: str | None = None, **more: Any) -> cx.Receipt | None:
        """Look for an earlier write."""
        find = self.action(name).find
        assert find is not None
        return find(self.client, call(inputs, target, **more))

    def plays(self, method: str, *bodies: Any, **keys: Any) -> respx.Route:
        """Let Slack answer a method: with these bodies, one after another."""
        replies = [body if isinstance(body, httpx.Response) else answer(body) for body in bodies]
        route = self.router.route(url__startswith=f"{API}/{method}", **keys)
        return route.mock(side_effect=replies) if len(replies) > 1 else route.mock(return_value=replies[0])

    @property
    def writes(self) -> list[tuple[str, Any]]:
        """What was sent by POST: method and body."""
        made = [one.request for one in self.router.calls if one.request.method != "GET"]
        return [(one.url.path.rpartition("/")[2], msgspec.json.decode(one.content)) for one in made]


def call(
    inputs: cx.Inputs,
    target: str | None = None,
    base: Any = None,
    since: datetime | None = None,
    sent: datetime | None = None,
) -> cx.Call:
    return cx.Call(inputs=inputs, marker=MARKER, target=target, base=base, since=since, sent=sent)


def settings(**changed: Any) -> Slack:
    return Slack(**{"token": "a-fake-token", **changed})


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    """Open a connection with these settings."""
    with mocked("chat", clock) as open_one:

        def open_desk(*, read_only: bool = False, **changed: Any) -> Desk:
            slack = settings(**changed)
            return Desk(slack, *open_one(slack, read_only=read_only))

        yield open_desk


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    """A connection that knows a channel by an alias, follows it, and has nothing else out of the ordinary."""
    return connect(
        channels={"alerts": ALERTS}, messages=["alerts"], workspace="https://acme.slack.com", default_channel="alerts"
    )


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    """A reply as Slack gives it, with its clock in it; `ok` unless the body says otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    shown = {"ok": "error" not in body, **body} if isinstance(body, dict) else body
    return httpx.Response(status, json=shown, headers={"Date": DATE, **named})


def failed(error: str, status: int = 200, **extra: Any) -> httpx.Response:
    return answer({"ok": False, "error": error, **extra}, status)


def user(ident: str = ANA, **changed: Any) -> dict[str, Any]:
    """A person as `users.list` gives one."""
    profile = {"email": "Ana@Acme.example", "real_name": "Ana Costa", "display_name": "ana", "title": "CSM"}
    return {
        "id": ident,
        "team_id": "T024BE7LD",
        "name": "ana",
        "deleted": False,
        "real_name": "Ana Costa",
        "tz": "Europe/Lisbon",
        "tz_offset": 3600,
        "locale": "pt-PT",
        "profile": profile,
        "is_admin": False,
        "is_owner": False,
        "is_bot": False,
        "is_restricted": False,
        "updated": NOW - 1000,
        **changed,
    }


def channel(ident: str = ALERTS, **changed: Any) -> dict[str, Any]:
    return {
        "id": ident,
        "name": "cx-alerts",
        "is_channel": True,
        "is_im": False,
        "is_private": False,
        "is_archived": False,
        "is_member": True,
        "is_ext_shared": False,
        "created": NOW - 90_000,
        "updated": (NOW - 9_000) * 1000,
        **changed,
    }


def message(ts: str, **changed: Any) -> dict[str, Any]:
    return {"type": "message", "user": ANA, "text": "Refund approved", "ts": ts, "team": "T024BE7LD", **changed}


def planted(ts: str, marker: str = MARKER, **changed: Any) -> dict[str, Any]:
    """A message of ours, as a history shows it with all metadata."""
    metadata = {"event_type": "cxbridge_notification", "event_payload": {"key": marker}}
    return message(ts, user=BOT, bot_id="B0BOT", app_id="A0CXB", metadata=metadata, **changed)


def stamp(before: int, micros: int = 0) -> str:
    """The stamp of a message so many seconds before now."""
    return f"{NOW - before}.{micros:06d}"
