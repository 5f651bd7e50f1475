"""What a simulated Zendesk account is like: its limits, its credentials, its plan. Holds no state."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """How many requests a rate limit admits in a window of `period` seconds; `limit` None admits all."""

    limit: int | None
    period: int = 60


# developer.zendesk.com/api-reference/introduction/rate-limits and the pages of the single endpoints. The names are
# those of the `zendesk-ratelimit-*` headers in real answers; `search-export` and `deleted-tickets` are unverified.
BUCKETS: dict[str, Bucket] = {
    "account": Bucket(400),
    "incremental-exports": Bucket(10),
    "incremental-exports-cursor": Bucket(10),
    "tickets-index": Bucket(100),
    "tickets-update": Bucket(100),
    "per-ticket-updates": Bucket(30, 600),
    "search-export": Bucket(100),
    "deleted-tickets": Bucket(10),
}


class OAuthClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered client; `scope` is the ceiling of what it may ask for, `user` the e-mail address it acts as."""

    secret: str
    scope: str = "read write"
    user: str | None = None


class ZendeskOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of `World(zendesk_options=…)`."""

    export_lag: int = 60
    """Seconds for which a changed row is held back from incremental exports."""
    search_lag: int = 30
    """Seconds for which a new record is unknown to search."""
    limits: dict[str, int | None] | None = msgspec.field(default_factory=dict)
    """Requests per window that replace the defaults in `BUCKETS`, by bucket; None lifts one, or all."""
    tokens: list[str] = msgspec.field(default_factory=lambda: ["sandbox-token"])
    """API tokens of the account; each acts as whichever agent's address is sent with it."""
    user: str = "bridge@example.test"
    """The address of the integration user, an administrator."""
    oauth_clients: dict[str, OAuthClient] = msgspec.field(
        default_factory=lambda: {"cxbridge": OAuthClient(secret="sandbox-secret")}  # noqa: S106 - a made-up word
    )
    access_token_ttl: int = 7200
    guide: bool = True
    """Whether the plan has a Help Center."""
    csat: Literal["ratings", "surveys"] = "ratings"
    """Which of the two kinds of customer satisfaction the account has switched on."""
    bulk_users: bool = False
    """Whether the account may create users in bulk."""

    def buckets(self) -> dict[str, Bucket]:
        if self.limits is None:
            return {name: Bucket(None, bucket.period) for name, bucket in BUCKETS.items()}
        unknown = set(self.limits) - set(BUCKETS)
        if unknown:
            raise ValueError(f"limit {min(unknown)!r} is unknown; the limits are {', '.join(BUCKETS)}")
        return {name: Bucket(self.limits.get(name, bucket.limit), bucket.period) for name, bucket in BUCKETS.items()}


def from_mapping(values: Mapping[str, Any]) -> ZendeskOptions:
    """Check what was given as `zendesk_options`.

    Raises:
        ValueError: an option is unknown or of the wrong type.
    """
    try:
        return msgspec.convert(dict(values), ZendeskOptions)
    except msgspec.ValidationError as error:
        raise ValueError(f"zendesk_options: {error}") from error
