"""The simulated vendors without sockets: a request is answered in the calling thread, and waiting moves the clock.

Holds no vendor's rules. What a client would see of a cut, slow or lost answer over TCP it sees here too: an answer that takes
longer than the client waits is a time-out, and the vendor acts on the request all the same when its time has come.
"""

import importlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import unquote

import httpx
from starlette.types import ASGIApp, Message, Scope

from cxbridge.sandbox import control
from cxbridge.sandbox.http import TRANSPORT, faulted
from cxbridge.sandbox.server import VENDORS
from cxbridge.sandbox.world import World

# What an exchange takes of the simulated time, so that no two things happen at the same moment.
_MOMENT = 0.02

Watch = Callable[[str], None]


class _Pause:
    """An app waits for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(0.0, seconds)

    def __await__(self) -> Generator["_Pause", None, None]:
        yield self


class _Sent:
    """An app has sent something: whoever drives it may look."""

    def __await__(self) -> Generator["_Sent", None, None]:
        yield self


class _Cut:
    """The connection as the app sees it; a fault ends it here."""

    def __init__(self) -> None:
        self.ended: Literal["", "reset", "closed"] = ""

    def get_extra_info(self, name: str) -> None:
        del name

    def is_closing(self) -> bool:
        return self.ended != ""

    def abort(self) -> None:
        self.ended = self.ended or "reset"

    def close(self) -> None:
        self.ended = self.ended or "closed"


class _Exchange:
    """One request on its way through an app."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self.cut = _Cut()
        self.sent: list[Message] = []
        self.over = False
        scope[TRANSPORT] = self.cut
        unread = [body]

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if not self.cut.ended:
                self.sent.append(message)
            await _Sent()

        running: Any = app(scope, receive, send)
        self._running: Coroutine[Any, Any, None] = running

    def step(self) -> float:
        """Go on until the app waits or has sent something; gives for how long it waits."""
        try:
            told = self._running.send(None)
        except StopIteration:
            self.over = True
            return 0.0
        if isinstance(told, _Sent):
            return 0.0
        if not isinstance(told, _Pause):
            raise TypeError(f"a simulated vendor waits for {told!r}, which needs an event loop")
        return told.seconds

    def drop(self) -> None:
        self._running.close()


class Network:
    """All vendors of a world, reachable in process; `watch` is told before each request leaves and after a vendor acted."""

    def __init__(self, world: World, vendors: Sequence[str], watch: Watch | None = None) -> None:
        self.world = world
        self.watch: Watch = watch or (lambda _: None)
        self.requests = 0
        self.lock = threading.RLock()
        # Requests whose client has gone, by the time at which the vendor goes on with them.
        self._late: list[tuple[float, int, _Exchange]] = []
        self._numbers = itertools.count()
        world.pause = _pause
        self._apps: dict[str, ASGIApp] = {}
        for vendor in vendors:
            package = importlib.import_module(f"cxbridge.sandbox.{vendor}")
            self._apps[vendor] = faulted(package.create_app(world), world, vendor)
            world.public_urls[vendor] = address(vendor)
        self._apps["control"] = control.create_app(world)

    def transport(self, vendor: str) -> httpx.BaseTransport:
        """What a client's requests to a vendor go over."""
        return _Direct(self, vendor)

    def advance(self, seconds: float) -> None:
        """Let time pass; what vendors still had to do in that time is done at its moment."""
        with self.lock:
            end = self.world.clock.time() + seconds
            self._catch_up(end)
            self.world.clock.advance(max(0.0, end - self.world.clock.time()))

    def ask(self, name: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask an app without any network between, and without a moment passing: for the control API."""
        with self.lock:
            place, _, query = path.partition("?")
            headers = [(b"host", b"sandbox"), (b"content-type", b"application/json")]
            exchange = _Exchange(self._apps[name], _scope(method, place, query, headers), body)
            while not exchange.over:
                exchange.step()
            status = int(exchange.sent[0]["status"])
            return status, b"".join(one.get("body", b"") for one in exchange.sent[1:])

    def exchange(self, vendor: str, request: httpx.Request) -> httpx.Response:
        """Answer one request as the vendor would over a network."""
        told = f"{vendor} {request.method} {request.url.path}"
        self.watch(f"request.leaving {told}")
        with self.lock:
            self.requests += 1
            self.advance(_MOMENT)
            raw_path, _, query = request.url.raw_path.partition(b"?")
            headers = [(name.lower(), value) for name, value in request.headers.raw]
            place = unquote(raw_path.decode("ascii"))
            scope = _scope(request.method, place, query.decode("ascii"), headers, raw_path)
            exchange = _Exchange(self._apps[vendor], scope, request.read())
            patience = float((request.extensions.get("timeout") or {}).get("read") or 60.0)
            answer = _Answer(self, exchange, patience, request)
            try:
                answer.begin()
            finally:
                # Whatever came back, the vendor has done by now what it does before it answers.
                self.watch(f"request.answered {told}")
            start = exchange.sent.pop(0)
            return httpx.Response(int(start["status"]), headers=start["headers"], stream=answer, request=request)

    def wait(self, exchange: _Exchange, seconds: float, left: float) -> bool:
        """Let an app wait; False when its client would not wait that long, and the app goes on alone."""
        with self.lock:
            if seconds <= left:
                self.advance(seconds)
                return True
            due = self.world.clock.time() + seconds
            self.advance(left)
            self._late.append((due, next(self._numbers), exchange))
            return False

    def _catch_up(self, until: float) -> None:
        while self._late and min(self._late)[0] <= until:
            due, number, exchange = min(self._late)
            self._late.remove((due, number, exchange))
            self.world.clock.advance(max(0.0, due - self.world.clock.time()))
            exchange.cut.abort()
            while not exchange.over:
                seconds = exchange.step()
                if seconds > 0:
                    self._late.append((self.world.clock.time() + seconds, number, exchange))
                    break


class _Answer(httpx.SyncByteStream):
    """An answer as it arrives: each piece when it is asked for."""

    def __init__(self, network: Network, exchange: _Exchange, patience: float, request: httpx.Request) -> None:
        self._network = network
        self._exchange = exchange
        self._patience = patience
        self._request = request
        # How much is still to come, where the answer says so.
        self._left: int | None = None

    def begin(self) -> None:
        """Go on until the answer begins.

        Raises:
            ReadError: the connection was reset. ReadTimeout: the answer began too late.
        """
        self._until_something()
        if not self._exchange.sent:
            raise httpx.ReadError("[Errno 104] Connection reset by peer", request=self._request)
        told = dict(self._exchange.sent[0]["headers"]).get(b"content-length")
        self._left = None if told is None else int(told)

    def __iter__(self) -> Iterator[bytes]:
        # Once as much came as was announced, nobody waits for the connection to close.
        while self._left is None or self._left > 0:
            self._until_something()
            if not self._exchange.sent:
                if self._exchange.cut.ended == "reset":
                    raise httpx.ReadError("[Errno 104] Connection reset by peer", request=self._request)
                if self._exchange.cut.ended == "closed":
                    told = "peer closed connection without sending complete message body"
                    raise httpx.RemoteProtocolError(told, request=self._request)
                return
            message = self._exchange.sent.pop(0)
            if message.get("body"):
                self._left = None if self._left is None else self._left - len(message["body"])
                yield message["body"]
            if not message.get("more_body"):
                return

    def close(self) -> None:
        if not self._exchange.over:
            # What the vendor does before it answers is done; nobody reads the rest.
            self._exchange.drop()

    def _until_something(self) -> None:
        left = self._patience
        while not self._exchange.sent and not self._exchange.over:
            with self._network.lock:
                seconds = self._exchange.step()
            if self._exchange.sent or seconds == 0:
                continue
            if not self._network.wait(self._exchange, seconds, left):
                raise httpx.ReadTimeout("The read operation timed out", request=self._request)
            left -= seconds


class _Direct(httpx.BaseTransport):
    def __init__(self, network: Network, vendor: str) -> None:
        self._network = network
        self._vendor = vendor

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._network.exchange(self._vendor, request)


def address(vendor: str) -> str:
    """Where a vendor is in configurations; nothing listens there."""
    return f"http://127.0.0.1:{20_001 + VENDORS.index(vendor)}"


def _scope(
    method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], raw_path: bytes | None = None
) -> Scope:
    host = dict(headers).get(b"host", b"sandbox").decode("latin-1")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": raw_path or path.encode("utf-8"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": (host.partition(":")[0], 80),
    }


async def _pause(seconds: float) -> None:
    await _Pause(seconds)
