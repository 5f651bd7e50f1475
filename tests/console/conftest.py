"""A running receiver over a store, with deliveries that are good for it; no vendor is there, and none is asked."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.console.receiver import Receiver
from cxbridge.core.clock import ManualClock
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import inbox, planning
from cxbridge.core.store.inbox import Waiting

SECRET = "the-secret-in-use"
OLD = "the-secret-before"

SETTINGS = """
[store]
url = "{store}"

[webhooks]
listen = "127.0.0.1:0"
patience = "{patience}"

[connections.zendesk]
connector = "zendesk"
subdomain = "acme"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
webhook_secret = {{ secret = "hook" }}
webhook_secret_old = {{ secret = "old" }}

[connections.jira]
connector = "jira"
site = "acme"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
projects = ["OPS"]
webhook_secret = {{ secret = "hook" }}

[connections.jira-unsigned]
connector = "jira"
site = "acme"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
projects = ["OPS"]

[connections.zendesk-closed]
connector = "zendesk"
subdomain = "acme"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
"""


@dataclass(frozen=True)
class Delivery:
    """What a vendor sends: header names in small letters."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def with_(self, **changed: Any) -> "Delivery":
        return replace(self, **changed)

    def headed(self, **headers: str) -> "Delivery":
        """With these headers instead; `_` stands for `-`, and an empty one is left out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in {**self.headers, **named}.items() if value}
        return replace(self, headers=kept)


class House:
    """The receiver, and what is in its store."""

    def __init__(self, bridge: Bridge, receiver: Receiver, clock: ManualClock, jobs: list[str]) -> None:
        self.bridge = bridge
        self.receiver = receiver
        self.clock = clock
        self.jobs = jobs
        self.url = f"http://{receiver.address}"
        self.paths = {name: one.path for name, one in receiver.endpoints.all.items()}
        # Each request a connection of its own, as from vendors that come by; no proxy is asked.
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30, headers={"connection": "close"})

    def post(self, name: str, delivery: Delivery) -> httpx.Response:
        """Send a delivery to a connection's endpoint."""
        headers = [(key.encode(), value.encode("latin-1")) for key, value in delivery.headers.items()]
        return self.client.post(self.paths[name], content=delivery.body, headers=headers)

    def stored(self) -> list[Waiting]:
        with self.bridge.store.read() as tx:
            return inbox.waiting(tx, limit=10_000)

    def tallies(self, name: str) -> dict[str, int]:
        with self.bridge.store.read() as tx:
            return {what: one.n for what, one in planning.tallies(tx, f"{name}/webhooks").items()}

    def zendesk(self, key: object = 5512, *, secret: str = SECRET, ago: float = 0, **changed: Any) -> Delivery:
        """A ticket event that Zendesk signed that many seconds ago."""
        event = {
            "type": "zen:event-type:ticket.comment_added",
            "account_id": 22129848,
            "id": f"event-of-{key}",
            "time": "2026-05-06T08:46:12.123456789Z",
            "zendesk_event_version": "2022-11-06",
            "subject": f"zen:ticket:{key}",
            "detail": {"id": str(key), "status": "OPEN"},
            "event": {"comment": {"id": "46407519287569", "body": "Looking into it."}},
            **changed,
        }
        return self.signed_by_zendesk(msgspec.json.encode(event), secret=secret, ago=ago)

    def signed_by_zendesk(self, body: bytes, *, secret: str = SECRET, ago: float = 0) -> Delivery:
        stamp = f"{self.clock.now() - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%SZ}"
        made = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
        return Delivery(
            body,
            {
                "content-type": "application/json; charset=utf-8",
                "x-zendesk-webhook-id": "01GZ",
                "x-zendesk-webhook-invocation-id": "01HA",
                "x-zendesk-webhook-signature": base64.b64encode(made).decode(),
                "x-zendesk-webhook-signature-timestamp": stamp,
            },
        )

    def jira(self, key: object = 10042, *, secret: str = SECRET, ago: float = 0, **changed: Any) -> Delivery:
        """An issue event that Jira signed; `ago` is how many seconds it is old."""
        at = self.clock.now() - timedelta(seconds=ago)
        event = {
            "timestamp": int(at.timestamp() * 1000),
            "webhookEvent": "jira:issue_updated",
            "issue_event_type_name": "issue_generic",
            "issue": {"id": str(key), "key": f"OPS-{key}", "fields": {"summary": "Export job stops at 40%"}},
            **changed,
        }
        return self.signed_by_jira(msgspec.json.encode(event), secret=secret)

    def signed_by_jira(self, body: bytes, *, secret: str = SECRET) -> Delivery:
        made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return Delivery(
            body,
            {
                "content-type": "application/json; charset=UTF-8",
                "x-atlassian-webhook-identifier": hashlib.sha256(body).hexdigest()[:32],
                "x-hub-signature": f"sha256={made}",
            },
        )


Open = Callable[..., House]


@contextmanager
def opened(
    folder: Path,
    clock: ManualClock,
    store_url: str = "sqlite:///cxbridge.db",
    *,
    patience: str = "10s",
    secret: str = SECRET,
) -> Iterator[House]:
    """Start a receiver over a store of one's choice."""
    (folder / "secrets").mkdir(parents=True)
    (folder / "recipes").mkdir()
    for name, value in (("token", "sandbox-token"), ("hook", secret), ("old", OLD)):
        (folder / "secrets" / name).write_text(value, encoding="utf-8")
    (folder / "cxbridge.toml").write_text(SETTINGS.format(store=store_url, patience=patience))
    jobs: list[str] = []
    with Bridge(load(folder / "cxbridge.toml", {}), clock=clock) as bridge, Receiver(bridge, jobs.append) as receiver:
        house = House(bridge, receiver, clock, jobs)
        try:
            yield house
        finally:
            house.client.close()


@pytest.fixture
def open_house(tmp_path: Path, clock: ManualClock) -> Iterator[Open]:
    """Start a receiver the way a test wants it."""
    with ExitStack() as stack:

        def start(store_url: str = "sqlite:///cxbridge.db", *, at: ManualClock = clock, **more: Any) -> House:
            return stack.enter_context(opened(tmp_path / "house", at, store_url, **more))

        yield start


@pytest.fixture
def house(open_house: Open) -> House:
    """A receiver over SQLite."""
    return open_house()
