"""Finds where a message goes: a channel by its name, id or alias, a person by e-mail address; the app joins where it must.

Everything here is read, but for joining, which changes nothing when repeated
(`docs.slack.dev/reference/methods/conversations.join`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import answers, mapping, streams, wire
from cxbridge.plugins.slack.mapping import Unreadable

_LONGEST: Final = 250


@dataclass(frozen=True, slots=True)
class Rules:
    """How one connection writes: its names for channels, where what reaches nobody goes, what may be read and joined.

    `search_back` is how many seconds back a message is looked for when nobody says when it was sent.
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    history: bool = True
    join: bool = True
    shared: bool = False
    workspace: str | None = None
    search_back: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where to write: `id` is a channel, or a person, to whom Slack then opens a direct message. `told` is a word for people."""

    id: str
    told: str = ""

    @property
    def person(self) -> bool:
        """Whether it is a person's id."""
        return mapping.USER_ID.fullmatch(self.id) is not None


def resolve(rules: Rules, client: cx.Client, to: str) -> Place:
    """Find the place and see that a message may go there; the app joins a channel whose messages it must find again.

    Raises:
        Rejected: when there is no such place, or nothing may be written there.
    """
    name = to.strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise cx.Rejected("name a channel (#name, an id, or a name under channels) or a person by e-mail address")
    person = _person(rules, client, name)
    if person is not None:
        return person
    return _open(rules, client, _channel(rules, client, name))


def candidates(rules: Rules, client: cx.Client, to: str) -> Iterator[str]:
    """Give the ids of the channels where an earlier message to that address may stand, able to be read where that can be."""
    name = to.strip()
    user = _user(client, name)
    if "@" not in name and user is None:
        yield _readable(rules, client, _channel(rules, client, name))
        return
    if user is not None:
        for rows in streams.listed_channels(client, "im"):
            for source in rows:
                try:
                    channel = mapping.decode(source, wire.Channel)
                except Unreadable:
                    continue
                if channel.user == user:
                    yield channel.id
    # Whoever was not found then, or is not found now, had the message sent to the default channel.
    if rules.default is not None and "@" in name:
        yield _readable(rules, client, _channel(rules, client, rules.default))


def _readable(rules: Rules, client: cx.Client, channel: wire.Channel) -> str:
    """See that a channel's history can be read: whoever was interrupted before the app had joined would never know otherwise."""
    if rules.join and not (channel.is_member or channel.is_im or channel.is_private or channel.is_archived):
        enter(rules, client, channel.id, f"#{channel.name}" if channel.name else channel.id)
    return channel.id


def _person(rules: Rules, client: cx.Client, name: str) -> Place | None:
    """Find a person; one who is not there is told of in the default channel, where there is one."""
    if "@" not in name:
        user = _user(client, name)
        return None if user is None else Place(user)
    user = _user(client, name)
    if user is not None:
        return Place(user)
    if rules.default is None:
        raise cx.Rejected(
            "nobody with that e-mail address is active in the workspace: write to somebody else, or set default_channel"
        )
    there = _open(rules, client, _channel(rules, client, rules.default))
    return Place(there.id, f"nobody with that e-mail address is active in the workspace: sent to {rules.default}")


def _user(client: cx.Client, name: str) -> str | None:
    if "@" not in name:
        plain = name.removeprefix("users/")
        return plain if mapping.USER_ID.fullmatch(plain) else None
    try:
        found = answers.read(client, "users.lookupByEmail", wire.OneUser, email=name)
        return mapping.decode(found.user, wire.User).id
    except answers.Gone:
        return None
    except Unreadable as error:
        raise cx.WireFormat(f"a person cannot be read: {error}") from None


def _channel(rules: Rules, client: cx.Client, name: str) -> wire.Channel:
    """Look a channel up: by its alias or id, else by the name it has now."""
    plain = name.removeprefix("channels/").removeprefix("#")
    ident = rules.channels.get(plain) or (plain if mapping.CHANNEL_ID.fullmatch(plain) else None)
    if ident is not None:
        found = answers.read(client, "conversations.info", wire.OneChannel, channel=ident)
        try:
            return mapping.decode(found.channel, wire.Channel)
        except Unreadable as error:
            raise cx.WireFormat(f"a channel cannot be read: {error}") from None
    wanted = plain.lower()
    for rows in streams.listed_channels(client):
        for source in rows:
            try:
                channel = mapping.decode(source, wire.Channel)
            except Unreadable:
                continue
            if channel.name == wanted:
                return channel
    raise cx.Rejected(
        f"there is no channel #{plain[:80]} that the app can see: mend the name, or invite the app where it is private"
    )


def _open(rules: Rules, client: cx.Client, channel: wire.Channel) -> Place:
    name = f"#{channel.name}" if channel.name else channel.id
    if channel.is_archived:
        raise cx.Rejected(f"{name} is archived: write to another channel")
    if channel.is_ext_shared and not rules.shared:
        raise cx.Rejected(
            f"{name} is shared with another organization, whose people would read it: set shared = true to allow that"
        )
    # A message can be found again only where the app is a member: it joins before it writes.
    if rules.history and not channel.is_member and not channel.is_im:
        enter(rules, client, channel.id, name, private=channel.is_private)
    return Place(channel.id)


def enter(rules: Rules, client: cx.Client, channel: str, name: str, *, private: bool = False) -> None:
    """Join a public channel.

    Raises:
        Rejected: when the app may not.
    """
    advice = f"the app is not in {name}: /invite it there"
    if private or not rules.join:
        raise cx.Rejected(advice)
    try:
        answers.write(client, "conversations.join", wire.Head, {"channel": channel}, repeatable=True)
    except answers.LacksScope:
        raise cx.Rejected(f"{advice}, or grant the app the scope channels:join") from None
    except answers.Refused as error:
        raise cx.Rejected(f"{advice} ({error.code})") from None
