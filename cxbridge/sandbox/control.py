"""The control API: play customers and agents, move the clock, add faults, read the journal. Not part of any vendor.

It asks for no credentials and must listen on loopback only.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cxbridge.sandbox import seed, verdict
from cxbridge.sandbox.http import JsonReply
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk import desk
from cxbridge.sandbox.zendesk.errors import ApiError

_HELP = """cxbridge sandbox, control API

GET    /state                   how much there is, the clock, the addresses
GET    /summary                 what integrations did, and what they did twice
GET    /journal                 ?since=NUMBER &kind=ticket.updated &via=api|ui|seed
POST   /load                    JSON lines: organizations, users, tickets, articles, ...
POST   /clock/advance           {"seconds": 61}; a negative number steps back
POST   /clock/skew              {"vendor": "jira", "seconds": -600}: only that vendor's clock is wrong; 0 ends it
GET    /faults                  the rules in force; POST adds one, DELETE removes all, DELETE /faults/NUMBER one
                                {"name": "ghost", "vendor": "zendesk", "method": "POST", "path_regex": "tickets"}
POST   /tokens/VENDOR/revoke    refuse the vendor's credentials; /restore accepts them again

POST   /zendesk/tickets         a customer writes: {"subject", "description", "requester": {"name", "email"},
                                "organization", "priority", "type", "tags", "problem_id", "custom_fields"}
GET    /zendesk/tickets/NUMBER  the ticket with its comments
PATCH  /zendesk/tickets/NUMBER  an agent saves: {"status", "priority", "tags_add", "tags_remove", "custom_fields",
                                "problem_id", "assignee", "comment": {"body", "public", "author"},
                                "satisfaction": {"score", "comment"}, "system_update": true};
                                the author "customer" is the requester
DELETE /zendesk/tickets/NUMBER
POST   /zendesk/articles        {"title", "body", "section", "draft", "labels"}; PATCH /zendesk/articles/NUMBER edits
POST   /zendesk/organizations   {"name", "domain_names"}; PATCH, DELETE /zendesk/organizations/NUMBER
PATCH  /zendesk/users/NUMBER    DELETE deactivates
POST   /zendesk/webhooks        {"endpoint", "subscriptions": ["zen:event-type:ticket.created", ...], "secret"}; without
                                subscriptions a trigger sends {"template"} at every save but those of {"skipped": ADDRESS}
POST   /jira/webhooks           {"url", "events", "jql", "secret"}
PUT    /hooks                   {"down": true}: whatever the vendors send is lost; GET shows what was sent

any    /jira/...                what people do in Jira; see the Jira simulator
any    /gainsight/... /qualtrics/... /slack/...   the same for these
"""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class RefusedError(Exception):
    """A control request that cannot be done; the message says what would be right."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(world: World) -> Starlette:
    """The control API over a world; what is done here is journaled as `ui`."""
    control = _Control(world)

    def route(path: str, method: str, handler: Callable[[Request, bytes], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                with world.lock:
                    return handler(request, body)
            except RefusedError as error:
                return JsonReply({"error": str(error)}, error.status)
            except ApiError as error:
                return JsonReply(error.body, error.status)
            except (LookupError, ValueError, TypeError) as error:
                # A mistake in a request written by hand: told in words instead of as a broken server.
                return JsonReply({"error": f"{type(error).__name__}: {error}"}, 400)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("/", "GET", lambda request, body: PlainTextResponse(_HELP)),
            route("/state", "GET", control.state),
            route("/summary", "GET", control.summary),
            route("/journal", "GET", control.journal),
            route("/load", "POST", control.load),
            route("/clock/advance", "POST", control.advance),
            route("/clock/skew", "POST", control.skew),
            route("/faults", "GET", control.faults),
            route("/faults", "POST", control.add_fault),
            route("/faults", "DELETE", control.clear_faults),
            route("/faults/{id:int}", "DELETE", control.remove_fault),
            route("/tokens/{vendor}/{action}", "POST", control.tokens),
            route("/hooks", "GET", control.hooks),
            route("/hooks", "PUT", control.set_hooks),
            *(route("/zendesk/{path:path}", method, control.zendesk) for method in _METHODS),
            *(route("/jira/{path:path}", method, control.jira) for method in _METHODS),
            *(route("/{vendor}/{path:path}", method, control.vendor) for method in _METHODS),
        ]
    )


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    def state(self, request: Request, body: bytes) -> Response:
        del request, body
        account = self._world.zendesk
        return JsonReply(
            {
                "now": self._world.clock.now().isoformat(timespec="seconds"),
                "urls": self._world.public_urls,
                "journal": len(self._world.journal),
                "zendesk": {
                    "tickets": sum(1 for _ in account.live_tickets()),
                    "deleted_tickets": sum(t.deleted is not None for t in account.tickets.values()),
                    "comments": sum(len(ticket.comments) for ticket in account.tickets.values()),
                    "users": len(account.users),
                    "organizations": sum(o.deleted is None for o in account.organizations.values()),
                    "articles": len(account.articles),
                    "satisfaction_ratings": len(account.ratings),
                },
                "jira": self._world.jira.state_counts() if hasattr(self._world.jira, "state_counts") else {},
                **{name: vendor.state_counts() for name, vendor in self._world.vendors.items()},
            }
        )

    def summary(self, request: Request, body: bytes) -> Response:
        del request, body
        return JsonReply(verdict.summary(self._world.journal))

    def journal(self, request: Request, body: bytes) -> Response:
        del body
        since = int(request.query_params.get("since", "0"))
        kind, via = request.query_params.get("kind"), request.query_params.get("via")
        entries = [
            entry
            for entry in msgspec.to_builtins(self._world.journal.entries(since))
            if (kind is None or entry.get("kind") == kind) and (via is None or entry.get("via") == via)
        ]
        return JsonReply({"entries": entries, "last": len(self._world.journal)})

    def load(self, request: Request, body: bytes) -> Response:
        del request
        return JsonReply({"loaded": seed.load_text(self._world, body.decode())}, 201)

    def advance(self, request: Request, body: bytes) -> Response:
        del request
        seconds = _object(body).get("seconds")
        if not isinstance(seconds, int | float):
            raise RefusedError(400, 'give the seconds to move by, such as {"seconds": 61}')
        self._world.clock.advance(seconds)
        return JsonReply({"now": self._world.clock.now().isoformat(timespec="seconds")})

    def skew(self, request: Request, body: bytes) -> Response:
        del request
        told = _object(body)
        vendor, seconds = told.get("vendor"), told.get("seconds")
        if not isinstance(vendor, str) or not isinstance(seconds, int | float):
            raise RefusedError(400, 'give the vendor and by how much, such as {"vendor": "jira", "seconds": -600}')
        self._world.clock.skew(vendor, seconds)
        return JsonReply({"skews": self._world.clock.skews()})

    def faults(self, request: Request, body: bytes) -> Response:
        del request, body
        return JsonReply({"faults": self._world.faults.rules()})

    def add_fault(self, request: Request, body: bytes) -> Response:
        del request
        return JsonReply({"fault": self._world.faults.add_rule(_object(body))}, 201)

    def clear_faults(self, request: Request, body: bytes) -> Response:
        del body
        removed = self._world.faults.clear(request.query_params.get("vendor"), request.query_params.get("name"))
        return JsonReply({"removed": removed})

    def remove_fault(self, request: Request, body: bytes) -> Response:
        del body
        ident = int(request.path_params["id"])
        if not self._world.faults.remove(ident):
            raise RefusedError(404, f"there is no fault {ident}; GET /faults lists those in force")
        return JsonReply({"removed": 1})

    def tokens(self, request: Request, body: bytes) -> Response:
        del body
        vendor, action = request.path_params["vendor"], request.path_params["action"]
        if action == "revoke":
            self._world.faults.revoke(vendor)
        elif action == "restore":
            self._world.faults.restore(vendor)
        else:
            raise RefusedError(404, f"{action!r} is not something to do with tokens; use revoke or restore")
        return JsonReply({"vendor": vendor, "revoked": self._world.faults.revoked(vendor)})

    def hooks(self, request: Request, body: bytes) -> Response:
        del request, body
        return JsonReply({"down": self._world.hooks.down, "sent": msgspec.to_builtins(self._world.hooks.sent())})

    def set_hooks(self, request: Request, body: bytes) -> Response:
        self._world.hooks.down = bool(_object(body).get("down"))
        return self.hooks(request, b"")

    def zendesk(self, request: Request, body: bytes) -> Response:
        with self._world.clock.seen_by("zendesk"):
            status, content = desk.control(
                self._world.zendesk, request.method, request.path_params["path"], _object(body)
            )
        return JsonReply(content, status)

    def jira(self, request: Request, body: bytes) -> Response:
        """Jira's own package plays its people; it answers with content, or with a status and content."""
        if self._world.jira is None:
            raise RefusedError(404, "the simulated Jira is not running here; start the sandbox with it")
        with self._world.clock.seen_by("jira"):
            done: Any = self._world.jira.control(request.method, request.path_params["path"], _object(body))
        if isinstance(done, tuple):
            status, content = done
            return JsonReply(content, status)
        return JsonReply(done)

    def vendor(self, request: Request, body: bytes) -> Response:
        name = request.path_params["vendor"]
        vendor = self._world.vendors.get(name)
        if vendor is None:
            raise RefusedError(404, f"there is no simulated {name} here; GET / lists what can be asked")
        with self._world.clock.seen_by(name):
            status, content = vendor.control(request.method, request.path_params["path"], _object(body))
        return JsonReply(content, status)


def _object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    decoded = msgspec.json.decode(body)
    if not isinstance(decoded, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return decoded
