"""Cursor pages over a list of rows. Knows not what the rows are.

`docs.slack.dev/apis/web-api/pagination`: a page may hold fewer rows than asked for, even none, before the end.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, TypeVar

from cxbridge.sandbox.slack.call import ApiError, Call
from cxbridge.sandbox.slack.options import SlackOptions

T = TypeVar("T")


def page(
    call: Call, rows: Sequence[T], options: SlackOptions, *, default: int = 100, most: int | None = None
) -> tuple[Sequence[T], dict[str, Any], bool]:
    """Cut the asked page out of the rows; gives it, the metadata with the next cursor, and whether there is more.

    Raises:
        ApiError: the cursor is not one of ours.
    """
    limit = call.number("limit", default)
    if not 1 <= limit <= 1_000:
        raise ApiError("invalid_limit")
    for bound in (most, options.page_items):
        limit = min(limit, bound) if bound is not None else limit
    start = _start(call)
    if start == 0 and options.empty_page and rows and "cursor" not in call:
        return [], {"next_cursor": _cursor(0)}, True
    end = start + limit
    more = end < len(rows)
    return rows[start:end], {"next_cursor": _cursor(end) if more else ""}, more


def _cursor(at: int) -> str:
    return b64encode(f"at:{at}".encode()).decode()


def _start(call: Call) -> int:
    cursor = call.text("cursor")
    if not cursor:
        return 0
    try:
        word, _, number = b64decode(cursor, validate=True).decode().partition(":")
        if word != "at":
            raise ValueError("another kind of cursor")
        return int(number)
    except ValueError:
        raise ApiError("invalid_cursor") from None
