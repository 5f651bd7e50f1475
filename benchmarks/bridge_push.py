"""Two-step runs by a real bridge, written to vendors that answer at once or after a while, as a process of its own.

    python -m benchmarks.bridge_push --folder EMPTY_FOLDER [--runs 2000] [--latency 0] [--abreast 1]

Each run makes an issue and then a note that names it: three requests in all, and a search for every fifty, answered in this process
in place of the network. The store is filled first, past any vendor, and the runs are planned. What is measured is every step of
every run: marked sent, the client, the connector, the outcome with its receipt and audit entry, the next step. Every commit is
durable. Prints one line of JSON.
"""

import argparse
import itertools
import json
import threading
import time
from pathlib import Path

import httpx
import msgspec

from benchmarks import bridge_plan
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox, runs

RECIPE = """title = "Escalate every ticket"
owner = "support-ops"
stage = "live"
use   = { desk = "zendesk", tracker = "jira" }

[[trigger]]
on   = "ticket.created"
from = "desk"

[when]
not_closed = "ticket.status_category != 'closed'"

[run]
key = "ticket.id"

[limits]
writes_per_hour = 1000000
halt_if_matches = 1000000

[[step]]
id = "issue"
do = "tracker.issue.ensure"
with = { project = "ENG", type = "bug", subject = "[{{ ticket.source_key }}] {{ ticket.subject }}" }

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "Escalated as {{ issue.source_key }}" }
"""
_TYPES = {"total": 1, "startAt": 0, "issueTypes": [{"id": "10004", "name": "Bug", "subtask": False}]}
_SCREEN = {
    "total": 2,
    "startAt": 0,
    "fields": [
        {"fieldId": "summary", "key": "summary", "name": "Summary", "required": True},
        {"fieldId": "labels", "key": "labels", "name": "Labels", "required": False},
    ],
}


class Vendors(httpx.BaseTransport):
    """Answers as the two vendors would, after `latency` seconds, and counts the writes."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.requests = 0
        self.writes = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self._latency:
            time.sleep(self._latency)
        request.read()
        with self._lock:
            self.requests += 1
            self.writes += request.method in ("POST", "PUT")
            number = next(self._numbers)
        # As bytes that are there already, which is what a vendor's answer costs the one who reads it.
        body = msgspec.json.encode(_answered(request, number))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return httpx.Response(201 if request.method == "POST" else 200, headers=headers, stream=httpx.ByteStream(body))


def _answered(request: httpx.Request, number: int) -> object:
    path = request.url.path
    if path.endswith("/search/jql"):
        return {"issues": [], "isLast": True}
    if path.endswith("/issuetypes"):
        return _TYPES
    if "/issuetypes/" in path:
        return _SCREEN
    if request.method == "POST" and path.endswith("/rest/api/3/issue"):
        return {"id": str(number), "key": f"ENG-{number}", "self": str(request.url)}
    if path.endswith("/comments.json"):
        return {"comments": [], "meta": {"has_more": False}, "links": {}}
    if request.method == "PUT" and path.startswith("/api/v2/tickets/"):
        ident = int(path.rpartition("/")[2].partition(".")[0])
        ticket = {"id": ident, "subject": "x", "status": "open", "created_at": _NOW, "updated_at": _NOW, "tags": []}
        said = {"id": number, "type": "Comment", "public": False}
        return {"ticket": ticket, "audit": {"id": number, "ticket_id": ident, "created_at": _NOW, "events": [said]}}
    raise AssertionError(f"nobody answers {request.method} {path}")


_NOW = "2026-05-06T08:00:00Z"


def main() -> None:
    """Fill and plan, then push."""
    parser = argparse.ArgumentParser(description="plan runs of two steps and do what they say")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--abreast", type=int, default=1)
    asked = parser.parse_args()
    settings = bridge_plan.write_settings(asked.folder)
    for file in (asked.folder / "recipes").glob("*.toml"):
        file.unlink()
    (asked.folder / "recipes" / "escalate.toml").write_text(RECIPE, encoding="utf-8")
    vendors = Vendors(asked.latency)
    with Bridge(load(settings), transport_of=lambda _: vendors) as bridge:
        if bridge.library.errors:
            raise SystemExit(f"the recipe cannot be loaded: {bridge.library.errors}")
        bridge_plan.fill(bridge, asked.runs)
        planned = bridge.planner.plan(bridge.library.recipes)
        begun, used = time.perf_counter(), time.process_time()
        while sum(bridge.push(name, abreast=asked.abreast).confirmed for name in ("jira", "zendesk")):
            pass
        ended, used_at_the_end = time.perf_counter(), time.process_time()
        with bridge.store.read() as tx:
            done = runs.tally(tx, "escalate", "steps")
            left = outbox.unsettled_counts(tx)
    if done != {"done": planned.started} or left or vendors.writes != 2 * planned.started:
        raise SystemExit(f"not every run did its two steps once: {done}, {left}, {vendors.writes} writes")
    print(
        json.dumps(
            {
                "runs": planned.started,
                "seconds": ended - begun,
                "cpu": used_at_the_end - used,
                "requests": vendors.requests,
            }
        )
    )


if __name__ == "__main__":
    main()
