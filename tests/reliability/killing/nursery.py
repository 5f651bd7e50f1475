"""Brings daemons into the world as real processes, by a fork of one that is warm, and ends them."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]
# Longer than anything here takes on a machine that has other things to do.
PATIENCE = 60.0


class Child:
    """A process that lives by `life.live`, and the way to speak with it."""

    def __init__(self, nursery: "Nursery", pid: int, channel: socket.socket, log: Path) -> None:
        self._nursery = nursery
        self._channel = channel
        self._unread = b""
        self.over = False
        self.pid = pid
        self.log = log

    def hears(self, patience: float = PATIENCE) -> dict[str, Any] | None:
        """Give what it says next; None where it has ended, or says nothing for so many seconds."""
        while b"\n" not in self._unread:
            if not select.select([self._channel], [], [], patience)[0]:
                return None
            try:
                come = self._channel.recv(65536)
            except ConnectionResetError:
                return None
            if not come:
                return None
            self._unread += come
        line, _, self._unread = self._unread.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def is_told(self, what: Mapping[str, Any]) -> None:
        """Say something to it; it may have ended before."""
        try:
            self._channel.sendall(json.dumps(what).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            return

    def signalled(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for its end; gives its exit code, or the signal it died of as a negative number."""
        self._channel.close()
        self.over = True
        return self._nursery.wait(self.pid)


class Nursery:
    """One warm process; close it, or use it in a `with` block. Children that still live then are killed."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.reliability.killing.forking", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(PATIENCE)
        self._control = ours
        self._read()

    def begin(self, orders: Mapping[str, Any], log: Path) -> Child:
        """Start a child that lives by these orders, see `life.Orders`."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [json.dumps({**orders, "log": str(log)}).encode()], [theirs.fileno()])
            pid = self._read()["pid"]
        return Child(self, pid, ours, log)

    def wait(self, pid: int) -> int:
        self._control.sendall(json.dumps({"wait": pid}).encode())
        return self._read()["status"]

    def close(self) -> None:
        self._control.close()
        self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, int]:
        said = self._control.recv(65536)
        if not said:
            raise RuntimeError(f"the process that forks has ended with {self._process.wait(PATIENCE)}")
        told: dict[str, int] = json.loads(said)
        return told
