"""The query language of the simulated Jira: what a query finds, in which order, and what it says of a bad one."""

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


@pytest.fixture(scope="module")
def filed() -> Iterator[Sandbox]:
    """Three issues to ask about; nobody changes them."""
    with running() as started:
        yield file_three(started)


def file_three(sandbox: Sandbox) -> Sandbox:
    """ENG-1 a labelled bug in work, ENG-2 a done story, OPS-1 an incident; an hour between them."""

    def people(method: str, path: str, **body: Any) -> None:
        status, answer = sandbox.world.jira.control(method, path, body)
        assert status < 400, answer

    clock = sandbox.world.clock
    text = "Reported by Globex"
    people(
        "POST",
        "issues",
        summary="Export job stops",
        labels=["cxb-zd-1", "export"],
        priority="High",
        description=text,
        assignee="ben",
    )
    people("POST", "issues/ENG-1/transition", to="In Progress")
    clock.advance(3600)
    people("POST", "issues", type="Story", summary="Better reports", labels=["Export"])
    people("POST", "issues/ENG-2/transition", to="Done", resolution="Won't Do")
    clock.advance(3600)
    people("POST", "issues", project="OPS", type="[System] Incident", summary="Webhooks late", priority="Lowest")
    people("POST", "issues/OPS-1/comment", body="Mia saw it, too")
    clock.advance(3600)
    return sandbox


@pytest.mark.parametrize(
    ("jql", "expected"),
    [
        ("project = ENG", {"ENG-1", "ENG-2"}),
        ('project in ("ENG", Operations)', {"ENG-1", "ENG-2", "OPS-1"}),
        ("project != ENG", {"OPS-1"}),
        ("project = 10001", {"OPS-1"}),
        ("key = eng-1", {"ENG-1"}),
        ("issuekey in (ENG-1, OPS-1)", {"ENG-1", "OPS-1"}),
        ("id in (10001, 10002)", {"ENG-1", "ENG-2"}),
        ("id > 10001 and project = ENG", {"ENG-2"}),
        ('labels = "cxb-zd-1"', {"ENG-1"}),
        ("labels in (export, nothing)", {"ENG-1", "ENG-2"}),
        ("labels not in (cxb-zd-1)", {"ENG-2"}),
        ("labels is EMPTY", {"OPS-1"}),
        ("status = 'In Progress'", {"ENG-1"}),
        ("status != Done", {"ENG-1", "OPS-1"}),
        ("statusCategory = new", {"OPS-1"}),
        ("statusCategory in (Done, 'To Do')", {"ENG-2", "OPS-1"}),
        ("issuetype in (Bug, Story)", {"ENG-1", "ENG-2"}),
        ('type = "[System] Incident"', {"OPS-1"}),
        ("priority in (High, Lowest)", {"ENG-1", "OPS-1"}),
        ("priority not in (High)", {"ENG-2", "OPS-1"}),
        ("resolution = Unresolved", {"ENG-1", "OPS-1"}),
        ("resolution is not empty", {"ENG-2"}),
        ('resolution = "Won\'t Do"', {"ENG-2"}),
        ("text ~ globex", {"ENG-1"}),
        ("text ~ 'mia saw'", {"OPS-1"}),
        ("text ~ 'repor*'", {"ENG-1", "ENG-2"}),
        ('text ~ "\\"job export\\""', set()),
        ('summary ~ "\\"export job\\""', {"ENG-1"}),
        ("summary !~ export", {"ENG-2", "OPS-1"}),
        ("assignee = '5b10ac8d82e05b22cc7d4ef5'", {"ENG-1"}),
        ("assignee is empty and project = ENG", {"ENG-2"}),
        ("reporter = currentUser()", set()),
        ("project = ENG AND (labels = cxb-zd-1 OR status = Done)", {"ENG-1", "ENG-2"}),
        ("project = ENG AND labels = cxb-zd-1 OR project = OPS", {"ENG-1", "OPS-1"}),
        ("NOT project = ENG", {"OPS-1"}),
        ("project = ENG && !(status = Done)", {"ENG-1"}),
        ("updated >= -90m", {"OPS-1"}),
        ("updated <= now()", {"ENG-1", "ENG-2", "OPS-1"}),
        ("cf[10031] is empty", {"ENG-1", "ENG-2", "OPS-1"}),
        ("Severity is not empty", set()),
    ],
)
def test_queries(filed: Sandbox, jql: str, expected: set[str]) -> None:
    with client(filed) as api:
        assert set(keys(api, jql)) == expected


def test_epoch_bounds_are_exact_and_quoted_ones_are_minutes_in_the_callers_zone(filed: Sandbox) -> None:
    with client(filed) as api:
        second = int((START.timestamp() + 3600) * 1000)
        assert keys(api, f"updated >= {second} ORDER BY updated") == ["ENG-2", "OPS-1"]
        assert keys(api, f"updated > {second} ORDER BY updated") == ["OPS-1"]
        # The integration user lives in Warsaw, two hours ahead of UTC in May.
        assert keys(api, 'updated >= "2026/05/06 11:46" ORDER BY updated') == ["ENG-2", "OPS-1"]
        assert keys(api, 'updated >= "2026-05-06 11:47" ORDER BY updated') == ["OPS-1"]
        assert keys(api, 'updated = "2026/05/06 10:46"') == ["ENG-1"]
        assert keys(api, 'created >= "2026/05/07"') == []
    with running(time_zone="America/New_York") as other, client(other) as api:
        make(api)
        other.world.clock.advance(10)
        assert keys(api, 'updated >= "2026/05/06 04:46"') == ["ENG-1"]
        assert keys(api, 'updated >= "2026/05/06 04:47"') == []


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("ORDER BY priority DESC", ["ENG-1", "ENG-2", "OPS-1"]),
        ("ORDER BY summary", ["ENG-2", "ENG-1", "OPS-1"]),
        ("ORDER BY project DESC, created ASC", ["OPS-1", "ENG-1", "ENG-2"]),
        ("ORDER BY resolutiondate, key", ["ENG-2", "ENG-1", "OPS-1"]),
        ("", ["OPS-1", "ENG-2", "ENG-1"]),
    ],
)
def test_orders(filed: Sandbox, order: str, expected: list[str]) -> None:
    with client(filed) as api:
        assert keys(api, f"project in (ENG, OPS) {order}") == expected


@pytest.mark.parametrize(
    ("jql", "words"),
    [
        ("project = NONE", "The value 'NONE' does not exist for the field 'project'."),
        ("status = Imagined", "The value 'Imagined' does not exist for the field 'status'."),
        ("key = ENG-999", "An issue with key 'ENG-999' does not exist for field 'key'."),
        ("shoe = 7", "Field 'shoe' does not exist or you do not have permission to view it."),
        ("issue.property[cxbridge.link].id = 5", "Error in the JQL Query"),
        ("project ENG", "Error in the JQL Query: Expecting operator"),
        ("project = ", "before the end of the query"),
        ("project = ENG AND", "before the end of the query"),
        ("(project = ENG", "Expecting ')'"),
        ("project = ENG project = OPS", "Expecting either 'OR' or 'AND' but got 'project'"),
        ("project in (ENG", "Expecting ')' or ','"),
        ("summary = export", "The operator '=' is not supported by the 'summary' field."),
        ("project ~ ENG", "The operator '~' is not supported by the 'project' field."),
        ('updated >= "yesterday"', "Date value 'yesterday' for field 'updated' is invalid."),
        ("updated >= 2026/05/06", "The character '/' is a reserved JQL character."),
        ('summary ~ "open', "has not been completed"),
        ("status was Done", "not simulated"),
        ("project is ENG", "only supported with 'EMPTY'"),
        ("project = ENG ORDER BY shoe", "Field 'shoe' does not exist"),
        ("project = ENG ORDER BY a,b,c,d,e,f,g,h", "maximum of 7"),
    ],
)
def test_bad_queries_say_what_is_wrong(filed: Sandbox, jql: str, words: str) -> None:
    with client(filed) as api:
        assert words in refusal(api, jql)


def test_moved_issues_are_found_by_any_key_they_had(sandbox: Sandbox, api: httpx.Client) -> None:
    file_three(sandbox)
    assert sandbox.world.jira.control("POST", "issues/ENG-1/move", {"project": "OPS"})[1]["key"] == "OPS-2"
    sandbox.world.clock.advance(10)
    assert keys(api, "key = ENG-1") == ["OPS-2"]
    assert keys(api, "project = ENG") == ["ENG-2"]
    old = api.get("/rest/api/3/issue/ENG-1").json()
    assert (old["id"], old["key"]) == ("10001", "OPS-2")


def test_statuses_may_have_other_names_than_their_steps() -> None:
    with running(status_names={"To Do": "Zu erledigen", "Done": "Fertig"}, search_lag=0) as sandbox:
        with client(sandbox) as api:
            key = make(api)
            assert keys(api, 'status = "Zu erledigen"') == [key]
            assert "Imagined" in refusal(api, "status = Imagined")
            assert "To Do" in refusal(api, 'status = "To Do"')
            names = {row["name"]: row["statusCategory"]["key"] for row in api.get("/rest/api/3/status").json()}
            assert names == {
                "Zu erledigen": "new",
                "In Progress": "indeterminate",
                "In Review": "indeterminate",
                "Fertig": "done",
            }
