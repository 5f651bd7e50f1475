"""Run as a process of its own: every connector pulls a stream from a vendor that answers with nothing but one hostile body.

Prints a JSON document: by body and connection what the pull came to, whether the checkpoint stood still, what was stored, and how
far the process's memory grew meanwhile.
"""

import gzip
import json
import resource
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from cxbridge.core.clock import ManualClock
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.errors import CxbridgeError
from cxbridge.core.ledger import Checkpoint
from cxbridge.core.store import checkpoints, records

MIB = 1024 * 1024
# The stream that is read, by connection, with the place it had come to.
STREAMS: dict[str, tuple[str, Any]] = {
    "zendesk": ("tickets", None),
    "jira": ("issues", None),
    "gainsight": ("companies", None),
    "qualtrics": ("surveys", None),
    "slack": ("users", None),
}
SETTINGS = """
[connections.zendesk]
connector = "zendesk"
url = "http://127.0.0.1:9"
email = "bridge@example.test"
api_token = { secret = "token" }

[connections.jira]
connector = "jira"
url = "http://127.0.0.1:9"
email = "bridge@example.test"
api_token = { secret = "token" }
projects = ["ENG"]

[connections.gainsight]
connector = "gainsight"
url = "http://127.0.0.1:9"
access_key = { secret = "token" }

[connections.qualtrics]
connector = "qualtrics"
url = "http://127.0.0.1:9"
api_token = { secret = "token" }

[connections.slack]
connector = "slack"
url = "http://127.0.0.1:9/api"
token = { secret = "token" }
"""


class Chunks(httpx.SyncByteStream):
    """A body that is made while it is read, so that the vendor's side takes no memory."""

    def __init__(self, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks()


def endless(chunk: bytes, times: int) -> Callable[[], Iterator[bytes]]:
    return lambda: (chunk for _ in range(times))


def bomb() -> bytes:
    """Some 200 KB that come to 200 MiB."""
    return gzip.compress(b" " * (200 * MIB), compresslevel=9)


BODIES: dict[str, tuple[dict[str, str], Callable[[], Callable[[], Iterator[bytes]]]]] = {
    "200 MiB": ({}, lambda: endless(b" " * MIB, 200)),
    "300 MB announced": ({"content-length": "300000000"}, lambda: endless(b" " * MIB, 300)),
    "gzip bomb": ({"content-encoding": "gzip"}, lambda: endless(bomb(), 1)),
    "nested lists": ({}, lambda: endless(b"[" * 100_000 + b"]" * 100_000, 1)),
    "nested objects": ({}, lambda: endless(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 1)),
    "NaN": ({}, lambda: endless(b'{"tickets": NaN}', 1)),
    "million keys": ({}, lambda: endless(b"{" + b",".join(b'"k%d":1' % n for n in range(10**6)) + b"}", 1)),
    "many small lists": ({}, lambda: endless(b"[" + b"[]," * (20 * MIB) + b"0]", 1)),
    "a 5 MB text": ({}, lambda: endless(b'"' + b"x" * 5_000_000 + b'"', 1)),
    "Latin-1": (
        {"content-type": "application/json; charset=iso-8859-1"},
        lambda: endless('{"a": "é"}'.encode("latin-1"), 1),
    ),
    "UTF-16": (
        {"content-type": "application/json; charset=utf-16"},
        lambda: endless('{"a": "é"}'.encode("utf-16"), 1),
    ),
    "a web page": ({"content-type": "text/html"}, lambda: endless(b"<html>Please log in</html>", 1)),
}


class Vendor(httpx.BaseTransport):
    """Answers everything with the same body."""

    def __init__(self, headers: dict[str, str], chunks: Callable[[], Iterator[bytes]]) -> None:
        self._headers = {"content-type": "application/json", **headers}
        self._chunks = chunks

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self._headers, stream=Chunks(self._chunks))


def peak() -> float:
    """The most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pulled(bridge: Bridge, name: str) -> dict[str, Any]:
    stream, cursor = STREAMS[name]
    before = Checkpoint(connection=name, stream=stream, cursor=cursor, at=bridge.clock.now(), pages=1)
    with bridge.store.write() as tx:
        checkpoints.put(tx, before)
    error = "none"
    try:
        bridge.pull(name, stream)
    except CxbridgeError as found:
        error = type(found).__name__
    with bridge.store.read() as tx:
        still = checkpoints.get(tx, name, stream) == before
        stored = records.count(tx).get((name, stream), 0)
    return {"error": error, "still": still, "stored": stored}


def main(folder: Path, bodies: list[str]) -> None:
    (folder / "secrets").mkdir()
    (folder / "recipes").mkdir()
    (folder / "secrets" / "token").write_text("sandbox-token", encoding="utf-8")
    (folder / "cxbridge.toml").write_text(SETTINGS, encoding="utf-8")
    clock = ManualClock(datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC))
    told: dict[str, dict[str, Any]] = {}
    for what in bodies:
        headers, make = BODIES[what]
        vendor = Vendor(headers, make())
        with Bridge(load(folder / "cxbridge.toml", {}), clock=clock, transport_of=partial(given, vendor)) as bridge:
            told[what] = {}
            for name in STREAMS:
                at = peak()
                told[what][name] = {**pulled(bridge, name), "grew": peak() - at}
    print(json.dumps(told))


def given(vendor: Vendor, connection: str) -> Vendor:
    del connection
    return vendor


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
