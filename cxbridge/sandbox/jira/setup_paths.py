"""The paths that show how the site is set up: people, projects, types, statuses, fields. They change nothing."""

from collections.abc import Sequence
from typing import Any, Final

from cxbridge.sandbox.jira.catalogue import FIELDS
from cxbridge.sandbox.jira.paths import PEOPLE, Path, Services
from cxbridge.sandbox.jira.site import CATEGORIES, Project, User
from cxbridge.sandbox.jira.wire import Call, Reply, page, refused

Json = Any


def server_info(services: Services, call: Call) -> Reply:
    renderer = services.renderer(call)
    return Reply(
        200,
        {
            "baseUrl": call.base,
            "displayUrl": call.base,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100291,
            "buildDate": renderer.time(call.now),
            "serverTime": renderer.time(call.now),
            "scmInfo": "sandbox",
            "serverTitle": services.state.site.title,
            "serverTimeZone": "Etc/UTC",
            "defaultLocale": {"locale": "en_US"},
        },
    )


def myself(services: Services, call: Call) -> Reply:
    empty = {"size": 0, "items": []}
    shown = services.renderer(call).person(call.actor())
    shown |= {"locale": "en_US", "groups": empty, "applicationRoles": empty, "expand": "groups,applicationRoles"}
    return Reply(200, shown)


# people


def user(services: Services, call: Call) -> Reply:
    found = services.state.site.user(call.one("accountId"))
    if found is None:
        raise refused(
            404, f"Specified user does not exist or you do not have required permissions: {call.one('accountId')}"
        )
    return Reply(200, services.renderer(call).person(found))


def users_in_bulk(services: Services, call: Call) -> Reply:
    wanted = [value for key, value in call.query if key == "accountId"]
    if not wanted:
        raise refused(400, "The parameter 'accountId' is required.")  # unverified wording
    renderer = services.renderer(call)
    found = [renderer.person(one) for account_id in wanted if (one := services.state.site.user(account_id)) is not None]
    return Reply(200, page(call, found, default=10, cap=200))


def user_search(services: Services, call: Call) -> Reply:
    """People by a part of their name, or of an e-mail address that the caller may see."""
    query, account_id = call.one("query").casefold(), call.one("accountId")
    if not query and not account_id:
        raise refused(400, "The query parameters 'accountId', 'query' or 'property' must be provided.")  # unverified

    def fits(one: User) -> bool:
        if account_id:
            return one.account_id == account_id
        address = one.email.casefold() if one.email_visible or one == call.user else ""
        return query in one.name.casefold() or (bool(address) and query in address)

    return _people(services, call, [one for one in services.state.users.values() if one.active and fits(one)])


def all_users(services: Services, call: Call) -> Reply:
    """Everybody, the inactive and the apps included."""
    return _people(services, call, list(services.state.users.values()))


def assignable(services: Services, call: Call) -> Reply:
    query = call.one("query").casefold()
    able = [one for one in services.state.users.values() if one.active and one.account_type == "atlassian"]
    return _people(services, call, [one for one in able if query in one.name.casefold()])


def _people(services: Services, call: Call, found: Sequence[User]) -> Reply:
    renderer = services.renderer(call)
    start, size = max(call.number("startAt", 0), 0), max(min(call.number("maxResults", 50), 1000), 0)
    return Reply(200, [renderer.person(one) for one in found[start : start + size]])


# projects


def _details(services: Services, call: Call, project: Project) -> dict[str, Json]:
    renderer = services.renderer(call)
    return {
        **renderer.project(project),
        "expand": "description,lead,issueTypes,url,projectKeys,permissions,insight",
        "style": "classic",
        "isPrivate": False,
        "properties": {},
    }


def _whole(services: Services, call: Call, project: Project) -> dict[str, Json]:
    renderer, site = services.renderer(call), services.state.site
    return {
        **_details(services, call, project),
        "description": "",
        "lead": renderer.user(project.lead),
        "components": renderer.named("component", [one.id for one in project.components], project),
        "versions": renderer.named("version", [one.id for one in project.versions], project),
        "issueTypes": [renderer.type(site.type(type_id)) for type_id in project.type_ids],
        "assigneeType": "UNASSIGNED",
        "roles": {},
    }


def projects(services: Services, call: Call) -> Reply:
    return Reply(200, [_details(services, call, project) for project in services.state.site.projects])


def project_search(services: Services, call: Call) -> Reply:
    """A page of projects; an anonymous caller sees none, without an error."""
    query, keys, ids = call.one("query").casefold(), call.many("keys"), call.many("id")
    found = [
        project
        for project in services.state.site.projects
        if call.user is not None
        and (not query or query in project.key.casefold() or query in project.name.casefold())
        and (not keys or project.key in keys)
        and (not ids or project.id in ids)
        and call.one("typeKey", project.kind) == project.kind
    ]
    order = call.one("orderBy", "key")
    found.sort(key=lambda one: one.name if order.lstrip("+- ") == "name" else one.key, reverse=order.startswith("-"))
    return Reply(200, page(call, [_details(services, call, project) for project in found]))


def _project(services: Services, call: Call) -> Project:
    found = services.state.site.project(call.params["project"])
    if found is None:
        raise refused(404, f"No project could be found with key '{call.params['project']}'.")
    return found


def project(services: Services, call: Call) -> Reply:
    return Reply(200, _whole(services, call, _project(services, call)))


def project_statuses(services: Services, call: Call) -> Reply:
    found, renderer, site = _project(services, call), services.renderer(call), services.state.site
    statuses = [renderer.status(status) for status in site.statuses]
    kinds = [site.type(type_id) for type_id in found.type_ids]
    return Reply(
        200,
        [
            {
                "self": call.rest(f"issuetype/{kind.id}"),
                "id": kind.id,
                "name": kind.name,
                "subtask": kind.subtask,
                "statuses": statuses,
            }
            for kind in kinds
        ],
    )


# types, statuses, priorities, resolutions


def types(services: Services, call: Call) -> Reply:
    return Reply(200, [services.renderer(call).type(kind) for kind in services.state.site.types])


def types_of_project(services: Services, call: Call) -> Reply:
    found = services.state.site.project(call.one("projectId"))
    if found is None:
        raise refused(404, f"No project could be found with id '{call.one('projectId')}'.")
    return Reply(200, [services.renderer(call).type(services.state.site.type(one)) for one in found.type_ids])


def statuses(services: Services, call: Call) -> Reply:
    return Reply(200, [services.renderer(call).status(status) for status in services.state.site.statuses])


def status(services: Services, call: Call) -> Reply:
    for one in services.state.site.statuses:
        if call.params["status"] in (one.id, one.name):
            return Reply(200, services.renderer(call).status(one))
    raise refused(404, f"The status '{call.params['status']}' does not exist.")  # unverified wording


def status_search(services: Services, call: Call) -> Reply:
    """The administrator's list, where a category is a word and not an object."""
    if not call.actor().admin:
        raise refused(403, "You are not authorized to perform this action. Administrator privileges are required.")
    wanted, text = call.one("statusCategory"), call.one("searchString").casefold()
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "statusCategory": one.category.enum,
            "scope": {"type": "GLOBAL"},
            "description": "",
        }
        for one in services.state.site.statuses
        if wanted in ("", one.category.enum) and text in one.name.casefold()
    ]
    return Reply(200, page(call, rows, default=200, cap=200))


def categories(services: Services, call: Call) -> Reply:
    return Reply(200, [services.renderer(call).category(category) for category in CATEGORIES])


def _priorities(services: Services, call: Call) -> list[Json]:
    renderer = services.renderer(call)
    return [
        {**renderer.priority(one), "description": "", "statusColor": one.colour}
        for one in services.state.site.priorities
    ]


def priorities(services: Services, call: Call) -> Reply:
    return Reply(200, _priorities(services, call))


def priority_search(services: Services, call: Call) -> Reply:
    wanted = call.many("id")
    rows = [
        {**row, "isDefault": row["id"] == "3"}
        for row in _priorities(services, call)
        if (not wanted or row["id"] in wanted) and call.one("priorityName").casefold() in row["name"].casefold()
    ]
    return Reply(200, page(call, rows))


def resolutions(services: Services, call: Call) -> Reply:
    return Reply(200, _resolutions(services, call))


def resolution_search(services: Services, call: Call) -> Reply:
    return Reply(200, page(call, _resolutions(services, call)))


def _resolutions(services: Services, call: Call) -> list[Any]:
    return [services.renderer(call).resolution(one.id) for one in services.state.site.resolutions]


# fields and labels


def fields(services: Services, call: Call) -> Reply:
    rows: list[Json] = [
        {
            "id": "issuekey",
            "key": "issuekey",
            "name": "Key",
            "custom": False,
            "orderable": False,
            "navigable": True,
            "searchable": False,
            "clauseNames": ["id", "issue", "issuekey", "key"],
        }
    ]
    for field in FIELDS.values():
        row: dict[str, Json] = {
            "id": field.id,
            "key": field.id,
            "name": field.name,
            "custom": field.is_custom,
            "orderable": bool(field.screens),
            "navigable": field.navigable,
            "searchable": True,
            "clauseNames": field.clause_names(),
            "schema": field.schema(),
        }
        if field.is_custom:
            row["untranslatedName"] = field.name
        rows.append(row)
    return Reply(200, rows)


def field_search(services: Services, call: Call) -> Reply:
    kinds, ids, query = call.many("type"), call.many("id"), call.one("query").casefold()
    rows = [
        {"id": field.id, "key": field.id, "name": field.name, "schema": field.schema(), "description": ""}
        for field in FIELDS.values()
        if (not kinds or ("custom" if field.is_custom else "system") in kinds)
        and (not ids or field.id in ids)
        and query in field.name.casefold()
    ]
    return Reply(200, page(call, rows))


def labels(services: Services, call: Call) -> Reply:
    found = {label for issue in services.state.issues() for label in issue.labels}
    return Reply(200, page(call, sorted(found), default=1000, cap=1000))


PATHS: Final = (
    Path("GET", "/serverInfo", server_info, guarded=False),
    Path("GET", "/myself", myself, PEOPLE),
    Path("GET", "/user", user, PEOPLE, "get-user"),
    Path("GET", "/user/bulk", users_in_bulk, PEOPLE),
    Path("GET", "/user/search", user_search, PEOPLE),
    Path("GET", "/user/assignable/search", assignable, PEOPLE),
    Path("GET", "/users/search", all_users, PEOPLE),
    Path("GET", "/users", all_users, PEOPLE),
    Path("GET", "/project", projects),
    Path("GET", "/project/search", project_search, guarded=False),
    Path("GET", "/project/{project}", project),
    Path("GET", "/project/{project}/statuses", project_statuses),
    Path("GET", "/issuetype", types),
    Path("GET", "/issuetype/project", types_of_project),
    Path("GET", "/status", statuses),
    Path("GET", "/status/{status}", status),
    Path("GET", "/statuses/search", status_search),
    Path("GET", "/statuscategory", categories),
    Path("GET", "/priority", priorities),
    Path("GET", "/priority/search", priority_search),
    Path("GET", "/resolution", resolutions),
    Path("GET", "/resolution/search", resolution_search),
    Path("GET", "/field", fields),
    Path("GET", "/field/search", field_search),
    Path("GET", "/label", labels),
)
