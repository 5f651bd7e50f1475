"""What a simulated Qualtrics brand is like: its credentials, its limits, its delays and moods. Holds no state."""

from collections.abc import Mapping
from typing import Any

import msgspec

# The limits of developer documentation, per minute.
LIMITS: dict[str, int] = {"brand": 3000, "export starts": 100, "export looks": 1000, "export files": 100}
SCOPES = (
    "read:surveys",
    "read:survey_responses",
    "write:survey_responses",
    "read:subscriptions",
    "write:subscriptions",
    "read:directories",
    "read:directory_contacts",
    "write:directory_contacts",
    "read:mailing_lists",
    "write:mailing_list_contacts",
    "read:distributions",
    "write:distributions",
)


class OAuthClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered client; `scopes` is what it may be granted."""

    secret: str
    scopes: list[str] = msgspec.field(default_factory=lambda: list(SCOPES))


class QualtricsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of `World(options={"qualtrics": …})`; the control API changes some while the brand runs."""

    user: str = "bridge@example.test"
    """The integration user."""
    brand: str = "harbourlight"
    tokens: list[str] = msgspec.field(default_factory=lambda: ["sandbox-token"])
    clients: dict[str, OAuthClient] = msgspec.field(
        default_factory=lambda: {"cxbridge": OAuthClient(secret="sandbox-secret")}  # noqa: S106 - a made-up word
    )
    access_token_ttl: int = 3600
    seed_surveys: bool = True
    """Whether the brand starts with its three surveys."""
    licensed: bool = True
    """Whether the brand may use the API at all."""
    ticketing: bool = True
    """Whether the brand has bought follow-up tickets."""
    export_seconds: float = 1.0
    """How long an export takes by the sandbox's clock."""
    export_polls: int = 1
    """How often an export must be looked at before it is ready, however late it is."""
    export_lag: float = 30.0
    """Seconds for which a new response is in no export yet."""
    response_lag: float = 0.0
    """Seconds for which a new response answers 404 when it is asked for alone."""
    search_lag: float = 0.0
    """Seconds for which a search does not find a new contact."""
    list_lag: float = 0.0
    """Seconds for which the list of distributions does not show a new one."""
    blank_lines: bool = True
    """Whether exported lines have `{}` and empty ones among them."""
    proxied: str | None = None
    """The host that this brand lives on, where it is asked through another one: notices, and links to that host."""
    empty_pages: bool = False
    """Whether an empty page with a next one comes behind the first page of every list."""
    null_request_ids: bool = False
    limits: dict[str, int | None] | None = msgspec.field(default_factory=dict)
    """Requests per minute that replace those in `LIMITS`; None lifts one, or all."""
    survey_page: int = 100
    """How many surveys a page of their list holds; the caller cannot say."""

    def per_minute(self) -> dict[str, int | None]:
        if self.limits is None:
            return dict.fromkeys(LIMITS)
        unknown = set(self.limits) - set(LIMITS)
        if unknown:
            raise ValueError(f"limit {min(unknown)!r} is unknown; the limits are {', '.join(LIMITS)}")
        return {**LIMITS, **self.limits}


def from_mapping(values: Mapping[str, Any]) -> QualtricsOptions:
    """Check what was given as options of `qualtrics`.

    Raises:
        ValueError: an option is unknown or of the wrong type.
    """
    try:
        options = msgspec.convert(dict(values), QualtricsOptions)
    except msgspec.ValidationError as error:
        raise ValueError(f"qualtrics options: {error}") from error
    options.per_minute()
    return options
