"""Reads people and channels whole, and the messages of chosen channels; it stores and decides nothing.

`docs.slack.dev/reference/methods/conversations.history`. A history shows the newest message first, and shows neither edits nor
answers to old messages as something new. An app that is sold outside the Marketplace gets 15 messages a minute. Hence:

- A walk goes from the newest message back to where the last one began. Each page is given away as it comes, with a cursor that
  goes on below it, so that a walk that may ask once a minute still comes to its end.
- Each walk looks back by the overlap behind the last one, and reads the threads there that were answered since. An unchanged
  message is not stored again. Each of them costs a request of its own: where that is too many, the cursor names those left.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final, TypeVar

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import answers, mapping, wire
from cxbridge.plugins.slack.mapping import Unreadable

L = TypeVar("L", wire.Users, wire.Channels)

PAGE: Final = 200
KINDS: Final = "public_channel,private_channel"
# An answer and the clock that is held against it come from different machines of the vendor's.
_SLACK: Final = timedelta(seconds=5)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one channel is read. `at` is the newest message known, `answered` when answers were last looked for.

    The rest is there only in the middle of a walk: it began at `began`, has seen `top` first and goes on below `low`, unless
    `over` says that nothing is there. Before that it reads the answers to `threads`, of the first one those behind `part`.
    `asked` is when the channel was last asked for.
    """

    at: str | None = None
    answered: str | None = None
    top: str | None = None
    low: str | None = None
    began: str | None = None
    threads: tuple[str, ...] = ()
    part: str | None = None
    over: bool = False
    asked: str | None = None

    @property
    def turn(self) -> tuple[int, int]:
        """Whose turn it is: the channel that was left longest ago comes first."""
        return mapping.order(self.asked or self.answered or "0.0")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a connection reads: the channels whose messages it follows, since when, how far back for answers and edits."""

    channels: tuple[str, ...] = ()
    start: date | None = None
    overlap: timedelta = timedelta()
    workspace: str | None = None


def streams(reading: Reading) -> list[cx.Stream]:
    """List the streams of a connection."""
    return [
        cx.Stream(
            "users", (cx.Agent,), pages=_users, order="scan", gaps=mapping.USER_GAPS, every=3600.0, one=_one_user
        ),
        cx.Stream(
            "channels",
            (cx.Container,),
            pages=partial(_channels, reading),
            order="scan",
            gaps=mapping.CHANNEL_GAPS,
            every=3600.0,
            one=partial(_one_channel, reading),
        ),
        cx.Stream(
            "messages",
            (cx.Message,),
            pages=partial(_messages, reading),
            gaps=mapping.MESSAGE_GAPS,
            one=partial(_one_message, reading),
        ),
    ]


def _users(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    for page, behind in _listed(client, "users.list", wire.Users, cursor, include_locale=True):
        agents: list[cx.Agent] = []
        raw: list[bytes] = []
        refused: list[str] = []
        for source in page.members:
            try:
                agents.append(mapping.agent(mapping.decode(source, wire.User)))
                raw.append(bytes(source))
            except Unreadable as error:
                refused.append(f"a person: {error}")
        yield cx.Page(agents, cursor=behind, raw=raw, refused=refused)


def _listed(
    client: cx.Client, method: str, shape: type[L], cursor: cx.Json, **asked: cx.Json
) -> Iterator[tuple[L, str | None]]:
    """Page through a whole list, each page with the cursor behind it: at its end None, which begins anew.

    A list of more pages than a minute allows is gone on with where it was left, unless that cursor has grown too old.
    """
    fresh, here = cx.Unrepeating(), cursor if isinstance(cursor, str) else None
    left = here
    while True:
        try:
            page = answers.read(client, method, shape, **asked, limit=PAGE, cursor=here)
        except answers.Stale:
            if here is None or here != left:
                raise
            here = left = None
            continue
        here = wire.cursor(page)
        yield page, here
        if here is None:
            return
        fresh(here)


def _one_user(client: cx.Client, key: str) -> cx.Page | None:
    try:
        found = answers.read(client, "users.info", wire.OneUser, user=key, include_locale=True)
    except answers.Gone:
        return None
    return _single(found.user, lambda raw: mapping.agent(mapping.decode(raw, wire.User)))


def listed_channels(client: cx.Client, kinds: str = KINDS) -> Iterator[list[msgspec.Raw]]:
    """Page through the channels that this token may see."""
    for page, _ in _listed(client, "conversations.list", wire.Channels, None, types=kinds):
        yield page.channels


def _channels(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    for page, behind in _listed(client, "conversations.list", wire.Channels, cursor, types=KINDS):
        containers: list[cx.Container] = []
        raw: list[bytes] = []
        refused: list[str] = []
        for source in page.channels:
            try:
                containers.append(mapping.container(mapping.decode(source, wire.Channel), reading.workspace))
                raw.append(bytes(source))
            except Unreadable as error:
                refused.append(f"a channel: {error}")
        yield cx.Page(containers, cursor=behind, raw=raw, refused=refused)


def _one_channel(reading: Reading, client: cx.Client, key: str) -> cx.Page | None:
    try:
        found = answers.read(client, "conversations.info", wire.OneChannel, channel=key)
    except answers.Gone:
        return None
    return _single(found.channel, lambda raw: mapping.container(mapping.decode(raw, wire.Channel), reading.workspace))


def _messages(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Walk through the channels, the one left longest ago first; the cursor holds the place in each.

    So each has its turn, also where a limit ends every pull early.

    Raises:
        Rejected: when one of them may not be read; it is told when the others are read.
    """
    held = _resumed(cursor)
    refused: cx.Rejected | None = None
    for channel in sorted(reading.channels, key=lambda name: held.get(name, Position()).turn):
        try:
            for rows, place in _walk(reading, client, channel, held.get(channel, Position())):
                held = {**held, channel: place}
                yield _page(rows, channel, reading, msgspec.to_builtins(held))
        except answers.Refused as error:
            refused = refused or cx.Rejected(
                f"channel {channel}: {error.detail}", connection=error.connection, operation=error.operation
            )
            held = {**held, channel: _left(client, held.get(channel, Position()))}
            yield _page([], channel, reading, msgspec.to_builtins(held))
    if refused is not None:
        raise refused


def _resumed(cursor: cx.Json) -> dict[str, Position]:
    try:
        return msgspec.convert(cursor, dict[str, Position]) if cursor is not None else {}
    except msgspec.ValidationError:
        return {}


def _walk(
    reading: Reading, client: cx.Client, channel: str, place: Position
) -> Iterator[tuple[list[msgspec.Raw], Position]]:
    """Give the pages of one channel, newest first, each with the place that goes on behind it."""
    latest, cursor, fresh = place.low, None, cx.Unrepeating()
    oldest = _bound(reading, place)
    rows: list[msgspec.Raw] = []
    moved = False
    while True:
        try:
            for found, behind in _answers(client, channel, place):
                rows, place, moved = [*rows, *found], behind, True
        except cx.VendorError:
            # Kept, so that a walk with more threads than one pull may ask for comes on all the same.
            if moved:
                yield rows, _left(client, place)
            raise
        if place.over:
            yield rows, Position(at=_later(place.at, place.top), answered=place.began)
            return
        if moved:
            yield rows, _left(client, place)
            if cursor is None:
                # Without a cursor, the page below is asked for by the time of the last row.
                latest = place.low
            fresh(cursor or f"below {latest}")
        page = answers.read(
            client,
            "conversations.history",
            wire.Messages,
            channel=channel,
            oldest=oldest,
            latest=latest,
            limit=PAGE,
            cursor=cursor,
            include_all_metadata=True,
        )
        seen = sorted(filter(None, map(_ts, page.messages)), key=mapping.order)
        cursor = wire.cursor(page)
        rows, moved = list(page.messages), True
        place = Position(
            at=place.at,
            answered=place.answered,
            top=place.top or (seen[-1] if seen else None),
            low=seen[0] if seen else place.low,
            began=place.began or mapping.stamp(client.server_now() - _SLACK),
            threads=tuple(_answered(page.messages, place.answered)),
            over=cursor is None and not (page.has_more and seen),
        )


def _left(client: cx.Client, place: Position) -> Position:
    return msgspec.structs.replace(place, asked=mapping.stamp(client.server_now() - _SLACK))


def _answers(client: cx.Client, channel: str, place: Position) -> Iterator[tuple[list[msgspec.Raw], Position]]:
    """Read the answers to the threads of a place, page by page, each with the place behind it."""
    while place.threads:
        parent, *left = place.threads
        for rows in _thread(client, channel, parent, place.part or place.answered):
            newest = _later(place.part, max(filter(None, map(_ts, rows)), key=mapping.order, default=None))
            place = msgspec.structs.replace(place, part=newest)
            yield rows, place
        place = msgspec.structs.replace(place, threads=tuple(left), part=None)
        yield [], place


def _bound(reading: Reading, place: Position) -> str | None:
    """Say from where on to read: behind what is known, less the overlap; at first, from the day that the settings name."""
    first = None if reading.start is None else mapping.stamp(datetime.combine(reading.start, time(), UTC))
    known = mapping.moment(place.at)
    if known is None:
        return first
    back = place.at if not reading.overlap else mapping.stamp(known - reading.overlap)
    return back if first is None else max(first, back or first, key=mapping.order)


def _later(one: str | None, other: str | None) -> str | None:
    return max(filter(None, (one, other)), key=mapping.order, default=None)


def _ts(source: msgspec.Raw) -> str | None:
    try:
        ts = mapping.decode(source, wire.Message).ts
    except Unreadable:
        return None
    return ts if mapping.moment(ts) else None


def _answered(rows: Sequence[msgspec.Raw], since: str | None) -> Iterator[str]:
    """Name the messages that were answered since."""
    for source in rows:
        try:
            row = mapping.decode(source, wire.Message)
        except Unreadable:
            continue
        newest = row.latest_reply
        if not row.reply_count or not newest or not mapping.moment(newest) or row.thread_ts not in (None, row.ts):
            continue
        if since is None or mapping.order(newest) > mapping.order(since):
            yield row.ts


def _thread(client: cx.Client, channel: str, parent: str, since: str | None) -> Iterator[list[msgspec.Raw]]:
    """Give the answers to a message that were written since, the oldest first."""
    try:
        for rows in listed_messages(client, "conversations.replies", channel=channel, ts=parent, oldest=since):
            yield [row for row in rows if _ts(row) != parent]
    except answers.NoThread:
        return


def listed_messages(client: cx.Client, method: str, **asked: cx.Json) -> Iterator[list[msgspec.Raw]]:
    """Page through a history or a thread, with all that stands beside the messages."""
    fresh, cursor = cx.Unrepeating(), None
    while True:
        page = answers.read(
            client, method, wire.Messages, **asked, limit=PAGE, cursor=cursor, include_all_metadata=True
        )
        yield page.messages
        if (cursor := wire.cursor(page)) is None:
            if page.has_more:
                raise cx.WireFormat("there is more, and no cursor leads to it", operation=f"GET /{method}")
            return
        fresh(cursor)


def _page(rows: Sequence[msgspec.Raw], channel: str, reading: Reading, cursor: cx.Json) -> cx.Page:
    """Turn rows into a page, the oldest first."""
    found: dict[str, tuple[cx.Message, bytes]] = {}
    deleted: list[str] = []
    refused: list[str] = []
    for source in rows:
        try:
            row = mapping.decode(source, wire.Message)
            entity = mapping.message(row, channel, reading.workspace)
        except Unreadable as error:
            refused.append(f"a message: {error}")
            continue
        if row.subtype == mapping.TOMBSTONE:
            deleted.append(entity.source_id)
        else:
            found[row.ts] = (entity, bytes(source))
    told = [found[ts] for ts in sorted(found, key=mapping.order)]
    return cx.Page(
        [entity for entity, _ in told],
        cursor=cursor,
        raw=[source for _, source in told],
        deleted=deleted,
        refused=refused,
    )


def _one_message(reading: Reading, client: cx.Client, key: str) -> cx.Page | None:
    """Read a message by its key. An answer in a thread is not in the channel's history, hence the second look."""
    channel, ts = mapping.split(key)
    source = row_of(client, channel, ts)
    return None if source is None else _page([source], channel, reading, None)


def row_of(client: cx.Client, channel: str, ts: str) -> msgspec.Raw | None:
    """Give a message as Slack has it, or None when it does not show it.

    Raises:
        Rejected: when the channel may not be read.
    """
    asked = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": True}
    try:
        for method, also in (("conversations.history", {}), ("conversations.replies", {"ts": ts})):
            for rows in listed_messages(client, method, **asked, **also):
                for source in rows:
                    if _ts(source) == ts:
                        return source
    except answers.NoThread:
        pass
    return None


def _single(source: msgspec.Raw, entity: cx.Json) -> cx.Page:
    try:
        return cx.Page([entity(source)], cursor=None, raw=[bytes(source)])
    except Unreadable as error:
        return cx.Page([], cursor=None, refused=[str(error)])
