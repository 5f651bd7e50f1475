"""Searching the simulated Jira: what is found, how late, in which order, page by page."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

AUTH = ("bridge@example.test", "sandbox-token")
SEARCH = "/rest/api/3/search/jql"
START = datetime(2026, 5, 6, 8, 46, 13, 114_000, UTC)


def running(**options: Any) -> Sandbox:
    clock = SandboxClock(START)
    clock.freeze()
    return Sandbox(World(clock=clock, jira_options={"seed_issues": False, **options}), vendors=("jira",))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as started:
        yield started


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client(sandbox) as made:
        yield made


def client(sandbox: Sandbox) -> httpx.Client:
    return httpx.Client(base_url=sandbox.jira_url, auth=AUTH, trust_env=False)


def make(api: httpx.Client, summary: str = "Export stops", **fields: Any) -> str:
    body = {"fields": {"project": {"key": "ENG"}, "issuetype": {"name": "Bug"}, "summary": summary, **fields}}
    answer = api.post("/rest/api/3/issue", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def keys(api: httpx.Client, jql: str, **params: Any) -> list[str]:
    answer = api.get(SEARCH, params={"jql": jql, "fields": "key", "maxResults": 100, **params})
    assert answer.status_code == 200, answer.text
    return [issue["key"] for issue in answer.json()["issues"]]


def refusal(api: httpx.Client, jql: str) -> str:
    answer = api.get(SEARCH, params={"jql": jql})
    assert answer.status_code == 400, answer.text
    (message,) = answer.json()["errorMessages"]
    assert answer.json()["errors"] == {}
    return str(message)


def test_a_new_issue_is_readable_at_once_and_searchable_late(sandbox: Sandbox, api: httpx.Client) -> None:
    key = make(api)
    assert api.get(f"/rest/api/3/issue/{key}").status_code == 200
    assert keys(api, "project = ENG") == []
    sandbox.world.clock.advance(4.9)
    assert keys(api, "project = ENG") == []
    sandbox.world.clock.advance(0.1)
    assert keys(api, "project = ENG") == [key]


def test_search_shows_the_version_its_index_knows(sandbox: Sandbox, api: httpx.Client) -> None:
    key = make(api, "before")
    sandbox.world.clock.advance(10)
    api.put(f"/rest/api/3/issue/{key}", json={"fields": {"summary": "after"}})
    found = api.get(SEARCH, params={"jql": "summary ~ before", "fields": "summary,updated"}).json()["issues"][0]
    assert found["fields"] == {"summary": "before", "updated": "2026-05-06T10:46:13.114+0200"}
    sandbox.world.clock.advance(5)
    assert keys(api, "summary ~ before") == []
    assert keys(api, "summary ~ after") == [key]


def test_named_issues_are_reconciled_with_what_was_just_written(api: httpx.Client) -> None:
    key = make(api)
    issue_id = api.get(f"/rest/api/3/issue/{key}", params={"fields": "summary"}).json()["id"]
    body = {"jql": "project = ENG", "reconcileIssues": [int(issue_id)], "fields": ["summary"]}
    assert [issue["key"] for issue in api.post(SEARCH, json=body).json()["issues"]] == [key]
    too_many = {"jql": "project = ENG", "reconcileIssues": list(range(51))}
    assert api.post(SEARCH, json=too_many).status_code == 400


def test_the_lag_can_be_changed_while_running(sandbox: Sandbox, api: httpx.Client) -> None:
    assert sandbox.world.jira.control("PUT", "search", {"lag": 0})[0] == 200
    key = make(api)
    assert keys(api, "project = ENG") == [key]
    sandbox.world.jira.control("PUT", "search", {"lag": 300})
    other = make(api)
    sandbox.world.clock.advance(299)
    assert keys(api, "project = ENG") == [key]
    sandbox.world.jira.control("POST", "search/settle")
    assert keys(api, "project = ENG ORDER BY key") == [key, other]


def test_deleted_and_hidden_issues_are_not_found(sandbox: Sandbox, api: httpx.Client) -> None:
    gone, hidden, kept = make(api), make(api), make(api)
    sandbox.world.clock.advance(10)
    assert api.delete(f"/rest/api/3/issue/{gone}").status_code == 204
    sandbox.world.jira.control("PATCH", f"issues/{hidden}", {"hidden": True})
    assert keys(api, "project = ENG") == [kept]
    assert api.get(f"/rest/api/3/issue/{gone}").status_code == 404
    assert api.get(f"/rest/api/3/issue/{hidden}").status_code == 404
    sandbox.world.jira.control("PATCH", f"issues/{hidden}", {"hidden": False})
    assert keys(api, "project = ENG ORDER BY key") == [hidden, kept]


def test_only_ids_come_back_unless_fields_are_named(sandbox: Sandbox, api: httpx.Client) -> None:
    make(api)
    sandbox.world.clock.advance(10)
    assert api.get(SEARCH, params={"jql": "project = ENG"}).json() == {"issues": [{"id": "10001"}], "isLast": True}
    found = api.post(SEARCH, json={"jql": "project = ENG", "fields": ["*all", "-comment"]}).json()["issues"][0]
    assert "comment" not in found["fields"]
    assert {"updated", "description", "attachment"} <= set(found["fields"])
    assert found["self"] == f"{sandbox.jira_url}/rest/api/3/issue/10001"
    navigable = api.post(SEARCH, json={"jql": "project = ENG", "fields": ["*navigable"]}).json()["issues"][0]
    assert "attachment" not in navigable["fields"]
    assert "updated" in navigable["fields"]


def test_an_empty_answer_is_exact(api: httpx.Client) -> None:
    assert api.get(SEARCH, params={"jql": "project = ENG"}).json() == {"issues": [], "isLast": True}


def test_a_query_needs_a_restriction(api: httpx.Client) -> None:
    for jql in ("", "ORDER BY created", "order by updated desc, key"):
        assert refusal(api, jql).startswith("Unbounded JQL queries are not allowed here.")
        assert api.post("/rest/api/3/search/approximate-count", json={"jql": jql}).status_code == 400


def test_the_old_search_is_gone(api: httpx.Client) -> None:
    for method, version in itertools.product(("GET", "POST"), (2, 3)):
        answer = api.request(method, f"/rest/api/{version}/search", params={"jql": "project = ENG"})
        assert answer.status_code == 410
        assert "/rest/api/3/search/jql" in answer.json()["errorMessages"][0]


def test_expand_is_a_string_and_properties_are_few(sandbox: Sandbox, api: httpx.Client) -> None:
    key = make(api)
    api.put(f"/rest/api/3/issue/{key}/properties/cxbridge.link", json={"id": "5512"})
    sandbox.world.clock.advance(10)
    body: dict[str, Any] = {"jql": "project = ENG", "fields": ["summary"], "properties": ["cxbridge.link", "other"]}
    answer = api.post(SEARCH, json=body | {"expand": "names,schema,changelog"}).json()
    assert answer["issues"][0]["properties"] == {"cxbridge.link": {"id": "5512"}}
    assert answer["names"] == {"summary": "Summary"}
    assert answer["schema"] == {"summary": {"type": "string", "system": "summary"}}
    assert answer["issues"][0]["changelog"]["total"] == 0
    assert api.post(SEARCH, json=body | {"expand": ["names"]}).status_code == 400
    assert api.post(SEARCH, json=body | {"properties": list("abcdef")}).status_code == 400
    assert api.post(SEARCH, json=body | {"fields": "summary"}).status_code == 400
    assert api.post(SEARCH, json={"jql": "project = ENG", "expand": None, "properties": None}).status_code == 200


def test_the_changelog_of_a_search_is_cut(sandbox: Sandbox, api: httpx.Client) -> None:
    key = make(api)
    for number in range(41):
        sandbox.world.jira.control("PATCH", f"issues/{key}", {"summary": f"number {number}"})
    sandbox.world.jira.control("POST", "search/settle")
    found = api.get(SEARCH, params={"jql": "project = ENG", "expand": "changelog", "fields": "summary"}).json()
    histories = found["issues"][0]["changelog"]["histories"]
    assert (len(histories), found["issues"][0]["changelog"]["total"]) == (40, 41)
    assert histories[0]["items"][0]["toString"] == "number 40"
    whole = api.get(f"/rest/api/3/issue/{key}/changelog", params={"maxResults": 100}).json()
    assert (len(whole["values"]), whole["isLast"]) == (41, True)
    assert whole["values"][0]["items"][0]["toString"] == "number 0"


# pages


def pages(api: httpx.Client, size: int, between: Any = None, **body: Any) -> list[list[str]]:
    seen: list[list[str]] = []
    asked = {"jql": "project = ENG ORDER BY updated ASC, key ASC", "fields": ["updated"], "maxResults": size, **body}
    while True:
        answer = api.post(SEARCH, json=asked).json()
        seen.append([issue["key"] for issue in answer["issues"]])
        assert answer["isLast"] == ("nextPageToken" not in answer)
        assert not {"total", "startAt"} & set(answer)
        if answer["isLast"]:
            return seen
        asked["nextPageToken"] = answer["nextPageToken"]
        if between is not None:
            between(seen)


def filled(sandbox: Sandbox, count: int) -> list[str]:
    made = []
    for number in range(count):
        made.append(sandbox.world.jira.control("POST", "issues", {"summary": f"number {number}"})[1]["key"])
        sandbox.world.clock.advance(1)
    sandbox.world.clock.advance(10)
    return made


def test_pages_follow_their_tokens_to_the_end(sandbox: Sandbox, api: httpx.Client) -> None:
    made = filled(sandbox, 7)
    assert pages(api, 3) == [made[:3], made[3:6], made[6:]]
    assert pages(api, 7) == [made]


def test_an_issue_that_moves_while_paging_is_seen_twice(sandbox: Sandbox, api: httpx.Client) -> None:
    made = filled(sandbox, 6)

    def edit_first(seen: list[list[str]]) -> None:
        if len(seen) == 1:
            sandbox.world.jira.control("PATCH", f"issues/{made[0]}", {"priority": "Highest"})
            sandbox.world.clock.advance(10)

    assert pages(api, 2, edit_first) == [made[:2], made[2:4], made[4:], [made[0]]]


def test_with_counted_pages_a_moving_issue_lets_its_neighbour_be_skipped() -> None:
    with running(search_paging="offset") as sandbox, client(sandbox) as api:
        made = filled(sandbox, 6)

        def edit_first(seen: list[list[str]]) -> None:
            if len(seen) == 1:
                sandbox.world.jira.control("PATCH", f"issues/{made[0]}", {"priority": "Highest"})
                sandbox.world.clock.advance(10)

        assert pages(api, 2, edit_first) == [made[:2], made[3:5], [made[5], made[0]]]


def test_many_issues_with_one_time_are_paged_without_loss(sandbox: Sandbox, api: httpx.Client) -> None:
    made = [make(api) for _ in range(9)]
    sandbox.world.clock.advance(10)
    assert list(itertools.chain(*pages(api, 2, jql="project = ENG ORDER BY updated"))) == made
    down = list(itertools.chain(*pages(api, 4, jql="project = ENG ORDER BY updated ASC, key DESC")))
    assert down == list(reversed(made))


def test_a_token_belongs_to_its_query_and_dies(sandbox: Sandbox, api: httpx.Client) -> None:
    filled(sandbox, 3)
    asked: dict[str, Any] = {"jql": "project = ENG", "fields": ["summary"], "maxResults": 1}
    token = api.post(SEARCH, json=asked).json()["nextPageToken"]
    assert api.post(SEARCH, json=asked | {"nextPageToken": token, "maxResults": 2}).status_code == 200
    for change in ({"jql": "project in (ENG)"}, {"fields": ["updated"]}, {"nextPageToken": "nonsense"}):
        assert api.post(SEARCH, json=asked | {"nextPageToken": token} | change).status_code == 400
    sandbox.world.clock.advance(7 * 86_400 + 60)
    assert api.post(SEARCH, json=asked | {"nextPageToken": token}).status_code == 400


def test_mishaps_befall_follow_up_pages(sandbox: Sandbox, api: httpx.Client) -> None:
    a, b, c, d, e = made = filled(sandbox, 5)

    def expect(kind: str, times: int = 1) -> None:
        assert sandbox.world.jira.control("POST", "search/mishap", {"kind": kind, "times": times})[0] == 200

    expect("duplicate")
    assert pages(api, 2) == [[a, b], [a, b], [c, d], [e]]
    expect("skip")
    assert pages(api, 2) == [[a, b], [d], [e]]
    expect("reset")
    assert pages(api, 2) == [[a, b], [a, b], [c, d], [e]]
    assert pages(api, 2) == [made[:2], made[2:4], made[4:]]
    expect("loop", 3)
    asked: dict[str, Any] = {"jql": "project = ENG ORDER BY key", "maxResults": 2}
    token = api.post(SEARCH, json=asked).json()["nextPageToken"]
    for _ in range(3):
        answer = api.post(SEARCH, json=asked | {"nextPageToken": token}).json()
        assert (answer["nextPageToken"], answer["isLast"]) == (token, False)
    assert api.post(SEARCH, json=asked | {"nextPageToken": token}).json()["nextPageToken"] != token
    assert sandbox.world.jira.control("POST", "search/mishap", {"kind": "shoe"})[0] == 400


def test_an_issue_can_be_shown_in_a_shape_nobody_foresaw(sandbox: Sandbox, api: httpx.Client) -> None:
    key = make(api)
    sandbox.world.jira.control("POST", "search/settle")
    odd = {"fields": {"priority": {"id": "77", "name": "Blocker"}, "summary": None}, "missing": ["updated"]}
    assert sandbox.world.jira.control("PUT", f"issues/{key}/drift", odd)[0] == 200
    params = {"jql": "project = ENG", "fields": "priority,summary,updated,labels"}
    found = api.get(SEARCH, params=params).json()["issues"][0]["fields"]
    assert found == {"priority": {"id": "77", "name": "Blocker"}, "summary": None, "labels": []}
    assert "updated" not in api.get(f"/rest/api/3/issue/{key}").json()["fields"]
    sandbox.world.jira.control("PUT", f"issues/{key}/drift", {})
    assert api.get(SEARCH, params=params).json()["issues"][0]["fields"]["summary"] == "Export stops"


def test_start_at_is_ignored_and_pages_are_capped(sandbox: Sandbox, api: httpx.Client) -> None:
    filled(sandbox, 101)
    slim = api.get(SEARCH, params={"jql": "project = ENG", "maxResults": 5000, "startAt": 50}).json()
    assert (len(slim["issues"]), slim["isLast"]) == (101, True)
    full = api.get(SEARCH, params={"jql": "project = ENG", "maxResults": 5000, "fields": "summary"}).json()
    assert (len(full["issues"]), full["isLast"]) == (100, False)
    assert len(api.get(SEARCH, params={"jql": "project = ENG"}).json()["issues"]) == 50
    count = api.post("/rest/api/3/search/approximate-count", json={"jql": "project = ENG"})
    assert count.json() == {"count": 101}


def test_bulk_fetch_reads_by_id_without_lag(api: httpx.Client) -> None:
    first, second = make(api, "one"), make(api, "two")
    body = {"issueIdsOrKeys": [second, "10001", "ENG-999"], "fields": ["summary"]}
    answer = api.post("/rest/api/3/issue/bulkfetch", json=body).json()
    assert [(issue["key"], issue["fields"]) for issue in answer["issues"]] == [
        (first, {"summary": "one"}),
        (second, {"summary": "two"}),
    ]
    assert answer["issueErrors"] == []
    assert api.post("/rest/api/3/issue/bulkfetch", json={"issueIdsOrKeys": ["1"] * 101}).status_code == 400


def test_a_label_is_found_for_as_long_as_an_issue_has_it(api: httpx.Client, sandbox: Sandbox) -> None:
    first, second = make(api, labels=["Export", "cxb-1"]), make(api, labels=["cxb-2"])
    sandbox.world.clock.advance(3600)
    assert keys(api, "labels = export AND project = ENG") == [first]
    assert keys(api, "project = ENG AND labels in (cxb-1, cxb-2) ORDER BY key ASC") == [first, second]
    api.put(f"/rest/api/3/issue/{first}", json={"fields": {"labels": ["cxb-2"]}}).raise_for_status()
    sandbox.world.clock.advance(3600)
    assert keys(api, "labels = export AND project = ENG") == []
    assert keys(api, "project = ENG AND labels = CXB-2 ORDER BY key DESC") == [second, first]
    api.delete(f"/rest/api/3/issue/{second}").raise_for_status()
    assert keys(api, "labels = cxb-2 AND project = ENG") == [first]
