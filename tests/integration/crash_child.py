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
        run_to_rest(bridge)
    print(json.dumps(passed))


def run_to_rest(bridge: Bridge) -> None:
    """Run the daemon until everything was read once and nothing waits to be sent."""
    daemon = Daemon(bridge)
    daemon.start()
    begun = time.monotonic()
    quiet = 0
    while quiet < 3:
        if time.monotonic() - begun > DEADLINE:
            sys.exit("never came to rest")
        time.sleep(0.1)
        quiet = quiet + 1 if rests(daemon, bridge) else 0
    daemon.end()


def rests(daemon: Daemon, bridge: Bridge) -> bool:
    with bridge.store.read() as tx:
        undecided = any(
            number
            for (_, state), number in outbox.unsettled_counts(tx).items()
            if state in ("planned", "sent", "retry", "unknown")
        )
        pulled = {(one.connection, one.stream) for one in checkpoints.find(tx) if one.caught_up}
    return daemon.idle() and not undecided and set(bridge.streams()) <= pulled


if __name__ == "__main__":
    main()
