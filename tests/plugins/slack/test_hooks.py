"""What Slack sends: the published signatures pass, everything forged, old, cut or malformed is `Forged` and nothing else."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import blocks, hooks

from .conftest import ALERTS, ANA, AUTHORIZED, OTHER, settings, stamp

# The secret of the vendor's published example, and of the fact sheet's vectors.
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PUBLISHED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
CHALLENGE = (
    b'{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
)
VECTORS = [
    (1531420618, PUBLISHED, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    (
        1700000000,
        b"payload=%7B%22type%22%3A%22block_actions%22%7D",
        "v0=8db5c6935539bab0224a57d21ee2f82f5789a9624fd2b92aa4529412fe007e74",
    ),
    (1700000000, CHALLENGE, "v0=3ad6f2681f0ee520f1c44e2c49b45fb05544081dd06bc19c6cb0144b1f14fd85"),
]
FORM = "application/x-www-form-urlencoded"
AT = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
HOOK = settings(channels={"alerts": ALERTS}, messages=["alerts"], webhook_secret=SECRET).webhook()


def inbound(
    body: bytes, *, kind: str = "application/json", at: datetime = AT, headers: Mapping[str, str] | None = None
) -> cx.Inbound:
    return cx.Inbound("POST", {"content-type": kind, **(headers or {})}, body, {}, at)


def signed(body: bytes, *, kind: str = "application/json", secret: str = SECRET, age: float = 0) -> cx.Inbound:
    told = str(int((AT - timedelta(seconds=age)).timestamp()))
    proof = hooks.signature(secret, b"v0:" + told.encode() + b":" + body)
    return inbound(body, kind=kind, headers={"x-slack-request-timestamp": told, "x-slack-signature": proof})


def event(event: dict[str, Any], **changed: Any) -> bytes:
    wrapped = {
        "token": "x",
        "team_id": "T024BE7LD",
        "api_app_id": "A0CXB",
        "type": "event_callback",
        "event_id": "Ev08MFMKH6",
        "event_time": 1741082130,
        "authorizations": [AUTHORIZED],
        "event": event,
        **changed,
    }
    return json.dumps(wrapped).encode()


def said(**changed: Any) -> dict[str, Any]:
    return {"type": "message", "channel": ALERTS, "channel_type": "channel", "user": ANA, "ts": stamp(1), **changed}


def read(body: bytes, kind: str = "application/json") -> cx.Announced:
    return HOOK.read(inbound(body, kind=kind))


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "body", "proof"), VECTORS, ids=["the vendor's", "an interaction", "a handshake"])
def test_published_signatures_pass(told: int, body: bytes, proof: str) -> None:
    at = datetime.fromtimestamp(told + 299, UTC)
    headers = {"x-slack-request-timestamp": str(told), "x-slack-signature": proof}
    HOOK.verify(inbound(body, at=at, headers=headers), ["a newer secret", SECRET])
    with pytest.raises(cx.Forged):
        HOOK.verify(inbound(body + b" ", at=at, headers=headers), [SECRET])


def test_either_secret_is_good_while_both_are_in_use() -> None:
    for secret in ("the new one", "the old one"):
        HOOK.verify(signed(b"{}", secret=secret), ["the new one", "the old one"])
    with pytest.raises(cx.Forged):
        HOOK.verify(signed(b"{}", secret="the one before"), ["the new one", "the old one"])


@pytest.mark.parametrize("age", [300, -300, 0])
def test_the_window_is_five_minutes_to_either_side(age: float) -> None:
    HOOK.verify(signed(b"{}", age=age), [SECRET])


GOOD = signed(event(said()))
SIGNATURE = GOOD.headers["x-slack-signature"]
STAMP = GOOD.headers["x-slack-request-timestamp"]


def forged(**changed: str | None) -> cx.Inbound:
    headers = {"x-slack-request-timestamp": STAMP, "x-slack-signature": SIGNATURE}
    held = {**headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return inbound(GOOD.body, headers={name: value for name, value in held.items() if value is not None})


FORGERIES: dict[str, cx.Inbound] = {
    "replayed after five minutes": signed(b"{}", age=301),
    "dated in the future": signed(b"{}", age=-301),
    "replayed after a year": signed(b"{}", age=31_536_000),
    "of another secret": signed(b"{}", secret="x"),
    "signed with nothing": signed(b"{}", secret=""),
    "without a signature": forged(x_slack_signature=None),
    "without a time": forged(x_slack_request_timestamp=None),
    "without both": inbound(b"{}"),
    "with an empty signature": forged(x_slack_signature=""),
    "with half a signature": forged(x_slack_signature=SIGNATURE[:40]),
    "with a longer signature": forged(x_slack_signature=f"{SIGNATURE}00"),
    "with a signature of another version": forged(x_slack_signature=f"v1={SIGNATURE[3:]}"),
    "with a bare digest": forged(x_slack_signature=SIGNATURE[3:]),
    "with upper case digits": forged(x_slack_signature=SIGNATURE.upper()),
    "with a signature of no letters": forged(x_slack_signature="v0=\u00e9\ud800"),
    "with another time": forged(x_slack_request_timestamp=str(int(STAMP) + 1)),
    "with a time in words": forged(x_slack_request_timestamp="now"),
    "with a time of hexadecimal digits": forged(x_slack_request_timestamp=hex(int(STAMP))),
    "with a time of other digits": forged(x_slack_request_timestamp="\u0661\u0667"),
    "with a signed time": forged(x_slack_request_timestamp=f"+{STAMP}"),
    "with a time and blanks": forged(x_slack_request_timestamp=f" {STAMP}"),
    "with a time in parts of a second": forged(x_slack_request_timestamp=f"{STAMP}.0"),
    "with no number": forged(x_slack_request_timestamp="nan"),
    "with a time too long": forged(x_slack_request_timestamp="9" * 5000),
    "with a time before all times": forged(x_slack_request_timestamp=f"-{STAMP}"),
    "with its last byte missing": inbound(GOOD.body[:-1], headers=GOOD.headers),
    "with its first byte missing": inbound(GOOD.body[1:], headers=GOOD.headers),
    "empty": inbound(b"", headers=GOOD.headers),
    "written anew": inbound(json.dumps(json.loads(GOOD.body), indent=1).encode(), headers=GOOD.headers),
    "with a byte changed": inbound(GOOD.body.replace(b"Ev08", b"Ev09"), headers=GOOD.headers),
}


@pytest.mark.parametrize("delivery", FORGERIES.values(), ids=FORGERIES)
def test_what_is_not_slacks_is_forged(delivery: cx.Inbound) -> None:
    HOOK.verify(GOOD, [SECRET])
    with pytest.raises(cx.Forged):
        HOOK.verify(delivery, [SECRET])
    with pytest.raises(cx.Forged):
        HOOK.verify(delivery, [SECRET, ""])
    with pytest.raises(cx.Forged):
        HOOK.verify(delivery, [])


def test_there_are_enough_forgeries() -> None:
    assert len(FORGERIES) + len(MALFORMED) >= 40


FIELDS = (
    "type", "subtype", "channel", "user", "ts", "bot_id", "app_id", "bot_profile", "message", "edited", "deleted_ts",
    "authorizations", "api_app_id", "event_id", "challenge", "minute_rate_limited", "new_channel_id",
)  # fmt: skip


# -- bodies ------------------------------------------------------------------------------------------------------------


def payload(body: Any) -> bytes:
    return urlencode({"payload": body if isinstance(body, str) else json.dumps(body)}).encode()


MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "no JSON": (b"hello", "application/json"),
    "half of it": (event(said())[:90], "application/json"),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "no type": (b"{}", "application/json"),
    "a type of another kind": (b'{"type":7}', "application/json"),
    "an unknown type": (b'{"type":"hello"}', "application/json"),
    "an event without an id": (event(said(), event_id=""), "application/json"),
    "an id of another kind": (event(said(), event_id=7), "application/json"),
    "an event that is a text": (event("message"), "application/json"),  # type: ignore[arg-type]  # on purpose
    "an event without a type": (event({"user": ANA}), "application/json"),
    "bytes of no alphabet": (b'{"type":"\xff\xfe"}', "application/json"),
    "a nest": (b"[" * 100_000, "application/json"),
    "a handshake without its word": (b'{"type":"url_verification"}', "application/json"),
    "a form without a payload": (PUBLISHED, FORM),
    "an empty form": (b"", FORM),
    "a form that is none": (b"payload", FORM),
    "two payloads": (b"payload={}&payload={}", FORM),
    "a payload that is no JSON": (b"payload=hello", FORM),
    "a payload without a type": (payload({}), FORM),
    "a payload cut off": (payload({"type": "block_actions", "user": {"id": ANA}})[:-9], FORM),
    "a user of another form": (payload({"type": "block_actions", "user": {"id": "../me"}}), FORM),
    "actions of another kind": (payload({"type": "block_actions", "user": {"id": ANA}, "actions": "x"}), FORM),
    "a form of too many fields": (b"&".join(b"a=%d" % n for n in range(99)), FORM),
    "a form of other bytes": (b"payload=\xff", FORM),
    "JSON sent as a form": (event(said()), FORM),
    "a form sent as JSON": (payload({"type": "block_actions"}), "application/json"),
    "a nest in a payload": (b"payload=" + b"[" * 100_000, FORM),
}


@pytest.mark.parametrize(("body", "kind"), MALFORMED.values(), ids=MALFORMED)
def test_what_has_no_form_of_slacks_is_forged(body: bytes, kind: str) -> None:
    with pytest.raises(cx.Forged):
        read(body, kind)
    assert HOOK.greet is not None
    assert HOOK.greet(inbound(body, kind=kind)) is None


@tries(deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["", FORM, "application/json", "text/plain"]))
def test_no_bytes_raise_anything_else(body: bytes, kind: str) -> None:
    assert HOOK.greet is not None
    assert HOOK.greet(inbound(body, kind=kind)) is None
    with suppress(cx.Forged):
        read(body, kind)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@tries(deadline=None)
@given(st.sampled_from(sorted({*FIELDS, "event"})), ANYTHING, st.sampled_from(["message", "message_changed", None]))
def test_no_value_in_an_event_raises_anything_else(field: str, value: Any, subtype: str | None) -> None:
    inner = said(subtype=subtype, message={"ts": stamp(9), "user": ANA, "app_id": "A0CXB", field: value})
    person = {"type": "user_change", field: value}
    for body in (event({**inner, field: value}), event(person), whole(inner, field, value)):
        with suppress(cx.Forged):
            assert read(body).event_id


def whole(inner: dict[str, Any], field: str, value: Any) -> bytes:
    """An event whose wrapper has another value somewhere."""
    wrapped = json.loads(event(inner))
    return json.dumps({**wrapped, field: value}).encode()


@tries(deadline=None)
@given(st.sampled_from(["user", "container", "state", "actions", "type", "channel"]), ANYTHING)
def test_no_value_in_a_press_raises_anything_else(field: str, value: Any) -> None:
    nested = {"values": {"cxb_field:a": value, "cxb_field:b": {"b": value}}}
    odd = [{**interaction()["actions"][0], name: value} for name in ("value", "action_ts", "action_id", "type")]
    for body in (
        pressed_body(**{field: value}),
        pressed_body(state=nested),
        *(pressed_body(actions=[one]) for one in odd),
    ):
        with suppress(cx.Forged):
            assert read(body, FORM).event_id


def test_no_mutilation_of_a_good_body_raises_anything_else() -> None:
    random_ = random.Random(7)
    press = pressed_body()
    for whole, kind in ((event(said()), "application/json"), (press, FORM)):
        for _ in range(500):
            spoilt = bytearray(whole)
            for _ in range(random_.randint(1, 6)):
                at = random_.randrange(len(spoilt))
                spoilt[at : at + random_.randint(0, 3)] = bytes(
                    random_.randrange(256) for _ in range(random_.randint(0, 3))
                )
            try:
                found = read(bytes(spoilt), kind)
            except cx.Forged:
                continue
            assert isinstance(found, cx.Announced)


# -- the handshake -----------------------------------------------------------------------------------------------------


def test_a_handshake_is_answered_with_its_word() -> None:
    assert HOOK.greet is not None
    assert HOOK.greet(inbound(CHALLENGE)) == b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    for wrong in ("", "x" * 1001, "a\nb", "\u00e9", "<script>\x00"):
        body = json.dumps({"type": "url_verification", "challenge": wrong}).encode()
        assert HOOK.greet(inbound(body)) is None
    assert HOOK.greet(inbound(event(said(), challenge="word"))) is None
    assert HOOK.greet(inbound(CHALLENGE, kind=FORM)) is None


# -- events ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_", "nudges"),
    [
        (said(), [("messages", f"{ALERTS}:{stamp(1)}")]),
        (said(thread_ts=stamp(50)), [("messages", f"{ALERTS}:{stamp(1)}")]),
        (
            said(subtype="message_changed", message={"ts": stamp(9), "user": ANA}, user=None),
            [("messages", f"{ALERTS}:{stamp(9)}")],
        ),
        (said(subtype="message_deleted", deleted_ts=stamp(9)), [("messages", f"{ALERTS}:{stamp(9)}")]),
        # Nobody follows that channel, and a direct message is nobody's business.
        (said(channel=OTHER), []),
        (said(channel="D0ANA00000"), []),
        (said(ts="yesterday"), []),
        (said(ts=None), []),
        ({"type": "team_join", "user": {"id": ANA}}, [("users", ANA)]),
        ({"type": "user_change", "user": {"id": ANA, "deleted": True}}, [("users", ANA)]),
        ({"type": "user_change", "user": {"id": ""}}, [("users", None)]),
        ({"type": "user_profile_changed", "user": ANA}, [("users", ANA)]),
        ({"type": "channel_rename", "channel": {"id": OTHER, "name": "x"}}, [("channels", OTHER)]),
        ({"type": "channel_archive", "channel": OTHER}, [("channels", OTHER)]),
        ({"type": "channel_deleted", "channel": "../x"}, [("channels", None)]),
        ({"type": "channel_history_changed", "channel": ALERTS, "ts": stamp(1)}, [("messages", None)]),
        ({"type": "reaction_added", "user": ANA, "item": {"channel": ALERTS}}, []),
        ({"type": "app_mention", "channel": ALERTS, "ts": stamp(1)}, []),
    ],
)
def test_an_event_is_a_nudge(event_: dict[str, Any], nudges: list[tuple[str, str | None]]) -> None:
    found = read(event(event_))
    assert found.event_id == "Ev08MFMKH6"
    assert [(nudge.stream, nudge.key) for nudge in found.nudges] == nudges
    assert not found.pressed


@pytest.mark.parametrize(
    "changed",
    [
        {"user": AUTHORIZED["user_id"], "bot_id": "B0BOT", "app_id": "A0CXB"},
        {"bot_id": "B0BOT", "bot_profile": {"app_id": "A0CXB"}},
        {"user": AUTHORIZED["user_id"]},
        {"subtype": "bot_message", "bot_id": "B0WHO", "user": None},
        {"subtype": "message_changed", "message": {"ts": stamp(9), "app_id": "A0CXB"}},
    ],
)
def test_what_the_app_did_itself_nudges_nobody(changed: dict[str, Any]) -> None:
    assert read(event(said(**changed))) == cx.Announced("Ev08MFMKH6")


@pytest.mark.parametrize(
    "changed",
    [
        {"bot_id": "B0OTHER", "app_id": "A0OTHER", "user": "U0OTHER000"},
        {"subtype": "bot_message", "bot_id": "B0OTHER", "bot_profile": {"app_id": "A0OTHER"}},
        # A person edited what the app had written, or deleted it.
        {"subtype": "message_changed", "message": {"ts": stamp(1), "app_id": "A0CXB", "edited": {"user": ANA}}},
        {"subtype": "message_deleted", "deleted_ts": stamp(1), "previous_message": {"app_id": "A0CXB"}},
    ],
)
def test_what_others_did_is_looked_at(changed: dict[str, Any]) -> None:
    assert [nudge.key for nudge in read(event(said(**changed))).nudges] == [f"{ALERTS}:{stamp(1)}"]


def test_repetitions_of_an_event_have_one_id() -> None:
    first = read(event(said()))
    retry = {"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"}
    assert HOOK.read(inbound(event(said()), headers=retry)).event_id == first.event_id


def test_deliveries_that_were_dropped_mean_to_look_at_everything() -> None:
    body = {"token": "x", "type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1518467820}
    found = read(json.dumps(body).encode())
    assert [(nudge.stream, nudge.key) for nudge in found.nudges] == [
        ("messages", None),
        ("users", None),
        ("channels", None),
    ]
    assert found.event_id == read(json.dumps({**body, "token": "y"}).encode()).event_id
    assert found.event_id != read(json.dumps({**body, "minute_rate_limited": 1518467880}).encode()).event_id


# -- what people press -------------------------------------------------------------------------------------------------


def interaction(**changed: Any) -> dict[str, Any]:
    value = '{"approval":"apr-9f2c","choice":"approve"}'
    button = {"type": "button", "action_id": f"{blocks.BUTTON}0", "value": value, "action_ts": "1741082140.120001"}
    return {
        "type": "block_actions",
        "user": {"id": ANA, "username": "ana", "name": "ana", "team_id": "T024BE7LD"},
        "api_app_id": "A0CXB",
        "token": "x",
        "container": {"type": "message", "message_ts": stamp(9), "channel_id": ALERTS, "is_ephemeral": False},
        "trigger_id": "398738663015.47445629121.803a0b",
        "state": {
            "values": {
                "cxb_field:reason": {"reason": {"type": "static_select", "selected_option": {"value": "outage"}}},
                "cxb_field:amount": {"amount": {"type": "number_input", "value": "12.5"}},
                "cxb_field:note": {"note": {"type": "plain_text_input", "value": None}},
            }
        },
        "actions": [button],
        **changed,
    }


def pressed_body(**changed: Any) -> bytes:
    return payload(interaction(**changed))


def test_a_press_tells_approval_choice_person_and_form() -> None:
    found = read(pressed_body(), FORM)
    assert not found.nudges
    assert found.pressed == [
        cx.Pressed(
            approval="apr-9f2c",
            choice="approve",
            who=f"users/{ANA}",
            name="ana",
            form={"reason": "outage", "amount": "12.5"},
            message=f"messages/{ALERTS}:{stamp(9)}",
        )
    ]


def test_a_press_is_itself_however_often_and_under_whichever_trigger_it_comes() -> None:
    first = read(pressed_body(), FORM).event_id
    assert read(pressed_body(trigger_id="another"), FORM).event_id == first
    later = {**interaction()["actions"][0], "action_ts": "1741082141.000000"}
    assert read(pressed_body(actions=[later]), FORM).event_id != first
    assert read(pressed_body(user={"id": "U0BEN00000"}), FORM).event_id != first
    other = {**interaction()["actions"][0], "value": '{"approval":"apr-2","choice":"approve"}'}
    assert read(pressed_body(actions=[other]), FORM).event_id != first


@pytest.mark.parametrize(
    "changed",
    [
        {"actions": []},
        {"actions": [{"type": "static_select", "action_id": "reason", "selected_option": {"value": "outage"}}]},
        {"actions": [{"type": "button", "action_id": "somebody_elses", "value": '{"approval":"a","choice":"b"}'}]},
        {"actions": [{"type": "button", "action_id": f"{blocks.BUTTON}0", "value": "apr_9f2c"}]},
        {
            "actions": [
                {"type": "static_select", "action_id": f"{blocks.BUTTON}0", "value": '{"approval":"a","choice":"b"}'}
            ]
        },
        {"type": "view_submission"},
        {"type": "shortcut", "user": None},
    ],
)
def test_what_is_no_button_of_ours_presses_nothing(changed: dict[str, Any]) -> None:
    found = read(pressed_body(**changed), FORM)
    assert (list(found.nudges), list(found.pressed)) == ([], [])
    assert found.event_id


@pytest.mark.parametrize("container", [None, {}, {"channel_id": "x", "message_ts": stamp(9)}, {"channel_id": ALERTS}])
def test_a_press_outside_a_message_has_none(container: Any) -> None:
    [pressed] = read(pressed_body(container=container), FORM).pressed
    assert pressed.message is None


def test_the_kind_of_a_body_is_told_by_its_header_or_else_by_how_it_begins() -> None:
    assert read(pressed_body(), f"{FORM}; charset=utf-8").pressed
    assert read(pressed_body(), "").pressed
    assert read(event(said()), "").nudges
    assert quote("{") not in read(event(said())).event_id
