"""The endpoints of webhooks and their signing secrets; they tell nobody of anything."""

from typing import Final

from cxbridge.sandbox.zendesk.call import Call, Reply, Route
from cxbridge.sandbox.zendesk.errors import not_found
from cxbridge.sandbox.zendesk.webhooks import Webhook


def _found(call: Call) -> Webhook:
    webhook = call.state.webhooks.all.get(call.params["id"])
    if webhook is None:
        raise not_found()
    return webhook


def _list(call: Call) -> Reply:
    rows = [call.state.webhooks.shown(one) for one in call.state.webhooks.all.values()]
    meta = {"has_more": False, "after_cursor": None, "before_cursor": None}
    return Reply(content={"webhooks": rows, "meta": meta, "links": {"prev": None, "next": None}})


def _create(call: Call) -> Reply:
    return Reply(201, {"webhook": call.state.webhooks.shown(call.state.webhooks.create(call.part("webhook")))})


def _show(call: Call) -> Reply:
    return Reply(content={"webhook": call.state.webhooks.shown(_found(call))})


def _update(call: Call) -> Reply:
    """Change name, address or status; what it listens to is fixed when it is made."""
    webhook, given = _found(call), call.part("webhook")
    webhook.name = str(given.get("name", webhook.name))
    webhook.endpoint = str(given.get("endpoint", webhook.endpoint))
    webhook.status = str(given.get("status", webhook.status))
    return Reply(204)


def _delete(call: Call) -> Reply:
    del call.state.webhooks.all[_found(call).id]
    return Reply(204)


def _secret(call: Call) -> Reply:
    return Reply(content={"signing_secret": {"algorithm": "SHA256", "secret": _found(call).secret}})


def _new_secret(call: Call) -> Reply:
    """Make a new secret; deliveries are signed with it at once."""
    webhook = _found(call)
    webhook.secret = call.state.webhooks.new_secret()
    return Reply(201, {"signing_secret": {"algorithm": "SHA256", "secret": webhook.secret}})


ROUTES: Final = (
    Route("GET", "/webhooks", _list, admin=True),
    Route("POST", "/webhooks", _create, admin=True),
    Route("GET", "/webhooks/{id}", _show, admin=True),
    Route("PUT", "/webhooks/{id}", _update, admin=True),
    Route("PATCH", "/webhooks/{id}", _update, admin=True),
    Route("DELETE", "/webhooks/{id}", _delete, admin=True),
    Route("GET", "/webhooks/{id}/signing_secret", _secret, admin=True),
    Route("POST", "/webhooks/{id}/signing_secret", _new_secret, admin=True),
)
