"""The simulated tenant as an HTTP app: who may call, within which limits, and which endpoint answers."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from cxbridge.sandbox.gainsight import cockpit_api, control, data_api, people_api, rows
from cxbridge.sandbox.gainsight.call import Call
from cxbridge.sandbox.gainsight.errors import (
    ApiError,
    address_not_allowed,
    no_such_path,
    success,
    throttled,
    unauthorized,
)
from cxbridge.sandbox.gainsight.tenant import VENDOR, Tenant
from cxbridge.sandbox.http import JsonReply, name_actor

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
_TOKEN_PATH = "/v1/users/m2m/oauth/token"  # noqa: S105 - a path


class _Route(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    handler: Callable[[Call], Any]


def _route(method: str, path: str, handler: Callable[[Call], Any]) -> _Route:
    return _Route(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "/?"), handler)


_ROUTES = (
    _route("POST", "/v1/data/objects/query/{object}", data_api.query),
    _route("POST", "/v1/data/objects/Company", data_api.insert),
    _route("PUT", "/v1/data/objects/Company", data_api.update),
    _route("DELETE", "/v1/data/objects/Company/{gsid}", data_api.delete),
    _route("POST", "/v1/meta/services/objects/describe", data_api.describe),
    _route("GET", "/v1/meta/services/objects/list", data_api.list_objects),
    _route("GET", "/v1/meta/services/objects/{object}/describe", data_api.describe_one),
    _route("GET", "/v1/meta/services/dropdowns/{category}", data_api.dropdown),
    _route("POST", "/v1/users/services/list", data_api.list_users),
    _route("POST", "/v2/cockpit/cta/list", cockpit_api.list_ctas),
    _route("POST", "/v2/cockpit/cta/deleted/list", cockpit_api.deleted_ctas),
    _route("GET", "/v2/cockpit/admin/picklist/lite", cockpit_api.picklists),
    _route("POST", "/v2/cockpit/cta", cockpit_api.create),
    _route("PUT", "/v2/cockpit/cta", cockpit_api.update),
    _route("PUT", "/v1/peoplemgmt/v1.0/people", people_api.upsert_person),
    _route("PUT", "/v1.0/api/people", people_api.upsert_person),
    _route("POST", "/v1/ant/es/activity", people_api.add_activity),
)


class Gainsight:
    """The vendor in a world: what `World.vendors` holds."""

    def __init__(self, world: "World") -> None:
        self.tenant = Tenant(world)

    def control(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Play an admin or a colleague; see `cxbridge.sandbox.gainsight.control`."""
        return control.control(self.tenant, method, path, body)

    def load_row(self, row: Mapping[str, Any]) -> None:
        """Add a row of a company file; see `cxbridge.sandbox.gainsight.rows`."""
        rows.load(self.tenant, row)

    def state_counts(self) -> dict[str, int]:
        return self.tenant.counts()


def create_app(world: "World") -> Starlette:
    """The vendor without faults or journal of requests; `cxbridge.sandbox.http.faulted` adds those."""
    vendor = Gainsight(world)
    world.vendors[VENDOR] = vendor
    return Starlette(routes=[HttpRoute("/{path:path}", _Gate(world, vendor.tenant).answer, methods=_METHODS)])


class _Gate:
    """Credentials and limits, before anything is answered."""

    def __init__(self, world: "World", tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant
        self._random = world.random_for(f"{VENDOR}/ids")
        # Access tokens with the second at which they end.
        self._tokens: dict[str, float] = {}
        self._counts: dict[tuple[int, int], int] = {}

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        with self._world.lock:
            request_id = f"{self._random.getrandbits(128):032x}"
            headers = {"date": format_datetime(self._world.clock.now(), usegmt=True)}
            try:
                if request.url.path == _TOKEN_PATH:
                    return JsonReply(self._token(request, body), 200, headers)
                return JsonReply(success(self._reply(request, body), request_id), 200, headers)
            except ApiError as error:
                return JsonReply(error.body(request_id), error.status, headers)

    def _reply(self, request: Request, body: bytes) -> Any:
        self._admit(request.headers)
        name_actor(request.scope, self._tenant.options.user)
        self._count()
        for route in _ROUTES:
            found = route.pattern.fullmatch(request.url.path)
            if found and route.method == request.method:
                return route.handler(
                    Call(self._tenant, self._tenant.options.user, body, request.query_params, found.groupdict())
                )
        raise no_such_path()

    def _admit(self, headers: Headers) -> None:
        options = self._tenant.options
        key, bearer = headers.get("accesskey"), headers.get("authorization", "")
        if self._world.faults.revoked(VENDOR):
            raise unauthorized()
        if bearer.startswith("Bearer ") and key is None:
            if self._tokens.get(bearer.removeprefix("Bearer "), 0.0) <= self._world.clock.time():
                raise unauthorized()
        elif key not in options.access_keys:
            raise unauthorized()
        if not options.ip_allowed:
            raise address_not_allowed()

    def _count(self) -> None:
        """Count a request in the current minute and day of the clock; what is refused counts too."""
        now = int(self._world.clock.time())
        over = False
        for seconds, limit in ((60, self._tenant.options.per_minute), (86_400, self._tenant.options.per_day)):
            window = (seconds, now // seconds)
            self._counts = {place: n for place, n in self._counts.items() if place[0] != seconds or place == window}
            self._counts[window] = self._counts.get(window, 0) + 1
            over = over or (limit is not None and self._counts[window] > limit)
        if over:
            raise throttled()

    def _token(self, request: Request, body: bytes) -> Any:
        """M2M OAuth: the client proves itself by Basic, the body is a form."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            client, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            client = secret = ""
        form = parse_qs(body.decode(errors="replace"))
        known = self._tenant.options.oauth_clients.get(client)
        if scheme != "Basic" or known is None or known != secret or form.get("grant_type") != ["client_credentials"]:
            raise unauthorized()
        token = f"m2m-{self._random.getrandbits(64):016x}"
        ttl = self._tenant.options.token_ttl
        self._tokens[token] = self._world.clock.time() + ttl
        return {"access_token": token, "token_type": "Bearer", "expires_in": ttl}
