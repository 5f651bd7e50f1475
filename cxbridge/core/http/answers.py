"""Reading an answer, as strictly as HTTP/1.1 has it; it must not know where the bytes come from, nor what the answer means."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from cxbridge.core.http.library import httpx

# Of a head with all that is sent ahead of it, of what stands between two parts of a body, and of what stands behind it.
LARGEST_HEAD = 100 * 1024
# So much is asked for where nobody knows how much there is.
ANY = 64 * 1024
# So much of a body at most, where its length is known.
LARGEST_PART = 256 * 1024

# Gives what comes next, at most so many bytes; nothing when there is no more. What it raises goes through.
More = Callable[[int], bytes]

_HEAD_END = b"\r\n\r\n"
_NO_HTTP = "the answer is not HTTP"
_TOO_LARGE = "the head of the answer is too large"


class _Seen:
    """What the parser has come across."""

    __slots__ = ("done", "headers", "parts", "told")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.told = False
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # Blanks around a value are none of it; those before it are left out already.
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.told = True

    def on_body(self, part: bytes) -> None:
        # Behind the end may stand something that looks like another answer.
        if not self.done:
            self.parts.append(part)

    def on_message_complete(self) -> None:
        self.done = True


@dataclass(slots=True)
class Answer:
    """The head of an answer, and its body as it is read."""

    status: int
    headers: list[tuple[bytes, bytes]]
    # Of the body, in bytes; None where it ends with its last chunk, or with the connection.
    length: int | None
    chunked: bool
    # Whether the server would go on, on this connection.
    stays: bool
    # What has already come behind the head.
    rest: bytes
    # Whether all of it was read, and nothing came behind it.
    clean: bool
    _parser: HttpResponseParser
    _seen: _Seen

    def body(self, more: More) -> Iterator[bytes]:
        """Give the body in parts as they come.

        Raises:
            httpx.RemoteProtocolError: it ends before its end, or its chunks are broken.
        """
        if self.chunked:
            return self._chunks(more)
        return self._to_the_end(more) if self.length is None else self._counted(self.length, more)

    def _counted(self, length: int, more: More) -> Iterator[bytes]:
        part = self.rest[:length]
        # Whoever says more than was announced says something else next, or cannot count.
        self.clean = len(part) == length == len(self.rest)
        if part:
            yield part
        left = length - len(part)
        while left:
            part = more(min(left, LARGEST_PART))
            if not part:
                raise _cut()
            left -= len(part)
            self.clean = left == 0
            yield part

    def _to_the_end(self, more: More) -> Iterator[bytes]:
        part = self.rest or more(ANY)
        while part:
            yield part
            part = more(ANY)

    def _chunks(self, more: More) -> Iterator[bytes]:
        seen = self._seen
        # Old servers fill up sizes with blanks, which harm nobody here.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        between = 0
        data = self.rest or more(ANY)
        while True:
            if not data:
                raise _cut()
            # The end of it all is a line's. Fed by itself, the last byte tells whether anything came behind the end.
            if data.endswith(b"\n"):
                self._feed(data[:-1])
                if not seen.done:
                    self._feed(b"\n")
                    self.clean = seen.done
            else:
                self._feed(data)
            if seen.parts:
                yield seen.parts[0] if len(seen.parts) == 1 else b"".join(seen.parts)
                seen.parts.clear()
                between = 0
            else:
                between += len(data)
                if between > LARGEST_HEAD:
                    raise httpx.RemoteProtocolError("there is too much between the parts of the answer")
            if seen.done:
                return
            data = more(ANY)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # Behind the end anything may come; it is looked at by nobody.
            if not self._seen.done:
                raise httpx.RemoteProtocolError("the chunks of the answer are broken") from None


def read_answer(method: str, more: More) -> Answer:
    """Read up to the end of the head of the answer to a request of that method; what is sent ahead of it is skipped.

    Raises:
        httpx.RemoteProtocolError: it ends before that, is no HTTP, larger than 100 KiB, or says two things about its length.
    """
    skipped = 0
    held = bytearray(more(ANY))
    while True:
        seen = _Seen()
        parser = HttpResponseParser(seen)
        fed = 0
        try:
            while (end := held.find(_HEAD_END, max(0, fed - 3))) < 0:
                parser.feed_data(held[fed:])
                if skipped + len(held) > LARGEST_HEAD:
                    raise httpx.RemoteProtocolError(_TOO_LARGE)
                fed = len(held)
                if not (data := more(ANY)):
                    raise httpx.RemoteProtocolError("the connection ended before there was an answer")
                held += data
            end += len(_HEAD_END)
            parser.feed_data(held[fed:end])
        except (HttpParserError, HttpParserUpgrade):
            # Its own words say where, and its cause may quote.
            raise httpx.RemoteProtocolError(_NO_HTTP) from None
        status = parser.get_status_code()
        if not seen.told or not held.startswith(b"HTTP/1.") or not 100 <= status < 1000 or status == 101:
            raise httpx.RemoteProtocolError(_NO_HTTP)
        if skipped + end > LARGEST_HEAD:
            raise httpx.RemoteProtocolError(_TOO_LARGE)
        if status >= 200:
            return _answer(method, status, seen, parser, old=held[7:8] == b"0", rest=bytes(memoryview(held)[end:]))
        skipped += end
        del held[:end]


def _answer(method: str, status: int, seen: _Seen, parser: HttpResponseParser, *, old: bool, rest: bytes) -> Answer:
    headers, seen.headers = seen.headers, []
    length: int | None = None
    chunked = False
    stays = not old
    for name, value in headers:
        match name.lower():
            case b"content-length":
                # The parser has seen to it that there is one, of digits, and no chunks.
                length = int(value)
            case b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise httpx.RemoteProtocolError("the answer is coded in a way that was not asked for")
                chunked = True
            case b"connection":
                stays = stays and b"close" not in [token.strip() for token in value.lower().split(b",")]
    if method == "HEAD" or status in (204, 304):
        length, chunked = 0, False
    return Answer(status, headers, length, chunked, stays, rest, length == 0 and not rest, parser, seen)


def _cut() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the connection ended before the answer was complete")
