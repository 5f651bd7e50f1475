"""`python -m benchmarks [all|pull|plan|…] …`: what is measured, in turn; options go to the one named."""

import sys
from collections.abc import Callable
from importlib import import_module

from benchmarks import results

PARTS = ("pull", "plan", "push", "webhooks", "expressions", "sentiment")
# These take long, and are run when they are named.
LONG = ("databases", "growth", "workers", "ready", "idle", "yardstick")
# These measure nothing that is compared, and are run when they are named.
TOOLS = ("check", "charts", "flame")


def main() -> None:
    """Run what was asked for, or everything."""
    name, *words = sys.argv[1:] or ["all"]
    known = (*PARTS, *LONG, *TOOLS)
    if name not in (*known, "all") or (name == "all" and words):
        raise SystemExit(f"usage: python -m benchmarks [all | {' | '.join(known)}] [options of that one]")
    if name == "all":
        results.begin()
    for part in PARTS if name == "all" else (name,):
        print(f"== {part}", flush=True)
        run: Callable[..., None] = import_module(f"benchmarks.{part}").main
        # The conditions' benchmark takes no options.
        run() if part == "expressions" else run(words)
        print(flush=True)


if __name__ == "__main__":
    main()
