"""A store, a key or a settings file that cannot be used: every command ends with 78, words and a remedy, and changes nothing."""

import inspect
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cxbridge.cli.app import run
from cxbridge.core.clock import ManualClock, SystemClock
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store, keyfile, migrate, state

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
[connections.zendesk]
connector = "zendesk"
url = "http://127.0.0.1:9"
email = "bridge@example.test"
api_token = { secret = "token" }
"""
# One that only reads, one that writes, and one that only looks.
COMMANDS = (["plan"], ["push"], ["doctor"])


@pytest.fixture
def folder(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: settings, a token, a key, and a store that was written to."""
    place = tmp_path / "here"
    for name in ("secrets", "recipes"):
        (place / name).mkdir(parents=True)
    (place / "secrets" / "token").write_text("sandbox-token", encoding="utf-8")
    (place / "secrets" / "token").chmod(0o600)
    (place / "cxbridge.toml").write_text(SETTINGS, encoding="utf-8")
    key = keyfile.load_or_create(place / "cxbridge.key")
    store = Store.open(f"sqlite:///{place}/cxbridge.db", clock=clock, key=key)
    with store.write() as tx:
        state.instance_key(tx)
        state.meta_set(tx, "ballast", os.urandom(300_000))
    store.close()
    monkeypatch.chdir(place)
    return place


def missing_directory(store: Path) -> str:
    (store.parent / "cxbridge.toml").write_text(f'[store]\nurl = "sqlite:///gone/away.db"\n{SETTINGS}')
    return "the directory .* does not exist"


def a_directory(store: Path) -> str:
    store.unlink()
    store.mkdir()
    return "cannot be opened|is a directory"


def not_a_database(store: Path) -> str:
    store.write_bytes(b"PK\x03\x04 this is an archive of something" * 1000)
    return "is no database of cxbridge"


def truncated(store: Path) -> str:
    with store.open("r+b") as file:
        file.truncate(20_000)
    return "is damaged"


def cut_in_the_header(store: Path) -> str:
    with store.open("r+b") as file:
        file.truncate(60)
    return "is no database of cxbridge|is damaged"


def of_another_program(store: Path) -> str:
    store.unlink()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    return "holds tables of another program"


def newer(store: Path) -> str:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (migrate.OLDEST, b"9999"))
        connection.commit()
    return "9999"


def key_gone_wrong(store: Path) -> str:
    (store.parent / "cxbridge.key").write_text("too short\n")
    return "holds no key of 32 bytes"


def another_key(store: Path) -> str:
    (store.parent / "cxbridge.key").write_text("ab" * 32 + "\n")
    return "not with this one"


def key_open_to_all(store: Path) -> str:
    (store.parent / "cxbridge.key").chmod(0o644)
    return "open to others than its owner"


def key_a_directory(store: Path) -> str:
    (store.parent / "cxbridge.key").unlink()
    (store.parent / "cxbridge.key").mkdir()
    return "cannot be read|open to others"


def key_gone(store: Path) -> str:
    (store.parent / "cxbridge.key").unlink()
    return "not with this one|is sealed"


SPOILT = (
    missing_directory,
    a_directory,
    not_a_database,
    truncated,
    cut_in_the_header,
    of_another_program,
    newer,
    key_gone_wrong,
    another_key,
    key_open_to_all,
    key_a_directory,
    key_gone,
)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a vendor that is not there again without waiting in between."""
    monkeypatch.setattr(SystemClock, "wait", lambda _clock, _seconds, wake=None: wake is not None and wake.is_set())


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_what_only_a_person_can_mend_ends_with_78_and_words(
    folder: Path, spoil: Callable[[Path], str], argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = spoil(folder / "cxbridge.db")
    if spoil is missing_directory and argv == ["doctor"]:
        pytest.skip("a store that was not made yet is no problem to the one who only looks")
    capsys.readouterr()
    code = run(argv)
    told = capsys.readouterr()
    assert code == 78, told
    assert re.search(words, told.out + told.err), told
    assert "Traceback" not in told.err
    assert "a defect" not in told.err


AS_ANOTHER = """
import contextlib, importlib, io, os, pkgutil, sys, traceback
import cxbridge.cli.app
for part in ("cli", "core"):
    package = importlib.import_module(f"cxbridge.{part}")
    for one in pkgutil.walk_packages(package.__path__, f"cxbridge.{part}."):
        if not one.name.endswith("__main__") and ".migrations" not in one.name:
            importlib.import_module(one.name)
# A vendor that is not there is asked again without waiting in between.
cxbridge.core.clock.SystemClock.wait = lambda _clock, _seconds, wake=None: wake is not None and wake.is_set()
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    cxbridge.cli.app.run(sys.argv[1:])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(cxbridge.cli.app.run(sys.argv[1:]))
"""


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_a_store_of_another_user_ends_with_78_and_words(folder: Path, argv: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    # Not pytest's own temporary directory, which every other session of it closes to other users again.
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as apart:
        Path(apart).chmod(0o755)
        theirs = Path(apart) / "here"
        shutil.copytree(folder, theirs)
        theirs.chmod(0o755)
        # Settings, secret and key are that user's own: it is the store alone that refuses.
        for name in ("cxbridge.toml", "secrets", "secrets/token", "cxbridge.key"):
            os.chown(theirs / name, 65534, 65534)
        told = as_another(theirs, argv)
    assert told.returncode == 78, told
    assert re.search("cannot be (opened|written)|may not write", told.stdout + told.stderr), told


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_a_store_where_this_user_may_not_even_look_ends_with_78_and_words(folder: Path, argv: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as apart:
        Path(apart).chmod(0o755)
        theirs = Path(apart) / "here"
        shutil.copytree(folder, theirs)
        theirs.chmod(0o755)
        (theirs / "closed").mkdir(mode=0o700)
        (theirs / "cxbridge.toml").write_text(f'[store]\nurl = "sqlite:///closed/cxbridge.db"\n{SETTINGS}')
        for name in ("cxbridge.toml", "secrets", "secrets/token", "cxbridge.key"):
            os.chown(theirs / name, 65534, 65534)
        told = as_another(theirs, argv)
    assert told.returncode == 78, told
    assert re.search("cannot be (opened|made|written)", told.stdout + told.stderr), told


def as_another(here: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whom none of the store's files belong to."""
    return subprocess.run(
        # Loaded first, changed afterwards: where the program stands another user may not look.
        [sys.executable, "-c", AS_ANOTHER, "--debug", *argv],
        cwd=here, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


# -- locked ------------------------------------------------------------------------------------------------------------


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the write lock from a connection that is none of ours."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a twentieth of what is waited for."""
    assert inspect.signature(Store.open).parameters["timeout"].default == 5.0
    monkeypatch.setitem(Store.open.__func__.__kwdefaults__, "timeout", 0.25)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("impatient")
def test_a_locked_store_ends_a_command_that_writes_with_75_and_nothing_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    with locked(folder / "cxbridge.db"):
        code = run(["connections", "check"])
        told = capsys.readouterr()
        # Who only looks waits for nobody.
        assert run(["plan"]) == 0
    assert code == 75, told
    assert "is locked by another process: let it finish or stop it, then try again" in told.err


def test_a_lock_that_is_let_go_in_time_is_waited_for(folder: Path, clock: ManualClock) -> None:
    key = keyfile.load(folder / "cxbridge.key")
    store = Store.open(f"sqlite:///{folder}/cxbridge.db", clock=clock, key=key)
    asked, written = threading.Event(), threading.Event()

    def write() -> None:
        asked.set()
        with store.write() as tx:
            state.meta_set(tx, "later", b"1")
        written.set()

    thread = threading.Thread(target=write)
    with locked(folder / "cxbridge.db"):
        thread.start()
        assert asked.wait(10)
        assert not written.is_set()
    thread.join(10)
    assert written.is_set()
    store.close()


def test_a_locked_store_gives_up_cleanly_and_works_afterwards(folder: Path, clock: ManualClock) -> None:
    key = keyfile.load(folder / "cxbridge.key")
    store = Store.open(f"sqlite:///{folder}/cxbridge.db", clock=clock, key=key, timeout=0.25)
    with locked(folder / "cxbridge.db"), pytest.raises(StoreError, match="is locked") as caught, store.write() as tx:
        state.meta_set(tx, "later", b"1")
    assert caught.value.exit_code == 75
    with store.write() as tx:
        assert state.meta_get(tx, "later") is None
        state.meta_set(tx, "later", b"2")
    store.close()


# -- files that people write -------------------------------------------------------------------------------------------

LARGE = "x" * 10_000_000
_KEY = "a.b" + ".c" * 100_000 + " = 1\n"
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        f'{SETTINGS}\nnote = "{LARGE}"\n',
        f"{SETTINGS}\nnote = {DEEP}\n",
        f"{SETTINGS}\nnote = {'{a=' * 100_000}1{'}' * 100_000}\n",
    ],
    ids=["10 MB", "deep lists", "deep tables"],
)
def test_settings_without_measure_end_with_78(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cxbridge.toml").write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert run(["plan"]) == 78
    told = capsys.readouterr()
    assert "cxbridge.toml" in told.err
    assert len(told.err) < 10_000


@pytest.mark.parametrize(
    "text",
    [
        f'title = "{LARGE}"\n',
        f"title = {DEEP}\n",
        f"title = {'{a=' * 100_000}1{'}' * 100_000}\n",
        "a.b" + ".c" * 100_000 + " = 1\n",
    ],
    ids=["10 MB", "deep lists", "deep tables", "deep key"],
)
def test_a_recipe_without_measure_is_off_and_the_others_run(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "recipes" / "escalation-to-jira.toml", folder / "recipes" / "sound.toml")
    (folder / "recipes" / "monster.toml").write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert run(["recipes", "check", "monster"]) == 65
    told = capsys.readouterr()
    assert "monster" in told.err + told.out
    assert len(told.err + told.out) < 10_000
    assert run(["plan"]) in (0, 4)
