"""Every field an issue has: its name, schema, screens and clauses. Holds no values and parses none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Any

_TYPES: Final = "com.atlassian.jira.plugin.system.customfieldtypes"


@dataclass(frozen=True, slots=True)
class Field:
    """`kind` says how a value is read and shown; `screens` says where it can be set: c(reate), e(dit), t(ransition)."""

    id: str
    name: str
    kind: str
    type: str
    items: str = ""
    custom: str = ""
    screens: str = ""
    navigable: bool = True
    clauses: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    desk_only: bool = False

    @property
    def is_custom(self) -> bool:
        return bool(self.custom)

    @property
    def many(self) -> bool:
        return self.type == "array" and bool(self.screens)

    @property
    def operations(self) -> list[str]:
        return ["add", "set", "remove"] if self.many else ["set"]

    def schema(self) -> dict[str, Json]:
        schema: dict[str, Json] = {"type": self.type}
        if self.items:
            schema["items"] = self.items
        if self.custom:
            schema |= {"custom": self.custom, "customId": int(self.id.removeprefix("customfield_"))}
        else:
            schema["system"] = self.id
        return schema

    def clause_names(self) -> list[str]:
        if self.custom:
            return [f"cf[{self.id.removeprefix('customfield_')}]", self.name]
        return list(self.clauses)


FIELDS: Final[Mapping[str, Field]] = {
    field.id: field
    for field in (
        Field("statuscategorychangedate", "Status Category Changed", "computed", "datetime"),
        Field("issuetype", "Issue Type", "type", "issuetype", screens="ce", clauses=("issuetype", "type")),
        Field("parent", "Parent", "parent", "issuelink", screens="ce", clauses=("parent",)),
        Field("project", "Project", "project", "project", screens="c", clauses=("project",)),
        Field("fixVersions", "Fix versions", "versions", "array", "version", screens="ce", clauses=("fixVersion",)),
        Field("resolution", "Resolution", "resolution", "resolution", screens="t", clauses=("resolution",)),
        Field("resolutiondate", "Resolved", "computed", "datetime", clauses=("resolutiondate", "resolved")),
        Field("created", "Created", "computed", "datetime", clauses=("created", "createdDate")),
        Field("updated", "Updated", "computed", "datetime", clauses=("updated", "updatedDate")),
        Field("priority", "Priority", "priority", "priority", screens="ce", clauses=("priority",)),
        Field("labels", "Labels", "labels", "array", "string", screens="ce", clauses=("labels",)),
        Field(
            "versions", "Affects versions", "versions", "array", "version", screens="ce", clauses=("affectedVersion",)
        ),
        Field("assignee", "Assignee", "user", "user", screens="ce", clauses=("assignee",)),
        Field("reporter", "Reporter", "user", "user", screens="ce", clauses=("reporter",)),
        Field("creator", "Creator", "computed", "user", clauses=("creator",)),
        Field("status", "Status", "computed", "status", clauses=("status",)),
        Field("components", "Components", "components", "array", "component", screens="ce", clauses=("component",)),
        Field("summary", "Summary", "line", "string", screens="ce", clauses=("summary",)),
        Field("description", "Description", "document", "string", screens="ce", clauses=("description",)),
        Field("environment", "Environment", "document", "string", screens="ce", clauses=("environment",)),
        Field("duedate", "Due date", "date", "date", screens="ce", clauses=("due", "duedate")),
        Field("issuelinks", "Linked Issues", "computed", "array", "issuelinks", clauses=("issueLink",)),
        Field("subtasks", "Sub-tasks", "computed", "array", "issuelinks", clauses=("subtasks",)),
        Field("attachment", "Attachment", "computed", "array", "attachment", navigable=False, clauses=("attachments",)),
        Field("comment", "Comment", "computed", "comments-page", navigable=False, clauses=("comment",)),
        Field("votes", "Votes", "computed", "votes", clauses=("votes",)),
        Field("watches", "Watchers", "computed", "watches", clauses=("watchers",)),
        Field("security", "Security Level", "computed", "securitylevel", clauses=("level",)),
        Field(
            "customfield_10002",
            "Organizations",
            "organizations",
            "array",
            "sd-customerorganization",
            "com.atlassian.servicedesk:sd-customer-organizations",  # unverified: the type's exact name
            screens="ce",
            desk_only=True,
        ),
        Field(
            "customfield_10010",
            "Request Type",
            "computed",
            "sd-customerrequesttype",
            "",
            "com.atlassian.servicedesk:vp-origin",
            desk_only=True,
        ),
        Field("customfield_10031", "Affected customers", "number", "number", "", f"{_TYPES}:float", screens="ce"),
        Field(
            "customfield_10032",
            "Severity",
            "option",
            "option",
            "",
            f"{_TYPES}:select",
            screens="ce",
            options=(("10300", "SEV1"), ("10301", "SEV2"), ("10302", "SEV3")),
        ),
        Field("customfield_10033", "Root cause", "document", "string", "", f"{_TYPES}:textarea", screens="ce"),
        Field("customfield_10034", "Support tickets", "line", "string", "", f"{_TYPES}:textfield", screens="ce"),
    )
}


def on_screen(field_id: str, screen: str, desk: bool) -> Field | None:
    """The field, if it can be set on that screen of a project; None is the vendor's "not on the appropriate screen"."""
    field = FIELDS.get(field_id)
    if field is None or screen not in field.screens or (field.desk_only and not desk):
        return None
    return field


def wanted(names: list[str], default: str) -> list[Field]:
    """The fields a `fields` parameter selects: ids, `*all`, `*navigable`, a leading minus; unknown ones are ignored."""
    chosen: dict[str, Field] = {}
    plain = [name for name in names if not name.startswith("-")]
    for name in plain or [default]:
        if name == "*all":
            chosen |= FIELDS
        elif name == "*navigable":
            chosen |= {field.id: field for field in FIELDS.values() if field.navigable}
        elif name in FIELDS:
            chosen[name] = FIELDS[name]
    for name in names:
        if name.startswith("-"):
            chosen.pop(name[1:], None)
    return list(chosen.values())
