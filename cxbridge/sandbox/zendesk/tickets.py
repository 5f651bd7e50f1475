"""What can be done to a ticket, whoever does it: create, update, comment, tag, rate, delete. Speaks no HTTP.

Every function checks first and changes afterwards, so an `ApiError` leaves the ticket as it was; each journals what it
did.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.zendesk import fields, history, people, render
from cxbridge.sandbox.zendesk.entities import Audit, Comment, Metrics, Rating, Ticket, User
from cxbridge.sandbox.zendesk.errors import not_found, record_invalid, update_conflict
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_REOPENED_BY_CUSTOMER = ("pending", "hold", "solved")


def find(state: ZendeskState, ident: int) -> Ticket:
    """A ticket that is not deleted; its children cannot be reached otherwise either.

    Raises:
        ApiError: 404.
    """
    ticket = state.tickets.get(ident)
    if ticket is None or ticket.deleted is not None:
        raise not_found()
    return ticket


def create(
    state: ZendeskState, actor: User, body: Mapping[str, Any], *, via: Via, channel: str = "api", **journaled: Any
) -> tuple[Ticket, Audit]:
    """Open a ticket with its first comment; `journaled` goes into the journal's entry."""
    said = dict(body.get("comment") or {})
    if not said.get("body") and not said.get("html_body"):
        said["body"] = body.get("description")
    if not said.get("body") and not said.get("html_body"):
        raise record_invalid(base=("Description: cannot be blank", "BlankValue"))
    changes = fields.resolve(state, None, body, bulk=False)
    author = _author(state, actor, said)
    source = _followup_source(state, body)
    requester = _requester(state, actor, body, changes, via)

    now = state.second()
    organization_id = changes.pop("organization_id", None) or requester.organization_id
    status = changes.pop("status", None)
    custom_status = changes.pop("custom_status_id", None)
    if status is None:
        status = "open" if changes.get("assignee_id") else "new"
        custom_status = state.default_status(status)
    ticket = Ticket(
        id=state.new_ticket_id(),
        subject=changes.pop("subject", None) or "",
        description="",
        requester_id=requester.id,
        submitter_id=author.id,
        organization_id=organization_id,
        created=now,
        updated=now,
        metrics=Metrics(id=state.new_id()),
        status=status,
        custom_status_id=custom_status or state.default_status(status),
        brand_id=changes.pop("brand_id", state.brand_id),
        ticket_form_id=changes.pop("ticket_form_id", state.ticket_form_id),
        group_id=changes.pop("group_id", state.group_id),
        channel=channel,
        followup_source_id=source.id if source else None,
    )
    changes.pop("requester_id", None)
    audit = Audit(
        id=state.new_id(),
        ticket_id=ticket.id,
        author_id=actor.id,
        created=now,
        channel=channel,
        custom=dict(body.get("metadata") or {}),
    )
    _add_comment(state, ticket, audit, author, said, public=said.get("public", True) is not False)
    ticket.is_public = ticket.comments[0].public
    ticket.description = ticket.comments[0].body
    for name in ("subject", "status", "priority", "type"):
        value = changes.get(name, getattr(ticket, name))
        if value:
            audit.events.append({"id": state.new_id(), "type": "Create", "field_name": name, "value": value})
    _set(state, ticket, changes)
    ticket.metrics.status_updated = ticket.metrics.requester_updated = now
    if ticket.assignee_id:
        ticket.metrics.initially_assigned = ticket.metrics.assigned = ticket.metrics.assignee_updated = now
    if status in history.DONE:
        ticket.metrics.solved = ticket.metrics.first_solved = now
    if source is not None:
        source.followup_ids = [*source.followup_ids, ticket.id]
    _store(state, ticket, audit)
    state.effect(
        "ticket.created",
        ticket.id,
        actor,
        via,
        subject=ticket.subject,
        body=ticket.description,
        status=ticket.status,
        priority=ticket.priority,
        type=ticket.type,
        tags=list(ticket.tags),
        external_id=ticket.external_id,
        requester=requester.label,
        metadata=audit.custom,
        **journaled,
    )
    return ticket, audit


def update(
    state: ZendeskState,
    actor: User,
    ticket: Ticket,
    body: Mapping[str, Any],
    *,
    via: Via,
    channel: str = "api",
    bulk: bool = False,
) -> Audit:
    """Change fields and add a comment in one step; a request that changes nothing leaves the ticket's times alone.

    Raises:
        ApiError: 409 if a safe update is based on an older version, 422 if the ticket is closed or a value is wrong.
    """
    refuse_stale(ticket, body)
    refuse_closed(ticket)
    changes = fields.resolve(state, ticket, body, bulk=bulk)
    said = body.get("comment") or None
    author = _author(state, actor, said) if said else actor
    if said is not None and not said.get("body") and not said.get("html_body"):
        # The status is Zendesk's for a blank description; for a blank later comment it is unverified.
        raise record_invalid(base=("Comment: cannot be blank", "BlankValue"))
    if "requester" in body and "requester_id" not in changes:
        changes["requester_id"] = _requester(state, actor, body, changes, via).id

    audit = Audit(
        id=state.new_id(),
        ticket_id=ticket.id,
        author_id=actor.id,
        created=state.second(),
        channel=channel,
        custom=dict(body.get("metadata") or {}),
    )
    if said is not None:
        public = said.get("public")
        # Left out, it follows the ticket, which may send an e-mail nobody meant to send.
        _add_comment(state, ticket, audit, author, said, public=ticket.is_public if public is None else bool(public))
        if not author.is_staff and ticket.status in _REOPENED_BY_CUSTOMER and "status" not in changes:
            changes |= {"status": "open", "custom_status_id": state.default_status("open")}
    if changes.get("assignee_id") and ticket.status == "new" and "status" not in changes:
        changes |= {"status": "open", "custom_status_id": state.default_status("open")}
    changed = history.difference(ticket, changes)
    history.record(state, audit, changed)
    if not audit.events:
        state.effect("noop", ticket.id, actor, via, asked=sorted(body))
        return audit
    history.count(ticket, changed, audit.created)
    _set(state, ticket, {name: changes[name] for name in changed})
    ticket.updated = audit.created
    _store(state, ticket, audit)
    if said is not None:
        added = ticket.comments[-1]
        state.effect(
            "comment.added",
            ticket.id,
            actor,
            via,
            comment_id=added.id,
            author=author.label,
            body=added.body,
            public=added.public,
            metadata=added.custom,
        )
    if changed:
        state.effect("ticket.updated", ticket.id, actor, via, changes=history.journaled(changed), metadata=audit.custom)
    return audit


def set_tags(
    state: ZendeskState, actor: User, ticket: Ticket, tags: list[str], body: Mapping[str, Any], *, via: Via
) -> None:
    """Replace a ticket's tags as the tag endpoints do, which leave fields and comments alone."""
    refuse_stale(ticket, body)
    refuse_closed(ticket)
    before = list(ticket.tags)
    if tags == before:
        state.effect("noop", ticket.id, actor, via, asked=["tags"])
        return
    now = state.second()
    audit = Audit(id=state.new_id(), ticket_id=ticket.id, author_id=actor.id, created=now, channel="api")
    history.record(state, audit, {"tags": (before, tags)})
    state.set_tags(ticket, tags)
    ticket.updated = now
    _store(state, ticket, audit)
    state.effect(
        "tags",
        ticket.id,
        actor,
        via,
        added=sorted(set(tags) - set(before)),
        removed=sorted(set(before) - set(tags)),
    )


def delete(state: ZendeskState, actor: User, ticket: Ticket, *, via: Via) -> None:
    """Move a ticket to the deleted ones: it stays in exports as `deleted` and answers 404 elsewhere."""
    now = state.second()
    ticket.deleted = ticket.updated = now
    ticket.deleted_by = actor.id
    state.save_ticket(ticket, now)
    state.effect("ticket.deleted", ticket.id, actor, via)


def restore(state: ZendeskState, actor: User, ticket: Ticket, *, via: Via) -> None:
    now = state.second()
    ticket.deleted = ticket.deleted_by = None
    ticket.updated = now
    state.save_ticket(ticket, now)
    state.effect("ticket.restored", ticket.id, actor, via)


def touch(state: ZendeskState, ticket: Ticket) -> None:
    """A system update: the ticket is exported again although nothing in it changed and `updated_at` stays."""
    state.save_ticket(ticket, state.second())
    state.effect("ticket.touched", ticket.id, "system", "ui")


def rate(state: ZendeskState, ticket: Ticket, score: str, comment: str | None, *, via: Via, when: int) -> Rating:
    """The requester's verdict on a ticket; a later one replaces it."""
    rating = ticket.rating
    if rating is None:
        rating = Rating(
            id=state.new_id(), ticket_id=ticket.id, score=score, comment=comment, created=when, updated=when
        )
    rating.score, rating.comment, rating.updated = score, comment, when
    ticket.rating = state.ratings[rating.id] = rating
    if via != "seed":
        ticket.updated = when
        state.save_ticket(ticket, when)
    requester = state.users[ticket.requester_id]
    state.effect("satisfaction.rated", ticket.id, requester, via, score=score, comment=comment)
    return rating


def refuse_stale(ticket: Ticket, body: Mapping[str, Any]) -> None:
    """Safe update: any value of `safe_update` asks for the check, `false` too; leaving it out forces the write.

    A safe update without a usable stamp is refused as stale, which is unverified.
    """
    if "safe_update" not in body:
        return
    try:
        read = int(datetime.fromisoformat(str(body.get("updated_stamp"))).timestamp())
    except ValueError:
        raise update_conflict() from None
    if read != ticket.updated:
        raise update_conflict()


def refuse_closed(ticket: Ticket) -> None:
    if ticket.status == "closed":
        raise record_invalid(status="Status: closed prevents ticket update")


def _author(state: ZendeskState, actor: User, said: Mapping[str, Any]) -> User:
    if said.get("author_id") is None:
        return actor
    author = state.users.get(int(said["author_id"]))
    if author is None or not author.active:
        raise record_invalid(author="Author: is not valid")
    return author


def _requester(state: ZendeskState, actor: User, body: Mapping[str, Any], changes: Json, via: Via) -> User:
    if "requester_id" in changes:
        return state.users[changes["requester_id"]]
    given = body.get("requester")
    if not isinstance(given, Mapping):
        return actor
    email = str(given.get("email") or "").strip()
    if not email:
        raise record_invalid(requester=("Requester: Email: cannot be blank", "BlankValue"))
    known = state.user_by_email(email)
    return known or people.create_user(state, actor, {"email": email, "name": given.get("name") or email}, via=via)


def _followup_source(state: ZendeskState, body: Mapping[str, Any]) -> Ticket | None:
    if body.get("via_followup_source_id") is None:
        return None
    source = state.tickets.get(int(body["via_followup_source_id"]))
    if source is None or source.status != "closed":
        raise record_invalid(via_followup_source_id="Follow-up source: is not a closed ticket")
    return source


def _add_comment(
    state: ZendeskState, ticket: Ticket, audit: Audit, author: User, said: Mapping[str, Any], *, public: bool
) -> None:
    markup = said.get("html_body")
    comment = Comment(
        id=state.new_id(),
        audit_id=audit.id,
        author_id=author.id,
        body=render.plain(markup) if markup else str(said["body"]),
        html=markup,
        # An end user's words are always public.
        public=public or not author.is_staff,
        created=audit.created,
        channel=audit.channel,
        custom=audit.custom,
        attachments=[state.uploads[token] for token in said.get("uploads") or [] if token in state.uploads],
    )
    ticket.comments.append(comment)
    ticket.is_public = ticket.is_public or comment.public
    audit.events.append({"id": comment.id, "type": "Comment"})
    facts = ticket.metrics
    facts.latest_comment = audit.created
    if author.is_staff and author.id != ticket.requester_id and comment.public and len(ticket.comments) > 1:
        facts.replies += 1
        facts.first_reply = facts.first_reply or audit.created


def _set(state: ZendeskState, ticket: Ticket, changes: Json) -> None:
    for name, value in changes.items():
        if name == "external_id":
            state.set_external_id(ticket, value)
        elif name == "problem_id":
            state.set_problem(ticket, value)
        elif name == "tags":
            state.set_tags(ticket, value)
        else:
            setattr(ticket, name, value)


def _store(state: ZendeskState, ticket: Ticket, audit: Audit) -> None:
    ticket.audits.append(audit)
    state.save_audit(audit)
    state.save_ticket(ticket, audit.created)
