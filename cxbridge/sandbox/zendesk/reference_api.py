"""The endpoints of what changes rarely, of search, of satisfaction and of uploads."""

import base64
import binascii
from collections.abc import Callable

from cxbridge.sandbox.zendesk import render, search
from cxbridge.sandbox.zendesk.call import Call, Reply, Route
from cxbridge.sandbox.zendesk.errors import ApiError, no_endpoint, not_found, pagination, search_too_deep
from cxbridge.sandbox.zendesk.paging import listing
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_SEARCH_DEPTH = 1000
_SEARCH_CURSOR_LIFETIME = 3600


def _table(state: ZendeskState, kind: str) -> dict[int, Json]:
    tables = {"groups": state.groups, "brands": state.brands, "ticket_fields": state.ticket_fields}
    return tables[kind]


def _list(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        rows = list(_table(call.state, kind).values())
        return listing(call, kind, rows, lambda row: render.reference(call.state, kind, row))

    return handler


def _show(kind: str, name: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        row = _table(call.state, kind).get(call.ident())
        if row is None:
            raise not_found()
        return Reply(content={name: render.reference(call.state, kind, row)})

    return handler


def _custom_statuses(call: Call) -> Reply:
    """This list alone has no pages."""
    rows = [render.reference(call.state, "custom_statuses", row) for row in call.state.custom_statuses.values()]
    return Reply(content={"custom_statuses": rows})


def _tags(call: Call) -> Reply:
    counts = [(name, count) for name, count in call.state.tag_counts.items() if count > 0]
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    rows = [{"id": place, "name": name, "count": count} for place, (name, count) in enumerate(ordered)]
    return listing(call, "tags", rows, lambda row: {"name": row["name"], "count": row["count"]})


def _search(call: Call) -> Reply:
    if any(name.startswith("page[") for name in call.query):
        detail = "page[size] and page[after] are not supported here; use page and per_page"
        raise pagination("InvalidPaginationParameter", "Invalid pagination parameter", detail)
    hits = _hits(call)
    size = min(max(call.integer("per_page") or 100, 1), 100)
    number = max(call.integer("page") or 1, 1)
    if number * size > _SEARCH_DEPTH:
        raise search_too_deep()
    page = hits[(number - 1) * size : number * size]
    content = {
        "results": [_shown(call.state, hit) for hit in page],
        "facets": None,
        # The link leads past the limit too; following it there earns the 422.
        "next_page": call.link({"page": number + 1, "per_page": size}) if number * size < len(hits) else None,
        "previous_page": call.link({"page": number - 1, "per_page": size}) if number > 1 else None,
        "count": len(hits),
    }
    return Reply(content=content)


def _search_count(call: Call) -> Reply:
    return Reply(content={"count": len(_hits(call))})


def _search_export(call: Call) -> Reply:
    """Newest first, as recorded cursors say; a cursor lives for an hour.

    The documentation calls a type inside the query an error, but recorded answers accept the one of the filter there.
    """
    query = call.query.get("query") or ""
    kind = call.query.get("filter[type]")
    if kind not in search.TYPES or any(t.name == "type" and t.value != kind for t in search.terms(query)):
        text = "filter[type] must name one type, and the query no other"
        raise ApiError(422, {"error": "invalid", "description": text})
    size = call.integer("page[size]") or 100
    if not 1 <= size <= _SEARCH_DEPTH:
        raise pagination("InvalidPaginationParameter", "Invalid page size", "page[size] must be from 1 to 1000")
    hits = search.run(call.state, query, kind)
    after = call.query.get("page[after]")
    if after:
        place = _opened(call.state, after)
        hits = [hit for hit in hits if (hit.created, hit.id) < place]
    page, more = hits[:size], len(hits) > size
    cursor = _closed(call.state, (page[-1].created, page[-1].id)) if page else None
    content = {
        "results": [_shown(call.state, hit) for hit in page],
        "facets": None,
        "meta": {"has_more": more, "after_cursor": cursor, "before_cursor": None},
        "links": {"next": call.link({"page[after]": cursor}) if more else None, "prev": None},
    }
    return Reply(content=content)


def _closed(state: ZendeskState, place: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{state.second()}|{place[0]}|{place[1]}".encode()).decode()


def _opened(state: ZendeskState, cursor: str) -> tuple[int, int]:
    try:
        made, created, ident = (int(part) for part in base64.urlsafe_b64decode(cursor).decode().split("|"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        made = created = ident = 0
    if state.second() - made > _SEARCH_CURSOR_LIFETIME:
        raise pagination("InvalidPaginationParameter", "Invalid cursor", "The cursor is not valid or has expired")
    return created, ident


def _hits(call: Call) -> list[search.Hit]:
    query = call.query.get("query")
    if not query:
        raise ApiError(422, {"error": "invalid", "description": "Invalid search: the query is missing"})
    hits = search.run(call.state, query)
    return search.sorted_by(hits, call.query.get("sort_by"), call.query.get("sort_order"))


def _shown(state: ZendeskState, hit: search.Hit) -> Json:
    shown: Json
    if hit.kind == "ticket":
        shown = render.ticket(state, hit.row)
    elif hit.kind == "user":
        shown = render.user(state, hit.row)
    elif hit.kind == "organization":
        shown = render.organization(state, hit.row)
    else:
        shown = render.reference(state, "groups", hit.row)
    return {**shown, "result_type": hit.kind}


def _satisfaction_ratings(call: Call) -> Reply:
    state = call.state
    rows = (
        [] if state.options.csat == "surveys" else [r for r in state.ratings.values() if _is_rated(state, r.ticket_id)]
    )
    start, end = call.integer("start_time"), call.integer("end_time")
    score = call.query.get("score")
    wanted = [
        row
        for row in rows
        if (start is None or row.created >= start)
        and (end is None or row.created <= end)
        and _score_fits(score, row.score, row.comment)
    ]
    return listing(
        call,
        "satisfaction_ratings",
        wanted,
        lambda row: render.rating(state, row),
        sorts={"created_at": lambda row: row.created},
    )


def _score_fits(asked: str | None, score: str, comment: str | None) -> bool:
    if asked is None:
        return True
    if asked == "received":
        return score in ("good", "bad")
    word, _, remark = asked.partition("_with")
    return score == word and (not remark or (bool(comment) == (remark == "_comment")))


def _is_rated(state: ZendeskState, ticket_id: int) -> bool:
    return state.tickets[ticket_id].deleted is None


def _survey_responses(call: Call) -> Reply:
    """The surveys' feed; times in its filters are milliseconds."""
    state = call.state
    if state.options.csat != "surveys":
        raise no_endpoint()
    start, end = call.integer("filter[created_at_start]"), call.integer("filter[created_at_end]")
    subjects = call.query.get("filter[subject_zrns]")
    rows = [
        row
        for row in state.ratings.values()
        if row.score in ("good", "bad")
        and (start is None or row.created * 1000 >= start)
        and (end is None or row.created * 1000 <= end)
        and (not subjects or f"zen:ticket:{row.ticket_id}" in subjects.split(","))
    ]
    return listing(call, "survey_responses", rows, lambda row: render.survey_response(state, row))


def _upload(call: Call) -> Reply:
    state = call.state
    name = call.query.get("filename")
    if not name:
        raise ApiError(400, {"error": "AttachmentUnprocessable", "description": "filename is required"})
    ident = state.new_id()
    token = f"upload-{id}"
    attachment: Json = {
        "id": ident,
        "file_name": name,
        "content_url": f"/attachments/token/{token}/?name={name}",
        "content_type": call.headers.get("content-type", "application/octet-stream"),
        "size": len(call.body),
        "inline": False,
    }
    state.uploads[token] = attachment
    state.files[token] = call.body
    state.effect("upload.created", ident, call.actor, "api", file_name=name, size=len(call.body))
    shown = render.attachment(state, attachment)
    expires = render.iso(state.second() + 86400)
    return Reply(201, {"upload": {"token": token, "expires_at": expires, "attachments": [shown], "attachment": shown}})


ROUTES = (
    Route("GET", "/groups", _list("groups")),
    Route("GET", "/groups/{id}", _show("groups", "group")),
    Route("GET", "/brands", _list("brands")),
    Route("GET", "/brands/{id}", _show("brands", "brand")),
    Route("GET", "/ticket_fields", _list("ticket_fields")),
    Route("GET", "/ticket_fields/{id}", _show("ticket_fields", "ticket_field")),
    Route("GET", "/custom_statuses", _custom_statuses),
    Route("GET", "/tags", _tags),
    Route("GET", "/search", _search),
    Route("GET", "/search/count", _search_count),
    Route("GET", "/search/export", _search_export, bucket="search-export"),
    Route("GET", "/satisfaction_ratings", _satisfaction_ratings, admin=True),
    Route("GET", "/guide/survey_responses", _survey_responses),
    Route("POST", "/uploads", _upload),
)
