"""`python -m benchmarks [all|pull|plan|…] …`: what is measured, in turn; options go to the one named."""

import sys
from collections.abc import Callable
from importlib import import_module

PARTS = ("pull", "plan", "push", "expressions", "sentiment")
# These take long, and are run when they are named.
LONG = ("workers", "ready", "idle")


def main() -> None:
    """Run what was asked for, or everything."""
    name, *words = sys.argv[1:] or ["all"]
    if name not in (*PARTS, *LONG, "all") or (name == "all" and words):
        raise SystemExit(f"usage: python -m benchmarks [all | {' | '.join((*PARTS, *LONG))}] [options of that one]")
    for part in PARTS if name == "all" else (name,):
        print(f"== {part}", flush=True)
        run: Callable[..., None] = import_module(f"benchmarks.{part}").main
        # The conditions' benchmark takes no options.
        run() if part == "expressions" else run(words)
        print(flush=True)


if __name__ == "__main__":
    main()
