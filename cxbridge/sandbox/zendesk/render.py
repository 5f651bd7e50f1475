"""Rows as Zendesk shows them in JSON. Reads the account and changes nothing.

Field lists: developer.zendesk.com/api-reference/ticketing/tickets/tickets and its neighbours for users, organizations
and comments.
"""

import functools
import html
import re
import time
from typing import Any

from cxbridge.sandbox.zendesk.entities import (
    Audit,
    Comment,
    Organization,
    Rating,
    Ticket,
    User,
)
from cxbridge.sandbox.zendesk.state import Json, ZendeskState


@functools.lru_cache(maxsize=65536)
def iso(second: int | None) -> str | None:
    """A time as every Zendesk resource writes it: UTC, whole seconds, `Z`."""
    return None if second is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def plain(markup: str) -> str:
    """The text of a comment written as HTML."""
    text = re.sub(r"<br\s*/?>|</p>|</div>|</li>", "\n", markup)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip()


def ticket(state: ZendeskState, row: Ticket) -> Json:
    url = state.url("")
    values = [{"id": field, "value": row.custom_fields.get(field)} for field in _custom_field_ids(state)]
    requester = state.users[row.requester_id]
    source: Json = {"from": {}, "to": {}, "rel": None}
    if row.channel == "email":
        source["from"] = {"address": requester.email, "name": requester.name}
        source["to"] = {"address": "support@acme.test", "name": "Acme"}
    return {
        "url": f"{url}/tickets/{row.id}.json",
        "id": row.id,
        "external_id": row.external_id,
        "via": {"channel": row.channel, "source": source},
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
        "generated_timestamp": row.generated,
        "type": row.type,
        "subject": row.subject,
        "raw_subject": row.subject,
        "description": row.description,
        "priority": row.priority,
        "status": row.status if row.deleted is None else "deleted",
        "recipient": "support@acme.test" if row.channel == "email" else None,
        "requester_id": row.requester_id,
        "submitter_id": row.submitter_id,
        "assignee_id": row.assignee_id,
        "organization_id": row.organization_id,
        "group_id": row.group_id,
        "collaborator_ids": row.collaborator_ids,
        "follower_ids": row.follower_ids,
        "email_cc_ids": row.email_cc_ids,
        "forum_topic_id": None,
        "problem_id": row.problem_id,
        "has_incidents": bool(state.incidents.get(row.id)),
        "is_public": row.is_public,
        "due_at": row.due_at,
        "tags": row.tags,
        "custom_fields": values,
        "satisfaction_rating": _rating_of(row),
        "sharing_agreement_ids": [],
        "custom_status_id": row.custom_status_id,
        "encoded_id": f"{row.id:06X}-SBX{row.id % 10}",
        "fields": values,
        "followup_ids": row.followup_ids,
        "ticket_form_id": row.ticket_form_id,
        "brand_id": row.brand_id,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "support_type": "agent",
    }


def _custom_field_ids(state: ZendeskState) -> list[int]:
    return [ident for ident, field in state.ticket_fields.items() if field["removable"]]


def _rating_of(row: Ticket) -> Json:
    if row.rating is None:
        return {"score": "unoffered"}
    shown: Json = {"score": row.rating.score}
    if row.rating.score in ("good", "bad"):
        shown |= {"id": row.rating.id, "comment": row.rating.comment, "reason": "No reason provided", "reason_id": 0}
    return shown


def comment(state: ZendeskState, row: Comment) -> Json:
    markup = row.html if row.html is not None else _paragraphs(row.body)
    return {
        "id": row.id,
        "type": "Comment",
        "author_id": row.author_id,
        "body": row.body,
        "html_body": f'<div class="zd-comment" dir="auto">{markup}</div>',
        "plain_body": row.body,
        "public": row.public,
        "attachments": [attachment(state, row) for row in row.attachments],
        "audit_id": row.audit_id,
        "via": _via(row.channel),
        "created_at": iso(row.created),
        "metadata": {"system": {}, "custom": row.custom},
    }


def attachment(state: ZendeskState, row: Json) -> Json:
    return {**row, "content_url": f"{state.world.url('zendesk')}{row['content_url']}"}


def _paragraphs(text: str) -> str:
    blocks = [html.escape(block, quote=False).replace("\n", "<br>") for block in text.split("\n\n")]
    return "".join(f'<p dir="auto">{block}</p>' for block in blocks)


def _via(channel: str) -> Json:
    return {"channel": channel, "source": {"from": {}, "to": {}, "rel": None}}


def audit(state: ZendeskState, row: Audit) -> Json:
    comments = {c.id: c for c in state.tickets[row.ticket_id].comments if c.audit_id == row.id}
    return {
        "id": row.id,
        "ticket_id": row.ticket_id,
        "created_at": iso(row.created),
        "author_id": row.author_id,
        "metadata": {"system": {}, "custom": row.custom},
        "events": [_event(state, event, comments) for event in row.events],
        "via": _via(row.channel),
    }


def _event(state: ZendeskState, event: Json, comments: dict[int, Comment]) -> Json:
    if event["type"] != "Comment":
        return event
    shown = comment(state, comments[event["id"]])
    return {name: value for name, value in shown.items() if name not in ("created_at", "metadata", "via")}


def ticket_event(state: ZendeskState, row: Audit, *, comment_events: bool) -> Json:
    """A row of the ticket event export; the field list is partly unverified."""
    comments = {c.id: c for c in state.tickets[row.ticket_id].comments if c.audit_id == row.id}
    children: list[Json] = []
    for event in row.events:
        if event["type"] == "Comment":
            said = comments[event["id"]]
            child = {"id": said.id, "event_type": "Comment", "via": row.channel}
            if comment_events:
                child |= {
                    name: v for name, v in comment(state, said).items() if name not in ("type", "metadata", "via")
                }
            else:
                child |= {"comment_present": True, "comment_public": said.public}
        else:
            child = {"id": event["id"], "event_type": event["type"], "via": row.channel}
            field = event["field_name"]
            shown = {"custom_ticket_fields": {field: event["value"]}} if field.isdigit() else {field: event["value"]}
            child |= shown
            if "previous_value" in event:
                child["previous_value"] = event["previous_value"]
        children.append(child)
    return {
        "id": row.id,
        "ticket_id": row.ticket_id,
        "timestamp": row.created,
        "created_at": iso(row.created),
        "updater_id": row.author_id,
        "via": row.channel,
        "event_type": "Audit",
        "child_events": children,
    }


def metrics(state: ZendeskState, row: Ticket) -> Json:
    facts = row.metrics

    def minutes(end: int | None) -> Json:
        # Business hours equal calendar hours in an account without a schedule.
        spent = None if end is None else max(0, end - row.created) // 60
        return {"calendar": spent, "business": spent}

    return {
        "id": facts.id,
        "url": state.url(f"/ticket_metrics/{facts.id}.json"),
        "ticket_id": row.id,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
        "group_stations": 1 if row.group_id else 0,
        "assignee_stations": 1 if row.assignee_id else 0,
        "reopens": facts.reopens,
        "replies": facts.replies,
        "assignee_updated_at": iso(facts.assignee_updated),
        "requester_updated_at": iso(facts.requester_updated),
        "status_updated_at": iso(facts.status_updated),
        "initially_assigned_at": iso(facts.initially_assigned),
        "assigned_at": iso(facts.assigned),
        "solved_at": iso(facts.solved),
        "latest_comment_added_at": iso(facts.latest_comment),
        "reply_time_in_minutes": minutes(facts.first_reply),
        "first_resolution_time_in_minutes": minutes(facts.first_solved),
        "full_resolution_time_in_minutes": minutes(facts.solved),
        "agent_wait_time_in_minutes": minutes(None),
        "requester_wait_time_in_minutes": minutes(facts.solved),
        "on_hold_time_in_minutes": {"calendar": 0, "business": 0},
    }


def user(state: ZendeskState, row: User) -> Json:
    return {
        "id": row.id,
        "url": state.url(f"/users/{row.id}.json"),
        "name": row.name,
        "email": row.email if row.active else None,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
        "time_zone": row.time_zone,
        "iana_time_zone": "Etc/UTC" if row.time_zone == "UTC" else row.time_zone,
        "phone": row.phone,
        "shared_phone_number": None,
        "photo": None,
        "locale_id": 1,
        "locale": row.locale,
        "organization_id": row.organization_id,
        "role": row.role,
        "verified": row.verified,
        "external_id": row.external_id,
        "tags": row.tags,
        "alias": None,
        "active": row.active,
        "shared": False,
        "shared_agent": False,
        "last_login_at": None,
        "two_factor_auth_enabled": None,
        "signature": None,
        "details": row.details,
        "notes": row.notes,
        "role_type": None,
        "custom_role_id": None,
        "moderator": row.is_staff,
        "ticket_restriction": None if row.is_staff else "requested",
        "only_private_comments": False,
        "restricted_agent": not row.is_staff,
        "suspended": row.suspended,
        "default_group_id": row.default_group_id,
        "report_csv": False,
        "user_fields": row.fields,
    }


def identities(state: ZendeskState, row: User) -> list[Json]:
    addresses = ([row.email] if row.email else []) + row.other_emails
    return [
        {
            "id": row.id + 1 + place,
            "url": state.url(f"/users/{row.id}/identities/{row.id + 1 + place}.json"),
            "user_id": row.id,
            "type": "email",
            "value": address,
            "verified": row.verified,
            "primary": place == 0,
            "created_at": iso(row.created),
            "updated_at": iso(row.updated),
        }
        for place, address in enumerate(addresses)
    ]


def organization(state: ZendeskState, row: Organization, *, deleted_at: bool = False) -> Json:
    shown: Json = {
        "id": row.id,
        "url": state.url(f"/organizations/{row.id}.json"),
        "name": row.name,
        "external_id": row.external_id,
        "domain_names": row.domain_names,
        "details": row.details,
        "notes": row.notes,
        "group_id": row.group_id,
        "shared_tickets": False,
        "shared_comments": False,
        "tags": row.tags,
        "organization_fields": row.fields,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
    }
    if deleted_at:
        shown["deleted_at"] = iso(row.deleted)
    return shown


def rating(state: ZendeskState, row: Rating) -> Json:
    rated = state.tickets[row.ticket_id]
    return {
        "id": row.id,
        "url": state.url(f"/satisfaction_ratings/{row.id}.json"),
        "ticket_id": row.ticket_id,
        "requester_id": rated.requester_id,
        "assignee_id": rated.assignee_id,
        "group_id": rated.group_id,
        "score": row.score,
        "comment": row.comment,
        "reason": "No reason provided",
        "reason_id": 0,
        "reason_code": 0,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
    }


def survey_response(state: ZendeskState, row: Rating) -> Json:
    """A rating as the current surveys report it; the field list is assembled from consumers, hence unverified."""
    good = row.score == "good"
    answers: list[Json] = [
        {
            "type": "rating_scale",
            "rating": 5 if good else 1,
            "rating_category": "good" if good else "bad",
            "question": {"sub_type": "customer_satisfaction", "alias": "csat"},
            "created_at": iso(row.created),
        }
    ]
    if row.comment:
        answers.append({"type": "open_ended", "value": row.comment, "created_at": iso(row.created)})
    return {
        "id": f"01SBX{row.id}",
        "subjects": [{"type": "ticket", "id": row.ticket_id, "zrn": f"zen:ticket:{row.ticket_id}"}],
        "responder_id": state.tickets[row.ticket_id].requester_id,
        "answers": answers,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
    }


def reference(state: ZendeskState, kind: str, row: Json) -> Json:
    """A group, brand, custom status, field, section or category: stored nearly as shown."""
    dates: dict[str, Any] = {name: iso(row[name]) for name in ("created_at", "updated_at")}
    return {**row, **dates, "url": state.url(f"/{kind}/{row['id']}.json")}
