"""The paths of webhooks: those of administrators, beside the REST API, and those of OAuth apps within it. They tell nobody."""

from collections.abc import Mapping
from typing import Any, Final

from cxbridge.sandbox.jira.paths import Path, Services
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.webhooks import ISSUE_EVENTS, LIFE, MOST_OF_APP, Webhook
from cxbridge.sandbox.jira.wire import Call, RefusedError, Reply, page, refused

Json = Any

ADMIN: Final = "/rest/webhooks/1.0/webhook"
SCOPE: Final = "manage:jira-webhook"
_FILTER: Final = "issue-related-events-section"


def admin(services: Services, user: User | None, method: str, path: str, body: Json, base: str) -> Reply:
    """Answer a request to the administrators' webhooks.

    Raises:
        RefusedError: the caller administers nothing, or the request is not acceptable.
    """
    hooks = services.state.webhooks
    if user is None or not user.admin:
        raise refused(403, "Administrator privileges are required.")  # unverified wording
    ident = path.removeprefix(ADMIN).strip("/")
    if not ident and method == "GET":
        return Reply(200, [_shown(one, base) for one in hooks.all.values() if one.app is None])
    if not ident and method == "POST":
        given: Mapping[str, Json] = body if isinstance(body, dict) else {}
        if not given.get("name"):
            raise refused(400, "The name is required.")  # unverified wording
        made = _added(services, given)
        return Reply(201, _shown(made, base), {"Location": f"{base}{ADMIN}/{made.id}"})
    found = hooks.all.get(int(ident)) if ident.isdigit() else None
    if found is None or found.app is not None:
        raise RefusedError(404, {"messages": [{"key": "webhooks.not.found"}]})  # unverified body
    if method == "DELETE":
        del hooks.all[found.id]
        return Reply(204)
    return Reply(200, _shown(found, base))


def _added(services: Services, given: Mapping[str, Json]) -> Webhook:
    filters = given.get("filters")
    try:
        return services.state.webhooks.add(
            str(given.get("url", "")),
            [str(one) for one in given.get("events") or ()],
            where=str((filters if isinstance(filters, dict) else {}).get(_FILTER, "")),
            name=str(given.get("name", "")),
            secret=str(given.get("secret") or ""),
        )
    except ValueError as error:
        raise refused(400, str(error)) from None


def _shown(webhook: Webhook, base: str) -> dict[str, Json]:
    """Without the secret: it can be set, never read."""
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "filters": {_FILTER: webhook.jql},
        "excludeBody": False,
        "enabled": True,
        "self": f"{base}{ADMIN}/{webhook.id}",
    }


def _app(call: Call) -> str:
    if call.app is None:
        raise refused(403, "Only Connect and OAuth 2.0 apps can use this operation.")  # unverified wording
    return call.app


def register(services: Services, call: Call) -> Reply:
    """Register the app's webhooks; the answer is 200 also where some could not be."""
    app, given, hooks = _app(call), call.object(), services.state.webhooks
    wanted = given.get("webhooks")
    if not isinstance(wanted, list) or not isinstance(given.get("url"), str):
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    results: list[Json] = []
    for one in wanted:
        if len(hooks.of_app(app)) >= MOST_OF_APP:
            results.append(
                {"errors": ["The limit of webhooks for this app and user was reached."]}
            )  # unverified wording
            continue
        try:
            made = hooks.add(
                given["url"],
                [str(event) for event in one.get("events", ())],
                where=str(one.get("jqlFilter", "")),
                app=app,
            )
        except ValueError as error:
            results.append({"errors": [str(error)]})
        else:
            results.append({"createdWebhookId": made.id})
    return Reply(200, {"webhookRegistrationResult": results})


def listed(services: Services, call: Call) -> Reply:
    rows = [
        {
            "id": one.id,
            "url": one.url,
            "events": list(one.events),
            "jqlFilter": one.jql,
            # A number here and a text where they are refreshed, as the vendor's description has it.
            "expirationDate": int(one.expires.timestamp() * 1000) if one.expires else None,
        }
        for one in services.state.webhooks.of_app(_app(call))
    ]
    return Reply(200, page(call, rows))


def refresh(services: Services, call: Call) -> Reply:
    """Let webhooks live for another thirty days; ids that are not the app's are passed over."""
    app = _app(call)
    ends = services.state.now() + LIFE
    for ident in _ids(call):
        found = services.state.webhooks.all.get(ident)
        if found is not None and found.app == app:
            found.expires = ends
    return Reply(200, {"expirationDate": services.renderer(call).time(ends)})


def delete(services: Services, call: Call) -> Reply:
    app, hooks = _app(call), services.state.webhooks
    for ident in _ids(call):
        if ident in hooks.all and hooks.all[ident].app == app:
            del hooks.all[ident]
    return Reply(202)


def by_hand(services: Services, body: Mapping[str, Json]) -> Webhook:
    """Register an administrator's webhook from the control API.

    Raises:
        ValueError: the address, an event or the filter is not acceptable.
    """
    return services.state.webhooks.add(
        str(body["url"]),
        [str(one) for one in body.get("events") or (*ISSUE_EVENTS, "comment_created")],
        where=str(body.get("jql", "")),
        name="by hand",
        secret=str(body.get("secret", "")),
    )


def _ids(call: Call) -> list[int]:
    ids = call.object().get("webhookIds")
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return ids


PATHS: Final = (
    Path("POST", "/webhook", register, SCOPE),
    Path("GET", "/webhook", listed, SCOPE),
    Path("DELETE", "/webhook", delete, SCOPE),
    Path("PUT", "/webhook/refresh", refresh, SCOPE),
)
