"""What a change of a ticket leaves behind: events in its audit, metrics, its line in the journal. Sets no field."""

from collections.abc import Mapping
from typing import Any

from cxbridge.sandbox.zendesk.entities import Audit, Ticket
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

DONE = ("solved", "closed")

# A field's old and new value, by attribute of `Ticket`.
Difference = Mapping[str, tuple[Any, Any]]


def difference(ticket: Ticket, changes: Json) -> dict[str, tuple[Any, Any]]:
    return {name: (getattr(ticket, name), value) for name, value in changes.items() if getattr(ticket, name) != value}


def record(state: ZendeskState, audit: Audit, changed: Difference) -> None:
    for name, (old, new) in changed.items():
        if name == "custom_fields":
            pairs = {str(ident): (old.get(ident), value) for ident, value in new.items() if old.get(ident) != value}
        else:
            pairs = {name: (old, new)}
        for field, (previous, value) in pairs.items():
            audit.events.append(
                {
                    "id": state.new_id(),
                    "type": "Change",
                    "field_name": field,
                    "value": _audited(value),
                    "previous_value": _audited(previous),
                }
            )


def _audited(value: Any) -> Any:
    """Audits write ids as text and leave lists as they are."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def journaled(changed: Difference) -> Json:
    plain: Json = {}
    for name, (old, new) in changed.items():
        if name == "custom_fields":
            plain |= {
                f"custom_fields.{ident}": [old.get(ident), value]
                for ident, value in new.items()
                if old.get(ident) != value
            }
        else:
            plain[name] = [old, new]
    return plain


def count(ticket: Ticket, changed: Difference, now: int) -> None:
    facts = ticket.metrics
    if "status" in changed:
        old, new = changed["status"]
        facts.status_updated = now
        if new in DONE and old not in DONE:
            facts.solved = now
            facts.first_solved = facts.first_solved or now
        elif old in DONE and new not in DONE:
            facts.reopens += 1
            facts.solved = None
    if "assignee_id" in changed:
        facts.assignee_updated = facts.assigned = now
        facts.initially_assigned = facts.initially_assigned or now
    if "requester_id" in changed:
        facts.requester_updated = now
