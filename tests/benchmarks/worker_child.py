"""Stands for a worker that is measured: says that it is ready, waits for the word, and tells its share or fails."""

import json
import sys


def main() -> None:
    """Do what the only argument says: a number of steps, or `fail`."""
    print("ready", flush=True)
    if sys.stdin.readline() != "go\n" or sys.argv[1] == "fail":
        raise SystemExit(3)
    print(json.dumps({"steps": int(sys.argv[1]), "cpu": 0.5}))


if __name__ == "__main__":
    main()
