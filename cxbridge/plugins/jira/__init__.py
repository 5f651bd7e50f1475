"""Jira Cloud: issues, comments, people and projects are read; issues, statuses, comments and links are written.

A vendor's connector: it imports nothing of the project but `cxbridge.core.connector`. How it is cut: `wire` (Jira's
JSON as types), `rules` and `mapping` and `adf` and `screens` (pure), `streams` and `history` and `listing` and
`single` (reads), `webhooks` (what Jira sends), `reference` (the settings against the site), `actions` and what it
lists (writes), `errors`.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import StringConstraints, field_validator, model_validator

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import actions, errors, reference, single, streams, webhooks, wire
from cxbridge.plugins.jira.rules import Rules, Severity

ProjectKey = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
FieldId = Annotated[str, StringConstraints(pattern=r"^(customfield_\d+|[A-Za-z]+)$")]
Alias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Jira(cx.Connector):
    """One Jira Cloud site, seen by one account. Names in the tables may be names or ids; ids survive translation."""

    name: ClassVar[str] = "jira"

    site: str | None = cx.Field(
        default=None, description="The first part of the site's address: acme for acme.atlassian.net."
    )
    url: str | None = cx.Field(default=None, description="The site's whole address, where it is another.")
    mode: Literal["site", "gateway"] = cx.Field(
        default="site",
        description="Classic API tokens are accepted by the site, scoped tokens and OAuth only by the gateway.",
    )
    cloud_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] | None = cx.Field(
        default=None, description="The site's id at the gateway, as /_edge/tenant_info of the site tells it."
    )
    gateway: str = cx.Field(default="https://api.atlassian.com", description="The gateway's address.")

    email: str | None = cx.Field(default=None, description="The account that the API token belongs to.")
    api_token: cx.Secret | None = cx.Field(default=None, description="An API token, classic or scoped.")
    client_id: str | None = cx.Field(default=None, description="The OAuth app.")
    client_secret: cx.Secret | None = cx.Field(default=None, description="The OAuth app's secret.")
    refresh_token: cx.Secret | None = cx.Field(
        default=None, description="The refresh token that a person's consent gave; each use of it gives the next one."
    )
    token_url: str = cx.Field(
        default="https://auth.atlassian.com/oauth/token", description="Where tokens are refreshed."
    )

    projects: Annotated[list[ProjectKey], cx.Field(min_length=1)] = cx.Field(
        description="The keys of the projects to read and write."
    )
    start: date | None = cx.Field(default=None, description="Read only issues that changed on this day or later.")
    history: bool = cx.Field(
        default=False,
        description="Find out who changed an issue last and how often it was reopened; searches get slower.",
    )
    overlap: cx.Span = cx.Field(default=300, description="How far each run looks back behind the last one.")
    settle: cx.Span = cx.Field(default=120, description="How long the search may not show a new issue yet.")

    fields: dict[Alias, FieldId] = cx.Field(
        default_factory=dict, description="Jira's fields by the names recipes use; severity has a meaning of its own."
    )
    status_overrides: dict[str, cx.StatusCategory] = cx.Field(
        default_factory=dict, description="Categories of statuses, by name or id, where Jira's own will not do."
    )
    resolutions: dict[cx.Resolution, list[str]] = cx.Field(
        default_factory=dict, description="Names or ids that read as a resolution; the first one is written."
    )
    priorities: dict[cx.Priority, list[str]] = cx.Field(
        default_factory=dict, description="Names or ids that read as a priority; the first one is written."
    )
    severities: dict[Severity, str] = cx.Field(
        default_factory=dict, description="The options of the severity field; left out, the digit in an option counts."
    )
    issue_types: dict[cx.TicketType, str] = cx.Field(
        default_factory=dict, description="The issue type, by name or id, that stands for a type of ticket."
    )
    through: list[str] = cx.Field(
        default_factory=list, description="Statuses an issue may pass where more than one leads on, best first."
    )

    webhook_secret: cx.Secret | None = cx.Field(
        default=None, description="The secret that was given to the webhook; without it deliveries are not signed."
    )
    webhook_secret_old: cx.Secret | None = cx.Field(
        default=None, description="The secret before, accepted as well while a new one is taken into use."
    )

    @field_validator("site")
    @classmethod
    def _is_first_part(cls, site: str | None) -> str | None:
        if site is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", site):
            raise ValueError("a site is named by the first part of its address: acme for acme.atlassian.net")
        return site

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.site is None) == (self.url is None):
            raise ValueError('name the site, as site = "acme" for acme.atlassian.net, or its url if it has another')
        if self.mode == "gateway" and self.cloud_id is None:
            raise ValueError("a gateway connection needs cloud_id: it is told by /_edge/tenant_info of the site")
        token = {"email": self.email, "api_token": self.api_token}
        oauth = {"client_id": self.client_id, "client_secret": self.client_secret, "refresh_token": self.refresh_token}
        _one_of(token, oauth)
        if self.client_id is not None and self.mode == "site":
            raise ValueError('OAuth is accepted by the gateway only: set mode = "gateway" and cloud_id')
        if self.overlap < 120:
            raise ValueError("an overlap below 2m would lose changes that the search shows late")
        if len(set(self.fields.values())) < len(self.fields):
            raise ValueError("two names under fields stand for the same field of Jira")
        if self.webhook_secret is None and self.webhook_secret_old is not None:
            # Without the new one deliveries would not be held against anything at all.
            raise ValueError("webhook_secret_old is the secret before webhook_secret: give the new one too")
        self.endpoint()
        return self

    @property
    def rules(self) -> Rules:
        """The tables of this connection."""
        return Rules(
            site=self._address(),
            projects=tuple(dict.fromkeys(self.projects)),
            fields=self.fields,
            statuses=self.status_overrides,
            priorities=self.priorities,
            resolutions=self.resolutions,
            types=self.issue_types,
            severities=self.severities,
            through=tuple(self.through),
        )

    def endpoint(self) -> cx.Endpoint:
        """Say where the site is and how it wants to be spoken to."""
        base = f"{self.gateway.rstrip('/')}/ex/jira/{self.cloud_id}" if self.mode == "gateway" else self._address()
        return cx.Endpoint(
            base,
            auth=self._auth(),
            headers={
                "Accept": "application/json",
                # Stock names and error sentences come in one language, whatever the account's profile says.
                "Accept-Language": "en-US",
                "X-Force-Accept-Language": "true",
            },
            budgets=errors.budgets,
            buckets=errors.buckets,
            refusal=errors.refusal(self.mode),
            message_of=errors.message_of(self.fields),
            reads=single.reads,
        )

    def check(self, client: cx.Client) -> cx.Identity:
        """Find out whose credential it is, and whether that account sees the projects and what else the settings name.

        Raises:
            Unauthorized: when the credential is not accepted, or not at this address.
            Rejected: when a project is not visible, or a field, status, priority, resolution or issue type is not.
        """
        me = client.get("/rest/api/3/myself").decode(wire.User)
        seen: dict[str, str] = {}
        for values in streams.listed_projects(self.rules, client):
            seen |= {project.key: str(project.id) for project in map(streams.project_of, values) if project.key}
        for key in self.projects:
            if key not in seen:
                raise cx.Rejected(
                    f"project {key} is not visible to {me.display_name or 'this account'}: "
                    'grant it the "Browse projects" permission there, or mend the key under projects'
                )
        ref = f"users/{me.account_id}" if me.account_id else None
        notices = reference.verify(self.rules, client, list(seen.values()))
        return cx.Identity(me.display_name or me.account_id or "unknown", ref, tuple(notices))

    def streams(self) -> list[cx.Stream]:
        """List what can be read."""
        return streams.streams(streams.Reading(self.rules, self.overlap * 1000, self.start, self.history))

    def actions(self) -> list[cx.Action]:
        """List what can be written."""
        return actions.actions(self.rules, float(self.settle))

    def webhook(self) -> cx.Webhook:
        """Say how deliveries are judged: by their signature, by the OAuth app's token, or by their path alone."""
        return webhooks.webhook(secret=self.webhook_secret is not None, app=self.client_secret is not None)

    def _address(self) -> str:
        return (self.url or f"https://{self.site}.atlassian.net").rstrip("/")

    def _auth(self) -> cx.Auth:
        if self.email is not None and self.api_token is not None:
            return cx.Basic(self.email, self.api_token)
        return cx.RefreshToken(
            self.token_url, client_id=self.client_id or "", client_secret=self.client_secret, first=self.refresh_token
        )


def _one_of(token: Mapping[str, object], oauth: Mapping[str, object]) -> None:
    given = [name for name, value in {**token, **oauth}.items() if value is not None]
    for ways in (token, oauth):
        if set(given) == set(ways):
            return
    if set(given) & set(token) and set(given) & set(oauth):
        raise ValueError("give either email and api_token, or client_id, client_secret and refresh_token, not both")
    wanted = oauth if set(given) & set(oauth) else token
    missing = [name for name in wanted if name not in given]
    raise ValueError(f"the credential is not complete: {' and '.join(missing)} missing")


@cx.hookimpl
def cxbridge_connectors() -> list[type[cx.Connector]]:
    """Bring the connector for Jira Cloud."""
    return [Jira]
