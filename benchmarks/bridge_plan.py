"""Plans a long change log as a process of its own: with the shipped recipe, or with many recipes that are made up.

    python -m benchmarks.bridge_plan --folder EMPTY_FOLDER [--tickets 100000] [--recipes 0]

The store is filled first, past any vendor. What is measured is reading the log, showing the tickets to the recipes, judging
them, counting why they were left alone and moving the positions. Before that, as the daemon does, people and companies are looked
at to find out who is who. Prints one line of JSON.

With the shipped recipe no ticket asks for anything: that is what every change costs that leads to nothing; then its sweep looks at
every ticket once more. With `--recipes N` there are N recipes, each of which wants another value of a component, a tag or an
environment, and one ticket in a hundred has the value of exactly one of them: it becomes a run with its first delivery. No vendor
is called.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxbridge.core.canonical import Account, Agent, AnyEntity, Contact, StatusCategory, Ticket
from cxbridge.core.config import load
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import body_view, incoming
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import records

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "escalation-to-jira.toml"
PAGE = 1000
BEGIN = datetime(2026, 5, 6, tzinfo=UTC)
PEOPLE, AGENTS, COMPANIES = 20_000, 50, 2_000
TAGS = ("late", "parcel", "vip", "refund", "import", "customs", "label")
# Of so many tickets one asks a made-up recipe for something.
ONE_IN = 100
# How many tickets are shown to one condition to learn what it costs.
LOOKED_AT = 500
MADE_UP = """
title = "Tickets of sort {number} become issues"
owner = "support-ops"
stage = "live"

[use]
desk    = "zendesk"
tracker = "jira"

[[trigger]]
id     = "changed"
on     = "ticket.changed"
from   = "desk"
fields = ["tags", "component", "environment", "status_category"]

[when]
asked_for  = "{wanted}"
still_open = "ticket.status_category not in ['resolved', 'closed', 'cancelled']"
right_tier = "account.tier in ['free', 'team', 'enterprise']"

[run]
key      = "ticket.id"
once_per = "ticket.id"

[limits]
halt_if_matches = 1000000
writes_per_hour = 1000000

[[step]]
id = "issue"
do = "tracker.issue.ensure"
[step.with]
same_as = "{{{{ ticket.id }}}}"
project = "ENG"
type    = "bug"
subject = "[{{{{ ticket.source_key }}}}] {{{{ ticket.subject }}}}"
labels  = ["from-support"]
body    = "{{{{ ticket.body_text | limit(4000) }}}}"
"""


def write_settings(folder: Path, recipes: int = 0) -> Path:
    """Write a configuration of two connections that are never spoken to, and so many recipes, live; give its path.

    With none, it is the shipped recipe.
    """
    for name in ("secrets", "recipes"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "secrets" / "token").write_text("made-up-token")
    if recipes:
        for number in range(recipes):
            wanted = (
                f"ticket.component == 'part-{number}'",
                f"'case-{number}' in ticket.tags",
                f"ticket.environment in ['site-{number}', 'site-{number}-test']",
            )[number % 3]
            made = MADE_UP.format(number=number, wanted=wanted)
            (folder / "recipes" / f"sort-{number}.toml").write_text(made, encoding="utf-8")
    else:
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


def fill(bridge: Bridge, tickets: int, recipes: int = 0) -> None:
    """Store people, companies and tickets as a first pull would; one ticket in a hundred asks one of the recipes for something."""
    fill_people(bridge)
    fill_tickets(bridge, "zendesk", range(tickets), recipes)


def fill_people(bridge: Bridge) -> None:
    """Store the people and the companies that tickets are about."""
    accounts: list[AnyEntity] = [
        Account(source_id=str(number), name=f"Company {number}", tier=("free", "team", "enterprise")[number % 3])
        for number in range(COMPANIES)
    ]
    people: list[AnyEntity] = [
        Contact(source_id=str(number), name=f"Person {number}", emails=[f"person{number}@example.com"])
        for number in range(PEOPLE)
    ]
    people += [Agent(source_id=f"a{number}", name=f"Agent {number}") for number in range(AGENTS)]
    _store(bridge, "zendesk", "organizations", accounts)
    _store(bridge, "zendesk", "users", people)


def fill_tickets(bridge: Bridge, connection: str, numbers: range, recipes: int = 0) -> None:
    """Store the tickets of these numbers, a page of a thousand in a commit: memory does not grow with how many they are."""
    draw = random.Random(7 + numbers.start)
    for start in range(numbers.start, numbers.stop, PAGE):
        page = range(start, min(start + PAGE, numbers.stop))
        some: list[AnyEntity] = [_ticket(number, draw, recipes) for number in page]
        _store(bridge, connection, "tickets", some)


def _store(bridge: Bridge, connection: str, stream: str, entities: list[AnyEntity]) -> None:
    for start in range(0, len(entities), PAGE):
        page = [incoming(stream, one) for one in entities[start : start + PAGE]]
        with bridge.store.write() as tx:
            records.apply(tx, connection, page, BEGIN)


def _ticket(number: int, draw: random.Random, recipes: int) -> Ticket:
    status: StatusCategory = draw.choice(("new", "open", "waiting", "resolved", "closed"))
    tags = draw.sample(TAGS, 4)
    component = environment = None
    if recipes:
        # What nobody wants is a value too: a field that is empty would be the easier case.
        component, environment = f"other-{number % 50}", f"elsewhere-{number % 50}"
        if number % ONE_IN == 0:
            wanted = number // ONE_IN % recipes
            status = "open"
            if wanted % 3 == 0:
                component = f"part-{wanted}"
            elif wanted % 3 == 1:
                tags = [*tags, f"case-{wanted}"]
            else:
                environment = f"site-{wanted}"
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
        status_category=status,
        priority=draw.choice(("urgent", "high", "normal", "low", "none")),
        channel="email",
        requester=f"users/{number % PEOPLE}",
        submitter=f"users/{number % PEOPLE}",
        assignee=f"users/a{number % AGENTS}",
        team="groups/1",
        account=f"organizations/{number % COMPANIES}",
        tags=sorted(tags),
        component=component,
        environment=environment,
    )


def _condition_cost(bridge: Bridge, recipes: Sequence[Recipe]) -> float:
    """Give the median of what judging one condition costs, in microseconds, over conditions of the recipes and stored tickets."""
    taken = []
    with bridge.store.read() as tx:
        scopes = Scopes(tx, bridge.clock.now())
        found = records.scan(tx, kinds=["ticket"], connection="zendesk", limit=LOOKED_AT)
        # As planning does, before it shows a batch to anybody.
        scopes.look_ahead(one.ref for one in found)
        shown = [body_view(one.ref, one.kind, one.body) for one in found]
        for recipe in recipes[:30]:
            built = [scopes.build(recipe, "ticket", one) for one in shown]
            for named in recipe.conditions:
                for scope in built:
                    begun = time.perf_counter_ns()
                    named.condition.holds(scope)
                    taken.append((time.perf_counter_ns() - begun) / 1000)
    return statistics.median(taken)


def main() -> None:
    """Fill, plan, and sweep where there is a schedule."""
    parser = argparse.ArgumentParser(description="plan a change log of which little matches")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--recipes", type=int, default=0, help="so many made-up recipes; with 0, the shipped one")
    asked = parser.parse_args()
    settings = load(write_settings(asked.folder, asked.recipes))
    opened = time.perf_counter()
    with Bridge(settings) as bridge:
        loaded = time.perf_counter()
        recipes = bridge.library.recipes
        if bridge.library.errors or len(recipes) != (asked.recipes or 1):
            raise SystemExit(f"the recipes cannot be loaded: {bridge.library.errors[:1]}")
        fill(bridge, asked.tickets, asked.recipes)
        looked = time.perf_counter()
        identified = bridge.identifier.run()
        begun, used = time.perf_counter(), time.process_time()
        planned: Planned = bridge.planner.plan(recipes)
        planned_by, used_by = time.perf_counter(), time.process_time()
        swept = bridge.sweeper.sweep(recipes)
        swept_by = time.perf_counter()
        condition = _condition_cost(bridge, recipes)
    print(
        json.dumps(
            {
                "recipes": len(recipes),
                "load_seconds": loaded - opened,
                "changes": planned.changes,
                "considered": planned.considered,
                "started": planned.started + swept.started,
                "seconds": planned_by - begun,
                "cpu": used_by - used,
                "sweep_seconds": swept_by - planned_by,
                "people": identified.looked_at,
                "people_seconds": begun - looked,
                "condition": condition,
            }
        )
    )


if __name__ == "__main__":
    main()
