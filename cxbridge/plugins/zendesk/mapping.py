"""Zendesk's records as canonical entities; pure: no request, no clock, and no record that makes it raise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Literal

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import values, wire
from cxbridge.plugins.zendesk.values import (
    AUTOMATIC,
    EPOCH,
    PRIORITY,
    STATUS,
    TYPE,
    UNKNOWN,
    channel_of,
    later,
    moment,
    ref,
    stamp,
    text_of,
    utc,
    word_of,
)

# The key under `metadata` that carries our marker; it comes back as `metadata.custom.cxbridge`.
MARKER_KEY = "cxbridge"
# Zendesk's id for itself, as author or updater.
SYSTEM_ID = -1
_NO_METRICS = wire.MetricSet()


@dataclass(frozen=True, slots=True)
class Shape:
    """What this account calls things: where agents work, which custom fields have aliases, its statuses' labels."""

    site: str
    fields: Mapping[str, int] = field(default_factory=dict)
    tier_field: str = "tier"
    labels: Mapping[int, str] = field(default_factory=dict)

    def aliases(self) -> dict[int, str]:
        """Custom field ids with the alias that recipes know them by."""
        return {id_: alias for alias, id_ in self.fields.items()}


# All that makes these entities what they are, beside the records and the settings.
_CODE = cx.code_of(__name__, wire.__name__, values.__name__)
OF_PEOPLE = cx.mapping_of(_CODE)


def of_shape(shape: Shape) -> bytes:
    """Stand for the mapping of what is mapped by the account's own words, its statuses' labels aside."""
    return cx.mapping_of(_CODE, shape.site, dict(shape.fields), shape.tier_field)


def of_tickets(shape: Shape) -> bytes:
    """Stand for the mapping of tickets."""
    return cx.mapping_of(of_shape(shape), {str(id_): label for id_, label in shape.labels.items()})


class _Names(dict[int, str]):
    """Names by id; one that is not there yet is the id written out."""

    def __missing__(self, id_: int) -> str:
        name = self[id_] = str(id_)
        return name


class TicketMapping:
    """Maps tickets of one account; made once per pull so that the tables are looked up, not built, per ticket."""

    def __init__(self, shape: Shape) -> None:
        self._prefix = f"{shape.site}/agent/tickets/"
        # Under which name each custom field goes; filled up as fields are met, so that no id is written out twice.
        self._names = _Names(shape.aliases())
        # An alias is always there, null when empty, so that a recipe may ask for it on every ticket.
        self._blank: dict[str, Any] = dict.fromkeys(shape.fields)
        self._labels = shape.labels

    def __call__(self, row: wire.Ticket, metrics: wire.MetricSet | None = None) -> cx.Ticket:
        """Map one ticket; `metrics` are its own where they did not come inside it.

        Refs are written here and not by `ref`: tickets are what there is most of, and a dozen calls for each are felt.
        """
        id_ = str(row.id)
        status = row.status
        category, waiting_on = STATUS.get(status, UNKNOWN)
        updated = row.updated_at
        if updated is not None and updated.tzinfo is not UTC:
            updated = utc(updated)
        deleted_at = None
        if status == "deleted":
            # `updated_at` moves with ticket events only; the export's own stamp also moves when a ticket goes.
            deleted_at = moment(row.generated_timestamp) or updated or EPOCH
        custom_status = row.custom_status_id
        facts = row.metric_set or metrics or _NO_METRICS
        rating = row.satisfaction_rating
        requester, submitter, assignee = row.requester_id, row.submitter_id, row.assignee_id
        team, account, brand, problem = row.group_id, row.organization_id, row.brand_id, row.problem_id
        # Accounts without the newer e-mail features know collaborators only, and those are copied in.
        followers, ccs = row.follower_ids, row.collaborator_ids if row.email_cc_ids is None else row.email_cc_ids
        type_, priority = row.type, row.priority
        return cx.Ticket(
            source_id=id_,
            source_key=id_,
            url=self._prefix + id_,
            created_at=utc(row.created_at),
            updated_at=updated,
            version=stamp(updated),
            deleted_at=deleted_at,
            deleted_how=None if deleted_at is None else "reported",
            custom=self._custom(row.custom_fields),
            subject=row.subject or "",
            body_text=row.description or "",
            type=TYPE.get(type_, "other") if type_ else "other",
            type_native=type_,
            status_category=category,
            waiting_on=waiting_on,
            status_native=self._labels.get(custom_status, status) if custom_status is not None else status,
            status_native_id=None if custom_status is None else str(custom_status),
            priority=PRIORITY.get(priority, "none") if priority else "none",
            priority_native=priority,
            channel=channel_of(row.via),
            requester=None if requester is None else f"users/{requester}",
            submitter=None if submitter is None else f"users/{submitter}",
            assignee=None if assignee is None else f"users/{assignee}",
            team=None if team is None else f"groups/{team}",
            followers=[f"users/{one}" for one in followers] if followers else [],
            ccs=[f"users/{one}" for one in ccs] if ccs else [],
            account=None if account is None else f"organizations/{account}",
            brand=None if brand is None else f"brands/{brand}",
            problem=None if problem is None else f"tickets/{problem}",
            external_id=row.external_id or None,
            # Zendesk keeps them as a set; in one order, so that an order that means nothing is no change.
            tags=sorted(row.tags) if row.tags else [],
            due_at=utc(row.due_at),
            first_response_at=later(row.created_at, facts.reply_time_in_minutes),
            # Zendesk keeps the time of an earlier solve after a ticket was reopened; then it is resolved no more.
            resolved_at=utc(facts.solved_at) if category in ("resolved", "closed") else None,
            closed_at=utc(facts.status_updated_at) if category == "closed" else None,
            reopen_count=facts.reopens,
            reply_count=facts.replies,
            satisfaction=None if rating is None or rating.id is None else f"satisfaction_ratings/{rating.id}",
        )

    def _custom(self, values: list[wire.CustomField] | None) -> dict[str, Any]:
        names = self._names
        filled = {names[one.id]: value for one in values or () if (value := one.value) is not None}
        return self._blank | filled if self._blank else filled


def to_person(row: wire.User) -> cx.Contact | cx.Agent:
    """Map a user: staff are agents, everybody else is a contact; an inactive user is a deleted one."""
    updated = utc(row.updated_at)
    envelope: dict[str, Any] = {
        "source_id": str(row.id),
        "created_at": utc(row.created_at),
        "updated_at": updated,
        "version": stamp(updated),
        "custom": _filled(row.user_fields),
        "name": row.name or "",
        "language": row.locale,
        "timezone": row.iana_time_zone or row.time_zone,
    }
    if row.active is False:
        envelope |= {"deleted_at": updated or utc(row.created_at) or EPOCH, "deleted_how": "reported"}
    if row.role in ("agent", "admin"):
        role: Literal["agent", "admin"] = "admin" if row.role == "admin" else "agent"
        return cx.Agent(
            email=row.email.lower() if row.email else None,
            active=row.active is not False and not row.suspended,
            # Only the default group rides along on a user; the others are behind a list of their own.
            teams=[] if row.default_group_id is None else [f"groups/{row.default_group_id}"],
            roles=[role],
            **envelope,
        )
    status: Literal["active", "left", "suspended"] = "active"
    if row.active is False:
        status = "left"
    elif row.suspended:
        status = "suspended"
    return cx.Contact(
        emails=[row.email.lower()] if row.email else [],
        phones=[row.phone] if row.phone else [],
        account=ref("organizations", row.organization_id),
        external_id=row.external_id or None,
        verified=row.verified,
        status=status,
        tags=row.tags or [],
        **envelope,
    )


def to_account(row: wire.Organization, shape: Shape) -> cx.Account:
    """Map an organization; the field that the connection names as tier fills `tier` and stays in `custom`."""
    updated = utc(row.updated_at)
    fields = _filled(row.organization_fields)
    tier = fields.get(shape.tier_field)
    deleted = utc(row.deleted_at)
    return cx.Account(
        source_id=str(row.id),
        source_key=row.name,
        url=f"{shape.site}/agent/organizations/{row.id}",
        created_at=utc(row.created_at),
        updated_at=updated,
        version=stamp(updated),
        deleted_at=deleted,
        deleted_how=None if deleted is None else "reported",
        custom=fields,
        name=row.name,
        domains=[domain.lower() for domain in row.domain_names or ()],
        external_id=row.external_id or None,
        tier=None if tier is None else str(tier),
        notes=row.notes or row.details or None,
        tags=row.tags or [],
    )


def to_team(row: wire.Group, shape: Shape) -> cx.Container:
    """Map a group of agents."""
    updated = utc(row.updated_at)
    return cx.Container(
        source_id=str(row.id),
        source_key=row.name,
        url=f"{shape.site}/admin/people/team/groups",
        created_at=utc(row.created_at),
        updated_at=updated,
        version=stamp(updated),
        deleted_at=(updated or EPOCH) if row.deleted else None,
        deleted_how="reported" if row.deleted else None,
        name=row.name,
        sort="team",
    )


def to_comment(row: wire.Comment, ticket: int, shape: Shape, event: wire.TicketEvent | None = None) -> cx.Comment:
    """Map a comment; what it does not say of itself is taken from the event that carried it."""
    author = row.author_id if row.author_id is not None or event is None else event.updater_id
    via = row.via
    if channel_of(via) is None and event is not None:
        via = event.via
    created = utc(row.created_at)
    if created is None and event is not None:
        created = utc(event.created_at) or moment(event.timestamp)
    metadata = row.metadata if row.metadata is not None or event is None else event.metadata
    return cx.Comment(
        source_id=str(row.id),
        url=f"{shape.site}/agent/tickets/{ticket}",
        created_at=created,
        # Comments do not change but for redaction and being made private, and Zendesk keeps no time of either.
        updated_at=created,
        ticket=f"tickets/{ticket}",
        visibility="public" if row.public else "internal",
        author=None if author is None or author == SYSTEM_ID else f"users/{author}",
        author_kind=author_kind(author, via, public=row.public),
        body_text=row.plain_body or row.body or "",
        body_html=row.html_body,
        channel=channel_of(via),
        attachments=[
            cx.Attachment(
                id=str(one.id), name=one.file_name or "", type=one.content_type, bytes=one.size, url=one.content_url
            )
            for one in row.attachments or ()
        ],
        marker=marker_in(metadata),
    )


def author_kind(author: int | None, via: wire.AnyVia, *, public: bool) -> cx.AuthorKind:
    """Tell what sort of author it is, as far as a comment shows without reading the user."""
    if author == SYSTEM_ID:
        return "system"
    if word_of(via) in AUTOMATIC:
        return "automation"
    # Only staff can write internal notes. A public one may be anybody's.
    return "unknown" if public else "agent"


def to_feedback(row: wire.Rating) -> cx.Feedback:
    """Map a satisfaction rating: bad is 0, good is 1, not yet given is no score."""
    updated = utc(row.updated_at)
    word = row.score.removesuffix("_with_comment")
    score = {"good": 1.0, "bad": 0.0}.get(word)
    band: Literal["satisfied", "dissatisfied", "none"] = "none"
    if score is not None:
        band = "satisfied" if score else "dissatisfied"
    return cx.Feedback(
        source_id=str(row.id),
        created_at=utc(row.created_at),
        updated_at=updated,
        version=stamp(updated),
        kind="csat",
        programme="transactional",
        score=score,
        scale_min=0.0,
        scale_max=1.0,
        score_100=None if score is None else 100 * score,
        band=band,
        verbatim=row.comment or None,
        reason=row.reason or None,
        contact=ref("users", row.requester_id),
        ticket=ref("tickets", row.ticket_id),
        agent=ref("users", row.assignee_id),
        submitted_at=None if score is None else updated,
        completed=score is not None,
    )


def to_articles(row: wire.Article) -> list[cx.Article]:
    """Map an article: one record in its own language under its id, and one per translation under `id:locale`."""
    updated = utc(row.updated_at)
    segments = [one for one in (row.user_segment_id, *(row.user_segment_ids or ())) if one is not None]
    shared: dict[str, Any] = {
        "author": ref("users", row.author_id),
        "container": ref("sections", row.section_id),
        # No segment means everybody; which people a segment means, only the segment knows.
        "audience": None if segments else "public",
        "labels": row.label_names or [],
    }
    votes, balance = row.vote_count, row.vote_sum
    first = cx.Article(
        source_id=str(row.id),
        url=row.html_url,
        created_at=utc(row.created_at),
        updated_at=updated,
        version=stamp(updated),
        title=row.title or row.name or "",
        body_text=text_of(row.body),
        body_markup=row.body,
        language=row.locale,
        status="draft" if row.draft else "published",
        helpful_up=None if votes is None or balance is None else (votes + balance) // 2,
        helpful_down=None if votes is None or balance is None else (votes - balance) // 2,
        edited_at=utc(row.edited_at),
        **shared,
    )
    others = [
        cx.Article(
            source_id=f"{row.id}:{one.locale}",
            source_key=str(row.id),
            url=one.html_url,
            created_at=utc(one.created_at),
            updated_at=utc(one.updated_at),
            version=stamp(utc(one.updated_at)),
            title=one.title or "",
            body_text=text_of(one.body),
            body_markup=one.body,
            language=one.locale,
            status="draft" if one.draft else "published",
            **shared,
        )
        for one in row.translations or ()
        if one.locale != row.locale
    ]
    return [first, *others]


def marker_in(metadata: wire.Metadata | None) -> str | None:
    """Find our marker in what a writer attached to an update."""
    if metadata is None:
        return None
    found = (metadata.custom or {}).get(MARKER_KEY, metadata.cxbridge)
    return found if isinstance(found, str) else None


def _filled(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if fields is None else {name: value for name, value in fields.items() if value is not None}
