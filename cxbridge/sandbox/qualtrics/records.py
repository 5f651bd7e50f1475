"""What a brand holds, as values: surveys with their questions, responses, contacts, distributions, tickets, subscriptions."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Any


@dataclass(slots=True)
class Question:
    """A question as its definition has it. `codes` are recode values with what people read."""

    id: str
    tag: str
    text: str
    type: str
    selector: str
    codes: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Under which its value stands in a response."""
        if self.type == "TE":
            return f"{self.id}_TEXT"
        return f"{self.id}_1" if self.type == "Slider" else self.id


@dataclass(slots=True)
class Survey:
    """`score`, `verbatim` and `consent` name the questions that the control API fills; embedded data is declared in the flow."""

    id: str
    name: str
    owner: str
    created: datetime
    modified: datetime
    questions: dict[str, Question]
    active: bool = True
    score: str | None = None
    verbatim: str | None = None
    consent: str | None = None
    embedded: tuple[str, ...] = ()


@dataclass(slots=True)
class Response:
    """`made` is when it came into being here, whatever its dates say; exports and single reads show it later."""

    id: str
    survey: str
    started: datetime
    ended: datetime
    recorded: datetime
    made: datetime
    answers: dict[str, Json]
    embedded: dict[str, str]
    status: int = 0
    finished: bool = True
    channel: str = "anonymous"
    language: str = "EN"
    contact: str | None = None
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    ext_ref: str = ""


@dataclass(slots=True)
class Contact:
    id: str
    made: datetime
    changed: datetime
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    ext_ref: str = ""
    language: str = ""
    unsubscribed: bool = False
    embedded: dict[str, str] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)


@dataclass(slots=True)
class MailingList:
    id: str
    name: str
    owner: str
    made: datetime


@dataclass(slots=True)
class Distribution:
    """One sending. `sent` is false for a bundle of links."""

    id: str
    survey: str
    made: datetime
    send_at: datetime
    kind: str
    sent: bool
    link_type: str = "Individual"
    header: dict[str, Json] = field(default_factory=dict)
    message: dict[str, Json] = field(default_factory=dict)
    recipients: dict[str, Json] = field(default_factory=dict)
    embedded: dict[str, str] = field(default_factory=dict)
    expires: str = ""
    parent: str | None = None
    skipped: int = 0
    mailed: int = 0


@dataclass(slots=True)
class Ticket:
    key: str
    name: str
    owner: str
    status: int
    priority: int
    survey: str | None = None
    response: str | None = None
    team: str | None = None
    group: str | None = None
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Subscription:
    id: str
    topics: str
    url: str
    shared_key: str | None = None
    calls: int = 0


@dataclass(slots=True)
class Export:
    """A job: which responses it will hold is settled when it begins."""

    id: str
    file: str
    survey: str
    body: dict[str, Json]
    begun: float
    responses: list[str]
    polls: int = 0
    failed: bool = False
