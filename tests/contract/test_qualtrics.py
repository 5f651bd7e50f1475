"""The Qualtrics connector keeps the contract, against the simulated brand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import Qualtrics
from cxbridge.sandbox.qualtrics.surveys import ONBOARDING, RELATION, SUPPORT
from cxbridge.testing import ConnectorContract, Lab, Simulated, Trial, simulated

MESSAGE = {
    "library": "UR_sandboxlibrary1",
    "message": "MS_sandboxmessage1",
    "from_email": "surveys@harbourlight.example",
    "from_name": "Harbourlight",
    "subject": "How did we do?",
}

PEOPLE: list[dict[str, Any]] = [
    {
        "id": f"CID_person00000000{at}",
        "email": f"p{at}@kestrelfreight.test",
        "name": f"Person {at}",
        "account": "HL-1001",
    }
    for at in range(5)
]
RESPONSES: list[dict[str, Any]] = [
    {
        "id": f"R_response0000{at:02d}",
        "survey": (RELATION, SUPPORT)[at % 2],
        "score": (3, 2)[at % 2],
        "verbatim": "The export keeps failing.",
        "email": f"p{at % 5}@kestrelfreight.test",
        "recorded": f"2026-0{1 + at // 4}-{10 + at}T09:00:00Z",
        "contact_ok": at % 3 != 0,
        "ticket": "45121",
    }
    for at in range(12)
]
# Given a quarter of an hour ago: what is written beside it now is still inside the next export.
RECENT: dict[str, Any] = {
    "id": "R_recentanswer01",
    "survey": RELATION,
    "score": 9,
    "email": "p4@kestrelfreight.test",
    "recorded": "2026-05-06T08:30:00Z",
}
COMPANY = "\n".join(
    msgspec.json.encode(row).decode()
    for row in (
        *({"kind": "qualtrics.contact", **row} for row in PEOPLE),
        *({"kind": "qualtrics.response", **row} for row in (*RESPONSES, RECENT)),
        *({"kind": "qualtrics.survey", "id": f"SV_quiet000000000{at}", "name": f"Old {at}"} for at in range(3)),
        *({"kind": "qualtrics.ticket", "key": f"TK-2000{at}", "name": f"Detractor {at}"} for at in range(3)),
    )
)

WAIVERS = {
    "the_oldest_change_comes_first: responses": "exports are made by survey, and each survey has a place of its own",
    "a_malformed_record_is_refused_alone: responses": "responses come in an archive; tests/plugins/qualtrics has bad ones",
}


class TestQualtrics(ConnectorContract):
    waivers = WAIVERS

    @pytest.fixture
    def lab(self, brand: Simulated) -> Lab:
        return lab_of(brand, api_token="sandbox-token")


class TestQualtricsWithAnOAuthClient(ConnectorContract):
    """With client credentials, for which no scope of tickets is known."""

    waivers = WAIVERS

    @pytest.fixture
    def lab(self, brand: Simulated) -> Lab:
        made = lab_of(brand, client_id="cxbridge", client_secret="sandbox-secret", tickets=False)
        return replace(made, trials=[trial for trial in TRIALS if trial.action != "ticket.set"])


class TestQualtricsBehindAProxy(ConnectorContract):
    """With empty pages in every list, no ids of requests, and exports that are looked at often."""

    waivers = WAIVERS

    @pytest.fixture
    def lab(self, brand: Simulated) -> Lab:
        odd = {"empty_pages": True, "null_request_ids": True, "export_polls": 3, "export_seconds": 9.0}
        brand.world.vendors["qualtrics"].control("PATCH", "options", odd)
        return lab_of(brand, api_token="sandbox-token")


@pytest.fixture
def brand() -> Iterator[Simulated]:
    with simulated("qualtrics", COMPANY, options={"limits": None, "survey_page": 2}) as started:
        people = started.world.vendors["qualtrics"]
        for person in PEOPLE[:3]:
            people.control("POST", "distributions", {"survey": RELATION, "email": person["email"]})
        started.clock.advance(60)
        yield started


def lab_of(brand: Simulated, **given: Any) -> Lab:
    return Lab(
        connector=Qualtrics,
        settings={
            "url": brand.url,
            "webhook_secret": "sandbox-shared-key",
            "surveys": {ONBOARDING: {"metric": "ces", "direction": "up", "programme": "lifecycle"}},
            "invite": MESSAGE,
            "ticket_statuses": {"0": "open", "1": "in_progress", "2": "closed"},
            "ticket_priorities": {"0": "low", "1": "normal", "2": "high"},
            **given,
        },
        trials=TRIALS,
        effects=brand.effects,
        change=lambda stream: changed(brand, stream),
        clock=brand.clock,
        # New responses reach exports late.
        lag=120,
        page_size={"pageSize": 2},
    )


TRIALS = (
    Trial(
        "survey.invite_once",
        cx.Invite(survey=SUPPORT, email="p1@kestrelfreight.test", attributes={"ticketId": "45121"}),
    ),
    Trial("response.set", cx.SetResponse(attributes={"jiraKey": "OPS-12"}), f"{RELATION}/R_recentanswer01"),
    Trial(
        "contact.set", cx.SetContact(email="p2@kestrelfreight.test", language="de", custom={"plan": "pro"}), label="old"
    ),
    Trial(
        "contact.set", cx.SetContact(email="new@nordhafen.example", name="Nea Wolff", account="HL-1008"), label="new"
    ),
    Trial("ticket.set", cx.SetTicket(status_category="in_progress", priority="high"), "TK-20001"),
)


def changed(brand: Simulated, stream: str) -> str | None:
    """Somebody works in Qualtrics, or answers."""
    brand.clock.advance(1)
    people = brand.world.vendors["qualtrics"]
    match stream:
        case "surveys":
            people.control("PATCH", f"surveys/{RELATION}", {"name": "Another name"})
            return RELATION
        case "responses":
            people.control("PATCH", "responses/R_response000003", {"embedded": {"seen": "yes"}, "reset": True})
            return f"{SUPPORT}/R_response000003"
    return None
