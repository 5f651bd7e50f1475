"""The brand as an HTTP service: finds the path, the caller and the limits of a request, and hands it to a handler."""

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cxbridge.sandbox.http import JsonReply, name_actor
from cxbridge.sandbox.qualtrics import exports, people_api, sending_api, survey_api, wire
from cxbridge.sandbox.qualtrics.control import Control
from cxbridge.sandbox.qualtrics.options import from_mapping
from cxbridge.sandbox.qualtrics.state import VENDOR, BrandState
from cxbridge.sandbox.qualtrics.wire import PREFIX, Call, RefusedError, Reply

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

Json = Any
Handler = Callable[[BrandState, Call], Reply]

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Path:
    """One operation; `limit` names the limit of its own that it draws from beside the brand's."""

    method: str
    template: str
    handler: Handler
    scope: str | None = None
    limit: str = ""

    def pattern(self) -> re.Pattern[str]:
        return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template) + "$")


_DIRECTORY = "/directories/{directory}"
_EXPORTS = "/surveys/{survey}/export-responses"
PATHS = (
    Path("GET", "/whoami", survey_api.whoami),
    Path("GET", "/surveys", survey_api.surveys, "read:surveys"),
    Path("GET", "/surveys/{survey}", survey_api.survey, "read:surveys"),
    Path("GET", "/survey-definitions/{survey}", survey_api.definition, "read:surveys"),
    Path("GET", "/survey-definitions/{survey}/questions", survey_api.questions, "read:surveys"),
    Path("POST", _EXPORTS, exports.start, "read:survey_responses", "export starts"),
    Path("GET", _EXPORTS + "/{progress}", exports.look, "read:survey_responses", "export looks"),
    Path("GET", _EXPORTS + "/{file}/file", exports.download, "read:survey_responses", "export files"),
    Path("GET", "/surveys/{survey}/responses/{response}", exports.single, "read:survey_responses"),
    Path("DELETE", "/surveys/{survey}/responses/{response}", survey_api.delete_response, "write:survey_responses"),
    Path("PUT", "/responses/{response}", survey_api.update_response, "write:survey_responses"),
    Path("GET", "/directories", people_api.directories, "read:directories"),
    Path("GET", _DIRECTORY + "/contacts", people_api.contacts, "read:directory_contacts"),
    Path("POST", _DIRECTORY + "/contacts", people_api.create, "write:directory_contacts"),
    Path("POST", _DIRECTORY + "/contacts/search", people_api.search, "read:directory_contacts"),
    Path("GET", _DIRECTORY + "/contacts/{contact}", people_api.contact, "read:directory_contacts"),
    Path("PUT", _DIRECTORY + "/contacts/{contact}", people_api.update, "write:directory_contacts"),
    Path("GET", _DIRECTORY + "/mailinglists", people_api.mailing_lists, "read:mailing_lists"),
    Path("POST", _DIRECTORY + "/mailinglists", people_api.create_list, "write:mailing_lists"),
    Path("GET", _DIRECTORY + "/mailinglists/{list}", people_api.mailing_list, "read:mailing_lists"),
    Path("GET", _DIRECTORY + "/mailinglists/{list}/contacts", people_api.list_contacts, "read:mailing_lists"),
    Path(
        "POST", _DIRECTORY + "/mailinglists/{list}/contacts", people_api.create_in_list, "write:mailing_list_contacts"
    ),
    Path("GET", "/distributions", sending_api.distributions, "read:distributions"),
    Path("POST", "/distributions", sending_api.distribute, "write:distributions"),
    Path("GET", "/distributions/{distribution}", sending_api.distribution, "read:distributions"),
    Path("POST", "/distributions/{distribution}/reminders", sending_api.remind, "write:distributions"),
    Path("POST", "/distributions/{distribution}/thankyous", sending_api.thank, "write:distributions"),
    # No scope for tickets is known: an API token is needed.
    Path("GET", "/tickets", sending_api.tickets, "tickets"),
    Path("GET", "/tickets/{ticket}", sending_api.ticket, "tickets"),
    Path("PUT", "/tickets/{ticket}", sending_api.update_ticket, "tickets"),
    Path("GET", "/eventsubscriptions", sending_api.subscriptions, "read:subscriptions"),
    Path("POST", "/eventsubscriptions", sending_api.subscribe, "write:subscriptions"),
    Path("GET", "/eventsubscriptions/{subscription}", sending_api.subscription, "read:subscriptions"),
    Path("DELETE", "/eventsubscriptions/{subscription}", sending_api.unsubscribe, "write:subscriptions"),
)


def create_app(world: "World") -> Starlette:
    """The brand of a world, added to the world's vendors; a second app of one world shows the same brand."""
    held = world.vendors.get(VENDOR)
    if not isinstance(held, Control):
        held = Control(BrandState(world, from_mapping(world.options.get(VENDOR, {}))))
        world.vendors[VENDOR] = held
    front = _Front(held.state)

    async def answer(request: Request) -> Response:
        body = await request.body()
        with world.lock:
            return front.answer(request, body)

    return Starlette(routes=[Route("/{path:path}", answer, methods=list(_METHODS))])


@dataclass(slots=True)
class _Front:
    """Everything a request meets before and after its handler."""

    state: BrandState
    paths: list[tuple[Path, re.Pattern[str]]] = field(default_factory=lambda: [(one, one.pattern()) for one in PATHS])
    access: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)
    calls: dict[str, deque[float]] = field(default_factory=dict)
    issued: int = 0

    def answer(self, request: Request, body: bytes) -> Response:
        headers = {"Date": format_datetime(self.state.now(), usegmt=True)}
        if request.url.path == "/oauth2/token":
            status, content = self._token(request, body)
            return JsonReply(content, status, headers)
        request_id = self.state.request_id()
        try:
            reply = self._asked(request, body)
        except RefusedError as error:
            return JsonReply(wire.fault(error, request_id), error.status, {**headers, **error.headers})
        if reply.file is not None:
            return Response(reply.file, reply.status, headers, reply.media_type)
        notice = self._notice()
        content = {"result": reply.result} if reply.result is not None else {}
        return JsonReply({**content, "meta": wire.meta(reply.status, request_id, notice)}, reply.status, headers)

    def _notice(self) -> str | None:
        host = self.state.options.proxied
        return f"Request proxied. For faster response times, use this host instead: {host}" if host else None

    def _asked(self, request: Request, body: bytes) -> Reply:
        scopes = self._caller(request)
        # Clients put slashes at the end and two in a row; real gateways do not mind.
        full = re.sub("/+", "/", request.url.path).rstrip("/")
        plain = full.removeprefix(PREFIX)
        path, params = self._path(request.method, plain if plain != full else "")
        if scopes is not None and path.scope is not None and path.scope not in scopes:
            raise RefusedError(403, f"The token lacks the scope {path.scope}.", "OAUTH_3")
        if not self.state.options.licensed and path.template != "/whoami":
            raise RefusedError(403, "Your brand does not have access to the API.", "AUTH_7")
        self._count(path)
        call = Call(
            method=request.method,
            path=plain,
            base=f"{request.url.scheme}://{request.url.netloc}",
            query=dict(request.query_params),
            body=_json(body),
            now=self.state.now(),
            params=params,
            scopes=scopes,
        )
        return path.handler(self.state, call)

    def _caller(self, request: Request) -> frozenset[str] | None:
        token = request.headers.get("x-api-token")
        if self.state.world.faults.revoked(VENDOR):
            raise RefusedError(401, "Invalid API token.", "AUTH_3")
        scheme, _, bearer = (request.headers.get("authorization") or "").partition(" ")
        if token in self.state.options.tokens and token is not None:
            name_actor(request.scope, self.state.options.user)
            return None
        granted = self.access.get(bearer) if scheme.lower() == "bearer" else None
        if granted is None or self.state.world.clock.time() >= granted[1]:
            raise RefusedError(401, "Unrecognized X-API-TOKEN.", "AUTH_3")
        name_actor(request.scope, self.state.options.user)
        return granted[0]

    def _path(self, method: str, plain: str) -> tuple[Path, dict[str, str]]:
        found = [(path, match.groupdict()) for path, pattern in self.paths if (match := pattern.match(plain))]
        fewest = min((path.template.count("{") for path, _ in found), default=0)
        for path, params in found:
            if path.method == method and path.template.count("{") == fewest:
                return path, params
        raise RefusedError(404, "The requested resource does not exist.", "API_404")

    def _count(self, path: Path) -> None:
        """Count a call against the brand's limit and its path's own.

        Raises:
            RefusedError: 429, one of them is used up for this minute.
        """
        now = self.state.world.clock.time()
        limits = self.state.options.per_minute()
        for name in ("brand", path.limit):
            most = limits.get(name)
            past = self.calls.setdefault(name, deque())
            while past and past[0] <= now - _MINUTE:
                past.popleft()
            if name and most is not None and len(past) >= most:
                wait = max(1, round(past[0] + _MINUTE - now))
                raise RefusedError(429, "The rate limit is exceeded.", "RATE_1", {"Retry-After": str(wait)})
        for name in filter(None, ("brand", path.limit)):
            self.calls[name].append(now)

    def _token(self, request: Request, body: bytes) -> tuple[int, dict[str, Json]]:
        """Grant an access token to a client that proves itself in the header, as client credentials are."""
        fields = parse_qs(body.decode("latin-1"))
        client_id, secret = _basic(request.headers.get("authorization"))
        client = self.state.options.clients.get(client_id)
        if client is None or client.secret != secret or self.state.world.faults.revoked(VENDOR):
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}
        if fields.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        wanted = frozenset(" ".join(fields.get("scope", [])).split())
        if not wanted or wanted - set(client.scopes):
            return 400, {"error": "invalid_scope", "error_description": "A scope is not allowed for this client"}
        self.issued += 1
        token = f"sandbox-access-{self.issued}"
        ttl = self.state.options.access_token_ttl
        self.access[token] = (wanted, self.state.world.clock.time() + ttl)
        granted = " ".join(sorted(wanted))
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": ttl, "scope": granted}


def _json(body: bytes) -> Json:
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise RefusedError(400, "The request body is not valid JSON.", "BRE_0.3") from None


def _basic(authorization: str | None) -> tuple[str, str]:
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret
