"""Connections over a mocked wire: what the tests of every connector open, and close at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import httpx
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import Clock
from cxbridge.core.http import MemoryTokens, open_client

Opened = tuple[cx.Client, respx.MockRouter]


@contextmanager
def mocked(connection: str, clock: Clock) -> Iterator[Callable[..., Opened]]:
    """Give a function that opens a connector's client on a router of its own: `open_one(connector, read_only=False)`."""
    opened: list[cx.Client] = []

    def open_one(connector: cx.Connector, *, read_only: bool = False) -> Opened:
        router = respx.MockRouter(assert_all_called=False)
        client = open_client(
            connector.endpoint(),
            connection=connection,
            clock=clock,
            tokens=MemoryTokens(),
            transport=httpx.MockTransport(router.handler),
            random=Random(1),
            read_only=read_only,
        )
        opened.append(client)
        return client, router

    try:
        yield open_one
    finally:
        for client in opened:
            client.close()
