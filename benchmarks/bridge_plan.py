"""Plans a long change log with the shipped recipe, none of whose tickets asks for anything, as a process of its own.

    python -m benchmarks.bridge_plan --folder EMPTY_FOLDER [--tickets 100000]

The store is filled first, past any vendor. What is measured is reading the log, showing each ticket to the recipe, judging
it, counting why it was left alone and moving the position: what every change costs that leads to nothing. Before that, as the
daemon does, people and companies are looked at to find out who is who; then the recipe's sweep looks at every ticket once more.
Prints one line of JSON.
"""

import argparse
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxbridge.core.canonical import Account, Agent, AnyEntity, Contact, Ticket
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.plan import Planned
from cxbridge.core.ledger import incoming
from cxbridge.core.store import records

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "escalation-to-jira.toml"
PAGE = 1000
BEGIN = datetime(2026, 5, 6, tzinfo=UTC)
PEOPLE, AGENTS, COMPANIES = 20_000, 50, 2_000


def write_settings(folder: Path) -> Path:
    """Write a configuration of two connections that are never spoken to, and the shipped recipe, live; give its path."""
    for name in ("secrets", "recipes"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "secrets" / "token").write_text("made-up-token")
    recipe = RECIPE.read_text(encoding="utf-8")
    live = recipe.replace('stage   = "shadow"', 'stage   = "live"')
    if live == recipe:
        raise SystemExit(f"{RECIPE.name} is no longer shipped in the shadow stage")
    (folder / "recipes" / RECIPE.name).write_text(live, encoding="utf-8")
    path = folder / "cxbridge.toml"
    path.write_text(
        """[connections.zendesk]
connector = "zendesk"
url = "http://127.0.0.1:9"
access_token = { secret = "token" }
fields = { engineering_issue = 360000000101 }

[connections.jira]
connector = "jira"
url = "http://127.0.0.1:9"
email = "bridge@example.test"
api_token = { secret = "token" }
projects = ["ENG"]
"""
    )
    return path


def fill(bridge: Bridge, tickets: int) -> None:
    """Store people, companies and tickets as a first pull would."""
    draw = random.Random(7)
    accounts: list[AnyEntity] = [
        Account(source_id=str(number), name=f"Company {number}", tier=("free", "team", "enterprise")[number % 3])
        for number in range(COMPANIES)
    ]
    people: list[AnyEntity] = [
        Contact(source_id=str(number), name=f"Person {number}", emails=[f"person{number}@example.com"])
        for number in range(PEOPLE)
    ]
    people += [Agent(source_id=f"a{number}", name=f"Agent {number}") for number in range(AGENTS)]
    _store(bridge, "organizations", accounts)
    _store(bridge, "users", people)
    for start in range(0, tickets, PAGE):
        _store(bridge, "tickets", [_ticket(number, draw) for number in range(start, min(start + PAGE, tickets))])


def _store(bridge: Bridge, stream: str, entities: list[AnyEntity]) -> None:
    for start in range(0, len(entities), PAGE):
        page = [incoming(stream, one) for one in entities[start : start + PAGE]]
        with bridge.store.write() as tx:
            records.apply(tx, "zendesk", page, BEGIN)


def _ticket(number: int, draw: random.Random) -> Ticket:
    return Ticket(
        source_id=str(number),
        source_key=str(number),
        url=f"https://acme.example/agent/tickets/{number}",
        created_at=BEGIN - timedelta(minutes=number),
        updated_at=BEGIN,
        custom={"engineering_issue": None} | {str(360000000200 + field): "word " * 4 for field in range(16)},
        subject=f"Delivery {number} is late",
        body_text="The parcel was announced for Monday and has not come. " * 12,
        type="incident",
        status_category=draw.choice(("new", "open", "waiting", "resolved", "closed")),
        priority=draw.choice(("urgent", "high", "normal", "low", "none")),
        channel="email",
        requester=f"users/{number % PEOPLE}",
        submitter=f"users/{number % PEOPLE}",
        assignee=f"users/a{number % AGENTS}",
        team="groups/1",
        account=f"organizations/{number % COMPANIES}",
        tags=sorted(draw.sample(("late", "parcel", "vip", "refund", "import", "customs", "label"), 4)),
    )


def main() -> None:
    """Fill, plan, sweep."""
    parser = argparse.ArgumentParser(description="plan a change log in which nothing matches")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=100_000)
    asked = parser.parse_args()
    with Bridge(load(write_settings(asked.folder))) as bridge:
        if bridge.library.errors or len(bridge.library.recipes) != 1:
            raise SystemExit(f"the shipped recipe cannot be loaded: {bridge.library.errors}")
        fill(bridge, asked.tickets)
        looked = time.perf_counter()
        identified = bridge.identifier.run()
        begun, used = time.perf_counter(), time.process_time()
        planned: Planned = bridge.planner.plan(bridge.library.recipes)
        planned_by, used_by = time.perf_counter(), time.process_time()
        swept = bridge.sweeper.sweep(bridge.library.recipes)
        swept_by = time.perf_counter()
    print(
        json.dumps(
            {
                "changes": planned.changes,
                "considered": planned.considered,
                "started": planned.started + swept.started,
                "seconds": planned_by - begun,
                "cpu": used_by - used,
                "sweep_seconds": swept_by - planned_by,
                "people": identified.looked_at,
                "people_seconds": begun - looked,
            }
        )
    )


if __name__ == "__main__":
    main()
