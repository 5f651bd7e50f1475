"""Distributions, tickets and event subscriptions over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cxbridge.sandbox.qualtrics import render
from cxbridge.sandbox.qualtrics.exports import readable
from cxbridge.sandbox.qualtrics.records import Distribution, Subscription, Ticket
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.wire import Call, RefusedError, Reply, moment, page

Json = Any
_MOST_EMBEDDED = 10
# How tickets call what they can be given.
_OF_TICKET: dict[str, tuple[str, type]] = {
    "name": ("name", str),
    "status": ("status", int),
    "priority": ("priority", int),
    "ownerId": ("owner", str),
    "ticketTeamId": ("team", str),
    "ticketGroupId": ("group", str),
    "comment": ("comment", str),
}


def distributions(state: BrandState, call: Call) -> Reply:
    survey = call.needed("surveyId")
    shown = call.now - timedelta(seconds=state.options.list_lag)
    rows = [
        render.distribution(one, state.user_id, state.options.brand)
        for one in state.distributions.values()
        if one.survey == survey
        and one.made <= shown
        and call.query.get("distributionRequestType", one.kind) == one.kind
        and call.query.get("mailingListId") in (None, one.recipients.get("mailingListId"))
    ]
    size = int(call.query.get("pageSize", "100"))
    return page(call, rows, size=size, empty=state.options.empty_pages, host=state.options.proxied)


def distribution(state: BrandState, call: Call) -> Reply:
    call.needed("surveyId")
    found = _found(state, call)
    return Reply(render.distribution(found, state.user_id, state.options.brand))


def distribute(state: BrandState, call: Call) -> Reply:
    """Send mails, or make links: the two have different bodies at one address."""
    body = call.object()
    made = _links(state, body, call) if body.get("action") == "CreateDistribution" else _mail(state, body, call)
    return Reply({"id": state.send(made, "api").id})


def remind(state: BrandState, call: Call) -> Reply:
    return _again(state, call, "Reminder")


def thank(state: BrandState, call: Call) -> Reply:
    return _again(state, call, "ThankYou")


def _mail(state: BrandState, body: dict[str, Json], call: Call) -> Distribution:
    for part, names in (
        ("message", ("libraryId", "messageId")),
        ("header", ("fromEmail", "fromName", "subject")),
        ("surveyLink", ("surveyId",)),
    ):
        held = body.get(part)
        for name in names:
            if not isinstance(held, dict) or not held.get(name):
                raise RefusedError(400, f"{part}.{name} is required.", "GED_1")
    recipients = body.get("recipients")
    if not isinstance(recipients, dict) or not (recipients.get("contactId") or recipients.get("mailingListId")):
        raise RefusedError(400, "recipients must name a contact or a mailing list.", "GED_1")
    if recipients.get("contactId") and recipients["contactId"] not in state.contacts:
        raise RefusedError(404, "Contact not found.", "GED_4")
    embedded = body.get("embeddedData") or {}
    if len(embedded) > _MOST_EMBEDDED:
        raise RefusedError(400, "Too many embedded data fields.", "GED_5")
    link = body["surveyLink"]
    return Distribution(
        id=state.new_id("EMD"),
        survey=readable(state, str(link["surveyId"])).id,
        made=call.now,
        send_at=_time(body.get("sendDate"), call),
        kind="Invite",
        sent=True,
        link_type=str(link.get("type", "Individual")),
        header=dict(body["header"]),
        message=dict(body["message"]),
        recipients=dict(recipients),
        embedded={str(name): str(value) for name, value in embedded.items()},
        expires=str(link.get("expirationDate", "")),
    )


def _links(state: BrandState, body: dict[str, Json], call: Call) -> Distribution:
    return Distribution(
        id=state.new_id("EMD"),
        survey=readable(state, str(body.get("surveyId"))).id,
        made=call.now,
        send_at=call.now,
        kind="GeneratedInvite",
        sent=False,
        link_type=str(body.get("linkType", "Individual")),
        recipients={"mailingListId": body.get("mailingListId")},
        expires=str(body.get("expirationDate", "")),
    )


def _again(state: BrandState, call: Call, kind: str) -> Reply:
    first = _found(state, call)
    body = call.object()
    made = Distribution(
        id=state.new_id("EMD"),
        survey=first.survey,
        made=call.now,
        send_at=_time(body.get("sendDate"), call),
        kind=kind,
        sent=True,
        header=dict(body.get("header") or {}),
        message=dict(body.get("message") or {}),
        recipients=dict(first.recipients),
        parent=first.id,
    )
    return Reply({"distributionId": state.send(made, "api").id})


def _found(state: BrandState, call: Call) -> Distribution:
    found = state.distributions.get(call.params["distribution"])
    if found is None:
        raise RefusedError(404, "Distribution not found.", "GED_3")
    return found


def _time(value: Json, call: Call) -> Any:
    try:
        return moment(value, call.now)
    except ValueError:
        raise RefusedError(400, "sendDate is no date.", "GED_2") from None


def _licensed(handler: Callable[[BrandState, Call], Reply]) -> Callable[[BrandState, Call], Reply]:
    def guarded(state: BrandState, call: Call) -> Reply:
        if not state.options.ticketing:
            raise RefusedError(403, "Ticketing is not enabled for this brand.", "TIK_1.1")
        return handler(state, call)

    return guarded


@_licensed
def tickets(state: BrandState, call: Call) -> Reply:
    size = int(call.query.get("pageSize", "50"))
    rows = [render.ticket(one) for one in state.tickets.values()]
    return page(call, rows, size=size, empty=state.options.empty_pages, host=state.options.proxied)


@_licensed
def ticket(state: BrandState, call: Call) -> Reply:
    return Reply(render.ticket(_ticket(state, call), whole=True))


@_licensed
def update_ticket(state: BrandState, call: Call) -> Reply:
    found = _ticket(state, call)
    body = call.object()
    if not body:
        raise RefusedError(400, "At least one field is required.", "TIK_2")
    changed: dict[str, Json] = {}
    for name, value in body.items():
        ours, kind = _OF_TICKET.get(name, ("", str))
        if not ours or not isinstance(value, kind) or isinstance(value, bool):
            raise RefusedError(400, f"{name} is not valid.", "TIK_3")
        changed[ours] = value
    state.change_ticket(found, changed, "api")
    return Reply()


def _ticket(state: BrandState, call: Call) -> Ticket:
    found = state.tickets.get(call.params["ticket"])
    if found is None:
        raise RefusedError(404, "Ticket not found.", "TIK_4")
    return found


def subscriptions(state: BrandState, call: Call) -> Reply:
    rows = [render.subscription(one, state.options.brand) for one in state.subscriptions.values()]
    return page(call, rows, size=100, link="offset")


def subscription(state: BrandState, call: Call) -> Reply:
    return Reply(render.subscription(_subscription(state, call), state.options.brand))


def subscribe(state: BrandState, call: Call) -> Reply:
    body = call.object()
    topics, url = body.get("topics"), body.get("publicationUrl")
    if not isinstance(topics, str) or not isinstance(url, str) or not topics or not url:
        raise RefusedError(400, "topics and publicationUrl are required.", "ESSG_1")
    if body.get("encrypt"):
        raise RefusedError(400, "Encryption is not simulated.", "ESSG_3")
    made = Subscription(state.new_id("SUB"), topics, url, body.get("sharedKey") or None)
    state.subscriptions[made.id] = made
    state.journal("subscription.created", made.id, "api", topics=topics, url=url)
    return Reply({"id": made.id})


def unsubscribe(state: BrandState, call: Call) -> Reply:
    found = _subscription(state, call)
    del state.subscriptions[found.id]
    state.journal("subscription.deleted", found.id, "api", topics=found.topics)
    return Reply()


def _subscription(state: BrandState, call: Call) -> Subscription:
    found = state.subscriptions.get(call.params["subscription"])
    if found is None:
        raise RefusedError(404, f"{call.params['subscription']} not found.", "ESSG_2")
    return found
