"""`python -m benchmarks [all|pull|plan|expressions|sentiment] …`: what is measured, in turn; options go to the one named."""

import sys
from collections.abc import Callable
from importlib import import_module

PARTS = ("pull", "plan", "expressions", "sentiment")


def main() -> None:
    """Run what was asked for, or everything."""
    name, *words = sys.argv[1:] or ["all"]
    if name not in (*PARTS, "all") or (name == "all" and words):
        raise SystemExit(f"usage: python -m benchmarks [all | {' | '.join(PARTS)}] [options of that one]")
    for part in PARTS if name == "all" else (name,):
        print(f"== {part}", flush=True)
        run: Callable[..., None] = import_module(f"benchmarks.{part}").main
        # The conditions' benchmark takes no options.
        run() if part == "expressions" else run(words)
        print(flush=True)


if __name__ == "__main__":
    main()
