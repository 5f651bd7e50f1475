"""The floor of webhooks: a receiver by hand with an outbox in SQLite, group commit and full durability, and no logic of its own.

    python -m benchmarks.floor_webhooks --vendors http://127.0.0.1:PORT --secret WORD --folder EMPTY_FOLDER

A delivery's signature is compared and the delivery stored before it is answered. Then the ticket that it names is read from the
desk, and where it is urgent, that an issue is due is stored, the issue made, and that it was made stored. What waits at a moment
shares one commit; so many tickets are in hand at once. Nothing is mapped, kept of the ticket, looked for, proved or audited, and
an issue whose answer is lost is made twice: what a write with its promises costs shows beside this. It prints `ready PORT` and ends
with its standard input.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from benchmarks.wire import Asked, Line, Reply, serve

_ABREAST = 8
_Statement = tuple[str, Sequence[object]]


class Store:
    """One thread that writes for all: all statements that wait at a moment share one commit."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._line: queue.SimpleQueue[tuple[_Statement, asyncio.Future[None]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, daemon=True).start()

    async def write(self, statement: str, *values: object) -> None:
        """Have a statement committed."""
        done = self._loop.create_future()
        self._line.put(((statement, values), done))
        await done

    def _work(self) -> None:
        store = sqlite3.connect(self._file, isolation_level=None)
        for setting in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL"):
            store.execute(f"PRAGMA {setting}")
        store.execute("CREATE TABLE events (id TEXT PRIMARY KEY, ticket INT, body BLOB, state TEXT NOT NULL)")
        while True:
            batch = [self._line.get()]
            while not self._line.empty():
                batch.append(self._line.get())
            store.execute("BEGIN IMMEDIATE")
            for (statement, values), _ in batch:
                store.execute(statement, values)
            store.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [done for _, done in batch])


def _tell(waiting: Sequence["asyncio.Future[None]"]) -> None:
    for one in waiting:
        # A sender may have gone meanwhile.
        if not one.done():
            one.set_result(None)


class Receiver:
    """Takes deliveries in and acts on them."""

    def __init__(self, store: Store, vendors: str, secret: str) -> None:
        self._store, self._secret = store, secret.encode()
        self._free: asyncio.Queue[Line] = asyncio.Queue()
        for _ in range(_ABREAST):
            self._free.put_nowait(Line(vendors))
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, asked: Asked, reply: Reply) -> None:
        """Take one delivery in."""
        stamp = asked.header("x-zendesk-webhook-signature-timestamp").encode()
        made = base64.b64encode(hmac.new(self._secret, stamp + asked.body, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(made, asked.header("x-zendesk-webhook-signature")):
            reply(401, b"")
            return
        task = asyncio.get_running_loop().create_task(self._take(asked.body, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, body: bytes, reply: Reply) -> None:
        event = json.loads(body)
        name, ticket = event["id"], int(event["detail"]["id"])
        await self._store.write("INSERT OR IGNORE INTO events VALUES (?, ?, ?, 'new')", name, ticket, body)
        reply(200, b"")
        line = await self._free.get()
        try:
            await self._act(line, name, ticket)
        finally:
            self._free.put_nowait(line)

    async def _act(self, line: Line, name: str, ticket: int) -> None:
        _, told = await line.request("GET", f"/api/v2/tickets/{ticket}.json")
        shown = json.loads(told)["ticket"]
        if shown["priority"] == "urgent":
            await self._store.write("UPDATE events SET state = 'due' WHERE id = ?", name)
            fields = {
                "project": {"key": "ENG"},
                "issuetype": {"id": "10004"},
                "labels": [f"floor-{ticket}"],
                "summary": f"[{ticket}] {shown['subject']}",
            }
            status, _ = await line.request("POST", "/rest/api/3/issue", json.dumps({"fields": fields}).encode())
            if status != 201:
                raise SystemExit(f"the tracker answered {status}")
        await self._store.write("UPDATE events SET state = 'done' WHERE id = ?", name)


async def _run(folder: Path, vendors: str, secret: str) -> None:
    await serve(Receiver(Store(folder / "floor.db"), vendors, secret).answer)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="take webhooks in and act on them, by hand")
    parser.add_argument("--vendors", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    asyncio.run(_run(asked.folder, asked.vendors, asked.secret))


if __name__ == "__main__":
    main()
