"""What can be done to users and organizations: create, update, delete, match. Checks first; speaks no HTTP."""

from collections.abc import Mapping
from typing import Any

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.zendesk.entities import Organization, User
from cxbridge.sandbox.zendesk.errors import ApiError, not_found, record_invalid
from cxbridge.sandbox.zendesk.fields import clean_tags
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_ROLES = ("end-user", "agent", "admin")
_USER_TEXTS = ("name", "phone", "details", "notes", "time_zone", "locale")
_ORGANIZATION_TEXTS = ("name", "details", "notes")


def find_user(state: ZendeskState, ident: int) -> User:
    """Raises ApiError 404 if there was never such a user; deleted ones can still be read."""
    user = state.users.get(ident)
    if user is None:
        raise not_found()
    return user


def find_organization(state: ZendeskState, ident: int) -> Organization:
    organization = state.organizations.get(ident)
    if organization is None or organization.deleted is not None:
        raise not_found()
    return organization


def create_user(state: ZendeskState, actor: User | str, body: Mapping[str, Any], *, via: Via) -> User:
    """Add a user; one whose address is of an organization's domain joins that organization.

    Raises:
        ApiError: 422 if the name is missing or the address is taken.
    """
    email = _email(body)
    if not body.get("name"):
        raise record_invalid(name=("Name: is too short (minimum one characters)", "BlankValue"))
    if email and state.user_by_email(email) is not None:
        text = f"Email: {email} is already being used by another user"
        raise record_invalid(email=(text, "DuplicateValue"))
    values = _user_values(state, body)
    now = state.second()
    user = User(id=state.new_id(), name=str(body["name"]), email=email, created=now, updated=now)
    for name, value in values.items():
        setattr(user, name, value)
    if user.organization_id is None:
        user.organization_id = state.organization_of_domain(email)
    state.save_user(user)
    state.effect("user.created", user.id, actor, via, email=email, name=user.name, external_id=user.external_id)
    return user


def update_user(state: ZendeskState, actor: User, user: User, body: Mapping[str, Any], *, via: Via) -> None:
    """Change a user. A new address becomes a further identity and leaves the primary one alone.

    Raises:
        ApiError: 422 if the address belongs to another user.
    """
    email = _email(body)
    values = _user_values(state, body)
    if "fields" in values:
        values["fields"] = {**user.fields, **values["fields"]}
    if email and email not in (user.email, *user.other_emails):
        other = state.user_by_email(email)
        if other is not None and other is not user:
            raise record_invalid(email=(f"Email: {email} is already being used by another user", "DuplicateValue"))
        if user.email is None:
            values["email"] = email
        else:
            values["other_emails"] = [*user.other_emails, email]
    changed = {n: [getattr(user, n), v] for n, v in values.items() if getattr(user, n) != v}
    if not changed:
        state.effect("noop", user.id, actor, via, asked=sorted(body), record="user")
        return
    for name in changed:
        setattr(user, name, values[name])
    user.updated = state.second()
    state.save_user(user)
    state.effect("user.updated", user.id, actor, via, changes=changed)


def create_or_update_user(state: ZendeskState, actor: User, body: Mapping[str, Any], *, via: Via) -> tuple[User, bool]:
    """Match by external id, then by address; returns the user and whether it is new."""
    known = state.user_by_external_id(str(body["external_id"])) if body.get("external_id") else None
    email = _email(body)
    if known is None and email:
        known = state.user_by_email(email)
    if known is None:
        return create_user(state, actor, body, via=via), True
    update_user(state, actor, known, body, via=via)
    return known, False


def delete_user(state: ZendeskState, actor: User, user: User, *, via: Via) -> None:
    """Deactivate a user: it stays readable and exported with `active` false and without its address."""
    user.active = False
    user.updated = state.second()
    state.save_user(user)
    state.effect("user.deleted", user.id, actor, via)


def create_organization(state: ZendeskState, actor: User | str, body: Mapping[str, Any], *, via: Via) -> Organization:
    """Add an organization; its name is unique in the account.

    Raises:
        ApiError: 422.
    """
    name = str(body.get("name") or "").strip()
    if not name:
        raise record_invalid(name=("Name: cannot be blank", "BlankValue"))
    if state.organization_by_name(name) is not None:
        raise record_invalid(name=("Name: has already been taken", "DuplicateValue"))
    now = state.second()
    organization = Organization(id=state.new_id(), name=name, created=now, updated=now)
    for field, value in _organization_values(state, body).items():
        setattr(organization, field, value)
    state.save_organization(organization)
    state.effect("organization.created", organization.id, actor, via, name=name, external_id=organization.external_id)
    return organization


def update_organization(
    state: ZendeskState, actor: User, organization: Organization, body: Mapping[str, Any], *, via: Via
) -> None:
    values = _organization_values(state, body)
    if "fields" in values:
        values["fields"] = {**organization.fields, **values["fields"]}
    if "name" in values:
        other = state.organization_by_name(values["name"] or "")
        if other is not None and other is not organization:
            raise record_invalid(name=("Name: has already been taken", "DuplicateValue"))
    changed = {n: [getattr(organization, n), v] for n, v in values.items() if getattr(organization, n) != v}
    if not changed:
        state.effect("noop", organization.id, actor, via, asked=sorted(body), record="organization")
        return
    for name in changed:
        setattr(organization, name, values[name])
    organization.updated = state.second()
    state.save_organization(organization)
    state.effect("organization.updated", organization.id, actor, via, changes=changed)


def create_or_update_organization(
    state: ZendeskState, actor: User, body: Mapping[str, Any], *, via: Via
) -> tuple[Organization, bool]:
    """Match by id or external id and never by name, so a known name without them is refused as taken."""
    known: Organization | None = None
    if body.get("id"):
        known = find_organization(state, int(body["id"]))
    elif body.get("external_id"):
        known = state.organization_by_external_id(str(body["external_id"]))
    if known is None:
        return create_organization(state, actor, body, via=via), True
    update_organization(state, actor, known, body, via=via)
    return known, False


def delete_organization(state: ZendeskState, actor: User, organization: Organization, *, via: Via) -> None:
    """Remove an organization: only the export still shows it; its users belong to none."""
    now = state.second()
    organization.deleted = organization.updated = now
    state.save_organization(organization)
    for user in list(state.users.values()):
        if user.organization_id == organization.id:
            user.organization_id = None
            user.updated = now
            state.save_user(user)
    state.effect("organization.deleted", organization.id, actor, via)


def _email(body: Mapping[str, Any]) -> str | None:
    if not body.get("email"):
        return None
    email = str(body["email"]).strip().lower()
    if "@" not in email.strip("@"):
        raise record_invalid(email=f"Email: {email} is not properly formatted")
    return email


def _user_values(state: ZendeskState, body: Mapping[str, Any]) -> Json:
    values: Json = {name: body[name] for name in _USER_TEXTS if name in body and (name != "name" or body[name])}
    if body.get("role") is not None:
        if body["role"] not in _ROLES:
            raise record_invalid(role=f"Role: {body['role']} is not valid")
        values["role"] = body["role"]
    if "external_id" in body:
        values["external_id"] = None if body["external_id"] is None else str(body["external_id"])
    if "tags" in body:
        values["tags"] = clean_tags(body["tags"] or [])
    for name in ("suspended", "verified"):
        if name in body:
            values[name] = bool(body[name])
    if body.get("user_fields"):
        values["fields"] = dict(body["user_fields"])
    if body.get("organization_id") is not None:
        values["organization_id"] = find_organization(state, int(body["organization_id"])).id
    elif isinstance(body.get("organization"), Mapping):
        # Unlike on the organization endpoints, a name does match here.
        named = state.organization_by_name(str(body["organization"].get("name") or ""))
        if named is None:
            raise record_invalid(organization="Organization: is not valid")
        values["organization_id"] = named.id
    return values


def _organization_values(state: ZendeskState, body: Mapping[str, Any]) -> Json:
    values: Json = {name: body[name] for name in _ORGANIZATION_TEXTS if name in body}
    if "external_id" in body:
        values["external_id"] = None if body["external_id"] is None else str(body["external_id"])
    if "tags" in body:
        values["tags"] = clean_tags(body["tags"] or [])
    if "domain_names" in body:
        given = body["domain_names"] or []
        if not isinstance(given, list | str):
            raise ApiError(400, {"error": "InvalidValue", "description": "domain_names is not a list"})
        values["domain_names"] = given.split() if isinstance(given, str) else [str(name) for name in given]
    if body.get("organization_fields"):
        values["fields"] = dict(body["organization_fields"])
    if body.get("group_id") is not None and body["group_id"] in state.groups:
        values["group_id"] = body["group_id"]
    return values
