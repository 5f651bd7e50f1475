"""Each status has one meaning for the work, and the vendor's own table comes first."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import msgspec
import pytest

from cxbridge.core.errors import (
    Conflict,
    NotFound,
    RateLimited,
    Rejected,
    Retryable,
    Unauthorized,
    VendorError,
    WireFormat,
)
from cxbridge.core.http import Anonymous, Endpoint, Reply

from .conftest import BASE, START, Open, Vendor

REFUSALS = [
    (400, Rejected),
    (401, Unauthorized),
    (402, Rejected),
    (403, Rejected),
    (404, NotFound),
    (405, Rejected),
    (409, Conflict),
    (410, Rejected),
    (412, Conflict),
    (413, Rejected),
    (415, Rejected),
    (422, Rejected),
]


@pytest.mark.parametrize(("status", "kind"), REFUSALS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_refusal_is_told_by_its_class_and_never_repeated(
    connect: Open, vendor: Vendor, status: int, kind: type[VendorError], method: str
) -> None:
    vendor.plays(httpx.Response(status, json={"error": "private words"}, headers={"x-request-id": "r-7"}))
    with pytest.raises(VendorError) as caught:
        getattr(connect(), method)("/things/7?email=a@b.example")
    error = caught.value
    assert type(error) is kind
    assert (error.connection, error.operation) == ("acme", f"{method.upper()} /things/7")
    assert (error.status, error.request_id) == (status, "r-7")
    assert f"({status})" in str(error)
    assert "private" not in str(error)
    assert "b.example" not in str(error)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 408])
def test_trouble_of_the_vendor_is_tried_again_for_reads_only(connect: Open, vendor: Vendor, status: int) -> None:
    vendor.plays(httpx.Response(status))
    with pytest.raises(Retryable) as read:
        connect().get("/things")
    assert len(vendor.seen) == 4
    assert not read.value.sent

    vendor.seen.clear()
    with pytest.raises(Retryable) as write:
        connect().post("/things", {})
    assert len(vendor.seen) == 1
    assert write.value.sent


def test_over_the_limit_is_tried_again_for_writes_too(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(429), httpx.Response(201, json={"id": 7}))
    assert connect().post("/things", {"a": 1}).json() == {"id": 7}
    assert [request.content for request in vendor.seen] == [b'{"a":1}', b'{"a":1}']


def test_over_the_limit_for_good_names_a_time_and_was_not_done(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(429))
    client = connect()
    with pytest.raises(RateLimited) as caught:
        client.post("/things", {})
    assert len(vendor.seen) == 4
    assert not caught.value.sent
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > client.now


def test_403_tells_what_may_be_missing(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(403))
    with pytest.raises(Rejected, match="permission, a scope or the vendor's plan"):
        connect().get("/things")


def test_the_vendors_table_comes_first_and_the_client_says_where(connect: Open, vendor: Vendor) -> None:
    def refusal(reply: Reply) -> VendorError | None:
        return Rejected("the ticket is closed") if reply.json()["error"] == "Closed" else None

    client = connect(Endpoint(BASE, auth=Anonymous(), refusal=refusal))
    vendor.plays(httpx.Response(404, json={"error": "Closed"}, headers={"x-request-id": "r-8"}))
    with pytest.raises(Rejected) as caught:
        client.put("/tickets/7", {})
    assert type(caught.value) is Rejected
    assert str(caught.value) == "acme: PUT /tickets/7 was rejected (404): the ticket is closed"
    assert caught.value.request_id == "r-8"

    vendor.plays(httpx.Response(404, json={"error": "Other"}))
    with pytest.raises(NotFound):
        client.put("/tickets/7", {})


def test_the_vendors_table_may_call_a_write_undone(connect: Open, vendor: Vendor) -> None:
    def refusal(reply: Reply) -> VendorError | None:
        return Retryable("collision", sent=False) if reply.status == 409 else None

    vendor.plays(httpx.Response(409), httpx.Response(200, json={"ok": True}))
    assert connect(Endpoint(BASE, refusal=refusal)).put("/tickets/7", {}).json() == {"ok": True}
    assert len(vendor.seen) == 2


def test_a_table_without_a_word_about_it_leaves_a_write_in_doubt(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(503, headers={"retry-after": "9"}))
    with pytest.raises(Retryable) as caught:
        connect(Endpoint(BASE, refusal=lambda reply: Retryable("down for repair"))).post("/tickets", {})
    assert caught.value.sent
    assert caught.value.retry_at == START + timedelta(seconds=9)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, html="<html>Bad gateway</html>"),
        httpx.Response(502, json=["not", "an", "object"]),
        httpx.Response(502, json={"other": 1}),
    ],
)
@pytest.mark.parametrize(
    "refusal",
    [
        lambda reply: Rejected(reply.json()["error"]["title"]),
        lambda reply: Rejected(msgspec.json.decode(reply.body, type=dict[str, str])["error"]),
    ],
    ids=["by hand", "by type"],
)
def test_a_body_the_vendors_table_cannot_read_is_judged_by_status(
    connect: Open, vendor: Vendor, answer: httpx.Response, refusal: Callable[[Reply], VendorError]
) -> None:
    vendor.plays(answer)
    endpoint = Endpoint(
        BASE,
        refusal=refusal,
        message_of=lambda reply: reply.json()["error"]["title"],
    )
    with pytest.raises(Retryable, match="trouble of its own"):
        connect(endpoint).get("/tickets")


def test_a_connector_may_pick_a_sentence_and_it_is_kept_short_and_on_one_line(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(422, json={"why": "Status:\n closed\x1b[31m " + "x" * 500}))
    with pytest.raises(Rejected) as caught:
        connect(Endpoint(BASE, message_of=lambda reply: reply.json()["why"])).post("/tickets", {})
    assert "Status:  closed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "x" * 200 not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_told_in_words(connect: Open, vendor: Vendor, status: int) -> None:
    vendor.plays(httpx.Response(status, headers={"location": "https://login.example/start?token=private"}))
    with pytest.raises(
        WireFormat, match=r"was sent elsewhere to login\.example and does not follow.*login page"
    ) as caught:
        connect().get("/tickets")
    assert "private" not in str(caught.value)
    assert len(vendor.seen) == 1


def test_a_redirect_for_a_write_leaves_no_doubt_about_what_to_mend(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(302, headers={"location": "/login"}))
    with pytest.raises(WireFormat, match="was sent elsewhere and does not follow"):
        connect().post("/tickets", {})


def test_not_modified_is_an_answer(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(304))
    assert connect().get("/tickets", headers={"If-None-Match": "v1"}).status == 304
