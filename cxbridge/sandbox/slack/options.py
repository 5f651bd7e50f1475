"""What a simulated Slack workspace is like: its tokens, scopes, limits and plan. Holds no state."""

from collections.abc import Mapping
from typing import Any

import msgspec

SCOPES = (
    "chat:write",
    "chat:write.public",
    "channels:read",
    "channels:history",
    "channels:join",
    "groups:read",
    "groups:history",
    "im:read",
    "im:write",
    "im:history",
    "users:read",
    "users:read.email",
)


class SlackOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of `World(options={"slack": …})`."""

    user: str = "bridge@example.test"
    """The integration, as the journal names it."""
    tokens: list[str] = msgspec.field(default_factory=lambda: ["sandbox-token"])
    """Bot tokens of the app."""
    scopes: list[str] = msgspec.field(default_factory=lambda: list(SCOPES))
    """What the app was granted; without one, methods answer `missing_scope`."""
    limits: dict[str, int | None] | None = msgspec.field(default_factory=dict)
    """Requests a minute that replace those of a method's tier, by method; `channel` is messages a second in one channel.
    None lifts one, or all."""
    history_items: int | None = None
    """The most messages on a page of a history or thread: 15 plays an app that is sold outside the Marketplace."""
    page_items: int | None = None
    """The most rows on any page, whatever is asked for."""
    empty_page: bool = False
    """Whether the first page of every listing is empty and leads on to the rows."""
    signing_secret: str = "sandbox-signing-secret"  # noqa: S105 - a made-up word
    """What events and button presses are signed with."""
    events_url: str = ""
    interactivity_url: str = ""


def from_mapping(values: Mapping[str, Any]) -> SlackOptions:
    """Check what was given for `slack`.

    Raises:
        ValueError: an option is unknown or of the wrong type.
    """
    try:
        options = msgspec.convert(dict(values), SlackOptions)
    except msgspec.ValidationError as error:
        raise ValueError(f"options of slack: {error}") from error
    unknown = set(options.scopes) - set(SCOPES)
    if unknown:
        raise ValueError(f"options of slack: the scope {min(unknown)!r} is not known here")
    return options
