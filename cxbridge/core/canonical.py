"""The vendor-free entities that connectors map to and recipes speak of; no vendor's word may appear here.

All are frozen msgspec structs, built by the thousand per second. Times are UTC datetimes. A field that a platform did not
fill is `None` (or empty); what it *cannot* fill, a stream names in its `gaps`, so that "not known" is never taken for "empty".

Refs inside an entity are local: `"<stream>/<key>"` of the same connection, e.g. `"users/46407218913169"`.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

StatusCategory = Literal["new", "open", "in_progress", "waiting", "resolved", "closed", "cancelled", "unknown"]
WaitingOn = Literal["none", "requester", "third_party", "engineering", "change", "problem", "internal_team"]
Resolution = Literal[
    "fixed",
    "workaround",
    "answered",
    "duplicate",
    "declined",
    "not_reproducible",
    "by_design",
    "no_response",
    "cancelled",
    "other",
]
Priority = Literal["urgent", "high", "normal", "low", "none"]
Severity = Literal["S1", "S2", "S3", "S4"]
TicketType = Literal[
    "question",
    "incident",
    "problem",
    "task",
    "service_request",
    "change",
    "bug",
    "feature_request",
    "complaint",
    "other",
]
Channel = Literal[
    "email",
    "web_form",
    "portal",
    "chat",
    "messaging",
    "voice",
    "sms",
    "social",
    "in_app",
    "api",
    "community",
    "survey",
    "in_person",
    "automation",
    "other",
]
Visibility = Literal["public", "internal", "restricted"]
AuthorKind = Literal["customer", "agent", "automation", "system", "unknown"]
DeletedHow = Literal["reported", "inferred", "erased"]

# From most to least pressing; how several tickets' priorities become one.
PRIORITY_ORDER: tuple[Priority, ...] = ("urgent", "high", "normal", "low", "none")


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who caused a change: a local ref where known, and what sort of actor it is."""

    ref: str | None = None
    kind: Literal["person", "automation", "self", "unknown"] = "unknown"


class Entity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="entity", gc=False):
    """The envelope. `source_id` is the platform's immutable id within its stream; `source_key` is the one people say.

    `created_at` and `updated_at` are the platform's own times. `version` is what a safe update must quote back.
    `custom` holds fields that only this account has, by the alias the connection gives them, else by platform id.
    """

    # Moves without the content moving: left out of the digest that decides whether a record changed.
    volatile: ClassVar[tuple[str, ...]] = ("updated_at", "version", "changed_by")
    # Fields that hold local refs, one or a list of them.
    refs: ClassVar[tuple[str, ...]] = ()

    source_id: str
    source_key: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: str | None = None
    deleted_at: datetime | None = None
    deleted_how: DeletedHow | None = None
    custom: dict[str, Any] = {}
    changed_by: Actor | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file beside a ticket or comment; the bytes stay with the vendor."""

    id: str
    name: str
    type: str | None = None
    bytes: int | None = None
    url: str | None = None


class Ticket(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="ticket", gc=False):
    """A request, incident or issue, on a help desk or on a tracker alike."""

    refs: ClassVar[tuple[str, ...]] = (
        "requester",
        "submitter",
        "assignee",
        "team",
        "followers",
        "ccs",
        "account",
        "brand",
        "container",
        "parent",
        "problem",
    )

    subject: str = ""
    body_text: str = ""
    body_html: str | None = None
    language: str | None = None
    type: TicketType = "other"
    type_native: str | None = None
    status_category: StatusCategory = "unknown"
    waiting_on: WaitingOn = "none"
    status_native: str | None = None
    status_native_id: str | None = None
    resolution: Resolution | None = None
    resolution_native: str | None = None
    priority: Priority = "none"
    priority_native: str | None = None
    severity: Severity | None = None
    channel: Channel | None = None
    requester: str | None = None
    submitter: str | None = None
    assignee: str | None = None
    team: str | None = None
    followers: list[str] = []
    ccs: list[str] = []
    account: str | None = None
    brand: str | None = None
    component: str | None = None
    environment: str | None = None
    container: str | None = None
    parent: str | None = None
    problem: str | None = None
    external_id: str | None = None
    tags: list[str] = []
    due_at: datetime | None = None
    first_response_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopen_count: int | None = None
    reply_count: int | None = None
    satisfaction: str | None = None
    access: Literal["public", "company", "container", "private"] | None = None
    attachments: list[Attachment] = []


class Comment(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="comment", gc=False):
    """One entry in a ticket's conversation. `visibility` has no default: an internal note never becomes public by omission."""

    refs: ClassVar[tuple[str, ...]] = ("ticket", "author", "in_reply_to")

    ticket: str
    visibility: Visibility
    author: str | None = None
    author_kind: AuthorKind = "unknown"
    body_text: str = ""
    body_html: str | None = None
    channel: Channel | None = None
    in_reply_to: str | None = None
    edited_at: datetime | None = None
    attachments: list[Attachment] = []
    # The token that cxbridge planted when it wrote this comment, as read back from the platform.
    marker: str | None = None


class Account(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="account", gc=False):
    """A company that is, was or may become a customer."""

    refs: ClassVar[tuple[str, ...]] = ("parent", "owner_csm")

    name: str
    domains: list[str] = []
    external_id: str | None = None
    parent: str | None = None
    segment: str | None = None
    tier: str | None = None
    region: str | None = None
    language: str | None = None
    owner_csm: str | None = None
    support_plan: str | None = None
    notes: str | None = None
    tags: list[str] = []


class Contact(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="contact", gc=False):
    """A person on the customer's side. `emails` are lower-cased, the primary one first."""

    refs: ClassVar[tuple[str, ...]] = ("account",)

    name: str
    emails: list[str] = []
    phones: list[str] = []
    account: str | None = None
    external_id: str | None = None
    language: str | None = None
    timezone: str | None = None
    verified: bool | None = None
    status: Literal["active", "bounced", "left", "merged", "suspended"] = "active"
    tags: list[str] = []


class Agent(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="agent", gc=False):
    """A person or robot on our side: support, engineering, administration."""

    refs: ClassVar[tuple[str, ...]] = ("teams",)

    name: str
    email: str | None = None
    active: bool = True
    teams: list[str] = []
    roles: list[Literal["agent", "lead", "csm", "engineer", "admin", "bot"]] = []
    language: str | None = None
    timezone: str | None = None


class Feedback(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="feedback", gc=False):
    """An answer, rating or review. `score` is raw on `scale_min`…`scale_max`; `score_100` is the same from 0 to 100."""

    refs: ClassVar[tuple[str, ...]] = ("contact", "account", "ticket", "agent")

    kind: Literal["nps", "csat", "ces", "thumbs", "rating", "survey", "review", "exit", "interview", "unsolicited"]
    programme: Literal["relational", "transactional", "lifecycle", "other"] = "other"
    score: float | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    score_100: float | None = None
    band: Literal[
        "promoter",
        "passive",
        "detractor",
        "satisfied",
        "neutral",
        "dissatisfied",
        "low_effort",
        "high_effort",
        "none",
    ] = "none"
    verbatim: str | None = None
    reason: str | None = None
    contact: str | None = None
    account: str | None = None
    ticket: str | None = None
    agent: str | None = None
    channel: Channel | None = None
    submitted_at: datetime | None = None
    completed: bool | None = None


class Article(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="article", gc=False):
    """A piece of knowledge in one language."""

    refs: ClassVar[tuple[str, ...]] = ("author", "container")

    title: str
    body_text: str = ""
    body_markup: str | None = None
    markup: Literal["html", "markdown"] = "html"
    language: str | None = None
    status: Literal["draft", "in_review", "published", "unpublished", "archived", "deleted"] = "published"
    audience: Literal["internal", "partner", "customer", "public"] | None = None
    author: str | None = None
    container: str | None = None
    labels: list[str] = []
    helpful_up: int | None = None
    helpful_down: int | None = None
    edited_at: datetime | None = None


class Container(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="container", gc=False):
    """Where tickets or articles live: a project, queue, board, section or group."""

    name: str
    sort: Literal["project", "queue", "board", "section", "team", "brand"] = "project"


# The discriminator is called "entity" on the wire of our own store because Feedback has a `kind` of its own.
KINDS: dict[str, type[Entity]] = {
    "ticket": Ticket,
    "comment": Comment,
    "account": Account,
    "contact": Contact,
    "agent": Agent,
    "feedback": Feedback,
    "article": Article,
    "container": Container,
}
KIND_OF: dict[type[Entity], str] = {struct: kind for kind, struct in KINDS.items()}

AnyEntity = Ticket | Comment | Account | Contact | Agent | Feedback | Article | Container
