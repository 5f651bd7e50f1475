"""From what a caller sends for a field to what an issue keeps, and from two kept values to their line in the history.

Wordings follow the vendor where a source quotes them; the others are marked unverified. It changes no issue.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from cxbridge.sandbox.jira import adf
from cxbridge.sandbox.jira.catalogue import Field
from cxbridge.sandbox.jira.records import Issue, Item
from cxbridge.sandbox.jira.site import Project, Site

Json = Any

NOT_A_DOCUMENT: Final = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"


class FieldError(Exception):
    """The value of one field is refused; the text goes under that field's id."""


class BadInputError(Exception):
    """The request is refused as a whole; the text goes into `errorMessages`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a value is read against: the site, the project it will live in, the issues that exist, the API version."""

    site: Site
    project: Project
    find_issue: Callable[[object], Issue | None]
    version: int = 3


def parse(field: Field, value: Json, setting: Setting) -> Json:
    """The value to keep.

    Raises:
        FieldError: the value is refused.
        BadInputError: a document is malformed inside.
    """
    return _PARSERS[field.kind](field, value, setting)


def document(value: Json, version: int, refusal: str = NOT_A_DOCUMENT) -> Json:
    """A document from what version 3 (a document) or version 2 (text) callers send; None stays None.

    Raises:
        FieldError: it is of the wrong kind, with `refusal` as its text.
        BadInputError: it is malformed inside.
    """
    if value is None:
        return None
    if version == 2:
        if not isinstance(value, str):
            raise FieldError("Operation value must be a string")
        return adf.from_text(value) if value else None
    try:
        return adf.check(value)
    except adf.NotADocumentError:
        raise FieldError(refusal) from None
    except adf.InvalidInputError:
        raise BadInputError("INVALID_INPUT") from None
    except adf.TooLongError:
        # Unverified wording.
        raise FieldError("The entered text is too long. It exceeds the allowed limit of 32,767 characters.") from None


def _line(field: Field, value: Json, setting: Setting) -> str | None:
    if field.id != "summary" and value is None:
        return None
    if not isinstance(value, str):
        raise FieldError("Operation value must be a string" if value is not None else _NO_SUMMARY)
    if field.id == "summary" and not value.strip():
        raise FieldError(_NO_SUMMARY)
    if "\n" in value or "\r" in value:
        raise FieldError(f"The {field.name.lower()} is invalid because it contains newline characters.")
    if len(value) > 255:
        raise FieldError(f"{field.name} can't exceed 255 characters.")
    return value


_NO_SUMMARY: Final = "You must specify a summary of the issue."


def _document(field: Field, value: Json, setting: Setting) -> Json:
    return document(value, setting.version)


def _type(field: Field, value: Json, setting: Setting) -> str:
    wanted = _id_or_name(value)
    for kind in setting.site.types:
        if kind.id in setting.project.type_ids and wanted in (("id", kind.id), ("name", kind.name.casefold())):
            return kind.id
    if any(wanted in (("id", kind.id), ("name", kind.name.casefold())) for kind in setting.site.types):
        raise FieldError("The issue type selected is invalid.")
    raise FieldError("Specify a valid issue type")


def _priority(field: Field, value: Json, setting: Setting) -> str:
    wanted = _id_or_name(value)
    for priority in setting.site.priorities:
        if wanted in (("id", priority.id), ("name", priority.name.casefold())):
            return priority.id
    raise FieldError("Specify a valid 'id' or 'name' for priority")


def _resolution(field: Field, value: Json, setting: Setting) -> str | None:
    if value is None:
        return None
    wanted = _id_or_name(value)
    for resolution in setting.site.resolutions:
        if wanted in (("id", resolution.id), ("name", resolution.name.casefold())):
            return resolution.id
    raise FieldError("Specify a valid 'id' or 'name' for resolution")


def _user(field: Field, value: Json, setting: Setting) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise FieldError("data was not an object")
    account_id = value.get("accountId", value.get("id"))
    if account_id is None:
        if "id" in value or "accountId" in value:
            return None
        # Names and keys of people left the API in 2019; unverified wording.
        raise FieldError("Specify a valid 'accountId'")
    if account_id == "-1" and field.id == "assignee":
        return setting.project.lead
    user = setting.site.user(account_id)
    if user is None:
        raise FieldError(f"The {field.id} specified is not a user." if field.id == "reporter" else _no_user(account_id))
    if field.id == "assignee" and (not user.active or user.account_type != "atlassian"):
        raise FieldError(f"User '{account_id}' cannot be assigned issues.")
    return user.account_id


def _no_user(account_id: object) -> str:
    return f"User '{account_id}' does not exist."


def label(value: Json) -> str:
    """One label as kept.

    Raises:
        FieldError: it is no string, has white space or is too long.
    """
    if not isinstance(value, str) or not value:
        raise FieldError("string expected at index 0")
    if re.search(r"\s", value):
        raise FieldError(f"The label '{value}' contains spaces which is invalid.")
    if len(value) > 255:
        raise FieldError("The label exceeds the limit of 255 characters.")
    return value


def _labels(field: Field, value: Json, setting: Setting) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    # The site keeps labels as a set and shows them sorted.
    return tuple(sorted({label(one) for one in value}))


def _named(field: Field, value: Json, setting: Setting) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    known = setting.project.components if field.kind == "components" else setting.project.versions
    kept: list[str] = []
    for one in value:
        wanted = _id_or_name(one)
        found = next(
            (named.id for named in known if wanted in (("id", named.id), ("name", named.name.casefold()))), None
        )
        if found is None:
            raise FieldError(f"{field.name} name '{wanted[1]}' is not valid")
        if found not in kept:
            kept.append(found)
    return tuple(kept)


def _organizations(field: Field, value: Json, setting: Setting) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FieldError("data was not an array")
    known = {organization.id for organization in setting.site.organizations}
    ids = [str(one.get("id") if isinstance(one, dict) else one) for one in value]
    for wrong in (one for one in ids if one not in known):
        raise FieldError(f"Organization '{wrong}' does not exist.")
    return tuple(dict.fromkeys(ids))


def _date(field: Field, value: Json, setting: Setting) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise FieldError(f"Error parsing date string: {value}") from None


def _parent(field: Field, value: Json, setting: Setting) -> int | None:
    if value is None:
        return None
    reference = value.get("id", value.get("key")) if isinstance(value, dict) else None
    parent = setting.find_issue(reference)
    if parent is None:
        raise FieldError("Could not find issue by id or key.")
    return parent.id


def _number(field: Field, value: Json, setting: Setting) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FieldError("Operation value must be a number")
    return float(value)


def _option(field: Field, value: Json, setting: Setting) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise FieldError("Specify a valid 'id' or 'name' for " + field.name)
    for option_id, name in field.options:
        if str(value.get("id")) == option_id or value.get("value") == name:
            return option_id
    raise FieldError(f"Option id '{value.get('id', value.get('value'))}' is not valid")


def _id_or_name(value: Json) -> tuple[str, str]:
    if isinstance(value, dict):
        if value.get("id") is not None:
            return "id", str(value["id"])
        if isinstance(value.get("name"), str):
            return "name", value["name"].casefold()
    return "none", str(value)


_PARSERS: Final[Mapping[str, Callable[[Field, Json, Setting], Json]]] = {
    "line": _line,
    "document": _document,
    "type": _type,
    "priority": _priority,
    "resolution": _resolution,
    "user": _user,
    "labels": _labels,
    "components": _named,
    "versions": _named,
    "organizations": _organizations,
    "date": _date,
    "parent": _parent,
    "number": _number,
    "option": _option,
}


def operate(field: Field, current: Json, operations: Json, setting: Setting) -> Json:
    """The value after an `update` entry: `[{"add": x}, {"remove": y}]` or `[{"set": z}]`, in order.

    Raises:
        FieldError: an operation or its value is refused.
        BadInputError: a document is malformed inside.
    """
    if not isinstance(operations, list):
        raise FieldError("data was not an array")
    for operation in operations:
        if not isinstance(operation, dict) or len(operation) != 1:
            raise FieldError("Operation must be an object with one verb")
        ((verb, value),) = operation.items()
        if verb not in field.operations:
            raise FieldError(f"Field with id '{field.id}' and name '{field.name}' does not support operation '{verb}'")
        if verb == "set":
            current = parse(field, value, setting)
            continue
        changed: Sequence[str] = parse(field, [value], setting)
        kept = list(current or ())
        if verb == "add":
            kept += [one for one in changed if one not in kept]
        else:
            kept = [one for one in kept if one not in changed]
        current = tuple(sorted(kept)) if field.kind == "labels" else tuple(kept)
    return current


def history(
    field: Field, before: Json, after: Json, site: Site, find_issue: Callable[[object], Issue | None]
) -> list[Item]:
    """What the history says of a field that went from one kept value to another."""
    if field.kind in ("components", "versions"):
        return _set_history(field, before or (), after or (), site)
    old, new = _shown(field, before, site, find_issue), _shown(field, after, site, find_issue)
    name = "IssueParentAssociation" if field.kind == "parent" else field.name if field.is_custom else field.id
    return [Item(name, field.id, old[0], old[1], new[0], new[1], field.is_custom)]


def _set_history(field: Field, before: Sequence[str], after: Sequence[str], site: Site) -> list[Item]:
    names = {named.id: named.name for project in site.projects for named in (*project.components, *project.versions)}
    title = {"components": "Component", "fixVersions": "Fix Version"}.get(field.id, "Version")
    gone = [Item(title, field.id, one, names[one], None, None) for one in before if one not in after]
    come = [Item(title, field.id, None, None, one, names[one]) for one in after if one not in before]
    return gone + come


def _shown(
    field: Field, value: Json, site: Site, find_issue: Callable[[object], Issue | None]
) -> tuple[str | None, str | None]:
    if field.kind in ("labels", "organizations"):
        return None, " ".join(value or ())
    if value is None:
        return None, None
    if field.kind == "user":
        user = site.user(value)
        return value, user.name if user else value
    if field.kind == "parent":
        parent = find_issue(value)
        return str(value), parent.key if parent else None
    if field.kind == "document":
        return None, adf.to_text(value)
    if field.kind == "option":
        return value, dict(field.options)[value]
    if field.kind == "priority":
        return value, site.priority(value).name
    if field.kind == "type":
        return value, site.type(value).name
    return (value if field.kind == "date" else None), str(value)
