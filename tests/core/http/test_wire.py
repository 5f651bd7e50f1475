"""An answer is complete and bounded or it is none; seen both at a scripted transport and at real sockets."""

import gzip
import json
import ssl
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import Retryable, WireFormat, Withheld
from cxbridge.core.http import Anonymous, Client, Endpoint, MemoryTokens, open_client
from cxbridge.core.http.wire import Wire

from .conftest import BASE, Open, Socket, Vendor

MIB = 1024 * 1024
Serve = Callable[..., Socket]
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"rows": 7}'


class Chunks(httpx.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk

    def close(self) -> None:
        self.closed = True


def streamed(*chunks: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, stream=Chunks(iter(chunks)))


def test_a_compressed_answer_is_read(connect: Open, vendor: Vendor) -> None:
    packed = gzip.compress(json.dumps({"rows": list(range(1000))}).encode())
    vendor.plays(streamed(packed[:10], packed[10:40], packed[40:], content_encoding="gzip"))
    assert connect().get("/a").json() == {"rows": list(range(1000))}


def test_members_in_a_row_are_one_body(connect: Open, vendor: Vendor) -> None:
    vendor.plays(
        streamed(gzip.compress(b'{"a":') + gzip.compress(b"1"), gzip.compress(b"}"), content_encoding="x-gzip")
    )
    assert connect().get("/a").body == b'{"a":1}'


@pytest.mark.parametrize(
    "answer",
    [
        lambda: streamed(gzip.compress(b'{"a": 1}')[:-6], content_encoding="gzip"),
        lambda: streamed(b'{"a": 1}', content_encoding="gzip"),
        lambda: streamed(gzip.compress(b"x" * 500)[:20] + b"\xff" * 20, content_encoding="gzip"),
        lambda: streamed(b'{"a": ', content_length="9"),
        lambda: streamed(b'{"a": 1}..', content_length="8"),
        lambda: streamed(content_length="2"),
    ],
    ids=["gzip cut", "not gzip", "gzip broken", "shorter", "longer", "empty"],
)
def test_half_an_answer_is_none(connect: Open, vendor: Vendor, answer: Callable[[], httpx.Response]) -> None:
    vendor.plays(lambda request: answer())
    with pytest.raises(Retryable) as read:
        connect().get("/a")
    assert not read.value.sent
    assert len(vendor.seen) == 4

    vendor.seen.clear()
    with pytest.raises(Retryable) as write:
        connect().post("/a", {})
    assert write.value.sent
    assert len(vendor.seen) == 1


def test_an_empty_answer_under_gzip_is_empty(connect: Open, vendor: Vendor) -> None:
    vendor.plays(streamed(content_encoding="gzip"))
    assert connect().delete("/a").body == b""


def test_no_content_may_announce_a_length(connect: Open, vendor: Vendor) -> None:
    vendor.plays(httpx.Response(204, headers={"content-length": "5"}))
    assert connect().delete("/a").status == 204


def test_a_body_is_counted_while_it_comes(connect: Open, vendor: Vendor) -> None:
    endless = Chunks(b"x" * 65536 for _ in range(10_000))
    vendor.plays(httpx.Response(200, stream=endless))
    with pytest.raises(WireFormat, match="larger than 2 MiB"):
        connect(Endpoint(BASE, max_body=2 * MIB)).get("/a")
    assert endless.taken == 33
    assert endless.closed
    assert len(vendor.seen) == 1


def test_a_body_announced_too_large_is_not_read_at_all(connect: Open, vendor: Vendor) -> None:
    body = Chunks(b"x" * 65536 for _ in range(10))
    vendor.plays(httpx.Response(200, headers={"content-length": str(65 * MIB)}, stream=body))
    with pytest.raises(WireFormat, match="larger than 64 MiB"):
        connect().get("/a")
    assert body.taken == 0


def test_the_limit_counts_what_comes_out_of_compression(connect: Open, vendor: Vendor) -> None:
    text = b"".join(b'{"id": %d, "n": %d}' % (n, n * n % 7919) for n in range(100_000))
    packed = gzip.compress(text, 1)
    assert len(packed) < 2 * MIB < len(text)
    vendor.plays(streamed(packed, content_encoding="gzip"))
    with pytest.raises(WireFormat, match="larger than 2 MiB"):
        connect(Endpoint(BASE, max_body=2 * MIB)).get("/a")


def test_compression_beyond_reason_is_refused_early(connect: Open, vendor: Vendor) -> None:
    bomb = gzip.compress(b" " * 50 * MIB)
    body = Chunks(iter([bomb[:1000], bomb[1000:2000], bomb[2000:4000], bomb[4000:]]))
    vendor.plays(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=body))
    with pytest.raises(WireFormat, match="compressed more than any text"):
        connect().get("/a")
    assert body.taken < 4


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_compressions_were_not_asked_for(connect: Open, vendor: Vendor, encoding: str) -> None:
    vendor.plays(streamed(zlib.compress(b"{}"), content_encoding=encoding))
    with pytest.raises(WireFormat, match="not asked for"):
        connect().get("/a")


def test_a_body_that_drips_is_given_up(connect: Open, vendor: Vendor, clock: ManualClock) -> None:
    def drip() -> Iterator[bytes]:
        while True:
            clock.advance(10)
            yield b" "

    vendor.plays(lambda request: httpx.Response(200, stream=Chunks(drip())))
    with pytest.raises(Retryable, match="too slowly") as caught:
        connect(Endpoint(BASE, timeout=5)).post("/a")
    assert caught.value.sent
    assert clock.monotonic() == 30.0


def test_an_untrusted_certificate_is_named(connect: Open, vendor: Vendor) -> None:
    broken = httpx.ConnectError("no")
    broken.__cause__ = ssl.SSLCertVerificationError("self-signed")
    vendor.plays(broken)
    with pytest.raises(Retryable, match="certificate of the vendor's host is not trusted") as caught:
        connect().post("/a")
    assert not caught.value.sent


def real(connect: Open, server: Socket) -> Client:
    client: Client = connect(Endpoint(server.url, auth=Anonymous()), transport=None)
    return client


def test_sockets_an_answer(connect: Open, serve: Serve) -> None:
    server = serve(OK)
    assert real(connect, server).get("/a", {"x": 1}).json() == {"rows": 7}
    assert server.requests[0].startswith(b"GET /a?x=1 HTTP/1.1\r\n")


CUT = {
    "length": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"rows": [1, 2',
    "chunked": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"rows": \r\n',
    "head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "silence": b"",
    "no http": b"SSH-2.0-OpenSSH_9.9\r\n",
}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("kind", CUT)
def test_sockets_a_cut_answer_is_read_again(connect: Open, serve: Serve, kind: str, reset: bool) -> None:
    server = serve(CUT[kind], CUT[kind], OK, reset=reset)
    assert real(connect, server).get("/a").json() == {"rows": 7}
    assert len(server.requests) == 3


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("kind", CUT)
def test_sockets_a_cut_answer_leaves_a_write_in_doubt(connect: Open, serve: Serve, kind: str, reset: bool) -> None:
    server = serve(CUT[kind], OK, reset=reset)
    with pytest.raises(Retryable) as caught:
        real(connect, server).post("/a", {"n": 1})
    assert caught.value.sent
    assert len(server.requests) == 1
    assert connect.done[-1].status is None


def test_sockets_a_closed_port_means_never_sent(connect: Open, serve: Serve) -> None:
    server = serve()
    server.close()
    with pytest.raises(Retryable, match="cannot be reached") as caught:
        real(connect, server).post("/a", {"n": 1})
    assert not caught.value.sent
    assert len(connect.done) == 4


def test_sockets_silence_ends_by_the_timeout(connect: Open, serve: Serve) -> None:
    server = serve(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"rows":', OK)
    waiting = connect(Endpoint(server.url, timeout=0.05), transport=None)
    with pytest.raises(Retryable):
        waiting.put("/a", {})


def test_sockets_one_connection_serves_many_requests(connect: Open, serve: Serve) -> None:
    server = serve((OK, OK, OK))
    client = real(connect, server)
    assert [client.get(path).status for path in ("/a", "/b", "/c")] == [200] * 3


def test_a_request_says_no_more_than_it_must(serve: Serve, clock: ManualClock) -> None:
    """As it lies on the wire: every header once, and how long the body is wherever there may be one."""
    server = serve((OK, OK, OK, OK))
    client = open_client(
        Endpoint(f"{server.url}/api", headers={"Accept": "application/vnd.acme+json"}),
        connection="acme",
        clock=clock,
        tokens=MemoryTokens(),
        user_agent="cxbridge/test",
    )
    client.get("/a", {"q": "ü &"})
    client.post("/a", {"b": 1})
    client.post("/a")
    client.delete("/a")
    client.close()
    every = {
        "host": server.url.removeprefix("http://"),
        "accept": "application/vnd.acme+json",
        "accept-encoding": "gzip",
        "connection": "keep-alive",
        "user-agent": "cxbridge/test",
    }
    sent = []
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *headers = head.decode("ascii").split("\r\n")
        named = [header.partition(": ")[::2] for header in headers]
        assert len(dict(named)) == len(named)
        sent.append((line, {name.lower(): value for name, value in named}, body))
    assert sent == [
        ("GET /api/a?q=%C3%BC%20%26 HTTP/1.1", every, b""),
        ("POST /api/a HTTP/1.1", {**every, "content-type": "application/json", "content-length": "7"}, b'{"b":1}'),
        ("POST /api/a HTTP/1.1", {**every, "content-length": "0"}, b""),
        ("DELETE /api/a HTTP/1.1", every, b""),
    ]


def test_a_wire_that_was_closed_opens_no_connection_any_more(vendor: Vendor, clock: ManualClock) -> None:
    wire = Wire(vendor, clock, timeout=1, max_body=MIB)
    request = wire.request("GET", httpx.URL(BASE), {}, None)
    wire.close()
    with pytest.raises(Withheld, match="the client is closed") as caught:
        wire.exchange(request)
    assert not caught.value.sent
    assert vendor.seen == []
