"""The site's records as immutable values: an issue, its comments, its history. They change only by being replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class Comment:
    id: int
    author: str
    body: Json
    created: datetime
    updated: datetime
    update_author: str
    internal: bool = False
    visibility: Json = None
    properties: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One field's step in the history; `field_id` is empty on link changes, where the vendor leaves it out."""

    field: str
    field_id: str
    before: str | None
    before_text: str | None
    after: str | None
    after_text: str | None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    id: int
    author: str
    created: datetime
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class RemoteLink:
    id: int
    global_id: str | None
    application: Json
    relationship: str | None
    object: Json


@dataclass(frozen=True, slots=True)
class Link:
    """An issue link; `source` is the issue its `outward` phrase starts from."""

    id: int
    type_id: str
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Issue:
    """One version of an issue. `values` holds what can be edited, under the vendor's field ids."""

    id: int
    project: str
    number: int
    status: str
    creator: str
    created: datetime
    updated: datetime
    category_changed: datetime
    values: Mapping[str, Json]
    resolution: str | None = None
    resolved: datetime | None = None
    comments: tuple[Comment, ...] = ()
    remote_links: tuple[RemoteLink, ...] = ()
    properties: Mapping[str, Json] = field(default_factory=dict)
    history: tuple[Change, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.project}-{self.number}"

    @property
    def type_id(self) -> str:
        return str(self.values["issuetype"])

    @property
    def summary(self) -> str:
        return str(self.values["summary"])

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.values.get("labels") or ())


@dataclass
class Counters:
    """The next id of each kind; ids are never used twice."""

    issue: int = 10000
    comment: int = 10000
    change: int = 10000
    remote_link: int = 10000
    link: int = 10000
    numbers: dict[str, int] = field(default_factory=dict)

    def next_number(self, project: str) -> int:
        self.numbers[project] = self.numbers.get(project, 0) + 1
        return self.numbers[project]
