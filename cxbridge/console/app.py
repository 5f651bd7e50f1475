"""The HTTP side of webhooks: bounds what is sent, asks what it comes to, and answers once it is stored; knows no vendor.

A path is looked up before a byte of the body is kept, so that strangers hold no memory of ours; whatever is wrong with a path gives
the same answer.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from anyio import to_thread
from starlette.types import Receive, Scope, Send

from cxbridge.console.endpoints import Endpoint, Endpoints, judge
from cxbridge.console.intake import Intake
from cxbridge.console.judges import Judges, Late
from cxbridge.console.readiness import Readiness
from cxbridge.core import defects
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Inbound
from cxbridge.core.engine.watchdog import Watchdog
from cxbridge.core.errors import StoreError
from cxbridge.core.logs import structlog
from cxbridge.core.store import Store, state

_log = structlog.get_logger("cxbridge")

# What is read and dropped of a body that nobody wants, so that its sender sees the answer instead of a broken connection.
_DRAINED = 256 * 1024
_MOST_FIELDS = 100
# Seconds between two lines about refused deliveries of one connection.
_SELDOM = 10.0
# Zendesk comes again only after less than a minute.
_COME_AGAIN = ((b"retry-after", b"30"),)
# What is left of such a body is not waited for.
_HANG_UP = ((b"connection", b"close"),)
_WORDS = {
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    503: b"Service Unavailable",
}

_Headers = Sequence[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """What is answered."""

    status: int
    headers: _Headers
    body: bytes = b""


# Without content: Slack would show some of it to the person who pressed a button.
_STORED = Reply(200, ((b"content-length", b"0"),))


class _TooLarge(Exception):
    """The body is longer than this endpoint takes."""


class _Gone(Exception):
    """The sender hung up before the body was whole."""


class Door:
    """Takes deliveries over HTTP, as an application of ASGI's; a framework would cost a delivery more than its signature does."""

    def __init__(
        self,
        endpoints: Endpoints,
        intake: Intake,
        store: Store,
        clock: Clock,
        patience: timedelta,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._intake = intake
        self._store = store
        self._clock = clock
        self._patience = patience.total_seconds()
        self._readiness = Readiness(store, lambda: intake.alive, watchdog)
        self._judges = Judges(judge, intake, self._patience)
        self._looks = {"/healthz": self._health, "/readyz": self._ready}
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing that was sent makes it raise."""
        try:
            reply = await self._answer(scope, receive)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001  # the last net: an attacker must never see an error of the server's
            defects.tell(_log, "webhook.failed", error)
            reply = _plain(400)
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            await send({"type": "http.response.body", "body": reply.body})

    def stop(self) -> None:
        """Let the threads end that judged; for when nothing more is asked."""
        self._judges.stop()

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        path = scope["path"]
        if path in self._looks and scope["method"] in ("GET", "HEAD"):
            return await self._looks[path]()
        endpoint = self._endpoints.find(path)
        if endpoint is None:
            await self._drained(receive)
            return _plain(404)
        most = endpoint.webhook.max_body
        headers = _headers(scope)
        try:
            if int(headers.get("content-length", "0")) > most:
                raise _TooLarge
            async with asyncio.timeout(self._patience):
                body = await _body(receive, most)
        except _TooLarge:
            self._refuse(endpoint, f"the body is longer than {most} bytes")
            await self._drained(receive)
            return _plain(413, _HANG_UP)
        except TimeoutError:
            self._refuse(endpoint, "the body did not come in time")
            return _plain(408, _HANG_UP)
        query: dict[str, str] = {}
        if scope["query_string"]:
            try:
                query = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_FIELDS))
            except ValueError:
                self._refuse(endpoint, "the query has too many fields")
                return _plain(400)
        return await self._judged(endpoint, Inbound(scope["method"], headers, body, query, self._clock.now()))

    async def _judged(self, endpoint: Endpoint, inbound: Inbound) -> Reply:
        try:
            verdict = await self._judges.verdict(endpoint, inbound)
        except Late:
            self._refuse(endpoint, "the connector's code did not judge it in time")
            return _plain(503, _COME_AGAIN)
        except (StoreError, TimeoutError):
            # The one case for which a vendor shall come again; what is stored after all is then known by its event id.
            return _plain(503, _COME_AGAIN)
        except Exception:  # noqa: BLE001  # who raised it has said why; coming again would not help
            return _plain(400)
        if verdict.arrival is None:
            if verdict.status == 200:
                return _said(200, verdict.body)
            self._refuse(endpoint, verdict.told)
            return _plain(verdict.status)
        if verdict.old_secret:
            _log.info("webhook.old_secret", connection=endpoint.connection, told="signed with the secret that goes")
        return _STORED

    def _refuse(self, endpoint: Endpoint, why: str) -> None:
        self._intake.refused(endpoint.connection)
        name, now = endpoint.connection, self._clock.monotonic()
        if now < self._quiet_until.get(name, now):
            self._untold[name] = self._untold.get(name, 0) + 1
            return
        self._quiet_until[name] = now + _SELDOM
        _log.warning("webhook.refused", connection=name, reason=why, untold=self._untold.pop(name, 0))

    async def _health(self) -> Reply:
        def readable() -> bool:
            try:
                with self._store.read() as tx:
                    state.pauses(tx)
            except StoreError:
                return False
            return self._intake.alive

        if await to_thread.run_sync(readable):
            return _json(200, {"status": "ok"})
        return _json(503, {"status": "the store cannot be used"})

    async def _ready(self) -> Reply:
        try:
            async with asyncio.timeout(self._patience):
                report = await to_thread.run_sync(self._readiness.look, abandon_on_cancel=True)
        except TimeoutError:
            return _json(503, {"status": "not ready", "failing": ["store"], "told": "nothing was found out in time"})
        return _json(200 if report.ready else 503, report.body())

    async def _drained(self, receive: Receive) -> None:
        """Read a little of a body that nobody wants."""
        with contextlib.suppress(TimeoutError, _Gone, _TooLarge):
            async with asyncio.timeout(self._patience):
                await _body(receive, _DRAINED, keep=False)


def _plain(status: int, more: _Headers = ()) -> Reply:
    allowed = ((b"allow", b"POST"),) if status == 405 else ()
    return _said(status, _WORDS[status], (*allowed, *more))


def _said(status: int, body: bytes, more: _Headers = ()) -> Reply:
    length = str(len(body)).encode()
    return Reply(status, (*more, (b"content-length", length), (b"content-type", b"text/plain; charset=utf-8")), body)


def _json(status: int, told: object) -> Reply:
    body = msgspec.json.encode(told)
    length = str(len(body)).encode()
    return Reply(status, ((b"content-length", length), (b"content-type", b"application/json")), body)


def _headers(scope: Scope) -> dict[str, str]:
    """Header names in small letters; what was sent twice is one value that no signature fits."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _body(receive: Receive, most: int, *, keep: bool = True) -> bytes:
    kept = bytearray()
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise _Gone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _TooLarge
        if keep:
            kept += chunk
        if not message.get("more_body", False):
            return bytes(kept)
