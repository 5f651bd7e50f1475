"""What webhooks can do to a receiver, for every connector that takes them: repeated, reordered, late, forged, huge, many, none."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from cxbridge.console.receiver import Receiver
from cxbridge.core.store import Store, planning, schema
from tests.matrix.play import Play, Table

DAY = 86_400.0
_HUGE = 5 * 1024 * 1024
_SENDERS = 25
_BURST, _DISTINCT = 1000, 200
# What a sender says about itself, and not about the body.
_INNOCENT = ("content-type", "user-agent", "content-length", "host")

Post = tuple[str, dict[str, str], bytes]


@contextmanager
def _receiving(play: Play) -> Iterator[Receiver]:
    """Listen for the vendor's webhooks; what it sends waits in the post until the cell hands it over."""
    with Receiver(play.stage.bridge, lambda _: None) as receiver:
        path = receiver.endpoints.all[play.bench.vendor].path
        play.bench.subscribes(play.stage, f"http://{receiver.address}{path}")
        yield receiver


def _posts(play: Play) -> list[Post]:
    """Take what the vendor has sent so far out of the post."""
    waiting = play.stage.people.post.waiting
    taken = [(url, headers, body) for _, url, headers, body in waiting]
    waiting.clear()
    return taken


def _handed(posts: Sequence[Post]) -> list[int]:
    """Hand deliveries over, several at once; gives how each was answered, 0 where it was not."""
    statuses = [0] * len(posts)

    async def sender(numbers: Sequence[int]) -> None:
        host, _, port = urlsplit(posts[numbers[0]][0]).netloc.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            url, headers, body = posts[number]
            lines = [f"POST {urlsplit(url).path} HTTP/1.1", "host: x", f"content-length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items() if name not in ("host", "content-length")]
            try:
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except (OSError, asyncio.IncompleteReadError):
                return
            statuses[number] = int(head.split(" ", 2)[1])
            length = [line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length:")]
            await reader.readexactly(int(length[0]) if length else 0)
        writer.close()
        await writer.wait_closed()

    async def everybody() -> None:
        shares = [range(first, len(posts), _SENDERS) for first in range(min(_SENDERS, len(posts)))]
        await asyncio.gather(*(sender(share) for share in shares))

    asyncio.run(everybody())
    return statuses


def _stored(play: Play) -> int:
    """How many deliveries stand in the store, as another process sees it."""
    other = Store.open(play.stage.configuration.store_url, clock=play.stage.clock, writing=False)
    try:
        with other.read() as tx:
            return int(tx.connection.scalar(sa.select(sa.func.count()).select_from(schema.inbox)) or 0)
    finally:
        other.close()


def hostile(table: Table) -> None:
    """F13: five times each, in any order; forged, replayed and huge ones; one that is a day late."""
    with table.playing() as play, _receiving(play):
        for _ in range(3):
            play.people()
        posts = _posts(play)
        assert len(posts) >= 3, "the vendor told of nothing"
        again = [post for post in posts for _ in range(5)]
        play.random.shuffle(again)
        assert Counter(_handed(again)) == {200: len(again)}
        assert _stored(play) == len(posts)
        play.rest()

        url, headers, body = posts[0]
        forgeries = [(url, {name: value for name, value in headers.items() if name in _INNOCENT}, body)]
        forgeries += [
            (url, {**headers, name: value[:-1] + ("0" if value[-1] != "0" else "1")}, body)
            for name, value in headers.items()
            if ("signature" in name and "timestamp" not in name) or "token" in name
        ]
        if table.bench.vendor == "qualtrics":
            forgeries = [(url, headers, body.replace(b"HMAC=", b"HMAC=0")), (url, headers, body[:-4])]
        assert set(_handed(forgeries)) == {401}, "a forged delivery is refused"
        # Answered and hung up on before all of it was said, which not every client hears.
        huge = httpx.post(url, headers=headers, content=body + b" " * _HUGE, trust_env=False)
        assert huge.status_code == 413

        play.people()
        late = _posts(play)
        play.rest()
        play.stage.network.advance(DAY)
        answered = set(_handed([*late, *posts]))
        # What tells its time is too old by then, signed or not; what does not is known again, or read anew, which changes nothing.
        assert answered <= {200, 400, 401}, answered
        play.ends_well()


def burst(table: Table) -> None:
    """F14: a thousand at once are stored before they are acknowledged; what an hour without a receiver lost, the pulls find."""
    with table.playing() as play, _receiving(play):
        play.people()
        for number in range(_DISTINCT):
            play.bench.stirs(play.stage, number)
        posts = _posts(play)
        distinct = len({body for _, _, body in posts})
        assert distinct >= _DISTINCT
        many = [posts[number % len(posts)] for number in range(_BURST)]
        assert Counter(_handed(many)) == {200: _BURST}
        assert _stored(play) == len(posts)
        play.rest()

        _posts(play)
        play.stage.people.post.down = True
        for _ in range(6):
            play.people()
            play.stage.network.advance(540)
        play.stage.people.post.down = False
        assert _posts(play) == []
        play.rest()
        with play.stage.bridge.store.read() as tx:
            told = planning.tallies(tx, f"{table.bench.vendor}/webhooks")
        assert any(name.startswith("missed") for name in told), f"nobody was told that webhooks are missing: {told}"
        # Slack lets a history be read so seldom that all of these messages cannot be read once more.
        play.ends_well(whole=table.bench.vendor != "slack")
