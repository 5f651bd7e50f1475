"""What people do in Zendesk's own pages: customers write, agents work, administrators tidy up. Journaled as `ui`.

The control API calls `control`; ids, e-mail addresses and field titles may be used where the vendor's API wants ids.
"""

from collections.abc import Mapping
from typing import Any

from cxbridge.sandbox.zendesk import guide, people, render, render_guide, tickets
from cxbridge.sandbox.zendesk.entities import Organization, Ticket, User
from cxbridge.sandbox.zendesk.errors import ApiError, no_endpoint, record_invalid
from cxbridge.sandbox.zendesk.fields import clean_tags
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_AGENT = "agent@example.test"
_PASSED_ON = ("status", "priority", "type", "subject", "problem_id", "external_id", "custom_status_id", "due_at")


def control(state: ZendeskState, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Json]:
    """One action of a person, as the control API names it below `/zendesk`; returns a status and what came of it.

    Raises:
        ApiError: the action is unknown, or Zendesk would not allow it.
    """
    parts = path.strip("/").split("/")
    match (method, *parts):
        case ("POST", "tickets"):
            ticket = customer_writes(state, body)
            return 201, {"ticket": render.ticket(state, ticket)}
        case ("GET", "tickets", ident):
            ticket = tickets.find(state, _number(ident))
            return 200, {
                "ticket": render.ticket(state, ticket),
                "comments": [render.comment(state, said) for said in ticket.comments],
            }
        case ("PATCH", "tickets", ident):
            ticket = tickets.find(state, _number(ident))
            agent_edits(state, ticket, body)
            return 200, {"ticket": render.ticket(state, ticket)}
        case ("DELETE", "tickets", ident):
            ticket = tickets.find(state, _number(ident))
            tickets.delete(state, agent(state, body.get("author")), ticket, via="ui")
            return 200, {"deleted": ticket.id}
        case ("POST", "articles"):
            return 201, {"article": render_guide.article(state, agent_writes_article(state, body))}
        case ("PATCH", "articles", ident):
            article = guide.find(state, _number(ident))
            locale = str(body.get("locale") or article.source_locale)
            guide.translate(state, agent(state, body.get("author")), article, locale, body, via="ui")
            return 200, {"article": render_guide.article(state, article, locale)}
        case ("PATCH", "users", ident):
            user = people.find_user(state, _number(ident))
            people.update_user(state, agent(state, None), user, body, via="ui")
            return 200, {"user": render.user(state, user)}
        case ("DELETE", "users", ident):
            user = people.find_user(state, _number(ident))
            people.delete_user(state, agent(state, None), user, via="ui")
            return 200, {"deleted": user.id}
        case ("POST", "organizations"):
            founded = people.create_organization(state, agent(state, None), body, via="ui")
            return 201, {"organization": render.organization(state, founded)}
        case ("PATCH", "organizations", ident):
            found = people.find_organization(state, _number(ident))
            people.update_organization(state, agent(state, None), found, body, via="ui")
            return 200, {"organization": render.organization(state, found)}
        case ("DELETE", "organizations", ident):
            found = people.find_organization(state, _number(ident))
            people.delete_organization(state, agent(state, None), found, via="ui")
            return 200, {"deleted": found.id}
        case ("POST", "webhooks"):
            made = state.webhooks.create({"name": "by hand", **body})
            made.secret = str(body.get("secret") or made.secret)
            made.template = str(body.get("template") or made.template)
            made.skipped = str(body.get("skipped") or "")
            return 201, {"webhook": state.webhooks.shown(made), "secret": made.secret}
    raise no_endpoint()


def agent(state: ZendeskState, email: object, *, via: str = "ui") -> User:
    """The agent of an address, or some agent; made if there is none, and never the integration's own user."""
    if email:
        known = state.user_by_email(str(email))
        if known is not None:
            return known
    else:
        someone = next((u for u in state.users.values() if u.role == "agent" and u.active), None)
        if someone is not None:
            return someone
    address = str(email or _AGENT)
    body = {"email": address, "name": address.partition("@")[0].replace(".", " ").title(), "role": "agent"}
    return people.create_user(state, "admin", body, via="seed" if via == "seed" else "ui")


def customer_writes(state: ZendeskState, body: Mapping[str, Any]) -> Ticket:
    """A customer's e-mail arrives and becomes a ticket."""
    given = body.get("requester") or {"name": "Customer", "email": "customer@example.test"}
    requester = customer(state, given, body.get("organization"))
    request: Json = {
        "subject": body.get("subject") or "",
        "comment": {"body": body.get("description") or body.get("subject")},
        "requester_id": requester.id,
        "tags": body.get("tags") or [],
        "custom_fields": named_fields(state, body.get("custom_fields") or {}),
        **{name: body[name] for name in _PASSED_ON if name in body and name != "subject"},
    }
    if body.get("assignee"):
        request["assignee_id"] = agent(state, body["assignee"]).id
    ticket, _ = tickets.create(state, requester, request, via="ui", channel=str(body.get("channel") or "email"))
    return ticket


def agent_edits(state: ZendeskState, ticket: Ticket, body: Mapping[str, Any]) -> None:
    """Somebody saves the ticket's page: fields, tags and a comment in one step; `comment.author` decides who."""
    said = body.get("comment")
    said = {"body": said} if isinstance(said, str) else said
    actor = agent(state, body.get("author"))
    request: Json = {name: body[name] for name in _PASSED_ON if name in body}
    if said:
        author = _author(state, ticket, said.get("author"), actor)
        actor = author
        request["comment"] = {**{n: said[n] for n in ("body", "html_body", "public") if n in said}}
        request["comment"].setdefault("public", True)
    if body.get("tags_add") or body.get("tags_remove"):
        gone = clean_tags(body.get("tags_remove") or [])
        wanted = clean_tags([*ticket.tags, *clean_tags(body.get("tags_add") or [])])
        request["tags"] = [tag for tag in wanted if tag not in gone]
    if body.get("custom_fields"):
        request["custom_fields"] = named_fields(state, body["custom_fields"])
    if "assignee" in body:
        request["assignee_id"] = agent(state, body["assignee"]).id if body["assignee"] else None
    if "organization" in body:
        request["organization_id"] = organization(state, str(body["organization"])).id
    if request:
        tickets.update(state, actor, ticket, request, via="ui", channel="web")
    if body.get("satisfaction"):
        verdict = body["satisfaction"]
        tickets.rate(state, ticket, str(verdict["score"]), verdict.get("comment"), via="ui", when=state.second())
    if body.get("system_update"):
        tickets.touch(state, ticket)


def agent_writes_article(state: ZendeskState, body: Mapping[str, Any]) -> Any:
    section = guide.section(state, str(body.get("section") or "General"))
    text = {**body, "label_names": body.get("labels") or body.get("label_names") or []}
    return guide.create(state, agent(state, body.get("author")), section, text, via="ui")


def customer(state: ZendeskState, given: Mapping[str, Any], organization_name: object, *, via: str = "ui") -> User:
    """The end user of an address, made if unknown, in the organization of that name if one is given."""
    email = str(given.get("email") or "").strip().lower()
    if not email:
        raise record_invalid(requester="Requester: email is required")
    known = state.user_by_email(email)
    journal = "seed" if via == "seed" else "ui"
    company = organization(state, str(organization_name), via=journal) if organization_name else None
    if known is None:
        body: Json = {"email": email, "name": given.get("name") or email.partition("@")[0]}
        if company is not None:
            body["organization_id"] = company.id
        return people.create_user(state, email, body, via="seed" if via == "seed" else "ui")
    if company is not None and known.organization_id is None:
        known.organization_id = company.id
    return known


def organization(state: ZendeskState, name: str, *, via: str = "ui") -> Organization:
    """The organization of that name, made if unknown."""
    known = state.organization_by_name(name)
    return known or people.create_organization(state, "admin", {"name": name}, via="seed" if via == "seed" else "ui")


def named_fields(state: ZendeskState, values: Mapping[str, Any]) -> Json:
    """Custom field values by id, from ids, keys or titles.

    Raises:
        ApiError: 422, a field is unknown.
    """
    found: Json = {}
    for name, value in values.items():
        field = state.field_by_name(str(name))
        if field is None:
            raise record_invalid(custom_fields=f"there is no ticket field {name!r}; add it as a ticket_field row first")
        found[str(field["id"])] = value
    return found


def _author(state: ZendeskState, ticket: Ticket, named: object, otherwise: User) -> User:
    if not named:
        return otherwise
    if named in ("customer", "requester"):
        return state.users[ticket.requester_id]
    known = state.user_by_email(str(named))
    return known or agent(state, named)


def _number(text: str) -> int:
    if not text.isdigit():
        raise ApiError(400, {"error": "InvalidValue", "description": f"{text!r} is not a number"})
    return int(text)
