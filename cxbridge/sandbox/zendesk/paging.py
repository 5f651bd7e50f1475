"""Zendesk's cursor and offset pages over a list of rows. Knows neither what the rows are nor the incremental exports.

developer.zendesk.com/api-reference/introduction/pagination
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from cxbridge.sandbox.zendesk.call import Call, Reply
from cxbridge.sandbox.zendesk.errors import pagination
from cxbridge.sandbox.zendesk.state import Json

Row = TypeVar("Row")
SortKey = Callable[[Any], Any]

_DEPTH = 10_000
_LARGEST_PAGE = 100


def by_id(row: Any) -> int:
    """The order of a list that was not asked for another."""
    found: int = row["id"] if isinstance(row, dict) else row.id
    return found


def listing(
    call: Call,
    key: str,
    rows: Sequence[Row],
    render: Callable[[Row], Json],
    *,
    sorts: Mapping[str, SortKey] | None = None,
    newest_first: bool = False,
    default_size: int = _LARGEST_PAGE,
    help_center: bool = False,
    sideload: Callable[[Sequence[Row]], Json] | None = None,
) -> Reply:
    """One page of rows in the style the request asks for; without `page[…]` that is offset style.

    `sorts` are the orders a cursor page offers besides `id`. Offset pages sort by the same names.
    """
    orders = {"id": by_id, **(sorts or {})}
    if any(name.startswith("page[") for name in call.query):
        page, envelope = _cursor_page(call, rows, orders, newest_first=newest_first)
    else:
        page, envelope = _offset_page(
            call, rows, orders, newest_first=newest_first, default_size=default_size, help_center=help_center
        )
    content = {key: [render(row) for row in page], **(sideload(page) if sideload else {}), **envelope}
    return Reply(content=content)


def _cursor_page(
    call: Call, rows: Sequence[Row], orders: Mapping[str, SortKey], *, newest_first: bool
) -> tuple[Sequence[Row], Json]:
    size = _cursor_size(call)
    # `sort_by` and `sort_order` belong to offset pages; here they are ignored without a word.
    sort = call.query.get("sort") or ("-id" if newest_first else "id")
    name = sort.lstrip("-")
    if name not in orders:
        detail = f"sort is not valid: {sort}; it may be one of {', '.join(orders)}"
        raise pagination("InvalidPaginationParameter", "Invalid sort parameter", detail)
    descending = sort.startswith("-")

    def place(row: Row) -> tuple[Any, int]:
        return _comparable(orders[name](row)), by_id(row)

    ordered = sorted(rows, key=place, reverse=descending)
    after, before = call.query.get("page[after]"), call.query.get("page[before]")
    if before:
        mark = _opened(before, sort)
        earlier = [row for row in ordered if (place(row) > mark if descending else place(row) < mark)]
        page, more = earlier[-size:], len(earlier) > size
    else:
        if after:
            mark = _opened(after, sort)
            ordered = [row for row in ordered if (place(row) < mark if descending else place(row) > mark)]
        page, more = ordered[:size], len(ordered) > size
    last = _closed(sort, place(page[-1])) if page else None
    first = _closed(sort, place(page[0])) if page else None
    links = {
        "next": _turned(call, "page[after]", last) if more and not before else None,
        "prev": _turned(call, "page[before]", first) if page else None,
    }
    if before and page:
        links = {"next": _turned(call, "page[after]", last), "prev": links["prev"] if more else None}
    # Recorded answers leave the cursors out of an empty page.
    return page, {"meta": {"has_more": more, "after_cursor": last, "before_cursor": first}, "links": links}


def _cursor_size(call: Call) -> int:
    given = call.query.get("page[size]", str(_LARGEST_PAGE))
    # Refusing a larger page rather than capping it is unverified.
    if not given.isdigit() or not 1 <= int(given) <= _LARGEST_PAGE:
        detail = f"page[size] must be a number from 1 to {_LARGEST_PAGE}"
        raise pagination("InvalidPaginationParameter", "Invalid page size", detail)
    return int(given)


def _turned(call: Call, name: str, cursor: str | None) -> str:
    return call.link({name: cursor}, without=("page[after]", "page[before]"))


def _comparable(value: Any) -> Any:
    # None sorts before everything; a pair keeps the comparison within one type.
    return (value is not None, value if value is not None else 0)


def _closed(sort: str, place: tuple[Any, int]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([sort, place])).decode()


def _opened(cursor: str, sort: str) -> tuple[Any, int]:
    try:
        made_for, (value, ident) = msgspec.json.decode(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, msgspec.DecodeError, ValueError, TypeError):
        made_for = None
        value, ident = [], 0
    if made_for != sort:
        raise pagination("InvalidPaginationParameter", "Invalid cursor", "page[after] or page[before] is not valid")
    return tuple(value), ident


def _offset_page(
    call: Call,
    rows: Sequence[Row],
    orders: Mapping[str, SortKey],
    *,
    newest_first: bool,
    default_size: int,
    help_center: bool,
) -> tuple[Sequence[Row], Json]:
    size = min(max(call.integer("per_page") or default_size, 1), _LARGEST_PAGE)
    number = max(call.integer("page") or 1, 1)
    if number * size > _DEPTH and number > 1:
        detail = f"Offset pages end at {_DEPTH} records; use page[size] and page[after] instead"
        raise pagination("InvalidPaginationDepth", "Pagination too deep", detail)
    sort_by = call.query.get("sort_by") or ""
    descending = (call.query.get("sort_order") or "").lower() == "desc"
    if sort_by in orders:
        order = orders[sort_by]
        rows = sorted(rows, key=lambda row: (_comparable(order(row)), by_id(row)), reverse=descending)
    else:
        rows = sorted(rows, key=by_id, reverse=newest_first)
    start = (number - 1) * size
    pages = math.ceil(len(rows) / size)
    envelope: Json = {
        "next_page": call.link({"page": number + 1, "per_page": size}) if number < pages else None,
        "previous_page": call.link({"page": number - 1, "per_page": size}) if number > 1 else None,
        "count": len(rows),
    }
    if help_center:
        envelope |= {
            "page": number,
            "page_count": pages,
            "per_page": size,
            "sort_by": sort_by or "position",
            "sort_order": "desc" if descending else "asc",
        }
    return rows[start : start + size], envelope
