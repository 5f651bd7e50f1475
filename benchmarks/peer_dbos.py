"""Two-step workflows by DBOS on SQLite, as a process of its own in an environment that holds DBOS.

    python -m benchmarks.peer_dbos --folder EMPTY_FOLDER [--runs 500]

Each workflow is two steps, each of which makes one request to a tracker in this process. The workflows are enqueued first; what is
measured lies between the start of the first step and the moment from which all of them stand as succeeded in the database. That is
SQLite with a write-ahead log, twice as fast as what DBOS makes by itself, and `synchronous = FULL`, which it comes with. A hundred
workflows are under way at once, and the queue is asked twenty times a second. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import sqlite3
import time
from pathlib import Path

# It is installed in an environment of its own, where nothing is checked.
from dbos import DBOS, DBOSClient  # type: ignore[import-not-found]

from benchmarks.stub import Steps

ABREAST, ASKED_EVERY, ENQUEUED_AT_ONCE = 100, 0.05, 20
LONGEST = 240.0
_steps = Steps()
# When the first step began, on the wall and by the processor.
_begun: list[tuple[float, float]] = []


@DBOS.step()  # type: ignore[untyped-decorator]
async def first(run: int) -> str:
    """Make an issue."""
    if not _begun:
        _begun.append((time.perf_counter(), time.process_time()))
    return await _steps.do(run, "the issue")


@DBOS.step()  # type: ignore[untyped-decorator]
async def second(run: int, issue: str) -> str:
    """Say where the issue is."""
    return await _steps.do(run, f"escalated as {issue}")


@DBOS.workflow(name="escalate")  # type: ignore[untyped-decorator]
async def escalate(run: int) -> str:
    """Do both."""
    return await second(run, await first(run))


def main() -> None:
    """Enqueue, then work off."""
    parser = argparse.ArgumentParser(description="two-step workflows by DBOS on SQLite")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=500)
    asked = parser.parse_args()
    file = asked.folder.resolve() / "dbos.db"
    with sqlite3.connect(file) as made:
        made.execute("PRAGMA journal_mode = WAL")
    made.close()
    config = {"name": "measured", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"}
    # Without a version of its own it would tell what waits apart by the code that enqueued it.
    DBOS(config=config | {"executor_id": "one", "application_version": "1", "console_log_level": "ERROR"})
    DBOS.launch()
    asyncio.run(_enqueue(config["system_database_url"], asked.runs))
    DBOS.register_queue("due", worker_concurrency=ABREAST, polling_interval_sec=ASKED_EVERY)
    ended, used = _all_succeeded(file, asked.runs)
    [(begun, used_before)] = _begun
    told = {"runs": asked.runs, "seconds": ended - begun, "cpu": used - used_before, "requests": _steps.tracker.made}
    print(json.dumps(told), flush=True)
    DBOS.destroy()


async def _enqueue(url: str, runs: int) -> None:
    client = DBOSClient(system_database_url=url)
    numbers = iter(range(runs))

    async def some() -> None:
        for number in numbers:
            what = {
                "queue_name": "due",
                "workflow_name": "escalate",
                "workflow_id": f"run-{number}",
                "app_version": "1",
            }
            await client.enqueue_async(what, number)

    await asyncio.gather(*(some() for _ in range(ENQUEUED_AT_ONCE)))
    client.destroy()


def _all_succeeded(file: Path, runs: int) -> tuple[float, float]:
    """Wait until all workflows stand as succeeded; gives when, on the wall and by the processor.

    Raises:
        SystemExit: when that does not come, or steps were done twice.
    """
    until, done = time.monotonic() + LONGEST, 0
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        while time.monotonic() < until:
            # Counting is left alone until the last steps are done: it would take the processor from those.
            if _steps.tracker.made >= 2 * runs:
                [(done,)] = store.execute("SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'")
            if done == runs:
                break
            time.sleep(0.01)
    store.close()
    if done != runs or _steps.tracker.made != 2 * runs:
        raise SystemExit(f"not every workflow did its two steps once: {done} of {runs}, {_steps.tracker.made} steps")
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    main()
