"""A daemon with a receiver that kills itself at a named boundary, or runs until its input ends; started by `test_webhooks`.

python webhook_child.py FOLDER BOUNDARY     prints {"at": …, "paths": …} once it listens, and the boundaries passed at the end
"""

import json
import os
import signal
import sys
from pathlib import Path

from cxbridge.cli import logs
from cxbridge.console.receiver import Receiver
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.engine.daemon import Daemon


def main() -> None:
    folder, boundary = Path(sys.argv[1]), sys.argv[2]
    logs.configure()
    passed: list[str] = []

    def probe(reached: str) -> None:
        passed.append(reached)
        if reached == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    with Bridge(load(folder / "cxbridge.toml"), probe=probe) as bridge:
        daemon = Daemon(bridge)
        daemon.start()
        with Receiver(bridge, daemon.nudge) as receiver:
            paths = {name: one.path for name, one in receiver.endpoints.all.items()}
            print(json.dumps({"at": receiver.address, "paths": paths}), flush=True)
            sys.stdin.read()
        daemon.end()
    print(json.dumps(passed))


if __name__ == "__main__":
    main()
