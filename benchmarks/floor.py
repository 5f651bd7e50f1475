"""Two floors of a pull: pages fetched and their tickets stored, overlapped and with full commits, and no promise kept.

    python -m benchmarks.floor --url http://127.0.0.1:PORT --folder EMPTY_FOLDER [--careful]

One thread reads pages over a kept-alive socket, another stores their tickets, one commit a page. The bare floor inserts the bytes
of each ticket and decodes nothing. The careful loop is what one writes by hand with care: eight fields of each ticket are decoded
into columns, beside its bytes, and a ticket that is there already is updated. Neither maps, compares or logs changes: what a pull
with its promises costs shows beside them. Prints one line of JSON.
"""

import argparse
import json
import queue
import re
import socket
import sqlite3
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

EXPORT = "/api/v2/incremental/tickets/cursor.json?per_page=1000&"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_PLACE = re.compile(rb'"after_cursor":"([^"]*)".*"end_of_stream":(true|false)')


class _Page(msgspec.Struct):
    tickets: list[msgspec.Raw]


class _Ticket(msgspec.Struct):
    id: int
    created_at: str
    updated_at: str
    status: str
    subject: str | None
    priority: str | None
    requester_id: int | None
    assignee_id: int | None


_COLUMNS = _Ticket.__struct_fields__
_UPSERT = (
    f"INSERT INTO tickets ({', '.join(_COLUMNS)}, raw) VALUES ({', '.join('?' * (len(_COLUMNS) + 1))}) ON CONFLICT (id) "
    f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in (*_COLUMNS[1:], 'raw'))}"
)


def fetch(url: str, pages: "queue.Queue[tuple[bytes, str] | None]") -> None:
    """Read page after page into the queue; `None` behind the last, or where reading failed."""
    try:
        _fetch(url, pages)
    finally:
        pages.put(None)


def _fetch(url: str, pages: "queue.Queue[tuple[bytes, str] | None]") -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=60) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        asked, last = "start_time=0", False
        while not last:
            wire.sendall(f"GET {EXPORT}{asked} HTTP/1.1\r\nhost: {address.netloc}\r\n\r\n".encode())
            body = _answer(wire)
            found = _PLACE.search(body, max(0, len(body) - 1000))
            if found is None:
                raise SystemExit("the page does not say where it is in its walk")
            cursor, last = found[1].decode(), found[2] == b"true"
            pages.put((body, cursor))
            asked = f"cursor={quote(cursor, safe='')}"


def _answer(wire: socket.socket) -> bytes:
    head = b""
    while (split := head.find(b"\r\n\r\n")) < 0:
        head += _some(wire.recv(65_536))
    told = _LENGTH.search(head, 0, split + 4)
    if told is None or not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit("the mock does not answer as expected")
    body = bytearray(int(told[1]))
    rest = memoryview(body)
    filled = len(head) - split - 4
    rest[:filled] = head[split + 4 :]
    while filled < len(body):
        got = wire.recv_into(rest[filled:])
        if not got:
            raise SystemExit("the mock hung up")
        filled += got
    return body  # type: ignore[return-value]  # bytes-like is enough, and a copy would count


def _some(part: bytes) -> bytes:
    if not part:
        raise SystemExit("the mock hung up")
    return part


def insert(path: Path, pages: "queue.Queue[tuple[bytes, str] | None]", *, careful: bool) -> int:
    """Store what the queue brings and give how many rows the table then has."""
    store = sqlite3.connect(path, isolation_level=None)
    for setting in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL"):
        store.execute(f"PRAGMA {setting}")
    others = (
        "created_at TEXT, updated_at TEXT, status TEXT, subject TEXT, priority TEXT, requester_id INT, assignee_id INT,"
    )
    store.execute(f"CREATE TABLE tickets (id INTEGER PRIMARY KEY, {others if careful else ''} raw BLOB NOT NULL)")
    store.execute("CREATE TABLE place (id INTEGER PRIMARY KEY, cursor TEXT NOT NULL)")
    split, decode = msgspec.json.Decoder(_Page).decode, msgspec.json.Decoder(_Ticket).decode
    while (page := pages.get()) is not None:
        body, cursor = page
        store.execute("BEGIN IMMEDIATE")
        if careful:
            rows = [(*msgspec.structs.astuple(decode(raw)), raw) for raw in split(body).tickets]
            store.executemany(_UPSERT, rows)
        else:
            store.executemany("INSERT INTO tickets (raw) VALUES (?)", [(raw,) for raw in split(body).tickets])
        store.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (cursor,))
        store.execute("COMMIT")
    stored: int = store.execute("SELECT count(*) FROM tickets").fetchone()[0]
    store.close()
    return stored


def main() -> None:
    """Pull everything once."""
    parser = argparse.ArgumentParser(description="fetch and insert, with nothing promised")
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--careful", action="store_true", help="decode eight fields into columns, and update what is there"
    )
    asked = parser.parse_args()
    begun = time.perf_counter()
    pages: queue.Queue[tuple[bytes, str] | None] = queue.Queue(1)
    reader = threading.Thread(target=fetch, args=(asked.url, pages), daemon=True)
    reader.start()
    rows = insert(asked.folder / "floor.db", pages, careful=asked.careful)
    reader.join()
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
