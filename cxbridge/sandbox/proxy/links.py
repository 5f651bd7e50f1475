"""Connections through a proxy: bytes read on one side and written on the other, through the toxics between. Chooses no toxic."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from random import Random

from cxbridge.sandbox.proxy.toxics import Closing, Passage, Stream, Toxic, before_end, deadline, through
from cxbridge.sandbox.sending import cut

# What one reading takes at most, and how many of them may wait behind a slow toxic.
_READ, _WAITING = 64 * 1024, 64

Toxics = Callable[[], Sequence[Toxic]]
Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pair:
    """One connection of a client and the one that was opened for it. `toxics` gives those of the proxy as they are now."""

    def __init__(self, client: Side, server: Side, toxics: Toxics, random: Random) -> None:
        self._writers = (client[1], server[1])
        self._toxics = toxics
        self._losing = False
        self._links: dict[Stream, _Link] = {
            "upstream": _Link(client[0], server[1], Passage(random, self._cut_on_answer)),
            "downstream": _Link(server[0], client[1], Passage(random, self._cut_on_answer)),
        }
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.over = asyncio.Event()

    async def run(self) -> None:
        """Carry bytes both ways until both sides have ended, or a toxic ends the connection."""
        self.look()
        self._tasks = [asyncio.create_task(self._carry(stream)) for stream in self._links]
        try:
            await asyncio.gather(*self._tasks)
        except Closing as closing:
            self.end(resets=closing.resets)
        except (OSError, asyncio.IncompleteReadError):
            self.end(resets=True)
        finally:
            self.end(resets=False)
            self.over.set()

    def end(self, *, resets: bool) -> None:
        """End both connections; whatever still waits behind a toxic is lost."""
        for timer in self._timers.values():
            timer.cancel()
        for writer in self._writers:
            if resets:
                cut(writer.transport)
            else:
                writer.close()
        for task in self._tasks:
            task.cancel()

    def look(self) -> None:
        """See which toxics there are now; those that close a connection after a time begin to count."""
        now = {id(one): one for one in self._toxics()}
        for ident in [known for known in self._timers if known not in now]:
            self._timers.pop(ident).cancel()
        for ident, toxic in now.items():
            seconds = deadline(toxic)
            if seconds is not None and ident not in self._timers and self._links[toxic.stream].passage.gets(toxic):
                self._timers[ident] = asyncio.get_running_loop().call_later(seconds, lambda: self.end(resets=False))

    def _cut_on_answer(self) -> None:
        self._losing = True

    def _now(self, stream: Stream) -> list[Toxic]:
        passage = self._links[stream].passage
        return [toxic for toxic in self._toxics() if toxic.stream == stream and passage.gets(toxic)]

    async def _carry(self, stream: Stream) -> None:
        link = self._links[stream]
        reading = asyncio.create_task(link.read())
        self._tasks.append(reading)
        while (came := await link.waiting.get()) is not None:
            arrived, chunk = came
            if self._losing:
                # The answer to what was waited for: the other side has done it, and nobody hears of it.
                raise Closing(resets=True)
            async with contextlib.aclosing(through(self._now(stream), link.passage, arrived, chunk)) as pieces:  # type: ignore[type-var]  # an async generator closes
                async for piece in pieces:
                    link.writer.write(piece)
                    await link.writer.drain()
        await before_end(self._now(stream))
        if link.writer.can_write_eof():
            link.writer.write_eof()
        await reading


class _Link:
    """One direction."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passage: Passage) -> None:
        self.reader = reader
        self.writer = writer
        self.passage = passage
        # What was read and when; None is the end.
        self.waiting: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(_WAITING)

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while chunk := await self.reader.read(_READ):
                await self.waiting.put((loop.time(), chunk))
        except OSError:
            # A side that resets has ended as well; the other one is told as if it had closed.
            pass
        await self.waiting.put(None)
