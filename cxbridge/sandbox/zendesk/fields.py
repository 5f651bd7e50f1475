"""What a request may say about a ticket's fields: checked against the account, turned into values. Changes nothing."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from cxbridge.sandbox.zendesk.entities import Ticket
from cxbridge.sandbox.zendesk.errors import ApiError, record_invalid
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

CHOICES = {
    "type": ("problem", "incident", "question", "task"),
    "priority": ("urgent", "high", "normal", "low"),
    "status": ("new", "open", "pending", "hold", "solved", "closed"),
}
_TEXTS = ("subject", "external_id", "due_at")
_ID_LISTS = ("collaborator_ids", "follower_ids", "email_cc_ids")

# Keys that other parts of a write read, or that clients send back from what they have read; none earns a warning.
_ELSEWHERE = {
    "comment",
    "description",
    "metadata",
    "requester",
    "updated_stamp",
    "safe_update",
    "via_followup_source_id",
    "submitter_id",
    "id",
}

Changes = dict[str, Any]


def resolve(state: ZendeskState, ticket: Ticket | None, body: Mapping[str, Any], *, bulk: bool) -> Changes:
    """The values a request asks for, by attribute of `Ticket`; also those equal to what is there.

    Raises:
        ApiError: a value is not allowed. A list of all problems of one field only, as Zendesk stops early.
    """
    changes: Changes = {}
    for name in _TEXTS:
        if name in body:
            changes[name] = None if body[name] is None else str(body[name])
    if "subject" in changes and not changes["subject"]:
        changes["subject"] = ""
    for name, allowed in CHOICES.items():
        if name in body:
            value = body[name] or None
            if value is not None and value not in allowed:
                raise record_invalid(**{name: f"{name.capitalize()}: {value} is not valid"})
            changes[name] = value
    if changes.get("status", "") is None:
        del changes["status"]
    _people(state, body, changes)
    _status(state, changes, body)
    _problem(state, ticket, body, changes)
    for name in _ID_LISTS:
        if name in body:
            changes[name] = [int(ident) for ident in body[name] or []]
    _tags(state, ticket, body, changes, bulk=bulk)
    return changes


def unpermitted(body: Mapping[str, Any], *, bulk: bool) -> list[str]:
    """The keys of a request that Zendesk drops without an error and names in `x-zendesk-api-warn`."""
    known = {*_TEXTS, *CHOICES, *_ID_LISTS, *_ELSEWHERE, "tags", "custom_fields", "fields", "custom_status_id"}
    known |= {"assignee_id", "assignee_email", "group_id", "organization_id", "requester_id", "brand_id"}
    known |= {"ticket_form_id", "problem_id"}
    if bulk:
        known |= {"additional_tags", "remove_tags"}
    return sorted(set(body) - known)


def clean_tags(tags: object) -> list[str]:
    """Tags as they are kept: lower case, no spaces, each once; sorted, which is unverified."""
    if isinstance(tags, str):
        tags = tags.split()
    if not isinstance(tags, Iterable):
        raise record_invalid(tags="Tags: is not a list")
    return sorted({"_".join(str(tag).lower().split()) for tag in tags} - {""})


def _people(state: ZendeskState, body: Mapping[str, Any], changes: Changes) -> None:
    tables = (
        ("group_id", state.groups, "Group"),
        ("organization_id", state.organizations, "Organization"),
        ("brand_id", state.brands, "Brand"),
        ("requester_id", state.users, "Requester"),
        ("assignee_id", state.users, "Assignee"),
    )
    for name, table, label in tables:
        if name not in body:
            continue
        value = None if body[name] in (None, "") else _integer(name, body[name])
        if value is not None and value not in table:
            raise record_invalid(**{name.removesuffix("_id"): f"{label}: {value} is not valid"})
        if value is None and name in ("requester_id", "brand_id"):
            continue
        changes[name] = value
    if body.get("assignee_email"):
        agent = state.user_by_email(str(body["assignee_email"]))
        if agent is None:
            raise record_invalid(assignee=f"Assignee: {body['assignee_email']} is not valid")
        changes["assignee_id"] = agent.id
    assignee = changes.get("assignee_id")
    if assignee is not None:
        if not state.users[assignee].is_staff:
            raise record_invalid(assignee="Assignee: is not an agent")
        if "group_id" not in changes:
            changes["group_id"] = state.users[assignee].default_group_id or state.group_id
    if "ticket_form_id" in body and body["ticket_form_id"] is not None:
        changes["ticket_form_id"] = _integer("ticket_form_id", body["ticket_form_id"])


def _status(state: ZendeskState, changes: Changes, body: Mapping[str, Any]) -> None:
    """A custom status decides the plain one; a plain one falls to its default custom status."""
    if body.get("custom_status_id") is not None:
        chosen = state.custom_statuses.get(_integer("custom_status_id", body["custom_status_id"]))
        if chosen is None or not chosen["active"]:
            raise record_invalid(custom_status_id="Custom status: is not valid")
        changes["custom_status_id"] = chosen["id"]
        if changes.get("status") != "closed":
            changes["status"] = chosen["status_category"]
    elif "status" in changes:
        changes["custom_status_id"] = state.default_status(changes["status"])


def _problem(state: ZendeskState, ticket: Ticket | None, body: Mapping[str, Any], changes: Changes) -> None:
    if "problem_id" not in body:
        return
    value = None if body["problem_id"] in (None, "") else _integer("problem_id", body["problem_id"])
    if value is not None:
        problem = state.tickets.get(value)
        if problem is None or problem.deleted is not None or problem.type != "problem" or problem is ticket:
            raise record_invalid(problem_id=f"Problem: {value} is not a problem ticket")
    changes["problem_id"] = value


def _tags(state: ZendeskState, ticket: Ticket | None, body: Mapping[str, Any], changes: Changes, *, bulk: bool) -> None:
    current = [] if ticket is None else ticket.tags
    tags = clean_tags(body["tags"] or []) if "tags" in body else list(current)
    if bulk:
        tags = clean_tags([*tags, *clean_tags(body.get("additional_tags") or [])])
        gone = set(clean_tags(body.get("remove_tags") or []))
        tags = [tag for tag in tags if tag not in gone]
    fields = _custom_fields(state, body.get("custom_fields") or body.get("fields") or [])
    before = {} if ticket is None else ticket.custom_fields
    for ident, value in fields.items():
        # The choices of a drop-down are tags, and a ticket always carries the tags of its choices.
        if state.ticket_fields[ident]["type"] in ("tagger", "multiselect") and value != before.get(ident):
            old, new = _choices(before.get(ident)), _choices(value)
            tags = clean_tags([tag for tag in tags if tag not in old] + new)
    if fields:
        changes["custom_fields"] = {**before, **fields}
    if tags != current or "tags" in body:
        changes["tags"] = tags


def _choices(value: object) -> list[str]:
    if value in (None, ""):
        return []
    return clean_tags(value if isinstance(value, list) else [str(value)])


def _custom_fields(state: ZendeskState, given: object) -> dict[int, Any]:
    """Values of custom fields by id, from Zendesk's list or from a plain mapping; unknown ids are dropped silently."""
    pairs: list[tuple[Any, Any]]
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, list) and all(isinstance(row, Mapping) and "id" in row for row in given):
        pairs = [(row["id"], row.get("value")) for row in given]
    else:
        raise ApiError(400, {"error": "InvalidValue", "description": "custom_fields is not a list of {id, value}"})
    found = {}
    for key, value in pairs:
        field = state.ticket_fields.get(_integer("custom_fields.id", key))
        if field is not None and field["removable"]:
            found[field["id"]] = _checked_value(field, value)
    return found


def _checked_value(field: Json, value: Any) -> Any:
    if value in (None, ""):
        return False if field["type"] == "checkbox" else None
    if field["type"] == "date":
        try:
            date.fromisoformat(str(value))
        except ValueError as error:
            raise record_invalid(base=f"{field['title']}: is not a date") from error
    if field["type"] == "checkbox":
        return value in (True, 1, "1", "true")
    if field["type"] in ("tagger", "multiselect"):
        # Refusing unknown choices is unverified; an account whose field lists none takes any.
        known = {option["value"] for option in field["custom_field_options"]}
        chosen = value if isinstance(value, list) else [value]
        if known and not known.issuperset(chosen):
            raise record_invalid(base=f"{field['title']}: is not one of its options")
        return [str(v) for v in chosen] if field["type"] == "multiselect" else str(value)
    return value


def _integer(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise ApiError(
            400,
            {
                "error": {
                    "title": "Invalid attribute",
                    "message": f"You passed an invalid value for the {name} attribute. "
                    f"Invalid parameter: {name} must be an integer",
                }
            },
        ) from error
