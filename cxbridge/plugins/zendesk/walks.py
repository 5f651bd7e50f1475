"""How Zendesk's pages follow one another: exports by cursor and by time, lists by cursor; maps and saves nothing.

Pagination: developer.zendesk.com/api-reference/introduction/pagination; exports:
developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import envelopes, wire
from cxbridge.plugins.zendesk.errors import StartTimeTooRecent

# Exports refuse a start within the last minute.
HELD_BACK = 61
# A list by cursor gives at most this many a page.
LIST_PAGE = 100
# An export that gives nothing this often without ending will not end.
MOST_EMPTY = 20
_KEPT = timedelta(minutes=1)

C = TypeVar("C", bound=envelopes.CursorExport)
E = TypeVar("E", bound=envelopes.TimeExport)
L = TypeVar("L", bound=envelopes.CursorList)


def by_cursor(
    client: cx.Client, path: str, shape: type[C], after: str | None, first: int, params: dict[str, Any]
) -> Iterator[C]:
    """Walk an export by cursor, from the second `first` where there is none yet; parameters go with every call.

    Raises:
        WireFormat: when the walk would never end.
    """
    walk = Walk(path)
    while True:
        if after is None:
            reply = _from_start(client, path, first, params)
            if reply is None:
                return
        else:
            reply = client.get(path, {**params, "cursor": after})
        body = reply.decode(shape)
        # A page is large: it is gone before the next one is asked for.
        del reply
        yield body
        if body.end_of_stream:
            return
        after = walk.follow(body.after_cursor, body.rows())
        del body


def by_time(
    client: cx.Client, path: str, shape: type[E], start: int, params: dict[str, Any]
) -> Iterator[tuple[E, int]]:
    """Walk an export by time; gives each page with the second it began at, and stops where it stands still."""
    while True:
        reply = _from_start(client, path, start, params)
        if reply is None:
            return
        body = reply.decode(shape)
        yield body, start
        # `next_page` is never null; following it would never end.
        if body.end_of_stream or body.end_time is None or body.end_time <= start:
            return
        start = body.end_time


def next_start(body: envelopes.TimeExport, start: int) -> int:
    """Give the second to begin at next time; an empty page's own word about that is not believed."""
    return max(start, body.end_time) if body.end_time is not None and body.rows() else start


def stands_still(body: envelopes.TimeExport, start: int) -> bool:
    """Tell whether more rows share the second `start` than fit a page, so that the export cannot pass it."""
    return not body.end_of_stream and (body.end_time is None or body.end_time <= start)


def by_list(
    client: cx.Client, path: str, shape: type[L], after: str | None, params: dict[str, Any]
) -> Iterator[tuple[L, str | None]]:
    """Walk a list by cursor; gives each page with the cursor behind it, None behind the last.

    Raises:
        WireFormat: when the walk would never end.
    """
    walk = Walk(path)
    while True:
        body = client.get(path, {**params, "page[size]": LIST_PAGE, "page[after]": after}).decode(shape)
        # `links.next` stays filled on the last page of some lists; `has_more` is the word to go by.
        more = body.meta is not None and body.meta.has_more
        after = walk.follow(body.meta.after_cursor, body.rows()) if more and body.meta is not None else None
        yield body, after
        if after is None:
            return


class Walk:
    """Tells a walk that moves from one that turns in circles."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: set[str] = set()
        self._last: tuple[int, bytes, bytes] | None = None
        self._empty = 0

    def follow(self, after: str | None, rows: wire.Raws) -> str:
        """Give the cursor to follow, having seen the page before it.

        Raises:
            WireFormat: when it was followed before, leads nowhere, or the page is the last one over again.
        """
        page = (len(rows), bytes(rows[0]), bytes(rows[-1])) if rows else None
        self._empty = 0 if rows else self._empty + 1
        if after is None:
            raise cx.WireFormat(f"{self._path} says that there is more and gives no cursor")
        if after in self._seen or (page is not None and page == self._last):
            raise cx.WireFormat(f"{self._path} goes in circles: its cursors lead back to pages already read")
        if self._empty >= MOST_EMPTY:
            raise cx.WireFormat(f"{self._path} gave {self._empty} empty pages and no end")
        self._seen.add(after)
        self._last = page
        return after


def comments_of(client: cx.Client, ticket: int | str, newest_first: bool = False) -> Iterator[wire.Raws]:
    """Give the comments of a ticket, page by page; a ticket that is gone has none."""
    path = f"/api/v2/tickets/{ticket}/comments.json"
    sort = {"sort": "-created_at"} if newest_first else {}
    try:
        for body, _ in by_list(client, path, envelopes.CommentList, None, sort):
            yield body.rows()
    except cx.NotFound:
        return


def status_labels(client: cx.Client) -> dict[int, str]:
    """Read what the account calls its statuses; nothing where it has no custom ones or they are not to be seen."""
    try:
        rows = client.get("/api/v2/custom_statuses.json").decode(envelopes.CustomStatusList).custom_statuses
    except cx.Rejected:
        return {}
    found = wire.read("custom status", wire.CustomStatus, rows, [])
    return {row.id: row.agent_label for row, _ in found if row.agent_label}


class Labels:
    """What the account calls its statuses, kept for a minute: webhooks name tickets one by one, and this seldom changes."""

    def __init__(self) -> None:
        self._kept: tuple[datetime, dict[int, str]] | None = None

    def now(self, client: cx.Client) -> dict[int, str]:
        """Give them as `status_labels` does, at most a minute old."""
        kept = self._kept
        if kept is None or not timedelta() <= client.now - kept[0] < _KEPT:
            kept = self._kept = client.now, status_labels(client)
        return kept[1]


def _from_start(client: cx.Client, path: str, start: int, params: dict[str, Any]) -> cx.Reply | None:
    for _ in range(2):
        latest = int((client.server_now() - timedelta(seconds=HELD_BACK)).timestamp())
        try:
            return client.get(path, {**params, "start_time": min(start, latest)})
        except StartTimeTooRecent:
            # Before its first reply the vendor's clock was a guess; now it is known.
            continue
    return None
