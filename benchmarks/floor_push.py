"""The floor of two-step runs: a hand-written outbox in SQLite with group commit and full durability, and no logic of its own.

    python -m benchmarks.floor_push --folder EMPTY_FOLDER [--runs 2000]

A hundred due steps are marked sent in one commit, done by one POST each through the same HTTP client to a vendor that answers
at once in this process, and recorded with the next step of their runs in another. Nothing is rendered, matched, proved or audited:
what a step with its promises costs shows beside this. Prints one line of JSON.
"""

import argparse
import json
import sqlite3
import time
from pathlib import Path

import httpx

from benchmarks.bridge_push import Vendors

_GROUP = 100


def main() -> None:
    """Enter the runs, then work off their steps."""
    parser = argparse.ArgumentParser(description="two steps of each run, each marked, done and recorded")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=2000)
    asked = parser.parse_args()
    store = sqlite3.connect(asked.folder / "floor.db", isolation_level=None)
    for setting in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL"):
        store.execute(f"PRAGMA {setting}")
    store.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, state TEXT NOT NULL, results TEXT NOT NULL)")
    store.execute(
        "CREATE TABLE steps (id INTEGER PRIMARY KEY, run INT, number INT, state TEXT, inputs TEXT, told TEXT)"
    )
    store.execute("CREATE INDEX due ON steps (id) WHERE state = 'planned'")
    store.execute("BEGIN IMMEDIATE")
    store.executemany("INSERT INTO runs VALUES (?, 'running', '{}')", ((one,) for one in range(asked.runs)))
    first = ((one, json.dumps({"subject": f"Delivery {one} is late"})) for one in range(asked.runs))
    store.executemany("INSERT INTO steps (run, number, state, inputs) VALUES (?, 1, 'planned', ?)", first)
    store.execute("COMMIT")
    vendor = httpx.Client(base_url="https://vendor.example", transport=Vendors(0.0))
    begun, used = time.perf_counter(), time.process_time()
    while due := store.execute(
        "SELECT id, run, number, inputs FROM steps WHERE state = 'planned' ORDER BY id LIMIT ?", (_GROUP,)
    ).fetchall():
        store.execute("BEGIN IMMEDIATE")
        store.executemany("UPDATE steps SET state = 'sent' WHERE id = ?", ((one[0],) for one in due))
        store.execute("COMMIT")
        answers = []
        for ident, run, number, inputs in due:
            answer = vendor.post("/rest/api/3/issue", content=inputs, headers={"content-type": "application/json"})
            answers.append((ident, run, number, json.dumps(answer.json())))
        store.execute("BEGIN IMMEDIATE")
        store.executemany(
            "UPDATE steps SET state = 'done', told = ? WHERE id = ?", ((told, ident) for ident, _, _, told in answers)
        )
        ahead = ((run, 2, told) for _, run, number, told in answers if number == 1)
        store.executemany("INSERT INTO steps (run, number, state, inputs) VALUES (?, ?, 'planned', ?)", ahead)
        over = ((told, run) for _, run, number, told in answers if number == 2)
        store.executemany("UPDATE runs SET state = 'done', results = ? WHERE id = ?", over)
        store.execute("COMMIT")
    ended, used_at_the_end = time.perf_counter(), time.process_time()
    [(done,)] = store.execute("SELECT count(*) FROM runs WHERE state = 'done'")
    store.close()
    print(json.dumps({"runs": done, "seconds": ended - begun, "cpu": used_at_the_end - used}))


if __name__ == "__main__":
    main()
