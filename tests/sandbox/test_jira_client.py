"""The third-party package `jira`, unmodified, against the simulated Jira."""

from collections.abc import Iterator
from typing import Any

import pytest
from jira import JIRA, JIRAError

from cxbridge.sandbox.server import Sandbox

Client = Any  # the package's own types are looser than what it returns


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(vendors=("jira",), jira_options={"search_lag": 0}) as started:
        yield started


@pytest.fixture
def jira(sandbox: Sandbox) -> Iterator[Client]:
    client: Client = JIRA(sandbox.jira_url, basic_auth=("bridge@example.test", "sandbox-token"), max_retries=0)
    yield client
    client.close()


BUG: dict[str, Any] = {"project": {"key": "ENG"}, "issuetype": {"name": "Bug"}}


def test_it_knows_the_site(jira: Client) -> None:
    assert jira.server_info()["deploymentType"] == "Cloud"
    assert jira.myself()["emailAddress"] == "bridge@example.test"
    assert [project.key for project in jira.projects()] == ["ENG", "OPS"]
    assert jira.project("ENG").name == "Engineering"
    assert {status.name for status in jira.statuses()} == {"To Do", "In Progress", "In Review", "Done"}
    assert jira.priorities()[0].name == "Highest"
    assert "Duplicate" in [resolution.name for resolution in jira.resolutions()]
    assert "summary" in {field["id"] for field in jira.fields()}
    assert "Blocks" in [kind.name for kind in jira.issue_link_types()]
    assert jira.issue_type_by_name("Bug", project="ENG").name == "Bug"


def test_it_creates_reads_updates_and_deletes(jira: Client) -> None:
    issue = jira.create_issue(fields={**BUG, "summary": "Export stops", "description": "at 40%\n\nevery time"})
    assert (issue.fields.summary, issue.fields.description) == ("Export stops", "at 40%\n\nevery time")
    issue.update(fields={"summary": "Export stops early", "labels": ["export"]})
    assert (issue.fields.summary, issue.fields.labels) == ("Export stops early", ["export"])
    issue.add_field_value("labels", "cxb-zd-1")
    assert jira.issue(issue.key).fields.labels == ["cxb-zd-1", "export"]
    named = jira.create_issue(project="ENG", summary="by name", issuetype="Bug")
    made = jira.create_issues([{**BUG, "summary": "one"}, {**BUG}])
    assert [entry["status"] for entry in made] == ["Success", "Error"]
    named.delete()
    with pytest.raises(JIRAError) as caught:
        jira.issue(named.key)
    assert caught.value.status_code == 404


def test_it_finds_issues_page_by_page(jira: Client) -> None:
    made = [jira.create_issue(fields={**BUG, "summary": f"number {n}", "labels": ["batch"]}).key for n in range(5)]
    jql = "labels = batch ORDER BY key ASC"
    everything = jira.search_issues(jql, maxResults=0, fields=["summary"])
    assert [issue.key for issue in everything] == made
    first = jira.enhanced_search_issues(jql, maxResults=2, fields=["summary"])
    assert [issue.fields.summary for issue in first] == ["number 0", "number 1"]
    second = jira.enhanced_search_issues(jql, maxResults=3, nextPageToken=first.nextPageToken, fields=["summary"])
    assert [issue.key for issue in second] == made[2:]
    assert second.nextPageToken is None
    posted: Any = jira.search_issues(jql, use_post=True, json_result=True)
    assert len(posted["issues"]) == 5
    assert jira.approximate_issue_count(jql) == 5
    with pytest.raises(JIRAError, match="Unbounded"):
        jira.search_issues("ORDER BY key")


def test_it_comments(jira: Client) -> None:
    comment = jira.add_comment("ENG-1", "Looking into it.")
    internal = jira.add_comment("ENG-1", "Not for the customer", is_internal=True)
    assert (comment.body, internal.jsdPublic) == ("Looking into it.", False)
    comment.update(body="Found it.")
    assert [entry.body for entry in jira.comments("ENG-1")][-2:] == ["Found it.", "Not for the customer"]
    internal.delete()
    assert [entry.body for entry in jira.comments("ENG-1")][-1] == "Found it."
    assert jira.issue("ENG-1").fields.comment.comments[-1].body == "Found it."


def test_it_takes_transitions(jira: Client, sandbox: Sandbox) -> None:
    issue = jira.create_issue(fields={**BUG, "summary": "to be done"})
    assert [transition["name"] for transition in jira.transitions(issue)] == ["Start progress"]
    jira.transition_issue(issue, "Start progress")
    jira.transition_issue(issue, "21")
    assert jira.find_transitionid_by_name(issue, "done") == "31"
    jira.transition_issue(issue, "Done", resolution={"name": "Duplicate"}, comment="same as the other")
    fresh = jira.issue(issue.key)
    assert (fresh.fields.status.name, fresh.fields.resolution.name) == ("Done", "Duplicate")
    assert fresh.fields.comment.comments[0].body == "same as the other"
    kinds = [effect.kind for effect in sandbox.world.journal.writes("bridge@example.test")]
    assert kinds == ["issue.created", "transition", "transition", "transition", "comment.added"]


def test_it_links(jira: Client) -> None:
    target = {"url": "https://acme.example/agent/tickets/5512", "title": "#5512"}
    made = jira.add_remote_link("ENG-1", target, globalId="system=zendesk&id=5512", relationship="escalated from")
    again = jira.add_remote_link("ENG-1", {**target, "title": "#5512 solved"}, globalId="system=zendesk&id=5512")
    assert made.id == again.id
    (link,) = jira.remote_links("ENG-1")
    assert (link.object.title, link.globalId) == ("#5512 solved", "system=zendesk&id=5512")
    assert jira.remote_link("ENG-1", link.id).object.url == target["url"]
    link.update({**target, "title": "#5512 closed"}, globalId="system=zendesk&id=5512")
    assert jira.remote_links("ENG-1")[0].object.title == "#5512 closed"
    link.delete()
    assert jira.remote_links("ENG-1") == []
    jira.create_issue_link("Blocks", "ENG-1", "ENG-2")
    (blocking,) = jira.issue("ENG-1").fields.issuelinks
    assert blocking.outwardIssue.key == "ENG-2"
    jira.delete_issue_link(blocking.id)
    assert jira.issue("ENG-1").fields.issuelinks == []


def test_it_keeps_properties_and_people(jira: Client) -> None:
    jira.add_issue_property("ENG-1", "cxbridge.link", {"id": "5512"})
    assert jira.issue_property("ENG-1", "cxbridge.link").value.id == "5512"
    (chen,) = jira.search_users(query="chen")
    assert jira.user(chen.accountId).displayName == "Chen Li"
    jira.assign_issue("ENG-2", "Chen Li")
    assert jira.issue("ENG-2").fields.assignee.accountId == chen.accountId


def test_it_meets_the_vendors_refusals(sandbox: Sandbox, jira: Client) -> None:
    with pytest.raises(JIRAError) as caught:
        jira.create_issue(fields={**BUG, "summary": "x", "shoe": 1})
    assert (caught.value.status_code, "cannot be set" in str(caught.value.text)) == (400, True)
    stranger: Client = JIRA(
        sandbox.jira_url, basic_auth=("bridge@example.test", "wrong-token"), get_server_info=False, max_retries=0
    )
    with pytest.raises(JIRAError) as caught:
        stranger.myself()
    assert caught.value.status_code == 401
    stranger.close()
