"""The simulated Slack answers as the vendor documents it: over real HTTP, without any of cxbridge's own client."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox import seed, verdict
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.seed import SeedError
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
ALERTS, SECRET_ROOM, OPEN = "C0ALERTS00", "C0SECRET00", "C0OPEN0000"
ANA, BOT = "U0ANA00000", "U0CXBRIDGE"
MARK = {"event_type": "cxbridge_notification", "event_payload": {"key": "cxb:00112233aabbccdd"}}

ROWS: list[dict[str, Any]] = [
    {"kind": "slack.user", "id": ANA, "name": "Ana Costa", "email": "ana@harbourlight.example"},
    {
        "kind": "slack.user",
        "id": "U0OLD00000",
        "name": "Old Hand",
        "email": "old@harbourlight.example",
        "deleted": True,
    },
    {"kind": "slack.channel", "id": ALERTS, "name": "cx-alerts", "members": ["cxbridge", "ana"]},
    {"kind": "slack.channel", "id": SECRET_ROOM, "name": "secret", "private": True, "members": ["ana"]},
    {"kind": "slack.channel", "id": OPEN, "name": "open"},
    *(
        {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": f"Alert {n}", "age": f"{n + 1}h"}
        for n in range(5)
    ),
]


class Place:
    """The running workspace as a test talks to it."""

    def __init__(self, sandbox: Sandbox, client: httpx.Client) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.client = client

    def get(self, method: str, **params: Any) -> Any:
        """A read that goes well."""
        body = self.ask(method, params=params)
        assert body["ok"], body
        return body

    def post(self, method: str, **body: Any) -> Any:
        """A write that goes well."""
        told = self.ask(method, "POST", json=body)
        assert told["ok"], told
        return told

    def error(self, method: str, **body: Any) -> str:
        """The word with which a write is refused."""
        told = self.ask(method, "POST", json=body)
        assert not told["ok"], told
        return str(told["error"])

    def ask(self, method: str, verb: str = "GET", **kwargs: Any) -> Any:
        reply = self.raw(method, verb, **kwargs)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def raw(self, method: str, verb: str = "GET", **kwargs: Any) -> httpx.Response:
        return self.client.request(verb, f"{self.sandbox.url('slack')}/api/{method}", **kwargs)

    def control(self, verb: str, path: str, status: int = 200, **body: Any) -> Any:
        reply = self.client.request(verb, f"{self.sandbox.control_url}/slack/{path}", json=body or None)
        assert reply.status_code == status, reply.text
        return reply.json()


@pytest.fixture
def start() -> Iterator[Callable[..., Place]]:
    """Start a workspace with options of its own; without limits unless the test says otherwise."""
    with ExitStack() as stack:

        def begin(**options: Any) -> Place:
            world = World(options={"slack": {"limits": None, **options}}, clock=SandboxClock(NOW, frozen=True))
            sandbox = stack.enter_context(Sandbox(world, vendors=("slack",)))
            seed.load_text(world, "\n".join(map(json.dumps, ROWS)))
            headers = {"Authorization": "Bearer sandbox-token"}
            return Place(sandbox, stack.enter_context(httpx.Client(headers=headers, trust_env=False)))

        yield begin


@pytest.fixture
def place(start: Callable[..., Place]) -> Place:
    return start()


# -- credentials and forms ---------------------------------------------------------------------------------------------


def test_a_failure_comes_with_status_200(place: Place) -> None:
    for headers, word in (({"Authorization": "Bearer x"}, "invalid_auth"), ({"Authorization": ""}, "not_authed")):
        assert place.ask("auth.test", headers=headers) == {"ok": False, "error": word}
    assert place.ask("auth.nothing") == {"ok": False, "error": "unknown_method", "req_method": "auth.nothing"}
    assert place.get("auth.test")["user_id"] == BOT
    assert place.raw("auth.test").headers["x-oauth-scopes"].startswith("chat:write")


def test_a_revoked_token_is_refused_until_it_is_restored(place: Place) -> None:
    place.world.faults.revoke("slack")
    assert place.ask("auth.test")["error"] == "invalid_auth"
    place.world.faults.restore("slack")
    assert place.get("auth.test")["ok"]


def test_reads_do_not_look_into_a_json_body(place: Place) -> None:
    assert place.ask("users.info", "POST", json={"user": ANA})["error"] == "user_not_found"
    assert place.ask("users.info", "POST", data={"user": ANA})["user"]["id"] == ANA
    assert place.ask("users.info", "POST", params={"user": ANA})["user"]["id"] == ANA


def test_writes_take_json_and_forms(place: Place) -> None:
    told = place.post("chat.postMessage", channel=ALERTS, text="json")
    assert told["warning"] == "missing_charset"
    assert told["response_metadata"]["warnings"] == ["missing_charset"]
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    form = {"channel": ALERTS, "text": "form", "blocks": json.dumps([section]), "metadata": json.dumps(MARK)}
    told = place.ask("chat.postMessage", "POST", data=form)
    assert told["ok"]
    assert "warning" not in told
    assert (told["message"]["metadata"], told["message"]["blocks"][0]["type"]) == (MARK, "section")


@pytest.mark.parametrize(
    ("content", "kind", "error"),
    [
        (b"{", "application/json; charset=utf-8", "invalid_json"),
        (b"[]", "application/json; charset=utf-8", "json_not_object"),
        (b"\xff", "application/x-www-form-urlencoded", "invalid_form_data"),
        (b"blocks=%5B", "application/x-www-form-urlencoded", "invalid_blocks_format"),
        (b"metadata=x", "application/x-www-form-urlencoded", "invalid_metadata_format"),
        (b"x", "text/plain", "invalid_post_type"),
        (b'{"channel":7,"text":["a"]}', "application/json; charset=utf-8", "invalid_arguments"),
    ],
)
def test_a_body_of_another_form_is_refused(place: Place, content: bytes, kind: str, error: str) -> None:
    told = place.ask("chat.postMessage", "POST", content=content, headers={"content-type": kind})
    assert told["error"] == error


@pytest.mark.parametrize(
    ("missing", "method", "params"),
    [
        ("users:read", "users.list", {}),
        ("users:read.email", "users.lookupByEmail", {"email": "ana@harbourlight.example"}),
        ("channels:history", "conversations.history", {"channel": ALERTS}),
        ("groups:read", "conversations.list", {"types": "private_channel"}),
        ("im:read", "conversations.list", {"types": "im"}),
        ("channels:read", "conversations.info", {"channel": ALERTS}),
    ],
)
def test_a_missing_scope_is_named(start: Callable[..., Place], missing: str, method: str, params: Any) -> None:
    place = start()
    scopes = [scope for scope in place.world.vendors["slack"].workspace.options.scopes if scope != missing]  # type: ignore[attr-defined]  # the workspace itself
    place.control("PUT", "scopes", scopes=scopes)
    told = place.ask(method, params=params)
    assert (told["error"], told["needed"]) == ("missing_scope", missing)
    assert missing not in told["provided"].split(",")


def test_without_the_scope_for_it_addresses_are_left_out(place: Place) -> None:
    assert place.get("users.info", user=ANA)["user"]["profile"]["email"] == "ana@harbourlight.example"
    place.control("PUT", "scopes", scopes=["users:read"])
    assert "email" not in place.get("users.info", user=ANA)["user"]["profile"]


# -- reading -----------------------------------------------------------------------------------------------------------


def test_pages_follow_a_cursor_to_its_end(place: Place) -> None:
    first = place.get("users.list", limit=3)
    assert len(first["members"]) == 3
    second = place.get("users.list", limit=3, cursor=first["response_metadata"]["next_cursor"])
    assert second["response_metadata"]["next_cursor"] == ""
    assert {one["id"] for one in first["members"] + second["members"]} == {ANA, BOT, "USLACKBOT", "U0OLD00000"}
    for cursor in ("x", "YXQ6eA==", "Zm9vOjE="):
        assert place.ask("users.list", params={"cursor": cursor})["error"] == "invalid_cursor"
    for limit in ("0", "1001", "many"):
        assert place.ask("users.list", params={"limit": limit})["error"] == "invalid_limit"


def test_a_page_may_be_empty_in_the_middle(start: Callable[..., Place]) -> None:
    place = start(empty_page=True)
    first = place.get("users.list")
    assert first["members"] == []
    assert place.get("users.list", cursor=first["response_metadata"]["next_cursor"])["members"]


def test_who_was_deactivated_is_found_by_nobody(place: Place) -> None:
    assert place.ask("users.lookupByEmail", params={"email": "old@harbourlight.example"})["error"] == "users_not_found"
    assert place.get("users.lookupByEmail", email="ANA@harbourlight.example")["user"]["id"] == ANA
    shown = {one["id"]: one for one in place.get("users.list")["members"]}
    assert shown["U0OLD00000"]["deleted"]
    assert "tz" not in shown["U0OLD00000"]


def test_private_channels_show_where_the_app_is_in_them(place: Place) -> None:
    kinds = "public_channel,private_channel"
    names = [one["name"] for one in place.get("conversations.list", types=kinds)["channels"]]
    assert names == ["cx-alerts", "open"]
    assert place.ask("conversations.info", params={"channel": SECRET_ROOM})["error"] == "channel_not_found"
    place.control("PATCH", "channels/secret", members_add=["cxbridge"])
    assert place.get("conversations.info", channel=SECRET_ROOM)["channel"]["is_private"]
    assert place.get("conversations.members", channel=SECRET_ROOM)["members"] == [ANA, BOT]
    assert place.ask("conversations.list", params={"types": "everything"})["error"] == "invalid_types"


def test_a_history_is_newest_first_between_bounds(place: Place) -> None:
    rows = place.get("conversations.history", channel=ALERTS)["messages"]
    assert [row["text"] for row in rows] == [f"Alert {n}" for n in range(5)]
    bounds = {"oldest": rows[3]["ts"], "latest": rows[1]["ts"]}
    inner = place.get("conversations.history", channel=ALERTS, **bounds)
    assert [row["text"] for row in inner["messages"]] == ["Alert 2"]
    outer = place.get("conversations.history", channel=ALERTS, inclusive="true", **bounds)
    assert len(outer["messages"]) == 3
    assert place.ask("conversations.history", params={"channel": ALERTS, "oldest": "x"})["error"] == "invalid_ts_oldest"
    assert place.ask("conversations.history", params={"channel": OPEN})["error"] == "not_in_channel"


def test_an_app_outside_the_marketplace_gets_fifteen_once_a_minute(start: Callable[..., Place]) -> None:
    place = start(history_items=2, limits={"conversations.history": 1})
    page = place.get("conversations.history", channel=ALERTS, limit=200)
    assert (len(page["messages"]), page["has_more"]) == (2, True)
    reply = place.raw("conversations.history", params={"channel": ALERTS})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
    assert reply.json() == {"ok": False, "error": "ratelimited"}
    place.world.clock.advance(60)
    assert place.get("conversations.history", channel=ALERTS)["ok"]


def test_metadata_shows_in_full_only_where_it_is_asked_for(place: Place) -> None:
    place.post("chat.postMessage", channel=ALERTS, text="x", metadata=MARK)
    [row] = place.get("conversations.history", channel=ALERTS, limit=1)["messages"]
    assert row["metadata"] == {"event_type": "cxbridge_notification"}
    [row] = place.get("conversations.history", channel=ALERTS, limit=1, include_all_metadata="true")["messages"]
    assert row["metadata"] == MARK


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_message_is_posted_journaled_and_linked(place: Place) -> None:
    told = place.post("chat.postMessage", channel="#cx-alerts", text="R&D <!channel> &lt;!here&gt;", metadata=MARK)
    # A name comes back as an id, and a loose ampersand as an entity.
    assert told["channel"] == ALERTS
    assert told["message"]["text"] == "R&amp;D <!channel> &lt;!here&gt;"
    [effect] = place.world.journal.effects("message.posted")
    assert (effect.key, effect.actor, effect.via) == (f"{ALERTS}:{told['ts']}", "bridge@example.test", "api")
    assert effect.detail["marker"] == "cxb:00112233aabbccdd"
    assert effect.detail["pings"] == ["!channel"]
    assert effect.detail["channel"] == "cx-alerts"
    link = place.get("chat.getPermalink", channel=ALERTS, message_ts=told["ts"])["permalink"]
    assert link == f"https://harbourlight.slack.com/archives/{ALERTS}/p{told['ts'].replace('.', '')}"


def test_stamps_are_texts_and_each_its_own(place: Place) -> None:
    stamps = [place.post("chat.postMessage", channel=ALERTS, text="x")["ts"] for _ in range(5)]
    assert all(isinstance(ts, str) for ts in stamps)
    assert sorted(set(stamps)) == stamps


def test_threads_hang_under_their_first_message(place: Place) -> None:
    parent = place.post("chat.postMessage", channel=ALERTS, text="parent")["ts"]
    first = place.post("chat.postMessage", channel=ALERTS, text="first", thread_ts=parent)["ts"]
    second = place.post("chat.postMessage", channel=ALERTS, text="second", thread_ts=first)
    assert second["message"]["thread_ts"] == parent
    texts = [row["text"] for row in place.get("conversations.replies", channel=ALERTS, ts=parent)["messages"]]
    assert texts == ["parent", "first", "second"]
    [row] = place.get("conversations.history", channel=ALERTS, limit=1)["messages"]
    assert (row["text"], row["reply_count"], row["latest_reply"]) == ("parent", 2, second["ts"])
    assert place.error("chat.postMessage", channel=ALERTS, text="x", thread_ts="1.000001") == "thread_not_found"
    later = place.get("conversations.replies", channel=ALERTS, ts=parent, oldest=first)["messages"]
    assert [row["text"] for row in later] == ["parent", "second"]


def test_places_that_take_nothing(place: Place) -> None:
    assert place.error("chat.postMessage", channel="C0NOWHERE0", text="x") == "channel_not_found"
    assert place.error("chat.postMessage", channel=SECRET_ROOM, text="x") == "channel_not_found"
    assert place.error("chat.postMessage", channel=BOT, text="x") == "cannot_dm_bot"
    assert place.error("chat.postMessage", channel="U0OLD00000", text="x") == "user_not_found"
    place.control("PATCH", "channels/open", archived=True)
    assert place.error("chat.postMessage", channel=OPEN, text="x") == "is_archived"
    assert place.error("conversations.join", channel=OPEN) == "is_archived"


def test_joining_is_asked_for_once_and_harmless_twice(place: Place) -> None:
    assert place.post("chat.postMessage", channel=OPEN, text="from outside")["ok"]
    scopes = ["chat:write", "channels:join", "channels:read", "channels:history"]
    place.control("PUT", "scopes", scopes=scopes)
    assert place.error("chat.postMessage", channel=OPEN, text="x") == "not_in_channel"
    assert place.post("conversations.join", channel=OPEN)["channel"]["is_member"]
    assert "already_in_channel" in place.post("conversations.join", channel=OPEN)["warning"]
    assert place.post("chat.postMessage", channel=OPEN, text="x")["ok"]
    assert len(place.world.journal.effects("channel.joined")) == 1
    assert place.error("conversations.join", channel=SECRET_ROOM) == "channel_not_found"


def test_a_direct_message_is_opened_by_writing_or_by_asking(place: Place) -> None:
    assert place.get("conversations.list", types="im")["channels"] == []
    direct = place.post("chat.postMessage", channel=ANA, text="hello")["channel"]
    assert direct.startswith("D")
    assert place.post("conversations.open", users=ANA)["channel"]["id"] == direct
    [shown] = place.get("conversations.list", types="im")["channels"]
    assert (shown["id"], shown["user"]) == (direct, ANA)
    assert place.get("conversations.history", channel=direct)["messages"][0]["text"] == "hello"
    [effect] = place.world.journal.effects("message.posted")
    assert effect.detail["person"] == "ana@harbourlight.example"
    assert place.error("conversations.open", users="U0NOBODY00") == "user_not_found"
    assert place.error("conversations.open", users="U0OLD00000") == "user_disabled"
    assert place.error("conversations.open") == "users_list_not_supplied"


def test_an_update_replaces_and_a_repetition_changes_nothing(place: Place) -> None:
    section = {"type": "section", "block_id": "b", "text": {"type": "mrkdwn", "text": "x"}}
    ts = place.post("chat.postMessage", channel=ALERTS, text="old", blocks=[section], metadata=MARK)["ts"]
    for _ in range(2):
        place.post("chat.update", channel=ALERTS, ts=ts, text="new")
    [row] = place.get("conversations.history", channel=ALERTS, limit=1, include_all_metadata="true")["messages"]
    # Text without blocks takes the blocks away; metadata that is not given stays.
    assert (row["text"], "blocks" in row, row["metadata"]) == ("new", False, MARK)
    assert [one.kind for one in place.world.journal.effects(via="api")] == ["message.posted", "message.updated", "noop"]
    assert place.error("chat.update", channel=ALERTS, ts="1.000001", text="x") == "message_not_found"
    theirs = place.get("conversations.history", channel=ALERTS)["messages"][1]["ts"]
    assert place.error("chat.update", channel=ALERTS, ts=theirs, text="x") == "cant_update_message"
    assert place.error("chat.delete", channel=ALERTS, ts=theirs) == "cant_delete_message"


def test_what_was_deleted_is_gone_unless_it_was_answered(place: Place) -> None:
    lone = place.post("chat.postMessage", channel=ALERTS, text="lone")["ts"]
    parent = place.post("chat.postMessage", channel=ALERTS, text="parent")["ts"]
    place.post("chat.postMessage", channel=ALERTS, text="answer", thread_ts=parent)
    for ts in (lone, parent):
        place.post("chat.delete", channel=ALERTS, ts=ts)
    rows = place.get("conversations.history", channel=ALERTS)["messages"]
    assert lone not in {row["ts"] for row in rows}
    assert (rows[0]["ts"], rows[0]["subtype"]) == (parent, "tombstone")


def block(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": plain("Go"), **fields}


@pytest.mark.parametrize(
    "blocks",
    [
        [block("divider")] * 51,
        [block("section", text=plain("x" * 3001))],
        [block("section", text=plain(""))],
        [block("section")],
        [block("header", text=plain("x" * 151))],
        [block("context", elements=[])],
        [block("actions", elements=[button()] * 26)],
        [block("actions", block_id="b", elements=[button(), button()])],
        [block("actions", elements=[button(text=plain("x" * 76))])],
        [block("actions", elements=[button(value="x" * 2001)])],
        [block("actions", elements=[button(style="fancy")])],
        [block("actions", elements=[button(action_id="x" * 256)])],
        [block("divider", block_id="x"), block("divider", block_id="x")],
        [block("divider", block_id="x" * 256)],
        [block("marquee")],
        ["text"],
        [block("input", label=plain("x"), element=block("button"))],
        [block("input", label=plain("x"), element=block("number_input"))],
        [block("input", label=plain("x"), element=block("static_select", options=[]))],
        [block("input", label=plain("x"), element=block("static_select", options=[{"text": plain("a"), "value": "v" * 151}]))],
    ],
)  # fmt: skip
def test_blocks_that_pass_a_limit_are_refused_with_their_place(place: Place, blocks: Any) -> None:
    told = place.ask("chat.postMessage", "POST", json={"channel": ALERTS, "text": "x", "blocks": blocks})
    assert told["error"] == "invalid_blocks"
    assert all("json-pointer:/blocks" in one for one in told["response_metadata"]["messages"])
    assert not place.world.journal.effects("message.posted")


def test_other_limits_of_content(place: Place) -> None:
    long = [block("section", text=plain("x" * 2900)) for _ in range(5)]
    assert place.error("chat.postMessage", channel=ALERTS, text="x", blocks=long) == "msg_blocks_too_long"
    assert place.error("chat.postMessage", channel=ALERTS) == "no_text"
    assert place.error("chat.postMessage", channel=ALERTS, text="x", blocks={}) == "invalid_blocks_format"
    big = {"event_type": "x", "event_payload": {"k": "v" * 9000}}
    assert place.error("chat.postMessage", channel=ALERTS, text="x", metadata=big) == "metadata_too_large"
    odd = {"event_type": 7}
    assert place.error("chat.postMessage", channel=ALERTS, text="x", metadata=odd) == "invalid_metadata_schema"
    assert len(place.post("chat.postMessage", channel=ALERTS, text="x" * 50_000)["message"]["text"]) == 40_000


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_method_has_its_tier(start: Callable[..., Place]) -> None:
    place = start(limits={})
    for _ in range(20):
        place.get("users.list")
    reply = place.raw("users.list")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
    # Counted per method: the others go on.
    assert place.get("users.info", user=ANA)["ok"]
    place.world.clock.advance(61)
    assert place.get("users.list")["ok"]


def test_a_channel_takes_a_message_a_second_after_a_burst(start: Callable[..., Place]) -> None:
    place = start(limits={})
    for _ in range(3):
        place.post("chat.postMessage", channel=ALERTS, text="x")
    reply = place.raw("chat.postMessage", "POST", json={"channel": ALERTS, "text": "x"})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")
    assert place.post("chat.postMessage", channel=OPEN, text="x")["ok"]
    place.world.clock.advance(3)
    assert place.post("chat.postMessage", channel=ALERTS, text="x")["ok"]
    assert len(place.world.journal.effects("message.posted")) == 5


def test_unknown_options_are_refused() -> None:
    for options in ({"limit": 1}, {"limits": {"chat.nothing": 1}}, {"scopes": ["admin"]}, {"page_items": "x"}):
        with pytest.raises(ValueError, match=r"slack|limit"):
            Sandbox(World(options={"slack": options}), vendors=("slack",))


def test_something_posted_twice_under_one_marker_is_noticed(place: Place) -> None:
    for _ in range(2):
        place.post("chat.postMessage", channel=ALERTS, text="x", metadata=MARK)
    place.post("chat.postMessage", channel=ALERTS, text="x")
    twice = {(one.kind, one.count) for one in verdict.duplicates(place.world.journal)}
    assert twice == {("message.posted", 2)}


# -- people, over the control API --------------------------------------------------------------------------------------


def test_people_write_edit_and_delete(place: Place) -> None:
    said = place.control("POST", "messages", 201, channel="#cx-alerts", user="ana", text="Look & see")
    assert said["text"] == "Look &amp; see"
    place.control("POST", "messages", 201, channel="cx-alerts", user="ana", text="There", thread=said["key"])
    place.control("PATCH", f"messages/{said['key']}", text="Look again")
    [row] = place.get("conversations.history", channel=ALERTS, limit=1)["messages"]
    assert (row["text"], row["edited"]["user"], row["reply_count"]) == ("Look again", ANA, 1)
    place.control("DELETE", f"messages/{said['key']}")
    assert [one.kind for one in place.world.journal.effects(via="ui")] == [
        "message.posted",
        "message.posted",
        "message.updated",
        "message.deleted",
    ]
    told = place.control("GET", "channels/cx-alerts/messages")["messages"]
    assert [(one["user"], one["deleted"]) for one in told[-2:]] == [("ana", True), ("ana", False)]


def test_a_direct_message_is_seen_under_the_persons_name(place: Place) -> None:
    place.control("GET", "channels/ana@harbourlight.example/messages", 400)
    place.post("chat.postMessage", channel=ANA, text="hello", metadata=MARK)
    [said] = place.control("GET", "channels/ana@harbourlight.example/messages")["messages"]
    assert (said["text"], said["metadata"], said["by_app"]) == ("hello", MARK, True)
    assert place.control("GET", "channels/ana")["direct"]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "nothing", {}),
        ("POST", "hooks", {"events_url": "x"}),
        ("GET", "channels/nowhere", {}),
        ("POST", "messages", {"channel": "cx-alerts", "user": "nobody", "text": "x"}),
        ("POST", "messages", {"channel": "cx-alerts", "user": "ana", "text": "x", "thread": "C0ALERTS00:1.000001"}),
        ("POST", "channels", {"name": "cx-alerts"}),
        ("POST", "channels", {"name": "new", "members": ["nobody"]}),
        ("POST", "users", {"name": "Ana Again", "email": "ana@harbourlight.example"}),
        ("POST", "users", {"name": "X", "nickname": "x"}),
        ("POST", "click", {"choice": "yes", "user": "ana"}),
        ("POST", "click", {"approval": "apr-1", "choice": "yes", "user": "ana"}),
        ("POST", "events", {}),
        ("PUT", "scopes", {"scopes": ["admin"]}),
    ],
)
def test_a_control_request_that_cannot_be_done_says_why(place: Place, verb: str, path: str, body: Any) -> None:
    assert place.control(verb, path, 400, **body)["error"]


def test_rows_that_cannot_be_used_are_refused(place: Place) -> None:
    for row in (
        {"kind": "slack.emoji", "name": "x"},
        {"kind": "slack.user"},
        {"kind": "slack.message", "channel": "nowhere", "user": "ana", "text": "x"},
        {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": "x", "age": "soon"},
        {"kind": "slack.message", "channel": "cx-alerts", "user": "ana", "text": "x", "thread": "never said"},
    ):
        with pytest.raises(SeedError):
            seed.load_text(place.world, json.dumps(row))
    counts = place.world.vendors["slack"].state_counts()
    assert counts == {"users": 4, "channels": 3, "direct_messages": 0, "messages": 5}


def test_equal_worlds_give_equal_ids() -> None:
    ids = []
    for _ in range(2):
        world = World(seed=3, clock=SandboxClock(NOW, frozen=True))
        Sandbox(world, vendors=("slack",))
        seed.load_text(world, json.dumps({"kind": "slack.user", "name": "Eva", "email": "eva@x.example"}))
        ids.append(sorted(world.vendors["slack"].workspace.users))  # type: ignore[attr-defined]  # the workspace itself
    assert ids[0] == ids[1]
