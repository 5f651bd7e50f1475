"""The Web API as an HTTP service: finds the method, the caller and the limits of a request, and hands it over."""

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cxbridge.sandbox.http import JsonReply, name_actor
from cxbridge.sandbox.slack import options, reading
from cxbridge.sandbox.slack.call import ApiError, Call, read
from cxbridge.sandbox.slack.control import Control
from cxbridge.sandbox.slack.events import Events
from cxbridge.sandbox.slack.limits import Limits
from cxbridge.sandbox.slack.state import Workspace
from cxbridge.sandbox.slack.writing import Writing

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World


class _Front:
    """Everything a request meets before and after its method."""

    def __init__(self, workspace: Workspace, limits: Limits, writing: Writing) -> None:
        self._workspace = workspace
        self._limits = limits
        self._writes = writing.methods()

    def answer(self, request: Request, body: bytes) -> Response:
        workspace = self._workspace
        headers = {
            "Date": format_datetime(workspace.world.clock.now(), usegmt=True),
            "X-Slack-Req-Id": workspace.new_id("").lower(),
        }
        call: Call | None = None
        try:
            method = request.path_params["method"]
            if method not in self._writes and method not in reading.METHODS:
                raise ApiError("unknown_method", req_method=method)
            call = read(request, method, body, reads=method in reading.METHODS)
            self._authorize(call)
            name_actor(request.scope, workspace.options.user)
            headers["X-OAuth-Scopes"] = ",".join(workspace.options.scopes)
            self._limits.method(method, workspace.world.clock.time())
            content: dict[str, Any] = {"ok": True, **self._do(call)}
        except ApiError as error:
            return JsonReply(error.body, error.status, headers | error.headers)
        if call.warnings:
            content["warning"] = ",".join(call.warnings)
            content["response_metadata"] = {**content.get("response_metadata", {}), "warnings": call.warnings}
        return JsonReply(content, headers=headers)

    def _authorize(self, call: Call) -> None:
        if call.token is None:
            raise ApiError("not_authed")
        if call.token not in self._workspace.options.tokens:
            raise ApiError("invalid_auth")

    def _do(self, call: Call) -> dict[str, Any]:
        if call.method in self._writes:
            scope, write = self._writes[call.method]
            if scope:
                reading.need(self._workspace, scope)
            return write(call)
        scope, look = reading.METHODS[call.method]
        if scope:
            reading.need(self._workspace, scope)
        return look(self._workspace, call)


def create_app(world: "World") -> Starlette:
    """The workspace of a world, known there as `slack`; a second app of one world shows the same workspace."""
    held = world.vendors.get("slack")
    if isinstance(held, Control):
        control = held
    else:
        workspace = Workspace(world, options.from_mapping(world.options.get("slack", {})))
        events = Events(workspace)
        control = Control(workspace, events, Writing(workspace, Limits(workspace.options.limits), events))
        world.vendors["slack"] = control
    front = _Front(control.workspace, control.writing.limits, control.writing)

    async def answer(request: Request) -> Response:
        body = await request.body()
        with world.lock:
            return front.answer(request, body)

    return Starlette(routes=[Route("/api/{method}", answer, methods=["GET", "POST"])])
