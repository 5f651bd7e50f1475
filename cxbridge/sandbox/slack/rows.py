"""Rows of a company file that are about Slack: people, channels, messages. Checks them and adds them."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from cxbridge.sandbox.slack.state import BOT_USER, Channel, Message, User, Workspace, stored
from cxbridge.sandbox.zendesk.rows import age_in_seconds

T = TypeVar("T")


class UserRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`slack.user`. `name` is what people call them; the handle is made of the address where none is given."""

    kind: str = "slack.user"
    name: str
    email: str | None = None
    handle: str | None = None
    id: str | None = None
    title: str = ""
    tz: str = "Europe/Amsterdam"
    locale: str = "en-GB"
    is_bot: bool = False
    is_admin: bool = False
    is_guest: bool = False
    deleted: bool = False


class ChannelRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`slack.channel`. `members` are addresses, handles or names; the app itself is `cxbridge`."""

    kind: str = "slack.channel"
    name: str
    id: str | None = None
    private: bool = False
    members: list[str] = []
    archived: bool = False
    shared: bool = False
    topic: str = ""
    purpose: str = ""


class MessageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`slack.message`. `age` counts back from now, as `3d4h`."""

    kind: str = "slack.message"
    channel: str
    user: str
    text: str
    age: str = "0s"
    thread: str | None = None


def load(workspace: Workspace, row: Mapping[str, Any]) -> None:
    """Add one row.

    Raises:
        ValueError: it cannot be used.
    """
    match row.get("kind"):
        case "slack.user":
            user(workspace, row)
        case "slack.channel":
            channel(workspace, row)
        case "slack.message":
            message(workspace, row)
        case other:
            raise ValueError(f"kind {other!r} is unknown; Slack's kinds are slack.user, slack.channel, slack.message")


def user(workspace: Workspace, row: Mapping[str, Any]) -> User:
    """Add someone."""
    read = _read(row, UserRow)
    handle = read.handle or (read.email.partition("@")[0] if read.email else read.name.lower().replace(" ", "."))
    ident = read.id or workspace.new_id("U")
    if ident in workspace.users or any(
        read.email and one.email == read.email.lower() for one in workspace.users.values()
    ):
        raise ValueError(f"there is somebody already with the id {ident} or the address {read.email}")
    workspace.users[ident] = User(
        ident,
        handle,
        read.name,
        read.email.lower() if read.email else None,
        read.title,
        read.tz,
        read.locale,
        read.is_bot,
        read.is_admin,
        read.is_guest,
        read.deleted,
        workspace.seconds(),
    )
    return workspace.users[ident]


def channel(workspace: Workspace, row: Mapping[str, Any]) -> Channel:
    """Add a channel. Who is named as a member must be there already."""
    read = _read(row, ChannelRow)
    name = read.name.removeprefix("#")
    ident = read.id or workspace.new_id("C")
    if ident in workspace.channels or any(one.name == name for one in workspace.channels.values()):
        raise ValueError(f"there is a channel {name!r} already")
    try:
        members = {workspace.user_named(member).id for member in read.members}
    except LookupError as error:
        raise ValueError(f"channel {name}: {error.args[0]}") from None
    workspace.channels[ident] = Channel(
        ident,
        name,
        workspace.seconds(),
        read.private,
        read.archived,
        read.shared,
        topic=read.topic,
        purpose=read.purpose,
        members=members,
        updated=workspace.seconds() * 1000,
    )
    return workspace.channels[ident]


def message(workspace: Workspace, row: Mapping[str, Any]) -> Message:
    """Add something that was said earlier; nobody is told of it."""
    read = _read(row, MessageRow)
    try:
        place = workspace.channel_named(read.channel)
        author = workspace.user_named(read.user)
    except LookupError as error:
        raise ValueError(str(error.args[0])) from None
    at = workspace.world.clock.time() - age_in_seconds(read.age)
    parent = next((one for one in place.messages.values() if one.text == read.thread), None) if read.thread else None
    if read.thread and parent is None:
        raise ValueError(f"nothing in {read.channel} reads {read.thread!r}: thread quotes the text that is answered")
    said = Message(
        workspace.new_ts(at),
        author.id,
        stored(read.text),
        thread_ts=parent.ts if parent else None,
        by_app=author.id == BOT_USER,
    )
    return workspace.place(place, said)


def _read(row: Mapping[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(dict(row), shape)
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("Object", "the row", 1)) from error
