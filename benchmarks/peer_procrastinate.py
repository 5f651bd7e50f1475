"""Runs of two jobs by procrastinate on PostgreSQL, as a process of its own in an environment that holds procrastinate.

    python -m benchmarks.peer_procrastinate fill --store postgresql://… [--runs 1000]
    python -m benchmarks.peer_procrastinate work --store postgresql://…

procrastinate keeps no journal of steps: the first job of a run defers the second, under a lock by which it cannot be queued twice.
Each job makes one request to a tracker in this process. `fill` makes the tables and defers the first jobs. `work` opens the store,
prints `ready`, and on a line of input works until nothing is due; several may do so at once, a hundred jobs under way in each, and
listening for new jobs. It prints one line of JSON.
"""

import argparse
import asyncio
import json
import logging
import sys
import time

# It is installed in an environment of its own, where nothing is checked.
import procrastinate  # type: ignore[import-not-found]

from benchmarks.stub import Steps

ABREAST, DEFERRED_AT_ONCE = 100, 500
# It warns of every program that is a module of its own, as this one is.
logging.getLogger("procrastinate").setLevel(logging.ERROR)
_steps = Steps()
_later = procrastinate.Blueprint()


@_later.task(queue="due", name="second", retry=5)
async def second(run: int, issue: str) -> None:
    """Say where the issue is."""
    await _steps.do(run, f"escalated as {issue}")


@_later.task(queue="due", name="first", retry=5)
async def first(run: int) -> None:
    """Make an issue, and have the rest done."""
    issue = await _steps.do(run, "the issue")
    await second.configure(queueing_lock=f"run-{run}-2").defer_async(run=run, issue=issue)


async def _fill(app: procrastinate.App, runs: int) -> None:
    await app.schema_manager.apply_schema_async()
    for start in range(0, runs, DEFERRED_AT_ONCE):
        some = [{"run": number} for number in range(start, min(start + DEFERRED_AT_ONCE, runs))]
        await first.batch_defer_async(*some)
    print(json.dumps({"runs": runs}), flush=True)


async def _work(app: procrastinate.App) -> None:
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    begun, used = time.perf_counter(), time.process_time()
    await app.run_worker_async(queues=["due"], concurrency=ABREAST, wait=False, install_signal_handlers=False)
    ended, used_at_the_end = time.perf_counter(), time.process_time()
    told = {"steps": _steps.tracker.made, "seconds": ended - begun, "cpu": used_at_the_end - used}
    print(json.dumps(told), flush=True)


async def _run(asked: argparse.Namespace) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=asked.store, min_size=4, max_size=20))
    app.add_tasks_from(_later, namespace="measured")
    async with app.open_async():
        await (_fill(app, asked.runs) if asked.what == "fill" else _work(app))


def main() -> None:
    """Fill or work."""
    parser = argparse.ArgumentParser(description="runs of two jobs by procrastinate on PostgreSQL")
    parser.add_argument("what", choices=["fill", "work"])
    parser.add_argument("--store", required=True)
    parser.add_argument("--runs", type=int, default=1000)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
