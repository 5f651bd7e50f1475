"""What hangs on an issue of the simulated Jira: comments, links, properties, history, screens."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

AUTH = ("bridge@example.test", "sandbox-token")
ISSUE = "/rest/api/3/issue"


def doc(*paragraphs: str) -> dict[str, Any]:
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in paragraphs]
    return {"type": "doc", "version": 1, "content": content}


def bug(**fields: Any) -> dict[str, Any]:
    base = {"project": {"key": "ENG"}, "issuetype": {"name": "Bug"}, "summary": "Export stops"}
    return {"fields": {name: value for name, value in (base | fields).items() if value is not ...}}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    clock = SandboxClock(datetime(2026, 5, 6, 8, 46, 13, 114_000, UTC))
    clock.freeze()
    options = {"seed_issues": False, "issue_writes": None, "required_fields": {"OPS": ["customfield_10031"]}}
    with Sandbox(World(clock=clock, jira_options=options), vendors=("jira",)) as started:
        yield started


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False) as client:
        yield client


@pytest.fixture
def key(api: httpx.Client) -> str:
    return str(api.post(ISSUE, json=bug()).json()["key"])


def effects(sandbox: Sandbox) -> list[str]:
    return [effect.kind for effect in sandbox.world.journal.effects(via="api")]


def errors(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.json()["errorMessages"] == []
    return dict(answer.json()["errors"])


def messages(answer: httpx.Response, status: int = 400) -> list[str]:
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"] == {}
    return list(answer.json()["errorMessages"])


# comments


def test_comments_are_added_edited_and_deleted(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    place = f"{ISSUE}/{key}/comment"
    sandbox.world.clock.advance(1)
    made = api.post(place, json={"body": doc("Looking into it.")})
    assert made.status_code == 201
    assert made.json()["jsdPublic"] is True
    assert made.json()["author"]["accountType"] == "atlassian"
    assert api.get(f"{ISSUE}/{key}").json()["fields"]["updated"] == "2026-05-06T10:46:14.114+0200"
    note = {
        "body": doc("Not for the customer"),
        "properties": [{"key": "sd.public.comment", "value": {"internal": True}}],
    }
    internal = api.post(place, params={"expand": "properties,renderedBody"}, json=note).json()
    assert (internal["jsdPublic"], internal["properties"]) == (False, note["properties"])
    assert internal["renderedBody"] == "<p>Not for the customer</p>"
    sandbox.world.clock.advance(1)
    edited = api.put(f"{place}/{internal['id']}", json={"body": doc("Still not")}).json()
    assert (edited["id"], edited["jsdPublic"]) == (internal["id"], False)
    assert edited["updated"] > edited["created"]
    same = api.put(f"{place}/{internal['id']}", json={"body": doc("Still not")}).json()
    assert same["updated"] == edited["updated"]
    newest = api.get(place, params={"orderBy": "-created"}).json()
    assert [comment["id"] for comment in newest["comments"]] == [internal["id"], made.json()["id"]]
    page = api.get(place, params={"startAt": 1, "maxResults": 1}).json()
    assert (page["startAt"], page["maxResults"], page["total"], len(page["comments"])) == (1, 1, 2, 1)
    assert api.get(place, params={"orderBy": "updated"}).status_code == 400
    listed = api.post("/rest/api/3/comment/list", json={"ids": [int(internal["id"]), 99]}).json()
    assert [comment["id"] for comment in listed["values"]] == [internal["id"]]
    assert api.delete(f"{place}/{internal['id']}").status_code == 204
    assert api.get(f"{place}/{internal['id']}").status_code == 404
    assert effects(sandbox) == [
        "issue.created",
        "comment.added",
        "comment.added",
        "comment.updated",
        "noop",
        "comment.deleted",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"body": "text"}, {"comment": "Comment body is not valid!"}),
        ({"body": None}, {"comment": "Comment body can not be empty!"}),
        ({"body": doc()}, {"comment": "Comment body can not be empty!"}),
        ({}, {"comment": "Comment body can not be empty!"}),
    ],
)
def test_comments_need_a_document(api: httpx.Client, key: str, body: Any, expected: dict[str, str]) -> None:
    assert errors(api.post(f"{ISSUE}/{key}/comment", json=body)) == expected
    empty_text = {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}],
    }
    assert messages(api.post(f"{ISSUE}/{key}/comment", json={"body": empty_text})) == ["INVALID_INPUT"]


def test_search_shortens_comments_and_a_full_issue_refuses_more() -> None:
    options = {"comment_cap": 22, "search_lag": 0, "issue_writes": None}
    with Sandbox(jira_options=options, vendors=("jira",)) as sandbox:
        with httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False) as api:
            key = api.post(ISSUE, json=bug()).json()["key"]
            for number in range(22):
                assert api.post(f"{ISSUE}/{key}/comment", json={"body": doc(str(number))}).status_code == 201
            assert api.post(f"{ISSUE}/{key}/comment", json={"body": doc("one more")}).status_code == 413
            params = {"jql": f"key = {key}", "fields": "comment"}
            found = api.get("/rest/api/3/search/jql", params=params).json()["issues"][0]["fields"]["comment"]
            assert (len(found["comments"]), found["total"]) == (20, 22)
            assert len(api.get(f"{ISSUE}/{key}").json()["fields"]["comment"]["comments"]) == 22


def test_customers_requests_have_comments_in_plain_text(api: httpx.Client) -> None:
    body = bug(project={"key": "OPS"}, issuetype={"name": "[System] Incident"}, customfield_10031=1)
    key = api.post(ISSUE, json=body).json()["key"]
    place = f"/rest/servicedeskapi/request/{key}/comment"
    assert api.post(place, json={"body": "for agents", "public": False}).json()["public"] is False
    assert api.post(place, json={"body": "for Mia", "public": True}).status_code == 201
    shown = api.get(place, params={"internal": "false"}).json()
    assert [(row["body"], row["public"]) for row in shown["values"]] == [("for Mia", True)]
    assert shown["isLastPage"] is True
    platform = api.get(f"{ISSUE}/{key}/comment").json()["comments"]
    assert [(row["body"], row["jsdPublic"]) for row in platform] == [(doc("for agents"), False), (doc("for Mia"), True)]
    request = api.get(f"/rest/servicedeskapi/request/{key}").json()
    assert (request["issueKey"], request["currentStatus"]["statusCategory"]) == (key, "NEW")
    assert request["createdDate"]["jira"] == "2026-05-06T10:46:13.114+0200"
    eng = api.post(ISSUE, json=bug()).json()["key"]
    missing = api.get(f"/rest/servicedeskapi/request/{eng}")
    assert (missing.status_code, set(missing.json())) == (404, {"errorMessage", "i18nErrorMessage"})
    names = [row["name"] for row in api.get("/rest/servicedeskapi/organization").json()["values"]]
    assert names == ["Globex", "Initech"]
    (mia,) = api.get("/rest/servicedeskapi/organization/1/user").json()["values"]
    assert mia["emailAddress"] == "mia@globex.example"
    assert api.get("/rest/servicedeskapi/servicedesk").json()["values"][0]["projectKey"] == "OPS"


# links and properties


def test_remote_links_are_upserted_by_their_global_id(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    place = f"{ISSUE}/{key}/remotelink"
    link: dict[str, Any] = {
        "globalId": "system=zendesk&id=5512",
        "application": {"type": "test.zendesk", "name": "Zendesk"},
        "relationship": "escalated from",
        "object": {
            "url": "https://acme.example/agent/tickets/5512",
            "title": "#5512",
            "summary": "Export stops",
            "status": {"resolved": False},
        },
    }
    made = api.post(place, json=link)
    assert made.status_code == 201
    assert made.json() == {"id": 10000, "self": f"{sandbox.jira_url}/rest/api/3/issue/10001/remotelink/10000"}
    thin: dict[str, Any] = {
        "globalId": link["globalId"],
        "object": {"url": "https://acme.example/agent/tickets/5512", "title": "#5512"},
    }
    again = api.post(place, json=thin)
    assert (again.status_code, again.json()["id"]) == (200, 10000)
    (shown,) = api.get(place).json()
    assert shown["object"] == {**thin["object"], "icon": {}, "status": {"icon": {}}}
    assert shown["application"] == {}
    assert "relationship" not in shown
    assert api.post(place, json=thin).status_code == 200
    one = api.get(place, params={"globalId": link["globalId"]})
    assert (one.status_code, one.json()["id"]) == (200, 10000)
    assert api.get(place, params={"globalId": "system=other"}).status_code == 404
    without_id = {"object": {"url": "https://example.test", "title": "page"}}
    assert [api.post(place, json=without_id).status_code for _ in range(2)] == [201, 201]
    assert len(api.get(place).json()) == 3
    assert errors(api.post(place, json={"object": {"title": "x"}})) == {"url": "'url' is required."}
    assert (
        api.put(f"{place}/10001", json={"object": {"url": "https://example.test", "title": "other"}}).status_code == 204
    )
    assert api.get(f"{place}/10001").json()["object"]["title"] == "other"
    assert api.delete(f"{place}/10001").status_code == 204
    assert api.delete(place, params={"globalId": link["globalId"]}).status_code == 204
    assert [shown["id"] for shown in api.get(place).json()] == [10002]
    assert effects(sandbox) == [
        "issue.created",
        "remotelink.created",
        "remotelink.updated",
        "noop",
        "remotelink.created",
        "remotelink.created",
        "remotelink.updated",
        "remotelink.deleted",
        "remotelink.deleted",
    ]
    created = sandbox.world.journal.effects(kind="remotelink.created")[0]
    assert created.detail["global_id"] == "system=zendesk&id=5512"


def test_links_between_issues_are_made_once(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    other = api.post(ISSUE, json=bug()).json()["key"]
    body = {"type": {"name": "Blocks"}, "inwardIssue": {"key": key}, "outwardIssue": {"key": other}}
    for _ in range(2):
        answer = api.post("/rest/api/3/issueLink", json=body)
        assert (answer.status_code, answer.content) == (201, b"")
    (link,) = api.get(f"{ISSUE}/{key}").json()["fields"]["issuelinks"]
    assert (link["type"]["outward"], link["outwardIssue"]["key"]) == ("blocks", other)
    (back,) = api.get(f"{ISSUE}/{other}").json()["fields"]["issuelinks"]
    assert back["inwardIssue"]["key"] == key
    (change,) = api.get(f"{ISSUE}/{other}/changelog").json()["values"]
    assert change["items"] == [
        {
            "field": "Link",
            "fieldtype": "jira",
            "from": None,
            "fromString": None,
            "to": key,
            "toString": f"This issue is blocked by {key}",
        }
    ]
    assert effects(sandbox)[2:] == ["issuelink.created", "noop"]
    place = f"/rest/api/3/issueLink/{link['id']}"
    assert api.get(place).json()["inwardIssue"]["key"] == key
    assert api.delete(place).status_code == 204
    assert api.get(place).status_code == 404
    assert api.post("/rest/api/3/issueLink", json=body | {"type": {"name": "Loves"}}).status_code == 404
    assert api.post("/rest/api/3/issueLink", json=body | {"inwardIssue": {"key": "ENG-99"}}).status_code == 404


def test_properties_move_neither_time_nor_history(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    place = f"{ISSUE}/{key}/properties/cxbridge.link"
    sandbox.world.clock.advance(60)
    assert [api.put(place, json={"op": number}).status_code for number in (1, 2, 2)] == [201, 200, 200]
    assert api.get(place).json() == {"key": "cxbridge.link", "value": {"op": 2}}
    shown = api.get(f"{ISSUE}/{key}", params={"fields": "updated", "properties": "*all"}).json()
    assert shown["properties"] == {"cxbridge.link": {"op": 2}}
    assert shown["fields"]["updated"] == "2026-05-06T10:46:13.114+0200"
    assert [row["key"] for row in api.get(f"{ISSUE}/{key}/properties").json()["keys"]] == ["cxbridge.link"]
    assert api.put(place, json="x" * 32_768).status_code == 400
    assert api.put(place, content=b"", headers={"content-type": "application/json"}).status_code == 400
    assert api.put(f"{ISSUE}/{key}/properties/{'k' * 256}", json=1).status_code == 400
    assert api.delete(place).status_code == 204
    assert (api.get(place).status_code, api.delete(place).status_code) == (404, 404)
    assert effects(sandbox) == ["issue.created", "property.set", "property.set", "noop", "property.deleted"]


# history in bulk, screens


@pytest.mark.parametrize(("unit", "expected"), [("milliseconds", 1_778_057_173_114), ("seconds", 1_778_057_173)])
def test_the_bulk_history_counts_its_time(unit: str, expected: int) -> None:
    clock = SandboxClock(datetime(2026, 5, 6, 8, 46, 13, 114_000, UTC))
    clock.freeze()
    world = World(clock=clock, jira_options={"changelog_epoch": unit, "seed_issues": False})
    with Sandbox(world, vendors=("jira",)) as sandbox:
        with httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False) as api:
            keys = [api.post(ISSUE, json=bug()).json()["key"] for _ in range(2)]
            for key in keys:
                api.put(f"{ISSUE}/{key}", json={"fields": {"labels": ["x"]}})
            api.post(f"{ISSUE}/{keys[0]}/transitions", json={"transition": {"id": "11"}})
            body: dict[str, Any] = {"issueIdsOrKeys": keys, "maxResults": 2}
            first = api.post("/rest/api/3/changelog/bulkfetch", json=body).json()
            rest = api.post(
                "/rest/api/3/changelog/bulkfetch", json=body | {"nextPageToken": first["nextPageToken"]}
            ).json()
            assert "nextPageToken" not in rest
            pages = [*first["issueChangeLogs"], *rest["issueChangeLogs"]]
            assert sum(len(entry["changeHistories"]) for entry in pages) == 3
            assert {change["created"] for entry in pages for change in entry["changeHistories"]} == {expected}
            only = api.post("/rest/api/3/changelog/bulkfetch", json=body | {"fieldIds": ["status"]}).json()
            assert [entry["issueId"] for entry in only["issueChangeLogs"]] == ["10001"]
            assert api.post("/rest/api/3/changelog/bulkfetch", json={"issueIdsOrKeys": []}).status_code == 400


def test_screens_tell_what_can_be_set(api: httpx.Client, key: str) -> None:
    types = api.get(f"{ISSUE}/createmeta/OPS/issuetypes").json()
    incident = next(row["id"] for row in types["issueTypes"] if row["name"] == "[System] Incident")
    place = f"{ISSUE}/createmeta/OPS/issuetypes/{incident}"
    screen = api.get(place, params={"maxResults": 200}).json()
    fields = {row["fieldId"]: row for row in screen["fields"]}
    assert screen["total"] == len(fields)
    assert {name for name, row in fields.items() if row["required"]} == {
        "project",
        "issuetype",
        "summary",
        "customfield_10031",
    }
    assert fields["labels"]["operations"] == ["add", "set", "remove"]
    assert fields["priority"]["allowedValues"][0]["name"] == "Highest"
    assert "resolution" not in fields
    assert len(api.get(place).json()["fields"]) <= 50
    assert api.get(f"{ISSUE}/createmeta/NONE/issuetypes").status_code == 400
    edit = api.get(f"{ISSUE}/{key}/editmeta").json()["fields"]
    assert "summary" in edit
    assert not {"project", "status", "customfield_10002"} & set(edit)
