"""Every request of the connector is one that Atlassian's own description knows: path, method, parameters and body.

The requests are not listed here by hand: all streams and actions run against the simulated site, and what they sent
is held against the description.
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import DirectTransport, MemoryTokens, open_client
from cxbridge.plugins.jira import Jira
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

pytestmark = pytest.mark.shared

# Deprecated without a successor that an account may use that does not administer the site; `check` does without it.
DEPRECATED = {"GET /rest/api/3/priority/search"}

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)


class Listening(httpx.BaseTransport):
    """Hands requests on and keeps them."""

    def __init__(self) -> None:
        self.inner = DirectTransport()
        self.heard: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


@pytest.fixture(scope="module")
def spoken() -> list[httpx.Request]:
    """All requests that streams and actions send, in their usual and in their roundabout ways."""
    options = {"limits": None, "issue_writes": None}
    world = World(jira_options=options, clock=SandboxClock(NOW, frozen=True))
    transport = Listening()
    with Sandbox(world, vendors=("jira",)) as sandbox:
        jira = Jira(
            url=sandbox.jira_url,
            email="bridge@example.test",
            api_token=cx.Secret("sandbox-token"),
            projects=["ENG", "OPS"],
            fields={"severity": "customfield_10032", "cause": "customfield_10033", "affected": "customfield_10031"},
            history=True,
            status_overrides={"In Review": "waiting"},
            priorities={"urgent": ["Highest"]},
            resolutions={"fixed": ["Done"]},
            issue_types={"bug": "Bug"},
        )
        clock = ManualClock(NOW)
        with open_client(
            jira.endpoint(),
            connection="tracker",
            clock=clock,
            tokens=MemoryTokens(),
            transport=transport,
            random=Random(1),
        ) as client:
            speak(jira, client, world, clock)
    return transport.heard


def speak(jira: Jira, client: cx.Client, world: World, clock: ManualClock) -> None:
    jira.check(client)
    for number in range(45):
        world.jira.control("PATCH", "issues/ENG-1", {"summary": f"Name {number}", "actor": "ana"})
    for number in range(120):
        world.jira.create_issue({"summary": f"Issue {number}", "actor": "ana", "project": "ENG"})
    for number in range(25):
        world.jira.control("POST", "issues/OPS-1/comment", {"body": f"Entry {number}", "actor": "ana"})
    world.clock.advance(60)
    for stream in jira.streams():
        if stream.pages is not None:
            pages = list(stream.pages(client, None))
            list(stream.pages(client, pages[-1].cursor))
    actions = {action.name: action for action in jira.actions()}

    def do(name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        call = cx.Call(inputs=inputs, marker="cxb:00112233aabbccdd", target=target)
        receipt = actions[name].perform(client, call)
        world.clock.advance(60)
        if find := actions[name].find:
            assert find(client, call) is not None
            for path in ("issues.*.properties", "comments.*.properties"):
                # Properties are not promised where they are asked for; then they are asked for one by one. Those of
                # comments the simulated site does not serve, so nothing need be found.
                world.faults.add("rewrite", "jira", path_regex="(search/jql|comment)$", times=1, drop=[path])
                find(client, call)
            world.faults.clear()
        return receipt

    custom = {"cause": "Unknown", "affected": 3}
    inputs = cx.EnsureTicket(
        subject="Export",
        body="- x",
        project="ENG",
        type="bug",
        priority="high",
        severity="S2",
        labels=["a"],
        custom=custom,
    )
    key = do("issue.ensure", inputs).key
    do("issue.ensure", cx.EnsureTicket(subject="x", match="ENG-1"))
    edits = cx.SetTicket(
        subject="y",
        priority="low",
        severity="S1",
        type="task",
        tags_add=["b"],
        tags_remove=["a"],
        custom={"affected": "4"},
    )
    assert do("issue.set", edits, key).changed
    assert do("issue.transition", cx.Transition(to="resolved", resolution="fixed"), key).changed
    assert do("comment.add_once", cx.AddComment(visibility="internal", body="Seen.\n```\nx\n```"), key).changed
    link = cx.EnsureLink(
        system="zendesk", key="5512", ref="desk/tickets/5512", url="https://acme.zendesk.com/agent/tickets/5512"
    )
    assert do("link.ensure", link, key).changed


class Description:
    """The vendor's description of its API."""

    def __init__(self, place: Path) -> None:
        self.whole = json.loads(gzip.decompress(place.read_bytes()))
        self.paths = [
            (re.compile("^" + re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path)) + "$"), path, operations)
            for path, operations in self.whole["paths"].items()
        ]
        # Whole names before patterns: /search/jql is also an issue called "jql" to a careless reader.
        self.paths.sort(key=lambda entry: entry[1].count("{"))

    def operation(self, request: httpx.Request) -> tuple[str, Mapping[str, Any]]:
        for pattern, path, operations in self.paths:
            if pattern.match(request.url.path):
                found = operations.get(request.method.lower())
                assert found is not None, f"{request.method} is not offered at {path}"
                return f"{request.method} {path}", found
        raise AssertionError(f"no such path: {request.url.path}")

    def validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": self.whole["components"]})


def test_every_request_is_in_the_vendors_description(spoken: list[httpx.Request], shared_data: Path) -> None:
    description = Description(shared_data / "data" / "specs" / "jira" / "platform-v3.json.gz")
    covered: dict[str, int] = {}
    for request in spoken:
        name = check(request, description)
        covered[name] = covered.get(name, 0) + 1
    for name, count in sorted(covered.items()):
        print(f"{count:>4} {name}")
    assert set(covered) == {
        "GET /rest/api/3/comment/{commentId}/properties/{propertyKey}",
        "GET /rest/api/3/field",
        "GET /rest/api/3/issue/createmeta/{projectIdOrKey}/issuetypes",
        "GET /rest/api/3/issue/createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}",
        "GET /rest/api/3/issue/{issueIdOrKey}",
        "GET /rest/api/3/issue/{issueIdOrKey}/changelog",
        "GET /rest/api/3/issue/{issueIdOrKey}/comment",
        "GET /rest/api/3/issue/{issueIdOrKey}/properties/{propertyKey}",
        "GET /rest/api/3/issue/{issueIdOrKey}/remotelink",
        "GET /rest/api/3/issue/{issueIdOrKey}/transitions",
        "GET /rest/api/3/issuetype/project",
        "GET /rest/api/3/myself",
        "GET /rest/api/3/priority/search",
        "GET /rest/api/3/project/search",
        "GET /rest/api/3/resolution/search",
        "GET /rest/api/3/search/jql",
        "GET /rest/api/3/status",
        "POST /rest/api/3/issue",
        "POST /rest/api/3/issue/{issueIdOrKey}/comment",
        "POST /rest/api/3/issue/{issueIdOrKey}/remotelink",
        "POST /rest/api/3/issue/{issueIdOrKey}/transitions",
        "PUT /rest/api/3/issue/{issueIdOrKey}",
    }


def check(request: httpx.Request, description: Description) -> str:
    """Give the operation that a request is, or fail with what is wrong with it."""
    name, operation = description.operation(request)
    assert bool(operation.get("deprecated")) == (name in DEPRECATED), f"{name} is deprecated, or is not any more"
    check_query(name, operation, request)
    check_body(name, operation, request, description)
    return name


def check_query(name: str, operation: Mapping[str, Any], request: httpx.Request) -> None:
    known = {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "query"}
    for key, value in request.url.params.multi_items():
        assert key in known, f"{name} has no parameter {key}"
        schema = known[key]["schema"]
        for part in value.split(",") if schema["type"] == "array" else [value]:
            problem = misfit(part, schema["items"] if schema["type"] == "array" else schema)
            assert not problem, f"{name}: {key} {problem}"
    for key, one in known.items():
        assert not one.get("required") or key in request.url.params, f"{name} wants {key}"
    lists = {key for key, one in known.items() if one["schema"]["type"] == "array"}
    repeated = {key for key, _ in request.url.params.multi_items() if len(request.url.params.get_list(key)) > 1}
    assert repeated <= lists


def misfit(value: str, schema: Mapping[str, Any]) -> str:
    match schema["type"]:
        case "integer":
            if not re.fullmatch(r"-?\d+", value):
                return "is no number"
            if "maximum" in schema and int(value) > schema["maximum"]:
                return "is too large"
        case "boolean":
            if value not in ("true", "false"):
                return "is no yes or no"
    return f"is none of {schema['enum']}" if "enum" in schema and value not in schema["enum"] else ""


def check_body(name: str, operation: Mapping[str, Any], request: httpx.Request, description: Description) -> None:
    described = operation.get("requestBody")
    if described is None:
        assert not request.read(), f"{name} takes no body"
        return
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.read())
    schema = described["content"]["application/json"]["schema"]
    problems = [error.message for error in description.validator(schema).iter_errors(body)]
    assert not problems, f"{name}: {problems[:3]}"
    for key in body:
        assert key in writable(schema, description), f"{name}: {key} cannot be written"


def writable(schema: Mapping[str, Any], description: Description) -> set[str]:
    """The properties of a schema that may be sent: those that exist, but for the read-only ones."""
    for part in resolved(schema, description):
        return {key for key, one in part.get("properties", {}).items() if not one.get("readOnly")}
    return set()


def resolved(schema: Mapping[str, Any], description: Description) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield description.whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    else:
        yield schema


@pytest.mark.parametrize(
    ("method", "path", "params", "body", "problem"),
    [
        ("GET", "/rest/api/3/search/jql", {"startAt": "0"}, None, "has no parameter startAt"),
        ("GET", "/rest/api/3/search/jql", {"maxResults": "many"}, None, "is no number"),
        ("GET", "/rest/api/3/issue/1/comment", {"orderBy": "updated"}, None, "is none of"),
        ("GET", "/rest/api/3/priority", {}, None, "is deprecated"),
        ("GET", "/rest/api/3/issuetype/project", {}, None, "wants projectId"),
        ("GET", "/rest/api/3/issues/1", {}, None, "no such path"),
        ("PATCH", "/rest/api/3/issue/1", {}, None, "is not offered"),
        ("PUT", "/rest/api/3/issue/1", {}, {"fields": []}, "is not of type 'object'"),
        ("POST", "/rest/api/3/issue/1/remotelink", {}, {"object": {"title": "x"}}, "'url' is a required property"),
        ("POST", "/rest/api/3/issue/1/comment", {}, {"jsdPublic": False}, "cannot be written"),
    ],
)
def test_the_check_finds_what_is_wrong(
    method: str, path: str, params: Any, body: Any, problem: str, shared_data: Path
) -> None:
    description = Description(shared_data / "data" / "specs" / "jira" / "platform-v3.json.gz")
    request = httpx.Request(method, f"https://acme.atlassian.net{path}", params=params or None, json=body)
    with pytest.raises(AssertionError, match=problem):
        check(request, description)
