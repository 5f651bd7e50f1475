"""The endpoints of single tickets and their lists, comments, audits, tags and ratings. Bulk writes live elsewhere."""

import hashlib
from collections.abc import Sequence

from cxbridge.sandbox.zendesk import fields, render, tickets
from cxbridge.sandbox.zendesk.call import Call, Handler, Reply, Route
from cxbridge.sandbox.zendesk.entities import Ticket
from cxbridge.sandbox.zendesk.errors import (
    ApiError,
    idempotency_mismatch,
    not_found,
    record_invalid,
    too_many_values,
)
from cxbridge.sandbox.zendesk.paging import SortKey, listing
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_KEY_LIFETIME = 7200
_LONGEST_KEY = 255
_SORTS: dict[str, SortKey] = {"updated_at": lambda row: row.updated, "status": lambda row: row.status}


def sideload(state: ZendeskState, rows: Sequence[Ticket], includes: set[str]) -> Json:
    """What `include` adds beside a page of tickets; embedded sideloads are added by `shown`."""
    beside: Json = {}
    if "users" in includes:
        people = {ident for t in rows for ident in (t.requester_id, t.submitter_id, t.assignee_id) if ident is not None}
        beside["users"] = [render.user(state, state.users[ident]) for ident in sorted(people)]
    if "groups" in includes:
        ids = {t.group_id for t in rows if t.group_id is not None}
        beside["groups"] = [render.reference(state, "groups", state.groups[ident]) for ident in sorted(ids)]
    if "organizations" in includes:
        ids = {t.organization_id for t in rows if t.organization_id is not None}
        beside["organizations"] = [render.organization(state, state.organizations[ident]) for ident in sorted(ids)]
    return beside


def shown(state: ZendeskState, ticket: Ticket, includes: set[str]) -> Json:
    """A ticket with the sideloads that are embedded in it."""
    content = render.ticket(state, ticket)
    if "metric_sets" in includes:
        content["metric_set"] = render.metrics(state, ticket)
    if "comment_count" in includes:
        content["comment_count"] = len(ticket.comments)
    return content


def _ticket_list(call: Call, rows: Sequence[Ticket]) -> Reply:
    includes = call.includes()
    return listing(
        call,
        "tickets",
        rows,
        lambda row: shown(call.state, row, includes),
        sorts=_SORTS,
        sideload=lambda page: sideload(call.state, page, includes),
    )


def _list(call: Call) -> Reply:
    state = call.state
    external_id = call.query.get("external_id")
    if external_id is not None:
        found = [state.tickets[ident] for ident in state.tickets_by_external_id.get(external_id, ())]
        return _ticket_list(call, [ticket for ticket in found if ticket.deleted is None])
    return _ticket_list(call, list(state.live_tickets()))


def _list_of(attribute: str, table: str) -> Handler:
    """An endpoint that lists the tickets which point at a record through one attribute."""

    def handler(call: Call) -> Reply:
        owner = call.ident()
        if owner not in getattr(call.state, table):
            raise not_found()
        return _ticket_list(call, [t for t in call.state.live_tickets() if getattr(t, attribute) == owner])

    return handler


def _incidents(call: Call) -> Reply:
    problem = tickets.find(call.state, call.ident())
    found = (call.state.tickets[ident] for ident in call.state.incidents.get(problem.id, ()))
    return _ticket_list(call, [ticket for ticket in found if ticket.deleted is None])


def _count(call: Call) -> Reply:
    value = sum(1 for _ in call.state.live_tickets())
    return Reply(content={"count": {"value": value, "refreshed_at": render.iso(call.state.second())}})


def _show(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    includes = call.includes()
    return Reply(content={"ticket": shown(call.state, ticket, includes), **sideload(call.state, [ticket], includes)})


def _show_many(call: Call) -> Reply:
    ids = call.ids()
    if len(ids) > 100:
        raise too_many_values(100)
    if call.query.get("external_ids"):
        wanted = call.query["external_ids"].split(",")
        ids = [ident for name in wanted for ident in sorted(call.state.tickets_by_external_id.get(name, ()))]
    rows = [t for ident in ids if (t := call.state.tickets.get(ident)) is not None and t.deleted is None]
    includes = call.includes()
    content = {
        "tickets": [shown(call.state, row, includes) for row in rows],
        **sideload(call.state, rows, includes),
        "next_page": None,
        "previous_page": None,
        "count": len(rows),
    }
    return Reply(content=content)


def _create(call: Call) -> Reply:
    key = call.headers.get("idempotency-key")
    if key is None:
        return _created(call)
    if len(key) > _LONGEST_KEY:
        raise ApiError(400, {"error": "IdempotentRequestError", "description": "Idempotency-Key is too long"})
    now = call.state.world.clock.time()
    digest = hashlib.sha256(call.body).hexdigest()
    kept = call.state.idempotent.get(key)
    if kept is not None and now < kept[0] + _KEY_LIFETIME:
        if kept[1] != digest:
            raise idempotency_mismatch()
        first: Reply = kept[2]
        return first._replace(headers={**first.headers, "x-idempotency-lookup": "hit"})
    reply = _created(call)
    call.state.idempotent[key] = (now, digest, reply)
    return reply._replace(headers={**reply.headers, "x-idempotency-lookup": "miss"})


def _created(call: Call) -> Reply:
    body = call.part("ticket")
    journaled = {}
    if key := call.headers.get("idempotency-key"):
        journaled["idempotency_key"] = key
    ticket, audit = tickets.create(call.state, call.actor, body, via="api", **journaled)
    content = {
        # A created ticket shows 0 here in recorded answers; exports give the true value.
        "ticket": {**render.ticket(call.state, ticket), "generated_timestamp": 0},
        "audit": render.audit(call.state, audit),
    }
    headers = {"location": call.state.url(f"/tickets/{ticket.id}.json"), **warning(body)}
    return Reply(201, content, headers)


def _update(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    body = call.part("ticket")
    audit = tickets.update(call.state, call.actor, ticket, body, via="api")
    content = {"ticket": render.ticket(call.state, ticket), "audit": render.audit(call.state, audit)}
    return Reply(content=content, headers=warning(body))


def warning(body: Json) -> dict[str, str]:
    """The header that names what was dropped from a write; its exact form is unverified."""
    dropped = fields.unpermitted(body, bulk=False)
    return {"x-zendesk-api-warn": f"unpermitted_keys: {', '.join(dropped)}"} if dropped else {}


def _delete(call: Call) -> Reply:
    tickets.delete(call.state, call.actor, tickets.find(call.state, call.ident()), via="api")
    return Reply(204)


def _comments(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    includes = call.includes()

    def beside(page: Sequence[object]) -> Json:
        del page
        if "users" not in includes:
            return {}
        ids = sorted({comment.author_id for comment in ticket.comments})
        return {"users": [render.user(call.state, call.state.users[ident]) for ident in ids]}

    return listing(
        call,
        "comments",
        ticket.comments,
        lambda row: render.comment(call.state, row),
        sorts={"created_at": lambda row: row.created},
        newest_first=call.query.get("sort_order") == "desc",
        sideload=beside,
    )


def _audits(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    return listing(call, "audits", ticket.audits, lambda row: render.audit(call.state, row))


def _all_audits(call: Call) -> Reply:
    state = call.state
    alive = [a for a in state.audits.values() if state.tickets[a.ticket_id].deleted is None]
    return listing(call, "audits", alive, lambda row: render.audit(state, row), newest_first=True)


def _metrics(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    return Reply(content={"ticket_metric": render.metrics(call.state, ticket)})


def _all_metrics(call: Call) -> Reply:
    return listing(
        call,
        "ticket_metrics",
        list(call.state.live_tickets()),
        lambda row: render.metrics(call.state, row),
        newest_first=True,
    )


def _tags(call: Call) -> Reply:
    return Reply(content={"tags": tickets.find(call.state, call.ident()).tags})


def _change_tags(call: Call) -> Reply:
    """PUT adds, POST replaces, DELETE removes."""
    ticket = tickets.find(call.state, call.ident())
    body = call.json()
    given = fields.clean_tags(body.get("tags") or [])
    if call.method == "PUT":
        wanted = fields.clean_tags([*ticket.tags, *given])
    elif call.method == "POST":
        wanted = given
    else:
        wanted = [tag for tag in ticket.tags if tag not in given]
    tickets.set_tags(call.state, call.actor, ticket, wanted, body, via="api")
    return Reply(201 if call.method == "POST" else 200, {"tags": ticket.tags})


def _deleted(call: Call) -> Reply:
    state = call.state
    # The vendor forgets deleted tickets after 30 days.
    since = state.second() - 30 * 86400
    rows = [t for t in state.tickets.values() if t.deleted is not None and t.deleted >= since]

    def show(row: Ticket) -> Json:
        actor = state.users[row.deleted_by or row.submitter_id]
        return {
            "id": row.id,
            "subject": row.subject,
            "actor": {"id": actor.id, "name": actor.name},
            "deleted_at": render.iso(row.deleted),
            "previous_state": row.status,
        }

    return listing(call, "deleted_tickets", rows, show)


def _restore(call: Call) -> Reply:
    ticket = call.state.tickets.get(call.ident())
    if ticket is None or ticket.deleted is None:
        raise not_found()
    tickets.restore(call.state, call.actor, ticket, via="api")
    return Reply(200, {})


def _rate(call: Call) -> Reply:
    ticket = tickets.find(call.state, call.ident())
    body = call.part("satisfaction_rating")
    if body.get("score") not in ("good", "bad", "offered"):
        raise record_invalid(score="Score: is not valid")
    rating = tickets.rate(call.state, ticket, body["score"], body.get("comment"), via="api", when=call.state.second())
    return Reply(201, {"satisfaction_rating": render.rating(call.state, rating)})


ROUTES = (
    Route("GET", "/tickets", _list, bucket="tickets-index"),
    Route("GET", "/tickets/count", _count),
    Route("GET", "/tickets/show_many", _show_many),
    Route("GET", "/tickets/{id}", _show),
    Route("POST", "/tickets", _create),
    Route("PUT", "/tickets/{id}", _update, bucket="tickets-update"),
    Route("DELETE", "/tickets/{id}", _delete),
    Route("GET", "/tickets/{id}/comments", _comments),
    Route("GET", "/tickets/{id}/audits", _audits),
    Route("GET", "/tickets/{id}/metrics", _metrics),
    Route("GET", "/tickets/{id}/incidents", _incidents),
    Route("GET", "/tickets/{id}/tags", _tags),
    Route("PUT", "/tickets/{id}/tags", _change_tags),
    Route("POST", "/tickets/{id}/tags", _change_tags),
    Route("DELETE", "/tickets/{id}/tags", _change_tags),
    Route("POST", "/tickets/{id}/satisfaction_rating", _rate),
    Route("GET", "/ticket_audits", _all_audits),
    Route("GET", "/ticket_metrics", _all_metrics),
    Route("GET", "/deleted_tickets", _deleted, bucket="deleted-tickets"),
    Route("PUT", "/deleted_tickets/{id}/restore", _restore),
    Route("GET", "/organizations/{id}/tickets", _list_of("organization_id", "organizations")),
    Route("GET", "/users/{id}/tickets/requested", _list_of("requester_id", "users")),
    Route("GET", "/users/{id}/tickets/assigned", _list_of("assignee_id", "users")),
)
