"""What a simulated Jira site is like: its credentials, its limits, its delays. Holds no state."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

BURST: dict[str, int] = {
    # Bucket sizes as a real site showed them in its headers; the documented defaults are lower.
    "get": 350,
    "search": 350,
    "get-issue": 400,
    "get-user": 400,
    "get-changelog": 200,
    "post": 200,
    "put": 300,
    "delete": 50,
}

REFILL: dict[str, int] = {"GET": 100, "POST": 100, "PUT": 50, "DELETE": 50}
"""Requests per second that return to a bucket (developer.atlassian.com/cloud/jira/platform/rate-limiting/)."""

SCOPES = (
    "read:jira-work",
    "write:jira-work",
    "read:jira-user",
    "read:servicedesk-request",
    "write:servicedesk-request",
    "manage:servicedesk-customer",
    "manage:jira-webhook",
)


class OAuthClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered 3LO app; `scopes` is what its users consent to."""

    secret: str
    scopes: list[str] = msgspec.field(default_factory=lambda: [*SCOPES, "offline_access"])


class JiraOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of `World(jira_options=…)`."""

    user: str = "bridge@example.test"
    """The address of the integration user."""
    tokens: list[str] = msgspec.field(default_factory=lambda: ["sandbox-token"])
    """Classic API tokens of the integration user: good on the site's own address only."""
    scoped_tokens: list[str] = msgspec.field(default_factory=lambda: ["scoped-sandbox-token"])
    """Scoped API tokens: good behind the gateway address only."""
    scopes: list[str] = msgspec.field(default_factory=lambda: list(SCOPES))
    """What the scoped tokens may do."""
    oauth_clients: dict[str, OAuthClient] = msgspec.field(
        default_factory=lambda: {"cxbridge": OAuthClient(secret="sandbox-secret")}  # noqa: S106 - a made-up word
    )
    access_token_ttl: int = 3600
    refresh_token_idle: int = 90 * 86_400
    """Seconds after which an unused refresh token dies."""
    time_zone: str = "Europe/Warsaw"
    """The profile time zone of the integration user."""
    admin: bool = True
    """Whether the integration user administers the site."""
    search_lag: float = 5
    """Seconds for which a write is unknown to search."""
    search_paging: Literal["position", "offset"] = "position"
    """Whether a page token marks the last row seen, or a count of rows: then rows that move away let others be skipped.
    Which of the two the vendor does is unverified."""
    limits: dict[str, int | None] | None = msgspec.field(default_factory=dict)
    """Bucket sizes that replace those in `BURST`, by bucket; None lifts one, or all."""
    issue_writes: list[tuple[int, float]] | None = msgspec.field(default_factory=lambda: [(20, 2.0), (100, 30.0)])
    """How many writes one issue takes in how many seconds; None lifts the limit."""
    points_per_hour: int | None = 65_000
    """The quota of calls with an OAuth grant; API tokens are outside it."""
    status_names: dict[str, str] = msgspec.field(default_factory=dict)
    """Names shown instead of To Do, In Progress, In Review and Done, as on a translated site."""
    required_fields: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Field ids that a project's create screen demands, by project key."""
    comment_cap: int = 5000
    changelog_epoch: Literal["milliseconds", "seconds"] = "milliseconds"
    """The unit of `created` in the bulk changelog, which the vendor does not state."""
    seed_issues: bool = True
    """Whether the site starts with a few issues of its own."""

    def buckets(self) -> dict[str, int | None]:
        if self.limits is None:
            return dict.fromkeys(BURST)
        unknown = set(self.limits) - set(BURST)
        if unknown:
            raise ValueError(f"limit {min(unknown)!r} is unknown; the limits are {', '.join(BURST)}")
        return {**BURST, **self.limits}


def from_mapping(values: Mapping[str, Any]) -> JiraOptions:
    """Check what was given as `jira_options`.

    Raises:
        ValueError: an option is unknown or of the wrong type.
    """
    try:
        options = msgspec.convert(dict(values), JiraOptions)
    except msgspec.ValidationError as error:
        raise ValueError(f"jira_options: {error}") from error
    options.buckets()
    return options
