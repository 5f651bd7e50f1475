"""Deliveries that carry our word in the published form become nudges; everything else is refused, and nothing is believed."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cxbridge.core import connector as cx

from .conftest import COMPANY, CTA, settings

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
BODY: dict[str, Any] = {
    "v": 1,
    "event": "cta.created",
    "gsid": CTA,
    "company_gsid": COMPANY,
    "occurred_at": "2026-05-06T08:45:00Z",
    "dedupe": "run-7-cta",
}
WORD = "a-shared-word"


def delivery(body: Any = None, *, raw: bytes | None = None, method: str = "POST", **changed: Any) -> cx.Inbound:
    headers = changed.pop("headers", {"x-cxbridge-token": WORD, "content-type": "application/json"})
    told = {name: value for name, value in {**BODY, **changed}.items() if value is not ...}
    content = raw if raw is not None else json.dumps(told if body is None else body).encode()
    return cx.Inbound(method, headers, content, {}, NOW)


def judged(inbound: cx.Inbound, secrets: Sequence[str] = (WORD,)) -> cx.Announced:
    hook = settings(webhook_secret=WORD).webhook()
    assert hook is not None
    hook.verify(inbound, secrets)
    return hook.read(inbound)


@pytest.mark.parametrize(
    ("event", "nudges"),
    [
        ("cta.created", [("ctas", CTA)]),
        ("cta.closed", [("ctas", CTA)]),
        ("company.updated", [("companies", CTA)]),
        ("person.updated", [("persons", CTA)]),
        ("timeline.created", [("timeline", CTA)]),
        ("health.changed", [("health", COMPANY), ("companies", COMPANY)]),
    ],
)
def test_an_event_asks_to_look_at_its_entity(event: str, nudges: list[tuple[str, str]]) -> None:
    found = judged(delivery(event=event))
    assert [(nudge.stream, nudge.key) for nudge in found.nudges] == nudges
    assert list(found.pressed) == []


def test_a_repetition_has_the_same_id_and_another_event_does_not() -> None:
    first = judged(delivery()).event_id
    assert judged(delivery(occurred_at="2026-05-06T08:46:00Z")).event_id == first
    assert judged(delivery(dedupe="run-8-cta")).event_id != first
    assert judged(delivery(event="cta.updated")).event_id != first


def test_a_company_may_be_left_out_or_empty() -> None:
    for company in (..., None, ""):
        found = judged(delivery(event="health.changed", gsid=COMPANY, company_gsid=company))
        assert [nudge.key for nudge in found.nudges] == [COMPANY, COMPANY]


def test_while_a_word_is_changed_both_are_taken() -> None:
    for word in ("a-new-word", WORD):
        assert judged(delivery(headers={"x-cxbridge-token": word}), ["a-new-word", WORD]).nudges


FORGED: dict[str, cx.Inbound] = {
    "no header": delivery(headers={}),
    "an empty word": delivery(headers={"x-cxbridge-token": ""}),
    "another word": delivery(headers={"x-cxbridge-token": "a-shared-word2"}),
    "a part of the word": delivery(headers={"x-cxbridge-token": "a-shared"}),
    "the word in another case": delivery(headers={"x-cxbridge-token": WORD.upper()}),
    "a word outside ASCII": delivery(headers={"x-cxbridge-token": "ä-shared-wörd"}),
    "the word in another header": delivery(headers={"authorization": f"Bearer {WORD}"}),
    "not JSON": delivery(raw=b"gsid=1"),
    "nothing": delivery(raw=b""),
    "cut short": delivery(raw=json.dumps(BODY).encode()[:-9]),
    "not UTF-8": delivery(raw=b'{"v": 1, "event": "\xff"}'),
    "a list": delivery([BODY]),
    "another version": delivery(v=2),
    "a version in words": delivery(v="1"),
    "an unknown event": delivery(event="opportunity.created"),
    "an event with a path": delivery(event="cta.created/../x"),
    "no event": delivery(event=...),
    "no id": delivery(gsid=...),
    "an id with a path": delivery(gsid="../../v1/data/objects/Company"),
    "an id with quotes": delivery(gsid=f'{CTA}" OR "1"="1'),
    "an id that is a list": delivery(gsid=[CTA]),
    "a company that is no id": delivery(company_gsid="all of them"),
    "no time": delivery(occurred_at=...),
    "a time that is none": delivery(occurred_at="soon"),
    "an empty time": delivery(occurred_at=""),
    "replayed after two days": delivery(occurred_at="2026-05-04T08:45:00Z"),
    "from the future": delivery(occurred_at="2026-05-06T09:45:00Z"),
    "no word for repetitions": delivery(dedupe=...),
    "an empty word for repetitions": delivery(dedupe="  "),
    "an endless word for repetitions": delivery(dedupe="x" * 301),
    "more than was published": delivery(status="Closed Success"),
    "too large": delivery(raw=b" " * (256 * 1024) + json.dumps(BODY).encode()),
    "another method": delivery(method="PUT"),
    "nested without end": delivery(raw=b"[" * 100_000),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_not_ours_is_refused(what: str) -> None:
    with pytest.raises(cx.Forged):
        judged(FORGED[what])


def test_no_secret_opens_nothing_to_an_empty_header() -> None:
    with pytest.raises(cx.Forged):
        judged(delivery(headers={"x-cxbridge-token": ""}), [""])
    with pytest.raises(cx.Forged):
        judged(delivery(), [])


def test_without_a_word_the_secret_address_is_all_there_is() -> None:
    hook = settings().webhook()
    assert hook is not None
    assert not hook.signed
    hook.verify(delivery(headers={}), [])
    assert hook.read(delivery(headers={})).nudges
    with pytest.raises(cx.Forged):
        hook.read(delivery(gsid="../x"))
    assert "webhook_secret" in hook.setup


def test_with_a_word_it_is_demanded() -> None:
    hook = settings(webhook_secret=WORD).webhook()
    assert hook is not None
    assert hook.signed
    assert hook.max_body == 256 * 1024
    assert WORD not in hook.setup


def test_a_late_delivery_of_the_day_is_taken() -> None:
    late = (NOW - timedelta(hours=23)).isoformat()
    assert judged(delivery(occurred_at=late)).nudges
