"""A daemon over five vendors that kills itself, or runs until all is quiet; started by `test_five_crashes` as a process.

python five_crash_child.py FOLDER BOUNDARY CONFIRMED    kill -9 at a boundary, once so many deliveries are confirmed
python five_crash_child.py FOLDER - 0                   run until quiet, then print the boundaries passed
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox
from tests.integration.crash_child import run_to_rest


def main() -> None:
    folder, boundary, confirmed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    passed: list[str] = []
    lock = threading.Lock()

    def probe(reached: str) -> None:
        with lock:
            passed.append(reached)
        if reached == boundary:
            # By what is committed: of a transaction that is under way nothing counts yet.
            with bridge.store.read() as tx:
                done = len(outbox.find(tx, state="confirmed"))
            if done >= confirmed:
                os.kill(os.getpid(), signal.SIGKILL)

    with Bridge(load(folder / "cxbridge.toml"), probe=probe) as bridge:
        run_to_rest(bridge, passed)
    print(json.dumps(passed))


if __name__ == "__main__":
    main()
