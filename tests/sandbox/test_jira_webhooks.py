"""The simulated Jira's webhooks: an administrator's and an app's, and that what they send is signed and shaped as Jira's is."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.sandbox.heard import Ear, Request, listening

NOW = datetime(2026, 5, 6, 8, 46, 13, 123000, tzinfo=UTC)
AUTH = ("bridge@example.test", "sandbox-token")
ADMIN = "/rest/webhooks/1.0/webhook"


@pytest.fixture
def ear() -> Iterator[Ear]:
    with listening() as heard:
        yield heard


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    world = World(clock=SandboxClock(NOW, frozen=True), jira_options={"limits": None, "search_lag": 0})
    with Sandbox(world, vendors=("jira",)) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False) as opened:
        yield opened


def heard(sandbox: Sandbox, ear: Ear) -> list[Request]:
    assert sandbox.world.hooks.settle()
    found, ear.requests = ear.requests, []
    return found


def person(sandbox: Sandbox, method: str, path: str, **body: Any) -> Any:
    status, answer = sandbox.world.jira.control(method, path, body)
    assert status < 300, answer
    return answer


def wanted(ear: Ear, **more: Any) -> dict[str, Any]:
    return {
        "name": "cxbridge",
        "url": f"{ear.url}/hooks/jira/word",
        "events": [
            "jira:issue_created",
            "jira:issue_updated",
            "jira:issue_deleted",
            "comment_created",
            "comment_deleted",
        ],
        "filters": {"issue-related-events-section": "project = ENG"},
        "excludeBody": False,
        "secret": "It's a Secret to Everybody",
        **more,
    }


def test_an_administrators_webhook_is_registered_listed_and_deleted(client: httpx.Client, ear: Ear) -> None:
    made = client.post(ADMIN, json=wanted(ear))
    assert made.status_code == 201
    shown = made.json()
    assert "secret" not in shown, "it can be set and never read"
    assert client.get(shown["self"]).json() == shown
    assert client.get(ADMIN).json() == [shown]
    assert client.delete(shown["self"]).status_code == 204
    assert client.get(shown["self"]).status_code == 404
    assert client.get(ADMIN).json() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"url": "x"},
        {"events": ["moon_rises"]},
        {"events": []},
        {"filters": {"issue-related-events-section": "a = ("}},
    ],
)
def test_what_cannot_be_registered_is_refused(client: httpx.Client, ear: Ear, wrong: dict[str, Any]) -> None:
    assert client.post(ADMIN, json=wanted(ear, **wrong)).status_code == 400


def test_only_an_administrator_may(sandbox: Sandbox, ear: Ear) -> None:
    assert httpx.post(f"{sandbox.jira_url}{ADMIN}", json=wanted(ear), trust_env=False).status_code == 403


def test_deliveries_are_signed_and_have_the_form_of_the_fact_sheet(
    sandbox: Sandbox, client: httpx.Client, ear: Ear
) -> None:
    client.post(ADMIN, json=wanted(ear))
    issue = person(sandbox, "POST", "issues", project="ENG", summary="Export stops", description="At 40%.")
    person(sandbox, "POST", f"issues/{issue['key']}/transition", to="In Progress")
    person(sandbox, "POST", f"issues/{issue['key']}/comment", body="Seen.")
    person(sandbox, "POST", "issues", project="OPS", type="Task", summary="not of this project")
    person(sandbox, "DELETE", f"issues/{issue['key']}")
    told = heard(sandbox, ear)
    for one in told:
        digest = hmac.new(b"It's a Secret to Everybody", one.body, hashlib.sha256).hexdigest()
        assert one.headers["x-hub-signature"] == f"sha256={digest}"
    assert len({one.headers["x-atlassian-webhook-identifier"] for one in told}) == 4
    bodies = [one.json() for one in told]
    assert [(one["webhookEvent"], one.get("issue_event_type_name")) for one in bodies] == [
        ("jira:issue_created", "issue_created"),
        ("jira:issue_updated", "issue_generic"),
        ("comment_created", None),
        ("jira:issue_deleted", None),
    ]
    made, moved, said, gone = bodies
    assert made["timestamp"] == int(NOW.timestamp() * 1000)
    assert made["issue"]["fields"]["description"] == "At 40%.", "wiki text, not a document"
    assert "/rest/api/2/issue/" in made["issue"]["self"]
    (item,) = moved["changelog"]["items"]
    assert (item["field"], item["toString"]) == ("status", "In Progress")
    assert said["comment"]["body"] == "Seen."
    assert set(said["issue"]["fields"]) == {"summary", "status", "priority", "issuetype", "project", "assignee"}
    assert gone["issue"]["id"] == made["issue"]["id"]


def test_a_deleted_comment_still_names_its_issue(sandbox: Sandbox, client: httpx.Client, ear: Ear) -> None:
    issue = person(sandbox, "POST", "issues", project="ENG", summary="Export stops")
    comment = person(sandbox, "POST", f"issues/{issue['key']}/comment", body="Seen.")
    client.post(ADMIN, json=wanted(ear, secret=""))
    client.delete(f"/rest/api/3/issue/{issue['key']}/comment/{comment['id']}")
    (told,) = heard(sandbox, ear)
    assert "x-hub-signature" not in told.headers
    assert (told.json()["comment"]["id"], told.json()["issue"]["id"]) == (comment["id"], issue["id"])


def test_a_hidden_issue_and_what_was_there_from_the_start_are_told_to_nobody(
    sandbox: Sandbox, client: httpx.Client, ear: Ear
) -> None:
    issue = person(sandbox, "POST", "issues", project="ENG", summary="Export stops")
    person(sandbox, "PATCH", f"issues/{issue['key']}", hidden=True)
    client.post(ADMIN, json=wanted(ear))
    person(sandbox, "PATCH", f"issues/{issue['key']}", summary="Export stops early")
    person(sandbox, "POST", "issues", project="ENG", summary="Old", via="seed")
    assert heard(sandbox, ear) == []


def test_an_app_registers_its_own_which_carry_a_token_and_end_after_thirty_days(sandbox: Sandbox, ear: Ear) -> None:
    site = sandbox.world.jira.state.site
    back = {"client_id": "cxbridge", "redirect_uri": "https://app.example.test"}
    code = person(sandbox, "POST", "credentials/code", **back)["code"]
    asked = {"grant_type": "authorization_code", "code": code, "client_secret": "sandbox-secret", **back}
    granted = httpx.post(f"{sandbox.jira_url}/oauth/token", json=asked, trust_env=False).json()
    with httpx.Client(
        base_url=f"{sandbox.jira_url}/ex/jira/{site.cloud_id}/rest/api/3",
        headers={"authorization": f"Bearer {granted['access_token']}"},
        trust_env=False,
    ) as app:
        one = {"events": ["jira:issue_updated"], "jqlFilter": "project = ENG"}
        body = {"url": ear.url, "webhooks": [one, {"events": ["sprint_started"]}, *[one] * 5]}
        results = app.post("/webhook", json=body).json()["webhookRegistrationResult"]
        assert [next(iter(result)) for result in results] == [
            "createdWebhookId",
            "errors",
            *["createdWebhookId"] * 4,
            "errors",
        ]
        kept, *others = [result["createdWebhookId"] for result in results if "createdWebhookId" in result]
        assert app.request("DELETE", "/webhook", json={"webhookIds": [*others, 999]}).status_code == 202

        issue = person(sandbox, "POST", "issues", project="ENG", summary="Export stops")
        person(sandbox, "PATCH", f"issues/{issue['key']}", summary="Export stops early")
        (told,) = heard(sandbox, ear)
        head, claims, made = told.headers["authorization"].removeprefix("Bearer ").split(".")
        digest = hmac.new(b"sandbox-secret", f"{head}.{claims}".encode(), hashlib.sha256).digest()
        assert made == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        told_claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        assert told_claims["iss"] == "cxbridge"
        assert told_claims["exp"] > NOW.timestamp()

        assert [row["id"] for row in app.get("/webhook").json()["values"]] == [kept]
        sandbox.world.clock.advance(29 * 86_400)
        fresh = person(sandbox, "PATCH", f"issues/{issue['key']}", summary="Again")
        assert len(heard(sandbox, ear)) == 1
        sandbox.world.clock.advance(2 * 86_400)
        person(sandbox, "PATCH", f"issues/{fresh['key']}", summary="Once more")
        assert heard(sandbox, ear) == []


def test_a_user_with_a_token_cannot_register_an_apps(client: httpx.Client, ear: Ear) -> None:
    body = {"url": ear.url, "webhooks": [{"events": ["jira:issue_updated"], "jqlFilter": "project = ENG"}]}
    assert client.post("/rest/api/3/webhook", json=body).status_code == 403
