"""Processes that may be killed, forked from one that has loaded the program once: a start costs milliseconds and not a second."""

import importlib
import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The process that forks has no threads, connections or locks: what is forked off is as good as new.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.integration.five_crash_child",
        "cxbridge.core.engine.daemon",
        *(f"cxbridge.plugins.{name}" for name in ("gainsight", "jira", "qualtrics", "slack", "zendesk")),
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or the signal it died of as a negative number, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def run(module: str, *words: str, patience: float = 120) -> Ended:
    """Run `main()` of a module in a process of its own, with words on its command line, until it ends."""
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as place:
        out, err = Path(place) / "out", Path(place) / "err"
        process = _context.Process(target=_main, args=(module, words, str(out), str(err)), daemon=True)
        process.start()
        try:
            process.join(patience)
            if process.exitcode is None:
                process.kill()
                raise AssertionError(f"{module} did not end within {patience:.0f} s")
            return Ended(process.exitcode, _read(out), _read(err))
        finally:
            process.join()
            process.close()


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _main(module: str, words: tuple[str, ...], out: str, err: str) -> None:
    for number, file in ((1, out), (2, err)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = [module, *words]
    importlib.import_module(module).main()
