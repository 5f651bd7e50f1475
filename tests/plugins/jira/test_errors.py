"""Refusals and limits: each of the vendor's forms becomes the right error with one short sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.jira import errors

from .conftest import API, DATE, answer

ME = f"{API}/myself"


def refused(desk, reply: httpx.Response) -> cx.VendorError:
    desk.router.get(ME).mock(return_value=reply)
    with pytest.raises(cx.VendorError) as caught:
        desk.client.get("/rest/api/3/myself")
    return caught.value


GENERAL = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
FIELDS = {
    "errorMessages": [],
    "errors": {"priority": "Specify a valid 'id' or 'name' for priority", "customfield_10033": "Team is required."},
}
BULK_CREATE = {
    "issues": [],
    "errors": [
        {
            "status": 400,
            "elementErrors": {"errorMessages": [], "errors": {"issuetype": "The issue type selected is invalid."}},
            "failedElementNumber": 0,
        }
    ],
}
SERVICE_DESK = {
    "errorMessage": "The request type you are trying to access does not exist",
    "i18nErrorMessage": {"i18nKey": "sd.request.type.error.not.found", "parameters": []},
}
BULK = {"errors": [{"message": "Some of the issues in the issueIdsOrKeys are not valid"}]}
OAUTH = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (GENERAL, "Issue does not exist or you do not have permission to see it"),
        (
            FIELDS,
            "priority: Specify a valid 'id' or 'name' for priority; customfield_10033 (team): Team is required",
        ),
        (BULK_CREATE, "issuetype: The issue type selected is invalid"),
        (SERVICE_DESK, "The request type you are trying to access does not exist"),
        (BULK, "Some of the issues in the issueIdsOrKeys are not valid"),
        (OAUTH, "Unknown or invalid refresh token"),
        ({"errorMessages": ["a"], "errors": {"b": "c"}, "status": 400, "httpStatusCode": 400}, "a; b: c"),
        ({"errors": {"b": "c"}}, "b: c"),
        ({"errorMessages": ["Unrecognized field (Class x)\n at [Source: y; line: 1]"]}, "Unrecognized field (Class x)"),
        ({"error": "invalid_request"}, "invalid_request"),
    ],
)
def test_each_form_of_a_refusal_is_read(desk, body: Any, sentence: str) -> None:
    error = refused(desk, answer(body, 400))
    assert isinstance(error, cx.Rejected)
    assert error.detail.startswith(sentence)


@pytest.mark.parametrize(
    "text", ["", "<html>secret page</html>", "[1]", '"x"', '{"errors": 3}', '{"errorMessages": null}']
)
def test_a_refusal_without_a_sentence_is_a_refusal(desk, text: str) -> None:
    error = refused(desk, httpx.Response(400, text=text))
    assert isinstance(error, cx.Rejected)
    assert "secret page" not in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, cx.Unauthorized, "the token has expired or was revoked"),
        (403, cx.Rejected, "may not do that"),
        (404, cx.NotFound, "gone, or hidden"),
        (409, cx.Conflict, ""),
        (410, cx.Rejected, "removed this part"),
        (413, cx.Rejected, "the issue is full"),
        (422, cx.Rejected, ""),
    ],
)
def test_a_status_says_what_happens_next(desk, status: int, kind: type[cx.VendorError], sentence: str) -> None:
    error = refused(desk, httpx.Response(status))
    assert type(error) is kind
    assert sentence in error.detail


def test_a_missing_scope_is_not_an_expired_token(desk) -> None:
    error = refused(desk, answer({"code": 401, "message": "Unauthorized; scope does not match"}, 401))
    assert isinstance(error, cx.Unauthorized)
    assert "grant consent again" in error.detail


NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    "told",
    ["2026-05-06T09:03Z", "2026-05-06T11:03:00+02:00", "1778058180", "1778058180000", "1007"],
)
def test_a_used_up_quota_names_when_it_is_filled_again(desk, told: str) -> None:
    headers = {"x-ratelimit-reset": told, "ratelimit-reason": "jira-quota-global-based", "date": DATE}
    error = refused(desk, httpx.Response(429, headers=headers))
    assert isinstance(error, cx.RateLimited)
    assert error.retry_at == NOW + timedelta(seconds=1007)
    assert "quota" in error.detail
    assert not error.sent


def test_after_a_used_up_quota_nothing_else_is_sent(desk) -> None:
    headers = {"retry-after": "1200", "ratelimit-reason": "jira-quota-tenant-based", "date": DATE}
    refused(desk, httpx.Response(429, headers=headers))
    other = desk.router.get(f"{API}/priority/search").mock(return_value=answer({}))
    with pytest.raises(cx.RateLimited):
        desk.client.get("/rest/api/3/priority/search")
    assert other.call_count == 0


def test_a_burst_is_waited_out(desk, clock: ManualClock) -> None:
    headers = {"retry-after": "2", "ratelimit-reason": "jira-burst-based"}
    route = desk.router.get(ME).mock(side_effect=[httpx.Response(429, headers=headers), answer({"accountId": "a"})])
    before = clock.now()
    desk.client.get("/rest/api/3/myself")
    assert route.call_count == 2
    assert clock.now() - before >= timedelta(seconds=2)


def test_too_many_writes_to_one_issue_hold_up_that_issue_only(desk, clock: ManualClock) -> None:
    headers = {"retry-after": "600", "ratelimit-reason": "jira-per-issue-on-write"}
    desk.router.post(f"{API}/issue/10042/comment").mock(return_value=httpx.Response(429, headers=headers))
    other = desk.router.post(f"{API}/issue/10043/comment").mock(return_value=answer({"id": "1"}, 201))
    again = desk.router.put(f"{API}/issue/10042").mock(return_value=httpx.Response(204))
    read = desk.router.get(f"{API}/issue/10042").mock(return_value=answer({}))
    with pytest.raises(cx.RateLimited, match="too many writes to one issue"):
        desk.client.post("/rest/api/3/issue/10042/comment", {})
    desk.client.post("/rest/api/3/issue/10043/comment", {})
    desk.client.get("/rest/api/3/issue/10042")
    with pytest.raises(cx.RateLimited):
        desk.client.put("/rest/api/3/issue/10042", {})
    assert (other.call_count, read.call_count, again.call_count) == (1, 1, 0)
    clock.advance(601)
    desk.client.put("/rest/api/3/issue/10042", {})
    assert again.call_count == 1


def reply(method: str, path: str, status: int = 200, **headers: str) -> cx.Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cx.Reply(method, path, status, named, b"", NOW)


def test_budgets_are_those_of_the_endpoint() -> None:
    told = reply("GET", "/rest/api/3/issue/10042", x_ratelimit_limit="350", x_ratelimit_remaining="349")
    assert list(errors.budgets(told)) == [cx.Budget("GET /rest/api/3/issue/*", 350, 349)]
    assert list(errors.budgets(reply("GET", "/rest/api/3/myself"))) == []
    assert list(errors.budgets(reply("GET", "/rest/api/3/myself", x_ratelimit_limit="many"))) == []


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("jira-burst-based", "PUT /rest/api/3/issue/*"),
        ("", "PUT /rest/api/3/issue/*"),
        ("jira-per-issue-on-write", "issue ENG-42"),
        ("jira-quota-tenant-based", ""),
    ],
)
def test_a_429_names_the_budget_that_is_used_up(reason: str, name: str) -> None:
    told = reply("PUT", "/rest/api/3/issue/ENG-42", 429, ratelimit_reason=reason, retry_after="7")
    (budget,) = errors.budgets(told)
    assert (budget.name, budget.remaining, budget.reset) == (name, 0, 7.0)
    assert budget.name in ("", *errors.buckets("PUT", "/rest/api/3/issue/ENG-42"))


@pytest.mark.parametrize(
    ("told", "seconds"), [("soon", None), ("nan", None), ("-5", 0.0), ("2026-05-06T08:00Z", 0.0), ("", None)]
)
def test_a_reset_that_is_past_or_no_time(told: str, seconds: float | None) -> None:
    assert errors.reset(reply("GET", "/x", 429, x_ratelimit_reset=told)) == seconds
