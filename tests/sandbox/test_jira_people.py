"""What people do in the simulated Jira's web pages, and what the journal says of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

AUTH = ("bridge@example.test", "sandbox-token")


@pytest.fixture
def world() -> Iterator[World]:
    clock = SandboxClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))
    clock.freeze()
    with Sandbox(World(clock=clock), vendors=("jira",)) as sandbox:
        yield sandbox.world


def act(world: World, method: str, path: str, **body: Any) -> Any:
    status, answer = world.jira.control(method, path, body)
    assert status < 300, answer
    return answer


def refused(world: World, method: str, path: str, **body: Any) -> tuple[int, Any]:
    status, answer = world.jira.control(method, path, body)
    assert "error" in answer
    return status, answer


def latest(world: World) -> Any:
    return world.journal.effects(vendor="jira")[-1]


def test_a_site_starts_with_a_few_issues(world: World) -> None:
    issues = act(world, "GET", "issues")
    assert [issue["key"] for issue in issues if issue["project"] == "ENG"] == [f"ENG-{n}" for n in range(1, 7)]
    assert {issue["status"] for issue in issues} == {"To Do", "In Progress", "In Review", "Done"}
    assert {effect.via for effect in world.journal.effects(vendor="jira")} == {"seed"}
    assert act(world, "GET", "summary")["by_project"]["OPS"] == {"In Progress": 1, "To Do": 1}
    assert world.jira.state_counts()["issues"] == 8
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        params = {"jql": "project = ENG ORDER BY updated", "fields": "created,updated"}
        found = api.get("/rest/api/3/search/jql", params=params).json()["issues"]
        assert len(found) == 6
        assert all(issue["fields"]["created"] <= issue["fields"]["updated"] < "2026-05-06" for issue in found)


def test_people_create_and_change_issues(world: World) -> None:
    made = act(
        world,
        "POST",
        "issues",
        project="ENG",
        summary="Login fails",
        priority="High",
        labels=["cxb-zd-7"],
        assignee="ben",
        actor="chen",
        properties={"cxbridge.link": {"id": "7"}},
    )
    assert (made["key"], made["priority"], made["assignee"]) == ("ENG-7", "High", "ben@example.test")
    effect = latest(world)
    assert (effect.kind, effect.key, effect.actor, effect.via) == ("issue.created", "ENG-7", "chen@example.test", "ui")
    assert effect.detail["properties"] == {"cxbridge.link": {"id": "7"}}
    changed = act(world, "PATCH", "issues/ENG-7", priority="Low", assignee=None, fields={"duedate": "2026-06-01"})
    assert (changed["priority"], changed["assignee"]) == ("Low", None)
    assert latest(world).detail["fields"] == ["assignee", "duedate", "priority"]
    act(world, "PATCH", "issues/ENG-7", priority="Low")
    assert latest(world).kind == "noop"
    act(world, "DELETE", "issues/ENG-7")
    assert latest(world).kind == "issue.deleted"
    assert refused(world, "GET", "issues/ENG-7")[0] == 404
    assert act(world, "POST", "issues", summary="next")["key"] == "ENG-8"


def test_people_walk_an_issue_to_its_end_and_back(world: World) -> None:
    done = act(world, "POST", "issues/ENG-2/transition", to="Done", resolution="Workaround", actor="ana")
    assert (done["status"], done["resolution"], done["status_category"]) == ("Done", "Workaround", "done")
    steps = [effect.detail["to"] for effect in world.journal.effects(kind="transition", via="ui")]
    assert steps == ["In Progress", "In Review", "Done"]
    assert act(world, "POST", "issues/ENG-2/transition", to="In Progress")["resolution"] is None
    assert act(world, "POST", "issues/ENG-2/transition", to="done")["resolution"] == "Fixed"
    act(world, "POST", "issues/ENG-2/transition", to="Done")
    assert latest(world).kind == "noop"
    assert refused(world, "POST", "issues/ENG-2/transition", to="Elsewhere")[0] == 404
    assert refused(world, "POST", "issues/ENG-2/transition", to="To Do", resolution="Magic")[0] == 404


def test_people_comment_move_and_link(world: World) -> None:
    act(world, "POST", "issues/ENG-2/comment", body="seen\n\nby two", actor="ben", internal=True)
    shown = act(world, "GET", "issues/ENG-2")
    assert shown["comments"][-1] == {
        "id": shown["comments"][-1]["id"],
        "author": "ben@example.test",
        "text": "seen\n\nby two",
        "internal": True,
    }
    moved = act(world, "POST", "issues/ENG-2/move", project="OPS")
    assert (moved["id"], moved["key"], moved["type"]) == (shown["id"], "OPS-3", "Task")
    assert latest(world).detail["before"] == "ENG-2"
    assert act(world, "GET", "issues/ENG-2")["key"] == "OPS-3"
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        last = api.get("/rest/api/3/issue/ENG-2/changelog").json()["values"][-1]
        assert [(item["field"], item["fromString"], item["toString"]) for item in last["items"]] == [
            ("project", "ENG", "OPS"),
            ("Key", "ENG-2", "OPS-3"),
            ("issuetype", "Story", "Task"),
        ]
    assert act(world, "POST", "issues/ENG-1/link", to="OPS-3", type="Blocks")["links"] == ["OPS-3"]


def test_mistakes_are_told(world: World) -> None:
    assert refused(world, "GET", "shoes")[0] == 404
    assert refused(world, "POST", "issues", summary="x", actor="nobody") == (
        404,
        {"error": "user 'nobody' does not exist"},
    )
    status, answer = refused(world, "POST", "issues", summary="x", priority="Sev 1")
    assert (status, set(answer["reason"]["errors"])) == (400, {"priority"})
    assert refused(world, "POST", "issues/ENG-1/transition")[0] == 400
    assert refused(world, "POST", "issues/ENG-1/move", project="NONE")[0] == 404


def test_new_people_can_join_and_be_assigned(world: World) -> None:
    account = act(world, "POST", "users", name="Dana New", email="dana@example.test", handle="dana")["account_id"]
    assert act(world, "PATCH", "issues/ENG-2", assignee="dana")["assignee"] == "dana@example.test"
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        assert api.get("/rest/api/3/user", params={"accountId": account}).json()["displayName"] == "Dana New"
        found = api.get("/rest/api/3/user/search", params={"query": "dana@example.test"}).json()
        assert found == []  # her address is not visible
        assert [row["displayName"] for row in api.get("/rest/api/3/user/search", params={"query": "dana"}).json()] == [
            "Dana New"
        ]
        found = api.get("/rest/api/3/user/search", params={"query": "ana@example.test"}).json()
        assert [row["displayName"] for row in found] == ["Ana Kowalska"]
        assert api.get("/rest/api/3/user", params={"accountId": "nobody"}).status_code == 404
        everybody = api.get("/rest/api/3/users/search", params={"maxResults": 3}).json()
        assert len(everybody) == 3
        kinds = {row["accountType"] for row in api.get("/rest/api/3/users/search").json()}
        assert kinds == {"atlassian", "app", "customer"}


def test_company_files_bring_issues_that_search_knows_at_once(world: World) -> None:
    world.jira.load_row({"kind": "jira.issue", "summary": "from the file", "labels": ["seeded"], "status": "Done"})
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        found = api.get("/rest/api/3/search/jql", params={"jql": "labels = seeded"}).json()["issues"]
        assert len(found) == 1
    assert latest(world).via == "seed"
    with pytest.raises(ValueError, match=r"jira\.shoe"):
        world.jira.load_row({"kind": "jira.shoe"})
    with pytest.raises(ValueError, match="summary"):
        world.jira.load_row({"kind": "jira.issue", "summary": ""})


def test_the_journal_tells_the_integrations_writes_from_peoples(world: World) -> None:
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        api.put("/rest/api/3/issue/ENG-2", json={"fields": {"labels": ["bridge"]}})
        api.put("/rest/api/3/issue/ENG-2", json={"fields": {"labels": ["bridge"]}})
    act(world, "PATCH", "issues/ENG-2", labels=["people"])
    assert [(effect.kind, effect.key) for effect in world.journal.writes("bridge@example.test")] == [
        ("issue.updated", "ENG-2"),
        ("noop", "ENG-2"),
    ]
    assert world.journal.requests("jira")[-1].actor == "bridge@example.test"


def test_a_lost_answer_does_not_hide_what_was_done(world: World) -> None:
    body = {"fields": {"project": {"key": "ENG"}, "issuetype": {"name": "Bug"}, "summary": "x", "labels": ["marker"]}}
    with httpx.Client(base_url=world.url("jira"), auth=AUTH, trust_env=False) as api:
        world.faults.add("ghost", "jira", method="POST", path_regex="/issue$")
        with pytest.raises(httpx.TransportError):
            api.post("/rest/api/3/issue", json=body)
        (effect,) = world.journal.effects(kind="issue.created", via="api")
        assert effect.detail["labels"] == ["marker"]
        params = {"jql": "labels = marker"}
        assert api.get("/rest/api/3/search/jql", params=params).json()["issues"] == []
        world.clock.advance(5)
        assert len(api.get("/rest/api/3/search/jql", params=params).json()["issues"]) == 1
