"""The paths of single issues: create, read, edit, delete, transitions, history, properties, screens."""

import base64
import binascii
from typing import Any, Final

from cxbridge.sandbox.jira import catalogue
from cxbridge.sandbox.jira.paths import READ, WRITE, Path, Services
from cxbridge.sandbox.jira.records import Change, Issue
from cxbridge.sandbox.jira.render import edit_meta
from cxbridge.sandbox.jira.site import Project
from cxbridge.sandbox.jira.wire import Call, RefusedError, Reply, page, refused, strings, window
from cxbridge.sandbox.jira.workflow import transition

Json = Any

_NO_ERRORS: Final[Json] = {"errorMessages": [], "errors": {}}


def create(services: Services, call: Call) -> Reply:
    return Reply(201, _create(services, call, call.object()))


def _create(services: Services, call: Call, body: Json) -> dict[str, Json]:
    writer = services.writer(call)
    issue = writer.create(body)
    made: dict[str, Json] = {"id": str(issue.id), "key": issue.key, "self": call.rest(f"issue/{issue.id}")}
    if isinstance(body.get("transition"), dict):
        # The issue stands even if the transition is refused; only this part tells.
        try:
            transition(writer, issue, {"transition": body["transition"]})
            made["transition"] = {"status": 200, "errorCollection": _NO_ERRORS}
        except RefusedError as error:
            made["transition"] = {"status": error.status, "errorCollection": error.payload}
    return made


def create_many(services: Services, call: Call) -> Reply:
    """Up to 50 creates; the answer is a success if any of them was one."""
    wanted = call.object().get("issueUpdates")
    if not isinstance(wanted, list) or not 0 < len(wanted) <= 50:
        raise refused(400, "The number of issues must be between 1 and 50.")  # unverified wording
    made: list[Json] = []
    errors: list[Json] = []
    for number, body in enumerate(wanted):
        try:
            if not isinstance(body, dict):
                raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
            made.append(_create(services, call, body))
        except RefusedError as error:
            errors.append({"status": error.status, "elementErrors": error.payload, "failedElementNumber": number})
    return Reply(201 if made else 400, {"issues": made, "errors": errors})


def read(services: Services, call: Call) -> Reply:
    return Reply(
        200,
        services.renderer(call).issue(
            services.issue(call),
            call.many("fields"),
            default="*all",
            expand=call.expand(),
            properties=call.many("properties"),
        ),
    )


def edit(services: Services, call: Call) -> Reply:
    issue, writer = services.issue(call), services.writer(call)
    if call.one("notifyUsers", "true").lower() == "false" and not call.actor().admin:
        # Only administrators may keep watchers unnotified; the request of anybody else is ignored, without an error.
        writer.noop("issue.updated", issue, reason="notifyUsers=false needs an administrator")
    else:
        issue = writer.edit(issue, call.object())
    if call.flag("returnIssue"):
        return Reply(200, services.renderer(call).issue(issue, [], default="*all", expand=call.expand()))
    return Reply(204)


def delete(services: Services, call: Call) -> Reply:
    services.writer(call).delete(services.issue(call), call.flag("deleteSubtasks"))
    return Reply(204)


def assign(services: Services, call: Call) -> Reply:
    body = call.object()
    if "accountId" not in body:
        raise refused(400, errors={"assignee": "Specify a valid 'accountId'"})  # unverified wording
    services.writer(call).edit(services.issue(call), {"fields": {"assignee": {"accountId": body["accountId"]}}})
    return Reply(204)


def transitions(services: Services, call: Call) -> Reply:
    issue, renderer = services.issue(call), services.renderer(call)
    only = call.one("transitionId")
    return Reply(
        200,
        {
            "expand": "transitions",
            "transitions": [
                renderer.transition(one, issue, "transitions.fields" in call.expand())
                for one in services.state.site.transitions(issue.status)
                if only in ("", one.id)
            ],
        },
    )


def take_transition(services: Services, call: Call) -> Reply:
    transition(services.writer(call), services.issue(call), call.object())
    return Reply(204)


def changelog(services: Services, call: Call) -> Reply:
    issue, renderer = services.issue(call), services.renderer(call)
    return Reply(200, page(call, [renderer.change(change) for change in issue.history], default=100))


def bulk_changelog(services: Services, call: Call) -> Reply:
    """The histories of many issues, oldest change first, in pages counted by change."""
    body = call.object()
    wanted = strings(body.get("issueIdsOrKeys"), "issueIdsOrKeys", 1000)
    field_ids = set(strings(body.get("fieldIds"), "fieldIds", 10))
    size = body.get("maxResults", 1000)
    if not wanted or not isinstance(size, int) or not 1 <= size <= 10_000:
        raise refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    issues = {issue.id: issue for one in wanted if (issue := services.state.seen(one)) is not None}
    rows = sorted(
        (
            (change, issue)
            for issue in issues.values()
            for change in issue.history
            if not field_ids or any(item.field_id in field_ids for item in change.items)
        ),
        key=lambda row: (row[0].created, row[1].id, row[0].id),
    )
    start = _offset(body.get("nextPageToken"))
    shown = rows[start : start + size]
    answer: dict[str, Json] = {"issueChangeLogs": _by_issue(services, call, shown)}
    if start + size < len(rows):
        answer["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return Reply(200, answer)


def _by_issue(services: Services, call: Call, rows: list[tuple[Change, Issue]]) -> list[Json]:
    renderer = services.renderer(call)
    unit = 1000 if services.state.options.changelog_epoch == "milliseconds" else 1
    grouped: dict[int, list[Json]] = {}
    for change, issue in rows:
        # Unlike everywhere else the time is a number here.
        shown = renderer.change(change) | {"created": int(change.created.timestamp() * unit)}
        grouped.setdefault(issue.id, []).append(shown)
    return [{"issueId": str(issue_id), "changeHistories": changes} for issue_id, changes in grouped.items()]


def _offset(token: Json) -> int:
    if token in (None, ""):
        return 0
    try:
        return int(base64.urlsafe_b64decode(str(token)))
    except (binascii.Error, ValueError):
        raise refused(400, "The provided next page token is invalid.") from None  # unverified wording


def property_keys(services: Services, call: Call) -> Reply:
    issue = services.issue(call)
    keys = [{"self": call.rest(f"issue/{issue.id}/properties/{key}"), "key": key} for key in issue.properties]
    return Reply(200, {"keys": keys})


def _no_property(key: str) -> RefusedError:
    return refused(404, f"The property '{key}' does not exist.")  # unverified wording


def read_property(services: Services, call: Call) -> Reply:
    issue, key = services.issue(call), call.params["property"]
    if key not in issue.properties:
        raise _no_property(key)
    return Reply(200, {"key": key, "value": issue.properties[key]})


def set_property(services: Services, call: Call) -> Reply:
    if not call.has_body:
        raise refused(400, "The property value cannot be empty.")  # unverified wording
    _, new = services.writer(call).set_property(services.issue(call), call.params["property"], call.body)
    return Reply(201 if new else 200)


def delete_property(services: Services, call: Call) -> Reply:
    issue, key = services.issue(call), call.params["property"]
    if key not in issue.properties:
        raise _no_property(key)
    services.writer(call).delete_property(issue, key)
    return Reply(204)


def read_edit_meta(services: Services, call: Call) -> Reply:
    return Reply(200, edit_meta(services.renderer(call), services.issue(call)))


def _project(services: Services, call: Call) -> Project:
    project = services.state.site.project(call.params["project"])
    if project is None:
        raise refused(400, f"No project could be found with key '{call.params['project']}'.")  # unverified wording
    return project


def create_types(services: Services, call: Call) -> Reply:
    project, renderer = _project(services, call), services.renderer(call)
    types = [renderer.type(services.state.site.type(type_id)) for type_id in project.type_ids]
    return Reply(200, window(call, types, "issueTypes"))


def create_fields(services: Services, call: Call) -> Reply:
    project, renderer = _project(services, call), services.renderer(call)
    if call.params["type"] not in project.type_ids:
        raise refused(400, "The issue type selected is invalid.")  # unverified wording
    desk = project.kind == "service_desk"
    fields = [
        {**renderer.meta(field, project, create=True), "fieldId": field.id}
        for field in catalogue.FIELDS.values()
        if catalogue.on_screen(field.id, "c", desk) is not None
    ]
    return Reply(200, window(call, fields, "fields"))


PATHS: Final = (
    Path("POST", "/issue", create, WRITE),
    Path("POST", "/issue/bulk", create_many, WRITE),
    Path("GET", "/issue/createmeta/{project}/issuetypes", create_types),
    Path("GET", "/issue/createmeta/{project}/issuetypes/{type}", create_fields),
    Path("GET", "/issue/{key}", read, READ, "get-issue", guarded=False),
    Path("PUT", "/issue/{key}", edit, WRITE, guarded=False),
    Path("DELETE", "/issue/{key}", delete, WRITE, guarded=False),
    Path("PUT", "/issue/{key}/assignee", assign, WRITE, guarded=False),
    Path("GET", "/issue/{key}/transitions", transitions, guarded=False),
    Path("POST", "/issue/{key}/transitions", take_transition, WRITE, guarded=False),
    Path("GET", "/issue/{key}/editmeta", read_edit_meta, guarded=False),
    Path("GET", "/issue/{key}/changelog", changelog, READ, "get-changelog", guarded=False),
    Path("POST", "/changelog/bulkfetch", bulk_changelog),
    Path("GET", "/issue/{key}/properties", property_keys, guarded=False),
    Path("GET", "/issue/{key}/properties/{property}", read_property, guarded=False),
    Path("PUT", "/issue/{key}/properties/{property}", set_property, WRITE, guarded=False),
    Path("DELETE", "/issue/{key}/properties/{property}", delete_property, WRITE, guarded=False),
)
