"""What Jira's refusals and rate-limit headers mean; it reads replies and sends nothing.

`developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes` and `…/platform/rate-limiting/`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from cxbridge.core import connector as cx

_WRITES: Final = frozenset({"POST", "PUT", "DELETE"})
_ISSUE: Final = re.compile(r"/rest/api/\d+/issue/(?P<issue>\d+|[A-Z][A-Z0-9_]*-\d+)(?=/|$)")
_NUMBERS: Final = re.compile(r"(?<!/api)/(?:\d+|[A-Z][A-Z0-9_]*-\d+)(?=/|$)")
# The vendor's quotas of a whole app, which last to the end of the hour; the other reasons end within seconds.
_QUOTA: Final = "jira-quota-"
_ONE_ISSUE: Final = "jira-per-issue-on-write"
_WHOLE: Final = ""

_OTHER_HOST: Final = {
    "site": 'the token has expired or was revoked, or it is a scoped token, which needs mode = "gateway" and cloud_id',
    "gateway": 'the token has expired or was revoked, or it is a classic API token, which needs mode = "site"',
}


def refusal(mode: str) -> Callable[[cx.Reply], cx.VendorError | None]:
    """Give the error table of a connection: only what the usual meaning of a status does not already say."""

    def table(reply: cx.Reply) -> cx.VendorError | None:
        match reply.status:
            case 401 if "scope" in (message(reply) or "").lower():
                # Renewing an access token cannot widen what was consented to.
                return cx.Unauthorized("the token lacks a scope for this: grant consent again with that scope")
            case 401:
                return cx.Unauthorized(_OTHER_HOST[mode])
            case 413:
                return cx.Rejected("the issue is full: Jira caps comments, links and attachments of one issue")
            case 429:
                return _over_limit(reply)
            case _:
                return None

    return table


def _over_limit(reply: cx.Reply) -> cx.RateLimited:
    reason = reply.headers.get("ratelimit-reason", "")
    told = {_ONE_ISSUE: "too many writes to one issue"}.get(reason, "the hourly quota of this app is used up")
    wait = reset(reply)
    # Where the reply says when to come back in seconds, that is the better clock.
    if reply.retry_after is not None or wait is None:
        return cx.RateLimited(told if reason.startswith((_QUOTA, _ONE_ISSUE)) else "")
    return cx.RateLimited(
        told if reason.startswith((_QUOTA, _ONE_ISSUE)) else "", retry_at=reply.arrived + timedelta(seconds=wait)
    )


def message_of(aliases: Mapping[str, str]) -> Callable[[cx.Reply], str | None]:
    """Give the reader of error bodies for a connection; fields are named by id and by the alias they have there."""
    names = {field: alias for alias, field in aliases.items()}
    return lambda reply: message(reply, names)


def message(reply: cx.Reply, names: Mapping[str, str] | None = None) -> str | None:
    """Pick one short sentence out of an error body, whichever of the vendor's forms it has; `None` when it has none."""
    try:
        body = reply.json()
    except cx.WireFormat:
        return None  # the edge answers with pages of its own, or with nothing
    if not isinstance(body, dict):
        return None
    return "; ".join(dict.fromkeys(_sentences(body, names or {}))) or None


def _sentences(body: Mapping[str, cx.Json], names: Mapping[str, str]) -> Iterator[str]:
    """The forms: general, per field, bulk create (holding the first two again), service desk, bulk, OAuth, gateway."""
    general = body.get("errorMessages")
    if isinstance(general, list):
        yield from (_tidy(told) for told in general if isinstance(told, str) and told.strip())
    errors = body.get("errors")
    if isinstance(errors, dict):
        for field, told in errors.items():
            known = f" ({names[field]})" if field in names else ""
            yield f"{field}{known}: {_tidy(str(told))}"
    elif isinstance(errors, list):
        for entry in errors:
            if isinstance(entry, dict):
                yield from _sentences(entry.get("elementErrors") or entry, names)
    for key in ("errorMessage", "error_description", "message"):
        if isinstance(body.get(key), str) and body[key].strip():
            yield _tidy(body[key])
            return
    if isinstance(body.get("error"), str):
        yield _tidy(body["error"])


def _tidy(told: str) -> str:
    """One sentence on one line: stack places and quoted sources of old servers are cut off."""
    return " ".join(told.split("\n", 1)[0].split()).rstrip(".")


def buckets(method: str, path: str) -> tuple[str, ...]:
    """Name the limits a request draws from beside the whole: its kind of endpoint, and for writes its issue."""
    kind = f"{method} {_NUMBERS.sub('/*', path)}"
    issue = _ISSUE.search(path)
    return (kind, f"issue {issue['issue']}") if issue and method in _WRITES else (kind,)


def budgets(reply: cx.Reply) -> Iterator[cx.Budget]:
    """Read the limits a reply tells: those of its endpoint's bursts, unless a 429 gives another reason."""
    kind, *issue = buckets(reply.method, reply.path)
    reason = reply.headers.get("ratelimit-reason", "")
    limit, remaining = _number(reply, "x-ratelimit-limit"), _number(reply, "x-ratelimit-remaining")
    if reply.status != 429:
        if limit is not None or remaining is not None:
            yield cx.Budget(kind, limit, remaining)
        return
    wait = reply.retry_after if reply.retry_after is not None else reset(reply)
    if reason.startswith(_QUOTA):
        yield cx.Budget(_WHOLE, remaining=0, reset=wait)
    elif reason == _ONE_ISSUE and issue:
        yield cx.Budget(issue[0], remaining=0, reset=wait)
    else:
        yield cx.Budget(kind, limit, 0, wait)


def reset(reply: cx.Reply) -> float | None:
    """Give the seconds until the limit is filled again: told as ISO 8601, or by proxies as an epoch or a count."""
    told = reply.headers.get("x-ratelimit-reset", "").strip()
    if not told:
        return None
    here = reply.server_time or reply.arrived
    try:
        number = float(told)
    except ValueError:
        try:
            until = datetime.fromisoformat(told)
        except ValueError:
            return None
        return max(0.0, (until - here).total_seconds()) if until.tzinfo else None
    if number > 100_000_000_000:
        number /= 1000
    if number > 1_000_000_000:
        number -= here.timestamp()
    return max(0.0, number) if math.isfinite(number) else None


def _number(reply: cx.Reply, header: str) -> int | None:
    told = reply.headers.get(header, "").strip()
    return int(told) if told.isascii() and told.isdigit() else None
