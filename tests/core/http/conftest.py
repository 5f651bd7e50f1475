"""A vendor whose answers a test scripts, and clients to it whose clock stands still unless they wait."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cxbridge.core.clock import ManualClock
from cxbridge.core.http import Bearer, Client, Endpoint, MemoryTokens, RequestDone, open_client

BASE = "https://acme.example"
START = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)

# What the vendor does with a request: answer, answer by looking at it, or break.
Act = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Vendor(httpx.BaseTransport):
    """Plays its script, one act per request, the last one for ever; remembers what came and when."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.script: list[Act] = [httpx.Response(200, json={})]
        self.seen: list[httpx.Request] = []
        self.times: list[float] = []

    def plays(self, *acts: Act) -> None:
        self.script = list(acts)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        self.times.append(self.clock.monotonic())
        act = self.script[min(len(self.seen), len(self.script)) - 1]
        if isinstance(act, Exception):
            raise act
        if callable(act):
            return act(request)
        if not act.is_closed:
            return act  # a stream of the test's own, good for one request
        # The client wraps the stream of what it is given, so each request gets an answer of its own.
        return httpx.Response(act.status_code, headers=act.headers, stream=httpx.ByteStream(act.content))

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.seen]


class Open:
    """Opens clients to the vendor and closes them at the end of the test."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.done: list[RequestDone] = []
        self._clients: list[Client] = []

    def __call__(self, endpoint: Endpoint | None = None, **options: Any) -> Client:
        given = {
            "connection": "acme",
            "clock": self.vendor.clock,
            "tokens": MemoryTokens(),
            "transport": self.vendor,
            "on_request": self.done.append,
            "random": Random(7),
        }
        client = open_client(endpoint or Endpoint(BASE, auth=Bearer(SecretStr("a-word"))), **{**given, **options})
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def vendor(clock: ManualClock) -> Vendor:
    return Vendor(clock)


@pytest.fixture
def connect(vendor: Vendor) -> Iterator[Open]:
    opener = Open(vendor)
    yield opener
    opener.close()


class Socket:
    """A real server on this machine: one connection per group of answers, one request per answer, then it ends.

    With `reset` a connection ends by a TCP reset instead of in order.
    """

    def __init__(self, *answers: bytes | tuple[bytes, ...], reset: bool = False) -> None:
        self._answers = [answer if isinstance(answer, tuple) else (answer,) for answer in answers]
        self._reset = reset
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for group in self._answers:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, suppress(ConnectionAbortedError):
                for answer in group:
                    self.requests.append(whole_request(peer))
                    peer.sendall(answer)
                if self._reset:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in accept, as closing alone does not
        self._listener.close()
        self._thread.join(timeout=5)


def whole_request(peer: socket.socket) -> bytes:
    """Read a request with its body.

    Raises:
        ConnectionAbortedError: the other side hung up before that.
    """
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(peer)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    parts = [body]
    while length > len(body):
        parts.append(_more(peer))
        length -= len(parts[-1])
    return head + b"\r\n\r\n" + b"".join(parts)


def _more(peer: socket.socket) -> bytes:
    more = peer.recv(65536)
    if not more:
        raise ConnectionAbortedError
    return more


@pytest.fixture
def serve() -> Iterator[Callable[..., Socket]]:
    sockets: list[Socket] = []

    def start(*answers: bytes | tuple[bytes, ...], reset: bool = False) -> Socket:
        sockets.append(Socket(*answers, reset=reset))
        return sockets[-1]

    yield start
    for one in sockets:
        one.close()
