"""A stage with all five simulators: one small company that each of them knows, and the three shipped recipes, live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from cxbridge.console.receiver import Receiver
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.connections import no_probe
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.integration.scene import BEGIN, Scene, SceneClock

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
MAYA, DEPUTY = "maya@harbourlight.example", "cs-leads@harbourlight.example"
INES, LEO = "ines@northwind.test", "leo@solo.test"

# Northwind has an owner and is worth little, Solo has no owner, Initech is worth a person's decision.
COMPANY: list[dict[str, Any]] = [
    {"kind": "organization", "name": "Northwind", "external_id": "HL-1", "domains": ["northwind.test"], "tier": "enterprise"},
    {"kind": "organization", "name": "Solo", "external_id": "HL-2", "domains": ["solo.test"], "tier": "self_serve"},
    {"kind": "organization", "name": "Initech", "external_id": "HL-3", "domains": ["initech.test"], "tier": "strategic"},
    {"kind": "gainsight.user", "name": "Maya Ortiz", "email": MAYA},
    {"kind": "gainsight.user", "name": "CS Leads", "email": DEPUTY},
    {"kind": "gainsight.company", "name": "Northwind Traders", "external_id": "HL-1", "csm": MAYA, "arr": 20000, "score": 81},
    {"kind": "gainsight.company", "name": "Solo", "external_id": "HL-2", "arr": 900, "score": 77, "ago": "2d"},
    {"kind": "gainsight.company", "name": "Initech", "external_id": "HL-3", "csm": MAYA, "arr": 250000, "score": 88, "ago": "2d"},
    {"kind": "qualtrics.contact", "name": "Ines Duarte", "email": INES, "account": "HL-1", "account_name": "Northwind"},
    {"kind": "qualtrics.contact", "name": "Leo Solo", "email": LEO, "account": "HL-2", "account_name": "Solo"},
    {"kind": "slack.user", "name": "Maya Ortiz", "email": MAYA},
    {"kind": "slack.user", "name": "CS Leads", "email": DEPUTY},
    {"kind": "slack.channel", "name": "churn-desk"},
]  # fmt: skip

_CONNECTIONS = """
[connections.zendesk]
connector = "zendesk"
url = "{zendesk}"
email = "bridge@example.test"
api_token = {{ secret = "token" }}

[connections.jira]
connector = "jira"
url = "{jira}"
email = "bridge@example.test"
api_token = {{ secret = "token" }}
projects = ["ENG"]
settle = 6

[connections.gainsight]
connector = "gainsight"
url = "{gainsight}"
access_key = {{ secret = "token" }}
webhook_secret = {{ secret = "hook" }}
per_minute = 100

[connections.qualtrics]
connector = "qualtrics"
url = "{qualtrics}"
api_token = {{ secret = "token" }}
webhook_secret = {{ secret = "hook" }}
settle = 0

[connections.qualtrics.invite]
library = "UR_sandbox"
message = "MS_sandbox"
from_email = "surveys@harbourlight.example"
from_name = "Harbourlight"
subject = "Better now?"

[connections.slack]
connector = "slack"
url = "{slack}/api"
token = {{ secret = "token" }}
webhook_secret = {{ secret = "hook" }}

[webhooks]
listen = "127.0.0.1:0"

[calendars.support]
zone = "UTC"
hours = {{ mon-fri = "08:00-18:00" }}

[recipes.inputs.closed-loop-feedback]
follow_up = "SV_relationNPS0001"
"""


class Five(Scene):
    """What customers, owners and engineers do over five vendors, and what their own journal shows."""

    def __init__(self, sandbox: Sandbox, folder: Path, store_url: str | None, more: str) -> None:
        self.sandbox, self.world = sandbox, sandbox.world
        self.control = httpx.Client(base_url=sandbox.control_url, timeout=30)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secrets").mkdir()
        (folder / "secrets" / "token").write_text("sandbox-token")
        (folder / "secrets" / "hook").write_text("sandbox-signing-secret")
        (folder / "recipes").mkdir()
        for file in RECIPES.glob("*.toml"):
            text = file.read_text(encoding="utf-8")
            assert 'stage   = "shadow"' in text
            (folder / "recipes" / file.name).write_text(text.replace('stage   = "shadow"', 'stage   = "live"'))
        store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
        (folder / "cxbridge.toml").write_text(store + _CONNECTIONS.format(**sandbox.world.public_urls) + more)
        self.clock = SceneClock(self.world)
        self.bridge = self.open(no_probe)

    def answer(self, score: int, email: str = INES, **more: Any) -> str:
        """Somebody answers the relationship survey."""
        body = {"score": score, "email": email, "announce": False, **more}
        made = self.act("POST", "/qualtrics/responses", body)
        # Exports show it only after a while.
        self.world.clock.advance(61)
        return str(made["id"])

    def health(self, company: str, score: float) -> None:
        """A company's score moves."""
        self.world.clock.advance(60)
        self.act("PATCH", f"/gainsight/companies/{company}", {"current_score": score})

    def tasks(self) -> list[Any]:
        return list(self.act("GET", "/gainsight/ctas"))

    def messages(self, to: str) -> list[Any]:
        """What stands in a channel, or in our conversation with a person."""
        found: list[Any] = self.act("GET", f"/slack/channels/{to}/messages")["messages"]
        return found

    def tickets_of(self, email: str) -> list[Any]:
        """The tickets that integrations made for a customer."""
        made = [one for one in self.effects("ticket.created") if one.vendor == "zendesk"]
        found = [self.seen_ticket(int(one.key)) for one in made]
        with self.world.lock:
            who = self.world.zendesk.user_by_email(email)
        return [one for one in found if who is not None and one["ticket"]["requester_id"] == who.id]

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Take webhooks in, as `cxbridge run` does; gives the base address."""
        with Receiver(self.bridge, lambda _: None) as receiver:
            yield self.subscribe(receiver)

    def subscribe(self, receiver: Receiver) -> str:
        """Have the vendors send their webhooks to a receiver; gives the base address."""
        base = f"http://{receiver.address}"
        paths = {name: f"{base}{one.path}" for name, one in receiver.endpoints.all.items()}
        hooks = {"interactivity_url": paths["slack"], "signing_secret": "sandbox-signing-secret"}
        self.act("PUT", "/slack/hooks", hooks)
        self.act("POST", "/qualtrics/subscriptions", {"url": paths["qualtrics"], "shared_key": hooks["signing_secret"]})
        self.act("POST", "/gainsight/webhooks", {"url": paths["gainsight"], "token": hooks["signing_secret"]})
        return base

    def press(self, approval: str, choice: str, user: str = "Maya Ortiz", **form: str) -> None:
        """Somebody presses a button in Slack, and what that sends is worked off."""
        body = {"approval": approval, "choice": choice, "user": user, "form": form}
        self.act("POST", "/slack/click", body)
        assert self.world.hooks.settle()
        assert self.world.hooks.sent("slack")[-1].status == 200
        assert self.bridge.inbox.take("slack").answered == 1

    def quiet(self, cycles: int = 3) -> None:
        """Play on with nothing new from outside: nobody is written to, nothing was done twice."""
        before = self.writes()
        for _ in range(cycles):
            planned, pushed = self.cycle()
            assert pushed == 0, planned
        assert self.writes() == before
        assert self.summary()["duplicates"] == []


@contextmanager
def five(folder: Path, *, store_url: str | None = None, more: str = "") -> Iterator[Five]:
    """Set the stage on an ordinary Wednesday morning; everything that is there was read once."""
    options: dict[str, dict[str, Any]] = {
        "gainsight": {"per_minute": None, "per_day": None},
        "qualtrics": {"limits": None},
        "slack": {"limits": None},
    }
    world = World(
        zendesk_options={"limits": None},
        jira_options={"limits": None, "issue_writes": None},
        options=options,
        clock=SandboxClock(BEGIN),
    )
    with Sandbox(world) as sandbox:
        stage = Five(sandbox, folder, store_url, more)
        try:
            stage.load(*COMPANY)
            stage.cycle()
            assert stage.writes() == 0
            yield stage
        finally:
            stage.close()


def reopened(stage: Five) -> None:
    """Start anew over the same store, with the settings as they now stand."""
    stage.bridge.close()
    stage.bridge = Bridge(load(stage.folder / "cxbridge.toml"), clock=stage.clock)
