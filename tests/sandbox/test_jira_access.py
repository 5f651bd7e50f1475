"""Who may call the simulated Jira and how often: tokens, the gateway, OAuth grants, rate limits."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.jira.site import CLOUD_ID
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

ME = "/rest/api/3/myself"
GATEWAY = f"/ex/jira/{CLOUD_ID}"
USER = "bridge@example.test"
BACK = "https://bridge.example.test/callback"


def running(**options: Any) -> Sandbox:
    clock = SandboxClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))
    clock.freeze()
    return Sandbox(World(clock=clock, jira_options=options), vendors=("jira",))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as started:
        yield started


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client without credentials."""
    with httpx.Client(base_url=sandbox.jira_url, trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# tokens


def test_each_kind_of_token_is_good_in_one_place(web: httpx.Client, sandbox: Sandbox) -> None:
    classic, scoped = (USER, "sandbox-token"), (USER, "scoped-sandbox-token")
    matrix = {
        (place, token[1]): web.get(place + ME, auth=token).status_code
        for place in ("", GATEWAY)
        for token in (classic, scoped)
    }
    assert matrix == {
        ("", "sandbox-token"): 200,
        ("", "scoped-sandbox-token"): 401,
        (GATEWAY, "sandbox-token"): 401,
        (GATEWAY, "scoped-sandbox-token"): 200,
    }
    shown = web.get(GATEWAY + ME, auth=scoped).json()
    assert shown["self"].startswith(f"{sandbox.jira_url}{GATEWAY}/rest/api/3/user?accountId=")
    assert web.get(GATEWAY + ME, headers=bearer("scoped-sandbox-token")).status_code == 200
    assert web.get("/ex/jira/another-cloud" + ME, auth=scoped).status_code == 404
    assert web.get("/_edge/tenant_info").json() == {"cloudId": CLOUD_ID}


def test_refusals_have_the_shape_of_their_place(web: httpx.Client) -> None:
    at_site = web.get(ME, auth=(USER, "wrong-token"))
    assert (at_site.status_code, set(at_site.json())) == (401, {"errorMessages", "errors"})
    assert "www-authenticate" in at_site.headers
    at_gateway = web.get(GATEWAY + ME, auth=(USER, "wrong-token"))
    assert (at_gateway.status_code, at_gateway.json()) == (401, {"code": 401, "message": "Unauthorized"})
    assert web.get(ME, auth=("somebody@example.test", "sandbox-token")).status_code == 401
    for nonsense in ("Basic", "Basic !!!", "Basic /w==", "Bearer sandbox-token", "nonsense"):
        assert web.get(ME, headers={"authorization": nonsense}).status_code == 401


def test_strangers_see_nothing_without_an_error(web: httpx.Client) -> None:
    assert web.get("/rest/api/3/serverInfo").status_code == 200
    assert web.get("/rest/api/3/search/jql", params={"jql": "project = ENG"}).json() == {"issues": [], "isLast": True}
    assert web.get("/rest/api/3/project/search").json()["values"] == []
    assert web.get("/rest/api/3/issue/ENG-1").status_code == 404
    assert web.put("/rest/api/3/issue/ENG-1", json={"fields": {"labels": []}}).status_code == 404
    for method, path in (("GET", ME), ("POST", "/rest/api/3/issue"), ("GET", "/rest/api/3/field")):
        assert web.request(method, path, json={}).status_code == 401


def test_who_i_am(web: httpx.Client) -> None:
    shown = web.get(ME, auth=(USER, "sandbox-token")).json()
    assert (shown["emailAddress"], shown["timeZone"], shown["accountType"]) == (USER, "Europe/Warsaw", "atlassian")
    assert {"accountId", "displayName", "active", "locale", "groups", "applicationRoles"} <= set(shown)


def test_tokens_can_be_revoked_while_running(web: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.world.faults.revoke("jira")
    assert web.get(ME, auth=(USER, "sandbox-token")).status_code == 401
    sandbox.world.faults.restore("jira")
    assert web.get(ME, auth=(USER, "sandbox-token")).status_code == 200
    sandbox.world.jira.control("PUT", "credentials", {"tokens": ["next-token"]})
    assert web.get(ME, auth=(USER, "sandbox-token")).status_code == 401
    assert web.get(ME, auth=(USER, "next-token")).status_code == 200


def test_a_missing_scope_is_told_apart(web: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.world.jira.control("PUT", "credentials", {"scopes": ["read:jira-work"]})
    scoped = (USER, "scoped-sandbox-token")
    assert web.get(f"{GATEWAY}/rest/api/3/issue/ENG-1", auth=scoped).status_code == 200
    for method, path in (("PUT", "/rest/api/3/issue/ENG-1"), ("GET", ME), ("GET", "/rest/servicedeskapi/servicedesk")):
        answer = web.request(method, GATEWAY + path, auth=scoped, json={})
        assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized; scope does not match")


# OAuth


def grant(web: httpx.Client, **body: Any) -> httpx.Response:
    client = {"client_id": "cxbridge", "client_secret": "sandbox-secret"}
    return web.post("/oauth/token", json=client | body)


def consent(web: httpx.Client) -> dict[str, Any]:
    asked = {"client_id": "cxbridge", "redirect_uri": BACK, "state": "s1", "response_type": "code"}
    back = web.get("/authorize", params=asked)
    assert back.status_code == 302
    sent = parse_qs(urlsplit(back.headers["location"]).query)
    assert sent["state"] == ["s1"]
    answer = grant(web, grant_type="authorization_code", code=sent["code"][0], redirect_uri=BACK)
    assert answer.status_code == 200, answer.text
    again = grant(web, grant_type="authorization_code", code=sent["code"][0], redirect_uri=BACK)
    assert again.status_code == 403
    return dict(answer.json())


def test_a_code_becomes_tokens_for_the_gateway(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = consent(web)
    assert set(tokens) == {"access_token", "refresh_token", "expires_in", "scope", "token_type"}
    (site,) = web.get("/oauth/token/accessible-resources", headers=bearer(tokens["access_token"])).json()
    assert (site["id"], site["url"]) == (CLOUD_ID, sandbox.jira_url)
    assert "read:jira-work" in site["scopes"]
    assert web.get(f"/ex/jira/{site['id']}{ME}", headers=bearer(tokens["access_token"])).status_code == 200
    assert web.get(ME, headers=bearer(tokens["access_token"])).status_code == 401
    sandbox.world.clock.advance(3600)
    assert web.get(GATEWAY + ME, headers=bearer(tokens["access_token"])).status_code == 401


def test_refresh_tokens_rotate_and_the_old_one_is_dead(web: httpx.Client, sandbox: Sandbox) -> None:
    first = consent(web)["refresh_token"]
    second = grant(web, grant_type="refresh_token", refresh_token=first).json()
    assert second["refresh_token"] != first
    assert web.get(GATEWAY + ME, headers=bearer(second["access_token"])).status_code == 200
    for dead in (first, "made-up", None):
        answer = grant(web, grant_type="refresh_token", refresh_token=dead)
        assert answer.status_code == 403
        assert answer.json() == {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
    third = grant(web, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third.status_code == 200
    sandbox.world.clock.advance(90 * 86_400)
    late = grant(web, grant_type="refresh_token", refresh_token=third.json()["refresh_token"])
    assert late.status_code == 403


def test_grants_end_when_their_user_ends_them(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = consent(web)
    sandbox.world.jira.control("DELETE", "credentials/grants")
    assert web.get(GATEWAY + ME, headers=bearer(tokens["access_token"])).status_code == 401
    assert grant(web, grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 403


def test_the_token_path_checks_the_client_and_the_kind(web: httpx.Client, sandbox: Sandbox) -> None:
    assert grant(web, grant_type="refresh_token", client_secret="wrong-secret").status_code == 401
    assert grant(web, grant_type="password").status_code == 400
    assert web.get("/authorize", params={"client_id": "unknown"}).status_code == 400
    code = sandbox.world.jira.control("POST", "credentials/code", {"client_id": "cxbridge", "redirect_uri": BACK})[1][
        "code"
    ]
    elsewhere = grant(web, grant_type="authorization_code", code=code, redirect_uri="https://elsewhere.example.test")
    assert elsewhere.status_code == 403


# limits


def test_every_answer_tells_what_is_left(sandbox: Sandbox) -> None:
    with (
        running(limits={"get-issue": 5}) as small,
        httpx.Client(base_url=small.jira_url, auth=(USER, "sandbox-token"), trust_env=False) as api,
    ):
        seen = [api.get("/rest/api/3/issue/ENG-1").headers for _ in range(5)]
        assert [headers["x-ratelimit-remaining"] for headers in seen] == ["4", "3", "2", "1", "0"]
        assert {headers["x-ratelimit-limit"] for headers in seen} == {"5"}
        assert ["x-ratelimit-nearlimit" in headers for headers in seen] == [False, False, False, False, True]
        refused = api.get("/rest/api/3/issue/ENG-1")
        assert (refused.status_code, refused.content) == (429, b"")
        assert refused.headers["ratelimit-reason"] == "jira-burst-based"
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-ratelimit-reset"] == "2026-05-06T08:46Z"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        # Another operation has a bucket of its own.
        assert api.get("/rest/api/3/issue/ENG-1/transitions").status_code == 200
        small.world.clock.advance(1)
        assert api.get("/rest/api/3/issue/ENG-1").status_code == 200


def test_one_issue_takes_only_so_many_writes(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.jira_url, auth=(USER, "sandbox-token"), trust_env=False) as api:

        def write(key: str) -> httpx.Response:
            return api.put(f"/rest/api/3/issue/{key}", json={"fields": {"labels": ["x"]}})

        assert {write("ENG-1").status_code for _ in range(20)} == {204}
        refused = write("ENG-1")
        assert (refused.status_code, refused.headers["ratelimit-reason"]) == (429, "jira-per-issue-on-write")
        assert refused.headers["retry-after"] == "2"
        assert write("10001").status_code == 429
        assert write("ENG-2").status_code == 204
        assert api.get("/rest/api/3/issue/ENG-1").status_code == 200
        for _ in range(4):
            sandbox.world.clock.advance(2)
            assert {write("ENG-1").status_code for _ in range(20)} == {204}
        sandbox.world.clock.advance(2)
        slow = write("ENG-1")
        assert (slow.status_code, slow.headers["retry-after"]) == (429, "20")
        sandbox.world.clock.advance(20)
        assert write("ENG-1").status_code == 204


def test_apps_have_an_hourly_quota_and_tokens_have_none() -> None:
    with running(points_per_hour=20) as sandbox, httpx.Client(base_url=sandbox.jira_url, trust_env=False) as web:
        headers = bearer(consent(web)["access_token"])
        found = web.get(f"{GATEWAY}/rest/api/3/search/jql", params={"jql": "project in (ENG, OPS)"}, headers=headers)
        assert len(found.json()["issues"]) == 8
        left = web.get(GATEWAY + ME, headers=headers).headers["beta-ratelimit"]
        assert left == '"global-app-quota";r=11;t=827'
        for _ in range(5):
            web.get(f"{GATEWAY}/rest/api/3/issue/ENG-1", headers=headers)
        refused = web.get(GATEWAY + ME, headers=headers)
        assert (refused.status_code, refused.headers["ratelimit-reason"]) == (429, "jira-quota-global-based")
        assert (refused.headers["retry-after"], refused.headers["x-ratelimit-reset"]) == ("827", "2026-05-06T09:00Z")
        assert web.get(ME, auth=(USER, "sandbox-token")).status_code == 200
        sandbox.world.clock.advance(827)
        assert web.get(GATEWAY + ME, headers=headers).status_code == 200


def test_limits_can_be_lifted() -> None:
    with running(limits=None, issue_writes=None) as sandbox:
        with httpx.Client(base_url=sandbox.jira_url, auth=(USER, "sandbox-token"), trust_env=False) as api:
            for _ in range(60):
                answer = api.put("/rest/api/3/issue/ENG-1", json={"fields": {"labels": ["x"]}})
                assert answer.status_code == 204
            assert "x-ratelimit-limit" not in answer.headers


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shoes": 1}, "shoes"),
        ({"search_lag": "long"}, "search_lag"),
        ({"limits": {"gets": 1}}, "limit 'gets' is unknown"),
        ({"search_paging": "random"}, "search_paging"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        running(**options)
