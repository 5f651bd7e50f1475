"""The things a Zendesk account holds, as mutable rows with times in whole epoch seconds. No rules, no wire shapes."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Organization:
    id: int
    name: str
    created: int
    updated: int
    external_id: str | None = None
    domain_names: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    details: str | None = None
    notes: str | None = None
    group_id: int | None = None
    deleted: int | None = None


@dataclass(slots=True, kw_only=True)
class User:
    id: int
    name: str
    created: int
    updated: int
    email: str | None = None
    role: str = "end-user"
    organization_id: int | None = None
    external_id: str | None = None
    phone: str | None = None
    tags: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    details: str | None = None
    notes: str | None = None
    other_emails: list[str] = field(default_factory=list)
    active: bool = True
    suspended: bool = False
    verified: bool = False
    locale: str = "en-US"
    time_zone: str = "UTC"
    default_group_id: int | None = None

    @property
    def is_staff(self) -> bool:
        return self.role in ("agent", "admin")

    @property
    def label(self) -> str:
        """How the journal names this user."""
        return self.email or f"user {self.id}"


@dataclass(slots=True, kw_only=True)
class Comment:
    id: int
    audit_id: int
    author_id: int
    body: str
    public: bool
    created: int
    channel: str
    html: str | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Audit:
    """One step of a ticket's history; its events are kept in the shape of the audits endpoint."""

    id: int
    ticket_id: int
    author_id: int
    created: int
    channel: str
    custom: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Metrics:
    id: int
    reopens: int = 0
    replies: int = 0
    first_reply: int | None = None
    first_solved: int | None = None
    solved: int | None = None
    initially_assigned: int | None = None
    assigned: int | None = None
    status_updated: int | None = None
    assignee_updated: int | None = None
    requester_updated: int | None = None
    latest_comment: int | None = None


@dataclass(slots=True, kw_only=True)
class Ticket:
    id: int
    subject: str
    description: str
    requester_id: int
    submitter_id: int
    created: int
    updated: int
    metrics: Metrics
    custom_status_id: int
    brand_id: int
    ticket_form_id: int
    status: str = "new"
    generated: int = 0
    type: str | None = None
    priority: str | None = None
    assignee_id: int | None = None
    organization_id: int | None = None
    group_id: int | None = None
    external_id: str | None = None
    problem_id: int | None = None
    due_at: str | None = None
    tags: list[str] = field(default_factory=list)
    custom_fields: dict[int, Any] = field(default_factory=dict)
    collaborator_ids: list[int] = field(default_factory=list)
    follower_ids: list[int] = field(default_factory=list)
    email_cc_ids: list[int] = field(default_factory=list)
    followup_source_id: int | None = None
    followup_ids: list[int] = field(default_factory=list)
    is_public: bool = True
    channel: str = "web"
    rating: "Rating | None" = None
    deleted: int | None = None
    deleted_by: int | None = None
    comments: list[Comment] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Rating:
    id: int
    ticket_id: int
    score: str
    comment: str | None
    created: int
    updated: int


@dataclass(slots=True, kw_only=True)
class Translation:
    id: int
    locale: str
    title: str
    body: str
    draft: bool
    created: int
    updated: int
    author_id: int


@dataclass(slots=True, kw_only=True)
class Article:
    """A Help Center article; its texts live in the translations, one of which is in `source_locale`."""

    id: int
    section_id: int
    author_id: int
    source_locale: str
    created: int
    updated: int
    edited: int
    label_names: list[str] = field(default_factory=list)
    user_segment_id: int | None = None
    permission_group_id: int | None = None
    promoted: bool = False
    comments_disabled: bool = False
    translations: dict[str, Translation] = field(default_factory=dict)

    @property
    def source(self) -> Translation:
        return self.translations[self.source_locale]
