"""Zendesk's deliveries: whose they are, what they ask to look at, and how the one record that they name is read."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import Zendesk, webhooks

from .conftest import MARKER, Make

# The secret that test deliveries are signed with; Zendesk's documentation names it.
TEST_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
STAMP = "2021-03-25T05:09:27Z"
THEN = datetime(2021, 3, 25, 5, 9, 27, tzinfo=UTC)


def inbound(body: bytes, signature: str = "", stamp: str = STAMP, at: datetime = THEN, **headers: str) -> cx.Inbound:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = {webhooks.SIGNATURE: signature, webhooks.TIMESTAMP: stamp}
    return cx.Inbound("POST", {**signed, **named}, body, {}, at)


def signed(body: bytes, secret: str = TEST_SECRET, stamp: str = STAMP) -> str:
    return base64.b64encode(hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b'{"ticket_id":"35436"}', "X8nsXp/jF8yFWoalWJ8YhSJP6eT1KcsUKqPjccAYIZo="),
        (b"", "wCdBvXaHttn0wRVIYctzZ9O6O0bnqWakJMEKZ9VoRWw="),
    ],
)
def test_published_vectors_are_verified(body: bytes, signature: str) -> None:
    webhooks.verify(inbound(body, signature), [TEST_SECRET])
    webhooks.verify(inbound(body, signature), ["another", TEST_SECRET])
    for wrong in (["another"], [""], []):
        with pytest.raises(cx.Forged):
            webhooks.verify(inbound(body, signature), wrong)
    with pytest.raises(cx.Forged):
        webhooks.verify(inbound(body + b" ", signature), [TEST_SECRET])


@pytest.mark.parametrize("off", [timedelta(minutes=5), -timedelta(minutes=5)])
def test_the_window_is_five_minutes_either_way(off: timedelta) -> None:
    body = b"{}"
    webhooks.verify(inbound(body, signed(body), at=THEN + off), [TEST_SECRET])
    with pytest.raises(cx.Forged, match="too long ago"):
        webhooks.verify(inbound(body, signed(body), at=THEN + off * 1.01), [TEST_SECRET])


def test_the_timestamp_is_signed_as_it_was_sent() -> None:
    stamp = "2021-03-25T05:09:27.123456789+00:00"
    webhooks.verify(inbound(b"{}", signed(b"{}", stamp=stamp), stamp), [TEST_SECRET])


def test_a_secret_may_hold_any_letter() -> None:
    webhooks.verify(inbound(b"{}", signed(b"{}", "s\u00e9cr\u00e8t")), ["s\u00e9cr\u00e8t"])


def event(type_: str = "ticket.comment_added", id_: object = "5512", **changed: Any) -> bytes:
    return msgspec.json.encode(
        {
            "type": f"zen:event-type:{type_}",
            "account_id": 22129848,
            "id": "d4f5c389-8f4a-4c2e-a1b9-8e4f39c71d52",
            "time": "2026-05-06T09:02:11.123456789Z",
            "zendesk_event_version": "2022-11-06",
            "subject": f"zen:{type_.partition('.')[0]}:{id_}",
            "detail": {"id": id_, "status": "OPEN", "priority": "HIGH"},
            "event": {"comment": {"id": "46407519287569", "body": "Looking into it.", "is_public": False}},
            **changed,
        }
    )


@pytest.mark.parametrize(
    ("body", "nudges"),
    [
        (event(), [cx.Nudge("tickets", "5512")]),
        (event("ticket.created"), [cx.Nudge("tickets", "5512")]),
        (event("ticket.something_new", 5512), [cx.Nudge("tickets", "5512")]),
        (event("user.created", "46407218913169"), [cx.Nudge("users", "46407218913169")]),
        (event("organization.name_changed", "464"), [cx.Nudge("organizations", "464")]),
        (event("article.published", "7"), [cx.Nudge("articles")]),
        (event("agent.state_changed", "7"), []),
        (b'{"ticket_id": "35436"}', [cx.Nudge("tickets", "35436")]),
        (b'{"ticket_id": 35436, "status": "Open"}', [cx.Nudge("tickets", "35436")]),
        (b'{"type": "Incident", "ticket_id": "1"}', [cx.Nudge("tickets", "1")]),
        (b'{"ticket_id": "1", "user_id": 2}', [cx.Nudge("tickets", "1"), cx.Nudge("users", "2")]),
    ],
)
def test_a_delivery_names_what_to_look_at(body: bytes, nudges: list[cx.Nudge]) -> None:
    assert list(webhooks.read(inbound(body)).nudges) == nudges


def test_an_event_is_known_by_its_id_and_a_trigger_by_what_was_signed() -> None:
    assert webhooks.read(inbound(event())).event_id == "d4f5c389-8f4a-4c2e-a1b9-8e4f39c71d52"
    body = b'{"ticket_id": "1"}'
    first = webhooks.read(inbound(body, x_zendesk_webhook_invocation_id="a")).event_id
    assert webhooks.read(inbound(body, x_zendesk_webhook_invocation_id="b")).event_id == first
    assert webhooks.read(inbound(body, stamp="2021-03-25T05:09:28Z")).event_id != first, "the ticket changed again"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"ticket_id": ""}',
        b'{"ticket_id": "12a"}',
        b'{"ticket_id": "-1"}',
        b'{"ticket_id": 1.5}',
        b'{"ticket_id": true}',
        b'{"ticket_id": null}',
        event(id_="../1"),
        event(id_=None),
        event(detail=None),
        event(id=7),
    ],
)
def test_what_is_of_another_form_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(cx.Forged) as caught:
        webhooks.read(inbound(body))
    assert str(caught.value)


def test_every_connection_takes_webhooks_and_needs_a_secret_for_it(connect: Callable[..., Zendesk]) -> None:
    webhook = connect().webhook()
    assert webhook.signed
    assert webhook.secret in Zendesk.model_fields
    assert f"{webhook.secret}_old" in Zendesk.model_fields
    assert "signing secret" in webhook.setup
    assert "the-word" not in repr(connect(webhook_secret="the-word"))


# -- reading the one record --------------------------------------------------------------------------------------------

TICKET = "/api/v2/tickets/5512.json"
COMMENTS = "/api/v2/tickets/5512/comments.json"


@pytest.fixture
def one(account: Zendesk, client: cx.Client) -> Callable[[str, str], cx.Page | None]:
    """Read one record of a stream."""
    streams = {stream.name: stream for stream in account.streams()}

    def read(stream: str, key: str) -> cx.Page | None:
        single = streams[stream].one
        assert single is not None
        return single(client, key)

    return read


def test_a_ticket_comes_with_what_stands_around_it_as_the_export_would_show_it(
    one: Callable[[str, str], cx.Page | None],
    pull: Callable[..., list[cx.Page]],
    desk: respx.MockRouter,
    make_ticket: Make,
) -> None:
    metrics = {"id": 1, "ticket_id": 5512, "reopens": 2, "replies": 3, "solved_at": None}
    beside = {
        "users": [{"id": 46407218913169, "name": "Mia", "role": "end-user"}],
        "organizations": [{"id": 46407153235345, "name": "Globex"}],
        "groups": [{"id": 46406158244625, "name": "Support"}],
    }
    shown = desk.get(TICKET).respond(json={"ticket": {**make_ticket(), "metric_set": metrics}, **beside})
    page = one("tickets", "5512")
    assert page is not None
    assert page.cursor is None
    assert {stream: len(entities) for stream, entities in page.beside.items()} == {
        "users": 1,
        "organizations": 1,
        "groups": 1,
    }
    assert "metric_sets" in shown.calls[0].request.url.params["include"]

    export = {
        "tickets": [make_ticket()],
        "metric_sets": [metrics],
        "end_of_stream": True,
        "after_cursor": "c",
        **beside,
    }
    desk.get("/api/v2/incremental/tickets/cursor.json").respond(json=export)
    (later,) = pull("tickets")
    assert later.entities == page.entities
    assert later.beside["users"] == page.beside["users"]
    assert later.beside["organizations"] == page.beside["organizations"]


def test_the_newest_comments_are_asked_for_beside_a_ticket(
    account: Zendesk, client: cx.Client, desk: respx.MockRouter, make_comment: Make
) -> None:
    [tickets] = [stream for stream in account.streams() if stream.name == "tickets"]
    assert tickets.beside is not None
    said = [make_comment(13, public=True), make_comment(12, marker=MARKER), make_comment(11), {"id": "x"}]
    asked = desk.get(COMMENTS).respond(json={"comments": said, "meta": {"has_more": True, "after_cursor": "x"}})
    page = tickets.beside(client, "5512")
    assert page is not None
    assert (page.entities, page.cursor, len(page.refused)) == ([], None, 1)
    told = [comment.source_id for comment in page.beside["comments"]]
    assert told == ["11", "13"], "as they were said, and our own come with the export"
    assert asked.call_count == 1, "the newest page is enough"
    assert dict(asked.calls[0].request.url.params)["sort"] == "-created_at"
    desk.get(COMMENTS).respond(404, json={"error": "RecordNotFound"})
    page = tickets.beside(client, "5512")
    assert page is not None
    assert page.beside == {}
    before = len(desk.calls)
    assert tickets.beside(client, "../1") is None
    assert len(desk.calls) == before


def test_a_ticket_that_is_not_shown_is_none(one: Callable[[str, str], cx.Page | None], desk: respx.MockRouter) -> None:
    desk.get(TICKET).respond(404, json={"error": "RecordNotFound", "description": "Not found"})
    assert one("tickets", "5512") is None


def test_a_ticket_that_cannot_be_read_is_refused_with_a_reason(
    one: Callable[[str, str], cx.Page | None], desk: respx.MockRouter, make_ticket: Make
) -> None:
    desk.get(TICKET).respond(json={"ticket": make_ticket(status=None)})
    page = one("tickets", "5512")
    assert page is not None
    assert page.entities == []
    assert page.refused


@pytest.mark.parametrize("key", ["", "../users/me", "1/comments", "\u0661", "1?x", "-1"])
@pytest.mark.parametrize("stream", ["tickets", "users", "organizations"])
def test_a_key_that_is_no_id_is_asked_for_nowhere(
    one: Callable[[str, str], cx.Page | None], desk: respx.MockRouter, stream: str, key: str
) -> None:
    assert one(stream, key) is None
    assert [made for made in desk.calls if made.request.method == "GET"] == []


def test_people_and_companies_are_read_one_by_one_too(
    one: Callable[[str, str], cx.Page | None], desk: respx.MockRouter
) -> None:
    desk.get("/api/v2/users/7.json").respond(json={"user": {"id": 7, "name": "Mia", "role": "end-user"}})
    desk.get("/api/v2/organizations/8.json").respond(json={"organization": {"id": 8, "name": "Globex"}})
    desk.get("/api/v2/users/9.json").mock(return_value=httpx.Response(404, json={"error": "RecordNotFound"}))
    desk.get("/api/v2/organizations/9.json").respond(404, json={"error": "RecordNotFound"})
    person, company = one("users", "7"), one("organizations", "8")
    assert person is not None
    assert company is not None
    assert [type(found) for found in (*person.entities, *company.entities)] == [cx.Contact, cx.Account]
    assert one("users", "9") is None
    assert one("organizations", "9") is None


# -- reading several ---------------------------------------------------------------------------------------------------

SEVERAL = "/api/v2/tickets/show_many.json"


@pytest.fixture
def several(account: Zendesk, client: cx.Client) -> Callable[..., dict[str, cx.Page | None]]:
    """Read several records of a stream together."""
    streams = {stream.name: stream for stream in account.streams()}

    def read(stream: str, *keys: str) -> dict[str, cx.Page | None]:
        together = streams[stream].several
        assert together is not None
        one = together(client, keys)
        return {key: one(client, key) for key in keys}

    return read


def counts(ticket: int) -> dict[str, Any]:
    return {"metric_set": {"ticket_id": ticket, "reopens": 2, "replies": 3}}


def test_tickets_that_are_asked_for_together_are_shown_as_each_by_itself(
    several: Callable[..., dict[str, cx.Page | None]],
    one: Callable[[str, str], cx.Page | None],
    desk: respx.MockRouter,
    make_ticket: Make,
) -> None:
    people = [{"id": number, "name": f"Person {number}", "role": "end-user"} for number in (71, 72, 73, 74)]
    companies = [{"id": 81, "name": "Globex"}, {"id": 82, "name": "Initech"}]
    groups = [{"id": 91, "name": "Support"}]
    around: dict[str, Any] = {
        "submitter_id": 71,
        "assignee_id": None,
        "follower_ids": [],
        "email_cc_ids": [],
        "group_id": 91,
    }
    first = make_ticket(1, **around, requester_id=71, collaborator_ids=[72], organization_id=81) | counts(1)
    second = make_ticket(2, **around, requester_id=73, collaborator_ids=[74, 71], organization_id=82) | counts(2)
    shown = desk.get(SEVERAL).respond(
        json={"tickets": [second, first], "users": people, "organizations": companies, "groups": groups, "count": 2}
    )
    for number, ticket, users in ((1, first, people[:2]), (2, second, [people[2], people[0], people[3]])):
        beside = {"users": users, "organizations": [companies[number - 1]], "groups": groups}
        desk.get(f"/api/v2/tickets/{number}.json").respond(json={"ticket": ticket, **beside})
    found = several("tickets", "1", "2")
    assert [made.request.url.path for made in desk.calls if made.request.method == "GET"] == [SEVERAL]
    assert dict(shown.calls[0].request.url.params) == {
        "ids": "1,2",
        "include": "users,groups,organizations,metric_sets",
    }
    for key in ("1", "2"):
        alone, together = one("tickets", key), found[key]
        assert alone is not None
        assert together is not None
        assert together.entities == alone.entities
        assert together.beside == alone.beside
        assert together.refused == alone.refused == []
        assert [json.loads(raw) for raw in together.raw] == [json.loads(raw) for raw in alone.raw]
    assert found["1"] is not None
    assert [person.source_id for person in found["1"].beside["users"]] == ["71", "72"], "nobody from around the other"


def test_a_ticket_that_is_left_out_or_told_without_its_counts_is_asked_for_by_itself(
    several: Callable[..., dict[str, cx.Page | None]], desk: respx.MockRouter, make_ticket: Make
) -> None:
    desk.get(SEVERAL).respond(json={"tickets": [make_ticket(1) | counts(1), make_ticket(2, subject='"metric_set":')]})
    alone = desk.get("/api/v2/tickets/2.json").respond(json={"ticket": make_ticket(2) | counts(2)})
    gone = desk.get("/api/v2/tickets/3.json").respond(404, json={"error": "RecordNotFound"})
    found = several("tickets", "1", "2", "3")
    assert found["2"] is not None
    [ticket] = found["2"].entities
    assert isinstance(ticket, cx.Ticket)
    assert (ticket.reopen_count, alone.call_count, gone.call_count, found["3"]) == (2, 1, 1, None)


def test_what_cannot_be_read_around_several_is_told_where_it_belongs(
    several: Callable[..., dict[str, cx.Page | None]], desk: respx.MockRouter, make_ticket: Make
) -> None:
    around: dict[str, Any] = {
        "submitter_id": None,
        "assignee_id": None,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
    }
    tickets = [make_ticket(number, **around, requester_id=70 + number) | counts(number) for number in (1, 2)]
    people = [{"id": 71, "name": 5}, {"id": 72, "name": "Mia", "role": "end-user"}, {"name": "without an id"}]
    desk.get(SEVERAL).respond(json={"tickets": [*tickets, {"id": 3, "status": 7} | counts(3)], "users": people})
    found = several("tickets", "1", "2", "3")
    refused = {key: list(page.refused) for key, page in found.items() if page is not None}
    assert [len(told) for told in refused.values()] == [1, 0, 1]
    assert refused["1"][0].startswith("user 71: ")
    assert refused["3"][0].startswith("ticket 3: ")


@pytest.mark.parametrize(("stream", "records", "record"), [("users", "users", "user"), ("organizations",) * 3])
def test_people_and_companies_are_asked_for_together_too(
    several: Callable[..., dict[str, cx.Page | None]],
    desk: respx.MockRouter,
    stream: str,
    records: str,
    record: str,
) -> None:
    rows = [{"id": number, "name": f"No. {number}", "role": "end-user"} for number in (7, 8)]
    asked = desk.get(f"/api/v2/{records}/show_many.json").respond(json={records: rows})
    desk.get(f"/api/v2/{records}/9.json").respond(404, json={"error": "RecordNotFound"})
    found = several(stream, "7", "8", "9", "../1")
    assert {key: page and [one.source_id for one in page.entities] for key, page in found.items()} == {
        "7": ["7"],
        "8": ["8"],
        "9": None,
        "../1": None,
    }
    assert dict(asked.calls[0].request.url.params) == {"ids": "7,8,9"}


@pytest.mark.parametrize("stream", ["tickets", "users", "organizations"])
def test_keys_that_are_no_ids_are_asked_for_nowhere_together_either(
    several: Callable[..., dict[str, cx.Page | None]], desk: respx.MockRouter, stream: str
) -> None:
    assert several(stream, "../users/me", "1,2") == {"../users/me": None, "1,2": None}
    assert [made for made in desk.calls if made.request.method == "GET"] == []
