"""The port that webhooks come in by: uvicorn in a thread, bounded in connections, headers and patience; answers nothing itself."""

import asyncio
import socket
import threading

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from cxbridge.core.errors import ConfigError

# Below the number of files that a process may usually open, with room for the store and the vendors.
MOST_CONNECTIONS = 512
# The line of the request and its headers, together.
LONGEST_HEADERS = 32 * 1024
_BACKLOG = 2048


class _BoundedProtocol(H11Protocol):
    """Hangs up on whoever does not finish a request's headers in time, and on those who come when all places are taken.

    uvicorn bounds neither: it waits for headers for ever, and answers 503 when it is full, which here means something else.
    """

    patience = 10.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and self._idle():
            self._wait()
        super().data_received(data)
        if not self._idle():
            self._calm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

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
                h11_max_incomplete_event_size=LONGEST_HEADERS,
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
