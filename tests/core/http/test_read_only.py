"""A client that may only read lets no write leave, whatever a connector does."""

import httpx
import pytest
from pydantic import SecretStr

from cxbridge.core.errors import Rejected
from cxbridge.core.http import ClientCredentials, Endpoint, ReadOnlyTransport, RefreshToken, WriteRefused

from .conftest import BASE, Open, Vendor

TOKEN_URL = "https://login.example/oauth/token"


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("repeatable", [False, True])
def test_writes_do_not_leave(connect: Open, vendor: Vendor, verb: str, repeatable: bool) -> None:
    with pytest.raises(WriteRefused, match="this client may only read") as caught:
        getattr(connect(read_only=True), verb)("/a", {}, repeatable=repeatable)
    assert isinstance(caught.value, Rejected)
    assert str(caught.value).startswith(f"acme: {verb.upper()} /a was not sent")
    assert vendor.seen == []


def test_reads_do(connect: Open, vendor: Vendor) -> None:
    assert connect(read_only=True).get("/a").status == 200


def test_a_search_that_the_endpoint_declares_to_be_a_read_leaves_and_nothing_beside_it(
    connect: Open, vendor: Vendor
) -> None:
    endpoint = Endpoint(f"{BASE}/v3", reads=lambda method, path: (method, path) == ("POST", "/search"))
    client = connect(endpoint, read_only=True)
    assert client.post("/search", {"email": "a@b.example"}).status == 200
    for method, path in (("post", "/searches"), ("put", "/search"), ("delete", "/search")):
        with pytest.raises(WriteRefused):
            getattr(client, method)(path, {})
    with pytest.raises(WriteRefused):
        client.post("/search", {}, headers={"X-HTTP-Method-Override": "DELETE"})
    assert vendor.lines == ["POST /v3/search"]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "x-method-override", "X-HTTP-Method"])
def test_a_read_dressed_up_as_a_write_does_not_leave(connect: Open, vendor: Vendor, header: str) -> None:
    with pytest.raises(WriteRefused):
        connect(read_only=True).get("/a", headers={header: "DELETE"})
    assert vendor.seen == []


@pytest.mark.parametrize(
    "auth",
    [
        ClientCredentials(TOKEN_URL, "client-7", SecretStr("a-word")),
        RefreshToken(TOKEN_URL, "client-7", None, SecretStr("first-word")),
    ],
)
def test_tokens_may_be_asked_for(connect: Open, vendor: Vendor, auth: ClientCredentials | RefreshToken) -> None:
    vendor.plays(httpx.Response(200, json={"access_token": "access-1"}), httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, auth=auth), read_only=True)
    client.get("/a")
    with pytest.raises(WriteRefused):
        client.post("/a")
    assert vendor.lines == ["POST /oauth/token", "GET /a"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", TOKEN_URL + "/revoke"),
        ("POST", TOKEN_URL + "?write=1"),
        ("DELETE", TOKEN_URL),
        ("POST", "http://login.example/oauth/token"),
        ("TRACE", BASE),
        ("MKCOL", BASE),
    ],
)
def test_the_transport_knows_the_token_url_exactly(vendor: Vendor, method: str, url: str) -> None:
    transport = ReadOnlyTransport(vendor, TOKEN_URL)
    with pytest.raises(WriteRefused):
        transport.handle_request(httpx.Request(method, url))
    transport.handle_request(httpx.Request("POST", TOKEN_URL))
    assert vendor.lines == ["POST /oauth/token"]
