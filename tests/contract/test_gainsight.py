"""The Gainsight connector keeps the contract, against the simulated tenant."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import Gainsight
from cxbridge.sandbox.gainsight.tenant import Tenant
from cxbridge.testing import ConnectorContract, Lab, Simulated, Trial, simulated

ROWS: list[dict[str, Any]] = [
    {"kind": "gainsight.user", "email": "ana@example.test", "name": "Ana Ruiz"},
    {"kind": "gainsight.user", "email": "ben@example.test", "name": "Ben Okafor"},
    {"kind": "gainsight.user", "email": "cy@example.test", "name": "Cy Lund", "active": False},
    *(
        {
            "kind": "gainsight.company",
            "name": f"Company {number}",
            "external_id": f"HL-{number}",
            "csm": "ana@example.test",
            "arr": 1000 * number,
            "renewal_date": f"2026-09-0{number}",
            "contract_start": "2024-02-01",
            "stage": stage,
            "industry": "Logistics",
            "tier": "Enterprise",
            "segment": "Mid-market",
            "region": "EMEA",
            "support_plan": "Gold",
            "domains": [f"company{number}.example"],
            "tags": ["beta"],
            "summary": "A customer of old.",
            "score": score,
            "trend": trend,
            "nps": 7,
            "ago": f"{9 - number}d",
        }
        for number, stage, score, trend in (
            (1, "Adopting", 80, "Up"),
            (2, "Will Churn", 41, "Down"),
            (3, "Kicked Off", 60, "Same"),
            (4, "Churned", None, None),
            (5, "Launched", 76, "Up"),
        )
    ),
    # Many that changed at one moment, as after an import.
    *(
        {"kind": "gainsight.company", "name": f"Import {number}", "parent": "HL-5", "ago": "3d", "score": 50 + number}
        for number in range(5)
    ),
    *(
        {
            "kind": "gainsight.person",
            "email": f"Person{number}@company{number}.example",
            "name": f"Pat {number}",
            "company": f"HL-{number}",
            "title": "VP Operations",
            "opt_out": number == 2,
            "external_id": f"P-{number}",
            "language": "de",
            "timezone": "Europe/Berlin",
            "ago": f"{9 - number}d",
        }
        for number in range(1, 6)
    ),
    *(
        {
            "kind": "gainsight.cta",
            "company": f"HL-{number}",
            "title": f"Call number {number}",
            "reason": "Renewal",
            "status": status,
            "body": "Please look at this.",
            "source": "desk/tickets/7",
            "due": "2026-05-20",
            "important": True,
            "ago": f"{20 - 2 * number}d",
        }
        for number, status in enumerate(("New", "Work In Progress", "Closed Success", "Closed Lost", "New"), start=1)
    ),
    *(
        {
            "kind": "gainsight.cta",
            "company": "HL-1",
            "title": f"Call of one day, number {number}",
            "ago": "5d",
            "marker": f"cxb:{number:016x}",
        }
        for number in range(4)
    ),
    *(
        {
            "kind": "gainsight.touchpoint",
            "company": f"HL-{number}",
            "subject": f"Call {number}",
            "body": "We spoke.",
            "type": "Call",
            "external_id": f"cxb:{number:016x}",
            "ago": f"{9 - number}d",
        }
        for number in range(1, 6)
    ),
    *(
        {
            "kind": "gainsight.score",
            "company": f"HL-{number}",
            "measure": "Adoption",
            "score": 10 * number,
            "previous": 50,
            "trend": "Down",
            "ago": f"{9 - number}d",
        }
        for number in range(1, 6)
    ),
]
COMPANY = "\n".join(json.dumps(row) for row in ROWS)
SETTINGS = {
    "per_minute": 100,
    "page": 3,
    "settle": 5,
    "fields": {
        "domains": "Domains__gc",
        "tier": "Tier__gc",
        "segment": "Segment__gc",
        "region": "Region__gc",
        "support_plan": "Support_Plan__gc",
        "seats": "Employees",
    },
    "contact_fields": {"language": "Language__gc"},
    "task_fields": {"ticket": "Source_Ref__gc"},
    "health_field": "Cxbridge_Health__gc",
    "author_email": "bridge@example.test",
}


TWO_OBJECTS = {
    "the_oldest_change_comes_first: health": (
        "overall scores and those of measures are two objects, read one after the other, each oldest first"
    )
}
ONE_PAGE = {
    f"streams_have_pages: {stream}": "all of the tenant fits one page here; small pages are what the others try"
    for stream in ("users", "companies", "persons", "ctas", "timeline", "health")
}


class TestGainsight(ConnectorContract):
    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        return lab_of(site, access_key="sandbox-token")


class TestGainsightWithMeasures(ConnectorContract):
    """With the scores of single measures, in a tenant that answers in the other form and writes times as text."""

    waivers = TWO_OBJECTS

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        tenant = tenant_of(site)
        tenant.control("PATCH", "options", {"shape": "records", "dates": "iso", "empty": "list"})
        made = lab_of(site, access_key="sandbox-token")
        return replace(made, settings={**made.settings, "scorecard": "scorecard_fact_company"})


class TestGainsightByClient(ConnectorContract):
    """With a token that the M2M client gets, in large pages."""

    waivers = ONE_PAGE

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        made = lab_of(site, client_id="cxbridge", client_secret="sandbox-secret")
        return replace(made, settings={**made.settings, "page": 5000})


@pytest.fixture
def site() -> Iterator[Simulated]:
    with simulated("gainsight", COMPANY, options={"per_minute": None, "per_day": None}) as started:
        yield started


def lab_of(site: Simulated, **credential: str) -> Lab:
    return Lab(
        connector=Gainsight,
        settings={"url": site.url, **SETTINGS, **credential},
        wrong={name: "wrong-secret" for name in credential if name != "client_id"},
        trials=trials(site),
        effects=site.effects,
        change=lambda stream: changed(site, stream),
        clock=site.clock,
    )


def tenant_of(site: Simulated) -> Any:
    return site.world.vendors["gainsight"]


def key(site: Simulated, table: str, **wanted: Any) -> str:
    """The GSID of the one row that has these values."""
    tenant: Tenant = tenant_of(site).tenant
    [row] = [row for row in tenant.rows(table) if all(row.get(name) == value for name, value in wanted.items())]
    return str(row["Gsid"])


def trials(site: Simulated) -> list[Trial]:
    first, second = (key(site, "company", Name=f"Company {number}") for number in (1, 2))
    opened = key(site, "call_to_action", Name="Call number 1")
    under_way = key(site, "call_to_action", Name="Call number 2")
    return [
        Trial(
            "task.ensure",
            cx.EnsureTask(
                account=first,
                title="Detractor follow-up",
                reason="Survey Response",
                body="NPS 3: <Export> keeps failing.\n\nSince May.",
                priority="high",
                due_at="2026-05-12",
                evidence=["survey/responses/R_1"],
                custom={"ticket": "desk/tickets/9"},
            ),
            label="for the account's owner",
        ),
        Trial(
            "task.ensure",
            cx.EnsureTask(
                account=second,
                title="Churn alert",
                reason="Moon phase",
                kind="opportunity",
                owner_email="ben@example.test",
            ),
            label="for somebody named",
        ),
        Trial(
            "task.set",
            cx.SetTask(
                title="Another title",
                status="in_progress",
                priority="low",
                owner_email="ben@example.test",
                due_at="2026-06-01",
                note="Customer called.",
                custom={"ticket": "desk/tickets/8"},
            ),
            opened,
        ),
        Trial("task.close", cx.CloseTask(outcome="done", note="All is well again."), opened, "done"),
        Trial("task.close", cx.CloseTask(outcome="dropped"), under_way, "dropped"),
        Trial(
            "timeline.add_once",
            cx.AddTouchpoint(
                account=first, subject="Ticket 45121 solved", body="Expired token.\nRenewed.", at="2026-05-05T10:00:00Z"
            ),
        ),
        Trial(
            "account.set",
            cx.SetAccount(renewal_at="2027-01-31", lifecycle="at_risk", tier="Strategic", custom={"seats": 40}),
            first,
        ),
        Trial(
            "contact.set",
            cx.SetContact(email="new@company1.example", name="Nia New", account=first, title="Buyer", language="en"),
            label="made",
        ),
        Trial(
            "contact.set",
            cx.SetContact(email="person1@company1.example", name="Pat One", account=first, title="CIO"),
            label="changed",
        ),
        Trial("health.set", cx.SetHealth(account=second, value=37.5)),
    ]


def changed(site: Simulated, stream: str) -> str | None:
    """Somebody works in the tenant's own pages."""

    def ui(method: str, path: str, body: dict[str, Any]) -> str:
        status, answer = tenant_of(site).control(method, path, body)
        assert status < 300, answer
        return str(answer["Gsid"])

    site.clock.advance(1)
    match stream:
        case "users":
            return ui("PATCH", "users/ben@example.test", {"name": "Ben O. Okafor"})
        case "companies":
            return ui("PATCH", "companies/HL-1", {"arr": 5})
        case "persons":
            # Only the link changes, not the person.
            return ui("PATCH", "persons/person3@company3.example", {"title": "Chief of Staff"})
        case "ctas":
            return ui("PATCH", f"ctas/{key(site, 'call_to_action', Name='Call number 3')}", {"status": "New"})
        case "timeline":
            return ui(
                "PATCH", f"touchpoints/{key(site, 'activity_timeline', Subject='Call 2')}", {"subject": "Call two"}
            )
        case "health":
            return ui("PATCH", "companies/HL-2", {"current_score": 12, "trend": "Down"})
    return None
