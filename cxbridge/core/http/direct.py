"""Requests over plain sockets: nothing is followed, sent again, kept as a cookie or taken from the environment."""

import re
import ssl
from collections.abc import Iterable, Iterator
from functools import lru_cache
from time import monotonic
from typing import cast

from cxbridge.core.http.answers import Answer, read_answer
from cxbridge.core.http.library import httpx
from cxbridge.core.http.lines import DRIP, Line, Lines, Origin

# A larger body is sent by itself, so that no copy of it is made.
_SMALL = 64 * 1024

_PORTS = {"http": 80, "https": 443}

# A head that says what it seems to say, whoever reads it.
_SOUND = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+: [^\0\r\n]*\r\n)+\r\n")


class DirectTransport(httpx.BaseTransport):
    """HTTP/1.1 with a pool of connections, for many requests with short answers; share it among threads.

    What it raises tells the fate of a request: after `ConnectError`, `ConnectTimeout`, `PoolTimeout` and `UnsupportedProtocol` it
    has never left, after any other `TransportError` it may have been done. Nothing is ever sent twice.

    At most `most` connections are open; who asks for more waits in line, for as long as the time-out for it says. One that was not
    used for `kept_for` seconds is closed at the next request. Closing the transport ends what is under way; where a connection is
    just being made, that ends by its time-out at the latest, and nothing is sent. `trust` is what is trusted by the HTTP library,
    unless another one is given.
    """

    def __init__(self, trust: ssl.SSLContext | None = None, *, most: int = 10, kept_for: float = 5.0) -> None:
        self._lines = Lines(trust or _trusted(), most=most, kept_for=kept_for)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and give its answer as soon as the head is there.

        Raises:
            httpx.TransportError: none came, as the class says.
        """
        body = b"".join(cast("Iterable[bytes]", request.stream))
        head, stays = _head(request, len(body))
        timeouts = request.extensions.get("timeout", {})
        line = self._lines.take(_origin(request.url), timeouts.get("connect"), timeouts.get("pool"))
        try:
            ear = _Ear(self._lines, line, timeouts.get("read"))
            unsent = _say(line, head, body, timeouts.get("write"))
            try:
                answer = read_answer(request.method, ear)
            except httpx.TransportError:
                if unsent is not None:
                    raise unsent from unsent.__cause__
                raise
            stream = _Body(answer, ear, self._lines, line, stays=stays and answer.stays and unsent is None)
            return httpx.Response(answer.status, headers=answer.headers, stream=stream)
        except BaseException:
            self._lines.drop(line)
            raise

    def close(self) -> None:
        """Close all connections, and end what is under way."""
        self._lines.close()


class _Ear:
    """Hears what comes over a line, each time within the time-out, and all of a head or a part within a few of them."""

    def __init__(self, lines: Lines, line: Line, timeout: float | None) -> None:
        self._lines = lines
        self._line = line
        self._timeout = timeout
        self.again()

    def again(self) -> None:
        """Count the time from here."""
        self._end = None if self._timeout is None else monotonic() + DRIP * self._timeout

    def __call__(self, most: int) -> bytes:
        data = self._line.receive(most, self._timeout)
        if not data and self._lines.closed:
            # It was ended here, and may look like the end of an answer.
            raise httpx.ReadError("the client was closed")
        if self._end is not None and monotonic() > self._end:
            raise httpx.ReadTimeout("the answer came too slowly")
        return data


class _Body(httpx.SyncByteStream):
    """The body of an answer; closing it gives the connection back if it can be used again."""

    def __init__(self, answer: Answer, ear: _Ear, lines: Lines, line: Line, *, stays: bool) -> None:
        self._answer = answer
        self._ear = ear
        self._lines = lines
        self._line: Line | None = line
        self._stays = stays
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        if self._begun:
            raise httpx.StreamConsumed
        self._begun = True
        self._ear.again()
        for part in self._answer.body(self._ear):
            yield part
            self._ear.again()

    def close(self) -> None:
        line, self._line = self._line, None
        self._begun = True
        if line is None:
            return
        if self._stays and self._answer.clean:
            self._lines.give(line)
        else:
            self._lines.drop(line)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Give the certificates that are trusted, read once for all clients: each copy takes a megabyte and 20 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    # Some builds take an end that was cut off for one in order; that would make half an answer a whole one.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def _say(line: Line, head: bytes, body: bytes, timeout: float | None) -> httpx.WriteError | None:
    """Send a request. Where the server hung up meanwhile it may have said why, so that error is given and not raised."""
    try:
        if len(body) > _SMALL:
            line.send(head, timeout)
            line.send(body, timeout)
        else:
            line.send(head + body, timeout)
    except httpx.WriteError as error:
        return error
    return None


def _origin(url: httpx.URL) -> Origin:
    host = url.raw_host.decode("ascii")
    if url.scheme not in _PORTS or not host:
        raise httpx.UnsupportedProtocol("a URL must begin with http:// or https:// and a host")
    return url.scheme, host, url.port or _PORTS[url.scheme]


def _head(request: httpx.Request, size: int) -> tuple[bytes, bool]:
    """Give the head of a request, and whether the connection may go on.

    Raises:
        httpx.LocalProtocolError: others could read it as another request, or as two; nothing of it is quoted.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii", "replace"), request.url.raw_path)]
    hosts, lengths, stays = 0, [], True
    for name, value in request.headers.raw:
        lines.append(b"%b: %b" % (name, value))
        match name.lower():
            case b"host":
                hosts += 1
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                raise httpx.LocalProtocolError("requests are sent as a whole, with their length")
            case b"connection":
                stays = stays and b"close" not in value.lower()
    if hosts != 1 or lengths != [b"%d" % size] * (1 if lengths or size else 0):
        raise httpx.LocalProtocolError("a request has one host, and the length of its body once")
    head = b"\r\n".join([*lines, b"", b""])
    # What holds a line of its own within reads well enough, but is a line too many.
    if head.count(b"\n") != len(lines) + 1 or not _SOUND.fullmatch(head):
        raise httpx.LocalProtocolError("the head of the request holds what cannot be sent")
    return head, stays
