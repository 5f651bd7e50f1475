"""Jira's JSON as types, decoded straight from the bytes; no I/O and no meaning.

`developer.atlassian.com/cloud/jira/platform/rest/v3/`. Nearly everything is optional: webhooks, servers and thin
copies of an issue leave out what a search always brings, and a field that cannot be read costs only its own record.
"""

from typing import Any

import msgspec

Json = Any
# Ids are texts in v3; remote links, attachments and old servers give some as numbers.
Id = str | int


class User(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`account_id` is missing only on servers; `email_address` depends on privacy settings and our rights."""

    account_id: str | None = None
    account_type: str | None = None
    display_name: str | None = None
    email_address: str | None = None
    active: bool = True
    time_zone: str | None = None


class Named(msgspec.Struct, frozen=True, gc=False):
    """Whatever has an id and a name: priority, resolution, component, security level."""

    id: Id | None = None
    name: str | None = None


class StatusCategory(msgspec.Struct, frozen=True, gc=False):
    key: str | None = None


class Status(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`status_category` is missing on servers before 6.2."""

    id: Id | None = None
    name: str | None = None
    status_category: StatusCategory | None = None


class IssueType(msgspec.Struct, frozen=True, gc=False):
    id: Id | None = None
    name: str | None = None
    subtask: bool = False


class Project(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`project_type_key` is software, service_desk or business."""

    id: Id | None = None
    key: str | None = None
    name: str | None = None
    project_type_key: str | None = None


class Parent(msgspec.Struct, frozen=True, gc=False):
    id: Id | None = None
    key: str | None = None


class Attachment(msgspec.Struct, frozen=True, rename="camel", gc=False):
    id: Id
    filename: str = ""
    mime_type: str | None = None
    size: int | None = None
    content: str | None = None


class Visibility(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    value: str | None = None


class Property(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: Json = None


class Comment(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`properties` come only when asked for, and are then a list even if empty."""

    id: Id
    body: Json = None
    author: User | None = None
    update_author: User | None = None
    created: str | None = None
    updated: str | None = None
    jsd_public: bool | None = None
    visibility: Visibility | None = None
    properties: list[Property] | None = None


class Comments(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A page of comments, and the shape of an issue's `comment` field, which may hold fewer than `total`."""

    comments: list[msgspec.Raw] = []
    total: int | None = None
    start_at: int = 0


class Fields(msgspec.Struct, frozen=True, gc=False):
    """The system fields of an issue that are asked for; custom ones are read beside it."""

    summary: str | None = None
    description: Json = None
    environment: Json = None
    issuetype: IssueType | None = None
    status: Status | None = None
    priority: Named | None = None
    resolution: Named | None = None
    project: Project | None = None
    reporter: User | None = None
    creator: User | None = None
    assignee: User | None = None
    labels: list[str] | None = None
    components: list[Named] | None = None
    parent: Parent | None = None
    attachment: list[Attachment] | None = None
    # A level's object in v3, its bare id in some webhooks.
    security: Json = None
    created: str | None = None
    updated: str | None = None
    resolutiondate: str | None = None
    duedate: str | None = None
    comment: Comments | None = None


class Change(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One field in an entry of the changelog: ids in `from` and `to`, names beside them. Links have no `field_id`."""

    field: str | None = None
    fieldtype: str | None = None
    field_id: str | None = None
    from_: Id | None = msgspec.field(default=None, name="from")
    from_string: str | None = None
    to: Id | None = None
    to_string: str | None = None


class History(msgspec.Struct, frozen=True, gc=False):
    """One entry of the changelog; `created` is an epoch number in the bulk form."""

    id: Id | None = None
    author: User | None = None
    created: str | int | None = None
    items: list[Change] = []


class Changelog(msgspec.Struct, frozen=True, gc=False):
    """The expanded form, which may hold fewer entries than `total`."""

    histories: list[History] = []
    total: int | None = None


class FieldSchema(msgspec.Struct, frozen=True, gc=False):
    """`custom` names the kind of a custom field, such as `…customfieldtypes:textarea`."""

    type: str | None = None
    items: str | None = None
    custom: str | None = None


class FieldMeta(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a screen offers for one field."""

    field_id: str | None = None
    key: str | None = None
    name: str | None = None
    required: bool = False
    has_default_value: bool = False
    schema: FieldSchema = msgspec.field(default_factory=FieldSchema)
    allowed_values: list[Json] | None = None


class EditMeta(msgspec.Struct, frozen=True, gc=False):
    fields: dict[str, FieldMeta] = {}


class Issue(msgspec.Struct, frozen=True, gc=False):
    """`changelog`, `properties` and `editmeta` come only when asked for."""

    id: Id
    key: str | None = None
    fields: Fields = msgspec.field(default_factory=Fields)
    changelog: Changelog | None = None
    properties: dict[str, Json] | None = None
    editmeta: EditMeta | None = None


class Identified(msgspec.Struct, frozen=True, gc=False):
    """The same issue, as far as its id."""

    id: Id


class AnyFields(msgspec.Struct, frozen=True, gc=False):
    """The same issue, every field as plain JSON: how fields with an alias are read."""

    fields: dict[str, Json] = {}


class SearchPage(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The token is absent on the last page; there is no total. An answer without `issues` is none: not even an empty page."""

    issues: list[msgspec.Raw]
    next_page_token: str | None = None
    is_last: bool | None = None


class Fetched(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Issues that were asked for by their ids, as far as they are there and may be seen."""

    issues: list[msgspec.Raw]


class Bean(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A page of the usual kind, whatever its rows are; `total` may be missing."""

    values: list[msgspec.Raw]
    start_at: int = 0
    total: int | None = None
    is_last: bool | None = None


class CreateTypes(msgspec.Struct, frozen=True, rename="camel", gc=False):
    issue_types: list[IssueType] = []
    total: int | None = None


class CreateFields(msgspec.Struct, frozen=True, rename="camel", gc=False):
    fields: list[FieldMeta] = []
    total: int | None = None


class Transition(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`is_available` and `has_screen` are missing on servers."""

    id: Id
    name: str = ""
    to: Status | None = None
    has_screen: bool = False
    is_available: bool = True
    fields: dict[str, FieldMeta] = {}


class Transitions(msgspec.Struct, frozen=True, gc=False):
    transitions: list[Transition] = []


class RemoteStatus(msgspec.Struct, frozen=True, gc=False):
    resolved: bool | None = None


class RemoteObject(msgspec.Struct, frozen=True, gc=False):
    url: str | None = None
    title: str | None = None
    status: RemoteStatus | None = None


class RemoteLink(msgspec.Struct, frozen=True, rename="camel", gc=False):
    id: Id | None = None
    global_id: str | None = None
    relationship: str | None = None
    object: RemoteObject = msgspec.field(default_factory=RemoteObject)


class Created(msgspec.Struct, frozen=True, gc=False):
    id: Id
    key: str | None = None
