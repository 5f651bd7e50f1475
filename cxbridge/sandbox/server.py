"""Starts the simulated vendors and the control API as HTTP servers on loopback. Holds no vendor's rules."""

import asyncio
import importlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from cxbridge.sandbox import control
from cxbridge.sandbox.http import faulted
from cxbridge.sandbox.listening import configured, listening
from cxbridge.sandbox.proxy import Proxies
from cxbridge.sandbox.sending import TRANSPORT
from cxbridge.sandbox.world import World

VENDORS = ("zendesk", "jira", "gainsight", "qualtrics", "slack")
CONTROL = "control"


class _CuttableProtocol(H11Protocol):
    """Shows an app the transport of its connection, which faults need in order to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


class Sandbox:
    """Simulated vendors that listen from `start` to `stop`, all on one background thread; also a context manager.

    `ports` maps a vendor or `control` to a port; one not named gets a free one. With `proxies`, which must have been started, a
    fault proxy of the vendor's name listens there instead, and leads to the vendor.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        vendors: Sequence[str] = VENDORS,
        ports: Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
        seed: int = 1,
        zendesk_options: Mapping[str, Any] | None = None,
        jira_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.world = world or World(seed, zendesk_options=zendesk_options, jira_options=jira_options, options=options)
        self._vendors = tuple(vendors)
        self._ports = dict(ports or {})
        self._host = host
        self._proxies = proxies
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] | None = None
        # Made at once, so that a world can be filled before anything listens.
        self._apps: dict[str, ASGIApp] = {}
        for vendor in self._vendors:
            package = importlib.import_module(f"cxbridge.sandbox.{vendor}")
            self._apps[vendor] = faulted(package.create_app(self.world), self.world, vendor)
        self._apps[CONTROL] = control.create_app(self.world)

    def url(self, vendor: str) -> str:
        """Where a vendor listens.

        Raises:
            KeyError: it was not started.
        """
        return self.world.public_urls[vendor]

    @property
    def zendesk_url(self) -> str:
        return self.world.public_urls["zendesk"]

    @property
    def jira_url(self) -> str:
        return self.world.public_urls["jira"]

    @property
    def control_url(self) -> str:
        return self.world.public_urls[CONTROL]

    def start(self) -> Self:
        """Listen on every port; returns once all answer.

        Raises:
            OSError: a port is taken. Nothing is left listening.
            RuntimeError: it is listening already.
        """
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError("the sandbox is running already")
        sockets: dict[str, socket.socket] = {}
        try:
            for name in self._apps:
                port = 0 if self._proxied(name) else self._ports.get(name, 0)
                sockets[name] = listening(self._host, port)
                self.world.public_urls[name] = f"http://{self._address(name, sockets[name].getsockname()[1])}"
        except OSError:
            for bound in sockets.values():
                bound.close()
            self._withdraw()
            raise
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(list(sockets.values()), ready), name="cxbridge-sandbox", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._stop is None:
            self._thread.join()
            raise RuntimeError("the sandbox could not start; the error stands above in the log")
        return self

    def stop(self) -> None:
        """Close every port, cut what is still being answered, and wait for the thread. Twice is as good as once."""
        if self._thread is None or self._stop is None:
            return
        self._stop()
        self._thread.join()
        self._thread = self._stop = None
        self._withdraw()
        self.world.hooks.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _proxied(self, name: str) -> bool:
        return self._proxies is not None and name != CONTROL

    def _address(self, name: str, port: int) -> str:
        """Where a server is reached: at its own port, or at the proxy before it."""
        own = f"{self._host}:{port}"
        if self._proxies is None or not self._proxied(name):
            return own
        return self._proxies.add(name, own, listen=f"{self._host}:{self._ports.get(name, 0)}")

    def _withdraw(self) -> None:
        for name in self._apps:
            if self._proxies is not None and name in self._proxies.names():
                self._proxies.remove(name)

    def _run(self, sockets: list[socket.socket], ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(sockets, ready))
        except Exception:
            logging.getLogger(__name__).exception("the sandbox ended early")
            raise
        finally:
            ready.set()

    async def _serve(self, sockets: list[socket.socket], ready: threading.Event) -> None:
        """Run uvicorn's protocol without its server, which looks for its end only now and then and would keep tests."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        self._stop = partial(loop.call_soon_threadsafe, stopping.set)
        states, servers = [], []
        for app, bound in zip(self._apps.values(), sockets, strict=True):
            state, config = ServerState(), configured(app, _CuttableProtocol)
            make = partial(_CuttableProtocol, config=config, server_state=state, app_state={})
            servers.append(await loop.create_server(make, sock=bound))
            states.append(state)
        ready.set()
        await stopping.wait()
        for server in servers:
            server.close()
        for state in states:
            for connection in list(state.connections):
                connection.transport.abort()
        # One turn of the loop lets the connections learn of their end, so that nobody tries to answer on them.
        await asyncio.sleep(0)
        tasks = [task for state in states for task in state.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def serve_forever(sandbox: Sandbox) -> None:
    """Serve until interrupted from the keyboard or by a signal that raises; for the command line."""
    with sandbox:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            logging.getLogger(__name__).info("the sandbox stops")
