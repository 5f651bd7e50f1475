"""Gainsight CS (NXT): users, companies, persons, calls to action, timeline and health are read; all but users can be written.

A vendor's connector: it imports nothing of the project but `cxbridge.core.connector`. How it is cut: `wire` (Gainsight's JSON and
requests), `dates`, `prose`, `rows`, `rules`, `schema` and `mapping` (pure), `walk`, `cockpit`, `people`, `progress` and `streams`
(reads), `lookups`, `tasks`, `touching`, `accounts`, `contacting` and `actions` (writes), `hooks` (webhooks), `errors`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, StringConstraints, field_validator, model_validator

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import actions, errors, hooks, streams, wire
from cxbridge.plugins.gainsight.cockpit import TaskShape
from cxbridge.plugins.gainsight.rules import COMPANY_FIELDS, CONTACT_FIELDS, Rules
from cxbridge.plugins.gainsight.schema import describe

_HOME = ".gainsightcloud.com"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}")
# Waiting for the next minute is part of the vendor's manners, not a reason to give up a page.
_PATIENCE = 75.0
_DAY = 86_400

Alias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=120)]


@dataclass(frozen=True, slots=True)
class AccessKey(cx.Auth):
    """The key of a tenant's API connection: it never ends, and a reset ends it at once."""

    key: cx.Secret

    def headers(self) -> dict[str, str]:
        """Give the header of every request."""
        return {"AccessKey": self.key.get_secret_value()}


def _domain(value: str) -> str:
    """Bring a tenant's domain into the form of a host: `acme`, `acme.gainsightcloud.com`, `https://acme.gainsightcloud.com/`."""
    text = value.strip().rstrip("/").lower().removeprefix("https://")
    if "@" in text or "/" in text or ":" in text or "?" in text or "#" in text:
        raise ValueError("write the tenant's domain alone, without user, port and path: acme.gainsightcloud.com")
    host = f"{text}{_HOME}" if _LABEL.fullmatch(text) else text
    if not _HOST.fullmatch(host):
        raise ValueError("write the tenant's domain as acme or acme.gainsightcloud.com")
    return host


def _sandbox(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path not in ("", "/"):
        raise ValueError("write the address of a simulator on this machine alone: http://127.0.0.1:8903")
    if parts.query or parts.fragment or not cx.on_this_machine(parts.hostname):
        raise ValueError("url is for a simulator on this machine; a tenant is named by its domain")
    return value.rstrip("/")


class Gainsight(cx.Connector):
    """One Gainsight CS (NXT) tenant. Names in the tables are the tenant's own labels, which its administrators may have changed."""

    name: ClassVar[str] = "gainsight"

    domain: Annotated[str, AfterValidator(_domain)] | None = cx.Field(
        default=None, description="The tenant: acme, or acme.gainsightcloud.com."
    )
    own_domain: bool = cx.Field(
        default=False, description="Whether domain may be a host of yours instead of one at gainsightcloud.com."
    )
    url: Annotated[str, AfterValidator(_sandbox)] | None = cx.Field(
        default=None, description="A simulator on this machine, in place of domain."
    )
    access_key: cx.Secret | None = cx.Field(default=None, description="The access key of the tenant's API connection.")
    client_id: str | None = cx.Field(default=None, description="The M2M OAuth client, in place of access_key.")
    client_secret: cx.Secret | None = cx.Field(default=None, description="The M2M OAuth client's secret.")
    per_minute: int = cx.Field(
        default=30, ge=1, le=100, description="Requests a minute; the tenant's 100 are shared by all its programs."
    )
    per_day: int = cx.Field(default=50_000, ge=100, description="Requests a day, as the tenant's package allows.")

    fields: dict[Alias, FieldName] = cx.Field(
        default_factory=dict,
        description="Company fields by the names recipes use; those of canonical fields (arr, tier, domains …) fill these.",
    )
    contact_fields: dict[Alias, FieldName] = cx.Field(
        default_factory=dict, description="Person fields by the names recipes use."
    )
    task_fields: dict[Alias, FieldName] = cx.Field(
        default_factory=dict, description="Call to action fields by the names recipes use."
    )
    external_ids: list[FieldName] = cx.Field(
        default_factory=lambda: ["SfdcAccountId", "External_Id__gc"],
        description="Company fields that hold ids of other systems, best first; those that there are count.",
    )
    marker_field: FieldName = cx.Field(
        default="Cxbridge_Marker__gc", description="The text field of Call to Action that keeps the marker."
    )
    evidence_field: FieldName | None = cx.Field(
        default=None,
        description="A text field of Call to Action for evidence; left out, it is written into the comments.",
    )
    health_field: FieldName | None = cx.Field(
        default=None, description="The number field of Company that health.set writes, for a Set Score rule to copy."
    )
    scorecard: FieldName | None = cx.Field(
        default=None, description="The object with the scores of single measures, as the tenant's object list calls it."
    )
    task_object: FieldName = cx.Field(
        default="call_to_action", description="What the object behind calls to action is called."
    )
    delete_logs: list[FieldName] = cx.Field(
        default_factory=lambda: ["record_delete_log", "record_delete_log_high_volume"],
        description="The objects that tell what was deleted; one that is not there tells nothing.",
    )
    lifecycles: dict[cx.Lifecycle, list[str]] = cx.Field(
        default_factory=dict, description="Labels of Stage that read as a lifecycle; the first one is written."
    )
    statuses: dict[cx.TaskStatus, list[str]] = cx.Field(
        default_factory=dict, description="Labels of statuses that read as one; the first one is written."
    )
    priorities: dict[cx.Priority, list[str]] = cx.Field(
        default_factory=dict, description="Labels of priorities that read as one; the first one is written."
    )
    kinds: dict[cx.TaskKind, list[str]] = cx.Field(
        default_factory=dict, description="Labels of types that read as a kind of task; the first one is written."
    )
    reasons: dict[str, str] = cx.Field(
        default_factory=dict, description="The tenant's label for a reason that recipes give."
    )
    health_bands: tuple[float, float] = cx.Field(
        default=(51.0, 76.0), description="The scores from which on yellow and green begin."
    )
    author_email: str | None = cx.Field(
        default=None, description="The user whom timeline entries are by, where a step names nobody."
    )
    due_days: int = cx.Field(
        default=7, ge=0, le=365, description="When a call to action is due, where a step does not say."
    )
    settle: int = cx.Field(
        default=30, ge=0, description="How many seconds the vendor may not show what was just written."
    )
    overlap: int = cx.Field(
        default=_DAY, ge=3600, description="How many seconds each run looks back behind the last one."
    )
    page: int = cx.Field(default=5000, ge=2, le=5000, description="Rows to ask for at once.")
    filter_timezone: str = cx.Field(default="UTC", description="The zone in which the tenant reads times of filters.")
    webhook_secret: cx.Secret | None = cx.Field(
        default=None, description="The word that External Actions send in the header X-Cxbridge-Token."
    )
    webhook_secret_old: cx.Secret | None = cx.Field(
        default=None, description="The word before, accepted as well while a new one is taken into use."
    )

    @field_validator("filter_timezone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("write a time zone as Europe/Berlin or America/New_York") from None
        return zone

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.domain is None) == (self.url is None):
            raise ValueError('name the tenant, as domain = "acme" for acme.gainsightcloud.com')
        if self.domain is not None and not self.domain.endswith(_HOME) and not self.own_domain:
            raise ValueError(
                "the domain is not one of gainsightcloud.com, and the key would go there: if it is yours, set own_domain = true"
            )
        oauth = (self.client_id, self.client_secret)
        if self.access_key is not None and oauth != (None, None):
            raise ValueError("give either access_key, or client_id and client_secret, not both")
        if self.access_key is None and None in oauth:
            raise ValueError("the credential is not complete: give access_key, or client_id and client_secret")
        for table in (self.fields, self.contact_fields, self.task_fields):
            if len(set(table.values())) < len(table):
                raise ValueError("two names stand for the same field of Gainsight: keep one of them")
        if not 0 < self.health_bands[0] < self.health_bands[1] <= 100:
            raise ValueError("health_bands are two scores, the lower one first: [51, 76]")
        if self.webhook_secret is None and self.webhook_secret_old is not None:
            # Without the new one deliveries would not be held against anything at all.
            raise ValueError("webhook_secret_old is the secret before webhook_secret: give the new one too")
        self.endpoint()
        return self

    @property
    def rules(self) -> Rules:
        """The tables of this connection."""
        return Rules(
            fields=self.fields,
            contact_fields=self.contact_fields,
            task_fields=self.task_fields,
            external_ids=tuple(self.external_ids),
            marker_field=self.marker_field,
            evidence_field=self.evidence_field,
            health_field=self.health_field,
            scorecard=self.scorecard,
            task_object=self.task_object,
            delete_logs=tuple(self.delete_logs),
            lifecycles=self.lifecycles,
            statuses=self.statuses,
            priorities=self.priorities,
            kinds=self.kinds,
            reasons=self.reasons,
            author_email=self.author_email,
            due_days=self.due_days,
            yellow_from=self.health_bands[0],
            green_from=self.health_bands[1],
            page=self.page,
            overlap=self.overlap,
            zone=ZoneInfo(self.filter_timezone),
        )

    def endpoint(self) -> cx.Endpoint:
        """Say where the tenant is and how it wants to be spoken to."""
        return cx.Endpoint(
            self._address(),
            auth=self._auth(),
            budgets=errors.budgets,
            refusal=errors.refusal,
            reads=wire.reads,
            page_wait=_PATIENCE,
            # The vendor sends no word of what is left, so it is counted here.
            quotas=(
                cx.Quota("requests a minute", self.per_minute, 60),
                cx.Quota("requests a day", self.per_day, _DAY),
            ),
        )

    def check(self, client: cx.Client) -> cx.Identity:
        """Find out whether the credential works, and whether the fields that the settings name are there.

        Raises:
            Unauthorized: the key is not accepted, or not from this machine's address.
            Rejected: a field that the settings name is not there.
        """
        wire.query(client, "Company", ("Gsid",), limit=1)
        rules = self.rules
        company, person = describe(client, "company", "person")
        company.resolved(COMPANY_FIELDS, rules.fields, "fields")
        person.resolved(CONTACT_FIELDS, rules.contact_fields, "contact_fields")
        for alias, name in rules.custom().items():
            company.need(name, "health_field" if name == self.health_field else f"fields.{alias}")
        if self.scorecard is not None:
            describe(client, self.scorecard)
        return cx.Identity(self._whose(), notices=tuple(self._notices(client)))

    def streams(self) -> list[cx.Stream]:
        """List what can be read."""
        return streams.streams(self.rules)

    def actions(self) -> list[cx.Action]:
        """List what can be written."""
        return actions.actions(self.rules, float(self.settle))

    def webhook(self) -> cx.Webhook:
        """Say how deliveries of External Actions are judged."""
        return hooks.webhook(secret=self.webhook_secret is not None)

    def _notices(self, client: cx.Client) -> list[str]:
        shape = TaskShape.of(client, self.rules)
        notices = []
        if not shape.has_marker:
            notices.append(
                f"Call to Action has no field {self.marker_field}: task.ensure will refuse until it is made as a text field"
            )
        if self.health_field is None:
            notices.append("health.set will refuse: Gainsight has no API for scores, and no health_field is named")
        return notices

    def _whose(self) -> str:
        # A key acts as the tenant: there is no user behind it.
        where = self.domain or self.url
        return f"{self.client_id} at {where}" if self.client_id is not None else f"the API connection of {where}"

    def _address(self) -> str:
        return self.url or f"https://{self.domain}"

    def _auth(self) -> cx.Auth:
        if self.access_key is not None:
            return AccessKey(self.access_key)
        return cx.ClientCredentials(
            f"{self._address()}{wire.TOKEN}",
            client_id=self.client_id or "",
            client_secret=self.client_secret or cx.Secret(""),
            encoding="form",
            basic=True,
        )


@cx.hookimpl
def cxbridge_connectors() -> list[type[cx.Connector]]:
    """Bring the connector for Gainsight CS."""
    return [Gainsight]
