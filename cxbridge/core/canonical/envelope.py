"""The envelope that every entity carries, and the words that several of them share; no vendor's word may appear here.

All entities are frozen msgspec structs, built by the thousand per second. Times are UTC datetimes. A field that a platform did not
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
