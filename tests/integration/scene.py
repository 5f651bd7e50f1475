"""A stage for scenes: both simulators, a bridge over real HTTP and a real store, and one clock that only the scene moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from cxbridge.core.config import load
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.connections import no_probe
from cxbridge.core.errors import VendorError
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.store import outbox, runs
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / "escalation-to-jira.toml"
TOKEN = "sandbox-token"

BEGIN = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)

# Limits high enough that scenes about something else never meet them.
ROOMY = {"account": 100_000, "incremental": 100_000}


class SceneClock:
    """The simulators' clock as the daemon's: waiting moves both, so no scene sleeps."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._begun = world.clock.now()

    def now(self) -> datetime:
        return self._world.clock.now()

    def monotonic(self) -> float:
        return (self._world.clock.now() - self._begun).total_seconds()

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        if wake is not None and wake.is_set():
            return True
        self._world.clock.advance(max(0.0, seconds))
        return False


class Scene:
    """What customers, agents and engineers do, what cxbridge then does, and what the simulators' own journal shows."""

    def __init__(self, sandbox: Sandbox, folder: Path, store_url: str | None, probe: Callable[[str], None]) -> None:
        self.sandbox = sandbox
        self.world: World = sandbox.world
        self.control = httpx.Client(base_url=sandbox.control_url, timeout=30)
        self.folder = folder
        write_folder(folder, sandbox.zendesk_url, sandbox.jira_url, store_url)
        self.clock = SceneClock(self.world)
        self.bridge = self.open(probe)

    def open(self, probe: Callable[[str], None] = no_probe) -> Bridge:
        """Open the bridge anew over the same store, as after a restart."""
        return Bridge(load(self.folder / "cxbridge.toml"), clock=self.clock, probe=probe)

    def close(self) -> None:
        self.bridge.close()
        self.control.close()

    # -- people ----------------------------------------------------------------------------------------------------

    def act(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do something over the control API."""
        reply = self.control.request(method, path, json=body)
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def organization(self, name: str, tier: str) -> None:
        line = {"kind": "organization", "name": name, "tier": tier, "domains": [f"{name.lower()}.test"], "tags": []}
        self.load(line)

    def load(self, *lines: Mapping[str, Any]) -> None:
        import msgspec

        body = b"\n".join(msgspec.json.encode(line) for line in lines)
        reply = self.control.post("/load", content=body)
        assert reply.is_success, reply.text

    def ticket(self, number: int, **fields: Any) -> int:
        """A ticket of an enterprise customer that an agent tagged for engineering an hour ago."""
        line: dict[str, Any] = {
            "kind": "ticket",
            "id": number,
            "subject": f"Export stops at {number} rows",
            "description": "The nightly export stops. Reproduce: start it with more than 40 docks.",
            "priority": "high",
            "status": "open",
            "type": "incident",
            "tags": ["needs-engineering"],
            "age": "3h",
            "updated_age": "1h",
            "requester": {"name": "Mia Lee", "email": "mia@northwind.test"},
            "organization": "Northwind",
        }
        self.load(line | fields)
        return number

    def agent(self, number: int, **changes: Any) -> None:
        """An agent edits a ticket, and the export's delay passes."""
        self.act("PATCH", f"/zendesk/tickets/{number}", changes)
        self.world.clock.advance(61)

    def engineer_closes(self, key: str, resolution: str) -> None:
        """An engineer closes an issue, and the search index catches up."""
        self.act("POST", f"/jira/issues/{key}/transition", {"to": "Done", "resolution": resolution})
        self.world.clock.advance(30)

    # -- cxbridge --------------------------------------------------------------------------------------------------

    def pull(self) -> list[VendorError]:
        failed: list[VendorError] = []
        for connection, stream in self.bridge.streams():
            try:
                self.bridge.pull(connection, stream)
            except VendorError as error:
                failed.append(error)
        return failed

    def push(self) -> int:
        """Push until nothing is due; gives how many deliveries were confirmed."""
        done = 0
        for _ in range(20):
            confirmed = sum(self.bridge.push(name).confirmed for name in self.bridge.connections)
            done += confirmed
            if not confirmed:
                return done
        raise AssertionError("pushing never came to an end")

    def cycle(self) -> tuple[Planned, int]:
        """Pull everything, plan, push; time passes as on an ordinary minute."""
        failed = self.pull()
        assert failed == [], failed
        planned = self.bridge.plan()
        pushed = self.push()
        self.world.clock.advance(61)
        return planned, pushed

    def settle(self, most: int = 40) -> None:
        """Go on until every delivery is decided."""
        for _ in range(most):
            self.cycle()
            with self.bridge.store.read() as tx:
                counts = outbox.unsettled_counts(tx)
            if not any(number for (_, state), number in counts.items() if state in OPEN):
                return
        raise AssertionError(f"still undecided: {counts}")

    # -- evidence --------------------------------------------------------------------------------------------------

    def effects(self, kind: str) -> list[Any]:
        """What integrations did, by the simulators' journal."""
        return [one for one in self.world.journal.effects(via="api") if one.kind == kind]

    def writes(self) -> int:
        return sum(self.summary()["api_effects"].values())

    def summary(self) -> Any:
        return self.act("GET", "/summary")

    def seen_ticket(self, number: int) -> Any:
        return self.act("GET", f"/zendesk/tickets/{number}")

    def issues(self) -> list[Any]:
        """The issues that integrations made."""
        return [one for one in self.act("GET", "/jira/issues") if any(v.startswith("cxb") for v in one["labels"])]

    def runs(self, **wanted: Any) -> list[Run]:
        with self.bridge.store.read() as tx:
            return runs.find(tx, **wanted)

    def deliveries(self, **wanted: Any) -> list[Delivery]:
        with self.bridge.store.read() as tx:
            return outbox.find(tx, **wanted)


OPEN = ("planned", "sent", "retry", "unknown")


def write_folder(folder: Path, zendesk_url: str, jira_url: str, store_url: str | None = None) -> None:
    """Write the configuration a scene runs on."""
    folder.mkdir(parents=True, exist_ok=True)
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "token").write_text(TOKEN)
    recipes = folder / "recipes"
    recipes.mkdir(exist_ok=True)
    text = SHIPPED.read_text(encoding="utf-8")
    assert 'stage   = "shadow"' in text
    (recipes / SHIPPED.name).write_text(text.replace('stage   = "shadow"', 'stage   = "live"'), encoding="utf-8")
    store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    (folder / "cxbridge.toml").write_text(
        f"""{store}
[daemon]
poll = "500ms"

[connections.zendesk]
connector = "zendesk"
url = "{zendesk_url}"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
fields = {{ engineering_issue = 360000000101, engineering_status = 360000000102 }}

[connections.jira]
connector = "jira"
url = "{jira_url}"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
projects = ["ENG"]
settle = 6
"""
    )


@contextmanager
def scene(
    folder: Path,
    *,
    store_url: str | None = None,
    probe: Callable[[str], None] = no_probe,
    zendesk_options: Mapping[str, Any] | None = None,
    jira_options: Mapping[str, Any] | None = None,
) -> Iterator[Scene]:
    """Set the stage: an enterprise customer called Northwind, a self-serve one called Solo, no tickets.

    A scene begins some minutes before a quarter of an hour: what is due by the clock must not depend on when it is played.
    """
    world = World(zendesk_options=zendesk_options, jira_options=jira_options, clock=SandboxClock(BEGIN))
    with Sandbox(world) as sandbox:
        staged = Scene(sandbox, folder, store_url, probe)
        try:
            staged.organization("Northwind", "enterprise")
            staged.organization("Solo", "self_serve")
            staged.load(
                {"kind": "ticket_field", "id": 360000000101, "title": "Engineering issue", "type": "text"},
                {"kind": "ticket_field", "id": 360000000102, "title": "Engineering status", "type": "text"},
            )
            yield staged
        finally:
            staged.close()
