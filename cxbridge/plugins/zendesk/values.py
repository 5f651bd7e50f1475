"""Single values both ways: statuses, priorities, channels, times, tags; tables and small forms, no entity, no I/O.

What the tables leave out is `unknown`, `other` or `none` on the way in and refused on the way out.
"""

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import wire

STATUS: Mapping[str, tuple[cx.StatusCategory, cx.WaitingOn]] = {
    "new": ("new", "none"),
    "open": ("open", "none"),
    "pending": ("waiting", "requester"),
    # On hold stops no clock of the requester's: somebody who is neither requester nor agent has to act.
    "hold": ("waiting", "third_party"),
    "solved": ("resolved", "none"),
    "closed": ("closed", "none"),
    # What it was before it was deleted, the export does not say.
    "deleted": ("unknown", "none"),
}
UNKNOWN: tuple[cx.StatusCategory, cx.WaitingOn] = ("unknown", "none")

# The way back. Zendesk has no status for work in progress beside `open`, and none for cancelled.
STATUS_FOR: Mapping[str, str] = {
    "open": "open",
    "in_progress": "open",
    "waiting": "pending",
    "resolved": "solved",
    "closed": "closed",
}

PRIORITY: Mapping[str, cx.Priority] = {"urgent": "urgent", "high": "high", "normal": "normal", "low": "low"}
TYPE: Mapping[str, cx.TicketType] = {
    "question": "question",
    "incident": "incident",
    "problem": "problem",
    "task": "task",
}

# Value lists: developer.zendesk.com/documentation/ticketing/reference-guides/via-object-reference
CHANNEL: Mapping[str, cx.Channel] = {
    "email": "email",
    # Also what an agent opens by hand.
    "web": "web_form",
    "web_form": "web_form",
    "web_service": "api",
    "web_widget": "web_form",
    "api": "api",
    "help_center": "portal",
    "mobile": "in_app",
    "mobile_sdk": "in_app",
    "chat": "chat",
    "chat_transcript": "chat",
    "chat_offline_message": "chat",
    "answer_bot": "chat",
    "messaging": "messaging",
    "native_messaging": "messaging",
    "whatsapp": "messaging",
    "line": "messaging",
    "wechat": "messaging",
    "telegram": "messaging",
    "slack": "messaging",
    "voice": "voice",
    "phone": "voice",
    "voicemail": "voice",
    "sms": "sms",
    "twitter": "social",
    "twitter_dm": "social",
    "twitter_favorite": "social",
    "facebook": "social",
    "facebook_post": "social",
    "facebook_message": "social",
    "instagram": "social",
    "instagram_dm": "social",
    "any_channel": "social",
    "topic": "community",
    "forum": "community",
    "community": "community",
    "rule": "automation",
    "system": "automation",
    "automation": "automation",
}
AUTOMATIC = frozenset({"rule", "system", "automation", "trigger"})


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Write tags as Zendesk keeps them: lower-case, `_` for spaces, each once, none empty.

    It also refuses other marks in some accounts, and more than 80 characters; both figures are unverified, so the
    length is kept to that and the marks are left alone.
    """
    cleaned = (re.sub(r"[\s,]+", "_", tag.strip()).lower()[:80] for tag in tags)
    return list(dict.fromkeys(tag for tag in cleaned if tag))


def merged_tags(now: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """Give the tags as they should be: what is there stays in its order, less the removed, plus the added."""
    gone = set(clean_tags(remove))
    kept = [tag for tag in now if tag not in gone]
    return kept + [tag for tag in clean_tags(add) if tag not in kept]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAG = re.compile(r"<[^>]*>")
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h[1-6]|/tr)\b[^>]*>", re.IGNORECASE)


def ref(stream: str, id_: int | None) -> str | None:
    """Write a local ref, or nothing for nothing."""
    return None if id_ is None else f"{stream}/{id_}"


def utc(time: datetime | None) -> datetime | None:
    """Bring a time to UTC; one at the very edge of the calendar, where UTC has no such day, counts as none."""
    if time is None or time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return None


def moment(seconds: int | None) -> datetime | None:
    """Read seconds since 1970; 0 is what a write's answer shows before the export has numbered the change."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def stamp(updated: datetime | None) -> str | None:
    """Write a time the way a safe update must quote it back: whole seconds with a `Z`."""
    # The library writes UTC with a `Z` and leaves no fraction out; it takes a fifth of the time of `isoformat`.
    return None if updated is None else f"{msgspec.to_builtins(updated)[:19]}Z"


def later(created: datetime | None, span: wire.Span | None) -> datetime | None:
    """Add a span to a time, to the minute, which is as fine as Zendesk counts."""
    start = utc(created)
    if start is None or span is None or span.calendar is None:
        return None
    try:
        return start + timedelta(minutes=span.calendar)
    except OverflowError:
        return None


def channel_of(via: wire.AnyVia) -> cx.Channel | None:
    """Name the channel; a word that is not in the table is `other`, no word is none."""
    word = word_of(via)
    if not word:
        return None
    return CHANNEL.get(word, "other")


def text_of(markup: str | None) -> str:
    """Take the words out of HTML, a line per block."""
    if not markup:
        return ""
    text = html.unescape(_TAG.sub("", _BREAK.sub("\n", _UNSEEN.sub("", markup))))
    return "\n".join(line for line in (part.strip() for part in text.splitlines()) if line)


def word_of(via: wire.AnyVia) -> str:
    channel = via.channel if isinstance(via, wire.Via) else via
    # The event export writes words with capitals and spaces: "Web form". Old recordings hold numbers, which nobody
    # explains.
    return channel.lower().replace(" ", "_") if isinstance(channel, str) else ""
