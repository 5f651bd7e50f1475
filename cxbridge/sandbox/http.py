"""How a simulated vendor meets HTTP: faults applied, requests journaled, connections cut. Knows no vendor's rules.

`faulted` is the outermost layer of every vendor's app. It buffers each answer whole, so that a fault may lose, cut or
repeat it after the vendor has acted.
"""

import asyncio
import logging
import socket
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxbridge.sandbox.faults import Rule
from cxbridge.sandbox.world import World

TRANSPORT = "cxbridge.transport"
ACTOR = "cxbridge.actor"

_PAGES_KEPT = 32
_LOGIN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method='post'>"
    b"<input name='user'><input name='password' type='password'><button>Sign in</button></form></body></html>"
)
_ABSURD_RETRY_AFTER = "31536000000"
_log = logging.getLogger(__name__)


class JsonReply(Response):
    """A JSON answer; integers of any size stay integers."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def name_actor(scope: MutableMapping[str, Any], actor: str) -> None:
    """Tell the journal who a request acts as; a vendor's app calls it once it knows."""
    scope[ACTOR] = actor


class Answer:
    """A vendor's whole answer, before it is known how much of it will arrive."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def with_body(self, body: bytes) -> "Answer":
        """The same answer around another body, its length stated truly."""
        headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        return Answer(self.status, [*headers, (b"content-length", b"%d" % len(body))], body)


def made_up(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that no vendor's code gave: bytes as they are, text as a page, anything else as JSON."""
    if isinstance(body, bytes | str):
        raw, media_type = body.encode() if isinstance(body, str) else body, "text/html; charset=utf-8"
    else:
        raw, media_type = msgspec.json.encode(body), "application/json; charset=utf-8"
    given = {"content-type": media_type, **{name.lower(): value for name, value in (headers or {}).items()}}
    return Answer(
        status,
        [(name.encode(), str(value).encode()) for name, value in given.items()]
        + [(b"content-length", b"%d" % len(raw))],
        raw,
    )


def faulted(app: ASGIApp, world: World, vendor: str) -> ASGIApp:
    """Wrap a vendor's app so that faults strike and every request is journaled, also one whose answer is lost."""
    return _Faulted(app, world, vendor)


class _Faulted:
    def __init__(self, app: ASGIApp, world: World, vendor: str) -> None:
        self._app = app
        self._world = world
        self._vendor = vendor
        self._pages: OrderedDict[str, Answer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            # The sandbox stops while a fault holds this answer back; its connection is gone already.
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole_body(receive)
        path, method = scope["path"], scope["method"]
        unless = () if method == "GET" and path in self._pages else ("duplicate_page",)
        rules = self._world.faults.take(self._vendor, method, path, unless)
        fault: Rule | None = None
        for rule in rules:
            if rule.name == "latency":
                await asyncio.sleep(float(rule.params.get("seconds", 1.0)))
            elif rule.name == "revoke_token":
                scope["headers"] = _spoilt_credentials(scope["headers"])
            else:
                fault = rule

        answer = self._without_vendor(fault, path)
        acted = answer is None and (fault is None or fault.name != "reset")
        if acted:
            answer = await self._ask_vendor(scope, body)
        self._world.journal.request(
            self._vendor,
            method,
            path,
            scope["query_string"].decode("latin-1"),
            answer.status if answer else 0,
            scope.get(ACTOR, ""),
            len(body),
            _kept_headers(scope["headers"]),
            fault=",".join(rule.name for rule in rules),
        )
        if acted and answer and method == "GET" and answer.status == 200:
            self._pages[path] = answer
            self._pages.move_to_end(path)
            if len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        if answer is None or (fault and fault.name == "ghost"):
            if fault:
                await asyncio.sleep(float(fault.params.get("seconds", 0)))
            await _reset(scope, receive)
        else:
            await _deliver(answer, fault, scope, receive, send)

    def _without_vendor(self, fault: Rule | None, path: str) -> Answer | None:
        """The answer of a fault that keeps the request from the vendor; None if the vendor is to be asked."""
        if fault is None:
            return None
        if fault.name == "duplicate_page":
            return self._pages[path]
        if fault.name == "html":
            return made_up(200, _LOGIN_PAGE)
        if fault.name == "status":
            code = int(fault.params.get("code", 500))
            body = fault.params.get("body", _error_body(self._vendor, code))
            return made_up(code, body, self._dated(fault.params.get("headers")))
        if fault.name == "rate_limited":
            return made_up(429, _error_body(self._vendor, 429), self._dated(self._retry_after(fault.params)))
        return None

    def _dated(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {"date": format_datetime(self._world.clock.now(), usegmt=True), **(headers or {})}

    def _retry_after(self, params: Mapping[str, Any]) -> dict[str, str]:
        how = params.get("retry_after", 1)
        if how == "absent":
            return {}
        if how == "absurd":
            return {"retry-after": _ABSURD_RETRY_AFTER}
        if how == "http-date":
            moment = self._world.clock.now() + timedelta(seconds=float(params.get("seconds", 30)))
            return {"retry-after": format_datetime(moment, usegmt=True)}
        return {"retry-after": str(how)}

    async def _ask_vendor(self, scope: Scope, body: bytes) -> Answer:
        answer = Answer(500, [], b"")
        chunks: list[bytes] = []
        unread = [body]

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = list(message.get("headers", []))
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        try:
            await self._app(scope, receive, send)
        except Exception:  # noqa: BLE001 - a mistake of the simulator shows in the log, and as a plain 500
            _log.exception("the simulated %s failed on %s %s", self._vendor, scope["method"], scope["path"])
        answer.body = b"".join(chunks)
        return answer


async def _deliver(answer: Answer, fault: Rule | None, scope: Scope, receive: Receive, send: Send) -> None:
    name = fault.name if fault else ""
    params = fault.params if fault else {}
    if name == "bad_json":
        answer = answer.with_body(answer.body[: max(1, len(answer.body) * 2 // 3)])
    elif name == "rewrite":
        answer = answer.with_body(_rewritten(answer.body, params))
    elif name == "slow_close":
        # Announced, so that only waiting for the end costs the client time, and not a race for the connection.
        answer = Answer(answer.status, [*answer.headers, (b"connection", b"close")], answer.body)
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    if name == "limit_data":
        await send(
            {"type": "http.response.body", "body": answer.body[: int(params.get("bytes", 0))], "more_body": True}
        )
        await _close(scope, receive)
    elif name == "slicer":
        size = max(1, int(params.get("bytes", 64)))
        for start in range(0, len(answer.body), size):
            await send({"type": "http.response.body", "body": answer.body[start : start + size], "more_body": True})
            await asyncio.sleep(float(params.get("seconds", 0)))
        await send({"type": "http.response.body", "body": b""})
    elif name == "slow_close":
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await asyncio.sleep(float(params.get("seconds", 1)))
        await _close(scope, receive)
    else:
        await send({"type": "http.response.body", "body": answer.body})


def _rewritten(body: bytes, params: Mapping[str, Any]) -> bytes:
    """A JSON answer with some values changed, as when a vendor's schema drifts; anything else as it is."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    for path, value in (params.get("set") or {}).items():
        for parent, name in _places(content, path.split(".")):
            parent[name] = value
    for path in params.get("drop") or ():
        for parent, name in _places(content, path.split(".")):
            if isinstance(parent, dict):
                parent.pop(name, None)
    return msgspec.json.encode(content)


def _places(value: Any, path: list[str]) -> Iterator[tuple[Any, Any]]:
    """Where a path leads: containers with the key or index under which the value stands."""
    first, rest = path[0], path[1:]
    keys: list[Any]
    if isinstance(value, list):
        keys = list(range(len(value))) if first == "*" else [int(first)] if first.isdigit() else []
        keys = [key for key in keys if key < len(value)]
    elif isinstance(value, dict):
        keys = list(value) if first == "*" else [first]
    else:
        return
    for key in keys:
        if not rest:
            yield value, key
        elif isinstance(value, list) or key in value:
            yield from _places(value[key], rest)


async def _whole_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)


async def _reset(scope: Scope, receive: Receive) -> None:
    """End the connection with a TCP reset, so that the client cannot take it for an orderly end."""
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise RuntimeError("this fault needs the sandbox's own server to cut a connection")
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _close(scope: Scope, receive: Receive) -> None:
    """Send what was written, then close although more was promised."""
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise RuntimeError("this fault needs the sandbox's own server to cut a connection")
    transport.close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    # The server must have seen the end before the app returns, or it would try to answer 500 itself.
    while (await receive())["type"] != "http.disconnect":
        pass


def _spoilt_credentials(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Keep the scheme and break the rest, so that each vendor refuses in its own words."""
    return [
        (name, value.split(b" ", 1)[0] + b" cmV2b2tlZDpyZXZva2Vk" if name == b"authorization" else value)
        for name, value in headers
    ]


def _kept_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    kept = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name in {"idempotency-key", "user-agent"} or "retry" in name or "attempt" in name:
            kept[name] = value.decode("latin-1")
    return kept


def _error_body(vendor: str, code: int) -> dict[str, Any]:
    text = {
        401: "Couldn't authenticate you",
        429: "Number of allowed API requests per minute exceeded",
        503: "Service temporarily unavailable",
    }.get(code, f"The sandbox was told to answer {code}")
    if vendor == "jira":
        return {"errorMessages": [text], "errors": {}}
    if vendor == "qualtrics":
        error = {"errorMessage": text, "errorCode": f"SANDBOX_{code}"}
        return {"meta": {"httpStatus": f"{code} - Sandbox", "requestId": None, "error": error}}
    if code == 401:
        return {"error": text}
    return {"error": {429: "APIRateLimitExceeded"}.get(code, "SandboxFault"), "description": text}
