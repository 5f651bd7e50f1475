"""What goes out is what was asked for, to the connection's own host, and every try is reported."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import respx
from pydantic import SecretStr

from cxbridge import __version__
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import Rejected, Retryable, Withheld
from cxbridge.core.http import Basic, Bearer, Budget, Endpoint, RequestDone, user_agent

from .conftest import BASE, START, Open, Socket, Vendor


@pytest.mark.parametrize(
    ("path", "params", "url"),
    [
        ("/a", None, "/a"),
        ("a", None, "/a"),
        ("/a?x=1", None, "/a?x=1"),
        ("/a?x=1", {"y": 2}, "/a?x=1&y=2"),
        ("/a", {"after": None}, "/a"),
        ("/a", {"page[size]": 100, "q": "a b&c"}, "/a?page%5Bsize%5D=100&q=a%20b%26c"),
        ("/a", {"deep": True, "ids": [1, 2]}, "/a?deep=true&ids=1&ids=2"),
        ("/a", [("id", 1), ("id", 2)], "/a?id=1&id=2"),
        ("/a b/ü", None, "/a%20b/%C3%BC"),
        ("/a%2Fb", None, "/a%2Fb"),
        (f"{BASE}/a?cursor=x%3D%3D", None, "/a?cursor=x%3D%3D"),
        (f"{BASE}:443/a#part", {"y": 1}, "/a?y=1"),
        ("https://ACME.example/a", None, "/a"),
        ("/a?next=https://other.example/", None, "/a?next=https://other.example/"),
    ],
)
def test_addresses(connect: Open, vendor: Vendor, path: str, params: dict[str, object], url: str) -> None:
    connect().get(path, params)
    assert str(vendor.seen[0].url) == BASE + url


def test_a_base_path_is_put_before_and_not_shown(connect: Open, vendor: Vendor) -> None:
    seen: list[tuple[str, str]] = []

    def buckets(method: str, path: str) -> tuple[str, ...]:
        seen.append((method, path))
        return ()

    client = connect(Endpoint(f"{BASE}/ex/jira/c-1/", buckets=buckets))
    assert client.get("/rest/myself").path == "/rest/myself"
    assert client.get(f"{BASE}/ex/jira/c-1/rest/next?startAt=50").path == "/rest/next"
    assert client.get(f"{BASE}/oauth/resources").path == "/oauth/resources"
    assert vendor.lines == ["GET /ex/jira/c-1/rest/myself", "GET /ex/jira/c-1/rest/next", "GET /oauth/resources"]
    assert seen == [("GET", "/rest/myself"), ("GET", "/rest/next"), ("GET", "/oauth/resources")]


@pytest.mark.parametrize(
    "path",
    [
        "https://other.example/next?page=2",
        "http://acme.example/next",
        "https://acme.example:8443/next",
        "https://acme.example.other.example/next",
        "https://acme.example@other.example/next",
        "https://user:word@acme.example/next",
        "//other.example/next",
        "ftp://acme.example/next",
        "/things/../admin",
        "/things/%2e%2e/admin",
        "/things/\r\nX-Evil: 1",
        "/things\\..\\admin",
        "https://acme.example:port/next",
    ],
)
def test_nothing_is_sent_where_the_credential_does_not_belong(connect: Open, vendor: Vendor, path: str) -> None:
    with pytest.raises(Rejected) as caught:
        connect().get(path)
    assert vendor.seen == []
    assert str(caught.value).startswith("acme: GET was rejected: the ")
    assert "page=2" not in str(caught.value)


def test_a_foreign_next_page_is_named_with_its_reason(connect: Open) -> None:
    with pytest.raises(Rejected, match=r"leads to other\.example .* because the credential would go there"):
        connect().get("https://other.example/next")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://acme.example", "uses http"),
        ("http://10.0.0.7", "uses http"),
        ("http://localhost.example", "uses http"),
        ("acme.example", "must begin with https"),
        ("ftp://acme.example", "must begin with https"),
        ("https://", "must begin with https"),
        ("https://user:private@acme.example", "must not hold a user"),
        ("https://acme.example/?token=private", "must not hold a user"),
        ("https://acme.example:port", "is not a URL"),
    ],
)
def test_a_base_url_must_be_safe(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Endpoint(url)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:80", "http://[::1]:80"])
def test_http_is_for_this_machine(url: str) -> None:
    assert Endpoint(url).base_url == url


def test_http_elsewhere_needs_saying() -> None:
    assert Endpoint("http://acme.example", allow_http=True).allow_http


def test_headers(connect: Open, vendor: Vendor) -> None:
    endpoint = Endpoint(BASE, auth=Basic("me/token", SecretStr("a-word")), headers={"X-One": "1", "accept": "text/csv"})
    connect(endpoint).post("/a", {"n": 1}, headers={"Idempotency-Key": "k-1", "x-one": "2"})
    sent = vendor.seen[0].headers
    assert sent["authorization"] == "Basic bWUvdG9rZW46YS13b3Jk"
    assert sent.get_list("x-one") == ["2"]
    assert sent["accept"] == "text/csv"
    assert sent["accept-encoding"] == "gzip"
    assert sent["idempotency-key"] == "k-1"
    assert sent["content-type"] == "application/json"


def test_a_connector_cannot_replace_the_credential_by_a_header(connect: Open, vendor: Vendor) -> None:
    connect().get("/a", headers={"AUTHORIZATION": "Bearer other-word"})
    assert vendor.seen[0].headers.get_list("authorization") == ["Bearer a-word"]


def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(connect: Open, vendor: Vendor) -> None:
    for value in ("private\r\nX-Evil: 1", "priväte", " private"):
        with pytest.raises(Rejected) as caught:
            connect().post("/a", {}, headers={"x-note": value})
        assert "priv" not in str(caught.value)
    assert vendor.seen == []


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_verbs(connect: Open, vendor: Vendor, verb: str) -> None:
    call = getattr(connect(), verb)
    call("/a", {"n": 1}, params={"x": 1})
    call("/a")
    assert [(r.method, str(r.url), r.content) for r in vendor.seen] == [
        (verb.upper(), f"{BASE}/a?x=1", b'{"n":1}'),
        (verb.upper(), f"{BASE}/a", b""),
    ]
    assert "content-type" not in vendor.seen[1].headers


def test_cookies_are_not_kept(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, headers={"set-cookie": "session=word; Path=/"}))
    client = connect()
    client.get("/a")
    client.get("/b")
    assert "cookie" not in vendor.seen[1].headers


def test_every_try_is_reported(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.ConnectError("no"), httpx.Response(503), httpx.Response(200, json={}))
    connect().get("/a?secret=1")
    assert connect.done == [
        RequestDone("acme", "GET", "/a", None, 0.0, 1),
        RequestDone("acme", "GET", "/a", 503, 0.0, 2),
        RequestDone("acme", "GET", "/a", 200, 0.0, 3),
    ]


def test_the_vendors_time_goes_on_between_replies(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    client = connect()
    assert client.server_now() == START == client.now
    ten_behind = (START - timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    vendor.plays(httpx.Response(200, json={}, headers={"date": ten_behind}))
    client.get("/a")
    clock.advance(5)
    assert client.server_now() == START - timedelta(minutes=10) + timedelta(seconds=5)
    assert client.now == START + timedelta(seconds=5)


def test_a_closed_client_sends_nothing(connect: Open, vendor: Vendor) -> None:
    with connect() as client:
        client.get("/a")
    with pytest.raises(Retryable, match="closed") as caught:
        client.post("/a")
    assert not caught.value.sent
    assert len(vendor.seen) == 1


def test_closing_ends_a_wait(connect: Open, vendor: Vendor) -> None:
    client = connect()

    def close_then_fail(request: httpx.Request) -> httpx.Response:
        client.close()
        return httpx.Response(503)

    vendor.plays(close_then_fail)
    with pytest.raises(Retryable, match="closed while it waited") as caught:
        client.put("/a", repeatable=True)
    assert caught.value.sent, "the first try is still in doubt"
    assert len(vendor.seen) == 1


def test_through_the_real_transport(connect: Open, serve: Callable[..., Socket]) -> None:
    server = serve(b'HTTP/1.1 200 OK\r\natl-traceid: t-1\r\nContent-Length: 7\r\n\r\n{"n":7}')
    endpoint = Endpoint(server.url, auth=Bearer(SecretStr("a-word")), request_id_header="ATL-TraceId")
    reply = connect(endpoint, transport=None).get("/a", {"x": 1})
    assert reply.json() == {"n": 7}
    assert reply.request_id == "t-1"
    assert server.requests[0].startswith(b"GET /a?x=1 HTTP/1.1\r\n")
    assert b"\r\nauthorization: Bearer a-word\r\n" in server.requests[0]


def test_through_a_transport_of_the_http_library(respx_mock: respx.MockRouter, connect: Open) -> None:
    """Recordings and mocks of vendors take hold beneath it."""
    route = respx_mock.get(f"{BASE}/a", params={"x": "1"}).respond(200, json={"n": 7})
    reply = connect(transport=httpx.HTTPTransport(trust_env=False)).get("/a", {"x": 1})
    assert reply.json() == {"n": 7}
    assert route.calls.last.request.headers["authorization"] == "Bearer a-word"


def test_an_id_that_is_no_id_is_left_out(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={}, headers={"x-request-id": "x" * 101}))
    assert connect().get("/a").request_id is None


ALSO = Endpoint(BASE, auth=Bearer(SecretStr("a-word")), hosts=(".acme.net", "exact.example"))


@pytest.mark.parametrize(
    "url",
    [
        "https://az1.acme.net/API/next?skipToken=a%3D",
        "https://AZ1.acme.net:443/API/next?skipToken=a%3D",
        "https://exact.example/API/next?skipToken=a%3D",
    ],
)
def test_a_vetted_host_is_followed_with_the_credential(connect: Open, vendor: Vendor, url: str) -> None:
    connect(ALSO).get(url)
    assert vendor.seen[0].url.host == httpx.URL(url).host
    assert vendor.seen[0].url.query == b"skipToken=a%3D"
    assert vendor.seen[0].headers["authorization"] == "Bearer a-word"


@pytest.mark.parametrize(
    "url",
    [
        "http://az1.acme.net/next",
        "https://az1.acme.net:8443/next",
        "https://user@az1.acme.net/next",
        "https://acme.net/next",
        "https://evilacme.net/next",
        "https://acme.net.other.example/next",
        "https://other.example/?host=.acme.net",
        "https://sub.exact.example/next",
        "https://az1.acme.net@other.example/next",
    ],
)
def test_what_only_looks_like_a_vetted_host_is_not(connect: Open, vendor: Vendor, url: str) -> None:
    with pytest.raises(Rejected, match="the credential would go there"):
        connect(ALSO).get(url)
    assert vendor.seen == []


def test_a_job_is_asked_for_until_it_is_done(connect: Open, vendor: Vendor) -> None:
    under_way, done = (httpx.Response(200, json={"status": status}) for status in ("inProgress", "complete"))
    vendor.plays(under_way, under_way, under_way, done)
    reply = connect().get_until(lambda reply: reply.json()["status"] == "complete", "/jobs/7", pause=2.0, longest=4.0)
    assert reply.json() == {"status": "complete"}
    assert [later - earlier for earlier, later in zip(vendor.times, vendor.times[1:], strict=False)] == [2.0, 3.0, 4.0]


def test_a_job_that_takes_longer_than_a_page_may_is_left(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(200, json={"status": "inProgress"}))
    reply = connect(Endpoint(BASE, page_wait=5.0)).get_until(lambda reply: False, "/jobs/7")
    assert reply.json() == {"status": "inProgress"}
    assert vendor.times == [0.0, 2.0, 5.0]


def test_a_declared_read_is_tried_again_like_one(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(500), httpx.Response(200, json={}))
    client = connect(Endpoint(BASE, reads=lambda method, path: path == "/search"))
    assert client.post("/search", {}).status == 200
    assert vendor.lines == ["POST /search", "POST /search"]


def test_the_gate_is_asked_after_all_waiting_and_right_before_each_request(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    asked: list[float] = []
    vendor.plays(httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200, json={}))
    client = connect(may_send=lambda: asked.append(clock.monotonic()))
    client.get("/a")
    assert asked == vendor.times == [0.0, 7.0]


def test_what_the_gate_refuses_is_not_sent_and_not_tried_again(
    connect: Open, vendor: Vendor, clock: ManualClock
) -> None:
    def refuse() -> None:
        raise Withheld("another worker speaks to it", sent=False)

    client = connect(may_send=refuse)
    for verb in (client.get, client.post):
        with pytest.raises(Withheld, match=r"acme: (GET|POST) /a is kept back: another worker") as caught:
            verb("/a")
        assert not caught.value.sent
    assert vendor.seen == []
    assert clock.monotonic() == 0.0


def test_what_the_gate_refuses_is_not_under_way(connect: Open, vendor: Vendor) -> None:
    lost = [False, True, True, True, False]

    def gate() -> None:
        if lost.pop(0):
            raise Withheld("another worker speaks to it", sent=False)

    vendor.plays(httpx.Response(200, json={}))
    told = Endpoint(BASE, budgets=lambda reply: [Budget("account", 5, 4, 60.0)])
    client = connect(told, may_send=gate)
    client.get("/a")
    for _ in range(3):
        with pytest.raises(Withheld):
            client.get("/a")
    client.get("/a")
    assert len(vendor.seen) == 2


def test_a_vendor_can_tell_which_worker_spoke(connect: Open, vendor: Vendor) -> None:
    connect().get("/a")
    connect(user_agent=user_agent("west-7")).get("/a")
    connect(user_agent=user_agent("böse\r\nX: 1")).get("/a")
    assert [request.headers["user-agent"] for request in vendor.seen] == [
        f"cxbridge/{__version__}",
        f"cxbridge/{__version__} (worker west-7)",
        f"cxbridge/{__version__} (worker bseX:1)",
    ]
