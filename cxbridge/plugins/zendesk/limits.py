"""Zendesk's limits: which header tells which, and which request draws from which; counts and waits for nothing itself.

developer.zendesk.com/api-reference/introduction/rate-limits: the account has a limit for Support and another for Help
Center; exports, updates, searches and some lists have their own below it, told by headers named
`zendesk-ratelimit-<bucket>`.
"""

import re
from collections.abc import Iterator

from cxbridge.core import connector as cx

ACCOUNT = "account"
GUIDE = "help-center"
PER_TICKET = "per-ticket-updates"

_PREFIX = "zendesk-ratelimit-"
_TICKET = re.compile(r"/api/v2/tickets/(\d+)(?:\.json|/)")
_CURSOR_EXPORT = re.compile(r"/api/v2/incremental/\w+/cursor")


def budgets(reply: cx.Reply) -> Iterator[cx.Budget]:
    """Read every limit that a reply's headers tell; all are optional and old accounts use older names."""
    headers = reply.headers
    yield cx.Budget(
        _account(reply.path),
        limit=_first(headers.get("x-rate-limit"), headers.get("ratelimit-limit"), headers.get("rate-limit")),
        remaining=_first(
            headers.get("x-rate-limit-remaining"),
            headers.get("ratelimit-remaining"),
            headers.get("rate-limit-remaining"),
        ),
        reset=_first(headers.get("ratelimit-reset"), headers.get("rate-limit-reset")),
    )
    for name, value in headers.items():
        if name.lower().startswith(_PREFIX):
            bucket = name.lower().removeprefix(_PREFIX)
            told = dict(part.strip().partition("=")[::2] for part in value.split(";"))
            yield cx.Budget(
                _per_ticket(reply.path) if bucket == PER_TICKET else bucket,
                limit=_first(told.get("total")),
                remaining=_first(told.get("remaining")),
                reset=_first(told.get("resets")),
            )


def buckets(method: str, path: str) -> tuple[str, ...]:
    """Name the limits that a request draws from, by the names that the headers give them."""
    names = [_account(path)]
    if path.startswith("/api/v2/incremental/"):
        names.append("incremental-exports-cursor" if _CURSOR_EXPORT.match(path) else "incremental-exports")
    elif method == "PUT" and _TICKET.match(path):
        names += ["tickets-update", _per_ticket(path)]
    elif method == "GET" and path in ("/api/v2/tickets.json", "/api/v2/tickets"):
        names.append("tickets-index")
    return tuple(names)


def _account(path: str) -> str:
    return GUIDE if path.startswith("/api/v2/help_center/") else ACCOUNT


def _per_ticket(path: str) -> str:
    # 30 updates in 10 minutes, counted for each ticket and user; a bucket for all tickets would hold the others up.
    ticket = _TICKET.match(path)
    return f"{PER_TICKET}:{ticket[1]}" if ticket else PER_TICKET


def _first(*values: str | None) -> int | None:
    for value in values:
        if value is not None and (digits := value.strip()).isascii() and digits.isdigit():
            return int(digits)
    return None
