"""The incremental exports: cursor style for tickets and users, time style for those, organizations and ticket events.

developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports. Rows changed within the export lag
are held back. Order is by the second of the change; which rows come first within a second is nobody's promise.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cxbridge.sandbox.zendesk import people_api, render, ticket_api
from cxbridge.sandbox.zendesk.call import Call, Reply, Route
from cxbridge.sandbox.zendesk.changelog import ChangeLog, Position
from cxbridge.sandbox.zendesk.entities import Ticket, User
from cxbridge.sandbox.zendesk.errors import ApiError, invalid_attribute, start_time_too_recent
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_LARGEST_PAGE = 1000


class _Feed(NamedTuple):
    """One export: where its order is kept and how its rows are shown, beside what."""

    key: str
    changes: Callable[[ZendeskState], ChangeLog]
    row: Callable[[ZendeskState, int], Any]
    render: Callable[[ZendeskState, Any, set[str]], Json]
    beside: Callable[[ZendeskState, Sequence[Any], set[str]], Json]


def _nothing(state: ZendeskState, rows: Sequence[Any], includes: set[str]) -> Json:
    del state, rows, includes
    return {}


def _ticket_event(state: ZendeskState, row: Any, includes: set[str]) -> Json:
    return render.ticket_event(state, row, comment_events="comment_events" in includes)


def _user(state: ZendeskState, row: User, includes: set[str]) -> Json:
    del includes
    return render.user(state, row)


def _ticket(state: ZendeskState, row: Ticket, includes: set[str]) -> Json:
    return ticket_api.shown(state, row, includes)


def _ticket_row(state: ZendeskState, ident: int) -> Ticket:
    return state.tickets[ident]


_TICKETS = _Feed("tickets", lambda s: s.ticket_changes, _ticket_row, _ticket, ticket_api.sideload)
_USERS = _Feed("users", lambda s: s.user_changes, lambda s, ident: s.users[ident], _user, people_api.beside)
_ORGANIZATIONS = _Feed(
    "organizations",
    lambda s: s.organization_changes,
    lambda s, ident: s.organizations[ident],
    lambda s, row, includes: render.organization(s, row, deleted_at=True),
    _nothing,
)
_EVENTS = _Feed("ticket_events", lambda s: s.audit_changes, lambda s, ident: s.audits[ident], _ticket_event, _nothing)


def _cursor_export(feed: _Feed) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        state = call.state
        until = state.second() - state.options.export_lag
        given = call.query.get("cursor")
        second, number = _opened(given) if given else (_start_time(call, until), 0)
        size = _size(call)
        found = feed.changes(state).after(second, number, until, size + 1)
        page, more = found[:size], len(found) > size
        after = _closed(page[-1]) if page else given
        # Nothing to stand on yet: a cursor to where the asked time begins.
        after = after or _closed(Position(second, 0, 0))
        before = _closed(page[0]) if page and given else None
        return _exported(
            call,
            feed,
            page,
            {
                "after_cursor": after,
                "after_url": _cursor_link(call, after),
                "before_cursor": before,
                "before_url": _cursor_link(call, before) if before else None,
                "end_of_stream": not more,
            },
        )

    return handler


def _time_export(feed: _Feed) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        state = call.state
        until = state.second() - state.options.export_lag
        start = _start_time(call, until)
        size = _size(call)
        changes = feed.changes(state)
        # Rows that share a second stay together, even beyond the page's size: the next page starts at a whole second.
        page = changes.since(start, until, size, whole_seconds=True)
        end = page[-1].second if page else start
        more = bool(changes.since(end + 1, until, 1))
        return _exported(
            call,
            feed,
            page,
            {
                "count": len(page),
                "end_of_stream": not more,
                "end_time": end,
                # Never null: at the end it leads to the last second again.
                "next_page": call.link({"start_time": end}),
            },
        )

    return handler


def _exported(call: Call, feed: _Feed, page: Sequence[Position], envelope: Json) -> Reply:
    includes = call.includes()
    rows = [feed.row(call.state, position.id) for position in page]
    shown = [feed.render(call.state, row, includes) for row in rows]
    return Reply(content={feed.key: shown, **feed.beside(call.state, rows, includes), **envelope})


def _sample(call: Call) -> Reply:
    """The export's first 50 rows, for trying out without spending its limit."""
    state = call.state
    until = state.second() - state.options.export_lag
    page = state.ticket_changes.since(_start_time(call, until), until, 50)
    return _exported(call, _TICKETS, page, {"count": len(page)})


def _start_time(call: Call, until: int) -> int:
    start = call.integer("start_time")
    if start is None or start < 0:
        text = "You passed an invalid value for the start_time attribute. Invalid parameter: start_time must be given"
        raise invalid_attribute(text)
    if start > until:
        raise start_time_too_recent()
    return start


def _size(call: Call) -> int:
    asked = call.integer("per_page")
    return _LARGEST_PAGE if asked is None else min(max(asked, 1), _LARGEST_PAGE)


def _cursor_link(call: Call, cursor: str) -> str:
    # `include` is not carried along: each call asks for its own sideloads.
    return call.link({"cursor": cursor}, without=("start_time", "include"))


def _closed(position: Position) -> str:
    return base64.b64encode(f"{position.second}.0||{position.id}|{position.number}".encode()).decode()


def _opened(cursor: str) -> tuple[int, int]:
    try:
        second, _, rest = base64.b64decode(cursor, validate=True).decode().partition(".0||")
        return int(second), int(rest.partition("|")[2])
    except (binascii.Error, UnicodeDecodeError, ValueError):
        # Status and shape for a broken cursor are unverified.
        raise ApiError(400, {"error": "InvalidCursor", "description": "The cursor is not valid"}) from None


ROUTES = (
    Route(
        "GET", "/incremental/tickets/cursor", _cursor_export(_TICKETS), bucket="incremental-exports-cursor", admin=True
    ),
    Route("GET", "/incremental/users/cursor", _cursor_export(_USERS), bucket="incremental-exports-cursor", admin=True),
    Route("GET", "/incremental/tickets", _time_export(_TICKETS), bucket="incremental-exports", admin=True),
    Route("GET", "/incremental/users", _time_export(_USERS), bucket="incremental-exports", admin=True),
    Route("GET", "/incremental/organizations", _time_export(_ORGANIZATIONS), bucket="incremental-exports", admin=True),
    Route("GET", "/incremental/ticket_events", _time_export(_EVENTS), bucket="incremental-exports", admin=True),
    Route("GET", "/incremental/tickets/sample", _sample, admin=True),
)
