"""Reads the issues that webhooks named, as the search would show them once its index has caught up; saves nothing.

Several: developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-bulkfetch-post, up to 100 ids.
What such an answer leaves out is asked for by itself.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, wire
from cxbridge.plugins.jira.history import Histories
from cxbridge.plugins.jira.mapping import Issue, Unreadable

if TYPE_CHECKING:
    from cxbridge.plugins.jira.streams import Reading

SEVERAL = "/rest/api/3/issue/bulkfetch"
_NEWEST = 100

_identified = msgspec.json.Decoder(wire.Identified).decode


def reads(method: str, path: str) -> bool:
    """Name the requests that only read although they are posts."""
    return method == "POST" and path.endswith(SEVERAL)


def issue(reading: "Reading", client: cx.Client, key: str) -> cx.Page | None:
    """Read an issue with its people and its newest comments; None where it is not shown.

    An issue outside the connection's projects, or last changed before its `start`, is not taken: whoever knows the path of the
    webhook must not be able to widen what is read.
    """
    if not _is_id(key):
        return None
    asked = {"fields": ",".join(reading.fields()), "expand": "changelog" if reading.history else None}
    try:
        reply = client.get(f"/rest/api/3/issue/{key}", asked)
    except cx.NotFound:
        return None
    return _read(reading, client, key, reply.body, Histories(client, reading.rules))


def issues(reading: "Reading", client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
    """Ask for several issues with one request; each is read as `issue` would, with its comments."""
    ids = [key for key in keys if _is_id(key)]
    shown: dict[str, bytes] = {}
    if ids:
        asked = {"issueIdsOrKeys": ids, "fields": reading.fields(), "expand": ["changelog"] if reading.history else []}
        for raw in client.post(SEVERAL, asked).decode(wire.Fetched).issues:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                shown[str(_identified(raw).id)] = bytes(raw)
    histories = Histories(client, reading.rules)

    def one(client: cx.Client, key: str) -> cx.Page | None:
        raw = shown.get(key)
        return issue(reading, client, key) if raw is None else _read(reading, client, key, raw, histories)

    return one


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdigit()


def _read(reading: "Reading", client: cx.Client, key: str, raw: bytes, histories: Histories) -> cx.Page:
    try:
        found = mapping.read_issue(raw, reading.rules)
        if not _within(reading, found):
            return cx.Page([], cursor=None)
        told, reopened = histories.read(found) if reading.history else (found, None)
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
        raw=[raw],
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
