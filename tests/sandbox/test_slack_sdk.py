"""The vendor's own Python client, unmodified, at work against the simulated Slack; and its verifier over what it delivers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import ActionsBlock, ButtonElement, InputBlock, PlainTextInputElement, SectionBlock
from slack_sdk.models.metadata import Metadata
from slack_sdk.models.views import View
from slack_sdk.signature import Clock, SignatureVerifier

from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.plugins.slack.receiver import Receiver, receiving

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
ALERTS = "C0ALERTS00"
ROWS: list[dict[str, Any]] = [
    *({"kind": "slack.user", "name": f"Person {n}", "email": f"p{n}@harbourlight.example"} for n in range(7)),
    {"kind": "slack.channel", "id": ALERTS, "name": "cx-alerts", "members": ["cxbridge", "p0"]},
    {"kind": "slack.channel", "name": "open"},
    *(
        {"kind": "slack.message", "channel": "cx-alerts", "user": "p0", "text": f"{n}", "age": f"{n}h"}
        for n in range(5)
    ),
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    world = World(options={"slack": {"signing_secret": "sandbox-signing-secret"}}, clock=SandboxClock(NOW, frozen=True))
    with Sandbox(world, vendors=("slack",)) as started:
        seed.load_text(world, "\n".join(map(json.dumps, ROWS)))
        yield started


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> WebClient:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    return WebClient(token="sandbox-token", base_url=f"{sandbox.url('slack')}/api/", retry_handlers=[])


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    with receiving() as listening:
        world = sandbox.world
        world.vendors["slack"].control(
            "PUT", "hooks", {"events_url": listening.url, "interactivity_url": listening.url}
        )
        yield listening


def test_the_client_knows_whose_token_it_has(client: WebClient) -> None:
    told = client.auth_test()
    assert (told["ok"], told["team"], told["user"]) == (True, "Harbourlight", "cxbridge")


def test_pages_are_followed_by_the_clients_own_iterator(client: WebClient) -> None:
    assert [len(page["members"]) for page in client.users_list(limit=4)] == [4, 4, 1]
    names = [channel["name"] for page in client.conversations_list(limit=1) for channel in page["channels"]]
    assert names == ["cx-alerts", "open"]


def test_messages_threads_and_links(client: WebClient, sandbox: Sandbox) -> None:
    metadata = Metadata(event_type="cxbridge_notification", event_payload={"key": "cxb:00112233aabbccdd"})
    posted = client.chat_postMessage(channel="#cx-alerts", text="Export & import", metadata=metadata)
    assert (posted["channel"], posted["message"]["text"]) == (ALERTS, "Export &amp; import")
    client.chat_postMessage(channel=ALERTS, text="On it", thread_ts=posted["ts"])
    [parent, reply] = client.conversations_replies(channel=ALERTS, ts=posted["ts"])["messages"]
    assert (parent["reply_count"], reply["text"]) == (1, "On it")
    history = client.conversations_history(channel=ALERTS, limit=1, include_all_metadata=True)
    assert history["messages"][0]["metadata"]["event_payload"] == {"key": "cxb:00112233aabbccdd"}
    assert client.chat_getPermalink(channel=ALERTS, message_ts=posted["ts"])["permalink"].endswith(
        f"/{ALERTS}/p{posted['ts'].replace('.', '')}"
    )
    client.chat_update(channel=ALERTS, ts=posted["ts"], text="Mended")
    client.chat_delete(channel=ALERTS, ts=reply["ts"])
    kinds = [effect.kind for effect in sandbox.world.journal.effects(via="api")]
    assert kinds == ["message.posted", "message.posted", "message.updated", "message.deleted"]


def test_people_and_direct_messages(client: WebClient) -> None:
    user = client.users_lookupByEmail(email="p3@harbourlight.example")["user"]
    direct = client.conversations_open(users=user["id"])["channel"]["id"]
    client.chat_postMessage(channel=direct, text="hello")
    assert client.conversations_history(channel=direct)["messages"][0]["text"] == "hello"
    assert client.users_info(user=user["id"], include_locale=True)["user"]["locale"] == "en-GB"
    members = client.conversations_members(channel=ALERTS)["members"]
    assert "U0CXBRIDGE" in members


def test_refusals_are_the_clients_errors(client: WebClient, sandbox: Sandbox) -> None:
    cases = (
        (lambda: client.chat_postMessage(channel="C0NOWHERE0", text="x"), "channel_not_found"),
        (lambda: client.users_lookupByEmail(email="x@x.example"), "users_not_found"),
        (lambda: client.chat_postMessage(channel=ALERTS, text="x", blocks=[{"type": "marquee"}]), "invalid_blocks"),
        (lambda: client.conversations_history(channel=ALERTS, cursor="x"), "invalid_cursor"),
    )
    for ask, word in cases:
        with pytest.raises(SlackApiError) as caught:
            ask()
        assert caught.value.response["error"] == word
    wrong = WebClient(token="wrong", base_url=f"{sandbox.url('slack')}/api/")
    with pytest.raises(SlackApiError, match="invalid_auth"):
        wrong.auth_test()


def test_limits_are_understood_by_the_client(client: WebClient) -> None:
    for _ in range(20):
        client.users_list()
    with pytest.raises(SlackApiError) as caught:
        client.users_list()
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    assert caught.value.response.headers["Retry-After"] == "60"


def test_deliveries_pass_the_vendors_own_verifier(client: WebClient, sandbox: Sandbox, receiver: Receiver) -> None:
    people = sandbox.world.vendors["slack"]
    people.control("PUT", "hooks", {"verify": True})
    people.control("POST", "messages", {"channel": "cx-alerts", "user": "p1", "text": "Hear, hear"})
    people.control("PATCH", "users/p2", {"deleted": True})
    form = InputBlock(label="Why?", element=PlainTextInputElement(action_id="why"), block_id="why")
    ask = client.chat_postMessage(
        channel=ALERTS,
        text="Refund?",
        blocks=[
            SectionBlock(text="Refund?"),
            form,
            ActionsBlock(elements=[ButtonElement(text="Approve", action_id="ok", value="apr-1", style="primary")]),
        ],
    )
    pressed = people.control(
        "POST", "click", {"approval": "apr-1", "choice": "Approve", "user": "p1", "form": {"Why?": "Because"}}
    )
    assert sandbox.world.hooks.settle()
    verifier = SignatureVerifier("sandbox-signing-secret", clock=Standing())
    kinds = []
    for headers, body in receiver.bodies:
        assert verifier.is_valid_request(body, headers)
        assert not verifier.is_valid_request(body + b" ", headers)
        assert not SignatureVerifier("another", clock=Standing()).is_valid_request(body, headers)
        if headers["content-type"] == "application/json":
            told = json.loads(body)
            kinds.append(told.get("event", told)["type"])
        else:
            kinds.append(json.loads(parse_qs(body.decode())["payload"][0])["type"])
    # The app's own message is told of too.
    assert kinds == ["url_verification", "message", "user_change", "message", "block_actions"]
    assert pressed[1]["message"] == f"{ALERTS}:{ask['ts']}"
    payload = pressed[1]["payload"]
    assert payload["state"]["values"] == {"why": {"why": {"type": "plain_text_input", "value": "Because"}}}
    # A trigger opens a form once, within three seconds.
    view = View(type="modal", title="Why?", blocks=[SectionBlock(text="Tell us")])
    assert client.views_open(trigger_id=payload["trigger_id"], view=view)["view"]["type"] == "modal"
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        client.views_open(trigger_id=payload["trigger_id"], view=view)


def test_deliveries_are_repeated_under_the_same_id_and_dated_as_told(sandbox: Sandbox, receiver: Receiver) -> None:
    people = sandbox.world.vendors["slack"]
    people.control("POST", "messages", {"channel": "cx-alerts", "user": "p1", "text": "Hear, hear"})
    people.control("POST", "events/again", {})
    people.control("POST", "events", {"event": {"type": "user_change", "user": {"id": "U1"}}, "skew": -400})
    people.control("POST", "events", {"event": {"type": "user_change", "user": {"id": "U1"}}, "secret": "stolen"})
    assert sandbox.world.hooks.settle()
    verifier = SignatureVerifier("sandbox-signing-secret", clock=Standing())
    good = [verifier.is_valid_request(body, headers) for headers, body in receiver.bodies]
    assert good == [True, True, False, False]
    (first, body), (again, repeated) = receiver.bodies[:2]
    assert body == repeated
    assert "x-slack-retry-num" not in first
    assert (again["x-slack-retry-num"], again["x-slack-retry-reason"]) == ("1", "http_timeout")


class Standing(Clock):
    """The verifier's clock, at the moment at which the sandbox stands."""

    def now(self) -> float:
        return NOW.timestamp()
