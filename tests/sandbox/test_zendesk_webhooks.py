"""The simulated Zendesk's webhooks: how they are registered, and that what it sends is signed and shaped as Zendesk's is."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.conftest import Site
from tests.sandbox.heard import Ear, Request, listening

EVENT = "zen:event-type:"


@pytest.fixture
def ear() -> Iterator[Ear]:
    with listening() as heard:
        yield heard


def register(site: Site, ear: Ear, *events: str, **more: Any) -> Any:
    webhook = {
        "name": "cxbridge",
        "endpoint": f"{ear.url}/hooks/zendesk/word",
        "http_method": "POST",
        "request_format": "json",
        "status": "active",
        "subscriptions": [f"{EVENT}{one}" for one in events] or ["conditional_ticket_events"],
        **more,
    }
    return site.send("POST", "/webhooks", 201, json={"webhook": webhook})["webhook"]


def heard(site: Site, ear: Ear) -> list[Request]:
    assert site.world.hooks.settle()
    found, ear.requests = ear.requests, []
    return found


def test_a_webhook_is_registered_shown_changed_and_deleted(site: Site, ear: Ear) -> None:
    made = register(site, ear, "ticket.created")
    assert site.get(f"/webhooks/{made['id']}")["webhook"] == made
    assert "secret" not in str(made)
    assert [one["id"] for one in site.get("/webhooks")["webhooks"]] == [made["id"]]
    signing = site.get(f"/webhooks/{made['id']}/signing_secret")["signing_secret"]
    assert signing["algorithm"] == "SHA256"
    new = site.send("POST", f"/webhooks/{made['id']}/signing_secret", 201)["signing_secret"]
    assert new["secret"] != signing["secret"]
    site.send("PATCH", f"/webhooks/{made['id']}", 204, json={"webhook": {"status": "inactive"}})
    site.new_ticket()
    assert heard(site, ear) == []
    site.send("DELETE", f"/webhooks/{made['id']}", 204)
    site.get(f"/webhooks/{made['id']}", 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"endpoint": "ftp://x"},
        {"endpoint": None},
        {"subscriptions": ["conditional_ticket_events", f"{EVENT}ticket.created"]},
        {"subscriptions": ["something"]},
    ],
)
def test_what_cannot_be_registered_is_refused(site: Site, ear: Ear, wrong: dict[str, Any]) -> None:
    webhook = {"name": "x", "endpoint": ear.url, "subscriptions": [f"{EVENT}ticket.created"], **wrong}
    site.send("POST", "/webhooks", 400, json={"webhook": webhook})


def test_only_an_administrator_may(site: Site) -> None:
    site.control(
        "POST", "/zendesk/tickets", 201, json={"subject": "x", "description": "y", "assignee": "ana@acme.test"}
    )
    as_agent = {"auth": ("ana@acme.test/token", "sandbox-token")}
    assert site.ask("GET", "/webhooks", **as_agent).status_code == 403


def test_deliveries_are_signed_over_timestamp_and_body(site: Site, ear: Ear) -> None:
    made = register(site, ear, "ticket.created")
    secret = site.get(f"/webhooks/{made['id']}/signing_secret")["signing_secret"]["secret"]
    site.new_ticket()
    (told,) = heard(site, ear)
    stamp = told.headers["x-zendesk-webhook-signature-timestamp"]
    assert stamp == "2026-05-06T08:46:13Z"
    digest = hmac.new(secret.encode(), stamp.encode() + told.body, hashlib.sha256).digest()
    assert told.headers["x-zendesk-webhook-signature"] == base64.b64encode(digest).decode()
    assert told.headers["x-zendesk-webhook-id"] == made["id"]
    assert {"x-zendesk-webhook-invocation-id", "x-zendesk-account-id"} <= set(told.headers)
    assert [(one.url, one.status) for one in site.world.hooks.sent("zendesk")] == [
        (f"{ear.url}/hooks/zendesk/word", 200)
    ]


def test_events_have_the_form_of_the_fact_sheet(site: Site, ear: Ear) -> None:
    register(site, ear, "ticket.created", "ticket.comment_added", "ticket.status_changed", "ticket.priority_changed")
    ticket = site.new_ticket(priority="high")
    change = {"ticket": {"status": "pending", "priority": "urgent", "comment": {"body": "Wait.", "public": False}}}
    site.send("PUT", f"/tickets/{ticket['id']}.json", json=change)
    site.send("PUT", f"/tickets/{ticket['id']}.json", json={"ticket": {"subject": "nobody asked for this"}})
    told = [one.json() for one in heard(site, ear)]
    assert [one["type"].removeprefix(EVENT) for one in told] == [
        "ticket.created",
        "ticket.comment_added",
        "ticket.priority_changed",
        "ticket.status_changed",
    ]
    made, said, _, status = told
    assert set(made) == {
        "type",
        "account_id",
        "id",
        "time",
        "zendesk_event_version",
        "subject",
        "detail",
        "event",
    }
    assert made["detail"]["id"] == str(ticket["id"])
    assert (made["detail"]["status"], made["detail"]["priority"]) == ("NEW", "HIGH")
    assert made["subject"] == f"zen:ticket:{ticket['id']}"
    assert said["event"]["comment"]["is_public"] is False
    assert isinstance(said["event"]["comment"]["id"], str)
    assert (status["event"]["previous"], status["event"]["current"]) == ("new", "pending")
    assert len({one["id"] for one in told}) == 4


def test_tags_deletion_and_people_are_told_too(site: Site, ear: Ear) -> None:
    register(site, ear, "ticket.tags_changed", "ticket.soft_deleted", "user.created", "organization.created")
    ticket = site.new_ticket()
    site.send("PUT", f"/tickets/{ticket['id']}/tags.json", json={"tags": ["vip"]})
    site.send("DELETE", f"/tickets/{ticket['id']}.json", 204)
    site.control("POST", "/zendesk/organizations", 201, json={"name": "Globex"})
    site.control(
        "POST", "/zendesk/tickets", 201, json={"subject": "x", "requester": {"name": "Mia", "email": "mia@globex.test"}}
    )
    told = [one.json() for one in heard(site, ear)]
    assert [one["type"].removeprefix(EVENT) for one in told] == [
        "ticket.tags_changed",
        "ticket.soft_deleted",
        # The agent who founds the organization, and then the customer.
        "user.created",
        "organization.created",
        "user.created",
    ]
    assert told[1]["detail"]["status"] == "DELETED"


def test_a_trigger_fires_once_for_a_save_and_fills_its_template_as_text(site: Site, ear: Ear) -> None:
    made = site.control(
        "POST",
        "/zendesk/webhooks",
        201,
        json={
            "endpoint": ear.url,
            "secret": "word",
            "template": '{"ticket_id": "{{ticket.id}}", "title": "{{ticket.title}}"}',
        },
    )
    assert made["secret"] == "word"
    ticket = site.new_ticket('A "quoted" title')
    save = {"status": "open", "priority": "high", "comment": {"body": "On it."}}
    site.control("PATCH", f"/zendesk/tickets/{ticket['id']}", json=save)
    told = heard(site, ear)
    broken = f'{{"ticket_id": "{ticket["id"]}", "title": "A "quoted" title"}}'.encode()
    assert [one.body for one in told] == [broken, broken]


def test_a_trigger_can_leave_out_the_integration_itself(site: Site, ear: Ear) -> None:
    body = {"endpoint": ear.url, "skipped": "bridge@example.test"}
    site.control("POST", "/zendesk/webhooks", 201, json=body)
    ticket = site.new_ticket()
    assert heard(site, ear) == []
    site.control("PATCH", f"/zendesk/tickets/{ticket['id']}", json={"priority": "high"})
    assert [one.json() for one in heard(site, ear)] == [{"ticket_id": str(ticket["id"])}]


def test_a_token_of_the_webhooks_own_is_sent_along(site: Site, ear: Ear) -> None:
    authentication = {"type": "bearer_token", "add_position": "header", "data": {"token": "sandbox-token"}}
    made = register(site, ear, "ticket.created", authentication=authentication)
    assert "sandbox-token" not in str(made)
    site.new_ticket()
    assert heard(site, ear)[0].headers["authorization"] == "Bearer sandbox-token"


def test_what_was_there_from_the_start_and_what_changes_nothing_is_told_to_nobody(site: Site, ear: Ear) -> None:
    register(site, ear, "ticket.created", "ticket.priority_changed", "ticket.comment_added")
    line = b'{"kind": "ticket", "id": 7001, "subject": "x", "description": "y", "priority": "high"}'
    site.control("POST", "/load", 201, content=line)
    site.send("PUT", "/tickets/7001.json", json={"ticket": {"priority": "high"}})
    assert heard(site, ear) == []


def test_deliveries_are_lost_while_the_receiver_is_down(site: Site, ear: Ear) -> None:
    register(site, ear, "ticket.created")
    assert site.control("PUT", "/hooks", json={"down": True})["down"] is True
    site.new_ticket()
    assert heard(site, ear) == []
    site.control("PUT", "/hooks", json={"down": False})
    assert [one["status"] for one in site.control("GET", "/hooks")["sent"]] == [0]
    site.new_ticket()
    assert len(heard(site, ear)) == 1
