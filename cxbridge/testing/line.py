"""The line between a client and its vendor: keeps what went over it and breaks it as told; it must not know any vendor.

A fault takes a request and the way on to the vendor, and gives the answer that the client shall see. So the same faults
strike every connector, whether its vendor is a server, a function or a recorded exchange.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.http.library import httpx
from cxbridge.core.http.wire import READS, SAFE_METHODS

WEB_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method='post'></form></body></html>"

Onward = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[httpx.Request, Onward], httpx.Response]
Which = Callable[[httpx.Request], bool]


@dataclass(slots=True)
class Sent:
    """One request: when it was made by the lab's clock, and the status the vendor gave, None where it never got one."""

    method: str
    url: httpx.URL
    content: bytes = field(repr=False)
    at: datetime
    writes: bool
    """Whether it can change something."""
    status: int | None = None

    @property
    def told(self) -> str:
        """Method and path, for people."""
        return f"{self.method} {self.url.path}"


@dataclass(slots=True)
class _Struck:
    fault: Fault
    which: Which
    left: int | None


class Line(httpx.BaseTransport):
    """A transport over the vendor's own. Requests for tokens pass untouched and are not kept."""

    def __init__(self, vendor: httpx.BaseTransport, clock: Clock, page_size: Mapping[str, int]) -> None:
        self._vendor = vendor
        self._clock = clock
        self._page_size = dict(page_size)
        self._struck: _Struck | None = None
        self._token_urls: set[httpx.URL] = set()
        self.sent: list[Sent] = []

    def spare(self, token_url: str) -> None:
        """Let requests for tokens pass, whatever happens to the others."""
        self._token_urls.add(httpx.URL(token_url))

    @contextmanager
    def broken(self, fault: Fault, which: Which = lambda request: True, times: int | None = None) -> Iterator[None]:
        """Let a fault strike `times` requests, or all of them, while inside."""
        self._struck = _Struck(fault, which, times)
        try:
            yield
        finally:
            self._struck = None

    @contextmanager
    def pages_as_asked(self) -> Iterator[None]:
        """Leave the size of pages to the connector and the vendor while inside."""
        kept, self._page_size = self._page_size, {}
        try:
            yield
        finally:
            self._page_size = kept

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url in self._token_urls:
            return self._vendor.handle_request(request)
        request = self._smaller(request)
        sent = Sent(request.method, request.url, request.read(), self._clock.now(), is_write(request))
        self.sent.append(sent)

        def onward(passed: httpx.Request) -> httpx.Response:
            response = self._vendor.handle_request(passed)
            sent.status = response.status_code
            return response

        struck = self._struck
        if struck is None or struck.left == 0 or not struck.which(request):
            return onward(request)
        if struck.left is not None:
            struck.left -= 1
        return struck.fault(request, onward)

    def close(self) -> None:
        """Stay open: clients come and go, the lab closes the vendor."""

    def end(self) -> None:
        """Close the way to the vendor."""
        self._vendor.close()

    def _smaller(self, request: httpx.Request) -> httpx.Request:
        """Ask for smaller pages than the connector does, as if the vendor gave no larger ones."""
        asked: dict[str, int] = {}
        for told, size in self._page_size.items():
            path, added, name = told.rpartition("?")
            if request.url.path.endswith(path) if added else name in request.url.params:
                asked[name] = size
        if not asked:
            return request
        url = request.url.copy_merge_params(asked)
        content, marks = request.read(), request.extensions
        return httpx.Request(request.method, url, headers=request.headers, content=content, extensions=marks)


def is_write(request: httpx.Request) -> bool:
    """Tell whether a request can change something; what the connector's endpoint declares to be a read cannot."""
    return request.method not in SAFE_METHODS and not request.extensions.get(READS)


def answers(status: int, headers: Mapping[str, str] | None = None, body: object = None) -> Fault:
    """The vendor does nothing and answers so."""
    content = msgspec.json.encode({"error": "as the lab was told"} if body is None else body)

    def fault(request: httpx.Request, onward: Onward) -> httpx.Response:
        return _answer(status, content, {"content-type": "application/json", **(headers or {})})

    return fault


def shows_web_page(request: httpx.Request, onward: Onward) -> httpx.Response:
    """A proxy answers in place of the vendor: status 200 and a page to sign in on."""
    return _answer(200, WEB_PAGE, {"content-type": "text/html; charset=utf-8"})


def is_unreachable(request: httpx.Request, onward: Onward) -> httpx.Response:
    """Nobody takes the call."""
    raise httpx.ConnectError("connection refused")


def loses_request(request: httpx.Request, onward: Onward) -> httpx.Response:
    """The connection breaks before the vendor has read the request; the client cannot tell."""
    raise httpx.ReadError("connection reset")


def loses_answer(request: httpx.Request, onward: Onward) -> httpx.Response:
    """The vendor does everything; the connection breaks before a byte of its answer."""
    onward(request).close()
    raise httpx.ReadError("connection reset")


def cuts_answer(request: httpx.Request, onward: Onward) -> httpx.Response:
    """The vendor does everything; the second half of its answer is missing."""
    status, headers, body = _whole(onward(request))
    promised = {**headers, "content-length": str(len(body))}
    return httpx.Response(status, headers=promised, stream=httpx.ByteStream(body[: len(body) // 2]))


class Keeps:
    """Breaks nothing, and keeps the last request as it went to the vendor, so that the very same can be sent again."""

    def __init__(self) -> None:
        self.request: httpx.Request | None = None

    def __call__(self, request: httpx.Request, onward: Onward) -> httpx.Response:
        self.request = request
        return onward(request)

    def again(self, line: "Line", credential: "Keeps") -> int:
        """Send it again, with the credential of a request that `credential` kept; gives the status of the answer."""
        kept = self.request
        if kept is None:
            raise TypeError("nothing was sent that could be sent again")
        headers = httpx.Headers(kept.headers)
        fresh = credential.request.headers.get("authorization") if credential.request is not None else None
        if fresh is not None:
            headers["authorization"] = fresh
        marks = {name: value for name, value in kept.extensions.items() if name != "timeout"}
        response = line.handle_request(
            httpx.Request(kept.method, kept.url, headers=headers, content=kept.read(), extensions=marks)
        )
        response.read()
        response.close()
        return response.status_code


class Repeats:
    """Gives the first answer on each path again: `times` times, or for ever."""

    def __init__(self, times: int | None = None) -> None:
        self._times = times
        self._first: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self._given: dict[str, int] = {}

    def __call__(self, request: httpx.Request, onward: Onward) -> httpx.Response:
        path = request.url.path
        if path not in self._first:
            self._first[path] = _whole(onward(request))
        elif self._times is None or self._given.get(path, 0) < self._times:
            self._given[path] = self._given.get(path, 0) + 1
        else:
            return onward(request)
        status, headers, body = self._first[path]
        return _answer(status, body, headers)


def rewrites(change: Callable[[Any], Any]) -> Fault:
    """The vendor does everything; its JSON is another than it was. What is no JSON stays."""

    def fault(request: httpx.Request, onward: Onward) -> httpx.Response:
        status, headers, body = _whole(onward(request))
        try:
            content = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return _answer(status, body, headers)
        return _answer(status, msgspec.json.encode(change(content)), headers)

    return fault


def _whole(response: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    body = response.read()
    response.close()
    # The body is plain now, whatever it was on the wire.
    dropped = ("content-length", "content-encoding", "transfer-encoding")
    headers = {name: value for name, value in response.headers.items() if name not in dropped}
    return response.status_code, headers, body


def _answer(status: int, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    told = {**headers, "content-length": str(len(body))}
    return httpx.Response(status, headers=told, stream=httpx.ByteStream(body))
