"""Slack's JSON as types, decoded straight from the bytes; no I/O and no meaning.

`docs.slack.dev/reference/objects/`. Nearly everything is optional: what a method leaves out differs with the token's scopes, the
kind of workspace and the age of the record. A `ts` is an id and stays text: as a number it would lose its last digits.
"""

from typing import Any

import msgspec

Json = Any


class Head(msgspec.Struct, frozen=True, gc=False):
    """What every answer begins with; a failure comes with status 200 all the same."""

    ok: bool
    error: str | None = None
    needed: str | None = None
    response_metadata: Json = None


class Next(msgspec.Struct, frozen=True, gc=False):
    """Where the next page begins; absent or empty at the end."""

    next_cursor: str | None = None


class Profile(msgspec.Struct, frozen=True, gc=False):
    """`email` comes only with the scope users:read.email, and for guests from elsewhere not at all."""

    email: str | None = None
    real_name: str | None = None
    display_name: str | None = None
    title: str | None = None


class User(msgspec.Struct, frozen=True, gc=False):
    """A member, guest or bot. `is_stranger` is someone of another company, met in a shared channel."""

    id: str
    name: str | None = None
    real_name: str | None = None
    deleted: bool = False
    is_bot: bool = False
    is_admin: bool = False
    is_owner: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    tz: str | None = None
    locale: str | None = None
    updated: float | None = None
    profile: Profile = msgspec.field(default_factory=Profile)


class Channel(msgspec.Struct, frozen=True, gc=False):
    """A channel, or a direct message, which has a `user` in place of a name. `updated` counts milliseconds, `created` seconds."""

    id: str
    name: str | None = None
    user: str | None = None
    is_im: bool = False
    is_private: bool = False
    is_archived: bool = False
    is_member: bool = False
    is_ext_shared: bool = False
    created: float | None = None
    updated: float | None = None


class Metadata(msgspec.Struct, frozen=True, gc=False):
    event_type: str | None = None
    event_payload: dict[str, Json] | None = None


class Edited(msgspec.Struct, frozen=True, gc=False):
    user: str | None = None
    ts: str | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as a history, a thread or an event shows it. A reply has a `thread_ts` that is not its own `ts`."""

    ts: str
    type: str | None = None
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    reply_count: int | None = None
    latest_reply: str | None = None
    edited: Edited | None = None
    blocks: list[Json] | None = None
    metadata: Metadata | None = None


class AuthTest(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    url: str | None = None
    team: str | None = None
    user: str | None = None
    bot_id: str | None = None


class Users(msgspec.Struct, frozen=True, gc=False):
    members: list[msgspec.Raw] = []
    response_metadata: Next | None = None


class OneUser(msgspec.Struct, frozen=True, gc=False):
    user: msgspec.Raw


class Channels(msgspec.Struct, frozen=True, gc=False):
    channels: list[msgspec.Raw] = []
    response_metadata: Next | None = None


class OneChannel(msgspec.Struct, frozen=True, gc=False):
    channel: msgspec.Raw


class Messages(msgspec.Struct, frozen=True, gc=False):
    """A page of a history, the newest first, or of a thread, its parent first."""

    messages: list[msgspec.Raw] = []
    has_more: bool = False
    response_metadata: Next | None = None


class Posted(msgspec.Struct, frozen=True, gc=False):
    """Where a message now stands; a name or a person that was written to comes back as the channel's id."""

    channel: str
    ts: str


def cursor(page: Users | Channels | Messages) -> str | None:
    """Give the cursor of the next page; None at the end."""
    return (page.response_metadata.next_cursor if page.response_metadata else None) or None
