"""The simulated Zendesk as an HTTP app: who may call, within which limits, and which endpoint answers."""

import itertools
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from cxbridge.sandbox.http import JsonReply, name_actor
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk import (
    bulk_api,
    export_api,
    guide_api,
    people_api,
    reference_api,
    ticket_api,
    webhook_api,
)
from cxbridge.sandbox.zendesk.auth import Credentials, require_scope
from cxbridge.sandbox.zendesk.call import Call, Matched, Reply, Router
from cxbridge.sandbox.zendesk.entities import User
from cxbridge.sandbox.zendesk.errors import (
    ApiError,
    forbidden,
    no_endpoint,
    oauth,
    unauthenticated,
    unsupported_media_type,
)
from cxbridge.sandbox.zendesk.limits import Limiter

_PREFIX = "/api/v2"
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def create_app(world: World) -> Starlette:
    """The vendor without faults or journal of requests; `cxbridge.sandbox.http.faulted` adds those."""
    account = _Account(world)
    return Starlette(routes=[HttpRoute("/{path:path}", account.answer, methods=_METHODS)])


class _Account:
    def __init__(self, world: World) -> None:
        self._world = world
        self._state = world.zendesk
        self._credentials = Credentials(world.zendesk)
        self._limiter = Limiter(world.clock, world.zendesk.options.buckets())
        self._requests = itertools.count(1)
        # Bulk paths are fixed words where others have ids, so they come first.
        self._router = Router(
            [
                *bulk_api.ROUTES,
                *ticket_api.ROUTES,
                *people_api.ROUTES,
                *export_api.ROUTES,
                *reference_api.ROUTES,
                *guide_api.ROUTES,
                *webhook_api.ROUTES,
            ]
        )

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        with self._world.lock:
            headers = {
                "date": format_datetime(self._world.clock.now(), usegmt=True),
                "x-request-id": f"sandbox-zendesk-{next(self._requests):08d}",
            }
            try:
                reply = self._reply(request, body, headers)
            except ApiError as error:
                reply = Reply(error.status, error.body, error.headers)
            headers |= reply.headers
            if reply.content is None:
                return Response(status_code=reply.status, headers=headers)
            return JsonReply(reply.content, reply.status, headers)

    def _reply(self, request: Request, body: bytes, headers: dict[str, str]) -> Reply:
        path = request.url.path
        if path.startswith("/oauth/"):
            return self._oauth(request, body)
        if path.startswith("/attachments/token/"):
            return self._attachment(path)
        if not path.startswith(f"{_PREFIX}/"):
            raise no_endpoint()
        dotted = path.endswith(".json")
        inner = path.removeprefix(_PREFIX).removesuffix(".json")
        matched = self._router.match(request.method, inner)
        actor = self._actor(request.headers, request.method, inner)
        if actor is None:
            return Reply(content=people_api.ANONYMOUS)
        name_actor(request.scope, actor.label)
        help_center = inner.startswith("/help_center/")
        headers |= self._limiter.count(self._charges(matched, actor, inner, help_center=help_center))
        if help_center and not dotted:
            raise unsupported_media_type()
        if help_center and not self._state.options.guide:
            # A plan without a Help Center answers as if the credentials were wrong.
            raise unauthenticated()
        if matched is None:
            raise no_endpoint()
        if not actor.is_staff or (matched.route.admin and actor.role != "admin"):
            raise forbidden()
        call = Call(
            self._state,
            method=request.method,
            path=inner,
            params=matched.params,
            query=request.query_params,
            headers=request.headers,
            body=body,
            actor=actor,
        )
        return matched.route.handler(call)

    def _actor(self, headers: Headers, method: str, path: str) -> User | None:
        """Who calls; None where anyone may, which is `users/me` alone."""
        try:
            actor, grant = self._credentials.identify(headers.get("authorization"))
        except ApiError:
            if path == "/users/me" and method == "GET":
                return None
            raise
        require_scope(grant, method, path)
        return actor

    def _charges(self, matched: Matched | None, actor: User, path: str, *, help_center: bool) -> dict[str, str]:
        """What a request costs: the account's limit, counted apart for the Help Center, and its endpoint's own."""
        charges = {"account": "help_center" if help_center else "support"}
        if matched is None:
            return charges
        if matched.route.bucket:
            charges[matched.route.bucket] = ""
        if (matched.route.method, matched.route.path) == ("PUT", "/tickets/{id}") or (
            matched.route.method != "GET" and matched.route.path == "/tickets/{id}/tags"
        ):
            # That the tag endpoints count as updates of their ticket is unverified.
            charges["per-ticket-updates"] = f"{actor.id}/{path.split('/')[2]}"
        return charges

    def _oauth(self, request: Request, body: bytes) -> Reply:
        path = request.url.path.removesuffix(".json")
        if path == "/oauth/tokens" and request.method == "POST":
            if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                raise oauth("invalid_request", "The body must be JSON.")
            call = Call(
                self._state,
                method="POST",
                path=path,
                params={},
                query=request.query_params,
                headers=request.headers,
                body=body,
                actor=None,
            )
            return Reply(201, self._credentials.issue(call.json()))
        if path == "/oauth/authorizations/new" and request.method == "GET":
            return Reply(302, None, {"location": self._credentials.authorize(dict(request.query_params))})
        raise no_endpoint()

    def _attachment(self, path: str) -> Reply:
        """A file's bytes; its address is its secret, so no credentials are asked for."""
        token = path.removeprefix("/attachments/token/").rstrip("/")
        if token not in self._state.files:
            raise no_endpoint()
        kind = self._state.uploads[token]["content_type"]
        return Reply(200, self._state.files[token], {"content-type": str(kind)})
