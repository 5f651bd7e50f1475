"""The workspace: people, channels, messages, and what the app may see of them. Speaks no HTTP and checks no request."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from cxbridge.sandbox.slack.options import SlackOptions

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

TEAM = "T0HARBOUR"
DOMAIN = "harbourlight"
APP = "A0CXBRIDGE"
BOT = "B0CXBRIDGE"
BOT_USER = "U0CXBRIDGE"

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MENTION = re.compile(r"<(!(?:here|channel|everyone)|@[UW][A-Z0-9]+|!subteam\^[A-Z0-9]+)(?:\|[^>]*)?>")
_LOOSE_AMP = re.compile(r"&(?!(?:amp|lt|gt);)")


@dataclass(slots=True)
class User:
    """Someone in the workspace. `name` is the handle."""

    id: str
    name: str
    real_name: str
    email: str | None = None
    title: str = ""
    tz: str = "Europe/Amsterdam"
    locale: str = "en-GB"
    is_bot: bool = False
    is_admin: bool = False
    is_restricted: bool = False
    deleted: bool = False
    updated: int = 0


@dataclass(slots=True)
class Message:
    """One message. `thread_ts` is set on answers, and on what was answered."""

    ts: str
    user: str
    text: str
    blocks: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    thread_ts: str | None = None
    subtype: str | None = None
    edited: str | None = None
    edited_by: str | None = None
    by_app: bool = False
    deleted: bool = False

    @property
    def is_answer(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(slots=True)
class Channel:
    """A channel, or a direct message between the app and `with_user`."""

    id: str
    name: str
    created: int
    is_private: bool = False
    is_archived: bool = False
    is_shared: bool = False
    with_user: str | None = None
    topic: str = ""
    purpose: str = ""
    members: set[str] = field(default_factory=set)
    messages: dict[str, Message] = field(default_factory=dict)
    updated: int = 0

    @property
    def is_im(self) -> bool:
        return self.with_user is not None

    def shown(self) -> Iterator[Message]:
        """What stands in the channel itself, the newest first: answers are in their threads only."""
        found = [m for m in self.messages.values() if not m.is_answer and not (m.deleted and not self.answers(m.ts))]
        yield from sorted(found, key=lambda message: order(message.ts), reverse=True)

    def answers(self, ts: str) -> list[Message]:
        """The answers to a message, the oldest first."""
        found = [m for m in self.messages.values() if m.is_answer and m.thread_ts == ts and not m.deleted]
        return sorted(found, key=lambda message: order(message.ts))


class Workspace:
    """Everything there is. The world's lock is held at each call."""

    def __init__(self, world: "World", options: SlackOptions) -> None:
        self.world = world
        self.options = options
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.event_numbers = itertools.count(1)
        self._random: Random = world.random_for("slack")
        self._last = (0, 0)
        self.users[BOT_USER] = User(BOT_USER, "cxbridge", "cxbridge", is_bot=True, updated=self.seconds())
        self.users["USLACKBOT"] = User("USLACKBOT", "slackbot", "Slackbot", updated=self.seconds())

    def seconds(self) -> int:
        return int(self.world.clock.time())

    def new_id(self, letter: str) -> str:
        return letter + "0" + "".join(self._random.choices(_LETTERS, k=9))

    def new_ts(self, at: float | None = None) -> str:
        """A stamp that no other message has, later than every one before unless a time is given."""
        now = self.world.clock.time() if at is None else at
        stamp = (int(now), int(now % 1 * 1_000_000))
        if at is None:
            last = self._last
            stamp = max(stamp, (last[0], last[1] + 1) if last[1] < 999_999 else (last[0] + 1, 0))
            self._last = stamp
        while any(f"{stamp[0]}.{stamp[1]:06d}" in channel.messages for channel in self.channels.values()):
            stamp = (stamp[0], stamp[1] + 1)
        return f"{stamp[0]}.{stamp[1]:06d}"

    def user_named(self, name: str) -> User:
        """Find someone by id, handle, e-mail address or name.

        Raises:
            LookupError: there is nobody of that name.
        """
        for user in self.users.values():
            if name in (user.id, user.name, user.real_name) or (user.email and user.email == name.lower()):
                return user
        raise LookupError(f"there is nobody called {name!r} in the workspace")

    def channel_named(self, name: str) -> Channel:
        """Find a channel by id or name; a person's name or address means the app's direct message with them.

        Raises:
            LookupError: there is none.
        """
        plain = name.removeprefix("#")
        for channel in self.channels.values():
            if plain in (channel.id, channel.name) and plain:
                return channel
        try:
            user = self.user_named(plain)
        except LookupError:
            raise LookupError(f"there is no channel called {name!r}") from None
        found = self.direct(user)
        if found is None:
            raise LookupError(f"the app has written nothing to {name!r}")
        return found

    def direct(self, user: User) -> Channel | None:
        return next((channel for channel in self.channels.values() if channel.with_user == user.id), None)

    def open_direct(self, user: User) -> Channel:
        """The app's direct message with someone, opened if there is none."""
        found = self.direct(user)
        if found is None:
            found = Channel(self.new_id("D"), "", self.seconds(), with_user=user.id, members={BOT_USER, user.id})
            self.channels[found.id] = found
        return found

    def seen(self) -> list[Channel]:
        """The channels that the app knows of: public ones, and those it is in."""
        return [c for c in self.channels.values() if BOT_USER in c.members or not (c.is_private or c.is_im)]

    def place(self, channel: Channel, message: Message) -> Message:
        """Put a message into a channel, and mark what it answers."""
        channel.messages[message.ts] = message
        if message.thread_ts is not None and message.thread_ts in channel.messages:
            channel.messages[message.thread_ts].thread_ts = message.thread_ts
        return message

    def message(self, key: str) -> tuple[Channel, Message]:
        """Find a message by `channel:ts`.

        Raises:
            LookupError: there is none.
        """
        where, _, ts = key.rpartition(":")
        channel = self.channel_named(where)
        if ts not in channel.messages:
            raise LookupError(f"there is no message {key!r}")
        return channel, channel.messages[ts]


def order(ts: str) -> tuple[int, int]:
    """What stamps are compared by; also takes a bound without micros."""
    seconds, _, micros = ts.partition(".")
    return int(seconds or 0), int((micros + "000000")[:6])


def stored(text: str) -> str:
    """Text as Slack keeps it: a loose ampersand becomes an entity, what is over 40,000 characters goes."""
    return _LOOSE_AMP.sub("&amp;", text)[:40_000]


def pings(text: str, blocks: list[Any] | None = None) -> list[str]:
    """Whom a message calls, in its text and in all the text of its blocks."""
    return [found[1] for one in (text, *_texts(blocks or [])) for found in _MENTION.finditer(one)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        if value.get("type") == "mrkdwn" and isinstance(value.get("text"), str):
            yield value["text"]
        else:
            for item in value.values():
                yield from _texts(item)


Via = Literal["api", "ui", "seed"]
