"""Starts `cxbridge run` as a process of its own, for what is measured of a daemon; knows nothing of what that is."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

_LISTENING = re.compile(r'"at": "([^"]+)"')
_STEP = 0.01


def start(settings: Path, log: Path) -> tuple["subprocess.Popen[bytes]", str]:
    """Start a daemon with a receiver; gives it and where it listens.

    Raises:
        SystemExit: when it ends or does not come to listen.
    """
    with log.open("wb") as sink:
        words = [sys.executable, "-m", "cxbridge.cli", "run", "--config", str(settings)]
        process = subprocess.Popen(words, stdout=sink, stderr=sink, cwd=settings.parent)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended: {_end_of(log)}")
        found = _LISTENING.findall(log.read_text())
        if found:
            return process, found[0]
        time.sleep(_STEP)
    end(process)
    raise SystemExit(f"the daemon does not listen: {_end_of(log)}")


def ready(address: str, within: float = 60.0) -> None:
    """Wait until it says that it is ready.

    Raises:
        SystemExit: when that does not come.
    """
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if httpx.get(f"http://{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(_STEP)
    raise SystemExit("the daemon is not ready")


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it as nothing can be prepared for."""
    process.kill()
    process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
