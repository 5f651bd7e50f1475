"""Customers and those who serve them: accounts, contacts, agents."""

from datetime import datetime
from typing import ClassVar, Literal

from cxbridge.core.canonical.envelope import Entity

Lifecycle = Literal["prospect", "onboarding", "live", "renewing", "at_risk", "churned", "paused"]


class Account(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="account", gc=False):
    """A company that is, was or may become a customer.

    `external_id` is the id this platform was given for it, `external_ids` all that are known, whoever gave them. `arr` is what it
    pays in a year, in `currency` (ISO 4217; the tenant's own where it is not told).
    """

    refs: ClassVar[tuple[str, ...]] = ("parent", "owner_csm")

    name: str
    domains: list[str] = []
    external_id: str | None = None
    external_ids: list[str] = []
    parent: str | None = None
    segment: str | None = None
    tier: str | None = None
    industry: str | None = None
    region: str | None = None
    timezone: str | None = None
    language: str | None = None
    lifecycle: Lifecycle | None = None
    lifecycle_native: str | None = None
    arr: float | None = None
    currency: str | None = None
    contract_start: datetime | None = None
    renewal_at: datetime | None = None
    owner_csm: str | None = None
    support_plan: str | None = None
    health_score: float | None = None
    nps_last: float | None = None
    do_not_contact: bool | None = None
    notes: str | None = None
    tags: list[str] = []


class Contact(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="contact", gc=False):
    """A person on the customer's side. `emails` are lower-cased, the primary one first.

    `consent` says per purpose (`survey`, `follow_up`, `marketing`) whether they agreed; what is not in it was never asked.
    `unsubscribed` is the platform's own "send this person nothing".
    """

    refs: ClassVar[tuple[str, ...]] = ("account",)

    name: str
    emails: list[str] = []
    phones: list[str] = []
    account: str | None = None
    title: str | None = None
    persona: Literal["admin", "champion", "sponsor", "user", "billing", "blocker"] | None = None
    external_id: str | None = None
    external_ids: list[str] = []
    language: str | None = None
    timezone: str | None = None
    verified: bool | None = None
    status: Literal["active", "bounced", "left", "merged", "suspended"] = "active"
    consent: dict[str, bool] = {}
    unsubscribed: bool | None = None
    survey_optout: bool | None = None
    last_surveyed_at: datetime | None = None
    tags: list[str] = []


class Agent(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="agent", gc=False):
    """A person or robot on our side: support, engineering, customer success, administration."""

    refs: ClassVar[tuple[str, ...]] = ("teams",)

    name: str
    email: str | None = None
    active: bool = True
    teams: list[str] = []
    roles: list[Literal["agent", "lead", "csm", "engineer", "admin", "bot"]] = []
    language: str | None = None
    timezone: str | None = None
