"""Slack's limits, which its replies do not tell before they are passed: counted per method; it waits for nothing itself.

`docs.slack.dev/apis/web-api/rate-limits`. About one message a second may be sent to each channel; which channel a request is for
stands in its body, so that one a second is sent in all.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.slack.answers import PATIENCE

_MINUTE: Final = 60
_TIERS: Final = {
    20: ("users.list", "conversations.list"),
    50: ("users.lookupByEmail", "conversations.info", "conversations.join", "chat.update"),
    100: ("users.info", "chat.getPermalink"),
}
HISTORIES: Final = ("conversations.history", "conversations.replies")


def quotas(histories: int) -> tuple[cx.Quota, ...]:
    """Give the limits of each method. `histories` is how often a minute each of the two histories may be asked for."""
    per_minute = [(method, limit) for limit, methods in _TIERS.items() for method in methods]
    per_minute += [(method, histories) for method in HISTORIES]
    return (
        *(cx.Quota(method, limit, _MINUTE, partial(_is, f"/{method}")) for method, limit in per_minute),
        cx.Quota("chat.postMessage", 1, 1, partial(_is, "/chat.postMessage")),
    )


def buckets(_method: str, path: str) -> tuple[str, ...]:
    """Name the limit a request draws from beside the whole: that of its method."""
    return (path.removeprefix("/"),)


def budgets(reply: cx.Reply) -> Iterator[cx.Budget]:
    """Read the limit that a refusal tells; it is that of its method alone."""
    if reply.status == 429:
        wait = PATIENCE if reply.retry_after is None else reply.retry_after
        yield cx.Budget(reply.path.removeprefix("/"), remaining=0, reset=wait)


def _is(wanted: str, _method: str, path: str) -> bool:
    return path == wanted
