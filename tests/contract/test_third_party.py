"""A connector of somebody else: installed it is listed and never imported, enabled it works like a shipped one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.contract import pages

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.process

# Tells on itself when it is imported.
LURKER = """
from pathlib import Path

(Path(__file__).parent / "lurker-was-imported").touch()
raise SystemExit("the lurker was imported")
"""

LIST = """
import json, sys
from cxbridge.core.registry import Registry

read = Registry.load(json.loads(sys.argv[1]))
print(json.dumps({
    "found": {one.name: [one.distribution, one.version, one.enabled] for one in read.found},
    "connectors": sorted(read.connectors),
    "broken": [str(error) for error in read.broken],
    "imported": sorted({"pulse", "lurker", "cracked"} & set(sys.modules)),
}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages: Pulse, one that tells when it is imported, and one that cannot be."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "pulse", "\n\n".join(pages.blocks("pulse.py")))
    install(folder, "lurker", LURKER)
    install(folder, "cracked", "import a_module_that_nobody_has")
    return folder


def install(folder: Path, name: str, source: str) -> None:
    """Leave behind what an installer leaves behind."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / f"cxbridge_{name}-0.3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cxbridge-{name}\nVersion: 0.3.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[cxbridge.plugins]\n{name} = {name}\n", encoding="utf-8")


def run(site: Path, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def listed(site: Path, *enable: str) -> Any:
    done = run(site, "-c", LIST, json.dumps(enable))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_installed_plugin_is_listed_by_its_metadata_and_never_imported(site):
    told = listed(site)
    assert told["found"]["pulse"] == ["cxbridge-pulse", "0.3.0", False]
    assert told["found"]["lurker"] == ["cxbridge-lurker", "0.3.0", False]
    assert "pulse" not in told["connectors"]
    assert told["imported"] == []
    assert not (site / "lurker-was-imported").exists()


def test_an_enabled_plugin_brings_its_connector_and_no_other(site):
    told = listed(site, "pulse")
    assert told["found"]["pulse"] == ["cxbridge-pulse", "0.3.0", True]
    assert "pulse" in told["connectors"]
    assert told["imported"] == ["pulse"]
    assert not (site / "lurker-was-imported").exists()


def test_a_plugin_that_cannot_be_loaded_is_told_and_the_others_work(site):
    told = listed(site, "cracked", "pulse")
    assert "pulse" in told["connectors"]
    [problem] = told["broken"]
    assert problem.startswith("plugin cracked: cannot be loaded (ModuleNotFoundError")


def test_enabling_what_is_not_installed_names_what_is(site):
    done = run(site, "-c", LIST, json.dumps(["pulze"]))
    assert done.returncode != 0
    assert "plugin pulze: is enabled in [plugins] but not installed; installed are: cracked, " in done.stderr


# The command line, with the settings that the tutorial shows.


@contextmanager
def listening(vendor: Any) -> Iterator[str]:
    """Let the tutorial's made-up vendor answer over the network."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = vendor(httpx.Request("GET", f"http://pulse{self.path}", headers=dict(self.headers)))
            self.send_response(answer.status_code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base class has it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def configure(site: Path, url: str, text: str) -> None:
    (site.parent / "recipes").mkdir(exist_ok=True)
    (site.parent / "cxbridge.toml").write_text(text.replace("https://pulse.example", url), encoding="utf-8")


def tutorial_settings() -> str:
    [block] = [part for part in pages.TUTORIAL.read_text().split("```toml\n") if part.startswith("# cxbridge.toml")]
    return block.partition("```")[0]


def test_the_tutorials_settings_work_from_the_command_line(site, tutorial):
    _, tests = tutorial
    secret = {"CXBRIDGE_SECRET_SURVEY_TOKEN": "right-token"}
    with listening(tests.FakePulseWithReplies()) as url:
        configure(site, url, tutorial_settings())
        checked = run(site, "-m", "cxbridge.cli", "connections", "check", "survey", "--json", **secret)
        assert checked.returncode == 0, checked.stderr
        assert [(row["ok"], row["identity"]) for row in json.loads(checked.stdout)] == [(True, "Reader")]
        pulled = run(site, "-m", "cxbridge.cli", "pull", "--json", **secret)
        assert pulled.returncode == 0, pulled.stderr
        assert {row["stream"]: row["created"] for row in json.loads(pulled.stdout)} == {"scores": 5, "replies": 3}
        refused = run(site, "-m", "cxbridge.cli", "connections", "check", CXBRIDGE_SECRET_SURVEY_TOKEN="wrong-token")
        assert refused.returncode == 77
    shown = run(site, "-m", "cxbridge.cli", "connections", "list", "--json", **secret)
    [row] = json.loads(shown.stdout)
    assert (row["connection"], row["connector"], row["actions"]) == ("survey", "pulse", ["comment.add_once"])
    assert {one["stream"]: one["records"] for one in row["streams"]} == {"scores": 5, "replies": 3}
    assert not (site / "lurker-was-imported").exists()


def test_a_connection_of_a_plugin_that_is_not_enabled_says_what_to_do(site):
    configure(site, "https://pulse.example", tutorial_settings().replace('enable = ["pulse"]', "enable = []"))
    done = run(site, "-m", "cxbridge.cli", "connections", "list", CXBRIDGE_SECRET_SURVEY_TOKEN="right-token")
    assert done.returncode == 78
    assert 'installed but not enabled: add it to [plugins] enable = ["pulse"]' in done.stderr
