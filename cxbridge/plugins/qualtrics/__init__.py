"""Qualtrics: surveys, responses, the XM Directory, distributions and tickets are read; invitations go out, values are kept.

A vendor's connector: it imports nothing of the project but `cxbridge.core.connector`. How it is cut: `wire` (Qualtrics' JSON as
types), `rules`, `questions`, `scoring`, `values`, `mapping` and `answers` (pure), `listing`, `exports`, `sweeping` and `reading`
(reads), `actions` and what it lists (writes), `hooks` (events), `errors`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Annotated, ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, StringConstraints, model_validator

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import (
    actions,
    answers,
    errors,
    exports,
    hooks,
    listing,
    mapping,
    reading,
    sweeping,
    wire,
)
from cxbridge.plugins.qualtrics.questions import instrument, questions
from cxbridge.plugins.qualtrics.reading import Reading
from cxbridge.plugins.qualtrics.rules import Fields, InviteRule, Rules, SurveyId, SurveyRule

_HOSTS: Final = ".qualtrics.com"
_MIB: Final = 1024 * 1024
SCOPES: Final = (
    "read:surveys read:survey_responses write:survey_responses read:directories read:directory_contacts "
    "write:directory_contacts read:mailing_lists write:mailing_list_contacts read:distributions write:distributions"
)


def _datacenter(value: object) -> object:
    """Take what people copy: `AZ1`, ` az1.qualtrics.com `, `https://az1.qualtrics.com/`."""
    if not isinstance(value, str):
        return value
    plain = value.strip().lower().removeprefix("https://").rstrip("/").removesuffix(_HOSTS)
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)?", plain):
        raise ValueError("a data center is named as in az1, fra1 or brand.az1: the part before .qualtrics.com")
    return plain


def _site(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("write the address alone, like https://acme.az1.qualtrics.com")
    if parts.path not in ("", "/"):
        raise ValueError("leave the path out: only https:// and the host")
    if parts.scheme == "http" and not cx.on_this_machine(parts.hostname):
        raise ValueError("write https://: over http anyone on the way could read the credential")
    return value.rstrip("/")


def _codes(value: object) -> object:
    """Take the keys of a table, which are texts in TOML, as numbers."""
    if not isinstance(value, Mapping):
        return value
    return {int(key) if isinstance(key, str) and re.fullmatch(r"\d+", key) else key: one for key, one in value.items()}


@dataclass(frozen=True, slots=True)
class ApiToken(cx.Auth):
    """The token of one Qualtrics user; a new one replaces it."""

    secret: cx.Secret

    def headers(self) -> Mapping[str, str]:
        return {"X-API-TOKEN": self.secret.get_secret_value()}


class Qualtrics(cx.Connector):
    """One Qualtrics brand, as one user or one OAuth client sees it."""

    name: ClassVar[str] = "qualtrics"

    datacenter: Annotated[str, BeforeValidator(_datacenter)] | None = cx.Field(
        default=None, description="The data center id, as az1 or fra1; or brand.az1. Either this or url."
    )
    url: Annotated[str, BeforeValidator(_site)] | None = cx.Field(
        default=None, description="The whole address in place of datacenter; for a sandbox on this machine too."
    )
    api_token: cx.Secret | None = cx.Field(default=None, description="The API token of one user.")
    client_id: str | None = cx.Field(
        default=None, description="OAuth client for client credentials; with client_secret."
    )
    client_secret: cx.Secret | None = cx.Field(default=None, description="The OAuth client's secret.")
    scope: str = cx.Field(default=SCOPES, description="OAuth scopes to ask for, separated by spaces.")
    webhook_secret: cx.Secret | None = cx.Field(
        default=None, description="The sharedKey of the event subscriptions; with it, unsigned events are refused."
    )
    webhook_secret_old: cx.Secret | None = cx.Field(
        default=None, description="The key before this one, while subscriptions with it are still there."
    )
    surveys: dict[SurveyId, SurveyRule] = cx.Field(
        default_factory=dict,
        description="What each survey measures; what is left out is recognised by its definition.",
    )
    only_configured: bool = cx.Field(default=False, description="Read responses of the surveys under surveys alone.")
    account_field: str = cx.Field(default="accountId", description="Embedded data that holds the account's id.")
    account_name_field: str = cx.Field(
        default="accountName", description="Embedded data that holds the account's name."
    )
    ticket_field: str = cx.Field(default="ticketId", description="Embedded data that holds a follow-up ticket's key.")
    consent_field: str = cx.Field(
        default="contactOk",
        description="Embedded data, or the export tag of the question, that holds consent to be contacted.",
    )
    email_field: str = cx.Field(
        default="email", description="Embedded data that holds the address, where no recipient is known."
    )
    directory: Annotated[str, StringConstraints(pattern=r"^POOL_\w+$")] | None = cx.Field(
        default=None, description="The XM Directory; the brand's default one where left out."
    )
    invite: InviteRule | None = cx.Field(default=None, description="How invitations go out; without it none do.")
    tickets: bool = cx.Field(
        default=True, description="Read and change follow-up tickets, which are a licence of their own."
    )
    ticket_statuses: Annotated[dict[int, cx.StatusCategory], BeforeValidator(_codes)] = cx.Field(
        default_factory=dict,
        description='What the brand\'s status numbers mean, as 0 = "open"; unnamed ones are unknown.',
    )
    ticket_priorities: Annotated[dict[int, cx.Priority], BeforeValidator(_codes)] = cx.Field(
        default_factory=dict,
        description='What the brand\'s priority numbers mean, as 2 = "high"; unnamed ones are none.',
    )
    start: date | None = cx.Field(default=None, description="Read only responses recorded on this day or later.")
    overlap: cx.Span = cx.Field(default=300, ge=120, description="How far each export looks back behind the last one.")
    settle: cx.Span = cx.Field(
        default=60, description="How far each export stays behind the vendor's clock: new responses show late."
    )
    page_size: int = cx.Field(default=50, ge=1, le=1000, description="Contacts or tickets to ask for at once.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.datacenter is None) == (self.url is None):
            raise ValueError("give either datacenter (az1) or url (https://acme.az1.qualtrics.com), and not both")
        oauth = (self.client_id, self.client_secret)
        if (self.api_token is None) == all(one is None for one in oauth):
            raise ValueError("give one credential: api_token, or client_id and client_secret")
        if self.api_token is None and None in oauth:
            raise ValueError("client_id and client_secret belong together: give both")
        if self.webhook_secret is None and self.webhook_secret_old is not None:
            raise ValueError("webhook_secret_old is the key before webhook_secret: give the new one too")
        names = (self.account_field, self.account_name_field, self.ticket_field, self.consent_field, self.email_field)
        if len({name.casefold() for name in names}) < len(names):
            raise ValueError("two of the embedded data fields have the same name")
        return self

    @property
    def site(self) -> str:
        """The address."""
        return self.url or f"https://{self.datacenter}{_HOSTS}"

    @property
    def rules(self) -> Rules:
        """The tables of this connection."""
        return Rules(
            surveys=self.surveys,
            fields=Fields(
                account=self.account_field,
                account_name=self.account_name_field,
                ticket=self.ticket_field,
                consent=self.consent_field,
                email=self.email_field,
            ),
            statuses=self.ticket_statuses,
            priorities=self.ticket_priorities,
            directory=self.directory,
            invite=self.invite,
        )

    def endpoint(self) -> cx.Endpoint:
        """Say where the brand is and how it wants to be spoken to."""
        return cx.Endpoint(
            f"{self.site}/API/v3",
            auth=self._auth(),
            headers={"accept": "application/json"},
            refusal=errors.refusal,
            message_of=errors.message_of,
            buckets=_buckets,
            reads=exports.reads,
            # A next page may be on another data center's host; elsewhere the credential never goes.
            hosts=(_HOSTS,) if (urlsplit(self.site).hostname or "").endswith(_HOSTS) else (),
            max_body=256 * _MIB,
        )

    def check(self, client: cx.Client) -> cx.Identity:
        """Find out whose credential it is, whether it may list surveys, and whether the settings fit the surveys they name.

        Raises:
            Unauthorized: when the credential is not accepted in this data center.
            Rejected: when a scope or licence is missing, or a setting does not fit.
            Retryable: when no such data center can be reached.
        """
        try:
            reply = client.get("/whoami")
        except cx.Retryable as error:
            if error.status is not None:
                raise
            raise cx.Retryable(
                f"{self.site} cannot be reached: check datacenter (Account settings, Qualtrics IDs) and this machine's network",
                retry_at=error.retry_at,
                sent=False,
            ) from error
        meta = listing.opened(reply).meta
        me = listing.result(reply, wire.WhoAmI)
        try:
            listing.result(client.get(reading.SURVEYS), wire.Listing)
        except errors.Forbidden as error:
            raise cx.Rejected(
                "the credential works, but may not read surveys: the brand's licence must include the API, "
                f"and an OAuth client needs the scope read:surveys ({error.detail})"
            ) from error
        self._check_surveys(client)
        notices = (f"Qualtrics says: {meta.notice}",) if meta.notice else ()
        return cx.Identity(me.user_name or me.user_id or "unknown", notices=notices)

    def streams(self) -> list[cx.Stream]:
        """List what can be read."""
        how = Reading(
            self.rules,
            overlap=timedelta(seconds=self.overlap),
            settle=timedelta(seconds=self.settle),
            start=self.start,
            only_configured=self.only_configured,
            page_size=self.page_size,
        )
        found = [
            cx.Stream(
                "surveys",
                (cx.Survey,),
                pages=partial(reading.surveys, how),
                one=partial(reading.one_survey, how),
                gaps=mapping.SURVEY_GAPS,
                every=300.0,
            ),
            cx.Stream(
                "responses",
                (cx.Feedback,),
                pages=partial(sweeping.responses, how),
                one=partial(sweeping.one, how),
                gaps=answers.FEEDBACK_GAPS,
            ),
            cx.Stream(
                "contacts",
                (cx.Contact,),
                pages=partial(reading.contacts, how),
                one=partial(reading.one_contact, how),
                order="scan",
                gaps=mapping.CONTACT_GAPS,
                every=900.0,
            ),
            cx.Stream("respondents", (cx.Contact,), filled_by="responses", gaps=mapping.RESPONDENT_GAPS),
            cx.Stream("accounts", (cx.Account,), filled_by="responses", gaps=mapping.ACCOUNT_GAPS),
            cx.Stream(
                "distributions",
                (cx.Invitation,),
                pages=partial(reading.distributions, how),
                order="scan",
                gaps=mapping.INVITATION_GAPS,
                every=900.0,
            ),
        ]
        if self.tickets:
            found.append(
                cx.Stream(
                    "tickets",
                    (cx.Ticket,),
                    pages=partial(reading.tickets, how),
                    order="scan",
                    gaps=mapping.TICKET_GAPS,
                    every=900.0,
                )
            )
        return found

    def actions(self) -> list[cx.Action]:
        """List what can be written."""
        return actions.actions(self.rules, tickets=self.tickets)

    def webhook(self) -> cx.Webhook:
        """Say how events are judged: signed ones with a shared key, the flat form only where there is none."""
        return hooks.webhook(signed=self.webhook_secret is not None)

    def _auth(self) -> cx.Auth:
        if self.api_token is not None:
            return ApiToken(self.api_token)
        if self.client_id is not None and self.client_secret is not None:
            return cx.ClientCredentials(
                f"{self.site}/oauth2/token", self.client_id, self.client_secret, self.scope, encoding="form", basic=True
            )
        # The settings were checked to hold one; this tells the type checker so.
        raise cx.ConfigError("this connection has no credential")

    def _check_surveys(self, client: cx.Client) -> None:
        for survey in self.surveys:
            try:
                told = listing.result(client.get(f"/survey-definitions/{survey}"), wire.Definition)
            except (errors.Forbidden, cx.NotFound) as error:
                raise cx.Rejected(
                    f"survey {survey} is not to be had: mend its id, or share it with this user ({error.detail})"
                ) from error
            if problems := instrument(survey, questions(told), self.rules).problems:
                raise cx.Rejected("; ".join(problems))


def _buckets(method: str, path: str) -> tuple[str, ...]:
    """Name the limits that Qualtrics keeps apart from the brand's: starting exports, looking at them, fetching files."""
    if "/export-responses" not in path:
        return ()
    if method == "POST":
        return ("export starts",)
    return ("export files",) if path.endswith("/file") else ("export looks",)


@cx.hookimpl
def cxbridge_connectors() -> list[type[cx.Connector]]:
    """Bring the connector for Qualtrics."""
    return [Qualtrics]
