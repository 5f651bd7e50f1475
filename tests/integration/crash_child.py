"""A daemon that kills itself at a named boundary, or runs until all is quiet; started by `test_crashes` as a process.

python crash_child.py FOLDER BOUNDARY NUMBER     kill -9 at that occurrence of the boundary
python crash_child.py FOLDER - 0                 run until quiet, then print the boundaries passed
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon
from cxbridge.core.store import checkpoints, outbox

DEADLINE = 60.0


def main() -> None:
    folder, boundary, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    passed: list[str] = []
    lock = threading.Lock()

    def probe(reached: str) -> None:
        with lock:
            passed.append(reached)
            if reached == boundary and passed.count(boundary) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    with Bridge(load(folder / "cxbridge.toml"), probe=probe) as bridge:
        run_to_rest(bridge, passed)
    print(json.dumps(passed))


def run_to_rest(bridge: Bridge, passed: list[str]) -> None:
    """Run the daemon until everything was read once and nothing waits to be sent; `passed` grows by the boundaries it passes."""
    daemon = Daemon(bridge)
    daemon.start()
    begun = time.monotonic()
    # A machine may be so slow that some stream is always being read: then two rounds of reading with nothing else are rest.
    rounds = 2 * len(bridge.streams())
    quiet, since = 0, 0
    while quiet < 3:
        left, later = what_is_left(bridge), passed[since:]
        if left or any(not one.startswith("pull.") for one in later):
            since += len(later)
        elif later.count("pull.committed") >= rounds:
            break
        if time.monotonic() - begun > DEADLINE:
            sys.exit(f"never came to rest: {left}, idle: {daemon.idle()}, passed: {passed[-50:]}")
        time.sleep(0.1)
        quiet = quiet + 1 if not left and daemon.idle() else 0
    daemon.end()


def what_is_left(bridge: Bridge) -> list[str]:
    """Name the deliveries that are not decided and the streams that were never read to their end."""
    with bridge.store.read() as tx:
        undecided = [
            f"{number} {state} for {connection}"
            for (connection, state), number in outbox.unsettled_counts(tx).items()
            if number and state in ("planned", "sent", "retry", "unknown")
        ]
        pulled = {(one.connection, one.stream) for one in checkpoints.find(tx) if one.caught_up}
    return undecided + [f"{connection} {stream} not pulled" for connection, stream in set(bridge.streams()) - pulled]


if __name__ == "__main__":
    main()
