"""The command line as a person meets it: run in this process, in a folder of its own, beside simulated vendors."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxbridge.cli.app import run
from cxbridge.cli.start import RECIPE
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.sandbox import seed
from cxbridge.sandbox.server import Sandbox

ROOMY: dict[str, Any] = {
    "zendesk_options": {"limits": None},
    "jira_options": {"limits": None, "issue_writes": None},
    "options": {
        "gainsight": {"per_minute": None, "per_day": None},
        # Real time would pass while an export is made.
        "qualtrics": {"limits": None, "export_seconds": 0, "export_polls": 0, "export_lag": 0},
        "slack": {"limits": None},
    },
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Cxbridge = Callable[..., Ended]


@pytest.fixture
def cxbridge(capsys: pytest.CaptureFixture[str]) -> Cxbridge:
    """Run a command in this process."""

    def command(*argv: str) -> Ended:
        capsys.readouterr()
        code = run(argv)
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    return command


@pytest.fixture(scope="session")
def company() -> Iterator[Sandbox]:
    """All vendors with the shipped company; only for tests that change nothing there."""
    with _filled() as sandbox:
        yield sandbox


@pytest.fixture
def vendors() -> Iterator[Sandbox]:
    """All vendors with the shipped company, for one test alone."""
    with _filled() as sandbox:
        yield sandbox


def _filled() -> Sandbox:
    sandbox = Sandbox(**ROOMY)
    seed.load_company(sandbox.world)
    return sandbox


def installed(sandbox: Sandbox, folder: Path, *, live: bool = False) -> Path:
    """Make a folder that points at a sandbox, as `init --sandbox` does; gives the folder."""
    assert run(["init", str(folder), "--sandbox", "--control-url", sandbox.control_url]) == 0
    settings = folder / "cxbridge.toml"
    text = settings.read_text()
    assert 'listen = "127.0.0.1:8700"' in text
    # Any port that is free: several tests start daemons at the same time.
    settings.write_text(text.replace('"127.0.0.1:8700"', '"127.0.0.1:0"'))
    if live:
        set_live(folder)
    return folder


def set_live(folder: Path) -> None:
    """Do what an admin does who liked the plan."""
    file = folder / "recipes" / RECIPE
    text = file.read_text()
    assert 'stage   = "shadow"' in text
    file.write_text(text.replace('stage   = "shadow"', 'stage   = "live"'))


@pytest.fixture
def folder(company: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: settings for the shared vendors, nothing pulled yet."""
    monkeypatch.chdir(installed(company, tmp_path / "here"))
    return tmp_path / "here"


@pytest.fixture(scope="session")
def _played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with _filled() as sandbox:
        place = installed(sandbox, tmp_path_factory.mktemp("played") / "it", live=True)
        with Bridge(load(place / "cxbridge.toml")) as bridge:
            for connection, stream in bridge.streams():
                bridge.pull(connection, stream)
            bridge.plan()
            for connection in ("jira", "zendesk", "jira", "zendesk"):
                bridge.push(connection)
            # So that issues are known by the names people say.
            sandbox.world.clock.advance(61)
            for connection, stream in bridge.streams():
                bridge.pull(connection, stream)
            bridge.plan()
        yield place


@pytest.fixture
def played(_played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a store in which the escalation has run over the whole company. The vendors need not answer."""
    shutil.copytree(_played, tmp_path / "played")
    monkeypatch.chdir(tmp_path / "played")
    return tmp_path / "played"
