"""The least of HTTP that a played vendor, a sender and a floor need: kept-alive connections, bodies with a length, nothing else.

It costs a tenth of what a whole client or server costs, so that what is measured is not what plays the world around it.
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MEANING = {200: "OK", 201: "Created", 401: "Unauthorized", 404: "Not Found"}

# Sends the answer to a request: its status and body.
Reply = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and when its last byte arrived on the monotonic clock of the system."""

    verb: str
    target: str
    head: str
    body: bytes
    arrived: float

    def header(self, name: str) -> str:
        """Give a header by its name in small letters; empty where it is not there."""
        found = re.search(rf"^{re.escape(name)}: *(.*)$", self.head, re.IGNORECASE | re.MULTILINE)
        return found[1].strip() if found else ""


class _Talk(asyncio.Protocol):
    """One connection that is served; its requests come one after another."""

    def __init__(self, answer: Callable[[Asked, Reply], None]) -> None:
        self._answer = answer
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        arrived = time.monotonic()
        self._unread += data
        while (split := self._unread.find(b"\r\n\r\n")) >= 0:
            head = self._unread[: split + 2]
            told = _LENGTH.search(head)
            end = split + 4 + (int(told[1]) if told else 0)
            if len(self._unread) < end:
                return
            body, self._unread = self._unread[split + 4 : end], self._unread[end:]
            verb, target, rest = head.decode("latin-1").split(" ", 2)
            self._answer(Asked(verb, target, rest, body, arrived), self._send)

    def _send(self, status: int, body: bytes) -> None:
        if not self._transport.is_closing():
            head = (
                f"HTTP/1.1 {status} {_MEANING[status]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            self._transport.write(head.encode() + body)


async def serve(answer: Callable[[Asked, Reply], None], port: int = 0) -> None:
    """Serve on loopback until standard input ends; prints `ready PORT` before that."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Talk(answer), "127.0.0.1", port)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


class Line:
    """One connection to a server, opened when it is needed."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._wire: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, verb: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request and give the status and the body of its answer.

        Raises:
            OSError: the connection failed or was reset.
            EOFError: it was closed.
        """
        if self._wire is None:
            self._wire = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._wire
        lines = {"host": f"{self._host}:{self._port}", "content-type": "application/json", **(headers or {})}
        lines["content-length"] = str(len(body))
        head = f"{verb} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(head.encode() + b"\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        told = _LENGTH.search(answer)
        said = await reader.readexactly(int(told[1])) if told else b""
        return int(answer.split(b" ", 2)[1]), said

    async def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            wire, self._wire = self._wire[1], None
            wire.close()
            with contextlib.suppress(OSError):
                await wire.wait_closed()
