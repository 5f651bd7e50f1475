"""The site as an HTTP service: finds the path, the caller and the limits of a request, and hands it to a handler.

The site's own address, the API gateway (`/ex/jira/{cloudId}`) and the OAuth host are hosts of their own in the vendor's
world; here one listener plays all three.
"""

import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cxbridge.sandbox.http import JsonReply, name_actor
from cxbridge.sandbox.jira import (
    attached_paths,
    desk_paths,
    issue_paths,
    search_paths,
    seed,
    setup_paths,
    webhook_paths,
)
from cxbridge.sandbox.jira.auth import Caller, Credentials, gateway_refused
from cxbridge.sandbox.jira.control import Control
from cxbridge.sandbox.jira.limits import Limits
from cxbridge.sandbox.jira.paths import Path, Services
from cxbridge.sandbox.jira.search import Search
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.wire import Call, RefusedError, Reply, refused, unauthenticated

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

Json = Any

OPERATIONS: Final = (
    *search_paths.PATHS,
    *issue_paths.PATHS,
    *attached_paths.PATHS,
    *setup_paths.PATHS,
    *desk_paths.PATHS,
    *webhook_paths.PATHS,
)
_GATEWAY: Final = re.compile(r"^/ex/jira/(?P<cloud>[^/]+)(?P<rest>/.*)$")
_REST: Final = re.compile(r"^/rest/(?:api/(?P<version>2|3|latest)|servicedeskapi)(?P<rest>/.*)$")
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


def create_app(world: "World") -> Starlette:
    """The site of a world, with its state kept at `world.jira`; a second app of one world shows the same site."""
    if world.jira is None:
        state = JiraState(world)
        services = Services(state, Search(state), Credentials.of(state.options, state.bot), Limits(state.options))
        world.jira = Control(services)
        if state.options.seed_issues:
            seed.load(state)
    site = _Front(world.jira.services)

    async def answer(request: Request) -> Response:
        body = await request.body()
        with world.lock:
            return site.answer(request, body)

    return Starlette(routes=[Route("/{path:path}", answer, methods=list(_METHODS))])


class _Front:
    """Everything a request meets before and after its handler."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._paths = [(path, path.pattern()) for path in OPERATIONS]

    def answer(self, request: Request, body: bytes) -> Response:
        now = self._services.state.now()
        headers = {"Date": format_datetime(now, usegmt=True)}
        try:
            reply = self._outside(request, body) or self._rest(request, body, headers)
        except RefusedError as error:
            reply = Reply(error.status, error.payload, error.headers)
        headers |= reply.headers
        if reply.payload is None:
            return Response(status_code=reply.status, headers=headers)
        return JsonReply(reply.payload, status_code=reply.status, headers=headers)

    def _outside(self, request: Request, body: bytes) -> Reply | None:
        """The paths that are not part of the REST API: OAuth, the cloud id, linked applications, administrators' webhooks."""
        path, method = request.url.path.rstrip("/"), request.method
        credentials, clock = self._services.credentials, self._services.state.world.clock
        if (method, path) == ("POST", "/oauth/token"):
            return Reply(200, credentials.token(_oauth_body(request, body), clock.time()))
        if (method, path) == ("GET", "/oauth/token/accessible-resources"):
            return Reply(200, self._resources(request))
        if (method, path) == ("GET", "/authorize"):
            return self._consent(request)
        if (method, path) == ("GET", "/_edge/tenant_info"):
            return Reply(200, {"cloudId": self._services.state.site.cloud_id})
        if (method, path) == ("GET", "/rest/applinks/latest/listApplicationlinks"):
            caller = credentials.on_site(request.headers.get("authorization"))
            if caller.user is None or not caller.user.admin:
                raise refused(403, "Administrator privileges are required.")  # unverified wording
            return Reply(200, {"list": []})
        if f"{path}/".startswith(f"{webhook_paths.ADMIN}/"):
            caller = credentials.on_site(request.headers.get("authorization"))
            return webhook_paths.admin(
                self._services, caller.user, method, path, _json(request, body), _origin(request)
            )
        return None

    def _resources(self, request: Request) -> list[Json]:
        state = self._services.state
        caller = self._services.credentials.at_gateway(request.headers.get("authorization"), state.world.clock.time())
        if caller.app is None:
            raise gateway_refused(401, "Unauthorized")
        return [
            {
                "id": state.site.cloud_id,
                "url": _origin(request),
                "name": "sandbox",
                "scopes": sorted(scope for scope in caller.scopes or () if scope != "offline_access"),
                "avatarUrl": f"{_origin(request)}/avatar/site",
            }
        ]

    def _consent(self, request: Request) -> Reply:
        """Consent at once, as the integration user, and send the browser back to the app with a code."""
        back = request.query_params.get("redirect_uri", "")
        try:
            code = self._services.credentials.new_code(
                request.query_params.get("client_id", ""), back, self._services.state.world.clock.time()
            )
        except LookupError:
            raise RefusedError(400, {"error": "unauthorized_client", "error_description": "Unknown client"}) from None
        query = urlencode({"state": request.query_params.get("state", ""), "code": code})
        return Reply(302, None, {"Location": f"{back}{'&' if '?' in back else '?'}{query}"})

    def _rest(self, request: Request, body: bytes, headers: dict[str, str]) -> Reply:
        state, limits = self._services.state, self._services.limits
        now = state.world.clock.time()
        full = request.url.path.rstrip("/")
        gateway = _GATEWAY.match(full)
        caller = self._caller(request, gateway)
        if caller.user is not None:
            name_actor(request.scope, caller.user.label)
            headers["X-AACCOUNTID"] = caller.user.account_id
        base = _origin(request) + (f"/ex/jira/{state.site.cloud_id}" if gateway else "")
        rest = _REST.match(gateway["rest"] if gateway else full)
        path, params = self._path(request.method, rest)
        if caller.scopes is not None and path.scope not in caller.scopes:
            raise gateway_refused(401, "Unauthorized; scope does not match")
        headers |= limits.burst(f"{path.method} {path.template}", path.limit(), path.method, now)
        if caller.app is not None:
            headers |= limits.quota(caller.app, now)
        if path.guarded and caller.user is None:
            raise unauthenticated()
        call = Call(
            method=request.method,
            user=caller.user,
            base=base,
            version=_version(path, rest),
            path=rest.string if rest else "",
            params=params,
            query=parse_qsl(request.url.query, keep_blank_values=True),
            body=_json(request, body),
            has_body=bool(body),
            now=state.now(),
            app=caller.app,
        )
        if path.writes_issue and (issue := state.seen(params["key"])) is not None:
            limits.issue_write(issue.id, now)
        reply = path.handler(self._services, call)
        if caller.app is not None:
            limits.spend(caller.app, _points(request.method, reply.payload), now)
        return reply

    def _caller(self, request: Request, gateway: re.Match[str] | None) -> Caller:
        state, authorization = self._services.state, request.headers.get("authorization")
        if gateway is None:
            return self._services.credentials.on_site(authorization)
        caller = self._services.credentials.at_gateway(authorization, state.world.clock.time())
        if gateway["cloud"] != state.site.cloud_id:
            raise gateway_refused(404, "Not Found")  # unverified body
        return caller

    def _path(self, method: str, rest: re.Match[str] | None) -> tuple[Path, Mapping[str, str]]:
        """The operation a request is for. A fixed path wins over one with a parameter, whatever the order."""
        found: list[tuple[Path, Mapping[str, str]]] = []
        if rest is not None:
            kind = "platform" if rest["version"] else "desk"
            found = [
                (path, match.groupdict())
                for path, pattern in self._paths
                if path.kind == kind and (match := pattern.match(rest["rest"]))
            ]
            fewest = min((path.template.count("{") for path, _ in found), default=0)
            found = [(path, params) for path, params in found if path.template.count("{") == fewest]
        if not found:
            raise RefusedError(404, {"message": "null for uri", "status-code": 404})  # unverified body
        for path, params in found:
            if path.method == method:
                return path, params
        allowed = ", ".join(sorted({path.method for path, _ in found}))
        raise RefusedError(405, {"message": "Method Not Allowed", "status-code": 405}, {"Allow": allowed})


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def _version(path: Path, rest: re.Match[str] | None) -> Literal[2, 3]:
    # `latest` still means version 2 (unverified for the cloud); service management has texts of its own.
    return 2 if path.kind == "platform" and rest is not None and rest["version"] in ("2", "latest") else 3


def _json(request: Request, body: bytes) -> Json:
    if not body:
        return None
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise RefusedError(415, {"errorMessages": ["Unsupported Media Type"], "errors": {}})  # unverified body
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise refused(400, "There was an error parsing JSON. Check that your request body is valid.") from None


def _oauth_body(request: Request, body: bytes) -> Mapping[str, Json]:
    given = _json(request, body)
    if not isinstance(given, dict):
        raise RefusedError(400, {"error": "invalid_request", "error_description": "A JSON body is required."})
    return given


def _points(method: str, payload: Json) -> int:
    """What a call costs an app: a write one point, a read one more for every object it returned."""
    if method != "GET":
        return 1
    if isinstance(payload, dict):
        for name in ("issues", "values", "comments", "histories", "fields", "issueTypes", "transitions"):
            if isinstance(payload.get(name), list):
                return 1 + len(payload[name])
        return 2
    return 1 + len(payload) if isinstance(payload, list) else 1
