"""The paths of service management: desks, organizations, customers' requests and their comments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cxbridge.sandbox.jira import adf
from cxbridge.sandbox.jira.annotator import INTERNAL
from cxbridge.sandbox.jira.paths import Path, Services
from cxbridge.sandbox.jira.records import Comment, Issue
from cxbridge.sandbox.jira.site import Organization
from cxbridge.sandbox.jira.wire import Call, Reply, desk_refused

Json = Any

_READ: Final = "read:servicedesk-request"
_WRITE: Final = "write:servicedesk-request"
_CUSTOMERS: Final = "manage:servicedesk-customer"


def _page(call: Call, rows: Sequence[Json]) -> Reply:
    start, limit = max(call.number("start", 0), 0), max(min(call.number("limit", 50), 100), 1)
    values = list(rows[start : start + limit])
    base = f"{call.base}{call.path}"
    links = {"self": base, "base": call.base, "context": ""}
    last = start + len(values) >= len(rows)
    if not last:
        links["next"] = f"{base}?start={start + len(values)}&limit={limit}"
    if start:
        links["prev"] = f"{base}?start={max(start - limit, 0)}&limit={limit}"
    return Reply(
        200,
        {
            "_expands": [],
            "size": len(values),
            "start": start,
            "limit": limit,
            "isLastPage": last,
            "_links": links,
            "values": values,
        },
    )


def _date(services: Services, call: Call, moment: datetime) -> dict[str, Json]:
    zone = call.user.zone if call.user else None
    local = moment.astimezone(zone)
    return {
        "iso8601": f"{local:%Y-%m-%dT%H:%M:%S%z}",
        "jira": services.renderer(call).time(moment),
        "friendly": f"{local:%d/%b/%y %I:%M %p}",
        "epochMillis": int(moment.timestamp() * 1000),
    }


def _person(services: Services, call: Call, account_id: str | None) -> Json:
    """A user as this part of the site shows people: with the address, which agents may see here."""
    user = services.state.site.user(account_id)
    if user is None:
        return None
    return {
        "accountId": user.account_id,
        "emailAddress": user.email,
        "displayName": user.name,
        "active": user.active,
        "timeZone": user.time_zone,
        "_links": {"self": f"{call.base}/rest/api/2/user?accountId={user.account_id}"},
    }


def desks(services: Services, call: Call) -> Reply:
    return _page(call, [_desk(call, desk) for desk in _desks(services)])


def _desks(services: Services) -> list[tuple[str, str, str, str]]:
    return [(one.desk_id, one.id, one.key, one.name) for one in services.state.site.projects if one.desk_id is not None]


def _desk(call: Call, desk: tuple[str, str, str, str]) -> dict[str, Json]:
    desk_id, project_id, key, name = desk
    link = f"{call.base}/rest/servicedeskapi/servicedesk/{desk_id}"
    return {"id": desk_id, "projectId": project_id, "projectName": name, "projectKey": key, "_links": {"self": link}}


def desk(services: Services, call: Call) -> Reply:
    for one in _desks(services):
        if call.params["desk"] in (one[0], one[2]):
            return Reply(200, _desk(call, one))
    raise desk_refused(404, "Service Desk ID or Project Key does not exist.", "sd.error.servicedesk.not.found")


def organizations(services: Services, call: Call) -> Reply:
    account_id = call.one("accountId")
    return _page(
        call,
        [
            _organization(call, one)
            for one in services.state.site.organizations
            if not account_id or account_id in one.members
        ],
    )


def _organization(call: Call, one: Organization) -> dict[str, Json]:
    link = f"{call.base}/rest/servicedeskapi/organization/{one.id}"
    return {"id": one.id, "uuid": one.uuid, "name": one.name, "scimManaged": False, "_links": {"self": link}}


def _named_organization(services: Services, call: Call) -> Organization:
    for one in services.state.site.organizations:
        if one.id == call.params["organization"]:
            return one
    raise desk_refused(404, "The organization does not exist.", "sd.organization.error.not.found")  # unverified


def organization(services: Services, call: Call) -> Reply:
    return Reply(200, _organization(call, _named_organization(services, call)))


def organization_users(services: Services, call: Call) -> Reply:
    members = _named_organization(services, call).members
    return _page(call, [_person(services, call, account_id) for account_id in members])


def _request_issue(services: Services, call: Call) -> Issue:
    issue = services.state.seen(call.params["key"]) if call.user is not None else None
    if issue is None or services.state.project_of(issue).kind != "service_desk":
        raise desk_refused(
            404,
            "The request you are trying to access does not exist, or you don't have permission to see it.",
            "sd.request.error.not.found",
        )
    return issue


def request(services: Services, call: Call) -> Reply:
    issue = _request_issue(services, call)
    status = services.state.site.status(issue.status)
    project = services.state.project_of(issue)
    link = f"{call.base}/rest/servicedeskapi/request/{issue.id}"
    return Reply(
        200,
        {
            "_expands": [
                "participant",
                "status",
                "sla",
                "requestType",
                "serviceDesk",
                "attachment",
                "action",
                "comment",
            ],
            "issueId": str(issue.id),
            "issueKey": issue.key,
            "summary": issue.summary,
            "requestTypeId": "25",
            "serviceDeskId": project.desk_id,
            "createdDate": _date(services, call, issue.created),
            "reporter": _person(services, call, issue.values.get("reporter")),
            "requestFieldValues": [
                {"fieldId": "summary", "label": "Summary", "value": issue.summary},
                {
                    "fieldId": "description",
                    "label": "Description",
                    "value": adf.to_text(issue.values.get("description")),
                },
            ],
            "currentStatus": {
                "status": status.name,
                "statusCategory": status.category.key.upper(),
                "statusDate": _date(services, call, issue.category_changed),
            },
            "_links": {
                "self": link,
                "jiraRest": f"{call.base}/rest/api/2/issue/{issue.id}",
                "web": f"{call.base}/servicedesk/customer/portal/{project.desk_id}/{issue.key}",
                "agent": f"{call.base}/browse/{issue.key}",
            },
        },
    )


def request_comments(services: Services, call: Call) -> Reply:
    issue = _request_issue(services, call)
    public, internal = call.one("public", "true") == "true", call.one("internal", "true") == "true"
    shown = [comment for comment in issue.comments if (internal if comment.internal else public)]
    return _page(call, [_comment(services, call, issue, comment) for comment in shown])


def add_request_comment(services: Services, call: Call) -> Reply:
    """A comment in plain text, to the customer or among agents."""
    issue, body = _request_issue(services, call), call.object()
    text = body.get("body")
    if not isinstance(text, str) or not text:
        raise desk_refused(400, "Comment body can not be empty!", "sd.comment.error.body.empty")  # unverified
    internal = body.get("public") is not True  # that leaving it out means internal is unverified
    properties = [{"key": INTERNAL, "value": {"internal": True}}] if internal else []
    issue, comment = services.writer(call).comment(issue, adf.from_text(text), properties)
    return Reply(201, _comment(services, call, issue, comment))


def _comment(services: Services, call: Call, issue: Issue, comment: Comment) -> dict[str, Json]:
    link = f"{call.base}/rest/servicedeskapi/request/{issue.id}/comment/{comment.id}"
    return {
        "_expands": ["attachment", "renderedBody"],
        "id": str(comment.id),
        "body": adf.to_text(comment.body),
        "public": not comment.internal,
        "author": _person(services, call, comment.author),
        "created": _date(services, call, comment.created),
        "_links": {"self": link},
    }


PATHS: Final = (
    Path("GET", "/servicedesk", desks, _READ, kind="desk"),
    Path("GET", "/servicedesk/{desk}", desk, _READ, kind="desk"),
    Path("GET", "/servicedesk/{desk}/organization", organizations, _CUSTOMERS, kind="desk"),
    Path("GET", "/organization", organizations, _CUSTOMERS, kind="desk"),
    Path("GET", "/organization/{organization}", organization, _CUSTOMERS, kind="desk"),
    Path("GET", "/organization/{organization}/user", organization_users, _CUSTOMERS, kind="desk"),
    Path("GET", "/request/{key}", request, _READ, kind="desk"),
    Path("GET", "/request/{key}/comment", request_comments, _READ, kind="desk"),
    Path("POST", "/request/{key}/comment", add_request_comment, _WRITE, kind="desk"),
)
