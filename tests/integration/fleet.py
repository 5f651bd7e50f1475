"""Several workers on one PostgreSQL store, as processes that are killed and joined, and how the vendors' log judges them."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec

from cxbridge.core.config import load as load_config
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import changes, outbox, runs
from tests.integration.scene import write_folder

_WORKER = re.compile(r"\(worker ([^)]+)\)")


@dataclass
class Fleet:
    """Worker processes over the folder of a scene; each writes what it says to a file of its own."""

    folder: Path
    started: int = 0
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def join(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        self.started += 1
        with (self.folder / f"worker-{self.started}.log").open("wb") as sink:
            made = subprocess.Popen(
                [sys.executable, "-m", "cxbridge.cli", "run", "--config", str(self.folder / "cxbridge.toml")],
                stdout=sink,
                stderr=sink,
                cwd=self.folder,
            )
        self.running.append(made)
        return made

    def kill(self, place: int = 0) -> float:
        """Kill one as nothing can be prepared for; gives when."""
        worker = self.running.pop(place)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        return time.time()

    def end(self, place: int = 0, within: float = 60) -> int:
        """Ask one to end; gives its exit code."""
        worker = self.running.pop(place)
        worker.send_signal(signal.SIGTERM)
        return worker.wait(within)

    def close(self) -> None:
        """Leave none behind."""
        for worker in self.running:
            os.kill(worker.pid, signal.SIGCONT)
            worker.kill()
            worker.wait()
        self.running.clear()

    def said(self) -> str:
        """What all of them wrote."""
        return "\n".join(
            f"--- {one.name}\n{one.read_text(errors='replace')}" for one in sorted(self.folder.glob("worker-*.log"))
        )


# -- what happens --------------------------------------------------------------------------------------------------


def write(folder: Path, zendesk_url: str, jira_url: str, store_url: str) -> None:
    """Write the settings of an installation whose recipe has no limit that many tickets at once would meet."""
    write_folder(folder, zendesk_url, jira_url, store_url)
    file = folder / "recipes" / "escalation-to-jira.toml"
    text = file.read_text()
    for name, number in (("writes_per_hour", 600), ("halt_if_matches", 200)):
        assert re.search(rf"{name} += *{number}|{name} = {number}", text)
        text = re.sub(rf"({name}) += *{number}|({name}) = {number}", f"{name} = 1000000", text)
    file.write_text(text)


def company(control: httpx.Client) -> None:
    """One customer whose tickets may be escalated, and the fields that the recipe writes."""
    load(
        control,
        [
            {"kind": "organization", "name": "Northwind", "tier": "enterprise", "domains": []},
            {"kind": "ticket_field", "id": 360000000101, "title": "Engineering issue", "type": "text"},
            {"kind": "ticket_field", "id": 360000000102, "title": "Engineering status", "type": "text"},
        ],
    )


def ticket(number: int, *, tags: Sequence[str]) -> dict[str, Any]:
    """A ticket of that customer."""
    return {
        "kind": "ticket",
        "id": number,
        "subject": f"Export {number} stops",
        "description": "It stops at forty percent.",
        "priority": "high",
        "status": "open",
        "type": "incident",
        "tags": list(tags),
        "age": "3h",
        "updated_age": "1h",
        "requester": {"name": "Mia Lee", "email": "mia@northwind.test"},
        "organization": "Northwind",
    }


def load(control: httpx.Client, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows into the simulated vendors."""
    lines = [msgspec.json.encode(row) for row in rows]
    for start in range(0, len(lines), 2000):
        reply = control.post("/load", content=b"\n".join(lines[start : start + 2000]), timeout=120)
        assert reply.is_success, reply.text


@dataclass
class Story:
    """Tickets of which some are escalated, whose priority agents change, and whose issues engineers close."""

    control: httpx.Client
    tickets: int
    escalated: int
    priorities: dict[int, str] = field(default_factory=dict)
    closed: dict[int, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Have all tickets written, the first ones marked for engineering."""
        company(self.control)
        load(
            self.control,
            (
                ticket(number, tags=["needs-engineering"] if number <= self.escalated else [])
                for number in range(1, self.tickets + 1)
            ),
        )

    def goes_on(self, draw: random.Random) -> None:
        """An agent changes a priority, and an engineer closes an issue that is there."""
        number = draw.randint(1, self.escalated)
        self.priorities[number] = draw.choice(["urgent", "normal", "low"])
        self._act("PATCH", f"/zendesk/tickets/{number}", {"priority": self.priorities[number]})
        open_ones = {found: key for found, key in self.issues().items() if found not in self.closed}
        if open_ones:
            number = draw.choice(sorted(open_ones))
            self.closed[number] = open_ones[number]
            self._act("POST", f"/jira/issues/{open_ones[number]}/transition", {"to": "Done", "resolution": "Done"})

    def issues(self) -> dict[int, str]:
        """Name the issues that we made, by ticket."""
        found = {}
        for issue in self._act("GET", "/jira/issues"):
            named = re.match(r"\[#?(\d+)\]", issue["summary"])
            if named:
                found[int(named[1])] = issue["key"]
        return found

    def done(self) -> bool:
        """Whether all that must follow has come."""
        return not self.missing()

    def missing(self) -> list[str]:
        """Say what has not come yet, by what the vendors show."""
        effects = self.control.get("/summary").json()["api_effects"]
        wanted = {"jira:issue.created": self.escalated, "zendesk:comment.added": self.escalated + len(self.closed)}
        lacking = [
            f"{kind} {effects.get(kind, 0)} of {number}"
            for kind, number in wanted.items()
            if effects.get(kind, 0) < number
        ]
        if lacking:
            return lacking
        words = {"urgent": "Highest", "high": "High", "normal": "Medium", "low": "Low"}
        shown = {issue["key"]: issue.get("priority") for issue in self._act("GET", "/jira/issues")}
        issues = self.issues()
        for number, priority in self.priorities.items():
            if shown[issues[number]] != words[priority]:
                lacking.append(f"priority of {number}: {shown[issues[number]]} for {priority}")
        return lacking

    def judge(self) -> None:
        """See by the vendors' log that everything happened, once, and that no two workers spoke to one vendor at once."""
        assert self.missing() == []
        summary = self.control.get("/summary").json()
        assert summary["duplicates"] == []
        assert summary["api_effects"]["jira:issue.created"] == self.escalated
        assert summary["api_effects"]["zendesk:comment.added"] == self.escalated + len(self.closed)
        assert overlaps(spoken(self.control)) == []

    def _act(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        reply = self.control.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json()


# -- what the vendors' log says ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spoken:
    """When a worker spoke to a vendor without another one in between, by the vendor's clock."""

    vendor: str
    worker: str
    began: float
    ended: float
    requests: int


def spoken(control: httpx.Client) -> list[Spoken]:
    """Tell from the vendors' log who spoke to whom and when: by vendor, in order."""
    entries = control.get("/journal", timeout=120).json()["entries"]
    found: dict[str, list[Spoken]] = {}
    for entry in sorted((one for one in entries if one["entry"] == "request"), key=lambda one: one["began"]):
        named = _WORKER.search(entry["request_headers"].get("user-agent", ""))
        if named is None:
            continue
        turns = found.setdefault(entry["vendor"], [])
        if turns and turns[-1].worker == named[1]:
            last = turns[-1]
            ended = max(last.ended, entry["t"])
            turns[-1] = Spoken(last.vendor, last.worker, last.began, ended, last.requests + 1)
        else:
            turns.append(Spoken(entry["vendor"], named[1], entry["began"], entry["t"], 1))
    return [turn for turns in found.values() for turn in turns]


def overlaps(turns: Sequence[Spoken]) -> list[tuple[Spoken, Spoken]]:
    """Two workers that spoke to one vendor at once: the later began before the earlier was answered."""
    return [(one, other) for one, other in pairwise(turns) if one.vendor == other.vendor and other.began < one.ended]


def take_overs(control: httpx.Client, kills: Sequence[float]) -> list[float]:
    """How many seconds after each kill another worker spoke to the vendor whom the dead one had spoken to last, if it was one."""
    turns = spoken(control)
    found = []
    for one, other in pairwise(turns):
        if one.vendor != other.vendor:
            continue
        killed = [at for at in kills if one.ended <= at <= other.began and at - one.ended < 1.0]
        if killed:
            found.append(other.began - killed[-1])
    return found


def told_by_the_store(folder: Path) -> str:
    """Show what did not end well or has not ended, and what was seen of the issues: for whoever looks for what went wrong."""
    with Bridge(load_config(folder / "cxbridge.toml")) as bridge, bridge.store.read() as tx:
        lines = [
            f"{one.id} {one.part} {one.key} {one.state} {one.reason}"
            for one in runs.find(tx, limit=100_000)
            if one.state != "done" or one.reason
        ]
        lines += [
            f"{one.id} {one.run} {one.step} {one.action} {one.target} {one.state} {one.error}"
            for one in outbox.find(tx, limit=100_000)
            if one.state not in ("confirmed", "cancelled")
        ]
        lines += [
            f"{one.seq} {one.ref} {one.op} {one.at}"
            for one in changes.after(tx, 0, 1_000_000)
            if one.ref.stream == "issues"
        ]
    return "\n".join(lines)


def until(condition: Callable[[], bool], what: str, seconds: float, step: float = 0.5) -> float:
    """Wait for a condition; gives how long it took. The deadline only ends what has failed already."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"never came: {what}"
        time.sleep(step)
    return time.monotonic() - begun
