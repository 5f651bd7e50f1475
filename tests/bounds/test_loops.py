"""A listing inside a page that never ends is told as one; the walks of streams are held to it by the contract suite."""

from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import WireFormat
from cxbridge.core.http import Client, Endpoint, MemoryTokens, open_client
from cxbridge.plugins.jira import streams, wire
from cxbridge.plugins.jira.mapping import Issue

# Whoever asks more often than this is caught.
_ENOUGH = 10


class Circle(httpx.BaseTransport):
    """Gives the same full page whatever is asked."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert self.asked <= _ENOUGH, "asked on and on"
        return httpx.Response(200, json=self._body)


def client_to(vendor: Circle, clock: ManualClock) -> Client:
    return open_client(
        Endpoint("https://acme.example"), connection="jira", clock=clock, tokens=MemoryTokens(), transport=vendor
    )


def test_the_comments_of_an_issue_that_come_again_and_again_end(clock: ManualClock) -> None:
    # No total: nothing but the rows tells where it ends.
    vendor = Circle({"comments": [{"id": "1"}, {"id": "2"}], "startAt": 0})
    issue = cast("Issue", SimpleNamespace(id="10042"))
    with client_to(vendor, clock) as client, pytest.raises(WireFormat, match="go in circles"):
        list(streams._listed(client, issue))
    assert vendor.asked == 2


@pytest.mark.parametrize("body", [{}, {"errorMessages": ["no"]}, {"total": 0}])
def test_an_answer_of_a_search_without_its_issues_is_no_empty_page(body: dict[str, Any], clock: ManualClock) -> None:
    vendor = Circle(body)
    with client_to(vendor, clock) as client, pytest.raises(WireFormat, match="missing required field issues"):
        client.get("/rest/api/3/search/jql").decode(wire.SearchPage)
