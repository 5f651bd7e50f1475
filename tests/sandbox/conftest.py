"""A running sandbox for each test: the simulated Zendesk over real HTTP on loopback, on a clock that stands still."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)


class Site:
    """The simulated Zendesk as a test talks to it: a client logged in as the integration user, and the world behind."""

    def __init__(self, sandbox: Sandbox, client: httpx.Client) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.client = client

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        """GET a path below `/api/v2`, or a whole address; asserts the status and returns the JSON."""
        return self.send("GET", path, status, params=params or None)

    def send(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        reply = self.ask(method, path, **kwargs)
        assert reply.status_code == status, reply.text
        return reply.json() if reply.content else None

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        url = path if path.startswith("http") else f"{self.sandbox.zendesk_url}/api/v2{path}"
        return self.client.request(method, url, **kwargs)

    def new_ticket(self, subject: str = "Export fails", **fields: Any) -> Any:
        """A ticket created over the API."""
        ticket = {"subject": subject, "comment": {"body": "It stops at 40%."}, **fields}
        return self.send("POST", "/tickets.json", 201, json={"ticket": ticket})["ticket"]

    def wait(self, seconds: float = 61) -> None:
        """Let time pass for the vendor, by default as long as rows are held back."""
        self.world.clock.advance(seconds)

    def control(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        reply = self.client.request(method, f"{self.sandbox.control_url}{path}", **kwargs)
        assert reply.status_code == status, reply.text
        return reply.json()

    def kinds(self, via: Any = "api") -> list[str]:
        """The kinds of effects so far, in order."""
        return [effect.kind for effect in self.world.journal.effects(via=via)]


@pytest.fixture
def start_site() -> Iterator[Callable[..., Site]]:
    """Start a sandbox with options of its own; without limits unless the test says otherwise."""
    with ExitStack() as stack:

        def start(**options: Any) -> Site:
            world = World(zendesk_options={"limits": None, **options}, clock=SandboxClock(NOW, frozen=True))
            sandbox = stack.enter_context(Sandbox(world, vendors=("zendesk",)))
            client = stack.enter_context(
                httpx.Client(auth=(f"{world.zendesk.options.user}/token", "sandbox-token"), trust_env=False)
            )
            return Site(sandbox, client)

        yield start


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    return start_site()
