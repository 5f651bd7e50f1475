"""Reads issues, comments, people and projects page by page, oldest change first; it stores and decides nothing.

`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/`. The search asks an index that shows a
change seconds to minutes late. Its rows may be newer than their place in it, and its page tokens may stand for offsets
into rows that move (neither is documented). Hence:

- The next page is asked for by a query of its own, from the last time seen on, so that nothing slips through between
  two pages. Only a time older than the overlap is trusted for that: younger rows may be out of place.
- A token is followed where a page brings no later time, as among thousands of issues stamped alike by a bulk change.
  Only there could a row move past us, when another one is edited in the very moment in which they are read.
- A run leaves a lower bound for the next one that lies by the overlap behind all it saw and behind the vendor's clock
  at its first reply, so that the young rows are read once more. An unchanged record is not stored again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import mapping, single, wire
from cxbridge.plugins.jira.history import Histories
from cxbridge.plugins.jira.listing import beans
from cxbridge.plugins.jira.mapping import Issue, Unreadable
from cxbridge.plugins.jira.rules import Rules

SEARCH: Final = "/rest/api/3/search/jql"
# The usual cap for searches with real fields; the server may send fewer.
_PAGE: Final = 100
# An index that lags longer than this has failed; without a bound, the last change would be read again for ever.
_PATIENCE_MS: Final = 3_600_000
# Permission filters can empty a page; that many in a row are a fault of the vendor's.
_EMPTY_PAGES: Final = 50

ISSUE_FIELDS: Final = (
    "summary",
    "description",
    "environment",
    "issuetype",
    "status",
    "priority",
    "resolution",
    "project",
    "reporter",
    "creator",
    "assignee",
    "labels",
    "components",
    "parent",
    "attachment",
    "security",
    "created",
    "updated",
    "resolutiondate",
    "duedate",
)
_COMMENT_FIELDS: Final = ("updated", "project", "comment")


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cursor. `since` bounds the run, in epoch milliseconds; the rest is there only in the middle of a run.

    `at` is the time the next page begins with, `token` its place among issues of that time; `seen` and `began` are
    the newest change and the vendor's clock of this run. `scope` says what was asked for, since more of it means to
    begin anew.
    """

    since: int | None = None
    scope: tuple[str, ...] = ()
    at: int | None = None
    token: str | None = None
    seen: int | None = None
    began: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a connection reads of its issues: bounded by projects and `start`; `overlap` is in milliseconds."""

    rules: Rules
    overlap: int
    start: date | None = None
    history: bool = False

    def fields(self) -> tuple[str, ...]:
        """Name the fields to ask for: the search gives nothing but ids unasked."""
        return (*ISSUE_FIELDS, *sorted(set(self.rules.fields.values()) - set(ISSUE_FIELDS)))


@dataclass(frozen=True, slots=True)
class _Found:
    issues: list[Issue]
    raw: list[bytes]
    refused: list[str]
    position: Position


def streams(reading: Reading) -> list[cx.Stream]:
    """List the streams of a connection."""
    gaps = mapping.TICKET_GAPS if reading.history else (*mapping.TICKET_GAPS, *mapping.HISTORY_GAPS)
    return [
        cx.Stream(
            "issues",
            (cx.Ticket,),
            pages=partial(_issues, reading),
            gaps=gaps,
            one=partial(single.issue, reading),
            several=partial(single.issues, reading),
        ),
        cx.Stream("comments", (cx.Comment,), pages=partial(_comments, reading), gaps=mapping.COMMENT_GAPS),
        cx.Stream("users", (cx.Agent, cx.Contact), filled_by="issues", gaps=("teams", "account", "phones", "language")),
        cx.Stream(
            "projects",
            (cx.Container,),
            pages=partial(_projects, reading.rules),
            order="scan",
            gaps=("created_at", "updated_at"),
            every=3600.0,
        ),
    ]


def _issues(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    histories = Histories(client, reading.rules) if reading.history else None
    for found in _walk(reading, client, cursor, reading.fields(), "changelog" if histories else None):
        tickets, raw, refused = [], [], list(found.refused)
        for issue, source in zip(found.issues, found.raw, strict=True):
            try:
                told, reopened = histories.read(issue) if histories else (issue, None)
                tickets.append(mapping.ticket(told, reading.rules, reopened))
                raw.append(source)
            except Unreadable as error:
                refused.append(f"issue {issue.id}: {error}")
        yield cx.Page(
            tickets,
            cursor=msgspec.to_builtins(found.position),
            beside={"users": mapping.distinct(mapping.people(found.issues))},
            raw=raw,
            refused=refused,
        )


def _comments(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the comments of changed issues. A comment moves its issue's `updated`, so none is missed; all of an issue
    are read, since an edit keeps its place in the list.
    """
    behind = cursor
    for found in _walk(reading, client, cursor, _COMMENT_FIELDS, None):
        rows: list[tuple[Issue, msgspec.Raw]] = []
        for issue in found.issues:
            held = issue.wire.fields.comment
            if held is None:
                continue
            if held.total is not None and held.total > len(held.comments):
                # The list inside a search may be cut short (at 20, unverified): such an issue is read page by page,
                # and its pages move the cursor no further than before the search page they belong to.
                for more in _listed(client, issue):
                    yield _comment_page(reading.rules, [(issue, row) for row in more], behind, [])
            else:
                rows += [(issue, row) for row in held.comments]
        behind = msgspec.to_builtins(found.position)
        yield _comment_page(reading.rules, rows, behind, found.refused)


def _comment_page(
    rules: Rules, rows: Sequence[tuple[Issue, msgspec.Raw]], cursor: cx.Json, refused: Sequence[str]
) -> cx.Page:
    comments: list[cx.Comment] = []
    raw: list[bytes] = []
    authors: list[wire.User | None] = []
    problems = list(refused)
    for issue, source in rows:
        try:
            row = mapping.read_comment(source)
            comments.append(mapping.comment(row, issue, rules))
            raw.append(bytes(source))
            authors += (row.author, row.update_author)
        except Unreadable as error:
            problems.append(f"a comment of issue {issue.id}: {error}")
    return cx.Page(comments, cursor=cursor, beside={"users": mapping.distinct(authors)}, raw=raw, refused=problems)


def _listed(client: cx.Client, issue: Issue) -> Iterator[list[msgspec.Raw]]:
    """Page through all comments of an issue; one that is gone meanwhile has none.

    Raises:
        WireFormat: when a page comes again instead of the next one.
    """
    start, first = 0, b""
    while True:
        asked = {"startAt": start, "maxResults": _PAGE, "orderBy": "created"}
        try:
            page = client.get(f"/rest/api/3/issue/{issue.id}/comment", asked).decode(wire.Comments)
        except cx.NotFound:
            return
        begins = bytes(page.comments[0]) if page.comments else b""
        if start and page.comments and begins == first:
            raise cx.WireFormat("the comments of an issue go in circles", operation=f"GET comments of issue {issue.id}")
        first = begins
        if page.comments:
            yield page.comments
        # The server may have lowered the page size: go on by what came.
        start += len(page.comments)
        if not page.comments or (page.total is not None and start >= page.total):
            return


def _walk(
    reading: Reading, client: cx.Client, cursor: cx.Json, fields: tuple[str, ...], expand: str | None
) -> Iterator[_Found]:
    """Follow the search from a cursor to its end, page by page."""
    scope = _scope(reading, fields, expand)
    here = _resumed(cursor, scope, reading.start)
    tokens: set[str] = set()
    empty = 0
    while True:
        reply, here = _ask(reading, client, here, fields, expand)
        page = reply.decode(wire.SearchPage)
        found = _read(page, reading.rules, here)
        clock = mapping.millis(reply.server_time or client.server_now())
        times = [mapping.millis(when) for issue in found.issues if (when := _updated(issue))]
        here = msgspec.structs.replace(
            here,
            began=clock if here.began is None else here.began,
            seen=max(times + ([here.seen] if here.seen is not None else []), default=None),
        )
        # Both are said to tell the end, and clients that believed only one of them have looped.
        token = None if page.is_last else page.next_page_token
        if token is None:
            yield _Found(found.issues, found.raw, found.refused, _ended(here, reading.overlap))
            return
        settled = max((time for time in times if time <= clock - reading.overlap), default=None)
        if settled is not None and (here.at is None or settled > here.at):
            here = msgspec.structs.replace(here, at=settled, token=None)
            tokens.clear()
        else:
            empty = 0 if page.issues else empty + 1
            if token in tokens or empty > _EMPTY_PAGES:
                raise cx.WireFormat("the pages of the search go in circles", operation=f"GET {SEARCH}")
            tokens.add(token)
            here = msgspec.structs.replace(here, token=token)
        yield _Found(found.issues, found.raw, found.refused, here)


def _scope(reading: Reading, fields: Sequence[str], expand: str | None) -> tuple[str, ...]:
    since = [f"start={reading.start.isoformat()}"] if reading.start else []
    also = [f"expand={expand}"] if expand else []
    return (*(f"project={key}" for key in sorted(reading.rules.projects)), *sorted(fields), *since, *also)


def _resumed(cursor: cx.Json, scope: tuple[str, ...], start: date | None) -> Position:
    """Take up a cursor. One made for fewer projects or fields has not seen all that is wanted now: it begins anew."""
    first = None if start is None else mapping.millis(datetime.combine(start, time(), UTC))
    try:
        held = msgspec.convert(cursor, Position) if cursor is not None else None
    except msgspec.ValidationError:
        held = None
    if held is None or set(scope) - set(held.scope):
        return Position(since=first, at=first, scope=scope)
    if held.began is None:
        return Position(since=held.since, at=held.since, scope=scope)
    return msgspec.structs.replace(held, scope=scope)


def _ask(
    reading: Reading, client: cx.Client, here: Position, fields: tuple[str, ...], expand: str | None
) -> tuple[cx.Reply, Position]:
    params = {
        "jql": _jql(reading.rules.projects, here.at),
        "fields": ",".join(fields),
        "expand": expand,
        "maxResults": _PAGE,
        "nextPageToken": here.token,
    }
    try:
        return client.get(SEARCH, params), here
    except cx.Rejected:
        if here.token is None:
            raise
        # A token lives seven days and belongs to one query: without it, the issues of its time are read again.
        here = msgspec.structs.replace(here, token=None)
        return client.get(SEARCH, {**params, "nextPageToken": None}), here


def _jql(projects: Sequence[str], at: int | None) -> str:
    """Write the query. A bare number is epoch milliseconds; a quoted time is read in the token owner's time zone."""
    within = ",".join(f'"{key}"' for key in projects)
    later = "" if at is None else f" AND updated >= {at}"
    return f"project in ({within}){later} ORDER BY updated ASC, key ASC"


def _read(page: wire.SearchPage, rules: Rules, here: Position) -> _Found:
    issues: list[Issue] = []
    raw: list[bytes] = []
    refused: list[str] = []
    for source in page.issues:
        try:
            issue = mapping.read_issue(source, rules)
            if _updated(issue) is None:
                raise Unreadable(f"issue {issue.id} has no time of its last change")
            issues.append(issue)
            raw.append(bytes(source))
        except Unreadable as error:
            refused.append(f"an issue: {error}")
    return _Found(issues, raw, refused, here)


def _updated(issue: Issue) -> datetime | None:
    return mapping.moment(issue.wire.fields.updated)


def _ended(here: Position, overlap: int) -> Position:
    """Give the cursor for the next run.

    The newest change alone would pass an issue that was edited after we read it, while a later one was still to come;
    the clock alone would pass what the index shows late. When nothing changes, the bound follows the clock at a
    distance.
    """
    began = here.began or 0
    bound = began - _PATIENCE_MS
    if here.seen is not None:
        bound = max(bound, min(here.seen, began) - overlap)
    return Position(since=max(bound, here.since or 0), scope=here.scope)


def _projects(rules: Rules, client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    for values in listed_projects(rules, client):
        containers: list[cx.Container] = []
        raw: list[bytes] = []
        refused: list[str] = []
        for source in values:
            try:
                containers.append(mapping.container(mapping.read_project(source), rules))
                raw.append(bytes(source))
            except Unreadable as error:
                refused.append(f"a project: {error}")
        yield cx.Page(containers, cursor=None, raw=raw, refused=refused)


def project_of(source: msgspec.Raw) -> wire.Project:
    """Read a listed project as far as it can be read."""
    try:
        return mapping.read_project(source)
    except Unreadable:
        return wire.Project()


def listed_projects(rules: Rules, client: cx.Client) -> Iterator[list[msgspec.Raw]]:
    """Page through those of the configured projects that this credential may see."""
    for at in range(0, len(rules.projects), 50):  # the vendor takes up to 50 keys
        yield from beans(client, "/rest/api/3/project/search", {"keys": list(rules.projects[at : at + 50])}, 50)
