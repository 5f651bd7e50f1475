"""What customer success works with: health, tasks, touchpoints; and the messages in which people are told of them."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from cxbridge.core.canonical.envelope import Entity, Priority

HealthBand = Literal["green", "yellow", "red", "unknown"]
TaskKind = Literal["risk", "opportunity", "lifecycle", "objective", "follow_up", "activity"]
TaskStatus = Literal["open", "in_progress", "snoozed", "done", "dropped", "unknown"]


class HealthPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One component of a health score: weight, value from 0 to 100 (None: missing), age, and how far it is trusted."""

    name: str
    weight: float = 1.0
    value: float | None = None
    as_of: datetime | None = None
    source: str | None = None
    confidence: float | None = None
    stale: bool = False


class Health(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="health", gc=False):
    """How well an account is doing. `value` runs from 0 to 100; without a value the band is `unknown`, never green.

    `confidence` runs from 0 to 1. `value_native` and `band_native` are the platform's own words (a grade, a colour).
    """

    refs: ClassVar[tuple[str, ...]] = ("account",)

    account: str
    scheme: str = "overall"
    value: float | None = None
    value_native: str | None = None
    band: HealthBand = "unknown"
    band_native: str | None = None
    previous: float | None = None
    trend: Literal["up", "down", "same"] | None = None
    confidence: float | None = None
    computed_at: datetime | None = None
    components: list[HealthPart] = []


class Task(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="task", gc=False):
    """Something a person is to do about an account (a call to action). `reason` is what makes later analysis possible."""

    refs: ClassVar[tuple[str, ...]] = ("account", "owner")

    title: str
    account: str | None = None
    kind: TaskKind = "activity"
    kind_native: str | None = None
    reason: str | None = None
    priority: Priority = "none"
    priority_native: str | None = None
    status: TaskStatus = "unknown"
    status_native: str | None = None
    owner: str | None = None
    owner_email: str | None = None
    body_text: str = ""
    due_at: datetime | None = None
    closed_at: datetime | None = None
    evidence: list[str] = []
    important: bool | None = None
    marker: str | None = None


class Touchpoint(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="touchpoint", gc=False):
    """Something that happened between us and an account, as its timeline keeps it."""

    refs: ClassVar[tuple[str, ...]] = ("account", "author")

    subject: str
    body_text: str = ""
    kind: Literal["call", "email", "meeting", "chat", "update", "milestone", "other"] = "other"
    kind_native: str | None = None
    account: str | None = None
    author: str | None = None
    happened_at: datetime | None = None
    marker: str | None = None


class Message(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="message", gc=False):
    """A message in a channel. `thread` is the local ref of the message it answers."""

    refs: ClassVar[tuple[str, ...]] = ("channel", "author", "thread")

    channel: str
    body_text: str = ""
    author: str | None = None
    author_kind: Literal["agent", "automation", "system", "unknown"] = "unknown"
    thread: str | None = None
    sent_at: datetime | None = None
    edited_at: datetime | None = None
    marker: str | None = None
