"""What a stage is like before anybody does anything: recipes, vendors, who is there; as a configuration and as a world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.world import World
from tests.reliability.wire import Network, address

BEGIN = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
# How long Jira's search may not show a new issue, as connections are told.
SETTLE = 6

_BASIC = 'email = "bridge@example.test"\napi_token = { secret = "token" }\n'
_CONNECTIONS = {
    "zendesk": _BASIC + "fields = { engineering_issue = 360000000101, engineering_status = 360000000102 }\n"
    'webhook_secret = { secret = "hook" }\n',
    "jira": _BASIC + f'projects = ["ENG"]\nsettle = {SETTLE}\nwebhook_secret = {{ secret = "hook" }}\n',
    "gainsight": 'access_key = { secret = "token" }\nwebhook_secret = { secret = "hook" }\nper_minute = 100\n',
    "qualtrics": 'api_token = { secret = "token" }\nwebhook_secret = { secret = "hook" }\nsettle = 0\n',
    "slack": 'token = { secret = "token" }\nwebhook_secret = { secret = "hook" }\n',
}
_WITHOUT_LIMITS: dict[str, dict[str, Any]] = {
    "zendesk": {"limits": None},
    "jira": {"limits": None, "issue_writes": None, "seed_issues": False},
    "gainsight": {"per_minute": None, "per_day": None},
    "qualtrics": {"limits": None},
    "slack": {"limits": None},
}
_FIELDS = (
    {"kind": "ticket_field", "id": 360000000101, "title": "Engineering issue", "type": "text"},
    {"kind": "ticket_field", "id": 360000000102, "title": "Engineering status", "type": "text"},
)


@dataclass(frozen=True)
class Setting:
    """What a stage is like before anybody does anything.

    `recipes` are texts by file name. `streams` are what each cycle pulls, all of them where it is empty. `connections` are further
    settings by connection, as TOML; `options` those of the simulated vendors.
    """

    name: str
    recipes: Mapping[str, str]
    vendors: tuple[str, ...] = ("zendesk", "jira")
    rows: tuple[Mapping[str, Any], ...] = ()
    streams: tuple[tuple[str, str], ...] = ()
    connections: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    more: str = ""
    seed: int = 1

    def build_world(self) -> tuple[World, Network]:
        """Build the world as it is at the beginning; equal settings give equal worlds."""
        world = self.empty_world()
        network = Network(world, self.vendors)
        self.fill(world)
        return world, network

    def empty_world(self) -> World:
        """Build a world whose vendors are not there yet."""
        options = {name: {**_WITHOUT_LIMITS[name], **self.options.get(name, {})} for name in self.vendors}
        return World(
            self.seed,
            zendesk_options=options.pop("zendesk", {"limits": None}),
            jira_options=options.pop("jira", {}),
            options=options,
            clock=SandboxClock(BEGIN, frozen=True),
        )

    def fill(self, world: World) -> None:
        """Put into a world what there is in it at the beginning."""
        rows = [*(_FIELDS if "zendesk" in self.vendors else ()), *self.rows]
        seed.load_text(world, "\n".join(msgspec.json.encode(row).decode() for row in rows), self.name)

    def write(self, folder: Path) -> None:
        """Write the configuration."""
        for place, texts in {
            "secrets": {"token": "sandbox-token", "hook": "sandbox-signing-secret"},
            "recipes": self.recipes,
        }.items():
            (folder / place).mkdir(parents=True)
            for name, text in texts.items():
                (folder / place / name).write_text(text, encoding="utf-8")
        parts = [self.more]
        for name in self.vendors:
            url = address(name) + ("/api" if name == "slack" else "")
            head = f'[connections.{name}]\nconnector = "{name}"\nurl = "{url}"\n'
            parts.append(head + _CONNECTIONS[name] + self.connections.get(name, ""))
        (folder / "cxbridge.toml").write_text("\n".join(parts), encoding="utf-8")
