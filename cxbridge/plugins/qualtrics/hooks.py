"""Judges and reads the events that Qualtrics posts: forms, signed over their message where a shared key is set; pure.

An event names a response and holds no answer; the answer is fetched. The topic stands outside the signature, so that it routes and
proves nothing, and tells no two deliveries apart. There is no time inside the signature either: what is replayed is the same event.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from cxbridge.core import connector as cx

MOST: Final = 64 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_MAC: Final = re.compile(r"[0-9a-fA-F]{128}")
_SURVEY: Final = re.compile(r"SV_[A-Za-z0-9]{1,40}")
_RESPONSE: Final = re.compile(r"R_[A-Za-z0-9]{1,40}")
_TOPIC: Final = re.compile(
    r"(?:^|\.)surveyengine\.(?:completedResponse|partialResponse|startedRecipientSession)\.(?P<survey>SV_\w+)$"
)


class _Event(msgspec.Struct, frozen=True, rename="pascal"):
    """What an event tells; unknown fields are passed over."""

    survey_id: str | None = msgspec.field(default=None, name="SurveyID")
    response_id: str | None = msgspec.field(default=None, name="ResponseID")
    status: str | None = None
    completed_date: str | None = None


SETUP: Final = (
    "as a brand administrator, POST /eventsubscriptions with the topics surveyengine.completedResponse.*, the address as "
    "publicationUrl, encrypt false, and a sharedKey of your own; set the same as webhook_secret."
)


def webhook(*, signed: bool) -> cx.Webhook:
    """Say how events are judged: with a shared key only those that carry its signature, and never the unsigned form."""
    return cx.Webhook(
        verify=verify if signed else unsigned,
        read=_read_signed if signed else _read_flat,
        signed=signed,
        greet=greet,
        max_body=MOST,
        setup=SETUP,
    )


def verify(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Refuse what was not signed with one of the keys.

    Raises:
        Forged: when it was not.
    """
    fields = _fields(inbound)
    message = _once(fields, "MSG")
    told = _once(fields, "HMAC")
    if not secrets:
        raise cx.Forged("no shared key is configured")
    if not _MAC.fullmatch(told):
        raise cx.Forged("the signature is not 64 bytes in hex")
    given = bytes.fromhex(told)
    # All keys are tried, so that the time taken does not tell which one was meant.
    matched = [cx.same(hmac.digest(key.encode(), message.encode(), hashlib.sha512), given) for key in secrets if key]
    if not any(matched):
        raise cx.Forged("the signature was made with another key, or over another message")


def unsigned(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Let the flat form pass where no shared key is set: the secret address and the second look are all there is.

    Raises:
        Forged: when it is no form, or a signed one, which would be believed without its key.
    """
    del secrets
    if any(name in ("MSG", "HMAC") for name, _ in _fields(inbound)):
        raise cx.Forged("a signed event, and no webhook_secret to check it with")


def greet(inbound: cx.Inbound) -> bytes | None:
    """Answer the look at the address with which Qualtrics begins."""
    return b"ok" if inbound.method.upper() == "GET" else None


def _read_signed(inbound: cx.Inbound) -> cx.Announced:
    fields = _fields(inbound)
    try:
        event = msgspec.json.decode(_once(fields, "MSG"), type=_Event)
    except (msgspec.MsgspecError, RecursionError):
        raise cx.Forged("the message is no event") from None
    return _announced(inbound, event, next((value for name, value in fields if name == "Topic"), ""))


def _read_flat(inbound: cx.Inbound) -> cx.Announced:
    fields = _fields(inbound)
    told: dict[str, Any] = {}
    for name, value in fields:
        if name in told:
            raise cx.Forged(f"the field {name[:40]!r} came twice")
        told[name] = value
    return _announced(inbound, msgspec.convert(told, _Event), str(told.get("Topic", "")))


def _announced(inbound: cx.Inbound, event: _Event, topic: str) -> cx.Announced:
    survey, response = event.survey_id or "", event.response_id or ""
    if not _SURVEY.fullmatch(survey) or (response and not _RESPONSE.fullmatch(response)):
        raise cx.Forged("the event names no survey, or no response of one")
    named = _TOPIC.search(topic)
    if named is not None and named["survey"] != survey:
        raise cx.Forged("the topic is of another survey than the message")
    if named is not None and not response:
        raise cx.Forged("an event about a response without its id")
    event_id = cx.event_of(inbound, survey, response, event.status or "", event.completed_date or "")
    nudge = cx.Nudge("responses", f"{survey}/{response}") if response else cx.Nudge("surveys", survey)
    return cx.Announced(event_id, nudges=(nudge,))


def _fields(inbound: cx.Inbound) -> list[tuple[str, str]]:
    if inbound.method.upper() != "POST":
        raise cx.Forged("an event comes by POST")
    if inbound.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise cx.Forged("an event is a form")
    if len(inbound.body) > MOST:
        raise cx.Forged("larger than any event")
    try:
        return parse_qsl(
            inbound.body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=50,
        )
    except ValueError:
        raise cx.Forged("the form cannot be read") from None


def _once(fields: list[tuple[str, str]], name: str) -> str:
    found = [value for key, value in fields if key == name]
    if len(found) != 1:
        raise cx.Forged(f"the form has {len(found)} fields called {name}, and needs one")
    return found[0]
