"""Writing issues to the simulated Jira: create, edit, transitions, documents, and what is refused."""

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
BEN = "5b10ac8d82e05b22cc7d4ef5"
INACTIVE = "712020:08aa77bb-66cc-4d5e-9f00-11aa22bb33cc"


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


# create


def test_a_created_issue_holds_what_was_sent(sandbox: Sandbox, api: httpx.Client) -> None:
    properties = [{"key": "cxbridge.link", "value": {"system": "zendesk", "id": "5512"}}]
    body = bug(
        description=doc("Reported by Globex."),
        labels=["cxb-zd-5512", "export"],
        priority={"name": "high"},
        assignee={"id": BEN},
        components=[{"name": "Export"}],
        fixVersions=[{"id": "10201"}],
        duedate="2026-06-01",
        customfield_10031=3,
        customfield_10032={"value": "SEV2"},
    )
    answer = api.post(ISSUE, json=body | {"properties": properties})
    assert answer.status_code == 201
    assert answer.json() == {"id": "10001", "key": "ENG-1", "self": f"{sandbox.jira_url}/rest/api/3/issue/10001"}
    fields = api.get(f"{ISSUE}/ENG-1").json()["fields"]
    assert fields["description"] == doc("Reported by Globex.")
    assert fields["labels"] == ["cxb-zd-5512", "export"]
    assert (fields["priority"]["id"], fields["priority"]["name"]) == ("2", "High")
    assert (fields["assignee"]["accountId"], fields["assignee"]["displayName"]) == (BEN, "Ben Adeyemi")
    assert "emailAddress" not in fields["assignee"]
    assert fields["reporter"]["emailAddress"] == "bridge@example.test"
    assert [component["name"] for component in fields["components"]] == ["Export"]
    assert [version["name"] for version in fields["fixVersions"]] == ["2026.5"]
    assert (fields["duedate"], fields["customfield_10031"]) == ("2026-06-01", 3.0)
    assert fields["customfield_10032"]["value"] == "SEV2"
    assert fields["status"]["statusCategory"]["key"] == "new"
    assert fields["created"] == fields["updated"] == "2026-05-06T10:46:13.114+0200"
    assert (fields["resolution"], fields["resolutiondate"], fields["environment"]) == (None, None, None)
    assert fields["project"]["projectTypeKey"] == "software"
    assert api.get(f"{ISSUE}/ENG-1/properties/cxbridge.link").json() == properties[0]
    (effect,) = sandbox.world.journal.effects(kind="issue.created")
    assert (effect.key, effect.actor, effect.via) == ("ENG-1", "bridge@example.test", "api")
    assert effect.detail["labels"] == ["cxb-zd-5512", "export"]
    assert effect.detail["properties"] == {"cxbridge.link": {"system": "zendesk", "id": "5512"}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"summary": ...}, {"summary": "You must specify a summary of the issue."}),
        ({"summary": " "}, {"summary": "You must specify a summary of the issue."}),
        ({"summary": "a\nb"}, {"summary": "The summary is invalid because it contains newline characters."}),
        ({"summary": "x" * 256}, {"summary": "Summary can't exceed 255 characters."}),
        ({"project": {"key": "NONE"}}, {"project": "valid project is required"}),
        ({"issuetype": ...}, {"issuetype": "Specify an issue type"}),
        ({"issuetype": {"name": "[System] Incident"}}, {"issuetype": "The issue type selected is invalid."}),
        ({"issuetype": {"id": "77"}}, {"issuetype": "Specify a valid issue type"}),
        ({"priority": {"name": "Sev 9"}}, {"priority": "Specify a valid 'id' or 'name' for priority"}),
        ({"labels": ["two words"]}, {"labels": "The label 'two words' contains spaces which is invalid."}),
        ({"assignee": {"id": "nobody"}}, {"assignee": "User 'nobody' does not exist."}),
        ({"assignee": {"id": INACTIVE}}, {"assignee": f"User '{INACTIVE}' cannot be assigned issues."}),
        ({"assignee": {"name": "ben"}}, {"assignee": "Specify a valid 'accountId'"}),
        ({"reporter": {"id": "nobody"}}, {"reporter": "The reporter specified is not a user."}),
        ({"duedate": "soon"}, {"duedate": "Error parsing date string: soon"}),
        ({"components": [{"name": "Shoes"}]}, {"components": "Components name 'shoes' is not valid"}),
        ({"customfield_10031": "many"}, {"customfield_10031": "Operation value must be a number"}),
        ({"customfield_10032": {"id": "1"}}, {"customfield_10032": "Option id '1' is not valid"}),
        ({"parent": {"key": "ENG-99"}}, {"parent": "Could not find issue by id or key."}),
        (
            {"issuetype": {"name": "Sub-task"}},
            {"parent": "Issue type is a sub-task but parent issue key or id not specified."},
        ),
        (
            {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}},
            {"customfield_10031": "Affected customers is required."},
        ),
        (
            {"description": "plain text"},
            {"description": "Operation value must be an Atlassian Document (see the Atlassian Document Format)"},
        ),
        *(
            ({name: "x"}, {name: f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."})
            for name in ("status", "resolution", "shoe", "created", "customfield_10002")
        ),
    ],
)
def test_bad_fields_are_named(site: httpx.Client, fields: dict[str, Any], expected: dict[str, str]) -> None:
    assert errors(site.post(ISSUE, json=bug(**fields))) == expected


def test_all_bad_fields_are_named_at_once(api: httpx.Client, sandbox: Sandbox) -> None:
    wrong = bug(priority={"id": "99"}, labels=["a b"], shoe=1)
    assert set(errors(api.post(ISSUE, json=wrong))) == {"priority", "labels", "shoe"}
    assert effects(sandbox) == []


TEXT = {"type": "text", "text": "x"}
PARAGRAPH = {"type": "paragraph", "content": [TEXT]}


@pytest.fixture(scope="module")
def site() -> Iterator[httpx.Client]:
    """A site that only refuses; nothing is made on it."""
    options = {"seed_issues": False, "required_fields": {"OPS": ["customfield_10031"]}}
    with Sandbox(jira_options=options, vendors=("jira",)) as started:
        with httpx.Client(base_url=started.jira_url, auth=AUTH, trust_env=False) as client:
            yield client


@pytest.mark.parametrize(
    "node",
    [
        {"type": "paragraph", "content": [{"type": "text", "text": ""}]},
        {"type": "paragraph", "content": [{"type": "text", "text": "a\nb"}]},
        {"type": "paragraph", "content": [PARAGRAPH]},
        {"type": "bulletList", "content": [PARAGRAPH]},
        {"type": "bulletList", "content": []},
        {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "codeBlock"}]}]},
        {"type": "heading", "attrs": {"level": 7}, "content": [TEXT]},
        {"type": "heading", "content": [TEXT]},
        {"type": "video"},
        {"type": "paragraph", "content": [{**TEXT, "marks": [{"type": "code"}, {"type": "strong"}]}]},
        {"type": "paragraph", "content": [{**TEXT, "marks": [{"type": "blink"}]}]},
        {"type": "paragraph", "content": [{**TEXT, "marks": [{"type": "link"}]}]},
        {"type": "paragraph", "content": [{"type": "mention", "attrs": {}}]},
        {"type": "paragraph", "content": "text"},
        "text",
    ],
)
def test_malformed_documents_get_no_explanation(site: httpx.Client, node: Any) -> None:
    document = {"type": "doc", "version": 1, "content": [node]}
    assert messages(site.post(ISSUE, json=bug(description=document))) == ["INVALID_INPUT"]


def test_rich_documents_are_kept_as_they_came(api: httpx.Client) -> None:
    link = {**TEXT, "marks": [{"type": "link", "attrs": {"href": "https://example.test"}}, {"type": "code"}]}
    document = {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "attrs": {"level": 2}, "content": [TEXT]},
            {"type": "bulletList", "content": [{"type": "listItem", "content": [PARAGRAPH]}]},
            {"type": "codeBlock", "attrs": {"language": "python"}, "content": [{"type": "text", "text": "a\nb"}]},
            {"type": "paragraph", "content": [link, {"type": "hardBreak"}, {"type": "mention", "attrs": {"id": BEN}}]},
            {"type": "panel", "attrs": {"panelType": "info"}, "content": [PARAGRAPH]},
            {"type": "rule"},
        ],
    }
    made = api.post(ISSUE, json=bug(description=document)).json()["key"]
    shown = api.get(f"{ISSUE}/{made}", params={"fields": "description", "expand": "renderedFields"}).json()
    assert shown["fields"] == {"description": document}
    html = shown["renderedFields"]["description"]
    assert "<h2>x</h2><ul><li><p>x</p></li></ul>" in html
    assert '<a href="https://example.test">x</a>' in html
    text = api.get(f"/rest/api/2/issue/{made}", params={"fields": "description"}).json()["fields"]["description"]
    assert text.startswith("x\n\n* x\n\na\nb\n\nx\n[~accountid:")
    assert errors(api.post(ISSUE, json=bug(description=doc("x" * 32_768)))).keys() == {"description"}


def test_many_issues_are_made_one_by_one(api: httpx.Client) -> None:
    wanted = [bug(), bug(summary=...), bug(project={"key": "NONE"}), bug(summary="second")]
    answer = api.post(f"{ISSUE}/bulk", json={"issueUpdates": wanted})
    assert answer.status_code == 201
    assert [made["key"] for made in answer.json()["issues"]] == ["ENG-1", "ENG-2"]
    assert [(error["status"], error["failedElementNumber"]) for error in answer.json()["errors"]] == [
        (400, 1),
        (400, 2),
    ]
    assert answer.json()["errors"][0]["elementErrors"]["errors"].keys() == {"summary"}
    assert api.post(f"{ISSUE}/bulk", json={"issueUpdates": [bug(summary=...)]}).status_code == 400
    assert api.post(f"{ISSUE}/bulk", json={"issueUpdates": [bug()] * 51}).status_code == 400


def test_create_may_take_a_transition(api: httpx.Client) -> None:
    made = api.post(ISSUE, json=bug() | {"transition": {"id": "11"}}).json()
    assert made["transition"] == {"status": 200, "errorCollection": {"errorMessages": [], "errors": {}}}
    assert api.get(f"{ISSUE}/{made['key']}").json()["fields"]["status"]["name"] == "In Progress"
    refused = api.post(ISSUE, json=bug() | {"transition": {"id": "31"}}).json()
    assert refused["transition"]["status"] == 400
    assert api.get(f"{ISSUE}/{refused['key']}").json()["fields"]["status"]["name"] == "To Do"


def test_subtasks_go_with_their_parent_only_when_asked(api: httpx.Client, key: str) -> None:
    made = api.post(ISSUE, json=bug(issuetype={"name": "Sub-task"}, parent={"key": key})).json()["key"]
    assert [child["key"] for child in api.get(f"{ISSUE}/{key}").json()["fields"]["subtasks"]] == [made]
    assert api.get(f"{ISSUE}/{made}").json()["fields"]["parent"]["key"] == key
    assert "subtasks" in messages(api.delete(f"{ISSUE}/{key}"))[0]
    assert api.delete(f"{ISSUE}/{key}", params={"deleteSubtasks": "true"}).status_code == 204
    assert messages(api.get(f"{ISSUE}/{made}"), 404) == [
        "Issue does not exist or you do not have permission to see it."
    ]


# edit


def test_edits_set_add_and_remove(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    sandbox.world.clock.advance(60)
    body = {
        "fields": {"summary": "Export stops at 40%", "priority": {"id": "1"}},
        "update": {
            "labels": [{"add": "b"}, {"add": "a"}, {"add": "c"}, {"remove": "b"}],
            "assignee": [{"set": {"id": BEN}}],
        },
        "transition": {"id": "11"},
    }
    answer = api.put(f"{ISSUE}/{key}", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    assert (fields["summary"], fields["labels"]) == ("Export stops at 40%", ["a", "c"])
    assert fields["updated"] == "2026-05-06T10:47:13.114+0200"
    assert fields["status"]["name"] == "To Do"  # a transition in an edit is ignored
    (change,) = api.get(f"{ISSUE}/{key}/changelog").json()["values"]
    items = {
        item["fieldId"]: (item["from"], item["fromString"], item["to"], item["toString"]) for item in change["items"]
    }
    assert items == {
        "summary": (None, "Export stops", None, "Export stops at 40%"),
        "priority": ("3", "Medium", "1", "Highest"),
        "labels": (None, "", None, "a c"),
        "assignee": (None, None, BEN, "Ben Adeyemi"),
    }
    (effect,) = sandbox.world.journal.effects(kind="issue.updated")
    assert effect.detail["fields"] == ["assignee", "labels", "priority", "summary"]


def test_an_edit_that_changes_nothing_leaves_no_trace(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    before = api.get(f"{ISSUE}/{key}").json()
    sandbox.world.clock.advance(60)
    same = {"fields": {"summary": "Export stops", "labels": [], "priority": {"name": "Medium"}}}
    assert api.put(f"{ISSUE}/{key}", json=same).status_code == 204
    assert api.get(f"{ISSUE}/{key}").json() == before
    assert effects(sandbox) == ["issue.created", "noop"]


def test_null_clears(api: httpx.Client) -> None:
    made = api.post(ISSUE, json=bug(description=doc("x"), assignee={"id": BEN}, duedate="2026-06-01")).json()["key"]
    body = {"fields": {"description": None, "assignee": None, "duedate": None}}
    assert api.put(f"{ISSUE}/{made}", json=body).status_code == 204
    fields = api.get(f"{ISSUE}/{made}").json()["fields"]
    assert (fields["description"], fields["assignee"], fields["duedate"]) == (None, None, None)
    assert "summary" in errors(api.put(f"{ISSUE}/{made}", json={"fields": {"summary": None}}))


def test_a_refused_edit_changes_nothing(api: httpx.Client, key: str) -> None:
    body = {
        "fields": {"summary": "new"},
        "update": {"labels": [{"add": "two words"}], "comment": [{"add": {"body": doc("x")}}]},
    }
    assert errors(api.put(f"{ISSUE}/{key}", json=body)).keys() == {"labels"}
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    assert (fields["summary"], fields["comment"]["total"]) == ("Export stops", 0)
    assert errors(api.put(f"{ISSUE}/{key}", json={"fields": {"labels": []}, "update": {"labels": [{"add": "a"}]}}))
    assert errors(api.put(f"{ISSUE}/{key}", json={"update": {"summary": [{"add": "a"}]}}))
    assert messages(api.put(f"{ISSUE}/{key}", json={}))


def test_an_edit_may_return_the_issue_and_add_a_comment(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    body = {"fields": {"labels": ["x"]}, "update": {"comment": [{"add": {"body": doc("seen")}}]}}
    answer = api.put(f"{ISSUE}/{key}", params={"returnIssue": "true"}, json=body)
    assert answer.status_code == 200
    assert answer.json()["fields"]["comment"]["comments"][0]["body"] == doc("seen")
    assert effects(sandbox) == ["issue.created", "issue.updated", "comment.added"]


def test_silent_edits_of_people_without_the_right_are_ignored() -> None:
    with Sandbox(jira_options={"admin": False}, vendors=("jira",)) as sandbox:
        with httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False) as api:
            answer = api.put(f"{ISSUE}/ENG-1", params={"notifyUsers": "false"}, json={"fields": {"labels": ["x"]}})
            assert answer.status_code == 204
            assert api.get(f"{ISSUE}/ENG-1").json()["fields"]["labels"] == ["export"]
            assert api.get("/rest/api/3/statuses/search").status_code == 403


def test_assigning_has_a_path_of_its_own(api: httpx.Client, key: str) -> None:
    assert api.put(f"{ISSUE}/{key}/assignee", json={"accountId": BEN}).status_code == 204
    assert api.get(f"{ISSUE}/{key}").json()["fields"]["assignee"]["accountId"] == BEN
    assert api.put(f"{ISSUE}/{key}/assignee", json={"accountId": None}).status_code == 204
    assert api.get(f"{ISSUE}/{key}").json()["fields"]["assignee"] is None
    assert errors(api.put(f"{ISSUE}/{key}/assignee", json={"accountId": "nobody"}))


# transitions


def take(api: httpx.Client, key: str, transition: str, **body: Any) -> httpx.Response:
    return api.post(f"{ISSUE}/{key}/transitions", json={"transition": {"id": transition}, **body})


def offered(api: httpx.Client, key: str) -> list[tuple[str, str]]:
    answer = api.get(f"{ISSUE}/{key}/transitions").json()
    return [(transition["id"], transition["to"]["name"]) for transition in answer["transitions"]]


def test_the_workflow_goes_step_by_step(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    assert offered(api, key) == [("11", "In Progress")]
    assert messages(take(api, key, "31")) == ["Transition id '31' is not valid for this issue."]
    answer = take(api, key, "11")
    assert (answer.status_code, answer.content) == (204, b"")
    sandbox.world.clock.advance(1)
    assert offered(api, key) == [("21", "In Review")]
    assert take(api, key, "21").status_code == 204
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    # From In Progress to In Review the category stays what it was.
    assert fields["statuscategorychangedate"] == "2026-05-06T10:46:13.114+0200"
    (done,) = api.get(f"{ISSUE}/{key}/transitions", params={"expand": "transitions.fields"}).json()["transitions"]
    assert (done["hasScreen"], done["isAvailable"], done["to"]["statusCategory"]["key"]) == (True, True, "done")
    names = [option["name"] for option in done["fields"]["resolution"]["allowedValues"]]
    assert names[:2] == ["Fixed", "Won't Do"]
    assert take(api, key, "31", fields={"resolution": {"name": "Duplicate"}}).status_code == 204
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    assert (fields["status"]["name"], fields["resolution"]["name"]) == ("Done", "Duplicate")
    assert fields["resolutiondate"] == fields["statuscategorychangedate"] == "2026-05-06T10:46:14.114+0200"
    assert offered(api, key) == [("41", "To Do")]
    assert take(api, key, "41", fields={"resolution": None}).status_code == 204
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    assert (fields["status"]["name"], fields["resolution"], fields["resolutiondate"]) == ("To Do", None, None)
    last = api.get(f"{ISSUE}/{key}/changelog").json()["values"][-1]
    assert [(item["field"], item["fromString"], item["toString"]) for item in last["items"]] == [
        ("status", "Done", "To Do"),
        ("resolution", "Duplicate", None),
    ]
    assert effects(sandbox) == ["issue.created"] + ["transition"] * 4


def test_done_without_a_resolution_gets_the_workflows_own(api: httpx.Client, key: str) -> None:
    for transition in ("11", "21"):
        take(api, key, transition)
    assert take(api, key, "31", update={"comment": [{"add": {"body": doc("shipped")}}]}).status_code == 204
    fields = api.get(f"{ISSUE}/{key}").json()["fields"]
    assert fields["resolution"]["name"] == "Fixed"
    assert fields["comment"]["comments"][0]["body"] == doc("shipped")


def test_refused_transitions_change_nothing(api: httpx.Client, key: str) -> None:
    assert errors(take(api, key, "11", fields={"resolution": {"name": "Fixed"}})).keys() == {"resolution"}
    assert errors(take(api, key, "11", fields={"summary": "x"})).keys() == {"summary"}
    assert errors(take(api, key, "11", update={"comment": [{"add": {"body": "text"}}]})).keys() == {"comment"}
    assert messages(api.post(f"{ISSUE}/{key}/transitions", json={"fields": {}}))
    assert offered(api, key) == [("11", "In Progress")]


# the request itself


def test_bodies_must_be_json(api: httpx.Client, key: str) -> None:
    deep = b"[" * 100_000
    for content in (b"{", b'{"a": NaN}', deep, b"\xff"):
        answer = api.post(ISSUE, content=content, headers={"content-type": "application/json"})
        assert messages(answer) == ["There was an error parsing JSON. Check that your request body is valid."]
    assert api.post(ISSUE, content=b"a=1", headers={"content-type": "text/plain"}).status_code == 415
    assert api.post(ISSUE, json=["not an object"]).status_code == 400
    assert api.post(ISSUE).status_code == 400
    assert api.request("PATCH", f"{ISSUE}/{key}").status_code == 405
    assert api.get("/rest/api/3/shoes").status_code == 404
    assert api.get("/rest/api/4/issue/ENG-1").status_code == 404
    assert api.get(f"{ISSUE}/ENG-1/comment", params={"startAt": "many"}).status_code == 400


def test_answers_carry_the_sandboxs_date_and_the_called_host(sandbox: Sandbox, api: httpx.Client, key: str) -> None:
    answer = api.get(f"{ISSUE}/{key}", headers={"host": "jira.example.test:9999"})
    assert answer.headers.get_list("date") == ["Wed, 06 May 2026 08:46:13 GMT"]
    assert answer.json()["self"] == "http://jira.example.test:9999/rest/api/3/issue/10001"
    assert answer.json()["fields"]["status"]["self"].startswith("http://jira.example.test:9999/rest/api/3/status/")
