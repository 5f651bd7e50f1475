"""The connector against what others recorded of real accounts, which lies beside the checkout and is only read.

Every body is mapped or refused with a reason; every request has a form that was recorded or that the vendor documents.
"""

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.core import ledger
from cxbridge.core.canonical import KIND_OF
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.core.http.verdict import verdict
from cxbridge.plugins.zendesk import Zendesk, wire
from cxbridge.plugins.zendesk.errors import told
from cxbridge.plugins.zendesk.mapping import (
    Shape,
    TicketMapping,
    to_account,
    to_articles,
    to_comment,
    to_feedback,
    to_person,
    to_team,
)

pytestmark = pytest.mark.shared

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
SITE = "https://acme.zendesk.com"
SHAPE = Shape(SITE, {"severity": 20015156})

Json = Any


# Where the recordings are and what is in them


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            yield path.name, (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")


def exchanges(shared: Path) -> Iterator[tuple[str, str, Json, Json]]:
    """Method, address, request body and answer of every recorded exchange."""
    place = shared / "data" / "cassettes" / "zendesk"
    for _, text in texts(place / "vendor_ruby_client"):
        for one in json.loads(text)["http_interactions"]:
            asked, told = one["request"], one["response"]
            yield asked["method"].upper(), asked["uri"], parsed(asked["body"]), parsed(told["body"])
    for _, text in texts(place / "node_client"):
        for one in json.loads(text):
            yield one["method"].upper(), one["scope"] + one["path"], one.get("body") or None, one.get("response")


def parsed(body: Json) -> Json:
    try:
        return json.loads(body.get("string") or "null")
    except json.JSONDecodeError:
        return None


KINDS = {
    "ticket": "ticket",
    "user": "user",
    "organization": "organization",
    "group": "group",
    "satisfaction_rating": "satisfaction rating",
    "article": "article",
    "ticket_metric": "metric set",
    "comment": "comment",
    "audit": "audit",
    "custom_status": "custom status",
}
PLURALS = {f"{name}s": kind for name, kind in KINDS.items()} | {"custom_statuses": "custom status"}


def records(body: Json) -> Iterator[tuple[str, Json]]:
    """Every record of a kind that the connector reads, wherever in a body it stands."""
    if isinstance(body, list):
        for one in body:
            yield from records(one)
    elif isinstance(body, dict):
        if body.get("result_type") in KINDS:
            yield KINDS[body["result_type"]], body
        for name, value in body.items():
            if name in KINDS and isinstance(value, dict) and "id" in value:
                yield KINDS[name], value
            elif name in PLURALS and isinstance(value, list):
                yield from ((PLURALS[name], one) for one in value if isinstance(one, dict))


def captured(shared: Path) -> Iterator[tuple[str, Json]]:
    """The documents that a production connector captured.

    Its publishers put the word `redacted` in place of what changes from run to run; that is no value of the vendor's.
    """
    names = {
        "tickets": "ticket",
        "users": "user",
        "organizations": "organization",
        "groups": "group",
        "satisfaction_ratings": "satisfaction rating",
        "articles": "article",
        "ticket_metrics": "metric set",
        "ticket_comments": "comment",
        "ticket_audits": "audit",
        "custom_ticket_statuses": "custom status",
    }
    for _, text in texts(shared / "data" / "cassettes" / "zendesk" / "connector_snapshots"):
        for collection, document in json.loads(text):
            kind = names.get(collection.partition("/")[2])
            if kind is not None:
                yield kind, {name: value for name, value in document.items() if value != "redacted"}


def rows(shared: Path) -> Iterator[tuple[str, Json]]:
    """Warehouse rows, put back into the types that the vendor's JSON had before they became text."""
    place = shared / "data" / "datasets" / "zendesk" / "warehouse_rows"
    for kind, file in (("ticket", "ticket_data.csv"), ("group", "group_data.csv")):
        with (place / file).open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                yield kind, {name: typed(name, value) for name, value in line.items() if not name.startswith("_")}


def typed(name: str, value: str) -> Json:
    if value == "":
        return None
    if name.endswith("_at"):
        return f"{value.replace(' ', 'T')}Z"
    if (name == "id" or name.endswith("_id")) and name != "external_id":
        return int(value)
    return {"TRUE": True, "FALSE": False}.get(value, value)


def everything(shared: Path) -> Iterator[tuple[str, str, Json]]:
    """Source, kind and record of all that was recorded."""
    for _, address, _, answer in exchanges(shared):
        source = "ruby client" if "zd-staging" in address else "node client"
        for kind, record in records(answer):
            yield source, kind, record
    for name, text in texts(shared / "data" / "cassettes" / "zendesk" / "go_client"):
        body = json.loads(text)
        if name.endswith("_result.json") or isinstance(body, list):
            body = {"results": body}
        for kind, record in [*records(body), *records(body.get("results"))]:
            yield "go client", kind, record
    for kind, record in captured(shared):
        yield "connector capture", kind, record
    for kind, record in rows(shared):
        yield "warehouse rows", kind, record


def readers() -> dict[str, tuple[type[Any], Callable[[Any], list[Json]]]]:
    """How each kind is read: its wire type, and the way to what the store keeps."""
    tickets = TicketMapping(SHAPE)
    return {
        "ticket": (wire.Ticket, lambda row: [tickets(row)]),
        "user": (wire.User, lambda row: [to_person(row)]),
        "organization": (wire.Organization, lambda row: [to_account(row, SHAPE)]),
        "group": (wire.Group, lambda row: [to_team(row, SHAPE)]),
        "satisfaction rating": (wire.Rating, lambda row: [to_feedback(row)]),
        "article": (wire.Article, to_articles),
        "comment": (wire.Comment, lambda row: [to_comment(row, 1, SHAPE)]),
        # Counts and labels become fields of tickets; an audit's comments are read one by one below.
        "metric set": (wire.MetricSet, lambda row: [tickets(wire.Ticket(id=row.ticket_id or 0, status="closed"), row)]),
        "custom status": (wire.CustomStatus, lambda row: []),
        "audit": (wire.Audit, lambda row: []),
    }


def test_every_recorded_body_is_mapped_or_refused_with_a_reason(shared_data):
    known = readers()
    accepted: Counter[tuple[str, str]] = Counter()
    refused: dict[tuple[str, str], list[str]] = defaultdict(list)
    held = list(everything(shared_data))
    while held:
        source, kind, record = held.pop()
        type_, entities = known[kind]
        reasons: list[str] = []
        for row, _ in wire.read(kind, type_, [msgspec.json.encode(record)], reasons):
            accepted[source, kind] += 1
            for entity in entities(row):
                stored = ledger.decode_entity(KIND_OF[type(entity)], ledger.encode_entity(entity))
                assert stored == entity
            if isinstance(row, wire.Audit):
                events = [json.loads(bytes(raw)) for raw in row.events]
                held += [(source, "comment", event) for event in events if event.get("type") == "Comment"]
        refused[source, kind] += reasons
    for place in sorted(set(accepted) | set(refused)):
        print(f"{place[0]:>18} {place[1]:<20} {accepted[place]:>5} mapped {len(refused[place]):>4} refused")
        for reason, count in Counter(re.sub(r"\d+", "…", reason) for reason in refused[place]).items():
            print(f"{'':>18} {count:>5} × {reason}")
    by_kind = Counter(kind for _, kind in accepted.elements())
    assert set(by_kind) == set(known), "a kind that was recorded was never mapped"
    # A stated reason names the field; "does not fit" alone would hide a mistake of ours.
    for reasons in refused.values():
        for reason in reasons:
            assert re.search(r": (\S+: )?(Expected|Object missing required field|Invalid RFC3339)", reason), reason


def test_every_recorded_error_becomes_an_error_of_ours_that_says_why(shared_data):
    refusals: Counter[tuple[int, str, str]] = Counter()
    for status, method, address, answer in failures(shared_data):
        body = b"" if answer is None else msgspec.json.encode(answer)
        reply = cx.Reply(method, httpx.URL(address.replace("REDACTED@", "")).path, status, {}, body, NOW)
        endpoint = Zendesk.model_validate({"subdomain": "acme", "access_token": "fine"}).endpoint()
        error = verdict(reply, endpoint, safe=method == "GET")
        assert isinstance(error, cx.VendorError)
        assert answer is None or told(answer).sentence or told(answer).code
        refusals[status, type(error).__name__, told(answer).code] += 1
    for found, count in sorted(refusals.items()):
        print(f"{count:>5} ×", *found)
    assert {status for status, _, _ in refusals} >= {404, 422}


def failures(shared: Path) -> Iterator[tuple[int, str, str, Json]]:
    place = shared / "data" / "cassettes" / "zendesk"
    for _, text in texts(place / "vendor_ruby_client"):
        for one in json.loads(text)["http_interactions"]:
            if one["response"]["status"]["code"] >= 400:
                told_body = parsed(one["response"]["body"])
                yield (
                    one["response"]["status"]["code"],
                    one["request"]["method"].upper(),
                    one["request"]["uri"],
                    told_body,
                )
    for _, text in texts(place / "node_client"):
        for one in json.loads(text):
            if one["status"] >= 400:
                yield one["status"], one["method"].upper(), one["scope"] + one["path"], one.get("response") or None


# The form of requests

CURSOR = {"page[size]", "page[after]"}
READS = "developer.zendesk.com/api-reference/ticketing"
# What the vendor documents and no recording shows: method and path, parameters, fields of the body, and where.
DOCUMENTED: dict[tuple[str, str], tuple[set[str], set[str], str]] = {
    ("GET", "/users/me"): (set(), set(), f"{READS}/users/users: show self"),
    ("GET", "/tickets/count"): (set(), set(), f"{READS}/tickets/tickets: count"),
    ("GET", "/incremental/tickets/cursor"): (
        {"start_time", "cursor", "include", "per_page"},
        set(),
        f"{READS}/ticket-management/incremental_exports: start_time once, then cursor; per_page up to 1000",
    ),
    ("GET", "/incremental/users/cursor"): (
        {"start_time", "cursor", "per_page"},
        set(),
        f"{READS}/ticket-management/incremental_exports",
    ),
    ("GET", "/incremental/organizations"): (
        {"start_time", "per_page"},
        set(),
        f"{READS}/ticket-management/incremental_exports: time-based only",
    ),
    ("GET", "/incremental/ticket_events"): (
        {"start_time", "include"},
        set(),
        f"{READS}/ticket-management/incremental_exports: include=comment_events",
    ),
    ("GET", "/organizations"): (CURSOR, set(), f"{READS}/organizations/organizations: cursor pagination"),
    ("GET", "/groups"): (CURSOR, set(), f"{READS}/groups/groups: cursor pagination"),
    ("GET", "/custom_statuses"): (set(), set(), f"{READS}/tickets/custom_ticket_statuses: no pagination"),
    ("GET", "/satisfaction_ratings"): (
        CURSOR | {"start_time", "score"},
        set(),
        f"{READS}/ticket-management/satisfaction_ratings: filters",
    ),
    ("GET", "/help_center/incremental/articles"): (
        {"start_time", "sort_by", "sort_order", "include"},
        set(),
        "developer.zendesk.com/api-reference/help_center/help-center-api/articles: incremental list, sideloads",
    ),
    ("GET", "/tickets/{id}/comments"): (
        CURSOR | {"sort"},
        set(),
        f"{READS}/tickets/ticket_comments: cursor pagination, sort by -created_at",
    ),
    ("GET", "/tickets"): ({"external_id"}, set(), f"{READS}/tickets/tickets: list by external id"),
    ("GET", "/tickets/{id}"): (set(), set(), f"{READS}/tickets/tickets: show"),
    ("POST", "/tickets"): (
        set(),
        {
            "ticket.subject",
            "ticket.comment.body",
            "ticket.comment.html_body",
            "ticket.comment.public",
            "ticket.external_id",
            "ticket.requester.email",
            "ticket.requester.name",
            "ticket.priority",
            "ticket.type",
            "ticket.tags",
            "ticket.custom_fields.id",
            "ticket.custom_fields.value",
            "ticket.group_id",
        },
        f"{READS}/tickets/tickets: create, with the header Idempotency-Key",
    ),
    ("PUT", "/tickets/{id}"): (
        set(),
        {
            "ticket.status",
            "ticket.priority",
            "ticket.type",
            "ticket.subject",
            "ticket.tags",
            "ticket.external_id",
            "ticket.custom_fields.id",
            "ticket.custom_fields.value",
            "ticket.comment.body",
            "ticket.comment.html_body",
            "ticket.comment.public",
            "ticket.metadata.cxbridge",
            "ticket.updated_stamp",
            "ticket.safe_update",
        },
        f"{READS}/tickets/tickets: update, safe_update with updated_stamp; metadata as an audit shows it under custom",
    ),
    ("PUT", "/tickets/{id}/tags"): (set(), {"tags"}, f"{READS}/ticket-management/tags: add"),
    ("DELETE", "/tickets/{id}/tags"): (set(), {"tags"}, f"{READS}/ticket-management/tags: remove"),
    ("POST", "/tickets/{id}/tags"): (
        set(),
        {"tags", "updated_stamp", "safe_update"},
        f"{READS}/ticket-management/tags: set, guarded by updated_stamp",
    ),
}


def form(method: str, address: str, body: Json) -> tuple[tuple[str, str], set[str], set[str]]:
    url = httpx.URL(address.replace("REDACTED@", ""))
    path = re.sub(r"/\d+(?=/|$)", "/{id}", url.path.removeprefix("/api/v2").removesuffix(".json"))
    return (method, path), set(url.params), set(leaves(body))


def leaves(body: Json, at: str = "") -> Iterator[str]:
    if isinstance(body, dict):
        for name, value in body.items():
            yield from leaves(value, f"{at}.{name}" if at else name)
    elif isinstance(body, list) and body and isinstance(body[0], dict):
        for one in body:
            yield from leaves(one, at)
    elif at:
        yield at


def allowed(shared: Path) -> tuple[dict[tuple[str, str], set[str]], dict[tuple[str, str], set[str]]]:
    """Parameters and body fields by method and path, as recorded or documented."""
    params: dict[tuple[str, str], set[str]] = defaultdict(set)
    bodies: dict[tuple[str, str], set[str]] = defaultdict(set)
    for method, address, body, _ in exchanges(shared):
        place, names, fields = form(method, address, body)
        params[place] |= names
        bodies[place] |= fields
    for place, (names, fields, _) in DOCUMENTED.items():
        params[place] |= names
        bodies[place] |= fields
    return params, bodies


class Vendor:
    """Answers every request so that the connector goes on to the next one it knows, and keeps what it was asked."""

    def __init__(self, ticket: Callable[..., Json], comment: Callable[..., Json]) -> None:
        self.asked: list[tuple[str, str, Json]] = []
        self.now: Json = ticket(1)
        self._comment = comment
        self._stuck = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, str(request.url), body))
        return httpx.Response(200, json=self._answer(request.method, request.url))

    def _answer(self, method: str, url: httpx.URL) -> Json:
        path = url.path.removeprefix("/api/v2").removesuffix(".json")
        more = "page[after]" not in url.params
        meta = {"has_more": more, "after_cursor": "more" if more else None}
        end = "cursor" in url.params
        match method, path:
            case "GET", "/users/me":
                return {"user": {"id": 7, "name": "Ana"}}
            case "GET", "/tickets/count":
                return {"count": {"value": 1}}
            case "GET", "/incremental/tickets/cursor":
                row = {**self.now, "custom_status_id": 9}
                return {"tickets": [row], "after_cursor": "a", "end_of_stream": end}
            case "GET", "/incremental/users/cursor":
                return {"users": [{"id": 7, "name": "Ana"}], "after_cursor": "a", "end_of_stream": end}
            case "GET", "/incremental/organizations":
                stuck, self._stuck = self._stuck, False
                return {"organizations": [], "end_time": 0, "end_of_stream": not stuck}
            case "GET", "/incremental/ticket_events":
                change = {"id": 3, "event_type": "CommentRedactionEvent", "comment_id": 70}
                return {"ticket_events": [{"ticket_id": 1, "child_events": [change]}], "end_of_stream": True}
            case "GET", "/help_center/incremental/articles":
                start = int(url.params["start_time"])
                row = {"id": 31, "title": "Refunds", "locale": "en-us"}
                return {"articles": [row], "end_time": 100, "next_page": "more" if start < 100 else None}
            case "GET", "/tickets/1/comments":
                return {"comments": [self._comment(71 if more else 70)], "meta": meta}
            case "GET", "/satisfaction_ratings" | "/groups" | "/organizations":
                return {path.removeprefix("/"): [], "meta": meta}
            case "GET", "/custom_statuses":
                return {"custom_statuses": []}
            case "GET", "/tickets":
                return {"tickets": []}
            case _, "/tickets/1/tags":
                return {"tags": []}
            case _, "/tickets" | "/tickets/1":
                return {"ticket": self.now}
        raise AssertionError(f"the vendor has no answer to {method} {path}")


def ask_everything(vendor: Vendor, clock: ManualClock) -> None:
    """Make the connector send every request that it knows, in every form."""
    for settings in ({"translations": True, "link_field": 905, "fields": {"region": 902}}, {"prose": "html"}):
        account = Zendesk.model_validate({"subdomain": "acme", "access_token": "fine", **settings})
        client = open_client(
            account.endpoint(),
            connection="support",
            clock=clock,
            tokens=MemoryTokens(),
            transport=httpx.MockTransport(vendor),
        )
        actions = {action.name: action for action in account.actions()}

        def do(name: str, inputs: cx.Inputs, actions: Json = actions, client: cx.Client = client) -> None:
            call = cx.Call(inputs, "cxb:0123456789abcdef", None if name == "ticket.ensure" else "1")
            actions[name].perform(client, call)
            if actions[name].find:
                actions[name].find(client, call)

        with client:
            account.check(client)
            for stream in account.streams():
                assert stream.pages is not None
                assert [page.mapped(stream.name) for page in stream.pages(client, None)]
            plain = vendor.now
            do("ticket.ensure", cx.EnsureTicket(subject="Export fails", match="1"))
            custom = {"777": "nightly"}
            do(
                "ticket.ensure",
                cx.EnsureTicket(
                    subject="Export fails",
                    body="Since 40%.",
                    project="12",
                    type="incident",
                    priority="high",
                    labels=["vip"],
                    requester_email="mia@globex.test",
                    custom=custom,
                ),
            )
            do(
                "ticket.set",
                cx.SetTicket(
                    status_category="resolved",
                    priority="low",
                    type="task",
                    subject="Else",
                    tags_add=["new"],
                    custom={"778": "x"},
                    note="Hello",
                    note_visibility="internal",
                ),
            )
            do("ticket.transition", cx.Transition(to="resolved", resolution="fixed"))
            do("comment.add_once", cx.AddComment(visibility="public", body="Hello"))
            do("tags.set", cx.SetTags(add=["new"]))
            do("tags.set", cx.SetTags(remove=["vip"]))
            do("tags.set", cx.SetTags(add=["new"], remove=["vip"]))
            link = cx.EnsureLink(system="jira", key="ENG-12", ref="jira/issues/10012")
            do("link.ensure", link)
            vendor.now = {**plain, "external_id": "crm-5"}
            do("link.ensure", link)
            vendor.now = plain


def test_every_request_has_a_form_that_was_recorded_or_is_documented(shared_data, clock, make_ticket, make_comment):
    params, bodies = allowed(shared_data)
    vendor = Vendor(make_ticket, make_comment)
    ask_everything(vendor, clock)
    seen: dict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for method, address, body in vendor.asked:
        place, names, fields = form(method, address, body)
        assert place in params, f"{place} was neither recorded nor documented"
        assert names <= params[place], (
            f"{place}: parameters {names - params[place]} are neither recorded nor documented"
        )
        assert fields <= bodies[place], f"{place}: fields {fields - bodies[place]} are neither recorded nor documented"
        seen[place][0].update(names)
        seen[place][1].update(fields)
    for place, (names, fields) in sorted(seen.items()):
        print(*place, sorted(names), sorted(fields))
    # A line of the table that nothing uses any more would hide what the connector really asks.
    unused = {place: (n - seen[place][0], f - seen[place][1]) for place, (n, f, _) in DOCUMENTED.items()}
    assert {place: what for place, what in unused.items() if any(what)} == {}
    assert set(DOCUMENTED) <= set(seen)
