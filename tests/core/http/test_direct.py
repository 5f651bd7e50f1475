"""The transport over plain sockets, beside servers of this machine that each misbehave in one way."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cxbridge.core.baton import Baton
from cxbridge.core.clock import ManualClock
from cxbridge.core.errors import Retryable, Withheld
from cxbridge.core.http import Anonymous, Client, Endpoint, MemoryTokens, lines, open_client
from cxbridge.core.http.answers import LARGEST_HEAD
from cxbridge.core.http.direct import DirectTransport
from cxbridge.core.http.wire import open_way

from .conftest import whole_request

# What a server does on one connection; the next one is for the next act, the last act for all that follow.
Act = Callable[[socket.socket], object]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 5.0  # seconds that nothing here takes


class Server:
    """A server of this machine that plays an act on each connection, in a thread of its own."""

    def __init__(self, *acts: Act, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._acts = list(acts)
        self._context = trust
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        name = f"[{host}]" if ":" in host else host
        scheme = "https" if trust else "http"
        self.url = f"{scheme}://{name}:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[bytes] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            act = self._acts[min(self.connections, len(self._acts) - 1)]
            self.connections += 1
            self._open.append(peer)
            self._threads.append(threading.Thread(target=self._play, args=(act, peer), daemon=True))
            self._threads[-1].start()

    def _play(self, act: Act, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
                self._open.append(peer)
            with peer:
                act(peer)

    def hear(self, peer: socket.socket) -> bytes:
        request = whole_request(peer)
        self.requests.append(request)
        return request

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=MOST)


@dataclass
class Scene:
    """Opens servers and transports, and closes them all."""

    closing: list[Callable[[], None]]

    def acts(self, *acts: Act, **options: Any) -> Server:
        server = Server(*acts, **options)
        self.closing.append(server.close)
        return server

    def says(self, *answers: bytes | tuple[bytes, ...], then: str = "", **options: Any) -> Server:
        """Give a server that answers so: each connection with one of these, or with several to as many requests.

        After the last it waits for the other side to hang up; with `then` it hangs up itself, in order or by a reset.
        """
        server: Server

        def act(group: tuple[bytes, ...]) -> Act:
            def play(peer: socket.socket) -> None:
                for answer in group:
                    server.hear(peer)
                    peer.sendall(answer)
                if not then:
                    peer.recv(1)
                elif then == "reset":
                    reset(peer)

            return play

        server = self.acts(*(act(one if isinstance(one, tuple) else (one,)) for one in answers), **options)
        return server

    def transport(self, trust: ssl.SSLContext | None = None, **options: Any) -> DirectTransport:
        transport = DirectTransport(trust or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **options)
        self.closing.append(transport.close)
        return transport


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def answer_one(peer: socket.socket) -> None:
    """Answer one request, and wait for the other side to hang up."""
    whole_request(peer)
    peer.sendall(OK)
    peer.recv(1)


@pytest.fixture
def scene() -> Iterator[Scene]:
    opened = Scene([])
    yield opened
    # Clients before servers, so that these need not wait.
    for close in reversed(opened.closing):
        close()


def request(url: str, method: str = "GET", body: bytes = b"", headers: Any = (), **timeouts: float) -> httpx.Request:
    given = [("Host", "acme.example"), *headers]
    if body:
        given.append(("Content-Length", str(len(body))))
    limits = dict.fromkeys(("connect", "read", "write", "pool"), MOST)
    return httpx.Request(
        method,
        url,
        headers=given,
        stream=httpx.ByteStream(body),
        extensions={"timeout": {**limits, **timeouts}},
    )


def ask(transport: httpx.BaseTransport, url: str, *args: Any, **options: Any) -> tuple[int, bytes]:
    """Send a request, read the whole answer and give the connection back."""
    response = transport.handle_request(request(url, *args, **options))
    assert isinstance(response.stream, httpx.SyncByteStream)
    try:
        return response.status_code, b"".join(response.stream)
    finally:
        response.close()


# -- what is sent --------------------------------------------------------------------------------------------------------


def test_a_request_goes_out_as_it_was_made(scene: Scene) -> None:
    server = scene.says((OK, OK))
    transport = scene.transport()
    assert ask(transport, f"{server.url}/a%20b?x=%C3%BC", headers=[("X-Odd-Case", "a  b"), ("x-obs", b"\xff")]) == (
        200,
        b"ok",
    )
    ask(transport, server.url, "POST", b"\r\n\r\n\0")
    assert server.requests == [
        b"GET /a%20b?x=%C3%BC HTTP/1.1\r\nHost: acme.example\r\nX-Odd-Case: a  b\r\nx-obs: \xff\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: acme.example\r\nContent-Length: 5\r\n\r\n\r\n\r\n\0",
    ]
    assert server.connections == 1


def test_a_large_body_arrives_whole(scene: Scene) -> None:
    body = bytes(range(256)) * 20_000
    server = scene.says(OK)
    ask(scene.transport(), server.url, "PUT", body)
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "broken",
    [
        {"headers": [("X-Note", "hush\r\nX-Evil: 1")]},
        {"headers": [("X-Note", "hush\n")]},
        {"headers": [("X-Note", "hush\0")]},
        {"headers": [("X-Note\r\nX-Evil", "hush")]},
        {"headers": [("X Note", "hush")]},
        {"headers": [("", "hush")]},
        {"method": "GET /hush HTTP/1.1\r\n"},
        {"method": "GÄT"},
        {"headers": [("Host", "hush")]},
        {"headers": [("Content-Length", "4")], "body": b"hush"},
        {"headers": [("Content-Length", "4")]},
        {"headers": [("Transfer-Encoding", "chunked")]},
    ],
)
def test_what_others_could_read_as_another_request_is_not_sent(scene: Scene, broken: dict[str, Any]) -> None:
    server = scene.says(OK)
    with pytest.raises(httpx.LocalProtocolError) as caught:
        ask(scene.transport(), server.url, **broken)
    assert "hush" not in str(caught.value)
    assert server.connections == 0


def test_nothing_of_the_environment_counts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(scene.transport(), scene.says(OK).url) == (200, b"ok")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "/a", "http:///a", "ws://127.0.0.1"])
def test_other_schemes_are_not_spoken(scene: Scene, url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        ask(scene.transport(), url)


def test_redirects_are_not_followed_and_cookies_not_kept(scene: Scene) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    server = scene.says((moved, OK))
    transport = scene.transport()
    assert ask(transport, server.url) == (302, b"")
    ask(transport, server.url)
    assert len(server.requests) == 2
    assert b"ookie" not in server.requests[1]


# -- answers that are good -----------------------------------------------------------------------------------------------

GOOD = {
    "counted": (OK, b"ok"),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    "chunked": (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok"),
    "chunks": (CHUNKED + b"1\r\no\r\n1;a=b\r\nk\r\n2 \r\n\r\n\r\n0\r\nX-Trailer: x\r\n\r\n", b"ok\r\n"),
    "CHUNKED": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok"),
    "continued": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK, b"ok"),
    "offers h2": (b"HTTP/1.1 200 OK\r\nUpgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok", b"ok"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_an_answer_is_read_and_the_connection_kept(scene: Scene, kind: str) -> None:
    answer, body = GOOD[kind]
    server = scene.says((answer, OK))
    transport = scene.transport()
    assert ask(transport, server.url) == (200, body)
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 1


@pytest.mark.parametrize("kind", GOOD)
def test_an_answer_may_come_byte_by_byte(scene: Scene, kind: str) -> None:
    answer, body = GOOD[kind]

    def drip(peer: socket.socket) -> None:
        for _ in range(2):
            server.hear(peer)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for place in range(len(answer)):
                peer.sendall(answer[place : place + 1])

    server = scene.acts(drip)
    transport = scene.transport()
    assert ask(transport, server.url) == ask(transport, server.url) == (200, body)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_some_answers_have_no_body_whatever_they_say(scene: Scene, method: str, answer: bytes) -> None:
    server = scene.says((answer, OK))
    transport = scene.transport()
    assert ask(transport, server.url, method)[1] == b""
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"])
def test_a_body_of_no_length_ends_with_the_connection(scene: Scene, head: bytes) -> None:
    server = scene.says(head + b"as long as it comes", OK, then="hang up")
    transport = scene.transport()
    assert ask(transport, server.url) == (200, b"as long as it comes")
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 2


def test_a_large_body_comes_in_parts(scene: Scene) -> None:
    body = bytes(range(256)) * 20_000
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:70_000], body[70_000:]))
    server = scene.says(
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, CHUNKED + chunks + b"0\r\n\r\n")
    )
    transport = scene.transport()
    for _ in range(2):
        response = transport.handle_request(request(server.url))
        assert isinstance(response.stream, httpx.SyncByteStream)
        parts = list(response.stream)
        response.close()
        assert b"".join(parts) == body
        assert max(map(len, parts)) <= 256 * 1024
    assert server.connections == 1


def test_headers_are_given_as_they_came(scene: Scene) -> None:
    told = (
        b"X-Odd-Case: a\r\nx-empty:\r\nX-BLANK:  \r\nX-Tab:\ta\tb \t\r\nX-Obs: Zo\xeb\r\nx-twice: 1\r\nX-Twice: 2\r\n"
    )
    server = scene.says(b"HTTP/1.1 200 OK\r\n" + told + b"Content-Length: 0\r\n\r\n")
    response = scene.transport().handle_request(request(server.url))
    response.close()
    assert response.headers.raw == [
        (b"X-Odd-Case", b"a"),
        (b"x-empty", b""),
        (b"X-BLANK", b""),
        (b"X-Tab", b"a\tb"),
        (b"X-Obs", b"Zo\xeb"),
        (b"x-twice", b"1"),
        (b"X-Twice", b"2"),
        (b"Content-Length", b"0"),
    ]


# -- answers that are none -----------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "a blank line first": b"\r\n" + OK,
    "two blank lines first": b"\r\n\r\n" + OK,
    "rtsp": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/1.7": b"HTTP/1.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 099 Huh\r\nContent-Length: 0\r\n\r\n",
    "status 20": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching\r\nUpgrade: h2\r\nConnection: Upgrade\r\n\r\n",
    "switched without a word": b"HTTP/1.1 101 Switching\r\n\r\n" + OK,
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two lengths in one": HEAD + b"Content-Length: 2, 3\r\n\r\nok",
    "a length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\nok",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\nok",
    "a length in hex": HEAD + b"Content-Length: 0x2\r\n\r\nok",
    "a length of two words": HEAD + b"Content-Length: 2 2\r\n\r\nok",
    "no length in the length": HEAD + b"Content-Length: \r\n\r\nok",
    "a length beyond all": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nok",
    "coded twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coded otherwise": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coded unheard of": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a null": HEAD + b"X-Note: hu\0sh\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": HEAD + b"X-Note: hu\rsh\r\nContent-Length: 0\r\n\r\n",
    "a vertical tab": HEAD + b"X-Note: hu\x0bsh\r\nContent-Length: 0\r\n\r\n",
    "an escape": HEAD + b"X-Note: hu\x1bsh\r\nContent-Length: 0\r\n\r\n",
    "a folded line": HEAD + b"X-Note: hu\r\n sh\r\nContent-Length: 0\r\n\r\n",
    "a blank before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "no colon": HEAD + b"Content-Length\r\n\r\n",
    "no name": HEAD + b": hush\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "no size": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "a size that is no number": CHUNKED + b"g\r\nok\r\n0\r\n\r\n",
    "a size with a sign": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    "a size with a prefix": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "a size beyond all": CHUNKED + b"fffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"2\r\noks\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"3\r\nok\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"2\nok\n0\n\n",
    "a trailer that is none": CHUNKED + b"2\r\nok\r\n0\r\nhush\r\n\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_http_is_no_answer(scene: Scene, kind: str) -> None:
    server = scene.says(BROKEN[kind], OK)
    transport = scene.transport()
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        ask(transport, server.url)
    assert "sh" not in str(caught.value).replace("should", "")
    assert ask(transport, server.url) == (200, b"ok")
    assert (server.connections, len(server.requests)) == (2, 2)


CUT = {
    "nothing": b"",
    "a status line": b"HTTP/1.1 200 O",
    "a head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    "no chunk": CHUNKED,
    "a size": CHUNKED + b"2",
    "a chunk": CHUNKED + b"3\r\nok",
    "the last chunk": CHUNKED + b"2\r\nok\r\n",
    "the end": CHUNKED + b"2\r\nok\r\n0\r\n",
    "the last byte": CHUNKED + b"2\r\nok\r\n0\r\n\r",
}


@pytest.mark.parametrize("kind", CUT)
def test_an_answer_that_was_cut_off_is_none(scene: Scene, kind: str) -> None:
    server = scene.says(CUT[kind], then="hang up")
    with pytest.raises(httpx.RemoteProtocolError, match="the connection ended before"):
        ask(scene.transport(), server.url, "POST", b"1")
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["a head", "a body", "a chunk"])
def test_a_reset_is_a_broken_connection(scene: Scene, kind: str) -> None:
    server = scene.says(CUT[kind], then="reset")
    with pytest.raises(httpx.ReadError):
        ask(scene.transport(), server.url, "POST", b"1")
    assert len(server.requests) == 1


def endless(*, first: bytes, again: bytes) -> Act:
    def play(peer: socket.socket) -> None:
        whole_request(peer)
        peer.sendall(first)
        while True:
            peer.sendall(again)

    return play


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD, b"X-More: of it\r\n"),
        (HEAD + b"X-More: ", b"x" * 1000),
        (b"HTTP/1.1 200 ", b"x" * 1000),
        (b"", b"HTTP/1.1 103 Hints\r\n\r\n"),
        (CHUNKED + b"1;", b"x" * 1000),
        (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-More: of it\r\n"),
    ],
    ids=["headers", "a value", "a reason", "interim answers", "a chunk's extension", "trailers"],
)
def test_nothing_around_an_answer_is_endless(scene: Scene, first: bytes, again: bytes) -> None:
    server = scene.acts(endless(first=first, again=again))
    with pytest.raises(httpx.RemoteProtocolError, match=r"too large|too much"):
        ask(scene.transport(), server.url)


def test_a_head_may_be_large_and_no_larger(scene: Scene) -> None:
    def head(size: int) -> bytes:
        short = HEAD + b"X-Long: \r\nContent-Length: 0\r\n\r\n"
        return short.replace(b"X-Long: ", b"X-Long: " + b"x" * (size - len(short)))

    server = scene.says((head(LARGEST_HEAD), head(LARGEST_HEAD + 1)))
    transport = scene.transport()
    assert ask(transport, server.url) == (200, b"")
    with pytest.raises(httpx.RemoteProtocolError, match="too large"):
        ask(transport, server.url)


# -- time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [b"", HEAD, HEAD + b"Content-Length: 3\r\n\r\nok", CHUNKED + b"2\r\nok\r\n", HEAD + b"\r\nok"]
)
def test_silence_ends_by_the_time_out(scene: Scene, said: bytes) -> None:
    with pytest.raises(httpx.ReadTimeout):
        ask(scene.transport(), scene.says(said).url, read=0.05)


@pytest.mark.parametrize("first", [HEAD, CHUNKED + b"2;"], ids=["a head", "a chunk"])
def test_what_drips_is_given_up(scene: Scene, first: bytes) -> None:
    ended = threading.Event()

    def play(peer: socket.socket) -> None:
        whole_request(peer)
        peer.sendall(first)
        while not ended.wait(0.02):
            peer.sendall(b"x")

    server = scene.acts(play)
    try:
        with pytest.raises(httpx.ReadTimeout):
            ask(scene.transport(), server.url, read=0.1)
    finally:
        ended.set()


def test_a_server_that_takes_nothing_is_given_up(scene: Scene) -> None:
    ended = threading.Event()
    server = scene.acts(lambda peer: ended.wait(MOST))
    try:
        with pytest.raises(httpx.WriteTimeout):
            ask(scene.transport(), server.url, "POST", bytes(32 * 1024 * 1024), write=0.1)
    finally:
        ended.set()


def test_a_server_that_takes_too_little_is_given_up(scene: Scene) -> None:
    ended = threading.Event()

    def sip(peer: socket.socket) -> None:
        while not ended.wait(0.02):
            peer.recv(1_000_000)

    server = scene.acts(sip)
    try:
        with pytest.raises(httpx.WriteTimeout):
            ask(scene.transport(), server.url, "POST", bytes(128 * 1024 * 1024), write=0.1)
    finally:
        ended.set()


# -- never sent ----------------------------------------------------------------------------------------------------------


def test_a_closed_port_is_no_connection(scene: Scene) -> None:
    server = scene.says(OK)
    server.close()
    with pytest.raises(httpx.ConnectError) as caught:
        ask(scene.transport(), server.url)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_name_that_nobody_knows_is_no_connection(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpx.ConnectError) as caught:
        ask(scene.transport(), "http://nobody.invalid")
    assert isinstance(caught.value.__cause__, socket.gaierror)


def test_a_name_that_is_none_is_no_connection(scene: Scene) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(scene.transport(), f"http://{'a' * 70}.example")


def test_a_host_that_does_not_answer_is_no_connection(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # Whoever comes after these two hears nothing.
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(address)
        try:
            with pytest.raises(httpx.ConnectTimeout):
                ask(scene.transport(), f"http://127.0.0.1:{address[1]}", connect=0.1)
        finally:
            for one in waiting:
                one.close()


# -- connections that are kept -------------------------------------------------------------------------------------------


def test_what_the_server_has_closed_is_not_written_to(scene: Scene) -> None:
    server = scene.says(OK, (OK, OK), then="hang up")
    transport = scene.transport()
    ask(transport, server.url)
    hung_up(server, 0)
    ask(transport, server.url, "POST", b"1")
    ask(transport, server.url, "POST", b"2")
    assert (server.connections, len(server.requests)) == (2, 3)


def hung_up(server: Server, number: int) -> None:
    """Wait until the server has ended that connection."""
    server._threads[number + 1].join(MOST)


def test_what_nobody_asked_for_is_no_answer(scene: Scene) -> None:
    said = threading.Event()

    def play(peer: socket.socket) -> None:
        server.hear(peer)
        peer.sendall(OK)
        read.wait(MOST)
        peer.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        said.set()
        peer.recv(1)

    read = threading.Event()
    server = scene.acts(play, answer_one)
    transport = scene.transport()
    ask(transport, server.url)
    read.set()
    assert said.wait(MOST)
    assert ask(transport, server.url, "POST", b"1") == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("method", "answer", "body"),
    [
        ("GET", OK + b"\r\n", b"ok"),
        ("GET", OK + OK, b"ok"),
        ("GET", OK[:-2] + b"okay", b"ok"),
        ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n\r\n", b"ok"),
        ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\nhush", b"ok"),
        ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + OK, b"ok"),
        ("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"ok"),
        ("HEAD", OK, b""),
        ("DELETE", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", b""),
    ],
)
def test_after_a_byte_too_many_a_connection_is_not_used_again(
    scene: Scene, method: str, answer: bytes, body: bytes
) -> None:
    server = scene.says((answer, OK), OK)
    transport = scene.transport()
    assert ask(transport, server.url, method)[1] == body
    assert ask(transport, server.url, "POST", b"1") == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", []),
        (b"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok", []),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", []),
        (OK, [("Connection", "close")]),
    ],
)
def test_both_sides_must_want_to_keep_it(scene: Scene, answer: bytes, headers: Any) -> None:
    server = scene.says((answer, OK), OK)
    transport = scene.transport()
    assert ask(transport, server.url, headers=headers) == (200, b"ok")
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize("parts", [0, 1])
@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", HEAD + b"Content-Length: 5\r\n\r\nok"),
        ("GET", CHUNKED + b"2\r\nok\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\nok"),
    ],
)
def test_an_answer_that_was_not_read_to_its_end_ends_its_connection(
    scene: Scene, method: str, answer: bytes, parts: int
) -> None:
    server = scene.says((answer, OK), OK)
    transport = scene.transport()
    response = transport.handle_request(request(server.url, method))
    assert isinstance(response.stream, httpx.SyncByteStream)
    list(islice(response.stream, parts))
    response.close()
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 2


def test_an_answer_is_read_once(scene: Scene) -> None:
    server = scene.says((OK, OK))
    transport = scene.transport()
    for read in (False, True):
        response = transport.handle_request(request(server.url))
        assert isinstance(response.stream, httpx.SyncByteStream)
        if read:
            assert list(response.stream) == [b"ok"]
        else:
            response.close()
        with pytest.raises(httpx.StreamConsumed):
            list(response.stream)
        response.close()


def test_nothing_is_sent_twice(scene: Scene) -> None:
    def play(peer: socket.socket) -> None:
        server.hear(peer)
        peer.sendall(OK)
        server.hear(peer)  # and goes without a word

    server = scene.acts(play)
    transport = scene.transport()
    ask(transport, server.url)
    for method in ("GET", "POST"):
        with pytest.raises(httpx.RemoteProtocolError):
            ask(transport, server.url, method)
        ask(transport, server.url)
    assert [asked[:4] for asked in server.requests] == [b"GET ", b"GET ", b"GET ", b"POST", b"GET "]


def test_what_lay_idle_is_closed(scene: Scene) -> None:
    server = scene.says(OK)
    transport = scene.transport(kept_for=0.0)
    for _ in range(3):
        ask(transport, server.url)
    assert server.connections == 3


def test_the_connection_that_was_used_last_is_used_first(scene: Scene) -> None:
    named = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(2)]
    server = scene.says((named[0],) * 4, (named[1],) * 4)
    transport = scene.transport()
    first, second = (transport.handle_request(request(server.url)) for _ in range(2))
    for response in (second, first):
        assert isinstance(response.stream, httpx.SyncByteStream)
        list(response.stream)
        response.close()
    assert [ask(transport, server.url)[1] for _ in range(2)] == [b"0", b"0"]
    assert server.connections == 2


def test_one_origin_gets_no_connection_to_another(scene: Scene) -> None:
    one, other = scene.says((OK, OK)), scene.says((OK, OK))
    transport = scene.transport()
    for server in (one, other, one, other):
        ask(transport, server.url)
    assert (len(one.requests), len(other.requests)) == (2, 2)
    assert (one.connections, other.connections) == (1, 1)


def test_a_new_connection_takes_the_place_of_the_oldest_idle_one(scene: Scene) -> None:
    one, other = scene.says(OK), scene.says(OK)
    transport = scene.transport(most=1)
    ask(transport, one.url)
    ask(transport, other.url)
    hung_up(one, 0)
    assert not one._threads[1].is_alive()


# -- waiting for one another ---------------------------------------------------------------------------------------------


def test_there_are_never_more_connections_than_allowed(scene: Scene) -> None:
    lock = threading.Lock()
    now, most = 0, 0

    def play(peer: socket.socket) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with suppress(IndexError):
            while (asked := whole_request(peer)) is not None:
                name = asked.split(b" ")[1]
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(name) + name)
        with lock:
            now -= 1

    server = scene.acts(play)
    transport = scene.transport(most=3)
    paths = [f"/{number}" for number in range(300)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda path: ask(transport, server.url + path), paths))
    assert answers == [(200, path.encode()) for path in paths]
    assert most <= 3
    assert server.connections <= 3


def test_waiting_for_a_connection_ends_and_is_never_sent(scene: Scene) -> None:
    server = scene.says((OK, OK))
    transport = scene.transport(most=1)
    held = transport.handle_request(request(server.url))
    for _ in range(2):
        with pytest.raises(httpx.PoolTimeout):
            ask(transport, server.url, pool=0.02)
    assert isinstance(held.stream, httpx.SyncByteStream)
    list(held.stream)
    held.close()
    assert ask(transport, server.url, pool=0.02) == (200, b"ok")
    assert len(server.requests) == 2


def test_who_came_first_is_served_first(scene: Scene) -> None:
    server = scene.says((OK,) * 5)
    transport = scene.transport(most=1)
    held = transport.handle_request(request(server.url))
    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=ask, args=(transport, f"{server.url}/{number}")))
        threads[-1].start()
        while len(transport._lines._waiting) <= number:
            threading.Event().wait(0.001)
    assert isinstance(held.stream, httpx.SyncByteStream)
    list(held.stream)
    held.close()
    for thread in threads:
        thread.join(MOST)
    assert [asked.split(b" ")[1] for asked in server.requests] == [b"/", b"/0", b"/1", b"/2", b"/3"]


def test_a_failure_leaves_room_for_the_next(scene: Scene) -> None:
    transport = scene.transport(most=1)
    server, cutting, gone = scene.says(OK), scene.says(b"", then="hang up"), scene.says(OK)
    gone.close()
    for url in (gone.url, cutting.url, "http://a..b"):
        with pytest.raises(httpx.TransportError):
            ask(transport, url)
        assert transport._lines._free == 1
    assert ask(transport, server.url, pool=0.05) == (200, b"ok")


# -- a server that hangs up while it is sent to --------------------------------------------------------------------------

LARGE = bytes(32 * 1024 * 1024)


def test_what_it_said_before_is_heard(scene: Scene) -> None:
    def play(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
        reset(peer)

    server = scene.acts(play, answer_one)
    transport = scene.transport()
    assert ask(transport, server.url, "POST", LARGE) == (413, b"no!")
    assert ask(transport, server.url) == (200, b"ok")
    assert server.connections == 2


def test_where_it_said_nothing_the_request_may_have_been_done(scene: Scene) -> None:
    def play(peer: socket.socket) -> None:
        peer.recv(1000)
        reset(peer)

    with pytest.raises(httpx.WriteError) as caught:
        ask(scene.transport(), scene.acts(play).url, "POST", LARGE)
    assert isinstance(caught.value.__cause__, OSError)


# -- closing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"Content-Length: 3\r\n\r\nok", CHUNKED, HEAD + b"\r\nok"])
def test_closing_ends_what_is_under_way_and_makes_no_half_answer_a_whole_one(scene: Scene, said: bytes) -> None:
    heard = threading.Event()

    def play(peer: socket.socket) -> None:
        whole_request(peer)
        peer.sendall(said)
        heard.set()
        peer.recv(1)

    server = scene.acts(play)
    transport = scene.transport()

    def close() -> None:
        heard.wait(MOST)
        transport.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ask(transport, server.url, read=60)
    closer.join()
    hung_up(server, 0)
    assert not server._threads[1].is_alive()


def test_who_waits_hears_of_the_end_as_never_sent(scene: Scene) -> None:
    server = scene.says(OK)
    transport = scene.transport(most=1)
    held = transport.handle_request(request(server.url))
    failed: SimpleQueue[Exception] = SimpleQueue()

    def wait() -> None:
        try:
            ask(transport, server.url, pool=60)
        except httpx.TransportError as error:
            failed.put(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not transport._lines._waiting:
        threading.Event().wait(0.001)
    transport.close()
    assert type(failed.get(timeout=MOST)) is httpx.ConnectError
    waiting.join()
    held.close()
    with pytest.raises(httpx.ConnectError):
        ask(transport, server.url)
    transport.close()
    assert server.connections == 1


def test_a_connection_that_was_being_made_is_not_used_after_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scene.says(OK)
    transport = scene.transport()
    connect = socket.create_connection

    def meanwhile(*args: Any) -> socket.socket:
        transport.close()
        return connect(*args)

    monkeypatch.setattr(socket, "create_connection", meanwhile)
    with pytest.raises(httpx.ConnectError):
        ask(transport, server.url, "POST", b"1")
    assert server.requests == []


def test_a_closed_client_ends_its_calls(scene: Scene, clock: ManualClock) -> None:
    heard = threading.Event()

    def play(peer: socket.socket) -> None:
        server.hear(peer)
        heard.set()
        peer.recv(1)

    server = scene.acts(play)
    transport = scene.transport(most=1)
    client = connect(server, clock, transport)
    failed: SimpleQueue[Retryable] = SimpleQueue()

    def post() -> None:
        try:
            client.post("/a", {"n": 1})
        except Retryable as error:
            failed.put(error)

    first, second = (threading.Thread(target=post) for _ in range(2))
    first.start()
    assert heard.wait(MOST)
    second.start()
    while not transport._lines._waiting:
        threading.Event().wait(0.001)
    client.close()
    ends = sorted((failed.get(timeout=MOST) for _ in range(2)), key=lambda error: error.sent)
    assert [error.sent for error in ends] == [False, True]
    assert isinstance(ends[0], Withheld)
    assert "closed" in str(ends[0])
    assert len(server.requests) == 1
    first.join()
    second.join()


def connect(server: Server, clock: ManualClock, transport: httpx.BaseTransport | None) -> Client:
    endpoint = Endpoint(server.url, auth=Anonymous())
    return open_client(endpoint, connection="acme", clock=clock, tokens=MemoryTokens(), transport=transport)


# -- TLS -----------------------------------------------------------------------------------------------------------------


@dataclass
class Papers:
    """What a server shows, and what a client trusts."""

    shown: Path
    trusted: Path

    def server(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.shown)
        context.maximum_version = version
        return context

    def trust(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.trusted)
        context.set_alpn_protocols(["http/1.1"])
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "shown.pem").write_bytes(private + public)
    (folder / "trusted.pem").write_bytes(public)
    return Papers(folder / "shown.pem", folder / "trusted.pem")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_spoken_on_a_kept_connection(scene: Scene, papers: Papers, version: ssl.TLSVersion) -> None:
    context = papers.server(version)
    context.set_alpn_protocols(["h2", "http/1.1"])
    named: list[str | None] = []
    context.sni_callback = lambda opened, name, given: named.append(name)
    agreed: list[str | None] = []

    def play(peer: socket.socket) -> None:
        assert isinstance(peer, ssl.SSLSocket)
        agreed.append(peer.selected_alpn_protocol())
        for _ in range(3):
            server.hear(peer)
            peer.sendall(OK)
        peer.recv(1)

    server = scene.acts(play, trust=context)
    transport = scene.transport(papers.trust())
    url = server.url.replace("127.0.0.1", "localhost")
    assert [ask(transport, url, "POST", b"x" * 100_000) for _ in range(3)] == [(200, b"ok")] * 3
    assert (server.connections, named, agreed) == (1, ["localhost"], ["http/1.1"])


def test_a_certificate_that_is_not_trusted_is_no_connection(scene: Scene, papers: Papers, clock: ManualClock) -> None:
    server = scene.says(OK, trust=papers.server())
    with pytest.raises(httpx.ConnectError) as caught:
        ask(scene.transport(), server.url)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    with connect(server, clock, None) as client:
        with pytest.raises(Retryable, match="certificate of the vendor's host is not trusted") as told:
            client.post("/a", {"n": 1})
    assert not told.value.sent
    assert server.requests == []


def test_a_certificate_for_another_host_is_no_connection(
    scene: Scene, papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scene.says(OK, trust=papers.server())
    real = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: real(("127.0.0.1", address[1]), timeout))
    with pytest.raises(httpx.ConnectError) as caught:
        ask(scene.transport(papers.trust()), server.url.replace("127.0.0.1", "acme.example"))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert server.requests == []


def test_a_server_without_tls_is_no_connection(scene: Scene, papers: Papers) -> None:
    server = scene.acts(lambda peer: peer.sendall(OK))
    with pytest.raises(httpx.ConnectError):
        ask(scene.transport(papers.trust()), server.url.replace("http:", "https:"))


def test_a_server_that_is_silent_on_tls_is_no_connection(scene: Scene, papers: Papers) -> None:
    server = scene.acts(lambda peer: (peer.recv(10_000), peer.recv(10_000)))
    with pytest.raises(httpx.ConnectTimeout):
        ask(scene.transport(papers.trust()), server.url.replace("http:", "https:"), connect=0.1)


def test_closing_ends_an_agreement_on_tls(scene: Scene, papers: Papers) -> None:
    transport = scene.transport(papers.trust())

    def play(peer: socket.socket) -> None:
        peer.recv(10_000)
        transport.close()
        peer.recv(10_000)

    server = scene.acts(play)
    with pytest.raises(httpx.ConnectError):
        ask(transport, server.url.replace("http:", "https:"), connect=60)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"Content-Length: 9\r\n\r\n", CHUNKED])
def test_tls_that_was_cut_off_ends_no_answer(scene: Scene, papers: Papers, head: bytes, in_order: bool) -> None:
    def play(peer: socket.socket) -> None:
        assert isinstance(peer, ssl.SSLSocket)
        server.hear(peer)
        peer.sendall(head + b"ok")
        if in_order:
            peer.unwrap()
        else:
            socket.socket.shutdown(peer, socket.SHUT_RDWR)

    server = scene.acts(play, trust=papers.server())
    transport = scene.transport(papers.trust())
    if in_order and head == HEAD + b"\r\n":
        assert ask(transport, server.url) == (200, b"ok")
    else:
        with pytest.raises(httpx.RemoteProtocolError):
            ask(transport, server.url)


def test_what_stands_behind_an_answer_in_tls_is_seen(scene: Scene, papers: Papers) -> None:
    body = b"x" * 10_000

    def play(peer: socket.socket) -> None:
        server.hear(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        peer.sendall(body + b"and more")
        peer.recv(1)

    server = scene.acts(play, answer_one, trust=papers.server())
    transport = scene.transport(papers.trust())
    assert ask(transport, server.url) == (200, body)
    assert ask(transport, server.url, "POST", b"1") == (200, b"ok")
    assert server.connections == 2


def test_a_hang_up_sends_nothing_in_the_clear(scene: Scene, papers: Papers) -> None:
    """Another thread may be about to send when the client is closed."""
    server = scene.says((OK, OK), trust=papers.server())
    transport = scene.transport(papers.trust())
    ask(transport, server.url)
    line = transport._lines.take(("https", "127.0.0.1", int(server.url.rpartition(":")[2])), MOST, MOST)
    transport.close()
    assert isinstance(line._socket, ssl.SSLSocket)
    assert line._socket.version() is not None
    with pytest.raises(httpx.WriteError):
        line.send(b"hush", MOST)
    transport._lines.drop(line)


# -- addresses -----------------------------------------------------------------------------------------------------------


def test_ipv6_is_spoken(scene: Scene) -> None:
    try:
        server = scene.says(OK, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert ask(scene.transport(), server.url) == (200, b"ok")


def test_it_is_what_clients_speak_over() -> None:
    way = open_way(None, read_only=False, token_url=None)
    assert isinstance(way, DirectTransport)
    way.close()


@pytest.fixture
def baton(monkeypatch: pytest.MonkeyPatch) -> Baton:
    """One that nobody takes unasked."""
    one = Baton(patience=60.0)
    monkeypatch.setattr(lines, "BATON", one)
    return one


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_while_a_vendor_is_waited_for_others_compute(scene: Scene, baton: Baton, kind: str, papers: Papers) -> None:
    answered = threading.Event()

    def late(peer: socket.socket) -> None:
        server.hear(peer)
        peer.sendall(OK)
        server.hear(peer)
        # Whoever waits for this answer keeps nobody from computing, or it never comes.
        assert answered.wait(MOST)
        peer.sendall(OK)
        peer.recv(1)

    def compute() -> None:
        with baton.part():
            answered.set()

    theirs, ours = (papers.server(), papers.trust()) if kind == "tls" else (None, None)
    server, transport = scene.acts(late, trust=theirs), scene.transport(ours)
    with baton.part():
        # A connection is waited for as well.
        ask(transport, server.url)
        other = threading.Thread(target=compute, daemon=True)
        other.start()
        assert ask(transport, server.url) == (200, b"ok")
        assert baton.is_mine
    other.join(MOST)


def test_an_answer_that_is_there_in_a_moment_is_taken_with_the_baton_in_hand(
    scene: Scene, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SHORT", 60_000)
    server, transport = scene.says((OK, OK)), scene.transport()
    left: list[str] = []
    with baton.part():
        ask(transport, server.url)
        monkeypatch.setattr(baton, "leave", lambda: left.append("left"))
        ask(transport, server.url)
        monkeypatch.undo()
    assert left == []


def test_while_a_connection_is_waited_for_others_compute(scene: Scene, baton: Baton) -> None:
    def late(peer: socket.socket) -> None:
        server.hear(peer)
        asked.set()
        assert answered.wait(MOST)
        peer.sendall(OK)
        answer_one(peer)

    def compute() -> None:
        assert asked.wait(MOST)
        with baton.part():
            answered.set()

    asked, answered = threading.Event(), threading.Event()
    server, transport = scene.acts(late), scene.transport(most=1)
    # It has the only connection, and takes no part.
    first = threading.Thread(target=ask, args=(transport, server.url), daemon=True)
    first.start()
    assert asked.wait(MOST)
    with baton.part():
        other = threading.Thread(target=compute, daemon=True)
        other.start()
        assert ask(transport, server.url) == (200, b"ok")
    for thread in (first, other):
        thread.join(MOST)
