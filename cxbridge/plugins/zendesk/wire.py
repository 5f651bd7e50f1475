"""Zendesk's JSON as types: the fields that are read and no others; no I/O and no canonical entity here.

Field lists: developer.zendesk.com/api-reference/ticketing/tickets/tickets (ticket_metrics, ticket_comments,
satisfaction_ratings beside it), .../ticketing/users/users, .../ticketing/organizations/organizations,
.../help_center/help-center-api/articles. Any field but the id can be null in old accounts, so nearly all are optional;
what must be there is what the mapping cannot do without.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from cxbridge.core import connector as cx

# A time that names no offset could be anybody's; such a record is refused rather than guessed at.
Time = Annotated[datetime, msgspec.Meta(tz=True)]
# Seconds since 1970, up to the last second that a datetime can hold.
Epoch = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
Minutes = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Raws = list[msgspec.Raw]
T = TypeVar("T")


class Via(msgspec.Struct, gc=False):
    """Where a record came from; `channel` was a number in old recordings."""

    channel: str | int | None = None


# The event export writes a bare word where every other resource writes an object.
AnyVia = Via | str | int | None


class CustomField(msgspec.Struct, gc=False):
    """One custom field of a ticket: text, flag, number, list of tags or a date as text."""

    id: int
    value: Any = None


class RatingNote(msgspec.Struct, gc=False):
    """The rating as a ticket shows it; `id` is there once somebody rated."""

    id: int | None = None


class Span(msgspec.Struct, gc=False):
    """A duration by both clocks, in minutes."""

    calendar: Minutes | None = None


class MetricSet(msgspec.Struct, gc=False):
    """What Zendesk counts about one ticket; rides along on the ticket export under `include=metric_sets`."""

    ticket_id: int | None = None
    reopens: int | None = None
    replies: int | None = None
    solved_at: Time | None = None
    status_updated_at: Time | None = None
    reply_time_in_minutes: Span | None = None


class Ticket(msgspec.Struct, gc=False):
    """A ticket. `fields`, an exact duplicate of `custom_fields`, is left out, so that nobody pays for parsing it."""

    id: int
    status: str
    external_id: str | None = None
    via: Via | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    generated_timestamp: Epoch | None = None
    type: str | None = None
    subject: str | None = None
    description: str | None = None
    priority: str | None = None
    custom_status_id: int | None = None
    requester_id: int | None = None
    submitter_id: int | None = None
    assignee_id: int | None = None
    organization_id: int | None = None
    group_id: int | None = None
    brand_id: int | None = None
    collaborator_ids: list[int] | None = None
    follower_ids: list[int] | None = None
    email_cc_ids: list[int] | None = None
    problem_id: int | None = None
    due_at: Time | None = None
    tags: list[str] | None = None
    custom_fields: list[CustomField] | None = None
    satisfaction_rating: RatingNote | None = None
    metric_set: MetricSet | None = None


class User(msgspec.Struct, gc=False):
    """A person: `role` is `end-user`, `agent` or `admin`; `active` false means deleted."""

    id: int
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    role: str | None = None
    organization_id: int | None = None
    external_id: str | None = None
    tags: list[str] | None = None
    active: bool | None = None
    suspended: bool | None = None
    verified: bool | None = None
    locale: str | None = None
    iana_time_zone: str | None = None
    time_zone: str | None = None
    default_group_id: int | None = None
    user_fields: dict[str, Any] | None = None
    created_at: Time | None = None
    updated_at: Time | None = None


class Organization(msgspec.Struct, gc=False):
    """A customer company; `deleted_at` appears in the incremental export only."""

    id: int
    name: str
    external_id: str | None = None
    domain_names: list[str] | None = None
    details: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    organization_fields: dict[str, Any] | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    deleted_at: Time | None = None


class Group(msgspec.Struct, gc=False):
    """A team of agents."""

    id: int
    name: str
    deleted: bool | None = None
    created_at: Time | None = None
    updated_at: Time | None = None


class Attachment(msgspec.Struct, gc=False):
    """A file; `content_url` may lead off Zendesk, so credentials must never follow it."""

    id: int
    file_name: str | None = None
    content_url: str | None = None
    content_type: str | None = None
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Metadata(msgspec.Struct, gc=False):
    """What a writer attached to an update; the event export's form of it is unverified, so either place counts."""

    custom: dict[str, Any] | None = None
    cxbridge: Any = None


class Comment(msgspec.Struct, gc=False):
    """One comment, as the comment list, an audit's events or the event export show it.

    `public` has no default: a comment that does not say is refused, not guessed at.
    """

    id: int
    public: bool
    author_id: int | None = None
    body: str | None = None
    html_body: str | None = None
    plain_body: str | None = None
    attachments: list[Attachment] | None = None
    via: AnyVia = None
    metadata: Metadata | None = None
    created_at: Time | None = None


class ChildKind(msgspec.Struct, gc=False):
    """What sort of event it is: the export says `event_type`, audits `type`; later changes to a comment name its id."""

    id: Any = None
    event_type: str | None = None
    type: str | None = None
    comment_id: int | None = None


class TicketEvent(msgspec.Struct, gc=False):
    """One update of a ticket with what happened in it; the row's field list is partly unverified."""

    ticket_id: int
    child_events: Raws
    id: int | None = None
    created_at: Time | None = None
    timestamp: Epoch | None = None
    updater_id: int | None = None
    via: AnyVia = None
    metadata: Metadata | None = None


class Audit(msgspec.Struct, gc=False):
    """The trace of one update, as a write answers with it."""

    id: int
    ticket_id: int | None = None
    events: Raws = []
    metadata: Metadata | None = None
    author_id: int | None = None
    via: AnyVia = None
    created_at: Time | None = None


class Rating(msgspec.Struct, gc=False):
    """A satisfaction rating: `score` is `good`, `bad`, with `_with_comment` behind it at times, or not yet given."""

    id: int
    score: str
    ticket_id: int | None = None
    requester_id: int | None = None
    assignee_id: int | None = None
    comment: str | None = None
    reason: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None


class Translation(msgspec.Struct, gc=False):
    """An article's text in one language."""

    locale: str
    title: str | None = None
    body: str | None = None
    draft: bool | None = None
    html_url: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    created_by_id: int | None = None


class Article(msgspec.Struct, gc=False):
    """A Help Center article in its own locale, with its translations where they were asked for."""

    id: int
    title: str | None = None
    name: str | None = None
    body: str | None = None
    locale: str | None = None
    html_url: str | None = None
    author_id: int | None = None
    section_id: int | None = None
    draft: bool | None = None
    label_names: list[str] | None = None
    user_segment_id: int | None = None
    user_segment_ids: list[int] | None = None
    vote_sum: int | None = None
    vote_count: int | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    edited_at: Time | None = None
    translations: list[Translation] | None = None


class CustomStatus(msgspec.Struct, gc=False):
    """A status as this account named it."""

    id: int
    agent_label: str | None = None


class _Named(msgspec.Struct):
    id: Any = None


_decode_named = msgspec.json.Decoder(_Named).decode
# Whether a ticket has a status of the account's own; in a text of somebody's the quote would be escaped.
STATUS_ID = re.compile(rb'"custom_status_id"\s*:\s*[0-9]')
# Most records begin with their address and their id, or the other way about.
_KEY = re.compile(rb'\s*\{\s*(?:"url"\s*:\s*"[^"\\]*"\s*,\s*)?"id"\s*:\s*([1-9][0-9]*)\s*[,}]')


def read(kind: str, type_: type[T], raws: Iterable[Any], refused: list[str]) -> Iterator[tuple[T, Any]]:
    """Decode records one by one, with their bytes; what does not fit is told in `refused` and left out.

    A page is taken apart into slices first, then each slice decoded: measured at 11 µs a ticket against 9 µs for
    decoding a whole typed page, which would lose the page to one bad record and keep no bytes.
    """
    decode = msgspec.json.Decoder(type_).decode
    for raw in raws:
        try:
            row = decode(raw)
        except msgspec.DecodeError as problem:
            refused.append(refusal(kind, raw, problem))
        else:
            yield row, raw


def rows(
    kind: str,
    type_: type[T],
    raws: Raws,
    to: Callable[[T], cx.AnyEntity],
    mapping: bytes,
    also: Mapping[str, bytes] | None = None,
) -> cx.Rows:
    """Give records that are decoded and mapped one by one, those that have to be; `to` maps one."""
    decode = msgspec.json.Decoder(type_).decode

    def make(raw: cx.Row) -> cx.AnyEntity | str:
        try:
            row = decode(raw)
        except msgspec.DecodeError as problem:
            return refusal(kind, raw, problem)
        return to(row)

    return cx.Rows(raws, make, mapping, key_of, also or {})


def key_of(raw: Any) -> str | None:
    """Tell a record's key without decoding the whole of it, where that is possible."""
    found = _KEY.match(raw)
    if found is not None:
        return found[1].decode()
    try:
        id_ = _decode_named(raw).id
    except msgspec.DecodeError:
        return None
    return str(id_) if isinstance(id_, int) else None


def refusal(kind: str, raw: Any, problem: Exception) -> str:
    """Say which record does not fit and where, never with what in it."""
    try:
        id_ = _decode_named(raw).id
    except msgspec.DecodeError:
        id_ = None
    who = f"{kind} {id_}" if isinstance(id_, int) else f"a {kind} without a usable id"
    if not isinstance(problem, msgspec.ValidationError):
        return f"{who}: broken text"
    what, _, where = str(problem).partition(" - at `$.")
    return f"{who}: {where.rstrip('`')}: {what}" if where else f"{who}: {what}"
