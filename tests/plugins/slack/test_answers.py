"""`ok` false comes with status 200: what each word of Slack's means for the work."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.slack import answers, wire

from .conftest import Desk, answer, failed

UNAUTHORIZED = [
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "no_permission",
    "missing_scope",
    "not_allowed_token_type",
    "ekm_access_denied",
    "org_login_required",
]
REJECTED = [
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "cannot_dm_bot",
    "no_text",
    "msg_too_long",
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "too_many_attachments",
    "invalid_arguments",
    "invalid_arg_name",
    "invalid_json",
    "metadata_too_large",
    "cant_update_message",
    "edit_window_closed",
    "invalid_ts_oldest",
    "a_word_of_tomorrow",
]
NOT_FOUND = ["channel_not_found", "user_not_found", "users_not_found", "message_not_found", "thread_not_found"]


def post(desk: Desk) -> None:
    answers.write(desk.client, "chat.postMessage", wire.Posted, {"channel": "C0ALERTS00"})


@pytest.mark.parametrize("error", UNAUTHORIZED)
def test_what_is_wrong_with_the_credential_stops_the_connection(desk: Desk, error: str) -> None:
    desk.plays("chat.postMessage", failed(error))
    with pytest.raises(cx.Unauthorized):
        post(desk)


@pytest.mark.parametrize("error", [*REJECTED, *NOT_FOUND])
def test_what_is_wrong_with_place_or_content_is_refused_for_good(desk: Desk, error: str) -> None:
    desk.plays("chat.postMessage", failed(error))
    with pytest.raises(cx.Rejected, match=error) as caught:
        post(desk)
    assert isinstance(caught.value, cx.NotFound) == (error in NOT_FOUND)
    assert isinstance(caught.value, answers.Refused)
    assert caught.value.code == error
    assert len(desk.writes) == 1


@pytest.mark.parametrize(
    ("error", "written"),
    [
        # Part of the work may have been done.
        ("internal_error", True),
        ("fatal_error", True),
        ("service_unavailable", True),
        # The request did not arrive, or nothing was begun.
        ("request_timeout", False),
        ("team_added_to_org", False),
    ],
)
def test_passing_trouble_says_whether_a_write_may_be_done(desk: Desk, error: str, written: bool) -> None:
    desk.plays("chat.postMessage", failed(error))
    with pytest.raises(cx.Retryable, match=error) as caught:
        post(desk)
    assert caught.value.sent is written
    assert len(desk.writes) == 1
    desk.plays("users.info", failed(error))
    with pytest.raises(cx.Retryable) as read:
        answers.read(desk.client, "users.info", wire.OneUser, user="U1")
    assert not read.value.sent


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (failed("ratelimited", 429), 30),
        (answer({"error": "ratelimited"}, 429, Retry_After="77"), 77),
        (failed("ratelimited"), 30),
        (failed("rate_limited"), 30),
        (answer({"error": "rate_limited"}, 200, Retry_After="5"), 5),
        (answer({"error": "message_limit_exceeded"}, 200), 30),
    ],
    ids=["429", "429 with a header", "200", "200 of old", "200 with a header", "200 of the workspace"],
)
def test_a_used_up_limit_says_when_to_come_back(
    connect: Callable[..., Desk], clock: ManualClock, reply: httpx.Response, seconds: int
) -> None:
    desk = connect()
    desk.plays("chat.postMessage", reply)
    began = clock.now()
    with pytest.raises(cx.RateLimited) as caught:
        post(desk)
    assert not caught.value.sent
    assert caught.value.retry_at is not None
    waited = clock.now() - began
    assert caught.value.retry_at - began == timedelta(seconds=seconds) + waited


def test_a_limit_of_one_method_holds_up_no_other(desk: Desk, clock: ManualClock) -> None:
    desk.plays("users.list", answer({"error": "ratelimited"}, 429, Retry_After="600"))
    desk.plays("auth.test", {"user_id": "U0BOT00000"})
    began = clock.now()
    with pytest.raises(cx.RateLimited):
        answers.read(desk.client, "users.list", wire.Users)
    assert answers.read(desk.client, "auth.test", wire.AuthTest).user_id == "U0BOT00000"
    assert clock.now() == began
    with pytest.raises(cx.RateLimited, match=r"budget users\.list"):
        answers.read(desk.client, "users.list", wire.Users)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, json={"error": "x"}),
        httpx.Response(200, json={"ok": "yes"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b"ok"),
        httpx.Response(200, json={"ok": True, "channel": "C0ALERTS00"}),
    ],
    ids=["no ok", "ok as text", "a list", "plain text", "no ts"],
)
def test_an_answer_of_another_form_is_no_answer(desk: Desk, reply: httpx.Response) -> None:
    desk.plays("chat.postMessage", reply)
    with pytest.raises(cx.WireFormat):
        post(desk)


def test_a_refusal_names_places_and_quotes_nobody(desk: Desk) -> None:
    detail = {"messages": ["[ERROR] 'Dear Mia' must be more than 0 characters [json-pointer:/blocks/0/text/text]", 7]}
    desk.plays("chat.postMessage", failed("invalid_blocks", response_metadata=detail))
    with pytest.raises(cx.Rejected, match="json-pointer:/blocks/0/text/text") as caught:
        post(desk)
    assert "Mia" not in str(caught.value)
    desk.router.reset()
    desk.plays("chat.update", failed("Dear Mia, <b>"))
    with pytest.raises(cx.Rejected, match="an error without a name"):
        answers.write(desk.client, "chat.update", wire.Posted, {})


@pytest.mark.parametrize("held", [None, [], {"messages": "x"}, {"messages": [None, {}]}, 7])
def test_a_refusal_without_places_is_told_by_its_word(desk: Desk, held: Any) -> None:
    desk.plays("chat.postMessage", failed("invalid_blocks", response_metadata=held))
    with pytest.raises(cx.Rejected, match=r": invalid_blocks$"):
        post(desk)


def test_the_request_id_of_the_vendor_is_kept(desk: Desk) -> None:
    reply = failed("is_archived")
    reply.headers["x-slack-req-id"] = "a7d2a125585a8314"
    desk.plays("chat.postMessage", reply)
    with pytest.raises(cx.Rejected) as caught:
        post(desk)
    assert caught.value.request_id == "a7d2a125585a8314"
    assert caught.value.operation == "POST /chat.postMessage"
    assert caught.value.connection == "chat"


def test_writes_are_json_and_reads_are_queries(desk: Desk) -> None:
    sent = desk.plays("chat.postMessage", {"channel": "C0ALERTS00", "ts": "1.000001"})
    read = desk.plays("users.info", {"user": {}})
    post(desk)
    answers.read(desk.client, "users.info", wire.OneUser, user="U1", include_locale=True, cursor=None)
    # Without the charset the vendor answers with a warning.
    assert sent.calls[0].request.headers["content-type"] == "application/json; charset=utf-8"
    assert read.calls[0].request.method == "GET"
    assert dict(read.calls[0].request.url.params) == {"user": "U1", "include_locale": "true"}
    assert "token" not in str(read.calls[0].request.url)
