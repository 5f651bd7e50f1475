"""What customers say when they are asked, and the asking: feedback, surveys, invitations."""

from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from cxbridge.core.canonical.envelope import Channel, Entity

FeedbackKind = Literal["nps", "csat", "ces", "thumbs", "rating", "survey", "review", "exit", "interview", "unsolicited"]
Band = Literal[
    "promoter",
    "passive",
    "detractor",
    "satisfied",
    "neutral",
    "dissatisfied",
    "low_effort",
    "high_effort",
    "none",
]


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One answered question. `value` is the recode number, the text, or a list of chosen codes; `label` what people read."""

    question: str
    text: str | None = None
    sort: Literal["nps", "csat", "ces", "choice", "text", "number", "other"] = "other"
    value: Any = None
    label: str | None = None


class Sentiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How a text was judged, and by what. `label` is `unknown`, without a score, where the model cannot read the language.

    `score` runs from -1 (bad) to 1 (good). `language` is ISO 639-1, or None where it could not be told.
    """

    label: Literal["positive", "neutral", "negative", "unknown"]
    model: str
    score: float | None = None
    complaint: bool = False
    language: str | None = None


class Feedback(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="feedback", gc=False):
    """An answer, rating or review. `score` is raw on `scale_min`…`scale_max`; `score_100` is the same from 0 to 100.

    `contact_ok` says whether this person agreed to be contacted about it; None when nobody asked. A partial answer has `completed`
    False and never a score; `excluded` ones (previews, tests, spam) are kept and count nowhere. `attributes` is what the platform
    keeps beside the answers (embedded data), by its own names.
    """

    refs: ClassVar[tuple[str, ...]] = ("contact", "account", "ticket", "agent", "survey")

    kind: FeedbackKind
    programme: Literal["relational", "transactional", "lifecycle", "other"] = "other"
    survey: str | None = None
    distribution: str | None = None
    score: float | None = None
    scale_min: float | None = None
    scale_max: float | None = None
    score_100: float | None = None
    band: Band = "none"
    answers: list[Answer] = []
    verbatim: str | None = None
    language: str | None = None
    reason: str | None = None
    contact: str | None = None
    account: str | None = None
    ticket: str | None = None
    agent: str | None = None
    channel: Channel | None = None
    started_at: datetime | None = None
    submitted_at: datetime | None = None
    completed: bool | None = None
    excluded: bool = False
    excluded_why: str | None = None
    anonymous: bool | None = None
    contact_ok: bool | None = None
    attributes: dict[str, str] = {}


class Survey(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="survey", gc=False):
    """An instrument. `kind` is what its scored question measures, as recognised or configured; `score_question` names that one."""

    name: str
    active: bool | None = None
    kind: FeedbackKind = "survey"
    score_question: str | None = None
    verbatim_question: str | None = None
    questions: list[Answer] = []


class Invitation(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="invitation", gc=False):
    """One sending of a survey. `counts` are the platform's own figures: sent, failed, started, finished …"""

    refs: ClassVar[tuple[str, ...]] = ("survey", "contact")

    survey: str | None = None
    contact: str | None = None
    sort: Literal["invite", "reminder", "thank_you", "link", "other"] = "other"
    sent_at: datetime | None = None
    subject: str | None = None
    counts: dict[str, int] = {}
    marker: str | None = None
