"""The endpoints of users, their identities and memberships, and of organizations."""

from collections.abc import Sequence

from cxbridge.sandbox.zendesk import people, render, search
from cxbridge.sandbox.zendesk.call import Call, Reply, Route
from cxbridge.sandbox.zendesk.entities import Organization, User
from cxbridge.sandbox.zendesk.errors import ApiError, forbidden, too_many_values
from cxbridge.sandbox.zendesk.paging import SortKey, listing
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_USER_SORTS: dict[str, SortKey] = {"updated_at": lambda row: row.updated, "name": lambda row: row.name}

# What `/users/me` answers to anyone without valid credentials, so that a 200 there proves nothing.
ANONYMOUS: Json = {
    "user": {
        "id": None,
        "url": None,
        "name": "Anonymous user",
        "email": "invalid@example.com",
        "role": "end-user",
        "active": False,
        "verified": False,
        "organization_id": None,
        "external_id": None,
        "tags": [],
        "user_fields": {},
        "locale": "en-US",
    }
}


def beside(state: ZendeskState, rows: Sequence[User], includes: set[str]) -> Json:
    """What `include` adds beside a page of users."""
    if "organizations" not in includes:
        return {}
    ids = {user.organization_id for user in rows if user.organization_id is not None}
    return {"organizations": [render.organization(state, state.organizations[ident]) for ident in sorted(ids)]}


def _user_list(call: Call, rows: Sequence[User]) -> Reply:
    includes = call.includes()
    return listing(
        call,
        "users",
        rows,
        lambda row: render.user(call.state, row),
        sorts=_USER_SORTS,
        sideload=lambda page: beside(call.state, page, includes),
    )


def _users(call: Call) -> Reply:
    roles = [*call.query.getlist("role[]"), *call.query.getlist("role")]
    external_id = call.query.get("external_id")
    if external_id is not None:
        found = call.state.user_by_external_id(external_id)
        return _user_list(call, [found] if found else [])
    return _user_list(call, [u for u in call.state.users.values() if u.active and (not roles or u.role in roles)])


def _me(call: Call) -> Reply:
    return Reply(content={"user": render.user(call.state, call.actor)})


def _show(call: Call) -> Reply:
    user = people.find_user(call.state, call.ident())
    return Reply(content={"user": render.user(call.state, user), **beside(call.state, [user], call.includes())})


def _show_many(call: Call) -> Reply:
    ids = call.ids()
    if len(ids) > 100:
        raise too_many_values(100)
    rows = [call.state.users[ident] for ident in ids if ident in call.state.users]
    for name in (call.query.get("external_ids") or "").split(","):
        found = call.state.user_by_external_id(name) if name else None
        rows += [found] if found else []
    return Reply(
        content={"users": [render.user(call.state, row) for row in rows], "next_page": None, "count": len(rows)}
    )


def _count(call: Call) -> Reply:
    value = sum(user.active for user in call.state.users.values())
    return Reply(content={"count": {"value": value, "refreshed_at": render.iso(call.state.second())}})


def _search(call: Call) -> Reply:
    external_id = call.query.get("external_id")
    if external_id is not None:
        # Asks the table and not the index, so it sees a new user at once.
        found = call.state.user_by_external_id(external_id)
        return _user_list(call, [found] if found else [])
    query = call.query.get("query")
    if query is None:
        raise ApiError(400, {"error": "InvalidParameters", "description": "query or external_id is required"})
    return _user_list(call, search.users(call.state, query))


def _create(call: Call) -> Reply:
    user = people.create_user(call.state, call.actor, call.part("user"), via="api")
    return _saved_user(call, user, new=True)


def _create_or_update(call: Call) -> Reply:
    user, new = people.create_or_update_user(call.state, call.actor, call.part("user"), via="api")
    return _saved_user(call, user, new=new)


def _saved_user(call: Call, user: User, *, new: bool) -> Reply:
    headers = {"location": call.state.url(f"/users/{user.id}.json")} if new else {}
    return Reply(201 if new else 200, {"user": render.user(call.state, user)}, headers)


def _update(call: Call) -> Reply:
    user = people.find_user(call.state, call.ident())
    people.update_user(call.state, call.actor, user, call.part("user"), via="api")
    return Reply(content={"user": render.user(call.state, user)})


def _delete(call: Call) -> Reply:
    user = people.find_user(call.state, call.ident())
    if user is call.actor:
        raise forbidden()
    people.delete_user(call.state, call.actor, user, via="api")
    return Reply(content={"user": render.user(call.state, user)})


def _identities(call: Call) -> Reply:
    user = people.find_user(call.state, call.ident())
    return listing(call, "identities", render.identities(call.state, user), dict)


def _memberships(call: Call) -> Reply:
    rows = [_membership(call.state, user) for user in call.state.users.values() if user.organization_id is not None]
    if "id" in call.params:
        owner = call.ident()
        rows = [row for row in rows if owner in (row["user_id"], row["organization_id"])]
    return listing(call, "organization_memberships", rows, dict)


def _membership(state: ZendeskState, user: User) -> Json:
    organization = state.organizations[user.organization_id or 0]
    return {
        # A membership is derived from its user here, so its id is as well.
        "id": user.id + 2,
        "user_id": user.id,
        "organization_id": organization.id,
        "default": True,
        "organization_name": organization.name,
        "view_tickets": False,
        "created_at": render.iso(user.created),
        "updated_at": render.iso(user.updated),
    }


def _organization_list(call: Call, rows: Sequence[Organization]) -> Reply:
    return listing(call, "organizations", rows, lambda row: render.organization(call.state, row))


def _organizations(call: Call) -> Reply:
    return _organization_list(call, [o for o in call.state.organizations.values() if o.deleted is None])


def _organization_search(call: Call) -> Reply:
    external_id, name = call.query.get("external_id"), call.query.get("name")
    if external_id is not None:
        found = call.state.organization_by_external_id(external_id)
    elif name is not None:
        found = call.state.organization_by_name(name)
    else:
        raise ApiError(400, {"error": "InvalidParameters", "description": "external_id or name is required"})
    return _organization_list(call, [found] if found else [])


def _organization(call: Call) -> Reply:
    found = people.find_organization(call.state, call.ident())
    return Reply(content={"organization": render.organization(call.state, found)})


def _organizations_many(call: Call) -> Reply:
    rows = [o for ident in call.ids() if (o := call.state.organizations.get(ident)) and o.deleted is None]
    shown = [render.organization(call.state, row) for row in rows]
    return Reply(content={"organizations": shown, "next_page": None, "count": len(rows)})


def _organization_count(call: Call) -> Reply:
    value = sum(o.deleted is None for o in call.state.organizations.values())
    return Reply(content={"count": {"value": value, "refreshed_at": render.iso(call.state.second())}})


def _create_organization(call: Call) -> Reply:
    created = people.create_organization(call.state, call.actor, call.part("organization"), via="api")
    return _saved_organization(call, created, new=True)


def _create_or_update_organization(call: Call) -> Reply:
    body = call.part("organization")
    saved, new = people.create_or_update_organization(call.state, call.actor, body, via="api")
    return _saved_organization(call, saved, new=new)


def _saved_organization(call: Call, saved: Organization, *, new: bool) -> Reply:
    headers = {"location": call.state.url(f"/organizations/{saved.id}.json")} if new else {}
    return Reply(201 if new else 200, {"organization": render.organization(call.state, saved)}, headers)


def _update_organization(call: Call) -> Reply:
    found = people.find_organization(call.state, call.ident())
    people.update_organization(call.state, call.actor, found, call.part("organization"), via="api")
    return Reply(content={"organization": render.organization(call.state, found)})


def _delete_organization(call: Call) -> Reply:
    found = people.find_organization(call.state, call.ident())
    people.delete_organization(call.state, call.actor, found, via="api")
    return Reply(204)


def _organization_users(call: Call) -> Reply:
    found = people.find_organization(call.state, call.ident())
    return _user_list(call, [u for u in call.state.users.values() if u.active and u.organization_id == found.id])


ROUTES = (
    Route("GET", "/users", _users),
    Route("GET", "/users/me", _me),
    Route("GET", "/users/count", _count),
    Route("GET", "/users/search", _search),
    Route("GET", "/users/show_many", _show_many),
    Route("POST", "/users/create_or_update", _create_or_update),
    Route("GET", "/users/{id}", _show),
    Route("POST", "/users", _create),
    Route("PUT", "/users/{id}", _update),
    Route("DELETE", "/users/{id}", _delete),
    Route("GET", "/users/{id}/identities", _identities),
    Route("GET", "/users/{id}/organization_memberships", _memberships),
    Route("GET", "/organization_memberships", _memberships),
    Route("GET", "/organizations", _organizations),
    Route("GET", "/organizations/count", _organization_count),
    Route("GET", "/organizations/search", _organization_search),
    Route("GET", "/organizations/show_many", _organizations_many),
    Route("POST", "/organizations/create_or_update", _create_or_update_organization),
    Route("GET", "/organizations/{id}", _organization),
    Route("POST", "/organizations", _create_organization),
    Route("PUT", "/organizations/{id}", _update_organization),
    Route("DELETE", "/organizations/{id}", _delete_organization),
    Route("GET", "/organizations/{id}/users", _organization_users),
    Route("GET", "/organizations/{id}/organization_memberships", _memberships),
)
