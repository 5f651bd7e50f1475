"""Turns Jira's wire types into canonical entities; pure: no I/O, no clock, nothing remembered.

Also takes what is not from v3: webhook bodies and old servers, with wiki text for documents and half of the fields
missing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import adf, wire
from cxbridge.plugins.jira.rules import Rules

# What the platform's issue cannot say; the waiting side, too, is only in status names that an override maps.
TICKET_GAPS: Final = (
    "body_html",
    "language",
    "waiting_on",
    "channel",
    "team",
    "followers",
    "ccs",
    "account",
    "brand",
    "problem",
    "external_id",
    "first_response_at",
    "closed_at",
    "reply_count",
    "satisfaction",
    "deleted_at",
)
# What is told by the changelog only.
HISTORY_GAPS: Final = ("changed_by", "reopen_count")
# Comments that are deleted just disappear; the API tells of no channel and no thread.
COMMENT_GAPS: Final = ("body_html", "channel", "in_reply_to", "attachments", "deleted_at")

_KIND: Final[Mapping[str, cx.AuthorKind]] = {"atlassian": "agent", "app": "automation", "customer": "customer"}
# An edit's changelog entry and the issue's `updated` are stamped apart by milliseconds only.
_SAME_EDIT: Final = timedelta(seconds=2)
_MARKER: Final = re.compile(r"cxb[:-]([0-9a-f]{16})")

LINK_PROPERTY: Final = "cxbridge.link"
MARKER_PROPERTY: Final = "cxbridge.marker"
# Hides a comment from the customer of a service desk; the vendor's default is to show it.
INTERNAL_PROPERTY: Final = "sd.public.comment"


# Beginnings of the decoder's sentences that name types and our own fields, never a value of the vendor's.
_VALUE_FREE: Final = ("Expected `", "Object missing required field `")


class Unreadable(ValueError):
    """A record that cannot become an entity; the text says why, without its content."""


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as decoded: its typed part, and all of its fields as plain JSON when aliases need them."""

    wire: wire.Issue
    fields: Mapping[str, cx.Json]

    @property
    def id(self) -> str:
        return str(self.wire.id)


_issue = msgspec.json.Decoder(wire.Issue).decode
_any_fields = msgspec.json.Decoder(wire.AnyFields).decode
_comment = msgspec.json.Decoder(wire.Comment).decode
_project = msgspec.json.Decoder(wire.Project).decode


def read_issue(raw: bytes | msgspec.Raw, rules: Rules) -> Issue:
    """Decode one issue.

    Raises:
        Unreadable: when it is not of the known form.
    """
    try:
        return Issue(_issue(raw), _any_fields(raw).fields if rules.fields else {})
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(misfit(error)) from None


def read_comment(raw: bytes | msgspec.Raw) -> wire.Comment:
    """Decode one comment.

    Raises:
        Unreadable: when it is not of the known form.
    """
    try:
        return _comment(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(misfit(error)) from None


def read_project(raw: bytes | msgspec.Raw) -> wire.Project:
    """Decode one project.

    Raises:
        Unreadable: when it is not of the known form.
    """
    try:
        return _project(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(misfit(error)) from None


def misfit(error: Exception) -> str:
    """Say what did not fit, naming the place and never the value."""
    told = str(error)
    if isinstance(error, msgspec.ValidationError) and told.startswith(_VALUE_FREE):
        return told.replace("`", "")
    return "it is not valid JSON" if isinstance(error, msgspec.DecodeError) else "it is not of the known form"


def ticket(issue: Issue, rules: Rules, reopened: int | None = None) -> cx.Ticket:
    """Map an issue; how often it was reopened is known to those who have read its history.

    Raises:
        Unreadable: when it has no key or no status, or a time in it is no time.
    """
    whole, fields = issue.wire, issue.wire.fields
    if not whole.key or fields.status is None:
        # Every issue has both, and they are always asked for: without them it is the answer to another question.
        raise Unreadable(f"the issue has no {'status' if whole.key else 'key'}")
    updated = moment(fields.updated)
    severity = rules.severity(plain(issue.fields.get(rules.fields["severity"]))) if "severity" in rules.fields else None
    return cx.Ticket(
        source_id=issue.id,
        source_key=whole.key,
        url=rules.url(whole.key),
        created_at=moment(fields.created),
        updated_at=updated,
        version=version(updated),
        custom={alias: plain(issue.fields.get(field)) for alias, field in rules.fields.items() if alias != "severity"},
        changed_by=_changed_by(whole.changelog, updated),
        subject=fields.summary or "",
        body_text=adf.to_text(fields.description),
        type=rules.type(fields.issuetype),
        type_native=_name(fields.issuetype),
        status_category=rules.category(fields.status),
        status_native=_name(fields.status),
        resolution=rules.resolution(fields.resolution),
        resolution_native=_name(fields.resolution),
        priority=rules.priority(fields.priority),
        priority_native=_name(fields.priority),
        severity=severity,
        requester=user_ref(fields.reporter),
        submitter=user_ref(fields.creator),
        assignee=user_ref(fields.assignee),
        component=", ".join(filter(None, (part.name for part in fields.components or ()))) or None,
        environment=adf.to_text(fields.environment) or None,
        container=_ref("projects", fields.project.id) if fields.project else None,
        parent=_ref("issues", fields.parent.id) if fields.parent else None,
        tags=tags(fields.labels),
        due_at=_day(fields.duedate),
        reopen_count=reopened,
        resolved_at=moment(fields.resolutiondate),
        # A security level hides the issue from most of those who see the project.
        access="private" if fields.security else None,
        attachments=[_attachment(file) for file in fields.attachment or ()],
    )


def comment(row: wire.Comment, issue: Issue, rules: Rules) -> cx.Comment:
    """Map a comment of that issue.

    Raises:
        Unreadable: when a time in it is no time.
    """
    created, updated = moment(row.created), moment(row.updated)
    number = str(row.id)
    page = rules.url(issue.wire.key)
    return cx.Comment(
        source_id=number,
        url=f"{page}?focusedCommentId={number}" if page else None,
        created_at=created,
        updated_at=updated or created,
        version=version(updated or created),
        changed_by=actor(row.update_author or row.author),
        ticket=f"issues/{issue.id}",
        visibility=visibility(row, issue.wire.fields.project),
        author=user_ref(row.author),
        author_kind=author_kind(row.author),
        body_text=adf.to_text(row.body),
        edited_at=updated if updated and created and updated > created else None,
        marker=marker(row.properties),
    )


def visibility(row: wire.Comment, project: wire.Project | None) -> cx.Visibility:
    """Tell who sees a comment: public only where a service desk shows it to its customer, internal on any doubt.

    The vendor says `jsdPublic: true` in projects without customers, too; there, nobody outside the site sees anything.
    """
    if row.visibility is not None:
        return "restricted"
    desk = project is not None and project.project_type_key == "service_desk"
    return "public" if desk and row.jsd_public is True else "internal"


def marker(properties: Iterable[wire.Property] | None) -> str | None:
    """Find the marker that one of our comments carries; properties are plain JSON that anybody may have written."""
    for found in properties or ():
        if found.key == MARKER_PROPERTY and isinstance(found.value, dict):
            value = found.value.get("marker")
            return value if isinstance(value, str) else None
    return None


def person(user: wire.User | None) -> cx.Agent | cx.Contact | None:
    """Map a user: a customer of a service desk is a contact, anybody else is one of us; old servers give no id."""
    if user is None or not user.account_id:
        return None
    name = user.display_name or user.account_id
    email = user.email_address.lower() if user.email_address else None
    if user.account_type == "customer":
        return cx.Contact(
            source_id=user.account_id,
            name=name,
            emails=[email] if email else [],
            timezone=user.time_zone,
            status="active" if user.active else "suspended",
        )
    return cx.Agent(
        source_id=user.account_id,
        name=name,
        email=email,
        active=user.active,
        roles=["bot"] if user.account_type == "app" else [],
        timezone=user.time_zone,
    )


def people(issues: Iterable[Issue]) -> Iterator[wire.User | None]:
    """List all that had a hand in these issues, as often as they had."""
    for issue in issues:
        fields = issue.wire.fields
        yield from (fields.reporter, fields.creator, fields.assignee)


def distinct(users: Iterable[wire.User | None]) -> list[cx.Agent | cx.Contact]:
    """Map each person once, leaving out thin copies: an entity without its `accountType` would seem to have changed."""
    found = (person(user) for user in users if user is not None and user.account_type)
    return list({one.source_id: one for one in found if one is not None}.values())


def container(project: wire.Project, rules: Rules) -> cx.Container:
    """Map a project.

    Raises:
        Unreadable: when it has no id.
    """
    if project.id is None:
        raise Unreadable("the project has no id")
    return cx.Container(
        source_id=str(project.id),
        source_key=project.key,
        url=rules.url(project.key),
        name=project.name or project.key or str(project.id),
        sort="project",
    )


def actor(user: wire.User | None) -> cx.Actor | None:
    """Tell who did something, and whether it was a person."""
    if user is None or not user.account_id:
        return None
    kind = author_kind(user)
    return cx.Actor(
        ref=user_ref(user),
        kind="automation" if kind == "automation" else "unknown" if kind == "unknown" else "person",
    )


def author_kind(user: wire.User | None) -> cx.AuthorKind:
    """Tell what sort of author a user is."""
    return _KIND.get(user.account_type or "", "unknown") if user else "unknown"


def user_ref(user: wire.User | None) -> str | None:
    """Give the local ref of a user."""
    return f"users/{user.account_id}" if user and user.account_id else None


def tags(labels: Iterable[str] | None) -> list[str]:
    """Read labels as tags, without the labels that cxbridge planted to find its own issues again."""
    return [label for label in labels or () if not _MARKER.fullmatch(label)]


def marker_label(text: str) -> str:
    """Write a marker as a label, which may hold no blank."""
    known = _MARKER.fullmatch(text)
    return f"cxb-{known[1]}" if known else "cxb-" + re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:200]


def plain(value: cx.Json) -> cx.Json:
    """Read any field's value as what people mean by it: an option's text, a user's ref, a document's words."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "doc":
        return adf.to_text(value)
    if isinstance(value.get("accountId"), str):
        return f"users/{value['accountId']}"
    if isinstance(value.get("value"), str):
        below = plain(value.get("child"))  # of a cascading select
        return f"{value['value']} > {below}" if isinstance(below, str) else value["value"]
    if isinstance(value.get("name"), str):
        return value["name"]
    return value


def moment(text: str | float | None) -> datetime | None:
    """Read a time as UTC: `2026-04-28T15:33:15.438+0200`, or an epoch in seconds or milliseconds.

    Raises:
        Unreadable: when it is no time, or has no offset.
    """
    if text is None or text == "":
        return None
    try:
        if isinstance(text, str):
            read = datetime.fromisoformat(text)
            if read.tzinfo is None:
                raise Unreadable("a time in it has no offset")
            return read.astimezone(UTC)
        # The bulk changelog does not say its unit; no issue is from before 1973 nor from after 5138.
        return datetime.fromtimestamp(text / 1000 if text > 100_000_000_000 else text, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise (error if isinstance(error, Unreadable) else Unreadable("a time in it cannot be read")) from None


def version(updated: datetime | None) -> str | None:
    """Name the version of an entity: its last change in epoch milliseconds, the same for every reader's time zone."""
    return str(millis(updated)) if updated else None


def millis(when: datetime) -> int:
    """Give a time in epoch milliseconds, as JQL reads it without regard to anybody's time zone."""
    return round(when.timestamp() * 1000)


def timeline(changelog: wire.Changelog | None, updated: datetime | None) -> list[wire.History]:
    """Give the entries of a changelog, oldest first, up to the state in which the issue was read: the history may have
    been read after the issue, and what came in between belongs to the next reading of both.

    Raises:
        Unreadable: when a time in it is no time.
    """
    if changelog is None or updated is None:
        return []
    dated = ((moment(entry.created), entry) for entry in changelog.histories)
    entries = [(when, entry) for when, entry in dated if when and when - updated <= _SAME_EDIT]
    # Ids are numbers that grow, given as texts.
    entries.sort(key=lambda pair: (pair[0], len(str(pair[1].id)), str(pair[1].id)))
    return [entry for _, entry in entries]


def _changed_by(changelog: wire.Changelog | None, updated: datetime | None) -> cx.Actor | None:
    """Tell who made the last edit. A comment moves `updated` without an entry, so that the newest entry counts only if
    it is as new as the issue.
    """
    entries = timeline(changelog, updated)
    when = moment(entries[-1].created) if entries else None
    if when is None or updated is None or updated - when > _SAME_EDIT:
        return None
    return actor(entries[-1].author)


def _attachment(file: wire.Attachment) -> cx.Attachment:
    return cx.Attachment(id=str(file.id), name=file.filename, type=file.mime_type, bytes=file.size, url=file.content)


def _day(text: str | None) -> datetime | None:
    """A day has no zone: it is read as its beginning in UTC."""
    if not text:
        return None
    try:
        return datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable("its due date cannot be read") from None


def _name(thing: wire.Named | wire.Status | wire.IssueType | None) -> str | None:
    return thing.name if thing else None


def _ref(stream: str, number: wire.Id | None) -> str | None:
    return None if number is None else f"{stream}/{number}"
