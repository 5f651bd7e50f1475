"""The port that webhooks come in by: uvicorn in a thread, bounded in connections, headers and patience; answers nothing itself."""

import asyncio
import socket
import threading

import httptools
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from cxbridge.core.errors import ConfigError

# Below the number of files that a process may usually open, with room for the store and the vendors.
MOST_CONNECTIONS = 512
# The line of the request and its headers, together.
LONGEST_HEADERS = 32 * 1024
# Requests of one connection that wait for the answer to the one before; vendors and proxies send none so.
MOST_AHEAD = 16
_BACKLOG = 2048
# So much is parsed at once, so that what is sent without end is noticed.
_PIECE = 16 * 1024
_REFUSED = "Invalid HTTP request received."


class _Refused(Exception):
    """The request is one that is not answered; the parser stops at it."""


class _BoundedProtocol(HttpToolsProtocol):
    """Bounds what one connection may send before a request is whole, and hangs up on whoever passes it.

    uvicorn waits for headers for ever, takes them at any length, and takes requests before their turn in any number; it answers 503
    when it is full, which here means something else, and answers what is broken before what came before it.
    """

    patience = 10.0
    _waiting: asyncio.TimerHandle | None = None
    # Between two requests, or in the headers of one; and what these take so far.
    _heading = True
    _headers_size = 0
    _hosts = 0
    # Bytes since the parser last came to the end of something.
    _unfinished = 0
    _broken = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse()
        if not self._idle():
            self._calm()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._heading, self._headers_size, self._hosts = True, 0, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._headers_size += len(url)
        if self._headers_size > LONGEST_HEADERS:
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes behind a body in the form of headers is none: nothing was judged by it.
        if not self._heading:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        elif name == b"host":
            self._hosts += 1
        self.headers.append((name, value))
        # With what stands between them and at the end of the line.
        self._headers_size += len(name) + len(value) + 4
        if self._headers_size > LONGEST_HEADERS:
            raise _Refused

    def on_headers_complete(self) -> None:
        self._heading, self._unfinished = False, 0
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0") or self._hosts > 1 or (not self._hosts and version == "1.1"):
            raise _Refused
        if len(self.pipeline) >= MOST_AHEAD or (self.parser.should_upgrade() and self._with_body()):
            raise _Refused
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._unfinished = 0

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._broken and self._idle() and not self.transport.is_closing():
            self.send_400_response(_REFUSED)

    def _parse(self, data: bytes) -> None:
        start = 0
        while start < len(data):
            piece = data[start : start + _PIECE]
            start += len(piece)
            self._unfinished += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as asked:
                # Whoever would like to speak something else is answered in HTTP, and so is what follows.
                start -= len(piece) - asked.args[0]
                self._unfinished = 0
            if self._unfinished > LONGEST_HEADERS:
                raise httptools.HttpParserError

    def _with_body(self) -> bool:
        """Whether a request asks for another protocol and has a body: the parser would take that for what comes next."""
        framed = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        return framed or self.parser.get_method() == b"CONNECT"

    def _refuse(self) -> None:
        """Read nothing more; say so when all that came before has its answer."""
        self._broken = True
        self.flow.pause_reading()
        if self._idle() or (self.cycle.more_body and not self.pipeline and not self.cycle.response_started):
            self.send_400_response(_REFUSED)

    def _idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn's types say
        return cycle is None or cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.patience, self._give_up)

    def _calm(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._idle() and not self.transport.is_closing():
            self.transport.abort()


class _Server(Server):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


class Listener:
    """One port, listened on from `start` to `stop`."""

    def __init__(self, app: ASGIApp, host: str, port: int, patience: float) -> None:
        self._app = app
        self._host, self._port = host, port
        self._patience = patience
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Listen; gives `host:port` once it does.

        Raises:
            ConfigError: the port cannot be had.
        """
        bound = _bound(self._host, self._port)
        host, port = bound.getsockname()[:2]
        protocol = type("_Patient", (_BoundedProtocol,), {"patience": self._patience})
        self._server = _Server(
            Config(
                self._app,
                http=protocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                # It says a line for every broken request, which is what strangers send.
                log_level="critical",
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=min(5, max(1, int(self._patience))),
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(target=self._run, args=(bound,), name="webhooks", daemon=True)
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            self._thread.join()
            raise ConfigError(
                f"[webhooks] listen = {self._host}:{self._port}: the web server ended as soon as it began"
            )
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def stop(self) -> None:
        """Take nothing more, answer what is under way, close the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    def _run(self, bound: socket.socket) -> None:
        server = self._server
        if server is not None:
            try:
                server.run(sockets=[bound])
            finally:
                bound.close()
                server.ready.set()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, number)
    except OSError as error:
        raise ConfigError(f"[webhooks] listen = {host}:{port}: {error.strerror}; write 127.0.0.1:8700") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"[webhooks] listen = {host}:{port}: {error.strerror}; choose another port, or stop what has this one"
        ) from error
    return bound
