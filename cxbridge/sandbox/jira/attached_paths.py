"""The paths of what hangs on an issue: comments, remote links, links to other issues."""

from typing import Any, Final

from cxbridge.sandbox.jira.linking import drop_remote, link_issues, put_remote, unlink
from cxbridge.sandbox.jira.paths import READ, WRITE, Path, Services
from cxbridge.sandbox.jira.records import Comment, Issue, Link, RemoteLink
from cxbridge.sandbox.jira.wire import Call, Reply, refused, strings, window

Json = Any


def comments(services: Services, call: Call) -> Reply:
    issue, renderer = services.issue(call), services.renderer(call)
    order = call.one("orderBy", "created")
    if order.lstrip("+- ") != "created":
        raise refused(400, f"Invalid value '{order}' for the parameter 'orderBy'.")  # unverified wording
    rows = list(reversed(issue.comments)) if order.startswith("-") else list(issue.comments)
    answer = window(call, rows, "comments", default=100, cap=5000)
    answer["comments"] = [renderer.comment(issue, comment, call.expand()) for comment in answer["comments"]]
    return Reply(200, answer)


def comment_list(services: Services, call: Call) -> Reply:
    wanted = strings(call.object().get("ids"), "ids", 1000)
    if not wanted:
        raise refused(400, "The parameter 'ids' is required.")  # unverified wording
    renderer = services.renderer(call)
    values = [
        renderer.comment(issue, comment, call.expand())
        for issue in services.state.issues()
        if not services.state.hidden(issue.id)
        for comment in issue.comments
        if str(comment.id) in wanted
    ]
    # The page size is the vendor's own oddity.
    bean = {"maxResults": 1_048_576, "startAt": 0, "total": len(values), "isLast": True, "values": values}
    return Reply(200, bean)


def _comment(services: Services, call: Call) -> tuple[Issue, Comment]:
    issue = services.issue(call)
    for comment in issue.comments:
        if str(comment.id) == call.params["comment"]:
            return issue, comment
    raise refused(404, f"Can not find a comment for the id: {call.params['comment']}.")


def add_comment(services: Services, call: Call) -> Reply:
    issue, body = services.issue(call), call.object()
    issue, comment = services.writer(call).comment(
        issue, body.get("body"), body.get("properties"), body.get("visibility")
    )
    return Reply(201, services.renderer(call).comment(issue, comment, call.expand()))


def read_comment(services: Services, call: Call) -> Reply:
    issue, comment = _comment(services, call)
    return Reply(200, services.renderer(call).comment(issue, comment, call.expand()))


def edit_comment(services: Services, call: Call) -> Reply:
    (issue, comment), body = _comment(services, call), call.object()
    issue, comment = services.writer(call).edit_comment(
        issue, comment, body.get("body"), body.get("properties"), body.get("visibility")
    )
    return Reply(200, services.renderer(call).comment(issue, comment, call.expand()))


def delete_comment(services: Services, call: Call) -> Reply:
    issue, comment = _comment(services, call)
    services.writer(call).delete_comment(issue, comment)
    return Reply(204)


def remote_links(services: Services, call: Call) -> Reply:
    """All remote links as an array, or the one with a global id by itself."""
    issue, renderer = services.issue(call), services.renderer(call)
    global_id = call.one("globalId")
    if not global_id:
        return Reply(200, [renderer.remote_link(issue, link) for link in issue.remote_links])
    return Reply(200, renderer.remote_link(issue, _by_global_id(issue, global_id)))


def _by_global_id(issue: Issue, global_id: str) -> RemoteLink:
    for link in issue.remote_links:
        if link.global_id == global_id:
            return link
    raise refused(404, f"No remote issue link with global id '{global_id}' found.")  # unverified wording


def _remote_link(services: Services, call: Call) -> tuple[Issue, RemoteLink]:
    issue = services.issue(call)
    for link in issue.remote_links:
        if str(link.id) == call.params["link"]:
            return issue, link
    raise refused(404, f"No remote issue link with id '{call.params['link']}' found.")  # unverified wording


def put_remote_link(services: Services, call: Call) -> Reply:
    issue, link, new = put_remote(services.writer(call), services.issue(call), call.object())
    shown = {"id": link.id, "self": call.rest(f"issue/{issue.id}/remotelink/{link.id}")}
    return Reply(201 if new else 200, shown)


def read_remote_link(services: Services, call: Call) -> Reply:
    issue, link = _remote_link(services, call)
    return Reply(200, services.renderer(call).remote_link(issue, link))


def replace_remote_link(services: Services, call: Call) -> Reply:
    issue, link = _remote_link(services, call)
    put_remote(services.writer(call), issue, call.object(), link)
    return Reply(204)


def delete_remote_link(services: Services, call: Call) -> Reply:
    issue, link = _remote_link(services, call)
    drop_remote(services.writer(call), issue, link)
    return Reply(204)


def delete_by_global_id(services: Services, call: Call) -> Reply:
    issue, global_id = services.issue(call), call.one("globalId")
    if not global_id:
        raise refused(400, "The parameter 'globalId' is required.")  # unverified wording
    drop_remote(services.writer(call), issue, _by_global_id(issue, global_id))
    return Reply(204)


def add_link(services: Services, call: Call) -> Reply:
    """Answers with an empty body, also where the link was there already."""
    link_issues(services.writer(call), call.object())
    return Reply(201)


def _link(services: Services, call: Call) -> Link:
    given = call.params["link"]
    link = services.state.links.get(int(given)) if given.isdigit() else None
    if link is None or services.state.seen(link.source) is None or services.state.seen(link.target) is None:
        raise refused(404, f"No issue link with id '{given}' exists.")  # unverified wording
    return link


def read_link(services: Services, call: Call) -> Reply:
    link, renderer = _link(services, call), services.renderer(call)
    ends = {
        name: services.state.find(end) for name, end in (("inwardIssue", link.source), ("outwardIssue", link.target))
    }
    shown: dict[str, Json] = {
        "id": str(link.id),
        "self": call.rest(f"issueLink/{link.id}"),
        "type": renderer.link_type(link.type_id),
    }
    shown |= {name: renderer.thin(issue) for name, issue in ends.items() if issue is not None}
    return Reply(200, shown)


def delete_link(services: Services, call: Call) -> Reply:
    unlink(services.writer(call), _link(services, call))
    return Reply(204)


def link_types(services: Services, call: Call) -> Reply:
    renderer = services.renderer(call)
    return Reply(200, {"issueLinkTypes": [renderer.link_type(kind.id) for kind in services.state.site.link_types]})


PATHS: Final = (
    Path("GET", "/issue/{key}/comment", comments, guarded=False),
    Path("POST", "/issue/{key}/comment", add_comment, WRITE, guarded=False),
    Path("GET", "/issue/{key}/comment/{comment}", read_comment, guarded=False),
    Path("PUT", "/issue/{key}/comment/{comment}", edit_comment, WRITE, guarded=False),
    Path("DELETE", "/issue/{key}/comment/{comment}", delete_comment, WRITE, guarded=False),
    Path("POST", "/comment/list", comment_list),
    Path("GET", "/issue/{key}/remotelink", remote_links, guarded=False),
    Path("POST", "/issue/{key}/remotelink", put_remote_link, WRITE, guarded=False),
    Path("DELETE", "/issue/{key}/remotelink", delete_by_global_id, WRITE, guarded=False),
    Path("GET", "/issue/{key}/remotelink/{link}", read_remote_link, guarded=False),
    Path("PUT", "/issue/{key}/remotelink/{link}", replace_remote_link, WRITE, guarded=False),
    Path("DELETE", "/issue/{key}/remotelink/{link}", delete_remote_link, WRITE, guarded=False),
    Path("POST", "/issueLink", add_link, WRITE),
    Path("GET", "/issueLink/{link}", read_link),
    Path("DELETE", "/issueLink/{link}", delete_link, WRITE),
    Path("GET", "/issueLinkType", link_types, READ),
)
