"""Two-step runs by several workers on one store: fills it, or is one of the workers, each a process of its own.

    python -m benchmarks.bridge_workers fill --folder FOLDER [--tickets 2000] [--workers 2]
    python -m benchmarks.bridge_workers work --folder FOLDER --number 0

Each worker has a desk and a tracker of its own to speak to, as a fleet hands them out, and its share of the runs. `fill` stores so
many tickets past any vendor and plans a run for each that is not closed. `work` takes the leases of its two connections, prints
`ready`, and on a line of input does every step of its runs, to vendors that answer at once in its own process
(`benchmarks.bridge_push`), as many abreast as the settings allow. It prints one line of JSON.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import bridge_plan
from benchmarks.bridge_push import RECIPE, Vendors
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox

# The most that the settings allow.
ABREAST = 16
PATIENCE, PAUSE = 60.0, 0.005


def main() -> None:
    """Fill, or work."""
    parser = argparse.ArgumentParser(description="two-step runs by several workers on one store")
    parser.add_argument("what", choices=["fill", "work"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--number", type=int, default=0, help="which of the workers this is, from 0")
    parser.add_argument("--abreast", type=int, default=ABREAST)
    asked = parser.parse_args()
    if asked.what == "fill":
        _fill(asked.folder, asked.tickets, asked.workers)
    else:
        _work(asked.folder, asked.number, asked.abreast)


def _fill(folder: Path, tickets: int, workers: int) -> None:
    with Bridge(load(_settings(folder, workers))) as bridge:
        if bridge.library.errors:
            raise SystemExit(f"the recipes cannot be loaded: {bridge.library.errors[:1]}")
        for number in range(workers):
            share = range(tickets * number // workers, tickets * (number + 1) // workers)
            bridge_plan.fill_tickets(bridge, f"desk{number}", range(len(share)))
        planned = bridge.planner.plan(bridge.library.recipes)
    print(json.dumps({"runs": planned.started}))


def _work(folder: Path, number: int, abreast: int) -> None:
    vendors = Vendors(0.0)
    tracker, _ = mine = (f"tracker{number}", f"desk{number}")
    with Bridge(load(folder / "cxbridge.toml"), transport_of=lambda _: vendors) as bridge:
        with bridge.store.read() as tx:
            runs = sum(n for (connection, _), n in outbox.unsettled_counts(tx).items() if connection == tracker)
        with bridge.holding(mine, f"worker {number}"), ThreadPoolExecutor(len(mine)) as threads:
            print("ready", flush=True)
            sys.stdin.readline()
            begun, used = time.perf_counter(), time.process_time()
            # As a daemon does, it serves both of its connections at once.
            for one in [threads.submit(_push, bridge, name, runs, abreast) for name in mine]:
                one.result()
            ended, used_at_the_end = time.perf_counter(), time.process_time()
    told = {"steps": vendors.writes, "seconds": ended - begun, "cpu": used_at_the_end - used}
    print(json.dumps(told | {"requests": vendors.requests}))


def _push(bridge: Bridge, connection: str, runs: int, abreast: int) -> None:
    """Do a step of so many runs at one connection, as they come due; gives up when none comes for long.

    Raises:
        SystemExit: when that is so.
    """
    done, until = 0, time.monotonic() + PATIENCE
    while done < runs:
        confirmed = bridge.push(connection, abreast=abreast).confirmed
        done += confirmed
        if confirmed:
            until = time.monotonic() + PATIENCE
        elif time.monotonic() > until:
            raise SystemExit(f"{connection} did {done} steps of {runs}")
        else:
            # A daemon is told when something comes due for a connection.
            time.sleep(PAUSE)


def _settings(folder: Path, workers: int) -> Path:
    """Write the configuration of so many desks and trackers, and a recipe from each desk to its tracker; give its path."""
    for name in ("secrets", "recipes"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "secrets" / "token").write_text("made-up-token")
    connections = []
    for number in range(workers):
        recipe = RECIPE.replace('"zendesk"', f'"desk{number}"').replace('"jira"', f'"tracker{number}"')
        (folder / "recipes" / f"escalate-{number}.toml").write_text(recipe, encoding="utf-8")
        connections.append(
            f'[connections.desk{number}]\nconnector = "zendesk"\nurl = "http://127.0.0.1:9"\n'
            f'access_token = {{ secret = "token" }}\n\n'
            f'[connections.tracker{number}]\nconnector = "jira"\nurl = "http://127.0.0.1:9"\nprojects = ["ENG"]\n'
            f'email = "bridge@example.test"\napi_token = {{ secret = "token" }}\n'
        )
    path = folder / "cxbridge.toml"
    path.write_text("\n".join(connections))
    return path


if __name__ == "__main__":
    main()
