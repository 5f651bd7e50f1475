"""What the demo plays on: a sandbox in a process of its own, a folder, the real daemon; tells no story."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cxbridge.cli import logs
from cxbridge.cli.demo.control import Control
from cxbridge.cli.errors import CannotWriteError, CommandError
from cxbridge.cli.start import MORE_RECIPES, RECIPE, sandbox_settings, shipped
from cxbridge.core.clock import Clock, SystemClock

if TYPE_CHECKING:
    from cxbridge.console.receiver import Receiver
    from cxbridge.core.connector import Receipt
    from cxbridge.core.engine.batch import Planned
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.daemon import Daemon
    from cxbridge.core.engine.pull import Pulled
    from cxbridge.core.ledger import Delivery

RECIPE_ID = Path(RECIPE).stem
CLOSED_LOOP, CHURN = (Path(name).stem for name in MORE_RECIPES)
# The vendors' half of every webhook's signature; the other half is in the folder's secrets.
_HOOK_SECRET = "sandbox-signing-secret"  # noqa: S105 - a made-up word
_MARK = ".cxbridge-demo"
_LOOK_EVERY = 0.05
_POLL = "1s"
_SEARCH_LAG = "1"


class DemoError(CommandError):
    """Something that the demo waits for did not come to pass."""

    exit_code = 1


@dataclass(slots=True)
class Seen:
    """What the daemon told while it worked; written by its threads, read by the story."""

    pulls: dict[tuple[str, str], int] = field(default_factory=dict)
    plans: int = 0
    echoes: int = 0
    settled: list[tuple["Delivery", "Receipt | None"]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pulled(self, one: "Pulled") -> None:
        with self.lock:
            place = (one.connection, one.stream)
            self.pulls[place] = self.pulls.get(place, 0) + 1

    def planned(self, one: "Planned") -> None:
        with self.lock:
            self.plans += 1
            self.echoes += one.echoes

    def settle(self, delivery: "Delivery", receipt: "Receipt | None") -> None:
        with self.lock:
            self.settled.append((delivery, receipt))

    def done(self, *steps: str) -> "list[tuple[Delivery, Receipt]]":
        """Give the confirmed deliveries of these steps, in the order they were confirmed."""
        with self.lock:
            return [(one, told) for one, told in self.settled if told is not None and (not steps or one.step in steps)]


@dataclass(slots=True)
class Stage:
    """Everything running: the sandbox behind `control`, the settings in `folder`, the daemon on its bridge."""

    folder: Path
    control: Control
    loaded: dict[str, int]
    bridge: "Bridge"
    daemon: "Daemon"
    seen: Seen
    # Since when nothing may be written any more, by our own clock.
    quiet_since: datetime | None = None
    receiver: "Receiver | None" = None
    clock: Clock = field(default_factory=SystemClock)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Wait for a condition.

        Raises:
            DemoError: it did not come true in time; with what the daemon last complained of.
        """
        deadline = self.clock.monotonic() + seconds
        while not condition():
            if self.clock.monotonic() > deadline:
                raise DemoError(
                    f"waited {seconds:.0f} s in vain until {what}{self._complaint()}", f"the log is {self.log}"
                )
            self.clock.wait(_LOOK_EVERY)

    def _complaint(self) -> str:
        """Give the last thing that went wrong, by the daemon's log."""
        entries = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        wrong = [one for one in entries if one["level"] in ("warning", "error")]
        return f"; the daemon last said: {wrong[-1]['event']} {wrong[-1].get('error', '')}" if wrong else ""

    @property
    def log(self) -> Path:
        """Where the daemon tells what went wrong."""
        return self.folder / "cxbridge.log"

    @property
    def waiting_recipe(self) -> Path:
        """Where the first recipe waits until it is its turn."""
        return self.folder / RECIPE

    def begin(self, recipe: str) -> None:
        """Let a recipe that waited come into force."""
        (self.folder / f"{recipe}.toml").rename(self.folder / "recipes" / f"{recipe}.toml")
        self.daemon.nudge("plan")

    def listen(self) -> str:
        """Take webhooks in, and tell the vendors where; gives the address."""
        from cxbridge.console.receiver import Receiver

        self.receiver = Receiver(self.bridge, self.daemon.nudge).start()
        base = f"http://{self.receiver.address}"
        paths = {name: f"{base}{one.path}" for name, one in self.receiver.endpoints.all.items()}
        self.control.put("/slack/hooks", {"interactivity_url": paths["slack"], "signing_secret": _HOOK_SECRET})
        self.control.post("/qualtrics/subscriptions", {"url": paths["qualtrics"], "shared_key": _HOOK_SECRET})
        self.control.post("/gainsight/webhooks", {"url": paths["gainsight"], "token": _HOOK_SECRET})
        return self.receiver.address

    def quiet_rounds(self, rounds: int) -> Callable[[], bool]:
        """Give a condition: every stream that follows changes was pulled that often from now on, Gainsight's once.

        Asking for it nudges those that are not there yet, as a webhook would: some come round only every few minutes.
        """
        streams = [
            (connection, stream)
            for connection, stream in self.bridge.streams()
            if self.bridge.connections[connection].streams[stream].order == "changed"
        ]
        with self.seen.lock:
            before = {place: self.seen.pulls.get(place, 0) for place in streams}

        def passed() -> bool:
            with self.seen.lock:
                late = [
                    place
                    for place, count in before.items()
                    # A tenant admits a hundred requests a minute, and the demo has a minute.
                    if self.seen.pulls.get(place, 0) < count + (1 if place[0] == "gainsight" else rounds)
                ]
            for connection, stream in late:
                self.daemon.nudge(f"pull:{connection}/{stream}")
            return not late

        return passed


@contextmanager
def opened(*, keep: bool, data: Path | None, live: Callable[[str], str]) -> Iterator[Stage]:
    """Set everything up, and take it down again; `live` turns the recipe's text into the one that is played."""
    from cxbridge.core.config import load
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.daemon import Daemon, Watcher

    with _folder(keep=keep) as folder, _sandbox(data) as told:
        control = Control(told["control"])
        # Nor that a survey tool takes its time over every export.
        control.patch("/qualtrics/options", {"export_seconds": 0, "export_polls": 0, "export_lag": 1})
        _settle_in(folder, control, live)
        with (folder / "cxbridge.log").open("a", encoding="utf-8", buffering=1) as log:
            logs.configure(log)
            seen = Seen()
            configuration = load(folder / "cxbridge.toml")
            with Bridge(configuration, on_settled=seen.settle) as bridge, bridge.store.alone("demo"):
                daemon = Daemon(bridge, Watcher(pulled=seen.pulled, planned=seen.planned))
                stage = Stage(folder, control, told["loaded"], bridge, daemon, seen)
                try:
                    yield stage
                finally:
                    if stage.receiver is not None:
                        stage.receiver.stop()
                    daemon.end()


def _settle_in(folder: Path, control: Control, live: Callable[[str], str]) -> None:
    """Write the settings; the recipes wait beside their folder until it is their turn."""
    (folder / "recipes").mkdir()
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "sandbox.token").write_text("sandbox-token\n", encoding="utf-8")
    (folder / "secrets" / "sandbox.webhook").write_text(f"{_HOOK_SECRET}\n", encoding="utf-8")
    settings = sandbox_settings(control.url, poll=_POLL, settle="2s", listen="127.0.0.1:0")
    (folder / "cxbridge.toml").write_text(settings, encoding="utf-8")
    for name in (RECIPE, *MORE_RECIPES):
        (folder / name).write_text(live(shipped(name)), encoding="utf-8")


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    if not keep:
        place = Path(tempfile.mkdtemp(prefix="cxbridge-demo-"))
        try:
            yield place
        except DemoError:
            # The error names the log that lies there.
            raise
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)
        return
    folder = Path(".demo")
    if folder.exists() and not (folder / _MARK).exists():
        raise CannotWriteError(f"{folder.resolve()} is there and was not made by a demo", "move it out of the way")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / _MARK).touch()
    yield folder


@contextmanager
def _sandbox(data: Path | None) -> Iterator[dict[str, Any]]:
    """Run a sandbox as a child that ends when this process does, however it does."""
    names = ("zendesk", "jira", "gainsight", "qualtrics", "slack", "control")
    ports = [word for name in names for word in (f"--{name}-port", "0")]
    more = ["--data", str(data)] if data else []
    command = [
        *(sys.executable, "-m", "cxbridge.cli", "sandbox", "--json", "--until-eof"),
        # Nobody watches a demo for minutes because a vendor admits ten exports a minute.
        *("--no-limits", "--search-lag", _SEARCH_LAG),
        *ports,
        *more,
    ]
    # A group of its own, so that Ctrl-C reaches the daemon first and the sandbox goes last.
    child = subprocess.Popen(  # noqa: S603 - this program itself, with arguments from above
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    try:
        told = _first_document(child.stdout)
        if told is None:
            raise DemoError(f"the sandbox did not start (exit code {child.wait()})", "its own words stand above")
        yield told
    finally:
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _first_document(stream: IO[bytes] | None) -> dict[str, Any] | None:
    """Read lines until they are one whole JSON document."""
    text = ""
    for line in stream or ():
        text += line.decode()
        if line.rstrip() == b"}":
            found: dict[str, Any] = json.loads(text)
            return found
    return None
