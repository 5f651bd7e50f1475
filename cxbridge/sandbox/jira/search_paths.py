"""The paths that find issues: search, count and bulk fetch. They read parameters; `search` does the finding."""

from collections.abc import Sequence
from typing import Any, Final

from cxbridge.sandbox.jira import catalogue
from cxbridge.sandbox.jira.paths import Path, Services
from cxbridge.sandbox.jira.render import named_parts
from cxbridge.sandbox.jira.wire import Call, Reply, refused, strings

Json = Any

FULL_PAGE: Final = 100
ID_PAGE: Final = 5000
_BAD_PAYLOAD: Final = "Invalid request payload. Refer to the REST API documentation and try again."
_REMOVED: Final = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline "
    "is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)


def removed(services: Services, call: Call) -> Reply:
    raise refused(410, _REMOVED)


def search_get(services: Services, call: Call) -> Reply:
    return _search(
        services,
        call,
        jql=call.one("jql"),
        size=call.number("maxResults", 50),
        fields=call.many("fields"),
        expand=call.many("expand"),
        properties=call.many("properties"),
        reconcile=call.many("reconcileIssues"),
        token=call.one("nextPageToken") or None,
    )


def search_post(services: Services, call: Call) -> Reply:
    body = call.object()
    expand, size, jql, token = body.get("expand"), body.get("maxResults"), body.get("jql"), body.get("nextPageToken")
    # Here, unlike in most places, `expand` is one string.
    if any(not isinstance(value, str | None) for value in (expand, jql, token)):
        raise refused(400, _BAD_PAYLOAD)
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise refused(400, _BAD_PAYLOAD)
    return _search(
        services,
        call,
        jql=jql or "",
        size=50 if size is None else size,
        fields=strings(body.get("fields"), "fields"),
        expand=[part for part in (expand or "").split(",") if part],
        properties=strings(body.get("properties"), "properties"),
        reconcile=strings(body.get("reconcileIssues"), "reconcileIssues"),
        token=token or None,
    )


def _search(
    services: Services,
    call: Call,
    *,
    jql: str,
    size: int,
    fields: Sequence[str],
    expand: Sequence[str],
    properties: Sequence[str],
    reconcile: Sequence[str],
    token: str | None,
) -> Reply:
    # The limits are documented; what the vendor says when they are passed is not known to us.
    if size < 1:
        raise refused(400, "The parameter 'maxResults' must be between 1 and 5000.")
    if len(properties) > 5:
        raise refused(400, "The parameter 'properties' accepts at most 5 values.")
    if len(reconcile) > 50:
        raise refused(400, "The parameter 'reconcileIssues' accepts at most 50 values.")
    if any(not one.isdigit() for one in reconcile):
        raise refused(400, "The parameter 'reconcileIssues' accepts issue ids only.")
    names = list(fields) or ["id"]
    slim = set(names) <= {"id", "key"} and not expand and not properties
    found = services.search.run(
        jql,
        call.user,
        min(size, ID_PAGE if slim else FULL_PAGE),
        token=token,
        reconcile=[int(one) for one in reconcile],
        asked=[jql, names, sorted(expand), list(properties), list(reconcile)],
    )
    renderer = services.renderer(call)
    answer: dict[str, Json] = {
        "issues": [
            renderer.issue(issue, names, default="id", expand=expand, properties=properties, search=True)
            for issue in found.issues
        ],
        "isLast": found.next_token is None,
    }
    if found.next_token is not None:
        answer["nextPageToken"] = found.next_token
    return Reply(200, answer | named_parts(catalogue.wanted(names, "id"), expand))


def count(services: Services, call: Call) -> Reply:
    jql = call.object().get("jql")
    if not isinstance(jql, str | None):
        raise refused(400, _BAD_PAYLOAD)
    return Reply(200, {"count": services.search.count(jql or "", call.user)})


def bulk_fetch(services: Services, call: Call) -> Reply:
    """Issues by id or key, as they are now; one that is gone or hidden is just not there."""
    body = call.object()
    wanted = strings(body.get("issueIdsOrKeys"), "issueIdsOrKeys", 100)
    if not wanted:
        raise refused(400, "The parameter 'issueIdsOrKeys' is required.")  # unverified wording
    found = {issue.id: issue for one in wanted if (issue := services.state.seen(one)) is not None}
    renderer = services.renderer(call)
    fields = strings(body.get("fields"), "fields")
    expand = strings(body.get("expand"), "expand")
    properties = strings(body.get("properties"), "properties", 5)
    issues = [
        renderer.issue(found[issue_id], fields, default="*navigable", expand=expand, properties=properties)
        for issue_id in sorted(found)
        if call.user is not None
    ]
    return Reply(200, {"issues": issues, "issueErrors": []})


PATHS: Final = (
    Path("GET", "/search", removed, guarded=False),
    Path("POST", "/search", removed, guarded=False),
    Path("GET", "/search/jql", search_get, bucket="search", guarded=False),
    Path("POST", "/search/jql", search_post, guarded=False),
    Path("POST", "/search/approximate-count", count, guarded=False),
    Path("POST", "/issue/bulkfetch", bulk_fetch, guarded=False),
)
