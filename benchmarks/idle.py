"""Measures what a daemon takes that has nothing to do: ten connections, fifty recipes, polling as it comes.

    python -m benchmarks idle [--seconds 120]

`cxbridge run` is a process of its own on SQLite, against simulated vendors in another one. What it read at its start is waited for;
then its processor time over a while and its memory at the end are the operating system's account. Goals: 1 % of a core, 120 MB.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import company, measure, results
from benchmarks.measure import Taken

PAIRS, RECIPES = 5, 50
SETTLED_AFTER = 30.0
MOST_CPU, MOST_MB = 0.01, 120.0

_RECIPE = """title = "Escalate what asks for it, {number}"
owner = "support-ops"
stage = "live"
use   = {{ desk = "desk{pair}", tracker = "tracker{pair}" }}

[[trigger]]
on     = "ticket.changed"
from   = "desk"
fields = ["tags"]

[when]
asked_for = "'team-{number}' in ticket.tags"

[run]
once_per = "ticket.id"

[[step]]
id = "issue"
do = "tracker.issue.ensure"
with = {{ project = "ENG", type = "bug", subject = "[{{{{ ticket.source_key }}}}] {{{{ ticket.subject }}}}" }}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Start the daemon, wait, measure, and keep the run in `results/idle.jsonl` and the figures in `results/bench.json`."""
    parser = argparse.ArgumentParser(prog="benchmarks idle", description="a daemon that has nothing to do")
    parser.add_argument("--seconds", type=float, default=120.0)
    asked = parser.parse_args(words)
    print(f"{2 * PAIRS} connections and {RECIPES} recipes on {measure.machine()}")
    with company.vendors() as (_, urls), measure.folder() as place:
        config = _write(place, urls)
        # The first start makes the store, and reads everything; what is measured is one of those that follow.
        _run(config, 0.0)
        seconds, used, resident = _run(config, asked.seconds)
    share = used / seconds
    measure.keep("idle.jsonl", Taken("idle", 1, seconds, used, resident, None, {"share": share}))
    results.tell(
        "idle",
        sizes={"connections": 2 * PAIRS, "recipes": RECIPES, "seconds": asked.seconds},
        medians={"daemon": {"share of a core": share, "resident MB": resident}},
        ratios={},
    )
    print(
        f"{share:.2%} of a core over {seconds:.0f} s; the goal is {MOST_CPU:.0%} ({measure.verdict(share <= MOST_CPU)})"
    )
    print(f"{resident:.0f} MB resident; the goal is {MOST_MB:.0f} ({measure.verdict(resident <= MOST_MB)})")


def _run(config: Path, seconds: float) -> tuple[float, float, float]:
    """Start a daemon, let it settle and idle; gives for how long it was watched, what it used meanwhile, and its memory in MB."""
    log = config.with_name("log")
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [sys.executable, "-m", "cxbridge.cli", "run", "--config", str(config)],
            cwd=config.parent,
            stdout=sink,
            stderr=sink,
        ) as daemon,
    ):
        try:
            time.sleep(SETTLED_AFTER)
            before, begun = measure.cpu_of(daemon.pid), time.monotonic()
            time.sleep(seconds)
            watched, used = time.monotonic() - begun, measure.cpu_of(daemon.pid) - before
            resident = _resident_mb(daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(60)
    said = log.read_text(encoding="utf-8", errors="replace")
    if code or '"event": "run.started"' not in said or '"level": "error"' in said:
        raise SystemExit(f"it did not idle in order ({code}): {said[-2000:]}")
    return watched, used, resident


def _write(place: Path, urls: Mapping[str, str]) -> Path:
    for name in ("secrets", "recipes"):
        (place / name).mkdir()
    (place / "secrets" / "token").write_text("sandbox-token")
    for number in range(RECIPES):
        text = _RECIPE.format(number=number, pair=number % PAIRS)
        (place / "recipes" / f"team-{number}.toml").write_text(text, encoding="utf-8")
    account = 'email = "bridge@example.test"\napi_token = { secret = "token" }\n'
    connections = "".join(
        f'[connections.desk{pair}]\nconnector = "zendesk"\nurl = "{urls["zendesk"]}"\n{account}\n'
        f'[connections.tracker{pair}]\nconnector = "jira"\nurl = "{urls["jira"]}"\nprojects = ["ENG"]\n{account}\n'
        for pair in range(PAIRS)
    )
    config = place / "cxbridge.toml"
    config.write_text(connections, encoding="utf-8")
    return config


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
