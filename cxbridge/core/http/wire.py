"""One exchange over the network: a request out, a complete and bounded answer back; it must not judge or repeat."""

import io
import logging
import ssl
import zlib
from collections.abc import Mapping

from cxbridge import __version__
from cxbridge.core.clock import Clock
from cxbridge.core.errors import Rejected, Retryable, WireFormat, Withheld
from cxbridge.core.http.direct import DirectTransport
from cxbridge.core.http.headers import Told
from cxbridge.core.http.library import httpx
from cxbridge.core.http.lines import DRIP

MIB = 1024 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Text of a vendor compresses 10 to 30 times; far more is an attack. Small bodies may.
STEEPEST = 200

# How we name ourselves to a vendor.
USER_AGENT = f"cxbridge/{__version__}"

# What requests go over: the network, unless something else is handed in.
Transport = httpx.BaseTransport

# The mark of a request that only reads although its method does not say so.
READS = "cxbridge.reads"

# Methods whose requests say how long they are even where they hold nothing.
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})

# So many headers of requests are kept at hand: with each length of a body they are others.
_MOST_KNOWN = 100

# Some servers take the method from here.
_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")


def user_agent(worker: str = "") -> str:
    """Name this program and, where several work together, which of them: so a vendor's own log tells who asked."""
    name = "".join(c for c in worker if c.isascii() and (c.isalnum() or c in "-_.@:"))[:100]
    return f"{USER_AGENT} (worker {name})" if name else USER_AGENT


class WriteRefused(Rejected):
    """A client that may only read was asked to write; nothing was sent."""

    summary = "was not sent"


class ReadOnlyTransport(httpx.BaseTransport):
    """Lets nothing pass that could change something, except requests for a token.

    What the endpoint declares to be a read passes, whatever its method.

    A plan must never write: this is where that holds, whatever a connector does.
    """

    def __init__(self, inner: httpx.BaseTransport, token_url: str | None = None) -> None:
        self._inner = inner
        self._token_url = None if token_url is None else httpx.URL(token_url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for_token = request.method == "POST" and request.url == self._token_url
        if not (request.method in SAFE_METHODS or for_token or request.extensions.get(READS)):
            raise WriteRefused("this client may only read")
        if any(name in request.headers for name in _OVERRIDES):
            raise WriteRefused("this client may only read, and the request asks for another method in a header")
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def open_way(transport: httpx.BaseTransport | None, *, read_only: bool, token_url: str | None) -> httpx.BaseTransport:
    """Open what the requests of one client go over, with a pool of connections: nothing is taken from the environment."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        # They log whole URLs and the vendor's headers; what may be known goes through `on_request`.
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    inner = transport or DirectTransport()
    return ReadOnlyTransport(inner, token_url) if read_only else inner


def sendable(value: str) -> bool:
    """Tell whether a text can be the value of a header as it stands."""
    return value.isascii() and value.isprintable() and value == value.strip()


class Wire:
    """Sends requests and reads answers whole, in bytes, within bounds. Nothing is followed elsewhere, and no cookie kept.

    What an HTTP client does beyond that, and is not wanted here, would cost more than the request itself.
    """

    def __init__(
        self,
        way: httpx.BaseTransport,
        clock: Clock,
        *,
        timeout: float,
        max_body: int,
        user_agent: str = USER_AGENT,
    ) -> None:
        self._way = way
        self._clock = clock
        self._timeout = timeout
        self._max_body = max_body
        self._closed = False
        self._headers = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "connection": "keep-alive",
            "user-agent": user_agent,
        }
        # Of the last few requests, by what they say.
        self._known: dict[tuple[tuple[str, str], ...], httpx.Headers] = {}
        self._timeouts = httpx.Timeout(timeout).as_dict()

    def request(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None, *, reads: bool = False
    ) -> httpx.Request:
        """Make a request out of its parts, headers named in small letters; `reads` marks one that only reads whatever its method.

        Raises:
            Rejected: when a header cannot be sent; the HTTP library would quote it in full.
        """
        told = {"host": url.netloc.decode("ascii"), **self._headers, **headers}
        if content or method in _WITH_CONTENT:
            told.setdefault("content-length", str(len(content or b"")))
        extensions: dict[str, object] = {"timeout": self._timeouts}
        if reads:
            extensions[READS] = True
        # With a stream nothing is added to what is told here.
        return httpx.Request(
            method, url, headers=self._checked(told), stream=httpx.ByteStream(content or b""), extensions=extensions
        )

    def _checked(self, told: Mapping[str, str]) -> httpx.Headers:
        """Give headers as the HTTP library has them; those of one request are nearly always those of another one."""
        key = tuple(told.items())
        headers = self._known.get(key)
        if headers is None:
            if not all(sendable(value) for value in told.values()):
                raise Rejected("a header holds a line break or a letter outside ASCII")
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            headers = self._known[key] = httpx.Headers(told)
        return headers

    def exchange(self, request: httpx.Request) -> tuple[int, Told, bytes]:
        """Send once and give status, headers and the decompressed body.

        Raises:
            Retryable: when no complete answer came; `sent` is False when the request certainly never left.
            WireFormat: when the answer is larger or more compressed than allowed.
            WriteRefused: when this client may only read.
            Withheld: when it is closed.
        """
        if self._closed:
            raise Withheld("the client is closed", sent=False)
        deadline = self._clock.monotonic() + self._timeout * DRIP
        try:
            response = self._way.handle_request(request)
            try:
                told = Told.raw(response.headers.raw)
                return response.status_code, told, self._body(response, told, request.method, deadline)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            if self._closed:
                raise Withheld("the client is closed", sent=False) from error
            raise Retryable(_unreachable(error), sent=False) from error
        except httpx.TimeoutException as error:
            raise Retryable("no answer in time") from error
        except httpx.TransportError as error:
            raise Retryable("the connection broke before the answer was complete") from error

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        # The credential is among them.
        self._known.clear()
        self._way.close()

    def _body(self, response: httpx.Response, told: Told, method: str, deadline: float) -> bytes:
        declared = _length(told)
        if declared is not None and declared > self._max_body:
            raise WireFormat(f"the answer is larger than {self._max_body // MIB} MiB")
        encoding = told.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise WireFormat("the answer is compressed in a way that was not asked for")
        sink: _Plain | _Gunzip = _Gunzip(self._max_body) if "gzip" in encoding else _Plain(self._max_body, declared)
        stream = response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError("the transport gave an asynchronous answer")
        # Raw bytes, so that decompression happens here, within bounds.
        for chunk in stream:
            sink.take(chunk)
            # What is there with all of its parts was not waited for.
            if sink.received != declared and self._clock.monotonic() > deadline:
                raise Retryable("the answer came too slowly")
        if (
            declared is not None
            and sink.received != declared
            and method != "HEAD"
            and response.status_code not in (204, 304)
        ):
            raise Retryable("the answer was cut short")
        return sink.end()


class _Plain:
    __slots__ = ("_declared", "_first", "_held", "_most", "received")

    def __init__(self, most: int, declared: int | None) -> None:
        self._most = most
        self._declared = declared
        self._first = b""
        self._held: io.BytesIO | None = None
        self.received = 0

    def take(self, chunk: bytes) -> None:
        self.received += len(chunk)
        if self.received > self._most:
            raise WireFormat(f"the answer is larger than {self._most // MIB} MiB")
        if self._held is not None:
            self._held.write(chunk)
        elif not self._first:
            # Nearly always there is no more than this.
            self._first = chunk
        else:
            # Gives what it holds without another copy, unlike a list of parts: a body may be large.
            self._held = io.BytesIO()
            if self._declared:
                # All the room at once: a buffer that grows leaves holes in the memory.
                self._held.seek(self._declared - 1)
                self._held.write(bytes(1))
                self._held.seek(0)
            self._held.write(self._first)
            self._held.write(chunk)

    def end(self) -> bytes:
        return self._first if self._held is None else self._held.getvalue()


class _Gunzip:
    def __init__(self, most: int) -> None:
        self._most = most
        self._held = io.BytesIO()
        self._size = 0
        self._inflate = _gunzip()
        self.received = 0

    def take(self, chunk: bytes) -> None:
        self.received += len(chunk)
        try:
            while chunk:
                if self._inflate.eof:  # several gzip members in a row are one body (RFC 1952 §2.2)
                    self._inflate = _gunzip()
                # In small steps, so that what is too much is seen before it is there.
                part = self._inflate.decompress(chunk, min(MIB, self._most + 1 - self._size))
                self._held.write(part)
                self._size += len(part)
                if self._size > self._most:
                    raise WireFormat(f"the answer is larger than {self._most // MIB} MiB")
                if self._size > MIB and self._size > STEEPEST * self.received:
                    raise WireFormat("the answer is compressed more than any text can be")
                chunk = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        except zlib.error as error:
            raise Retryable("the compressed answer is broken") from error

    def end(self) -> bytes:
        if self.received and not self._inflate.eof:
            raise Retryable("the compressed answer was cut short")
        return self._held.getvalue()


def _gunzip() -> "zlib._Decompress":
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _length(told: Told) -> int | None:
    length = told.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and "transfer-encoding" not in told else None


def _unreachable(error: httpx.TransportError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate of the vendor's host is not trusted: check the host's name and this machine's clock"
        cause = cause.__cause__ or cause.__context__
    return "the vendor cannot be reached: no connection was made"
