"""Zendesk (Support and Guide): settings of one connection, what it reads and can write. Holds no state, sends nothing.

`wire` and `envelopes` are Zendesk's JSON as types, `values` and `mapping` the way into the canonical model, `changes`
the way out; `walks`, `streams` and `single` read, `actions` write, `webhooks` judges what Zendesk sends, `errors` and `limits`
tell what answers mean.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import envelopes, errors, limits, webhooks
from cxbridge.plugins.zendesk.actions import Writing
from cxbridge.plugins.zendesk.mapping import Shape
from cxbridge.plugins.zendesk.streams import TICKETS, Reading
from cxbridge.plugins.zendesk.walks import HELD_BACK

# developer.zendesk.com/documentation/api-basics/authentication/oauth-migration
API_TOKENS_END = date(2027, 4, 30)

_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _subdomain(value: str) -> str:
    if not _SUBDOMAIN.fullmatch(value):
        raise ValueError("write only the first word of the address: acme for acme.zendesk.com")
    return value


def _site(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("write the address of the account alone, like https://acme.zendesk.com")
    if parts.path not in ("", "/"):
        raise ValueError("leave the path out: only https:// and the host, like https://acme.zendesk.com")
    if parts.scheme == "http" and not cx.on_this_machine(parts.hostname):
        raise ValueError("write https://: over http anyone on the way could read the credential")
    return value.rstrip("/")


def _aliases(value: dict[str, int]) -> dict[str, int]:
    for alias, id_ in value.items():
        if not _ALIAS.fullmatch(alias):
            raise ValueError(
                f"an alias is a word of letters, digits and _, not starting with a digit; {alias!r} is none"
            )
        if id_ <= 0:
            raise ValueError(f"the alias {alias} needs the id of a custom field, a number above 0")
    if len(set(value.values())) < len(value):
        raise ValueError("two aliases name the same custom field: keep one of them")
    return value


class Zendesk(cx.Connector):
    """One Zendesk account, as one user or one OAuth client sees it."""

    name: ClassVar[str] = "zendesk"

    subdomain: Annotated[str, AfterValidator(_subdomain)] | None = cx.Field(
        default=None, description="The account's first word: acme for acme.zendesk.com. Either this or url."
    )
    url: Annotated[str, AfterValidator(_site)] | None = cx.Field(
        default=None,
        description="The account's whole address, in place of subdomain; for a sandbox on this machine too.",
    )
    client_id: str | None = cx.Field(
        default=None, description="OAuth client that may use client credentials; with client_secret."
    )
    client_secret: cx.Secret | None = cx.Field(default=None, description="The OAuth client's secret.")
    scope: str = cx.Field(default="read write", description="OAuth scopes to ask for, separated by spaces.")
    access_token: cx.Secret | None = cx.Field(
        default=None, description="An OAuth access token that does not end, made by hand."
    )
    email: str | None = cx.Field(
        default=None, description="The user of an API token; Zendesk ends API tokens on 2027-04-30."
    )
    api_token: cx.Secret | None = cx.Field(default=None, description="The API token that belongs to email.")
    fields: Annotated[dict[str, int], AfterValidator(_aliases)] = cx.Field(
        default_factory=dict,
        description="Names for custom ticket fields, by their ids: recipes read ticket.custom.NAME.",
    )
    tier_field: str = cx.Field(default="tier", description="Key of the organization field that fills account.tier.")
    link_field: int | None = cx.Field(
        default=None,
        gt=0,
        description="Id of a custom text field that shows linked entities where the external id is taken.",
    )
    start: date | None = cx.Field(
        default=None, description="How far back the first pull goes; all of it when left out."
    )
    per_page: int = cx.Field(default=1000, ge=1, le=1000, description="Records to ask an export for at once.")
    guide: bool = cx.Field(default=True, description="Read Help Center articles.")
    translations: bool = cx.Field(default=False, description="Read the translations of articles too, one record each.")
    safe_update: bool = cx.Field(
        default=True,
        description="Refuse to overwrite what somebody else changed meanwhile; without it the last writer wins.",
    )
    prose: Literal["plain", "html"] = cx.Field(
        default="plain", description="How comments are written: plain text or HTML."
    )

    webhook_secret: cx.Secret | None = cx.Field(
        default=None, description="The signing secret of the webhook; without it every delivery is refused."
    )
    webhook_secret_old: cx.Secret | None = cx.Field(
        default=None, description="The signing secret before, accepted as well while a new one is taken into use."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.subdomain is None) == (self.url is None):
            raise ValueError("give either subdomain (acme) or url (https://acme.zendesk.com), and not both")
        pairs = {
            "client_id and client_secret": (self.client_id, self.client_secret),
            "email and api_token": (self.email, self.api_token),
            "access_token": (self.access_token,),
        }
        begun = [names for names, values in pairs.items() if any(value is not None for value in values)]
        if len(begun) != 1:
            raise ValueError(
                "give one credential: client_id and client_secret (OAuth, the one that lasts), "
                "or access_token, or email and api_token"
            )
        if any(value is None for value in pairs[begun[0]]):
            raise ValueError(f"{begun[0]} belong together: give both")
        return self

    @property
    def site(self) -> str:
        """The account's address."""
        return self.url or f"https://{self.subdomain}.zendesk.com"

    def endpoint(self) -> cx.Endpoint:
        return cx.Endpoint(
            self.site,
            auth=self._auth(),
            headers={"accept": "application/json"},
            budgets=limits.budgets,
            buckets=limits.buckets,
            refusal=errors.refusal,
            message_of=errors.message_of,
            request_id_header="x-zendesk-request-id",
        )

    def check(self, client: cx.Client) -> cx.Identity:
        """Find out whose credential it is and whether it may export, which only administrators may.

        Raises:
            Unauthorized: when the credential is refused, or Zendesk takes the caller for nobody in particular.
            Rejected: when the user may not export, or no account lives at that address.
            Retryable: when the host cannot be reached.
        """
        try:
            me = client.get("/api/v2/users/me.json").decode(envelopes.MeAnswer).user
            # With no or wrong credentials the call above answers 200 and an anonymous user; this one does not.
            client.get("/api/v2/tickets/count.json")
        except cx.Unauthorized as error:
            raise cx.Unauthorized(
                f"{self._credential()} is not accepted: check it, and that it belongs to {self.site}"
            ) from error
        except cx.NotFound as error:
            raise cx.Rejected(f"no Zendesk account answers at {self.site}: check the subdomain or url") from error
        except cx.Retryable as error:
            if error.status is not None:
                raise
            raise cx.Retryable(
                f"{self.site} cannot be reached: check the subdomain or url, and this machine's network",
                retry_at=error.retry_at,
                sent=False,
            ) from error
        if me.id is None:
            raise cx.Unauthorized(
                f"Zendesk takes this connection for an anonymous visitor: {self._credential()} is wrong or was left out"
            )
        self._check_export(client)
        return cx.Identity(me.name or str(me.id), f"users/{me.id}", self._notices(client))

    def streams(self) -> Sequence[cx.Stream]:
        return Reading(
            Shape(self.site, self.fields, self.tier_field),
            start=self.start,
            per_page=self.per_page,
            guide=self.guide,
            translations=self.translations,
        ).streams()

    def actions(self) -> Sequence[cx.Action]:
        return Writing(
            Shape(self.site, self.fields, self.tier_field),
            link_field=self.link_field,
            safe=self.safe_update,
            prose=self.prose,
        ).actions()

    def webhook(self) -> cx.Webhook:
        return webhooks.webhook()

    def _auth(self) -> cx.Auth:
        if self.access_token is not None:
            return cx.Bearer(self.access_token)
        if self.client_id is not None and self.client_secret is not None:
            return cx.ClientCredentials(f"{self.site}/oauth/tokens", self.client_id, self.client_secret, self.scope)
        if self.email is not None and self.api_token is not None:
            return cx.Basic(f"{self.email}/token", self.api_token)
        # The settings were checked to hold one; this tells the type checker so.
        raise cx.ConfigError("this connection has no credential")

    def _credential(self) -> str:
        if self.access_token is not None:
            return "the access_token"
        if self.client_id is not None:
            return "the client_id with its client_secret"
        return "the email with its api_token"

    def _check_export(self, client: cx.Client) -> None:
        start = int((client.server_now() - timedelta(seconds=HELD_BACK)).timestamp())
        try:
            client.get(TICKETS, {"start_time": start, "per_page": 1})
        except errors.Forbidden as error:
            raise cx.Rejected(
                "the credential works, but its user may not export: "
                f"give that user the admin role in Zendesk, or the token the scope it lacks ({error.detail})"
            ) from error
        except errors.StartTimeTooRecent:
            # Only somebody who may export is told about the time.
            return

    def _notices(self, client: cx.Client) -> tuple[str, ...]:
        if self.api_token is None:
            return ()
        days = (API_TOKENS_END - client.now.date()).days
        when = (
            f"ends API tokens on {API_TOKENS_END}, in {days} days"
            if days >= 0
            else f"ended API tokens on {API_TOKENS_END}"
        )
        remedy = (
            "make an OAuth client with client credentials in Admin Center, "
            "and set client_id and client_secret here in place of email and api_token"
        )
        return (f"Zendesk {when}: {remedy}",)


@cx.hookimpl
def cxbridge_connectors() -> list[type[cx.Connector]]:
    """Bring the connector."""
    return [Zendesk]
