"""What a change, a start and a look cost with so much stored, as a process of its own.

    python -m benchmarks.bridge_growth --folder EMPTY_FOLDER [--records 10000] [--pages 5]

The store is filled past any vendor, planned, and what was planned is written to vendors in this process: one ticket in a hundred
has a run, links and entries in the audit chain. That goes on by a hundred thousand tickets. Then pages of a thousand changed
tickets, spread over all that are stored, are pulled and planned; commands that look at the store are called in this process; and
the daemon is started until it says that it is ready. Prints one line of JSON.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks import bridge_plan, daemon
from benchmarks.bridge_push import Vendors
from benchmarks.mock_vendors import STATUS, shown
from cxbridge.cli.app import run as command
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import records, runs

PAGE, RECIPES, TIMES, STARTS, ABREAST = 1000, 10, 9, 3, 16
SLICE, SAID_EVERY = 100_000, 500_000
# Opens the store, reads the recipes, and finds nothing to show.
OPENING = ("dead", "list")
# Less than this is not told apart.
LEAST_MS = 2.0
_CHANGED = "2026-10-06T08:{:02}:00Z"


class Desk(httpx.BaseTransport):
    """Answers each pull of the export with one page of tickets that changed, others each time."""

    def __init__(self, stored: int) -> None:
        self._stored = stored
        self._page = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        path = request.url.path
        if path == "/api/v2/custom_statuses.json":
            return httpx.Response(200, json={"custom_statuses": [{"id": STATUS, "agent_label": "Open"}]})
        if path != "/api/v2/incremental/tickets/cursor.json":
            return httpx.Response(404, json={"error": "RecordNotFound"})
        self._page += 1
        apart = max(1, self._stored // PAGE)
        numbers = ((place * apart + self._page) % self._stored for place in range(PAGE))
        tickets = [shown(number, _CHANGED.format(self._page), f"In its state {self._page}") for number in numbers]
        return httpx.Response(
            200, json={"tickets": tickets, "after_cursor": f"page-{self._page}", "end_of_stream": True}
        )


def main() -> None:
    """Fill, then measure one thing after the other."""
    parser = argparse.ArgumentParser(description="measure a store of so many records")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=10)
    asked = parser.parse_args()
    settings = bridge_plan.write_settings(asked.folder.resolve(), RECIPES)
    settings.write_text(settings.read_text() + '\n[webhooks]\nlisten = "127.0.0.1:0"\n')
    desk, tracker = Desk(asked.records), Vendors(0.0)
    told: dict[str, float] = {}
    with Bridge(load(settings), transport_of=lambda name: desk if name == "zendesk" else tracker) as bridge:
        if bridge.library.errors:
            raise SystemExit(f"the recipes cannot be loaded: {bridge.library.errors[:1]}")
        told |= _fill(bridge, asked.records)
        told |= _changes(bridge, asked.pages)
        with bridge.store.read() as tx:
            [newest] = runs.find(tx, limit=1)
            told["records"] = sum(records.count(tx).values())
            told["runs"] = sum(sum(runs.tally(tx, one.id, "steps").values()) for one in bridge.library.recipes)
    told |= _looks(settings, bridge.library.recipes[0].id, str(newest.id), newest.key.rpartition("/")[2])
    told["start ms"] = _start(settings)
    size = sum(file.stat().st_size for file in asked.folder.glob("cxbridge.db*"))
    told |= {"store MB": size / 1e6, "bytes a record": size / told["records"]}
    print(json.dumps(told))


def _fill(bridge: Bridge, tickets: int) -> dict[str, float]:
    """Store, plan and push, so that there is something to look at; gives the seconds that each took, and says them meanwhile.

    It goes on by slices, as a company's tickets come: what is planned in one go is held in memory, some 14 KB for each run.
    """
    took = {"filling s": 0.0, "planning s": 0.0, "pushing s": 0.0}
    bridge_plan.fill_people(bridge)
    bridge.identifier.run()
    for start in range(0, tickets, SLICE):
        part = range(start, min(start + SLICE, tickets))
        begun = time.perf_counter()
        bridge_plan.fill_tickets(bridge, "zendesk", part, RECIPES)
        filled = time.perf_counter()
        bridge.planner.plan(bridge.library.recipes)
        planned = time.perf_counter()
        # None of this is measured, and writes that are under way at once share commits.
        while bridge.push("jira", abreast=ABREAST).confirmed:
            pass
        pushed = time.perf_counter()
        for name, seconds in zip(took, (filled - begun, planned - filled, pushed - planned), strict=True):
            took[name] += seconds
        if part.stop % SAID_EVERY == 0:
            told = ", ".join(f"{name.removesuffix(' s')} {seconds:.0f} s" for name, seconds in took.items())
            print(f"{part.stop:,} of {tickets:,} tickets are there: {told}", file=sys.stderr, flush=True)
    return took


def _changes(bridge: Bridge, pages: int) -> dict[str, float]:
    """Pull and plan pages of changed tickets; gives the microseconds of one change."""
    pulled, planned = [], []
    for number in range(pages + 1):
        begun = time.perf_counter()
        pull = bridge.pull("zendesk", "tickets")
        stored = time.perf_counter()
        plan = bridge.planner.plan(bridge.library.recipes)
        ended = time.perf_counter()
        if pull.changed != PAGE or plan.changes < PAGE:
            raise SystemExit(f"{pull.changed} of {PAGE} tickets changed, {plan.changes} changes were planned")
        # The first one reads what is read once.
        if number:
            pulled.append((stored - begun) / PAGE * 1e6)
            planned.append((ended - stored) / PAGE * 1e6)
    return {"pull of a change µs": statistics.median(pulled), "planning it µs": statistics.median(planned)}


def _looks(settings: Path, recipe: str, run: str, ticket: str) -> dict[str, float]:
    """Call what looks at the store; gives the milliseconds of each command beyond one that finds nothing to show."""
    entity = f"zendesk/tickets/{ticket}"
    calls: dict[str, Sequence[str]] = {
        "runs list": ("runs", "list"),
        "runs list --state failed": ("runs", "list", "--recipe", recipe, "--state", "failed"),
        "runs show": ("runs", "show", run),
        "why": ("why", entity),
        "why-not": ("why-not", recipe, entity),
        "figures": ("figures", recipe),
        "recipes list": ("recipes", "list"),
        "dead list --recipe": ("dead", "list", "--recipe", recipe),
        "audit list": ("audit", "list"),
        "connections list": ("connections", "list"),
    }
    found = {f"{name} ms": max(LEAST_MS, _beyond(words, settings)) for name, words in calls.items()}
    return {"opening ms": statistics.median(_taken(OPENING, settings) for _ in range(TIMES)), **found}


def _beyond(words: Sequence[str], settings: Path) -> float:
    """Call a command and one that finds nothing to show in turns; gives the median of what the one takes longer."""
    _called(words, settings)
    return statistics.median(_taken(words, settings) - _taken(OPENING, settings) for _ in range(TIMES))


def _taken(words: Sequence[str], settings: Path) -> float:
    """Call a command; gives its processor time in milliseconds, against which a busy machine does not count much."""
    begun = time.process_time()
    _called(words, settings)
    return (time.process_time() - begun) * 1000


def _called(words: Sequence[str], settings: Path) -> None:
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        code = command([*words, "--json", "--config", str(settings)])
    if code or not said.getvalue():
        raise SystemExit(f"{' '.join(words)} ended with {code}: {complained.getvalue()[-500:]}")


def _start(settings: Path) -> float:
    """Start the daemon until it is ready, and kill it; gives the median of the milliseconds that this takes."""
    taken = []
    for number in range(STARTS):
        begun = time.perf_counter()
        process, address = daemon.start(settings, settings.with_name(f"log-{number}"))
        try:
            daemon.ready(address)
            taken.append((time.perf_counter() - begun) * 1000)
        finally:
            daemon.end(process)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
