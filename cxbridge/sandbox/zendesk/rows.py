"""The rows a company file may hold: their fields, and what is wrong with a row that has others. Stores nothing."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cxbridge.sandbox.zendesk.fields import CHOICES

_AGE = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (7 * 86400, 86400, 3600, 60, 1)


class RowError(ValueError):
    """A row that cannot be used; `index` counts the given rows from 0."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index
        self.problem = problem


class _Row(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    pass


class OrganizationRow(_Row, tag="organization", kw_only=True):
    """A company; one that is already known by its name is completed."""

    name: str
    external_id: str | None = None
    domains: list[str] = []
    tier: str | None = None
    fields: dict[str, Any] = {}
    tags: list[str] = []
    details: str | None = None
    notes: str | None = None


class UserRow(_Row, tag="user", kw_only=True):
    name: str
    email: str
    role: str = "end-user"
    organization: str | None = None
    external_id: str | None = None
    tags: list[str] = []
    fields: dict[str, Any] = {}
    phone: str | None = None


class GroupRow(_Row, tag="group", kw_only=True):
    name: str
    id: int | None = None


class CustomStatusRow(_Row, tag="custom_status", kw_only=True):
    agent_label: str = ""
    label: str = ""
    name: str = ""
    status_category: str
    end_user_label: str | None = None
    id: int | None = None
    active: bool = True


class Choice(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    value: str


class TicketFieldRow(_Row, tag="ticket_field", kw_only=True):
    title: str
    type: str
    id: int | None = None
    key: str | None = None
    options: list[Choice] = []


class ArticleRow(_Row, tag="article", kw_only=True):
    title: str
    body: str
    locale: str | None = None
    section: str = "General"
    category: str = "General"
    draft: bool = False
    labels: list[str] = []
    author: str | None = None
    id: int | None = None
    age: str | None = None


class Person(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    email: str
    name: str | None = None


class CommentRow(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    body: str
    author: str | None = None
    public: bool = True
    age: str | None = None


class Satisfaction(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    score: str
    comment: str | None = None


class TicketRow(_Row, tag="ticket", kw_only=True):
    """A ticket with its history; `id` and `problem` are numbers within the account, ages count back from now."""

    subject: str
    description: str = ""
    id: int | None = None
    external_id: str | None = None
    priority: str | None = None
    status: str = "new"
    custom_status: str | None = None
    type: str | None = None
    tags: list[str] = []
    age: str | None = None
    created_at: str | None = None
    updated_age: str | None = None
    requester: Person | None = None
    organization: str | None = None
    assignee: str | None = None
    group: str | None = None
    comments: list[CommentRow] = []
    custom_fields: dict[str, Any] = {}
    problem: int | None = None
    satisfaction: Satisfaction | None = None
    channel: str = "email"


Row = OrganizationRow | UserRow | GroupRow | CustomStatusRow | TicketFieldRow | ArticleRow | TicketRow

ORDER: tuple[type, ...] = (
    OrganizationRow,
    GroupRow,
    CustomStatusRow,
    TicketFieldRow,
    UserRow,
    ArticleRow,
    TicketRow,
)
_WORDS = ("organization", "group", "custom_status", "ticket_field", "user", "article", "ticket")


def kind_of(row: Row) -> str:
    """The word in a row's `kind`."""
    return next(kind for kind, type_ in zip(_WORDS, ORDER, strict=True) if isinstance(row, type_))


def age_in_seconds(text: str) -> int:
    """Seconds of an age such as `3d4h`: weeks, days, hours, minutes and seconds in this order.

    Raises:
        ValueError: it is not one.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if not text.strip() or found is None:
        raise ValueError(f"age {text!r} is not one; write it like 3d4h, with w, d, h, m and s")
    return sum(int(number or 0) * unit for number, unit in zip(found.groups(), _UNITS, strict=True))


def read(index: int, row: Mapping[str, Any]) -> Row:
    try:
        read: Row = msgspec.convert({"kind": "ticket", **row}, Row)
    except msgspec.ValidationError as error:
        if row.get("kind", "ticket") not in _WORDS:
            raise RowError(index, f"kind {row['kind']!r} is unknown; the kinds are {', '.join(_WORDS)}") from error
        raise RowError(index, str(error).replace("Object", "the row", 1)) from error
    if isinstance(read, TicketRow):
        for name, allowed in CHOICES.items():
            value = getattr(read, name)
            if value is not None and value not in allowed:
                raise RowError(index, f"{name} {value!r} is not one of {', '.join(allowed)}")
    return read
