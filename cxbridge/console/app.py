"""The HTTP side of webhooks: bounds what is sent, asks what it comes to, and answers once it is stored; knows no vendor.

A path is looked up before a byte of the body is kept, so that strangers hold no memory of ours; whatever is wrong with a path gives
the same answer.
"""

import asyncio
import contextlib
from concurrent.futures import Future
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cxbridge.console.endpoints import Endpoint, Endpoints, judge
from cxbridge.console.intake import Intake
from cxbridge.console.judges import Judges
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
_COME_AGAIN = {"retry-after": "30"}
# What is left of such a body is not waited for.
_HANG_UP = {"connection": "close"}


class _TooLarge(Exception):
    """The body is longer than this endpoint takes."""


class _Gone(Exception):
    """The sender hung up before the body was whole."""


class Door:
    """Takes deliveries over HTTP."""

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
        self._judges = Judges(judge, self._patience)
        self._quiet_until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def app(self) -> Starlette:
        """Give the whole application."""
        made = Starlette(
            routes=[
                Route("/healthz", self._health, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
                Route("/{path:path}", self),
            ]
        )
        made.router.redirect_slashes = False
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing that was sent makes it raise."""
        try:
            response = await self._answer(scope, receive)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001  # the last net: an attacker must never see an error of the server's
            defects.tell(_log, "webhook.failed", error)
            response = _plain(400)
        with contextlib.suppress(OSError):
            await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        endpoint = self._endpoints.find(scope["path"])
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
        try:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=_MOST_FIELDS))
        except ValueError:
            self._refuse(endpoint, "the query has too many fields")
            return _plain(400)
        inbound = Inbound(scope["method"], headers, body, query, self._clock.now())
        return await self._judged(endpoint, inbound)

    async def _judged(self, endpoint: Endpoint, inbound: Inbound) -> Response:
        verdict = await self._judges.verdict(endpoint, inbound)
        if verdict is None:
            self._refuse(endpoint, "the connector's code did not judge it in time")
            return _plain(503, _COME_AGAIN)
        if verdict.arrival is None:
            if verdict.status == 200:
                return Response(verdict.body, media_type="text/plain")
            self._refuse(endpoint, verdict.told)
            return _plain(verdict.status)
        if verdict.old_secret:
            _log.info("webhook.old_secret", connection=endpoint.connection, told="signed with the secret that goes")
        put: Future[bool] = self._intake.put(verdict.arrival, old_secret=verdict.old_secret)
        try:
            new = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(put)), self._patience)
        except (StoreError, TimeoutError):
            # The one case for which a vendor shall come again; what is stored after all is then known by its event id.
            return _plain(503, _COME_AGAIN)
        except Exception:  # noqa: BLE001  # the intake has said why; coming again would not help
            return _plain(400)
        _log.debug("webhook.stored", connection=endpoint.connection, new=new)
        # Without content: Slack would show some of it to the person who pressed a button.
        return Response(status_code=200)

    def _refuse(self, endpoint: Endpoint, why: str) -> None:
        self._intake.refused(endpoint.connection)
        name, now = endpoint.connection, self._clock.monotonic()
        if now < self._quiet_until.get(name, now):
            self._untold[name] = self._untold.get(name, 0) + 1
            return
        self._quiet_until[name] = now + _SELDOM
        _log.warning("webhook.refused", connection=name, reason=why, untold=self._untold.pop(name, 0))

    async def _health(self, request: Request) -> Response:
        del request

        def readable() -> bool:
            try:
                with self._store.read() as tx:
                    state.pauses(tx)
            except StoreError:
                return False
            return self._intake.alive

        if await to_thread.run_sync(readable):
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "the store cannot be used"}, 503)

    async def _ready(self, request: Request) -> Response:
        del request
        try:
            async with asyncio.timeout(self._patience):
                report = await to_thread.run_sync(self._readiness.look, abandon_on_cancel=True)
        except TimeoutError:
            return JSONResponse(
                {"status": "not ready", "failing": ["store"], "told": "nothing was found out in time"}, 503
            )
        return JSONResponse(report.body(), 200 if report.ready else 503)

    async def _drained(self, receive: Receive) -> None:
        """Read a little of a body that nobody wants."""
        with contextlib.suppress(TimeoutError, _Gone, _TooLarge):
            async with asyncio.timeout(self._patience):
                await _body(receive, _DRAINED, keep=False)


def _plain(status: int, headers: dict[str, str] | None = None) -> Response:
    words = {
        400: "Bad Request",
        401: "Unauthorized",
        404: "Not Found",
        405: "Method Not Allowed",
        408: "Request Timeout",
        413: "Content Too Large",
        503: "Service Unavailable",
    }
    more = {"allow": "POST"} if status == 405 else {}
    return PlainTextResponse(words[status], status, headers={**more, **(headers or {})})


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
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _TooLarge
        if keep:
            kept += chunk
        if not message.get("more_body", False):
            return bytes(kept)
