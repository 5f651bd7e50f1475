"""How an answer goes out when a fault is on its way: cut, in drips, under a wrong length, or huge. Makes up no answer."""

import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from cxbridge.sandbox.damage import HUGE, Answer, blanks, squeezed

TRANSPORT = "cxbridge.transport"


Pause = Callable[[float], Awaitable[None]]


async def deliver(
    answer: Answer, name: str, params: Mapping[str, Any], pause: Pause, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an answer as the fault of that name lets it arrive; "" sends it whole. `pause` waits for what takes time."""
    match name:
        case "huge":
            await _huge(answer, params, scope, send)
            return
        case "slow_close":
            # Announced, so that only waiting for the end costs the client time, and not a race for the connection.
            answer = Answer(answer.status, [*answer.headers, (b"connection", b"close")], answer.body)
        case "wrong_length":
            told = max(0, len(answer.body) + int(params.get("by", 100)))
            answer = Answer(
                answer.status, answer.without("content-length", (b"content-length", b"%d" % told)), answer.body
            )
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    match name:
        case "limit_data":
            await _part(send, answer.body[: int(params.get("bytes", 0))])
            await close(scope, receive)
        case "wrong_length" if told > len(answer.body):
            await _part(send, answer.body)
            await close(scope, receive)
        case "wrong_length":
            # The server keeps to what it announced; the rest goes out behind its back.
            await _part(send, answer.body[:told], more=False)
            surplus = getattr(_transport(scope), "write", None)
            if surplus is not None:
                surplus(answer.body[told:])
        case "slicer":
            size = max(1, int(params.get("bytes", 64)))
            for start in range(0, len(answer.body), size):
                await _part(send, answer.body[start : start + size])
                await pause(float(params.get("seconds", 0)))
            await _part(send, b"", more=False)
        case "slow_close":
            await _part(send, answer.body)
            await pause(float(params.get("seconds", 1)))
            await close(scope, receive)
        case _:
            await _part(send, answer.body, more=False)


async def reset(scope: Scope, receive: Receive) -> None:
    """End the connection with a TCP reset, so that the client cannot take it for an orderly end."""
    transport = _transport(scope)
    cut(transport)
    await _gone(receive)


async def close(scope: Scope, receive: Receive) -> None:
    """Send what was written, then close although more was promised."""
    _transport(scope).close()
    await _gone(receive)


def hung_up(scope: Scope) -> bool:
    """Whether the client has gone, as far as the server knows."""
    told = getattr(scope.get(TRANSPORT), "is_closing", None)
    return told is not None and bool(told())


def cut(transport: Any) -> None:
    """Reset a connection."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _huge(answer: Answer, params: Mapping[str, Any], scope: Scope, send: Send) -> None:
    """Blanks before the answer, which is still valid JSON then: only a bound on the size keeps a client from taking it."""
    size = int(params.get("bytes", HUGE))
    headers = answer.without("content-length")
    pieces: Iterator[bytes]
    if params.get("gzip"):
        headers = [*headers, (b"content-encoding", b"gzip")]
        pieces = squeezed(size, answer.body)
    else:
        pieces = blanks(size)
        if params.get("told"):
            headers = [*headers, (b"content-length", b"%d" % (size + len(answer.body)))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in pieces:
        if hung_up(scope):
            return
        await _part(send, piece)
    await _part(send, b"" if params.get("gzip") else answer.body, more=False)


async def _part(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _transport(scope: Scope) -> Any:
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise RuntimeError("this fault needs the sandbox's own server to cut a connection")
    return transport


async def _gone(receive: Receive) -> None:
    # The server must have seen the end before the app returns, or it would try to answer 500 itself.
    while (await receive())["type"] != "http.disconnect":
        pass
