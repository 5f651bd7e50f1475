"""Turns Slack's wire types into canonical entities; pure: no I/O, no clock, nothing remembered."""

import re
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import mrkdwn, wire

T = TypeVar("T")

USER_GAPS: Final = ("teams", "created_at", "url", "deleted_at", "version")
CHANNEL_GAPS: Final = ("deleted_at", "version", "source_key")
# Slack stamps an edit and nothing else; what is deleted just disappears.
MESSAGE_GAPS: Final = ("updated_at", "deleted_at", "version", "source_key")

EVENT: Final = "cxbridge_notification"
MARKER: Final = re.compile(r"cxb:[0-9a-f]{16}")
CHANNEL_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,20}")
USER_ID: Final = re.compile(r"[UW][A-Z0-9]{6,20}")
TS: Final = re.compile(r"[0-9]{1,11}\.[0-9]{6}")
_KEY: Final = re.compile(rf"({CHANNEL_ID.pattern}):({TS.pattern})")

# What Slack itself writes into a channel.
_BY_PEOPLE: Final = frozenset({"", "thread_broadcast", "file_share", "me_message", "bot_message", "reply_broadcast"})
# What stands where a message was deleted that had answers.
TOMBSTONE: Final = "tombstone"

# Beginnings of the decoder's sentences that name types and our own fields, never a value of the vendor's.
_VALUE_FREE: Final = ("Expected `", "Object missing required field `")


_Inputs = TypeVar("_Inputs", bound=cx.Inputs)


class Unreadable(ValueError):
    """A record that cannot become an entity; the text says why, without its content."""


def decode(raw: bytes | msgspec.Raw, shape: type[T]) -> T:
    """Decode one record.

    Raises:
        Unreadable: when it is not of the known form.
    """
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(_misfit(error)) from None


def agent(user: wire.User) -> cx.Agent:
    """Read a member of the workspace. A guest, or someone of another company, has no role.

    Raises:
        Unreadable: when it has no id.
    """
    if not USER_ID.fullmatch(user.id) and user.id != "USLACKBOT":
        raise Unreadable("a person's id is not of the known form")
    robot = user.is_bot or user.id == "USLACKBOT"
    outside = user.is_restricted or user.is_ultra_restricted or user.is_stranger
    profile = user.profile
    return cx.Agent(
        source_id=user.id,
        source_key=user.name or None,
        name=user.real_name or profile.real_name or profile.display_name or user.name or user.id,
        email=profile.email.strip().lower() if profile.email and profile.email.strip() else None,
        active=not user.deleted,
        roles=["bot"] if robot else [] if outside else ["admin"] if user.is_admin or user.is_owner else ["agent"],
        language=user.locale.partition("-")[0].lower() or None if user.locale else None,
        timezone=user.tz or None,
        updated_at=_epoch(user.updated),
    )


def container(channel: wire.Channel, workspace: str | None) -> cx.Container:
    """Read a channel.

    Raises:
        Unreadable: when it has no id or no name.
    """
    if not CHANNEL_ID.fullmatch(channel.id) or not channel.name:
        raise Unreadable("a channel's id or name is not of the known form")
    return cx.Container(
        source_id=channel.id,
        name=channel.name,
        # The nearest canonical word: where a team works together.
        sort="team",
        url=f"{workspace}/archives/{channel.id}" if workspace else None,
        created_at=_epoch(channel.created),
        updated_at=_epoch(channel.updated / 1000) if channel.updated else None,
    )


def message(row: wire.Message, channel: str, workspace: str | None) -> cx.Message:
    """Read a message of a channel.

    Raises:
        Unreadable: when it has no time of its own.
    """
    sent = moment(row.ts)
    if sent is None:
        raise Unreadable("a message's ts is not of the known form")
    robot = bool(row.bot_id) or row.subtype == "bot_message"
    people = (row.subtype or "") in _BY_PEOPLE
    author = row.user if row.user and (USER_ID.fullmatch(row.user) or row.user == "USLACKBOT") else None
    parent = row.thread_ts if row.thread_ts and row.thread_ts != row.ts and moment(row.thread_ts) else None
    return cx.Message(
        source_id=key(channel, row.ts),
        url=link(workspace, channel, row.ts, parent),
        created_at=sent,
        sent_at=sent,
        edited_at=moment(row.edited.ts) if row.edited and row.edited.ts else None,
        channel=f"channels/{channel}",
        body_text=mrkdwn.plain(row.text or ""),
        author=f"users/{author}" if author else None,
        author_kind="automation" if robot else "agent" if author and people else "unknown" if people else "system",
        thread=f"messages/{key(channel, parent)}" if parent else None,
        marker=marker(row.metadata),
    )


def marker(metadata: wire.Metadata | None) -> str | None:
    """Give the marker that cxbridge planted beside a message."""
    if metadata is None or metadata.event_type != EVENT:
        return None
    planted = (metadata.event_payload or {}).get("key")
    return planted if isinstance(planted, str) and MARKER.fullmatch(planted) else None


def key(channel: str, ts: str) -> str:
    """Name a message: a `ts` is unique in its channel only."""
    return f"{channel}:{ts}"


def split(name: str | None) -> tuple[str, str]:
    """Take a message's key apart into channel and ts.

    Raises:
        Rejected: when it is none.
    """
    found = _KEY.fullmatch(name or "")
    if found is None:
        raise cx.Rejected("a message is named by its channel and ts, as C024BE91L:1741081950.002119")
    return found[1], found[2]


def inputs(call: cx.Call, kind: type[_Inputs]) -> _Inputs:
    """Give the inputs of a call as what they must be.

    Raises:
        PluginError: when the engine handed over those of another action.
    """
    if not isinstance(call.inputs, kind):
        raise cx.PluginError("slack", f"expected {kind.__name__}, was handed {type(call.inputs).__name__}")
    return call.inputs


def link(workspace: str | None, channel: str, ts: str, thread: str | None = None) -> str | None:
    """Give the address that opens a message."""
    if not workspace:
        return None
    page = f"{workspace}/archives/{channel}/p{ts.replace('.', '')}"
    return f"{page}?thread_ts={thread}&cid={channel}" if thread else page


def moment(ts: str | None) -> datetime | None:
    """Read the time in a `ts`; None where it is not of the known form."""
    if not ts or not TS.fullmatch(ts):
        return None
    seconds, _, micros = ts.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))


def order(ts: str) -> tuple[int, int]:
    """Give what a `ts` is compared by; as text, a shorter one would come out wrong."""
    seconds, _, micros = ts.partition(".")
    return int(seconds), int(micros)


def stamp(when: datetime) -> str:
    """Write a time as a bound that is compared with a `ts`."""
    whole = max(0, int(when.timestamp()))
    return f"{whole}.{when.microsecond:06d}"


def _epoch(seconds: float | None) -> datetime | None:
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _misfit(error: Exception) -> str:
    told = str(error)
    if isinstance(error, msgspec.ValidationError) and told.startswith(_VALUE_FREE):
        return told.replace("`", "")
    return (
        "a value is not of the expected kind" if isinstance(error, msgspec.ValidationError) else "it is not valid JSON"
    )
