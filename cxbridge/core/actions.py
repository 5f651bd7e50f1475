"""The canonical verbs and their inputs, typed once; connectors implement them, recipes name them as `role.entity.verb`.

Inputs are msgspec structs: a recipe's `with` table must fit one. `Text` fields are what people will read; the engine escapes
what a template puts into them for the destination that the connector's action declares.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from cxbridge.core.canonical import (
    Priority,
    Resolution,
    Severity,
    StatusCategory,
    TaskKind,
    TaskStatus,
    TicketType,
    Visibility,
)

# Marks fields whose templates hold prose; `recipes.check` and `recipes.render` read the mark.
Text = Annotated[str, msgspec.Meta(extra={"text": True})]
# Mark fields that name an account or a contact by its id, wherever that is known: the engine looks up who it is in the connection
# that is written to, and the connector is handed the key there. One who is not known there yet holds the run.
AccountRef = Annotated[str, msgspec.Meta(extra={"ref": "account"})]
ContactRef = Annotated[str, msgspec.Meta(extra={"ref": "contact"})]
# Marks fields that hold a day or a time: always ISO 8601 text (`2026-05-06`, `2026-05-06T09:00:00Z`), because the outbox is JSON
# and a type cannot be text and time at once; the engine writes what a recipe gives as a time in this form.
Moment = Annotated[str, msgspec.Meta(extra={"moment": True})]


class Inputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all inputs; unknown names are refused.

    `targeted` says whether the verb acts on an entity that is there (`Call.target` is its key); the others bring one about.
    `asks_person` names the field that holds the e-mail address of a customer who is asked for something: the engine looks at
    consent and at the ledger of asks before such a delivery is planned, and again before it is sent.
    """

    targeted: ClassVar[bool] = True
    asks_person: ClassVar[str | None] = None


class EnsureTicket(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ticket.ensure`, `issue.ensure`: reuse the one that is meant, else make one, once.

    `match` names an existing one by its key and wins when given. `same_as` is what makes two requests the same request: all
    subjects that give the same text share one issue; left out, each subject has its own.
    """

    targeted: ClassVar[bool] = False

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


class EnsureTask(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`task.ensure`: one task about an account, with a reason; reuse the one that is meant, else make one, once.

    `reason`, `kind` and `priority` are the platform's own labels or canonical words. `owner_email` falls back to the
    account's owner. `due_at` is a day or a time. `evidence` are ids or addresses of what it rests on. `same_as` is that of
    `ticket.ensure`.
    """

    targeted: ClassVar[bool] = False

    account: AccountRef
    title: Text
    reason: str
    body: Text = ""
    kind: TaskKind | str = "risk"
    priority: Priority | str = "normal"
    owner_email: str | None = None
    due_at: Moment | None = None
    evidence: list[str] = []
    same_as: str | None = None
    custom: dict[str, Any] = {}


class SetTask(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`task.set`: give the named fields these values; what is not named stays. `note` is put before what the task says already."""

    title: Text | None = None
    status: TaskStatus | str | None = None
    priority: Priority | str | None = None
    owner_email: str | None = None
    due_at: Moment | None = None
    note: Text | None = None
    custom: dict[str, Any] = {}


class CloseTask(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`task.close`: the task is done, or dropped; `note` says what came of it."""

    outcome: Literal["done", "dropped"] = "done"
    note: Text | None = None


class AddTouchpoint(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`timeline.add_once`: one entry on an account's timeline. `kind` is the platform's own type, `at` is now if left out."""

    targeted: ClassVar[bool] = False

    account: AccountRef
    subject: Text
    body: Text
    kind: str = "Update"
    author_email: str | None = None
    at: Moment | None = None


class SetAccount(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account.set`: give an account's fields these values; `custom` by the aliases of the connection."""

    account: AccountRef | None = None
    tier: str | None = None
    renewal_at: Moment | None = None
    lifecycle: str | None = None
    custom: dict[str, Any] = {}


class SetContact(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`contact.set`: see that a person is known by this e-mail address, with these values; made where there is none."""

    targeted: ClassVar[bool] = False

    email: str
    name: str | None = None
    account: AccountRef | None = None
    title: str | None = None
    language: str | None = None
    custom: dict[str, Any] = {}


class SetHealth(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`health.set`: an account's score from 0 to 100, with where it comes from."""

    targeted: ClassVar[bool] = False

    account: AccountRef
    value: float
    scheme: str = "overall"
    comment: Text | None = None


class Notify(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message.notify_once`: tell a channel (`#name`) or a person (an e-mail address) something, once."""

    targeted: ClassVar[bool] = False

    to: str
    text: Text


class ReplyTo(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message.reply_once`: one answer under a message that an earlier step of the run sent."""

    text: Text


class Button(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that can be pressed. `choice` comes back in the answer."""

    label: str
    choice: str
    style: Literal["plain", "primary", "danger"] = "plain"


class FormField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One typed answer that is asked for beside a decision."""

    name: str
    type: Literal["choice", "text", "number"] = "text"
    label: str = ""
    of: list[str] = []
    optional: bool = False


class Ask(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message.ask`: put a question with buttons to a channel or a person; what they press comes back over the webhook.

    Sent by an `approve` step. `approval` is its id, handed back with every answer.
    """

    targeted: ClassVar[bool] = False

    to: str
    text: Text
    approval: str
    buttons: list[Button]
    form: list[FormField] = []


class CloseAsk(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message.settle`: a question is answered; show how, and take its buttons away."""

    text: Text


class Invite(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`survey.invite_once`: ask a person, once; the engine has looked at consent and at the ledger of asks before.

    `survey` is the platform's id of the survey. `attributes` come back with the answer.
    """

    targeted: ClassVar[bool] = False
    asks_person: ClassVar[str | None] = "email"

    survey: str
    email: str
    name: str | None = None
    language: str | None = None
    programme: str = "survey"
    account: AccountRef | None = None
    attributes: dict[str, str] = {}


class SetResponse(Inputs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`response.set`: keep these values beside an answer that was given (embedded data); the answer itself stays."""

    attributes: dict[str, str]


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
    "task.ensure": EnsureTask,
    "task.set": SetTask,
    "task.close": CloseTask,
    "timeline.add_once": AddTouchpoint,
    "account.set": SetAccount,
    "contact.set": SetContact,
    "health.set": SetHealth,
    "message.notify_once": Notify,
    "message.reply_once": ReplyTo,
    "message.ask": Ask,
    "message.settle": CloseAsk,
    "survey.invite_once": Invite,
    "response.set": SetResponse,
}
