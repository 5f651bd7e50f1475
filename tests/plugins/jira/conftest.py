"""A Jira connection under test: settings, a client whose requests a router answers, bodies as Jira writes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.jira import Jira
from tests.plugins.mocked import mocked

SITE = "https://acme.atlassian.net"
API = f"{SITE}/rest/api/3"
# The moment at which the shared clock stands still, as the vendor's Date header says it.
DATE = "Wed, 06 May 2026 08:46:13 GMT"
NOW_MS = 1_778_057_173_000


@dataclass
class Desk:
    """One connection: what is configured, and the router that plays the site."""

    jira: Jira
    client: cx.Client
    router: respx.MockRouter

    def pages(self, stream: str, cursor: cx.Json = None) -> list[cx.Page]:
        """Pull a stream to its end."""
        (found,) = [one for one in self.jira.streams() if one.name == stream]
        assert found.pages is not None
        return list(found.pages(self.client, cursor))

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.jira.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        """Do one write."""
        return self.action(name).perform(self.client, call(inputs, target))

    def find(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt | None:
        """Look for an earlier write."""
        find = self.action(name).find
        assert find is not None
        return find(self.client, call(inputs, target))

    @property
    def writes(self) -> list[httpx.Request]:
        return [made.request for made in self.router.calls if made.request.method != "GET"]


MARKER = "cxb:00112233aabbccdd"
LABEL = "cxb-00112233aabbccdd"


def call(inputs: cx.Inputs, target: str | None) -> cx.Call:
    return cx.Call(inputs=inputs, marker=MARKER, target=target)


def settings(**changed: Any) -> Jira:
    given: dict[str, Any] = {
        "site": "acme",
        "email": "bridge@example.test",
        "api_token": "a-fake-token",
        "projects": ["ENG", "OPS"],
        **changed,
    }
    return Jira(**given)


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Callable[..., Desk]]:
    """Open a connection with these settings."""
    with mocked("tracker", clock) as open_one:

        def open_desk(*, read_only: bool = False, **changed: Any) -> Desk:
            jira = settings(**changed)
            return Desk(jira, *open_one(jira, read_only=read_only))

        yield open_desk


@pytest.fixture
def desk(connect: Callable[..., Desk]) -> Desk:
    """A connection with aliases and nothing else out of the ordinary."""
    return connect(fields={"severity": "customfield_10032", "team": "customfield_10033", "steps": "customfield_10034"})


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    """A reply as the site gives it, with its clock in it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers={"Date": DATE, **named})


ANA = {
    "accountId": "712020:7bf4",
    "accountType": "atlassian",
    "displayName": "Ana",
    "active": True,
    "timeZone": "Europe/Warsaw",
}
MIA = {"accountId": "qm:0f0c:1a2b", "accountType": "customer", "displayName": "Mia Lee", "active": True}
ROBOT = {"accountId": "557058:f581", "accountType": "app", "displayName": "Automation for Jira", "active": True}

TO_DO = {"id": "10000", "name": "To Do", "statusCategory": {"id": 2, "key": "new", "name": "To Do"}}
DOING = {
    "id": "10001",
    "name": "In Progress",
    "statusCategory": {"id": 4, "key": "indeterminate", "name": "In Progress"},
}
REVIEW = {
    "id": "10002",
    "name": "In Review",
    "statusCategory": {"id": 4, "key": "indeterminate", "name": "In Progress"},
}
DONE = {"id": "10003", "name": "Done", "statusCategory": {"id": 3, "key": "done", "name": "Done"}}


def doc(*texts: str) -> dict[str, Any]:
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"type": "doc", "version": 1, "content": paragraphs}


def issue(number: int = 10042, updated: str = "2026-05-06T10:16:30.000+0200", **fields: Any) -> dict[str, Any]:
    """An issue as a search gives it."""
    return {
        "expand": "",
        "id": str(number),
        "key": f"ENG-{number - 10000}",
        "self": f"{API}/issue/{number}",
        "fields": {
            "summary": "Export job stops at 40%",
            "description": doc("Reported by Globex."),
            "issuetype": {"id": "10004", "name": "Bug", "subtask": False},
            "project": {"id": "10001", "key": "ENG", "name": "Engineering", "projectTypeKey": "software"},
            "status": TO_DO,
            "priority": {"id": "3", "name": "Medium"},
            "reporter": ANA,
            "creator": ROBOT,
            "assignee": None,
            "labels": [],
            "components": [],
            "created": "2026-05-05T09:00:00.000+0200",
            "updated": updated,
            "resolution": None,
            "resolutiondate": None,
            "duedate": None,
            "customfield_10032": None,
            "customfield_10033": None,
            "customfield_10034": None,
            **fields,
        },
    }


def comment(number: int = 10006, **changed: Any) -> dict[str, Any]:
    return {
        "self": f"{API}/issue/10042/comment/{number}",
        "id": str(number),
        "author": ANA,
        "body": doc("Looking into it."),
        "updateAuthor": ANA,
        "created": "2026-05-06T10:02:11.114+0200",
        "updated": "2026-05-06T10:02:11.114+0200",
        "jsdPublic": True,
        **changed,
    }


def query(request: httpx.Request) -> Mapping[str, str]:
    return request.url.params
