"""Measures several workers on one PostgreSQL store: how the time falls with their number, and that a storm of kills loses nothing.

    python -m benchmarks workers scale [--tickets 20000] [--workers 1 2 4]     the same escalations with 1, 2 and 4 workers
    python -m benchmarks workers storm [--changes 20000] [--every 5]           three workers, one killed every few seconds

Both run `cxbridge run` as processes against simulated vendors in a process of their own and a PostgreSQL server that makes every
commit durable. `scale` adds 100 ms to each answer of the trackers; each worker serves two connections at a time, `--abreast` writes
at once, so that the vendors' answers are what is waited for. What happened is read from the vendors' own log.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks import company, measure, postgres
from tests.integration import fleet as fleets

TRACKERS = 8
LATENCY = 0.1
# For so many seconds workers are killed.
LONGEST = 300.0
# After that whatever is left must be done within so many seconds.
LONGEST_REST = 900.0

_RECIPE = """title = "Escalate to tracker {number}"
owner = "support-ops"
stage = "live"
use   = {{ desk = "desk", tracker = "tracker{number}" }}

[[trigger]]
on   = "ticket.created"
from = "desk"

[when]
mine = "'t{number}' in ticket.tags"

[run]
key = "ticket.id"

[limits]
writes_per_hour = 1000000
halt_if_matches = 1000000

[[step]]
id = "issue"
do = "tracker.issue.ensure"
with = {{ project = "ENG", type = "bug", subject = "[{{{{ ticket.source_key }}}}] {{{{ ticket.subject }}}}" }}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks workers", description="several workers on PostgreSQL")
    parser.add_argument("what", nargs="?", choices=["scale", "storm"], default="scale")
    parser.add_argument("--tickets", type=int, default=20_000)
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--abreast", type=int, default=2)
    parser.add_argument("--every", type=float, default=5.0)
    asked = parser.parse_args(words)
    if asked.what == "scale":
        _scale(asked.tickets, asked.workers, asked.abreast)
    else:
        _storm(asked.changes, asked.every)


def _scale(tickets: int, numbers: Sequence[int], abreast: int) -> None:
    waits = f"{TRACKERS} connections that answer after {LATENCY * 1000:.0f} ms"
    print(f"{tickets:,} escalations to {waits}, on {measure.machine()}")
    measure.wait_for_quiet()
    first = None
    for number in numbers:
        with company.vendors() as (control, urls), postgres.server() as fresh, measure.folder() as place:
            _write(place, urls, fresh(), abreast)
            fleets.company(control)
            fleets.load(
                control,
                (fleets.ticket(one, tags=[f"t{one % TRACKERS}"]) for one in range(1, tickets + 1)),
            )
            slow = {"name": "latency", "vendor": "jira", "times": None, "params": {"seconds": LATENCY}}
            control.post("/faults", json=slow).raise_for_status()
            before = _issues(control)
            fleet = fleets.Fleet(place)
            try:
                watch = measure.Watch()
                begun = time.monotonic()
                for _ in range(number):
                    fleet.join()
                while _issues(control) < before + tickets:
                    if any(one.poll() is not None for one in fleet.running):
                        raise SystemExit(f"a worker ended by itself: {fleet.said()[-2000:]}")
                    time.sleep(1.0)
                seconds = time.monotonic() - begun
                used = watch.foreign()
                ended = [fleet.end() for _ in list(fleet.running)]
            finally:
                fleet.close()
            summary = control.get("/summary", timeout=300).json()
            slowed = sum(rule["struck"] for rule in control.get("/faults").json()["faults"])
        # The one that makes each; whether they are new is asked for several at once.
        if slowed < tickets:
            raise SystemExit(
                f"the vendors answered at once: only {slowed} requests were slow, so this measures nothing"
            )
        if summary["duplicates"] or any(ended) or summary["api_effects"]["jira:issue.created"] != tickets:
            raise SystemExit(
                f"not as it should be: {summary['api_effects']}, {len(summary['duplicates'])} twice, {ended}"
            )
        first = first or seconds * number
        print(
            f"{number} worker{'s' if number > 1 else ' '}: {seconds:7.1f} s, {tickets / seconds:6.1f}/s, "
            f"{first / seconds:4.2f} times as fast as one; {used or 0:.2f} cores used by all processes",
            flush=True,
        )


def _storm(changes: int, every: float) -> None:
    print(f"{changes:,} tickets, a tenth of them escalated, on {measure.machine()}")
    print(f"of three workers one is killed every {every:.0f} s for {LONGEST:.0f} s, and another joins")
    draw = random.Random(11)
    with company.vendors() as (control, urls), postgres.server() as fresh, measure.folder() as place:
        fleets.write(place / "cx", urls["zendesk"], urls["jira"], fresh())
        story = fleets.Story(control, tickets=changes, escalated=changes // 10)
        story.begin()
        fleet = fleets.Fleet(place / "cx")
        begun = time.monotonic()
        kills: list[float] = []
        try:
            for _ in range(3):
                fleet.join()
            while not story.done():
                time.sleep(every)
                if time.monotonic() - begun > LONGEST + LONGEST_REST:
                    print(fleets.told_by_the_store(place / "cx"))
                    raise SystemExit(f"not there by then: {story.missing()}, closed: {story.closed}")
                # Deaths come faster than a dead one is replaced at work: at some time they must cease.
                if time.monotonic() - begun < LONGEST:
                    story.goes_on(draw)
                    kills.append(fleet.kill(draw.randrange(len(fleet.running))))
                    fleet.join()
            seconds = time.monotonic() - begun
            story.judge()
            times = sorted(fleets.take_overs(control, kills))
        finally:
            fleet.close()
    print(f"{seconds:.0f} s, {len(kills)} kills: 0 lost, 0 twice, nobody spoken to by two at once")
    if times:
        print(
            f"taken over after {times[0]:.1f} to {times[-1]:.1f} s, median {times[len(times) // 2]:.1f} s; the goal is 30 s"
        )


def _issues(control: httpx.Client) -> int:
    return int(control.get("/state").json()["jira"].get("issues", 0))


def _write(place: Path, urls: dict[str, str], store: str, abreast: int) -> None:
    (place / "secrets").mkdir()
    (place / "secrets" / "token").write_text("sandbox-token")
    (place / "recipes").mkdir()
    for number in range(TRACKERS):
        (place / "recipes" / f"to-tracker-{number}.toml").write_text(_RECIPE.format(number=number))
    account = 'email = "bridge@example.test"\napi_token = { secret = "token" }\n'
    trackers = "".join(
        f'[connections.tracker{number}]\nconnector = "jira"\nurl = "{urls["jira"]}"\nprojects = ["ENG"]\n{account}\n'
        for number in range(TRACKERS)
    )
    (place / "cxbridge.toml").write_text(
        f'[store]\nurl = "{store}"\n\n[daemon]\npoll = "1h"\nworkers = 2\nabreast = {abreast}\n\n'
        f'[connections.desk]\nconnector = "zendesk"\nurl = "{urls["zendesk"]}"\n{account}\n{trackers}'
    )
