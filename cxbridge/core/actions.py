"""The canonical verbs and their inputs, typed once; connectors implement them, recipes name them as `role.entity.verb`.

Inputs are msgspec structs: a recipe's `with` table must fit one. `Text` fields are what people will read; the engine escapes
what a template puts into them for the destination that the connector's action declares.
"""

from typing import Annotated, Any

import msgspec

from cxbridge.core.canonical import Priority, Resolution, Severity, StatusCategory, TicketType, Visibility

# Marks fields whose templates hold prose; `recipes.check` and `recipes.render` read the mark.
Text = Annotated[str, msgspec.Meta(extra={"text": True})]


class Inputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all inputs; unknown names are refused."""


class EnsureTicket(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ticket.ensure`, `issue.ensure`: reuse the one that is meant, else make one, once.

    `match` names an existing one by its key and wins when given. `same_as` is what makes two requests the same request: all
    subjects that give the same text share one issue; left out, each subject has its own.
    """

    subject: Text
    body: Text = ""
    project: str | None = None
    type: TicketType | None = None
    priority: str | None = None
    severity: Severity | None = None
    labels: list[str] = []
    requester_email: str | None = None
    requester_name: str | None = None
    match: str | None = None
    same_as: str | None = None
    custom: dict[str, Any] = {}


class SetTicket(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ticket.set`, `issue.set`: give the named fields these values; what is not named stays.

    `priority` is the platform's own name where it is not a canonical one. `note` needs `note_visibility`.
    """

    status_category: StatusCategory | None = None
    priority: Priority | str | None = None
    severity: Severity | None = None
    type: TicketType | None = None
    subject: Text | None = None
    tags_add: list[str] = []
    tags_remove: list[str] = []
    custom: dict[str, Any] = {}
    note: Text | None = None
    note_visibility: Visibility | None = None


class Transition(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ticket.transition`, `issue.transition`: bring the status into the category `to`, by the platform's own workflow."""

    to: StatusCategory
    resolution: Resolution | None = None


class AddComment(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`comment.add_once`: one entry in the conversation, visibility always said."""

    visibility: Visibility
    body: Text


class EnsureLink(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`link.ensure`: show on this platform that the entity belongs with another one elsewhere.

    `system` and `key` name the other side in people's words (`jira`, `ENG-12`), `ref` is its full ref, `url` opens it.
    """

    system: str
    key: str
    ref: str
    url: str | None = None
    title: str = ""
    relation: str = "escalated_to"
    resolved: bool = False


class SetTags(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tags.set`: add and remove single tags without touching the others."""

    add: list[str] = []
    remove: list[str] = []


VERBS: dict[str, type[Inputs]] = {
    "ticket.ensure": EnsureTicket,
    "issue.ensure": EnsureTicket,
    "ticket.set": SetTicket,
    "issue.set": SetTicket,
    "ticket.transition": Transition,
    "issue.transition": Transition,
    "comment.add_once": AddComment,
    "link.ensure": EnsureLink,
    "tags.set": SetTags,
}
