"""How a simulated vendor meets HTTP: faults applied, requests journaled, connections cut. Knows no vendor's rules.

`faulted` is the outermost layer of every vendor's app. It buffers each answer whole, so that a fault may lose, cut or
repeat it after the vendor has acted.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxbridge.sandbox import refusals
from cxbridge.sandbox.damage import Answer, damaged, made_up
from cxbridge.sandbox.faults import Rule
from cxbridge.sandbox.sending import TRANSPORT, deliver, hung_up, reset
from cxbridge.sandbox.verdict import markers
from cxbridge.sandbox.world import World

__all__ = ["TRANSPORT", "Answer", "JsonReply", "faulted", "made_up", "name_actor"]

ACTOR = "cxbridge.actor"

# Of so many paths the last answers are kept, and so many of each.
_PATHS_KEPT, _PAGES_KEPT = 64, 4
_LOGIN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method='post'>"
    b"<input name='user'><input name='password' type='password'><button>Sign in</button></form></body></html>"
)
_ABSURD_RETRY_AFTER = "31536000000"
_GARBLED_RETRY_AFTER = "in a little while"
_log = logging.getLogger(__name__)


class JsonReply(Response):
    """A JSON answer; integers of any size stay integers."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def name_actor(scope: MutableMapping[str, Any], actor: str) -> None:
    """Tell the journal who a request acts as; a vendor's app calls it once it knows."""
    scope[ACTOR] = actor


def faulted(app: ASGIApp, world: World, vendor: str) -> ASGIApp:
    """Wrap a vendor's app so that faults strike and every request is journaled, also one whose answer is lost."""
    return _Faulted(app, world, vendor)


class _Ask(msgspec.Struct, frozen=True):
    """What a request asks; equal ones ask the same."""

    method: str
    path: str
    query: bytes
    body: bytes


class _Memory:
    """What was asked and answered before, for faults that give it again."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, str], deque[Answer]] = OrderedDict()
        self._first: dict[tuple[str, str], _Ask] = {}
        self._equal: OrderedDict[_Ask, tuple[float, Answer]] = OrderedDict()

    def keep(self, ask: _Ask, answer: Answer, t: float) -> None:
        """Note a proper answer."""
        place = (ask.method, ask.path)
        self._first.setdefault(place, ask)
        self._pages.setdefault(place, deque(maxlen=_PAGES_KEPT)).append(answer)
        self._pages.move_to_end(place)
        self._equal[ask] = (t, answer)
        self._equal.move_to_end(ask)
        while len(self._pages) > _PATHS_KEPT:
            self._pages.popitem(last=False)
        while len(self._equal) > _PATHS_KEPT:
            self._equal.popitem(last=False)

    def pages(self, ask: _Ask) -> list[Answer]:
        """The last answers on a path, the newest last."""
        return list(self._pages.get((ask.method, ask.path), ()))

    def first(self, ask: _Ask) -> _Ask | None:
        """What was asked first on a path."""
        return self._first.get((ask.method, ask.path))

    def equal(self, ask: _Ask) -> tuple[float, Answer] | None:
        """When the same was asked last, and what was answered."""
        return self._equal.get(ask)


class _Faulted:
    def __init__(self, app: ASGIApp, world: World, vendor: str) -> None:
        self._app = app
        self._world = world
        self._vendor = vendor
        self._memory = _Memory()

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
        began = self._world.clock.true_time()
        body = await _whole_body(receive)
        ask = _Ask(scope["method"], scope["path"], scope["query_string"], body)
        rules = self._world.faults.take(self._vendor, ask.method, ask.path, self._impossible(ask))
        fault: Rule | None = None
        for rule in rules:
            if rule.name == "latency":
                await self._world.pause(float(rule.params.get("seconds", 1.0)))
            elif rule.name == "revoke_token":
                scope["headers"] = _spoilt_credentials(scope["headers"])
            else:
                fault = rule

        with self._world.clock.seen_by(self._vendor):
            answer = self._without_vendor(fault, ask)
        acted = answer is None and (fault is None or fault.name != "reset")
        if acted:
            asked = ask
            if fault is not None and fault.name == "cursor_reset":
                asked = self._memory.first(ask) or ask
                scope["query_string"] = asked.query
            answer = await self._ask_vendor(scope, asked.body)
        self._world.journal.request(
            self._vendor,
            ask.method,
            ask.path,
            ask.query.decode("latin-1"),
            answer.status if answer else 0,
            scope.get(ACTOR, ""),
            len(body),
            _kept_headers(scope["headers"]),
            fault=",".join(rule.name for rule in rules),
            retry_after=_header(answer, b"retry-after"),
            date=_header(answer, b"date"),
            unheard=hung_up(scope) or (fault is not None and fault.name == "ghost"),
            began=began,
        )
        if acted and answer and answer.status == 200 and (fault is None or fault.name != "cursor_reset"):
            self._memory.keep(ask, answer, self._world.clock.time())
        if answer is None or (fault and fault.name == "ghost"):
            if fault:
                await self._world.pause(float(fault.params.get("seconds", 0)))
            await reset(scope, receive)
            return
        name, params = (fault.name, fault.params) if fault else ("", {})
        answer = damaged(name, params, answer, self._hidden(fault))
        await deliver(answer, name, params, self._world.pause, scope, receive, send)

    def _impossible(self, ask: _Ask) -> tuple[str, ...]:
        """The faults that cannot strike yet, because what they give again was not asked for so far."""
        pages, first, equal = self._memory.pages(ask), self._memory.first(ask), self._memory.equal(ask)
        cannot = {
            "duplicate_page": not pages,
            "cursor_loop": len(pages) < 2,
            "cursor_reset": first is None or first == ask,
            "stale": equal is None,
        }
        return tuple(name for name, waits in cannot.items() if waits)

    def _without_vendor(self, fault: Rule | None, ask: _Ask) -> Answer | None:
        """The answer of a fault that keeps the request from the vendor; None if the vendor is to be asked."""
        if fault is None:
            return None
        params = fault.params
        match fault.name:
            case "duplicate_page":
                return self._memory.pages(ask)[-1]
            case "cursor_loop":
                again = self._memory.pages(ask)[-max(2, int(params.get("period", 2))) :]
                return again[(fault.struck - 1) % len(again)]
            case "stale":
                then, answer = self._memory.equal(ask) or (0.0, None)
                age = self._world.clock.time() - then
                return answer if age <= float(params.get("seconds", 300)) else None
            case "html":
                return made_up(200, _LOGIN_PAGE)
            case "status":
                code = int(params.get("code", 500))
                body = params.get("body", refusals.refusal(self._vendor, code))
                return made_up(code, body, self._dated(params.get("headers")))
            case "rate_limited":
                return made_up(429, refusals.refusal(self._vendor, 429), self._dated(self._retry_after(params)))
            case "scope_removed":
                code, body = refusals.scope_removed(self._vendor, str(params.get("scope", "")))
                return made_up(code, body, self._dated(None))
            case _:
                return None

    def _hidden(self, fault: Rule | None) -> set[str]:
        """The markers of what integrations wrote within the time that `late_visible` hides."""
        if fault is None or fault.name != "late_visible":
            return set()
        since = self._world.clock.true_time() - float(fault.params.get("seconds", 300))
        written = self._world.journal.effects(via="api", vendor=self._vendor)
        # Each vendor spells the beginning of a marker in its own way.
        return {marker[-16:] for effect in written if effect.t >= since for marker in markers(effect.detail)}

    def _dated(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {"date": format_datetime(self._world.clock.now(), usegmt=True), **(headers or {})}

    def _retry_after(self, params: Mapping[str, Any]) -> dict[str, str]:
        how = params.get("retry_after", 1)
        if how == "absent":
            return {}
        if how in ("absurd", "garbled"):
            return {"retry-after": _ABSURD_RETRY_AFTER if how == "absurd" else _GARBLED_RETRY_AFTER}
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
            # Only around what runs without a pause, so that nobody else sees the time so meanwhile.
            with self._world.clock.seen_by(self._vendor):
                await self._app(scope, receive, send)
        except Exception:  # noqa: BLE001 - a mistake of the simulator shows in the log, and as a plain 500
            _log.exception("the simulated %s failed on %s %s", self._vendor, scope["method"], scope["path"])
        answer.body = b"".join(chunks)
        return answer


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


def _header(answer: Answer | None, name: bytes) -> str:
    found = [value for one, value in answer.headers if one.lower() == name] if answer is not None else []
    return found[0].decode("latin-1") if found else ""


def _spoilt_credentials(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Keep the scheme and break the rest, so that each vendor refuses in its own words."""
    spoilt = b"cmV2b2tlZDpyZXZva2Vk"
    schemed = {b"authorization"}
    bare = {b"accesskey", b"x-api-token"}
    return [
        (name, value.split(b" ", 1)[0] + b" " + spoilt if name in schemed else spoilt if name in bare else value)
        for name, value in headers
    ]


def _kept_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    kept = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name in {"idempotency-key", "user-agent"} or "retry" in name or "attempt" in name:
            kept[name] = value.decode("latin-1")
    return kept
