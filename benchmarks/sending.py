"""Sends signed webhooks as a desk does, over kept-alive connections, and notes when; knows nothing of what they lead to.

As a vendor does, it sends a delivery again until it is answered with 2xx: from then on the receiver has promised to act on it.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from benchmarks import measure
from benchmarks.mock_vendors import Desk
from benchmarks.wire import Line

_PAUSE, _PATIENCE = 0.2, 180.0


@dataclass(slots=True)
class Sent:
    """What was sent, by ticket: when it was sent first, and when it was accepted."""

    first: dict[int, float] = field(default_factory=dict)
    accepted: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Sender:
    """Sends one webhook for each ticket to an address, signed with a secret."""

    url: str
    secret: str
    sent: Sent = field(default_factory=Sent)

    def at_once(
        self, tickets: Iterable[int], connections: int, beside: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Send all as fast as so many connections are answered; something else may go on beside."""

        async def everything() -> None:
            rest = iter(tickets)
            work = [self._through(rest) for _ in range(connections)]
            await asyncio.gather(*work, *([beside()] if beside else ()))

        asyncio.run(everything())

    def steadily(self, tickets: Iterable[int], rate: float, connections: int) -> None:
        """Send so many a second, whatever the answers take."""

        async def everything() -> None:
            lines = [Line(self.url) for _ in range(connections)]
            free: asyncio.Queue[Line] = asyncio.Queue()
            for line in lines:
                free.put_nowait(line)
            begun, sending = time.monotonic(), []
            for number, ticket in enumerate(tickets):
                await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
                sending.append(asyncio.create_task(self._on_a_free(free, ticket)))
            await asyncio.gather(*sending)
            for line in lines:
                await line.close()

        asyncio.run(everything())

    async def _on_a_free(self, free: "asyncio.Queue[Line]", ticket: int) -> None:
        line = await free.get()
        try:
            await self._until_accepted(line, ticket)
        finally:
            free.put_nowait(line)

    async def _through(self, tickets: Iterator[int]) -> None:
        line = Line(self.url)
        for ticket in tickets:
            await self._until_accepted(line, ticket)
        await line.close()

    @property
    def _path(self) -> str:
        return urlsplit(self.url).path

    async def _until_accepted(self, line: Line, ticket: int) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            headers, body = signed(ticket, self.secret)
            self.sent.first.setdefault(ticket, time.monotonic())
            with contextlib.suppress(OSError, EOFError):
                status, _ = await line.request("POST", self._path, body, headers)
                if 200 <= status < 300:
                    self.sent.accepted[ticket] = time.monotonic()
                    return
            await line.close()
            await asyncio.sleep(_PAUSE)
        raise measure.Failed(f"the webhook of ticket {ticket} was not accepted within {_PATIENCE:.0f} s")


def signed(ticket: int, secret: str) -> tuple[dict[str, str], bytes]:
    """Make the delivery of a created ticket; repeated, it is the same event."""
    stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    event = {
        "type": "zen:event-type:ticket.created",
        "id": f"event-{ticket}",
        "time": stamp,
        "zendesk_event_version": "2022-11-06",
        "subject": f"zen:ticket:{ticket}",
        "detail": {
            "id": str(ticket),
            "subject": f"Delivery {ticket} is late",
            "status": "OPEN",
            "priority": "URGENT" if Desk.urgent(ticket) else "LOW",
        },
        "event": {},
    }
    body = json.dumps(event).encode()
    made = base64.b64encode(hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()).decode()
    headers = {"x-zendesk-webhook-signature": made, "x-zendesk-webhook-signature-timestamp": stamp}
    return headers, body
