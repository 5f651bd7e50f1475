"""`run` and `sandbox` as processes: what they say on which stream, and that signals end or reload them in order."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.cli.demo.control import Control
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge, installed

pytestmark = pytest.mark.process
_PATIENCE = 60.0
FREE_PORTS = [
    word
    for name in ("zendesk", "jira", "gainsight", "qualtrics", "slack", "control")
    for word in (f"--{name}-port", "0")
]


class Child:
    """A running command whose lines on one stream can be waited for."""

    def __init__(self, *argv: str, cwd: Path | None = None, watch: str = "stderr") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cxbridge.cli", *argv],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if watch == "stdout" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if watch == "stderr" else None,
            env={**os.environ, "NO_COLOR": "1"},
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._stream = self.process.stdout if watch == "stdout" else self.process.stderr
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._stream is not None
        for line in self._stream:
            with self._more:
                self.lines.append(line.decode().rstrip())
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def line(self, wanted: Callable[[str], bool]) -> str:
        """Wait for a line."""
        with self._more:
            self._more.wait_for(lambda: self._ended or any(map(wanted, self.lines)), _PATIENCE)
            found = [one for one in self.lines if wanted(one)]
        assert found, "\n".join(self.lines)
        return found[0]

    def until(self, condition: Callable[[], bool]) -> None:
        """Look again with every line that comes, until it is so."""
        with self._more:
            while not condition():
                told = self._more.wait(_PATIENCE)
                assert told, "\n".join(self.lines)
                assert not self._ended, "\n".join(self.lines)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; gives the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(_PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Start commands; none outlives its test."""
    started: list[Child] = []

    def command(*argv: str, **more: Any) -> Child:
        started.append(Child(*argv, **more))
        return started[-1]

    yield command
    for child in started:
        child.close()


def _event(name: str, **told: Any) -> Callable[[str], bool]:
    def wanted(line: str) -> bool:
        entry = json.loads(line)
        return entry.get("event") == name and all(entry.get(key) == value for key, value in told.items())

    return wanted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_works_logs_json_and_ends_in_order(
    start: Callable[..., Child], vendors: Sandbox, tmp_path: Path, number: int
) -> None:
    here = installed(vendors, tmp_path, live=True)
    daemon = start("run", cwd=here)
    daemon.line(_event("pulled", connection="zendesk", stream="tickets"))
    daemon.until(lambda: len(vendors.world.journal.effects("comment.added", "api")) == 24)
    assert daemon.end(number) == 0
    entries = [json.loads(line) for line in daemon.lines]
    assert entries[-1]["event"] == "run.ended"
    assert all({"event", "level", "timestamp"} <= entry.keys() for entry in entries)
    assert not [entry for entry in entries if entry["level"] == "error"]
    assert Control(vendors.control_url).get("/summary")["duplicates"] == []


def test_a_command_ends_without_a_last_search_for_circles() -> None:
    words = "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 0)); "
    words += "sys.argv = ['cxbridge', '--help']; from cxbridge.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines()[-1] == "True"


def test_what_is_retried_by_hand_is_taken_up_by_the_daemon(
    start: Callable[..., Child], cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path
) -> None:
    here = installed(vendors, tmp_path, live=True)
    vendors.world.faults.add("status", "jira", method="POST", path_regex="/rest/api/3/issue$", times=2, code=400)
    daemon = start("run", cwd=here)
    daemon.until(lambda: len(vendors.world.journal.effects("comment.added", "api")) == 22)
    assert cxbridge("dead", "retry", "--all", "--yes", "-c", str(here / "cxbridge.toml")).out.startswith("2 of 2 ")
    daemon.until(lambda: len(vendors.world.journal.effects("comment.added", "api")) == 24)
    assert daemon.end() == 0


def test_a_second_daemon_on_the_same_store_is_refused(
    start: Callable[..., Child], cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path
) -> None:
    here = installed(vendors, tmp_path)
    first = start("run", cwd=here)
    first.line(_event("run.started"))
    second = start("run", cwd=here)
    assert second.wait() == 75
    assert "cxbridge run (process" in second.lines[0]
    # What only looks is welcome beside it.
    assert cxbridge("connections", "list", "-c", str(here / "cxbridge.toml")).code == 0
    assert first.end() == 0


def test_hangup_reads_the_settings_again_or_leaves_them(
    start: Callable[..., Child], vendors: Sandbox, tmp_path: Path
) -> None:
    here = installed(vendors, tmp_path)
    daemon = start("run", cwd=here)
    daemon.line(_event("run.started", connections=["gainsight", "jira", "qualtrics", "slack", "zendesk"]))
    settings = here / "cxbridge.toml"
    whole = settings.read_text()
    settings.write_text("[nonsense]\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.line(_event("reload.refused"))
    settings.write_text(whole[: whole.index("[connections.jira]")])
    for recipe in (here / "recipes").glob("*.toml"):
        recipe.unlink()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.line(_event("run.started", connections=["zendesk"]))
    assert daemon.end() == 0


def test_settings_that_cannot_be_used_end_the_daemon_at_once(start: Callable[..., Child], tmp_path: Path) -> None:
    (tmp_path / "cxbridge.toml").write_text("[nonsense]\n")
    daemon = start("run", cwd=tmp_path)
    assert daemon.wait() == 78
    assert "CX012" in daemon.lines[0]


def test_the_sandbox_tells_its_addresses_and_ends_with_its_parent(
    start: Callable[..., Child], cxbridge: Cxbridge, tmp_path: Path
) -> None:
    ports = FREE_PORTS
    sandbox = start("sandbox", "--json", "--until-eof", *ports, watch="stdout")
    sandbox.line(lambda line: line == "}")
    told = json.loads("\n".join(sandbox.lines))
    assert told["loaded"]["ticket"] == 320
    assert cxbridge("init", str(tmp_path), "--sandbox", "--control-url", told["control"]).code == 0
    assert told["jira"] in (tmp_path / "cxbridge.toml").read_text()
    assert cxbridge("connections", "check", "-c", str(tmp_path / "cxbridge.toml")).code == 0
    assert sandbox.process.stdin is not None
    sandbox.process.stdin.close()
    assert sandbox.wait() == 0


def test_the_sandbox_in_words_until_a_signal(start: Callable[..., Child], company: Sandbox) -> None:
    ports = FREE_PORTS
    sandbox = start("sandbox", *ports, watch="stdout")
    sandbox.line(lambda line: "cxbridge init --sandbox --control-url http://127.0.0.1:" in line)
    assert sandbox.end(signal.SIGINT) == 0
    taken = start("sandbox", "--control-port", company.control_url.rpartition(":")[2], watch="stderr")
    assert taken.wait() == 73
    assert "cannot be used" in taken.lines[0]


def test_a_file_that_a_sandbox_cannot_load(start: Callable[..., Child], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"kind": "ticket"\n')
    sandbox = start("sandbox", "--data", str(tmp_path / "bad.jsonl"))
    assert sandbox.wait() == 65
    assert "bad.jsonl:1" in sandbox.lines[0]
