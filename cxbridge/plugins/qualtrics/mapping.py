"""Turns Qualtrics' records into canonical entities; no I/O, no clock.

A response knows its respondent by address only, so `respondents` holds a contact for every address that answered: what recipes read
about who said something is there with the answer, whether or not the directory was read. The directory's own contacts are in
`contacts`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import wire
from cxbridge.plugins.qualtrics.questions import Instrument
from cxbridge.plugins.qualtrics.rules import MARKER, Fields, Rules
from cxbridge.plugins.qualtrics.values import flag, full_name, language, moment, named, text

SURVEY_GAPS: Final = ("changed_by", "url")
INVITATION_GAPS: Final = ("changed_by", "url")
CONTACT_GAPS: Final = ("persona", "timezone", "tags", "last_surveyed_at", "verified", "changed_by", "title", "url")
RESPONDENT_GAPS: Final = (*CONTACT_GAPS, "unsubscribed", "consent", "phones", "language", "custom")
ACCOUNT_GAPS: Final = (
    "domains",
    "parent",
    "segment",
    "tier",
    "industry",
    "region",
    "lifecycle",
    "arr",
    "currency",
    "renewal_at",
    "owner_csm",
    "health_score",
    "nps_last",
    "tags",
)
TICKET_GAPS: Final = (
    "body_text",
    "requester",
    "container",
    "tags",
    "reply_count",
    "changed_by",
    "created_at",
    "updated_at",
)

_SORTS: Final[dict[str, Any]] = {
    "Invite": "invite",
    "Email": "invite",
    "Reminder": "reminder",
    "ThankYou": "thank_you",
    "GeneratedInvite": "link",
}


def survey(row: wire.SurveyRow, instrument: Instrument) -> cx.Survey:
    """Map a survey with what its definition says it measures."""
    return cx.Survey(
        source_id=row.id,
        created_at=moment(row.creation_date),
        updated_at=moment(row.modified),
        name=row.name or row.id,
        active=flag(row.is_active),
        kind=instrument.metric or "survey",
        score_question=instrument.question,
        verbatim_question=instrument.verbatim,
        questions=[
            cx.Answer(question=one.id, text=one.text or None, sort=sort_of(one.id, instrument))
            for one in instrument.questions
        ],
    )


def sort_of(key: str, instrument: Instrument) -> Any:
    """Say what sort of answer belongs to a key of `values`, or to a question's id."""
    asked = instrument.asked(key)
    scored = instrument.question
    if scored is not None and key in (scored, scored.partition("_")[0]) and instrument.metric is not None:
        return instrument.metric
    if key.endswith("_TEXT") or (asked is not None and asked.type == "TE"):
        return "text"
    if asked is None:
        return "other"
    return {"MC": "choice", "Matrix": "choice", "Slider": "number"}.get(asked.type, "other")


def contact(row: wire.Contact, fields: Fields) -> cx.Contact:
    """Map a contact of the directory."""
    key = contact_key(row)
    embedded = row.embedded_data or {}
    agreed = flag(named(embedded, fields.consent))
    unsubscribed = flag(row.unsubscribed)
    left = flag(row.directory_unsubscribed)
    account = text(named(embedded, fields.account))
    return cx.Contact(
        source_id=key,
        created_at=moment(row.creation_date),
        updated_at=moment(row.last_modified),
        name=full_name(row.first_name, row.last_name) or row.email or key,
        emails=[row.email.strip().lower()] if row.email and row.email.strip() else [],
        phones=[row.phone] if row.phone else [],
        account=f"accounts/{account}" if account else None,
        external_id=text(row.ext_ref),
        external_ids=[ref] if (ref := text(row.ext_ref)) else [],
        language=language(row.language),
        consent={} if agreed is None else {"follow_up": agreed},
        unsubscribed=None if unsubscribed is None and left is None else bool(unsubscribed or left),
        custom={name: said for name, value in embedded.items() if name != MARKER and (said := text(value)) is not None},
    )


def is_contact(row: wire.Contact) -> bool:
    """Say whether a row names a contact at all."""
    return bool(row.contact_id or row.id)


def contact_key(row: wire.Contact) -> str:
    """Give the directory's id of a contact."""
    return row.contact_id or row.id or ""


def account(embedded: Mapping[str, Any], fields: Fields) -> cx.Account | None:
    """Make the account that embedded data names, if it names one."""
    key = text(named(embedded, fields.account))
    if key is None:
        return None
    name = text(named(embedded, fields.account_name))
    return cx.Account(source_id=key, name=name or key, external_id=key, external_ids=[key])


def invitation(row: wire.Distribution, survey_id: str) -> cx.Invitation:
    """Map a distribution."""
    recipient = row.recipients.contact_id if row.recipients else None
    link = row.survey_link
    marker = (row.embedded_data or {}).get(MARKER)
    return cx.Invitation(
        source_id=row.id,
        created_at=moment(row.created_date),
        updated_at=moment(row.modified_date),
        survey=f"surveys/{link.survey_id if link and link.survey_id else survey_id}",
        contact=f"contacts/{recipient}" if recipient else None,
        sort=_SORTS.get(row.request_type or "", "other"),
        sent_at=moment(row.send_date),
        subject=row.headers.subject if row.headers else None,
        counts={
            name: int(count)
            for name, count in (row.stats or {}).items()
            if isinstance(count, int) and not isinstance(count, bool)
        },
        marker=marker if isinstance(marker, str) else None,
        custom={"status": row.request_status} if row.request_status else {},
    )


def ticket(row: wire.Ticket, rules: Rules) -> cx.Ticket:
    """Map a follow-up ticket; a number that nobody has named is told as it is and means nothing else."""
    about = row.follow_up_details
    refs: dict[str, Any] = {"owner": row.owner_id} if row.owner_id else {}
    if about is not None and about.survey_id and about.response_id:
        refs["response"] = f"responses/{about.survey_id}/{about.response_id}"
    return cx.Ticket(
        source_id=row.key,
        source_key=row.key,
        subject=row.name or "",
        type="task",
        status_category=rules.statuses.get(row.status, "unknown") if row.status is not None else "unknown",
        status_native=None if row.status is None else str(row.status),
        status_native_id=None if row.status is None else str(row.status),
        priority=rules.priorities.get(row.priority, "none") if row.priority is not None else "none",
        priority_native=None if row.priority is None else str(row.priority),
        channel="survey",
        custom=refs,
    )


def distinct(entities: Iterable[cx.Entity | None]) -> list[Any]:
    """Keep the last one of each key, in the order of their keys."""
    found = {one.source_id: one for one in entities if one is not None}
    return [found[key] for key in sorted(found)]


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Give the later of two times."""
    return max((when for when in (one, other) if when is not None), default=None)
