"""What a help desk, a tracker or a knowledge base holds: tickets, comments, articles, containers."""

from datetime import datetime
from typing import ClassVar, Literal

from cxbridge.core.canonical.envelope import (
    Attachment,
    AuthorKind,
    Channel,
    Entity,
    Priority,
    Resolution,
    Severity,
    StatusCategory,
    TicketType,
    Visibility,
    WaitingOn,
)


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
