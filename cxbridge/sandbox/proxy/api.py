"""The control API of the proxies, in Toxiproxy's shape, so that its command line and libraries work. Holds no state.

`cut_when` is a toxic that Toxiproxy does not have.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cxbridge.sandbox.http import JsonReply
from cxbridge.sandbox.proxy.switchboard import RefusedError, Switchboard
from cxbridge.sandbox.proxy.toxics import UnknownToxicError

_Done = tuple[int, Any]
_Handler = Callable[[Request, dict[str, Any]], Awaitable[_Done]]


def create_app(board: Switchboard) -> Starlette:
    """The API over the proxies of the loop that serves it."""

    async def listed(request: Request, body: dict[str, Any]) -> _Done:
        return 200, {name: proxy.shown() for name, proxy in board.proxies.items()}

    async def added(request: Request, body: dict[str, Any]) -> _Done:
        return 201, (await board.add(body)).shown()

    async def shown(request: Request, body: dict[str, Any]) -> _Done:
        return 200, board.proxy(request.path_params["name"]).shown()

    async def changed(request: Request, body: dict[str, Any]) -> _Done:
        return 200, (await board.change(request.path_params["name"], body)).shown()

    async def removed(request: Request, body: dict[str, Any]) -> _Done:
        await board.remove(request.path_params["name"])
        return 204, None

    async def toxics(request: Request, body: dict[str, Any]) -> _Done:
        return 200, list(board.proxy(request.path_params["name"]).toxics.values())

    async def add_toxic(request: Request, body: dict[str, Any]) -> _Done:
        return 200, board.add_toxic(request.path_params["name"], body)

    async def toxic(request: Request, body: dict[str, Any]) -> _Done:
        return 200, board.toxic(request.path_params["name"], request.path_params["toxic"])

    async def change_toxic(request: Request, body: dict[str, Any]) -> _Done:
        return 200, board.change_toxic(request.path_params["name"], request.path_params["toxic"], body)

    async def remove_toxic(request: Request, body: dict[str, Any]) -> _Done:
        board.remove_toxic(request.path_params["name"], request.path_params["toxic"])
        return 204, None

    async def reset(request: Request, body: dict[str, Any]) -> _Done:
        await board.reset()
        return 204, None

    async def version(request: Request) -> Response:
        return PlainTextResponse("cxbridge sandbox, as Toxiproxy 2.x")

    one, kinds = "/proxies/{name}", "/proxies/{name}/toxics"
    return Starlette(
        routes=[
            Route("/version", version),
            _route("/proxies", "GET", listed),
            _route("/proxies", "POST", added),
            _route("/reset", "POST", reset),
            _route(one, "GET", shown),
            _route(one, "POST", changed),
            _route(one, "PATCH", changed),
            _route(one, "DELETE", removed),
            _route(kinds, "GET", toxics),
            _route(kinds, "POST", add_toxic),
            _route(f"{kinds}/{{toxic}}", "GET", toxic),
            _route(f"{kinds}/{{toxic}}", "POST", change_toxic),
            _route(f"{kinds}/{{toxic}}", "PATCH", change_toxic),
            _route(f"{kinds}/{{toxic}}", "DELETE", remove_toxic),
        ]
    )


def _route(path: str, method: str, handler: _Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            decoded = msgspec.json.decode(raw) if raw else {}
            if not isinstance(decoded, dict):
                raise RefusedError(400, "the body must be a JSON object")
            status, content = await handler(request, decoded)
        except RefusedError as error:
            return JsonReply({"error": str(error), "status": error.status}, error.status)
        except (UnknownToxicError, msgspec.DecodeError) as error:
            return JsonReply({"error": str(error), "status": 400}, 400)
        return Response(status_code=204) if status == 204 else JsonReply(content, status)

    return Route(path, endpoint, methods=[method])
