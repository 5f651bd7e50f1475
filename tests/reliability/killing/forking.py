"""A process that has loaded everything once and forks whenever it is asked to, so that a daemon is at work within milliseconds.

It holds no thread, no connection and no lock, so that what is forked off is as good as new. Started by `nursery` as a module, with
the number of the socket that requests come over.
"""

import gc
import json
import os
import socket
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from signal import SIGKILL

from tests.reliability.killing import life
from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground
from tests.reliability.sweep import play


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as folder:
        # Played once in process: what is compiled on first use is there afterwards.
        for name in ("two_way", "approval"):
            play(Ground(Path(folder)), shape_of(name))
    life.warm()
    if threading.active_count() != 1:
        raise RuntimeError(f"a fork would not take these along: {threading.enumerate()}")
    gc.collect()
    # What is there by now is never freed: looking at it would copy its pages into every fork.
    gc.freeze()
    serve(control)


def serve(control: socket.socket) -> None:
    """Answer requests until nobody is there to ask any more."""
    alive: set[int] = set()
    _answer(control, {"ready": os.getpid()})
    while True:
        said, files, _, _ = socket.recv_fds(control, 65536, 1)
        if not said:
            break
        asked = json.loads(said)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            alive.discard(asked["wait"])
            _answer(control, {"status": os.waitstatus_to_exitcode(status)})
            continue
        if not asked["arguments"]:
            life.configured(asked["folder"])
        pid = os.fork()
        if pid == 0:
            control.close()
            _begin(asked, files[0])
        os.close(files[0])
        alive.add(pid)
        _answer(control, {"pid": pid})
    for pid in alive:
        os.kill(pid, SIGKILL)
        os.waitpid(pid, 0)


def _begin(asked: dict[str, object], channel: int) -> None:
    """Live as a process of its own; never comes back."""
    status = 70
    try:
        log = os.open(str(asked["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = life.live(life.Orders(**asked), channel)  # type: ignore[arg-type]  # `nursery` sends just these
    except BaseException:  # noqa: BLE001  # told in its log; a fork must not go on as its parent would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _answer(control: socket.socket, what: dict[str, int]) -> None:
    control.sendall(json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
