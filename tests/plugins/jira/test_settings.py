"""What an administrator may write, and what is said when it cannot work."""

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import Jira, cxbridge_connectors

from .conftest import API, SITE, answer, settings


def told(**changed: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**changed)
    return str(caught.value)


def test_the_plugin_brings_one_connector() -> None:
    assert cxbridge_connectors() == [Jira]
    assert Jira.name == "jira"


def test_a_site_is_its_own_address() -> None:
    endpoint = settings().endpoint()
    assert endpoint.base_url == SITE
    basic = base64.b64encode(b"bridge@example.test:a-fake-token").decode()
    assert endpoint.auth.headers() == {"Authorization": f"Basic {basic}"}
    assert settings(site=None, url="https://jira.example.test/").endpoint().base_url == "https://jira.example.test"


def test_the_gateway_is_addressed_by_cloud_id_and_links_still_open_the_site() -> None:
    jira = settings(mode="gateway", cloud_id="5f0c-1e2a")
    assert jira.endpoint().base_url == "https://api.atlassian.com/ex/jira/5f0c-1e2a"
    assert jira.rules.url("ENG-1") == f"{SITE}/browse/ENG-1"


def test_oauth_refreshes_at_the_stated_address() -> None:
    jira = settings(
        email=None,
        api_token=None,
        client_id="app",
        client_secret="a-fake-secret",
        refresh_token="a-fake-refresh",
        mode="gateway",
        cloud_id="c1",
    )
    auth = jira.endpoint().auth
    assert isinstance(auth, cx.RefreshToken)
    assert auth.token_url == "https://auth.atlassian.com/oauth/token"
    assert auth.request(None)["refresh_token"] == "a-fake-refresh"


def test_spans_are_read_as_people_write_them() -> None:
    jira = settings(overlap="10m", settle="90s")
    assert (jira.overlap, jira.settle) == (600, 90)
    assert settings(overlap=240).overlap == 240


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"mode": "gateway"}, "a gateway connection needs cloud_id"),
        ({"site": None}, "name the site"),
        ({"url": "https://jira.example.test"}, "name the site"),
        ({"api_token": None}, "api_token missing"),
        ({"email": None, "api_token": None}, "email and api_token missing"),
        ({"client_id": "app"}, "not both"),
        (
            {"email": None, "api_token": None, "client_id": "app", "client_secret": "s", "refresh_token": "r"},
            "OAuth is accepted by the gateway only",
        ),
        ({"email": None, "api_token": None, "client_id": "app"}, "client_secret and refresh_token missing"),
        ({"overlap": "30s"}, "an overlap below 2m"),
        ({"overlap": "soon"}, "overlap"),
        ({"overlap": "2h", "settle": -1}, "settle"),
        ({"webhook_secret_old": "a-fake-word"}, "give the new one too"),
        ({"projects": []}, "projects"),
        ({"projects": ['ENG") OR project != ("X']}, "projects"),
        ({"projects": ["eng"]}, "projects"),
        ({"fields": {"team": "customfield_1 OR 1"}}, "fields"),
        ({"fields": {"team": "customfield_1", "group": "customfield_1"}}, "same field"),
        ({"status_overrides": {"Closed": "shut"}}, "status_overrides"),
        ({"site": "acme.atlassian.net"}, "acme for acme.atlassian.net"),
        ({"site": None, "url": "http://jira.example.test"}, "http"),
        ({"tokken": "x"}, "tokken"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(changed: dict[str, Any], sentence: str) -> None:
    assert sentence in told(**changed)


def test_secrets_are_in_no_text() -> None:
    jira = settings()
    assert "a-fake-token" not in f"{jira!r} {jira} {jira.endpoint()!r}"
    assert "a-fake-token" not in told(api_token="a-fake-token", projects=[])


ME = {"accountId": "712020:3c6e", "accountType": "atlassian", "displayName": "cxbridge", "active": True}


def projects(*keys: str) -> dict[str, Any]:
    values = [{"id": str(10001 + number), "key": key, "name": key.title()} for number, key in enumerate(keys)]
    return {"startAt": 0, "maxResults": 50, "total": len(keys), "isLast": True, "values": values}


def test_check_tells_whose_credential_it_is(desk) -> None:
    desk.router.get(f"{API}/myself").mock(return_value=answer(ME))
    asked = desk.router.get(f"{API}/project/search").mock(return_value=answer(projects("ENG", "OPS")))
    desk.router.get(f"{API}/field").mock(return_value=answer([{"id": field} for field in desk.jira.fields.values()]))
    identity = desk.jira.check(desk.client)
    assert (identity.name, identity.ref) == ("cxbridge", "users/712020:3c6e")
    assert asked.calls.last.request.url.params.get_list("keys") == ["ENG", "OPS"]


def test_check_counts_only_projects_that_can_be_read(desk) -> None:
    desk.router.get(f"{API}/myself").mock(return_value=answer(ME))
    listed = projects("ENG", "OPS")
    listed["values"][1] = {"id": True}
    desk.router.get(f"{API}/project/search").mock(return_value=answer(listed))
    with pytest.raises(cx.Rejected, match="project OPS is not visible"):
        desk.jira.check(desk.client)


def test_check_names_a_project_that_is_not_visible(desk) -> None:
    desk.router.get(f"{API}/myself").mock(return_value=answer(ME))
    desk.router.get(f"{API}/project/search").mock(return_value=answer(projects("ENG")))
    with pytest.raises(cx.Rejected, match=r'project OPS is not visible to cxbridge.*"Browse projects"'):
        desk.jira.check(desk.client)


@pytest.mark.parametrize(
    ("changed", "base", "remedy"),
    [
        ({}, SITE, 'mode = "gateway" and cloud_id'),
        ({"mode": "gateway", "cloud_id": "c1"}, "https://api.atlassian.com/ex/jira/c1", 'mode = "site"'),
    ],
)
def test_a_refused_credential_points_to_the_other_address(connect, changed, base, remedy) -> None:
    desk = connect(**changed)
    desk.router.get(f"{base}/rest/api/3/myself").mock(
        return_value=answer({"code": 401, "message": "Unauthorized"}, 401)
    )
    with pytest.raises(cx.Unauthorized, match=remedy):
        desk.jira.check(desk.client)


def test_streams_and_actions_are_what_is_promised(desk) -> None:
    streams = {stream.name: stream for stream in desk.jira.streams()}
    assert list(streams) == ["issues", "comments", "users", "projects"]
    assert streams["users"].filled_by == "issues"
    assert {"changed_by", "reopen_count"} <= set(streams["issues"].gaps)
    effects = {action.name: action.effect for action in desk.jira.actions()}
    assert effects == {
        "issue.ensure": cx.Findable(settle=120.0),
        "issue.set": cx.Idempotent(),
        "issue.transition": cx.Idempotent(),
        "comment.add_once": cx.Findable(settle=5.0),
        "link.ensure": cx.Idempotent(),
    }
    for action in desk.jira.actions():
        assert action.inputs_type is not None
        assert (action.find is not None) == isinstance(action.effect, cx.Findable)


def test_gaps_name_fields_that_exist(desk) -> None:
    for stream in desk.jira.streams():
        known = {name for kind in stream.kinds for name in kind.__struct_fields__}
        assert set(stream.gaps) <= known
