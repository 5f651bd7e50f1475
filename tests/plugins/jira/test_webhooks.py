"""Jira's deliveries: whose they are, what they ask to look at, and how the one issue that they name is read."""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import webhooks

from .conftest import API, Desk, answer, comment, issue, settings

NOW = datetime(2026, 5, 6, 9, 2, 11, tzinfo=UTC)
SECRET = "It's a Secret to Everybody"


def inbound(body: bytes = b"{}", at: datetime = NOW, **headers: str) -> cx.Inbound:
    return cx.Inbound("POST", {name.replace("_", "-"): value for name, value in headers.items()}, body, {}, at)


# -- the signature of administrators' webhooks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "body", "digest"),
    [
        (SECRET, b"Hello World!", "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"),
        (
            "cxbridge-test-secret",
            b'{"timestamp":1778058131123,"webhookEvent":"jira:issue_updated","issue":{"id":"10042","key":"OPS-77"}}',
            "5ab09677a14b820c71f04118f255dd38c1f97b6bd6bc62434336b0d86e061a39",
        ),
        (
            "s\u00e9cr\u00e8t",
            '{"a":"\u00e9"}'.encode(),
            "846e392ce53440ccb281a50993feb6ccd4fa047cb28eab86edf308ccabf65479",
        ),
    ],
)
def test_published_vectors_are_verified(secret: str, body: bytes, digest: str) -> None:
    webhooks.verify(inbound(body, x_hub_signature=f"sha256={digest}"), [secret])
    webhooks.verify(inbound(body, x_hub_signature=f"sha256={digest}"), ["another", secret])
    for wrong in ([], [""], ["another"]):
        with pytest.raises(cx.Forged):
            webhooks.verify(inbound(body, x_hub_signature=f"sha256={digest}"), wrong)
    for header in (
        digest,
        f"sha1={digest}",
        f"sha512={digest}",
        f"SHA256={digest}",
        f"sha256={digest}0",
        "sha256=",
        "",
    ):
        with pytest.raises(cx.Forged):
            webhooks.verify(inbound(body, x_hub_signature=header), [secret])


def test_an_empty_secret_signs_nothing() -> None:
    digest = hmac.new(b"", b"{}", hashlib.sha256).hexdigest()
    with pytest.raises(cx.Forged):
        webhooks.verify(inbound(b"{}", x_hub_signature=f"sha256={digest}"), [""])


# -- the token of apps' webhooks ---------------------------------------------------------------------------------------

# In parts, since a token in one piece looks like somebody's.
HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
CLAIMS = "eyJpc3MiOiJjbGllbnQtYWJjIiwiaWF0IjoxNzc4MDU4MTAwLCJleHAiOjE3NzgwNTgyODB9"
MADE = "XLhtgcb0QDA-uRIEPWy8aUrtb1nrHw_RbM2z9gZFowA"
BEGUN, ENDS = (datetime.fromtimestamp(second, UTC) for second in (1_778_058_100, 1_778_058_280))


def bearing(*parts: str, at: datetime = BEGUN, scheme: str = "Bearer") -> cx.Inbound:
    return inbound(at=at, authorization=f"{scheme} {'.'.join(parts)}")


def token(head: dict[str, Any], claims: dict[str, Any], secret: str) -> list[str]:
    parts = [webhooks._url64(json.dumps(one).encode()) for one in (head, claims)]
    return [*parts, webhooks._url64(hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest())]


def test_the_token_of_an_app_is_verified_while_it_lasts() -> None:
    for at in (BEGUN, ENDS, ENDS + timedelta(seconds=60)):
        webhooks.verify_token(bearing(HEAD, CLAIMS, MADE, at=at), ["client-secret-xyz"])
    with pytest.raises(cx.Forged, match="over"):
        webhooks.verify_token(bearing(HEAD, CLAIMS, MADE, at=ENDS + timedelta(seconds=61)), ["client-secret-xyz"])
    with pytest.raises(cx.Forged, match="not signed by"):
        webhooks.verify_token(bearing(HEAD, CLAIMS, MADE), ["another"])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [""],
        [HEAD, CLAIMS],
        [HEAD, CLAIMS, ""],
        [HEAD, CLAIMS, MADE, MADE],
        [HEAD, CLAIMS[:-4], MADE],
        ["\u00e9", CLAIMS, MADE],
        [HEAD, "W10", MADE],
        token({"alg": "none"}, {"exp": 1_778_058_280}, "client-secret-xyz"),
        token({"alg": "HS512"}, {"exp": 1_778_058_280}, "client-secret-xyz"),
        token({"alg": ["HS256"]}, {"exp": 1_778_058_280}, "client-secret-xyz"),
        token({"alg": "HS256"}, {}, "client-secret-xyz"),
        token({"alg": "HS256"}, {"exp": "soon"}, "client-secret-xyz"),
        token({"alg": "HS256"}, {"exp": True}, "client-secret-xyz"),
        token({"alg": "HS256"}, {"exp": 1_778_058_280, "nbf": 1_778_058_279}, "client-secret-xyz"),
        token({"alg": "HS256"}, {"exp": 1_778_058_280}, ""),
    ],
)
def test_other_tokens_are_refused(parts: list[str]) -> None:
    with pytest.raises(cx.Forged):
        webhooks.verify_token(bearing(*parts), ["client-secret-xyz", ""])


def test_a_connection_is_signed_for_as_its_settings_have_it() -> None:
    oauth: dict[str, Any] = {
        "email": None,
        "api_token": None,
        "mode": "gateway",
        "cloud_id": "c",
        "client_id": "i",
        "client_secret": "s",
        "refresh_token": "r",
    }
    assert not settings().webhook().signed
    by_secret = settings(webhook_secret="word").webhook()
    assert (by_secret.signed, by_secret.secret, by_secret.verify) == (True, "webhook_secret", webhooks.verify)
    by_app = settings(**oauth).webhook()
    assert (by_app.signed, by_app.secret, by_app.verify) == (True, "client_secret", webhooks.verify_token)
    assert settings(**oauth, webhook_secret="word").webhook().secret == "webhook_secret"
    assert all(one.setup for one in (settings().webhook(), by_secret, by_app))


# -- what a delivery says ----------------------------------------------------------------------------------------------


def body(event: str = "jira:issue_updated", **changed: Any) -> bytes:
    told = {"timestamp": int(NOW.timestamp() * 1000), "webhookEvent": event, "issue": {"id": "10042", "key": "OPS-77"}}
    return json.dumps({name: value for name, value in {**told, **changed}.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("delivery", "nudges"),
    [
        (body(), [cx.Nudge("issues", "10042")]),
        (body("jira:issue_deleted"), [cx.Nudge("issues", "10042")]),
        (body("comment_created", comment={"id": "7"}), [cx.Nudge("issues", "10042")]),
        (
            body(
                "comment_created",
                issue=...,
                comment={"id": "7", "self": "https://acme.atlassian.net/rest/api/2/issue/10040/comment/7"},
            ),
            [cx.Nudge("issues", "10040")],
        ),
        (body("worklog_created", issue=..., worklog={"issueId": "10041"}), [cx.Nudge("issues", "10041")]),
        (body("issue_property_set"), [cx.Nudge("issues", "10042")]),
        (body("project_updated", issue=..., project={"id": 10000}), [cx.Nudge("projects")]),
        (body("sprint_started", issue=..., sprint={"id": 3}), []),
        (body("jira:version_released", issue=..., version={"id": "3"}), []),
        (body("user_created", issue=..., user={"accountId": "x"}), []),
    ],
)
def test_a_delivery_names_the_issue_to_look_at(delivery: bytes, nudges: list[cx.Nudge]) -> None:
    assert list(webhooks.read(inbound(delivery)).nudges) == nudges


@pytest.mark.parametrize(
    "delivery",
    [
        b"",
        b"{}",
        b"[]",
        b'{"webhookEvent": 1}',
        body(issue=...),
        body(issue={"key": "OPS-1"}),
        body(issue={"id": "OPS-1"}),
        body(issue={"id": "1/../2"}),
        body("comment_created", issue=..., comment={"id": "7"}),
        body("comment_created", issue=..., comment={"self": "https://x.test/issue/../comment/7"}),
        body(timestamp="yesterday"),
    ],
)
def test_what_is_of_another_form_is_refused_with_a_reason(delivery: bytes) -> None:
    with pytest.raises(cx.Forged) as caught:
        webhooks.read(inbound(delivery))
    assert str(caught.value)


def test_a_signed_delivery_is_known_by_its_body_and_an_unsigned_one_by_its_identifier() -> None:
    def name(delivery: bytes, identifier: str, *, covered: bool) -> str:
        told = inbound(delivery, x_atlassian_webhook_identifier=identifier)
        return webhooks.read(told, covered=covered).event_id

    assert name(body(), "a", covered=True) == name(body(), "b", covered=True)
    assert name(body(), "a", covered=True) != name(body(issue={"id": "1"}), "a", covered=True)
    assert name(body(), "a", covered=False) != name(body(), "b", covered=False)
    assert name(body(), "a", covered=False) == name(body(issue={"id": "1"}), "a", covered=False)
    assert webhooks.read(inbound(body())).event_id == webhooks.read(inbound(body())).event_id


@pytest.mark.parametrize("off", [timedelta(hours=24), -timedelta(hours=24)])
def test_a_signed_event_is_taken_for_a_day(off: timedelta) -> None:
    webhooks.read(inbound(body(), NOW + off), covered=True)
    with pytest.raises(cx.Forged, match="older than a day"):
        webhooks.read(inbound(body(), NOW + off * 1.001), covered=True)
    webhooks.read(inbound(body(timestamp=...), NOW + off * 9), covered=True)


@pytest.mark.shared
def test_recorded_deliveries_are_all_read_or_refused_with_a_reason(shared_data: Path) -> None:
    place = next(
        (one for one in (shared_data / "data" / "cassettes", shared_data / "cassettes") if (one / "jira").is_dir()),
        None,
    )
    if place is None:
        pytest.skip("no recorded traffic of Jira among the shared material")
    files = sorted((place / "jira" / "webhooks").glob("*.json"))
    assert files
    read: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for file in files:
        # They are years old and were not signed.
        try:
            told = webhooks.read(inbound(file.read_bytes()))
        except cx.Forged as error:
            refused[str(error)] += 1
        else:
            read.update(nudge.stream for nudge in told.nudges)
    print(f"{len(files)} recorded deliveries: {dict(read)} read, {dict(refused)} refused")
    assert read.total() + refused.total() == len(files)
    assert read["issues"] >= len(files) - 2


# -- reading the one issue ---------------------------------------------------------------------------------------------


def one(desk: Desk, key: str = "10042") -> cx.Page | None:
    (stream,) = [found for found in desk.jira.streams() if found.name == "issues"]
    assert stream.one is not None
    return stream.one(desk.client, key)


def test_an_issue_comes_with_its_people_and_comments_as_the_search_would_show_it(desk: Desk) -> None:
    key = desk.jira.projects[0]
    found = issue()
    assert found["fields"]["project"]["key"] == key
    asked = desk.router.get(f"{API}/issue/10042").mock(return_value=answer(found))
    comments = desk.router.get(f"{API}/issue/10042/comment").mock(
        return_value=answer({"comments": [comment(10007), comment()], "total": 2, "startAt": 0, "maxResults": 100})
    )
    page = one(desk)
    assert page is not None
    assert page.cursor is None
    assert [entity.source_id for entity in page.beside["comments"]] == ["10006", "10007"], "as they were said"
    assert page.beside["users"]
    assert dict(comments.calls[0].request.url.params)["orderBy"] == "-created"
    assert "summary" in asked.calls[0].request.url.params["fields"]
    desk.router.get(f"{API}/search/jql").mock(return_value=answer({"issues": [found], "isLast": True}))
    (later,) = desk.pages("issues")
    assert later.entities == page.entities


@pytest.mark.parametrize("status", [404, 410])
def test_an_issue_that_is_not_shown_is_none(desk: Desk, status: int) -> None:
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer({"errorMessages": ["gone"], "errors": {}}, status))
    if status == 404:
        assert one(desk) is None
        return
    with pytest.raises(cx.Rejected):
        one(desk)


@pytest.mark.parametrize("key", ["", "OPS-77", "1/../2", "\u0661", "-1", "1?expand=x"])
def test_a_key_that_is_no_id_is_asked_for_nowhere(desk: Desk, key: str) -> None:
    assert one(desk, key) is None
    assert not desk.router.calls


def test_an_issue_outside_of_what_is_read_is_not_taken_in(connect: Callable[..., Desk]) -> None:
    desk = connect(start="2026-05-06")
    foreign = issue(project={"id": "1", "key": "ELSEWHERE", "name": "Elsewhere"})
    old = issue(updated="2026-05-05T10:16:30.000+0200")
    nameless = issue(project=None)
    for shown in (foreign, old, nameless):
        desk.router.get(f"{API}/issue/10042").mock(return_value=answer(shown))
        page = one(desk)
        assert page is not None
        assert (page.entities, page.beside, page.refused) == ([], {}, ())


def test_an_issue_that_cannot_be_read_is_refused_with_a_reason(desk: Desk) -> None:
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer({"id": "10042", "fields": 7}))
    page = one(desk)
    assert page is not None
    assert (page.entities, len(page.refused)) == ([], 1)


def test_an_issue_comes_with_its_history_where_that_is_read(connect: Callable[..., Desk]) -> None:
    desk = connect(history=True)
    shown = issue()
    shown["changelog"] = {"startAt": 0, "maxResults": 0, "total": 0, "histories": []}
    asked = desk.router.get(f"{API}/issue/10042").mock(return_value=answer(shown))
    desk.router.get(f"{API}/issue/10042/comment").mock(return_value=answer({"comments": [], "total": 0}))
    page = one(desk)
    assert page is not None
    (ticket,) = page.entities
    assert isinstance(ticket, cx.Ticket)
    assert ticket.reopen_count == 0
    assert asked.calls[0].request.url.params["expand"] == "changelog"


# -- reading several ---------------------------------------------------------------------------------------------------


def several(desk: Desk, *keys: str) -> dict[str, cx.Page | None]:
    (stream,) = [found for found in desk.jira.streams() if found.name == "issues"]
    assert stream.several is not None
    read = stream.several(desk.client, keys)
    return {key: read(desk.client, key) for key in keys}


@pytest.mark.parametrize("history", [False, True])
def test_issues_that_are_asked_for_together_are_shown_as_each_by_itself(
    connect: Callable[..., Desk], history: bool
) -> None:
    desk = connect(history=history)
    shown = [issue(10041), issue(10042, summary="Another")]
    for one_of_them in shown if history else ():
        one_of_them["changelog"] = {"startAt": 0, "maxResults": 0, "total": 0, "histories": []}
    fetched = desk.router.post(f"{API}/issue/bulkfetch").mock(return_value=answer({"issues": shown, "issueErrors": []}))
    for found in shown:
        desk.router.get(f"{API}/issue/{found['id']}").mock(return_value=answer(found))
        said = {"comments": [comment()], "total": 1, "startAt": 0, "maxResults": 100}
        desk.router.get(f"{API}/issue/{found['id']}/comment").mock(return_value=answer(said))
    together = several(desk, "10041", "10042")
    assert [call.request.url.path.rpartition("/issue")[2] for call in desk.router.calls] == [
        "/bulkfetch",
        "/10041/comment",
        "/10042/comment",
    ]
    asked = json.loads(fetched.calls[0].request.content)
    assert (asked["issueIdsOrKeys"], asked["expand"]) == (["10041", "10042"], ["changelog"] if history else [])
    assert "summary" in asked["fields"]
    for key, page in together.items():
        alone = one(desk, key)
        assert alone is not None
        assert page is not None
        assert (page.entities, page.beside, page.refused) == (alone.entities, alone.beside, alone.refused)


def test_an_issue_that_is_left_out_is_asked_for_by_itself(desk: Desk) -> None:
    broken: Any = {"id": {}, "key": "ENG-1"}
    desk.router.post(f"{API}/issue/bulkfetch").mock(
        return_value=answer({"issues": [issue(10041), broken], "issueErrors": []})
    )
    desk.router.get(url__regex=".*/comment").mock(return_value=answer({"comments": [], "total": 0}))
    alone = desk.router.get(f"{API}/issue/10042").mock(return_value=answer(issue(10042)))
    gone = desk.router.get(f"{API}/issue/10043").mock(return_value=answer({"errorMessages": ["gone"]}, 404))
    found = several(desk, "10041", "10042", "10043", "1/../2")
    assert {key: page and len(page.entities) for key, page in found.items()} == {
        "10041": 1,
        "10042": 1,
        "10043": None,
        "1/../2": None,
    }
    assert (alone.call_count, gone.call_count) == (1, 1)


def test_issues_outside_of_what_is_read_are_not_taken_in_together_either(connect: Callable[..., Desk]) -> None:
    desk = connect(start="2026-05-06")
    foreign = issue(10041, project={"id": "1", "key": "ELSEWHERE", "name": "Elsewhere"})
    old = issue(10042, updated="2026-05-05T10:16:30.000+0200")
    unreadable = {"id": "10043", "fields": 7}
    desk.router.post(f"{API}/issue/bulkfetch").mock(return_value=answer({"issues": [foreign, old, unreadable]}))
    found = [page for page in several(desk, "10041", "10042", "10043").values() if page is not None]
    assert [(page.entities, page.beside, len(page.refused)) for page in found] == [
        ([], {}, 0),
        ([], {}, 0),
        ([], {}, 1),
    ]


def test_asking_for_several_only_reads_and_keys_that_are_no_ids_are_asked_for_nowhere(desk: Desk) -> None:
    reads = desk.jira.endpoint().reads
    assert reads is not None
    assert [reads(*one) for one in (("POST", f"{API}/issue/bulkfetch"), ("POST", f"{API}/issue"))] == [True, False]
    assert several(desk, "", "OPS-77") == {"": None, "OPS-77": None}
    assert not desk.router.calls
