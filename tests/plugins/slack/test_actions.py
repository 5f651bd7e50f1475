"""Writing: where a message goes, what is sent, and how it is found again when its answer was lost."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.slack import places

from .conftest import ALERTS, ANA, BOT, MARKER, OTHER, Desk, channel, failed, message, planted, stamp, user

NOTE = cx.Notify(to="alerts", text="*New P1* &lt;!channel&gt;")
PLANTED = {"event_type": "cxbridge_notification", "event_payload": {"key": MARKER}}
QUIET = {"link_names": False, "unfurl_links": False, "unfurl_media": False, "metadata": PLANTED}


def posted(ident: str = ALERTS, ts: str = "1778057173.000100") -> dict[str, Any]:
    return {"channel": ident, "ts": ts, "message": {}}


# -- notify ------------------------------------------------------------------------------------------------------------


def test_a_message_to_a_channel_known_by_an_alias(desk: Desk) -> None:
    desk.plays("conversations.info", {"channel": channel()})
    desk.plays("chat.postMessage", posted())
    receipt = desk.perform("message.notify_once", NOTE)
    assert desk.writes == [
        ("chat.postMessage", {"channel": ALERTS, "text": "*New P1* &lt;!channel&gt;", **QUIET}),
    ]
    assert receipt == cx.Receipt(
        stream="messages",
        key=f"{ALERTS}:1778057173.000100",
        url=f"https://acme.slack.com/archives/{ALERTS}/p1778057173000100",
        wrote={"channel": f"channels/{ALERTS}", "body_text": "*New P1* <!channel>"},
        made=(f"messages/{ALERTS}:1778057173.000100",),
    )


@pytest.mark.parametrize("to", ["#cx-elsewhere", "cx-elsewhere", "#CX-Elsewhere", f"channels/{OTHER}", OTHER])
def test_a_channel_is_found_by_name_or_id(desk: Desk, to: str) -> None:
    other = channel(OTHER, name="cx-elsewhere")
    desk.plays(
        "conversations.list",
        {"channels": [channel(), {"id": 7}], "response_metadata": {"next_cursor": "b"}},
        {"channels": [other], "response_metadata": {"next_cursor": ""}},
    )
    desk.plays("conversations.info", {"channel": other})
    desk.plays("chat.postMessage", posted(OTHER))
    assert desk.perform("message.notify_once", cx.Notify(to=to, text="x")).key.startswith(OTHER)


def test_a_person_is_written_to_by_address_in_one_write(desk: Desk) -> None:
    lookup = desk.plays("users.lookupByEmail", {"user": user()})
    desk.plays("chat.postMessage", posted("D0ANA00000"))
    receipt = desk.perform("message.notify_once", cx.Notify(to="ana@acme.example", text="x"))
    assert lookup.calls[0].request.url.params["email"] == "ana@acme.example"
    # Slack opens the direct message by itself, and answers with its id.
    assert [(name, body["channel"]) for name, body in desk.writes] == [("chat.postMessage", ANA)]
    assert receipt.key == "D0ANA00000:1778057173.000100"


@pytest.mark.parametrize("to", [ANA, f"users/{ANA}"])
def test_a_person_is_written_to_by_id(desk: Desk, to: str) -> None:
    desk.plays("chat.postMessage", posted("D0ANA00000"))
    desk.perform("message.notify_once", cx.Notify(to=to, text="x"))
    assert [body["channel"] for _, body in desk.writes] == [ANA]


def test_who_is_not_there_is_told_of_in_the_default_channel(desk: Desk) -> None:
    desk.plays("users.lookupByEmail", failed("users_not_found"))
    desk.plays("conversations.info", {"channel": channel()})
    desk.plays("chat.postMessage", posted())
    receipt = desk.perform("message.notify_once", cx.Notify(to="gone@acme.example", text="x"))
    assert receipt.told == "nobody with that e-mail address is active in the workspace: sent to alerts"
    assert [body["channel"] for _, body in desk.writes] == [ALERTS]


def test_without_a_default_channel_nobody_is_told(connect: Callable[..., Desk]) -> None:
    desk = connect()
    desk.plays("users.lookupByEmail", failed("users_not_found"))
    with pytest.raises(cx.Rejected, match="nobody with that e-mail address is active") as caught:
        desk.perform("message.notify_once", cx.Notify(to="gone@acme.example", text="x"))
    assert "gone@" not in str(caught.value)
    assert not desk.writes


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"is_archived": True}, "#cx-alerts is archived"),
        ({"is_ext_shared": True}, "shared with another organization"),
        ({"is_member": False, "is_private": True}, "the app is not in #cx-alerts: /invite it there"),
    ],
)
def test_a_channel_that_cannot_take_it_is_refused_before_anything_is_sent(
    desk: Desk, changed: dict[str, Any], sentence: str
) -> None:
    desk.plays("conversations.info", {"channel": channel(**changed)})
    with pytest.raises(cx.Rejected, match=sentence):
        desk.perform("message.notify_once", NOTE)
    assert not desk.writes


def test_a_shared_channel_is_written_to_where_the_settings_allow_it(connect: Callable[..., Desk]) -> None:
    desk = connect(shared=True)
    desk.plays("conversations.info", {"channel": channel(is_ext_shared=True)})
    desk.plays("chat.postMessage", posted())
    assert desk.perform("message.notify_once", cx.Notify(to=ALERTS, text="x")).changed


@pytest.mark.parametrize("to", ["", " ", "x" * 300, "#a\nb", "#nowhere"])
def test_a_place_that_is_none_is_refused(desk: Desk, to: str) -> None:
    desk.plays("conversations.list", {"channels": [channel()]})
    with pytest.raises(cx.Rejected):
        desk.perform("message.notify_once", cx.Notify(to=to, text="x"))
    assert not desk.writes


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00"])
def test_an_empty_message_is_refused(desk: Desk, text: str) -> None:
    with pytest.raises(cx.Rejected, match="the message is empty"):
        desk.perform("message.notify_once", cx.Notify(to="alerts", text=text))
    assert not desk.router.calls


def test_a_long_message_is_cut_and_says_so(desk: Desk) -> None:
    desk.plays("conversations.info", {"channel": channel()})
    desk.plays("chat.postMessage", posted())
    desk.perform("message.notify_once", cx.Notify(to="alerts", text="&amp;" * 20_000))
    [(_, body)] = desk.writes
    assert len(body["text"]) < 40_000
    kept, note = body["text"].split("\n")
    assert note == "[cut by cxbridge after 39,000 characters]"
    assert kept == "&amp;" * (len(kept) // 5)


# -- joining -----------------------------------------------------------------------------------------------------------


def test_the_app_joins_before_it_writes_so_that_it_can_find_its_message(desk: Desk) -> None:
    desk.plays("conversations.info", {"channel": channel(is_member=False)})
    desk.plays("conversations.join", {"channel": channel(), "warning": "already_in_channel"})
    desk.plays("chat.postMessage", posted())
    desk.perform("message.notify_once", NOTE)
    assert [(name, body["channel"]) for name, body in desk.writes] == [
        ("conversations.join", ALERTS),
        ("chat.postMessage", ALERTS),
    ]


@pytest.mark.parametrize(
    ("error", "extra", "sentence"),
    [
        ("missing_scope", {"needed": "channels:join"}, "or grant the app the scope channels:join"),
        ("method_not_supported_for_channel_type", {}, "/invite it there \\(method_not_supported"),
    ],
)
def test_where_it_may_not_join_nothing_is_sent(desk: Desk, error: str, extra: dict[str, Any], sentence: str) -> None:
    desk.plays("conversations.info", {"channel": channel(is_member=False)})
    desk.plays("conversations.join", failed(error, **extra))
    with pytest.raises(cx.Rejected, match=sentence):
        desk.perform("message.notify_once", NOTE)
    assert [name for name, _ in desk.writes] == ["conversations.join"]


def test_joining_can_be_switched_off(connect: Callable[..., Desk]) -> None:
    desk = connect(join=False)
    desk.plays("conversations.info", {"channel": channel(is_member=False)})
    with pytest.raises(cx.Rejected, match="/invite it there"):
        desk.perform("message.notify_once", cx.Notify(to=ALERTS, text="x"))
    assert not desk.writes


def test_without_histories_it_joins_only_when_slack_wants_it_and_writes_once(connect: Callable[..., Desk]) -> None:
    desk = connect(history=False)
    desk.plays("conversations.info", {"channel": channel(is_member=False)})
    desk.plays("chat.postMessage", failed("not_in_channel"), posted())
    desk.plays("conversations.join", {"channel": channel()})
    assert desk.perform("message.notify_once", cx.Notify(to=ALERTS, text="x")).changed
    assert [name for name, _ in desk.writes] == ["chat.postMessage", "conversations.join", "chat.postMessage"]


def test_being_refused_twice_is_refused(connect: Callable[..., Desk]) -> None:
    desk = connect(history=False)
    desk.plays("conversations.info", {"channel": channel(is_member=False)})
    desk.plays("chat.postMessage", failed("not_in_channel"))
    desk.plays("conversations.join", {"channel": channel()})
    with pytest.raises(cx.Rejected, match="not_in_channel"):
        desk.perform("message.notify_once", cx.Notify(to=ALERTS, text="x"))
    assert [name for name, _ in desk.writes] == ["chat.postMessage", "conversations.join", "chat.postMessage"]


# -- found again -------------------------------------------------------------------------------------------------------


def test_a_message_is_found_by_the_marker_beside_it(desk: Desk) -> None:
    desk.plays("conversations.info", {"channel": channel()})
    history = desk.plays(
        "conversations.history",
        {
            "messages": [message(stamp(1)), planted(stamp(2), marker="cxb:ffffffffffffffff")],
            "has_more": True,
            "response_metadata": {"next_cursor": "b"},
        },
        {"messages": [planted(stamp(30), text="*New P1* &lt;!channel&gt;")]},
    )
    receipt = desk.find("message.notify_once", NOTE, since=datetime(2026, 5, 6, 8, 45, tzinfo=UTC))
    assert receipt is not None
    assert receipt.key == f"{ALERTS}:{stamp(30)}"
    assert receipt.made == (f"messages/{ALERTS}:{stamp(30)}",)
    assert receipt.wrote["body_text"] == "*New P1* <!channel>"
    # From ten minutes before the write was under way.
    assert history.calls[0].request.url.params["oldest"] == "1778056500.000000"
    assert history.calls[0].request.url.params["include_all_metadata"] == "true"


def test_a_clock_of_ours_that_is_wrong_does_not_hide_the_message(desk: Desk, clock: ManualClock) -> None:
    """Our clock is an hour ahead of Slack's, by which its stamps are made."""
    clock.advance(3600)
    desk.plays("conversations.info", {"channel": channel()})
    history = desk.plays("conversations.history", {"messages": [planted(stamp(30))]})
    assert desk.find("message.notify_once", NOTE, since=clock.now()) is not None
    assert history.calls[0].request.url.params["oldest"] == stamp(600)


def test_what_was_written_long_after_it_was_sent_is_not_gone_through(desk: Desk, clock: ManualClock) -> None:
    """Our clock is an hour ahead of Slack's, by which its stamps are made."""
    clock.advance(3600)
    sent = clock.now()
    clock.advance(1800)
    desk.plays("conversations.info", {"channel": channel()})
    history = desk.plays("conversations.history", {"messages": []})
    assert desk.find("message.notify_once", NOTE, since=sent, sent=sent) is None
    asked = history.calls[0].request.url.params
    assert float(asked["latest"]) - float(asked["oldest"]) == 12 * 60


def test_without_a_time_it_is_looked_for_as_far_back_as_the_settings_say(connect: Callable[..., Desk]) -> None:
    desk = connect(search_back="1h")
    desk.plays("conversations.info", {"channel": channel()})
    history = desk.plays("conversations.history", {"messages": []})
    assert desk.find("message.notify_once", cx.Notify(to=ALERTS, text="x")) is None
    assert history.calls[0].request.url.params["oldest"] == stamp(3600)


def test_a_message_to_a_person_is_looked_for_in_their_direct_message_and_the_default_channel(desk: Desk) -> None:
    desk.plays("users.lookupByEmail", {"user": user()})
    ims = [{"id": "D0BEN00000", "is_im": True, "user": "U0BEN00000"}, {"id": "D0ANA00000", "is_im": True, "user": ANA}]
    listing = desk.plays("conversations.list", {"channels": [*ims, {"id": 7}]})
    desk.plays("conversations.info", {"channel": channel()})
    history = desk.plays("conversations.history", {"messages": []}, {"messages": [planted(stamp(30))]})
    receipt = desk.find("message.notify_once", cx.Notify(to="ana@acme.example", text="x"))
    assert receipt is not None
    assert receipt.key == f"{ALERTS}:{stamp(30)}"
    assert listing.calls[0].request.url.params["types"] == "im"
    assert [one.request.url.params["channel"] for one in history.calls] == ["D0ANA00000", ALERTS]


def test_a_person_who_was_never_written_to_has_no_message(connect: Callable[..., Desk]) -> None:
    desk = connect()
    desk.plays("users.lookupByEmail", {"user": user()})
    desk.plays("conversations.list", {"channels": []})
    assert desk.find("message.notify_once", cx.Notify(to="ana@acme.example", text="x")) is None
    desk.plays("users.lookupByEmail", failed("users_not_found"))
    assert desk.find("message.notify_once", cx.Notify(to="gone@acme.example", text="x")) is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"messages": [{"ts": 7}]}, cx.WireFormat),
        ({"messages": [], "has_more": True}, cx.WireFormat),
        ({"messages": [], "has_more": True, "response_metadata": {"next_cursor": "again"}}, cx.WireFormat),
        (failed("not_in_channel"), cx.Rejected),
        (failed("missing_scope", needed="channels:history"), cx.Unauthorized),
        (failed("ratelimited"), cx.RateLimited),
        (failed("fatal_error"), cx.Retryable),
    ],
)
def test_a_look_that_cannot_be_finished_decides_nothing(desk: Desk, body: Any, error: type[Exception]) -> None:
    """`None` would mean that it certainly was not written, and it would be written again."""
    desk.plays("conversations.info", {"channel": channel()})
    desk.plays("conversations.history", body)
    with pytest.raises(error):
        desk.find("message.notify_once", NOTE)


# -- reply -------------------------------------------------------------------------------------------------------------


def test_an_answer_goes_into_the_thread(desk: Desk) -> None:
    desk.plays("chat.postMessage", posted())
    receipt = desk.perform("message.reply_once", cx.ReplyTo(text="On it."), f"{ALERTS}:{stamp(90)}")
    assert desk.writes == [
        ("chat.postMessage", {"channel": ALERTS, "text": "On it.", "thread_ts": stamp(90), **QUIET}),
    ]
    assert receipt.wrote["thread"] == f"messages/{ALERTS}:{stamp(90)}"
    assert receipt.url == (
        f"https://acme.slack.com/archives/{ALERTS}/p1778057173000100?thread_ts={stamp(90)}&cid={ALERTS}"
    )


def test_an_answer_to_an_answer_goes_into_the_same_thread(desk: Desk) -> None:
    desk.plays("chat.postMessage", posted())
    base = cx.Message(
        source_id=f"{ALERTS}:{stamp(50)}", channel=f"channels/{ALERTS}", thread=f"messages/{ALERTS}:{stamp(90)}"
    )
    desk.perform("message.reply_once", cx.ReplyTo(text="x"), f"{ALERTS}:{stamp(50)}", base=base)
    assert [body["thread_ts"] for _, body in desk.writes] == [stamp(90)]


def test_an_answer_is_found_in_its_thread(desk: Desk) -> None:
    thread = desk.plays(
        "conversations.replies",
        {"messages": [message(stamp(90)), planted(stamp(20), thread_ts=stamp(90))]},
        failed("thread_not_found"),
        failed("channel_not_found"),
    )
    receipt = desk.find("message.reply_once", cx.ReplyTo(text="x"), f"{ALERTS}:{stamp(90)}")
    assert receipt is not None
    assert (receipt.key, receipt.wrote["thread"]) == (f"{ALERTS}:{stamp(20)}", f"messages/{ALERTS}:{stamp(90)}")
    assert thread.calls[0].request.url.params["ts"] == stamp(90)
    assert desk.find("message.reply_once", cx.ReplyTo(text="x"), f"{ALERTS}:{stamp(90)}") is None
    with pytest.raises(cx.NotFound, match="channel_not_found"):  # the app was put out of the channel: nobody can tell
        desk.find("message.reply_once", cx.ReplyTo(text="x"), f"{ALERTS}:{stamp(90)}")


@pytest.mark.parametrize("target", [None, "", "1741081950.002119", f"{ALERTS}:1741081950"])
def test_an_answer_needs_a_message(desk: Desk, target: str | None) -> None:
    with pytest.raises(cx.Rejected, match="a message is named by its channel and ts"):
        desk.perform("message.reply_once", cx.ReplyTo(text="x"), target)


# -- ask and settle ----------------------------------------------------------------------------------------------------

ASK = cx.Ask(to="alerts", text="Refund?", approval="apr-1", buttons=[cx.Button(label="Yes", choice="yes")])


def test_a_question_is_sent_with_text_and_blocks(desk: Desk) -> None:
    desk.plays("conversations.info", {"channel": channel()})
    desk.plays("chat.postMessage", posted())
    receipt = desk.perform("message.ask", ASK)
    [(method, body)] = desk.writes
    assert (method, body["text"], body["metadata"]) == ("chat.postMessage", "Refund?", PLANTED)
    assert [block["type"] for block in body["blocks"]] == ["section", "actions"]
    assert receipt.key == f"{ALERTS}:1778057173.000100"
    desk.plays("conversations.history", {"messages": [planted(stamp(3))]})
    assert desk.find("message.ask", ASK) is not None


def test_a_question_is_settled_once(desk: Desk) -> None:
    asked = {"type": "section", "block_id": "cxb_text_0", "text": {"type": "mrkdwn", "text": "Refund?"}}
    done = {"type": "section", "block_id": "cxb_settled", "text": {"type": "mrkdwn", "text": "Yes, by Ana"}}
    actions = {"type": "actions", "block_id": "cxb_choices", "elements": []}
    desk.plays(
        "conversations.history",
        {"messages": [planted(stamp(9), text="Refund?", blocks=[asked, actions])]},
        {"messages": [planted(stamp(9), text="Refund?\n\nYes, by Ana", blocks=[asked, done])]},
    )
    desk.plays("chat.update", {"channel": ALERTS, "ts": stamp(9), "text": ""})
    first = desk.perform("message.settle", cx.CloseAsk(text="Yes, by Ana"), f"{ALERTS}:{stamp(9)}")
    again = desk.perform("message.settle", cx.CloseAsk(text="Yes, by Ana"), f"{ALERTS}:{stamp(9)}")
    assert desk.writes == [
        (
            "chat.update",
            {
                "channel": ALERTS,
                "ts": stamp(9),
                "text": "Refund?\n\nYes, by Ana",
                "blocks": [asked, done],
                "link_names": False,
                "metadata": PLANTED,
            },
        )
    ]
    assert (first.changed, again.changed) == (True, False)
    assert first.wrote == again.wrote == {"body_text": "Refund?\n\nYes, by Ana"}
    assert first.key == again.key == f"{ALERTS}:{stamp(9)}"


def test_without_histories_only_the_decision_is_left(connect: Callable[..., Desk]) -> None:
    desk = connect(history=False)
    desk.plays("chat.update", {"channel": ALERTS, "ts": stamp(9)})
    desk.perform("message.settle", cx.CloseAsk(text="Yes, by Ana"), f"{ALERTS}:{stamp(9)}")
    [(_, body)] = desk.writes
    assert (body["text"], len(body["blocks"]), "metadata" in body) == ("Yes, by Ana", 1, False)


def test_what_cannot_be_settled_is_refused(desk: Desk) -> None:
    desk.plays("conversations.history", {"messages": []})
    desk.plays("conversations.replies", failed("thread_not_found"))
    with pytest.raises(cx.NotFound, match="not there any more"):
        desk.perform("message.settle", cx.CloseAsk(text="x"), f"{ALERTS}:{stamp(9)}")
    desk.router.reset()
    desk.plays("conversations.history", {"messages": [message(stamp(9))]})
    desk.plays("chat.update", failed("cant_update_message"))
    with pytest.raises(cx.Rejected, match="the message is not the app's own"):
        desk.perform("message.settle", cx.CloseAsk(text="x"), f"{ALERTS}:{stamp(9)}")
    with pytest.raises(cx.Rejected, match="the decision to show is empty"):
        desk.perform("message.settle", cx.CloseAsk(text=" "), f"{ALERTS}:{stamp(9)}")


def test_inputs_of_another_action_are_a_mistake_of_ours(desk: Desk) -> None:
    for name in ("message.notify_once", "message.ask", "message.settle", "message.reply_once"):
        with pytest.raises(cx.PluginError):
            desk.perform(name, cx.SetTags(), f"{ALERTS}:{stamp(9)}")
    with pytest.raises(cx.PluginError):
        desk.find("message.notify_once", cx.SetTags())


def test_a_place_knows_a_person_from_a_channel() -> None:
    assert places.Place(ANA).person
    assert places.Place(BOT).person
    assert not places.Place(ALERTS).person
