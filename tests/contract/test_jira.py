"""The Jira connector keeps the contract, against the simulated site."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import Jira
from cxbridge.sandbox.jira.site import CLOUD_ID
from cxbridge.testing import ConnectorContract, Lab, Simulated, Trial, simulated

# Issues 10009 to 10013, which a customer of the service desk has opened, all at one moment.
COMPANY = "\n".join(
    f'{{"kind": "jira.issue", "project": "OPS", "type": "[System] Incident", "summary": "{what}", "actor": "mia"}}'
    for what in ("No mail", "No calendar", "No chat", "No phone", "No coffee")
)


STEP_BY_STEP = "a workflow may allow no shorter way; each step is repeated from where the issue then stands"


WAIVERS = {
    "a_write_is_one_call_and_the_last: issue.transition two steps": STEP_BY_STEP,
    "a_lost_answer_is_settled: issue.transition two steps": STEP_BY_STEP,
}


class TestJira(ConnectorContract):
    waivers = WAIVERS

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        return lab_of(site, email="bridge@example.test", api_token="sandbox-token")


class TestJiraWithHistory(ConnectorContract):
    """With the changelog read and all names in the settings held against the site."""

    waivers = WAIVERS

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        made = lab_of(site, email="bridge@example.test", api_token="sandbox-token")
        named = {
            "status_overrides": {"In Review": "waiting"},
            "priorities": {"urgent": ["Highest"]},
            "issue_types": {"bug": "Bug"},
        }
        return replace(made, settings={**made.settings, **named, "history": True})


class TestJiraByConsent(ConnectorContract):
    """Behind the gateway, with a refresh token that changes at every use."""

    waivers = WAIVERS

    @pytest.fixture
    def lab(self, site: Simulated) -> Lab:
        return lab_of(
            site,
            mode="gateway",
            gateway=site.url,
            cloud_id=CLOUD_ID,
            token_url=f"{site.url}/oauth/token",
            client_id="cxbridge",
            client_secret="sandbox-secret",
            refresh_token=consent(site),
        )


@pytest.fixture
def site() -> Iterator[Simulated]:
    with simulated("jira", COMPANY, options={"limits": None, "issue_writes": None}) as started:
        # Older than what the connector looks back over, so that pages may end between issues of one moment.
        started.clock.advance(86_400)
        yield started


def lab_of(site: Simulated, **credential: str) -> Lab:
    return Lab(
        connector=Jira,
        settings={
            "url": site.url,
            "projects": ["ENG", "OPS"],
            "fields": {"severity": "customfield_10032", "cause": "customfield_10033"},
            **credential,
        },
        trials=TRIALS,
        effects=site.effects,
        change=lambda stream: changed(site, stream),
        clock=site.clock,
        # The search shows a change late.
        lag=30,
        page_size={"maxResults": 3},
    )


def consent(site: Simulated) -> str:
    """A person lets the app in; gives the first refresh token."""
    back = "https://app.example.test/"
    asked = {"client_id": "cxbridge", "redirect_uri": back}
    _, given = site.world.jira.control("POST", "credentials/code", asked)
    exchange = {
        "grant_type": "authorization_code",
        "client_secret": "sandbox-secret",
        "code": given["code"],
        **asked,
    }
    with httpx.Client(trust_env=False) as web:
        return str(web.post(f"{site.url}/oauth/token", json=exchange).json()["refresh_token"])


TRIALS = (
    Trial("issue.ensure", cx.EnsureTicket(subject="Export stops", body="At 40 docks.", project="ENG", type="bug")),
    Trial("issue.set", cx.SetTicket(priority="high", tags_add=["escalated"], severity="S1"), "10002"),
    Trial("issue.transition", cx.Transition(to="in_progress"), "10008", "one step"),
    Trial("issue.transition", cx.Transition(to="in_progress"), "10001", "two steps"),
    Trial("comment.add_once", cx.AddComment(visibility="internal", body="Seen by a customer."), "10003", "project"),
    Trial("comment.add_once", cx.AddComment(visibility="public", body="We are on it."), "10009", "service desk"),
    Trial(
        "link.ensure",
        cx.EnsureLink(system="zendesk", key="1", ref="support/tickets/1", url="https://acme.zendesk.test/1"),
        "10002",
    ),
)


def changed(site: Simulated, stream: str) -> str | None:
    """Somebody works on the site's own pages."""

    def ui(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        status, answer = site.world.jira.control(method, path, body)
        assert status < 300, answer
        return answer

    site.clock.advance(1)
    match stream:
        case "issues":
            return str(ui("PATCH", "issues/ENG-2", {"summary": "Another title"})["id"])
        case "comments":
            ui("POST", "issues/ENG-2/comment", {"body": "Still so?"})
            return str(ui("GET", "issues/ENG-2")["comments"][-1]["id"])
    return None
