"""What an action wants, as the ticket body Zendesk is sent: only what differs from the ticket as it is now; pure.

Bodies: developer.zendesk.com/api-reference/ticketing/tickets/tickets (create, update) and .../ticket_comments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import wire
from cxbridge.plugins.zendesk.mapping import MARKER_KEY, Shape
from cxbridge.plugins.zendesk.values import (
    PRIORITY,
    STATUS,
    STATUS_FOR,
    TYPE,
    UNKNOWN,
    clean_tags,
    merged_tags,
    stamp,
    text_of,
    utc,
)

Prose = Literal["plain", "html"]

# Canonical fields that move together with one that is written.
STATUS_FIELDS = ("status_category", "waiting_on", "status_native", "status_native_id")
PRIORITY_FIELDS = ("priority", "priority_native")
TYPE_FIELDS = ("type", "type_native")


@dataclass(frozen=True, slots=True)
class Change:
    """The fields to send, and the canonical ones that show them afterwards. An empty body: all is as wanted."""

    body: Mapping[str, Any]
    touched: tuple[str, ...]


def wanted(inputs: cx.SetTicket, now: wire.Ticket, shape: Shape, prose: Prose) -> Change:
    """Compare what is asked for with the ticket as it is; a note is not compared, it is left to the caller.

    Raises:
        Rejected: when Zendesk has no such status, priority, type or field.
    """
    body: dict[str, Any] = {}
    touched: list[str] = []
    if inputs.status_category is not None:
        touched += STATUS_FIELDS
        if (status := status_for(inputs.status_category, now.status)) is not None:
            body["status"] = status
    if inputs.priority is not None:
        touched += PRIORITY_FIELDS
        if (priority := priority_for(inputs.priority)) != now.priority:
            body["priority"] = priority
    if inputs.type is not None:
        touched += TYPE_FIELDS
        if (type_ := type_for(inputs.type)) != now.type:
            body["type"] = type_
    if inputs.subject is not None:
        touched.append("subject")
        if (subject := title(inputs.subject, prose)) != now.subject:
            body["subject"] = subject
    held = {one.id: one.value for one in now.custom_fields or ()}
    fields = {
        id_: value
        for id_, value in custom_for(_with_severity(inputs, shape), shape).items()
        if not same(held.get(id_), value)
    }
    if inputs.custom or inputs.severity is not None:
        touched.append("custom")
    if fields:
        body["custom_fields"] = [{"id": id_, "value": value} for id_, value in fields.items()]
    if inputs.tags_add or inputs.tags_remove:
        touched.append("tags")
        before = now.tags or []
        tags = merged_tags(before, inputs.tags_add, inputs.tags_remove)
        if set(tags) != set(before):
            body["tags"] = _following(tags, held, fields)
    return Change(body, tuple(touched))


def creation(inputs: cx.EnsureTicket, marker: str, shape: Shape, prose: Prose, group: int | None) -> dict[str, Any]:
    """Write the body of a new ticket.

    With a requester the first comment is public, being theirs; without one there is nobody outside to show it to, and
    it is an internal note. It is said either way.

    Raises:
        Rejected: when Zendesk has no such priority, type or field.
    """
    asked = inputs.requester_email is not None
    ticket: dict[str, Any] = {
        "subject": title(inputs.subject, prose),
        "comment": comment(inputs.body or inputs.subject, prose, public=asked),
        "external_id": marker,
    }
    if inputs.requester_email is not None:
        # Zendesk makes the person where nobody has that address, and wants a name for them.
        ticket["requester"] = {
            "email": inputs.requester_email,
            "name": inputs.requester_name or inputs.requester_email.partition("@")[0],
        }
    if inputs.priority is not None:
        ticket["priority"] = priority_for(inputs.priority)
    if inputs.type is not None:
        ticket["type"] = type_for(inputs.type)
    if tags := clean_tags(inputs.labels):
        ticket["tags"] = tags
    custom = dict(inputs.custom)
    if inputs.severity is not None and "severity" in shape.fields:
        custom.setdefault("severity", inputs.severity)
    if custom:
        ticket["custom_fields"] = [{"id": id_, "value": value} for id_, value in custom_for(custom, shape).items()]
    if group is not None:
        ticket["group_id"] = group
    return ticket


def safely(
    body: Mapping[str, Any], now: wire.Ticket, *, safe: bool, flag: Literal[True, "true"] = True
) -> dict[str, Any]:
    """Make an update fail when the ticket changed since it was read; without `safe`, the last writer wins.

    `flag` is how the endpoint wants it said: tag lists take a word where tickets take a truth value.
    """
    updated = stamp(utc(now.updated_at))
    return {**body, "updated_stamp": updated, "safe_update": flag} if safe and updated else dict(body)


def comment(text: str, prose: Prose, *, public: bool) -> dict[str, Any]:
    """Write a comment; `public` is always said, because an update without it takes after the ticket."""
    return {"html_body" if prose == "html" else "body": text, "public": public}


def is_public(visibility: cx.Visibility | None) -> bool:
    """Read a visibility as Zendesk's flag.

    Raises:
        Rejected: when it was not said, or is one that Zendesk has not.
    """
    match visibility:
        case "public":
            return True
        case "internal":
            return False
        case "restricted":
            raise cx.Rejected("Zendesk has no restricted comments: say internal or public")
    raise cx.Rejected("a note needs note_visibility: say internal or public")


def marked(marker: str) -> dict[str, str]:
    """Write the marker the way `metadata` carries it."""
    return {MARKER_KEY: marker}


def status_for(category: cx.StatusCategory, now: str) -> str | None:
    """Name the status to set, None where the ticket is in that category already.

    Raises:
        Rejected: when Zendesk has no status of that category that can be set.
    """
    if STATUS.get(now, UNKNOWN)[0] == category or (category == "in_progress" and now == "open"):
        return None
    status = STATUS_FOR.get(category)
    if status is None:
        raise cx.Rejected(f"Zendesk cannot bring a ticket to {category}: say open, waiting, resolved or closed")
    return status


def priority_for(name: str) -> str | None:
    """Name the priority as Zendesk does, in whichever case it was written.

    Raises:
        Rejected: when Zendesk has no such priority.
    """
    word = name.lower()
    if word == "none":
        return None
    if word not in PRIORITY:
        raise cx.Rejected(f"Zendesk has no priority of that name: say one of {', '.join(PRIORITY)} or none")
    return word


def type_for(name: cx.TicketType) -> str | None:
    """Name the type as Zendesk does; `other` is a ticket without one.

    Raises:
        Rejected: when Zendesk has no such type.
    """
    if name == "other":
        return None
    if name not in TYPE:
        raise cx.Rejected(f"Zendesk has no ticket type {name}: say one of {', '.join(TYPE)} or other")
    return name


def custom_for(custom: Mapping[str, Any], shape: Shape) -> dict[int, Any]:
    """Turn aliases, or ids written as text, into the ids of custom fields.

    Raises:
        Rejected: when an alias is not among the connection's fields.
    """
    found: dict[int, Any] = {}
    for name, value in custom.items():
        id_ = shape.fields.get(name) or (int(name) if name.isascii() and name.isdigit() else None)
        if id_ is None:
            raise cx.Rejected(f"no custom field is called {name}: give its id under fields of this connection")
        found[id_] = value
    return found


def same(held: Any, value: Any) -> bool:
    """Tell whether a custom field holds a value already: numbers may be text, lists are sets of tags, "" is empty."""
    if isinstance(held, list) and isinstance(value, list):
        return sorted(map(str, held)) == sorted(map(str, value))
    if isinstance(held, bool) or isinstance(value, bool):
        return held is value
    if held in (None, "") or value in (None, ""):
        return held in (None, "") and value in (None, "")
    return str(held) == str(value)


def title(text: str, prose: Prose) -> str:
    """Write a subject, which is plain text even where comments are HTML."""
    return text_of(text).replace("\n", " ") if prose == "html" else text


def _with_severity(inputs: cx.SetTicket, shape: Shape) -> Mapping[str, Any]:
    if inputs.severity is None:
        return inputs.custom
    if "severity" not in shape.fields:
        raise cx.Rejected(
            "Zendesk has no severity: give a custom field the alias severity under fields of this connection"
        )
    return {"severity": inputs.severity, **inputs.custom}


def _following(tags: list[str], held: Mapping[int, Any], fields: Mapping[int, Any]) -> list[str]:
    # A drop-down's value is a tag as well. Sent beside the new value, the old value's tag would set the field back
    # (unverified), so the tag follows the field.
    gone = {held.get(id_) for id_ in fields if isinstance(held.get(id_), str)}
    here = [value for id_, value in fields.items() if held.get(id_) in tags and isinstance(value, str) and value]
    kept = [tag for tag in tags if tag not in gone]
    return kept + [value for value in here if value not in kept]
