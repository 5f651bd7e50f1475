"""Every request of the connector is one that Slack's own description knows: method, path and parameters.

The requests are not listed here by hand: all streams and actions run against the simulated workspace, and what they sent is held
against the description. It is from 2021, when the vendor archived it; what is newer is named here with the page that documents it.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import DirectTransport, MemoryTokens, open_client
from cxbridge.plugins.slack import Slack
from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

pytestmark = pytest.mark.shared

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
ALERTS, OPEN = "C0ALERTS00", "C0OPEN0000"

# Parameters younger than the description; docs.slack.dev/reference/methods/<method> documents each.
NEWER = {
    "/chat.postMessage": {"metadata"},
    "/chat.update": {"metadata"},
    "/conversations.history": {"include_all_metadata"},
    "/conversations.replies": {"include_all_metadata"},
}
# The description writes these as texts; the methods take JSON, where what is a list there is one.
AS_JSON: Mapping[str, type] = {"blocks": list, "metadata": dict}

ROWS: list[dict[str, Any]] = [
    {"kind": "slack.user", "name": "Ana Costa", "email": "ana@harbourlight.example"},
    {"kind": "slack.channel", "id": ALERTS, "name": "cx-alerts", "members": ["cxbridge", "ana"]},
    {"kind": "slack.channel", "id": OPEN, "name": "open"},
    {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": "Look", "age": "2h"},
    {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": "Here", "age": "1h", "thread": "Look"},
]


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
    world = World(options={"slack": {"limits": None, "page_items": 1}}, clock=SandboxClock(NOW, frozen=True))
    transport = Listening()
    with Sandbox(world, vendors=("slack",)) as sandbox:
        seed.load_text(world, "\n".join(map(json.dumps, ROWS)))
        slack = Slack(
            url=f"{sandbox.url('slack')}/api",
            token=cx.Secret("sandbox-token"),
            channels={"alerts": ALERTS},
            messages=["alerts"],
            default_channel="alerts",
        )
        clock = ManualClock(NOW)
        with open_client(
            slack.endpoint(),
            connection="chat",
            clock=clock,
            tokens=MemoryTokens(),
            transport=transport,
            random=Random(1),
        ) as client:
            slack.check(client)
            run(slack, client, world)
    return transport.heard


def run(slack: Slack, client: cx.Client, world: World) -> None:
    """Every stream from the beginning and from its end, every nudge, every action with its look-up."""
    for stream in slack.streams():
        assert stream.pages is not None
        pages = list(stream.pages(client, None))
        list(stream.pages(client, pages[-1].cursor))
    people, channels, messages = slack.streams()
    _, told = world.vendors["slack"].control("GET", "channels/cx-alerts/messages", {})
    for stream, key in (
        (people, "U0CXBRIDGE"),
        (channels, ALERTS),
        *((messages, one["key"]) for one in told["messages"]),
    ):
        assert stream.one is not None
        assert stream.one(client, key)
    actions = {action.name: action for action in slack.actions()}

    def do(name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        call = cx.Call(inputs=inputs, marker=f"cxb:00112233aabbcc{len(name):02x}", target=target)
        receipt = actions[name].perform(client, call)
        if find := actions[name].find:
            assert find(client, call) is not None
        return receipt

    do("message.notify_once", cx.Notify(to="#open", text="joined and told"))
    do("message.notify_once", cx.Notify(to="ana@harbourlight.example", text="told"))
    do("message.notify_once", cx.Notify(to="nobody@harbourlight.example", text="told elsewhere"))
    form = [cx.FormField(name="why", type="choice", of=["a", "b"]), cx.FormField(name="note"),
            cx.FormField(name="sum", type="number")]  # fmt: skip
    button = cx.Button(label="Yes", choice="yes", style="primary")
    asked = do("message.ask", cx.Ask(to="alerts", text="Refund?", approval="apr-1", buttons=[button], form=form))
    do("message.reply_once", cx.ReplyTo(text="More"), asked.key)
    assert do("message.settle", cx.CloseAsk(text="Yes"), asked.key).changed


class Description:
    """The vendor's description of its API, Swagger 2.0."""

    def __init__(self, place: Path) -> None:
        self.whole = json.loads(gzip.decompress(place.read_bytes()))

    def operation(self, request: httpx.Request) -> tuple[str, Mapping[str, Any]]:
        path = request.url.path.removeprefix(self.whole["basePath"])
        operations = self.whole["paths"].get(path)
        assert operations is not None, f"no such path: {path}"
        found = operations.get(request.method.lower())
        assert found is not None, f"{request.method} is not offered at {path}"
        return path, found


@pytest.fixture(scope="module")
def description(shared_data: Path) -> Description:
    return Description(shared_data / "data" / "specs" / "slack" / "web-api.json.gz")


def test_every_request_is_in_the_vendors_description(spoken: list[httpx.Request], description: Description) -> None:
    covered: dict[str, int] = {}
    for request in spoken:
        name = f"{request.method} {check(request, description)}"
        covered[name] = covered.get(name, 0) + 1
    for name, count in sorted(covered.items()):
        print(f"{count:>4} {name}")
    assert set(covered) == {
        "GET /auth.test",
        "GET /conversations.history",
        "GET /conversations.info",
        "GET /conversations.list",
        "GET /conversations.replies",
        "GET /users.info",
        "GET /users.list",
        "GET /users.lookupByEmail",
        "POST /chat.postMessage",
        "POST /chat.update",
        "POST /conversations.join",
    }


def test_the_limits_know_every_method_that_is_called(spoken: list[httpx.Request]) -> None:
    called = {request.url.path.removeprefix("/api/") for request in spoken} - {"auth.test"}
    assert called <= {quota.name for quota in Slack(token=cx.Secret("x")).endpoint().quotas}


def check(request: httpx.Request, description: Description) -> str:
    """Give the path of the operation that a request is, or fail with what is wrong with it."""
    path, operation = description.operation(request)
    known = {one["name"]: one for one in operation["parameters"] if one["name"] != "token"}
    sent = dict(arguments(request, operation))
    for name, value in sent.items():
        if name in NEWER.get(path, ()):
            continue
        assert name in known, f"{path} has no parameter {name}"
        problem = misfit(value, known[name], isinstance(value, str))
        assert not problem, f"{path}: {name} {problem}"
    for name, one in known.items():
        assert not one.get("required") or name in sent, f"{path} wants {name}"
    # The description wants the token in a query for reads; it goes into the header, as the vendor now advises.
    assert request.headers["authorization"].startswith("Bearer ")
    assert "token" not in sent
    return path


def arguments(request: httpx.Request, operation: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from request.url.params.multi_items()
    if request.method == "GET":
        assert not request.read()
        return
    assert not request.url.params
    kind = request.headers["content-type"].partition(";")[0]
    assert kind in operation["consumes"], f"{kind} is not taken"
    yield from json.loads(request.read()).items()


def misfit(value: Any, parameter: Mapping[str, Any], plain: bool) -> str:
    name, kind = parameter["name"], parameter["type"]
    if name in AS_JSON:
        return "" if isinstance(value, AS_JSON[name]) else "is not as JSON takes it"
    if kind in ("integer", "number"):
        return "" if str(value).replace(".", "", 1).isdigit() else "is no number"
    # Described as a text for chat.update and as a boolean for chat.postMessage; both take both.
    if kind == "boolean" or name == "link_names":
        return "" if (value in ("true", "false") if plain else isinstance(value, bool)) else "is no yes or no"
    return "" if isinstance(value, str) else "is no text"


def test_what_is_newer_is_sent_and_not_in_the_description(
    spoken: list[httpx.Request], description: Description
) -> None:
    """Each exception is needed: without it the check would fail."""
    for path, names in NEWER.items():
        requests = [one for one in spoken if one.url.path == f"/api{path}"]
        for name in names:
            assert any(name in dict(arguments(one, description.operation(one)[1])) for one in requests), (path, name)
            for one in requests:
                assert name not in {known["name"] for known in description.operation(one)[1]["parameters"]}


@pytest.mark.parametrize(
    ("method", "path", "params", "body", "problem"),
    [
        ("GET", "/users.list", {"size": "1"}, None, "has no parameter size"),
        ("GET", "/users.list", {"limit": "all"}, None, "is no number"),
        ("GET", "/users.list", {"include_locale": "yes"}, None, "is no yes or no"),
        ("GET", "/users.lookupByEmail", {}, None, "wants email"),
        ("GET", "/users.lookup", {}, None, "no such path"),
        ("GET", "/chat.postMessage", {}, None, "is not offered"),
        ("POST", "/chat.postMessage", {}, {"text": "x"}, "wants channel"),
        ("POST", "/chat.postMessage", {}, {"channel": "C", "text": 7}, "is no text"),
        ("POST", "/chat.postMessage", {}, {"channel": "C", "blocks": "[]"}, "is not as JSON takes it"),
        ("POST", "/chat.update", {}, {"channel": "C", "ts": 1.5}, "is no text"),
    ],
)
def test_the_check_finds_what_is_wrong(
    method: str, path: str, params: Any, body: Any, problem: str, description: Description
) -> None:
    headers = {"authorization": "Bearer x"}
    request = httpx.Request(method, f"https://slack.com/api{path}", params=params, json=body, headers=headers)
    with pytest.raises(AssertionError, match=problem):
        check(request, description)
