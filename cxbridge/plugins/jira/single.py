"""Reads the one issue that a webhook named, as the search would show it once its index has caught up; saves nothing."""

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, wire
from cxbridge.plugins.jira.history import Histories
from cxbridge.plugins.jira.mapping import Issue, Unreadable

if TYPE_CHECKING:
    from cxbridge.plugins.jira.streams import Reading

_NEWEST = 100


def issue(reading: "Reading", client: cx.Client, key: str) -> cx.Page | None:
    """Read an issue with its people and its newest comments; None where it is not shown.

    An issue outside the connection's projects, or last changed before its `start`, is not taken: whoever knows the path of the
    webhook must not be able to widen what is read.
    """
    if not (key.isascii() and key.isdigit()):
        return None
    asked = {"fields": ",".join(reading.fields()), "expand": "changelog" if reading.history else None}
    try:
        reply = client.get(f"/rest/api/3/issue/{key}", asked)
    except cx.NotFound:
        return None
    try:
        found = mapping.read_issue(reply.body, reading.rules)
        if not _within(reading, found):
            return cx.Page([], cursor=None)
        told, reopened = Histories(client, reading.rules).read(found) if reading.history else (found, None)
        ticket = mapping.ticket(told, reading.rules, reopened)
    except Unreadable as error:
        return cx.Page([], cursor=None, refused=[f"issue {key}: {error}"])
    refused: list[str] = []
    comments, authors = _comments(reading, client, found, refused)
    people = mapping.distinct([*mapping.people([found]), *authors])
    return cx.Page(
        [ticket],
        cursor=None,
        beside={name: entities for name, entities in (("users", people), ("comments", comments)) if entities},
        raw=[reply.body],
        refused=refused,
    )


def _within(reading: "Reading", found: Issue) -> bool:
    project, updated = found.wire.fields.project, mapping.moment(found.wire.fields.updated)
    if project is None or project.key not in reading.rules.projects:
        return False
    return reading.start is None or updated is None or updated >= datetime.combine(reading.start, time(), UTC)


def _comments(
    reading: "Reading", client: cx.Client, found: Issue, refused: list[str]
) -> tuple[list[cx.Comment], list[wire.User | None]]:
    comments: list[cx.Comment] = []
    authors: list[wire.User | None] = []
    try:
        asked = {"maxResults": _NEWEST, "orderBy": "-created"}
        page = client.get(f"/rest/api/3/issue/{found.id}/comment", asked).decode(wire.Comments)
    except cx.NotFound:
        return comments, authors
    # The newest are asked for, and told in the order in which they were said: in that order they are carried over.
    for source in reversed(page.comments):
        try:
            row = mapping.read_comment(source)
            comments.append(mapping.comment(row, found, reading.rules))
            authors += (row.author, row.update_author)
        except Unreadable as error:
            refused.append(f"a comment of issue {found.id}: {error}")
    return comments, authors
