"""Events are believed when their message was signed with our key; everything else is turned away, whatever it looks like."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from cxbridge.core import connector as cx

from .conftest import settings

# The published vector (shared/vendors/qualtrics.md, section 8).
KEY = "cxbridge-test-key"
MSG = (
    '{"Status":"Complete","SurveyID":"SV_0abcDEF12345678","ResponseID":"R_1aBcDeFgHiJkLmN",'
    '"CompletedDate":"2026-03-04 10:15:30","BrandID":"acme"}'
)
MAC = (
    "367b12ea34d2ebec54fbee048d2c745936eb989c6cbb0c97872a9619496656d8"
    "8922651c8fc878478cb71d1e9c5c9ed2807ae6329ac57481ec6672936f4ba386"
)
TOPIC = "acme.surveyengine.completedResponse.SV_0abcDEF12345678"
FORM = {"content-type": "application/x-www-form-urlencoded"}
FLAT = {"Topic": TOPIC, **json.loads(MSG)}


def hook(**changed: Any) -> cx.Webhook:
    return settings(webhook_secret=KEY, **changed).webhook()


def inbound(body: bytes | Mapping[str, str], headers: Mapping[str, str] = FORM, method: str = "POST") -> cx.Inbound:
    content = body if isinstance(body, bytes) else urlencode(body).encode()
    return cx.Inbound(method, headers, content, {}, datetime(2026, 5, 6, tzinfo=UTC))


def signed(message: str = MSG, key: str = KEY, **changed: str) -> dict[str, str]:
    mac = hmac.digest(key.encode(), message.encode(), hashlib.sha512).hex()
    return {"Topic": TOPIC, "HMAC": mac, "MSG": message, **changed}


def test_the_published_vector_passes() -> None:
    event = inbound({"Topic": TOPIC, "HMAC": MAC, "MSG": MSG})
    hook().verify(event, [KEY])
    assert list(hook().read(event).nudges) == [cx.Nudge("responses", "SV_0abcDEF12345678/R_1aBcDeFgHiJkLmN")]


@pytest.mark.parametrize("space", ["+", "%20"])
def test_both_ways_to_write_a_space_are_the_same_message(space: str) -> None:
    body = urlencode({"Topic": TOPIC, "HMAC": MAC, "MSG": MSG}).replace("+", space).encode()
    hook().verify(inbound(body), [KEY])


def test_letters_outside_ascii_are_part_of_the_message() -> None:
    told = json.dumps({**json.loads(MSG), "CreatorID": "Zoë"}, ensure_ascii=False)
    event = inbound(signed(told))
    hook().verify(event, [KEY])
    assert len(hook().read(event).nudges) == 1


def test_either_key_is_good_while_they_change() -> None:
    event = inbound(signed(key="the-old-key"))
    hook().verify(event, [KEY, "the-old-key"])
    with pytest.raises(cx.Forged):
        hook().verify(event, [KEY])


def test_capitals_in_the_signature_are_the_same() -> None:
    hook().verify(inbound(signed(HMAC=MAC.upper())), [KEY])


FORGED: dict[str, cx.Inbound] = {
    "another key": inbound(signed(key="another-key")),
    "another message": inbound({**signed(), "MSG": MSG.replace("R_1a", "R_2a")}),
    "no signature": inbound({"Topic": TOPIC, "MSG": MSG}),
    "the flat form, a downgrade": inbound(FLAT),
    "an empty signature": inbound(signed(HMAC="")),
    "a short signature": inbound(signed(HMAC=MAC[:64])),
    "a signature that is no hex": inbound(signed(HMAC="g" * 128)),
    "a signature of another kind": inbound(signed(HMAC=hmac.digest(KEY.encode(), MSG.encode(), "sha256").hex())),
    "two signatures": inbound(urlencode([*signed().items(), ("HMAC", "0" * 128)]).encode()),
    "two messages": inbound(urlencode([*signed().items(), ("MSG", MSG)]).encode()),
    "no message": inbound({"Topic": TOPIC, "HMAC": MAC}),
    "json in place of a form": inbound(json.dumps(signed()).encode(), {"content-type": "application/json"}),
    "a form that says it is none": inbound(signed(), {"content-type": "text/plain"}),
    "no content type": inbound(signed(), {}),
    "nothing at all": inbound(b""),
    "no form": inbound(b"\x00\xff\xfe"),
    "broken escapes": inbound(b"MSG=%zz&HMAC=%ff%fe"),
    "more than any event is": inbound({**signed(), "Padding": "x" * 70_000}),
    "hundreds of fields": inbound(urlencode([("a", "1")] * 300 + list(signed().items())).encode()),
    "a get": inbound(signed(), method="GET"),
    "a put": inbound(signed(), method="PUT"),
    "the key of nobody": inbound(signed(key="")),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_and_malformed_deliveries_are_turned_away(what: str) -> None:
    with pytest.raises(cx.Forged):
        hook().verify(FORGED[what], [KEY, ""])


def test_without_a_key_nothing_signed_is_believed() -> None:
    with pytest.raises(cx.Forged, match="no shared key"):
        hook().verify(inbound(signed()), [])


UNREADABLE = {
    "no json": signed("Complete"),
    "a list": signed("[]"),
    "numbers for ids": signed('{"SurveyID": 7, "ResponseID": 8}'),
    "no survey": signed('{"ResponseID": "R_1"}'),
    "a path for a survey": signed('{"SurveyID": "SV_1/../../x", "ResponseID": "R_1"}'),
    "a path for a response": signed('{"SurveyID": "SV_1", "ResponseID": "R_1/../x"}'),
    "a topic of another survey": {**signed(), "Topic": "acme.surveyengine.completedResponse.SV_other"},
    "no response where the topic is of one": signed('{"SurveyID": "SV_0abcDEF12345678"}'),
    "nesting without end": signed("[" * 5000),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_signed_message_of_another_form_is_turned_away(what: str) -> None:
    event = inbound(UNREADABLE[what])
    hook().verify(event, [KEY])
    with pytest.raises(cx.Forged):
        hook().read(event)


def test_a_replay_is_the_same_event_whatever_stands_outside_the_signature() -> None:
    first = hook().read(inbound(signed())).event_id
    assert hook().read(inbound({**signed(), "Extra": "1"})).event_id == first
    assert hook().read(inbound({**signed(), "Topic": "other." + TOPIC})).event_id == first
    assert hook().read(inbound(signed(MSG.replace("Complete", "Partial", 1)))).event_id != first


def test_an_event_about_a_survey_nudges_surveys() -> None:
    told = '{"SurveyID": "SV_1", "Status": "Active"}'
    event = hook().read(inbound({**signed(told), "Topic": "acme.controlpanel.activateSurvey"}))
    assert list(event.nudges) == [cx.Nudge("surveys", "SV_1")]


def test_the_address_answers_when_it_is_looked_at() -> None:
    greet = hook().greet
    assert greet is not None
    assert greet(inbound(b"", method="GET")) == b"ok"
    assert greet(inbound(signed())) is None


def test_without_a_shared_key_the_flat_form_is_a_nudge_and_a_signed_one_is_not_believed() -> None:
    flat = settings().webhook()
    assert not flat.signed
    flat.verify(inbound(FLAT), [])
    assert list(flat.read(inbound(FLAT)).nudges) == [cx.Nudge("responses", "SV_0abcDEF12345678/R_1aBcDeFgHiJkLmN")]
    for wrong in (signed(), {"HMAC": MAC}):
        with pytest.raises(cx.Forged, match="no webhook_secret"):
            flat.verify(inbound(wrong), [])
    with pytest.raises(cx.Forged, match="came twice"):
        flat.read(inbound(urlencode([*FLAT.items(), ("SurveyID", "SV_2")]).encode()))


def test_the_largest_event_is_64_kib() -> None:
    assert hook().max_body == 64 * 1024
