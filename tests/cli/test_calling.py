"""Calling the command line: exit codes, one line and a hint for every error, no traceback unless asked for, lazy imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from cxbridge.cli import opening
from tests.cli.conftest import Cxbridge


def test_help_names_every_command_and_the_exit_codes(cxbridge: Cxbridge) -> None:
    ended = cxbridge("--help")
    assert ended.code == 0
    words = "init demo sandbox pull plan push run why why-not connections recipes runs dead"
    assert all(f"\n  {name} " in ended.out for name in words.split())
    assert "77 credential" in " ".join(ended.out.split())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cxbridge.cli.app import run\nrun(['--help'])\n"
        "print([m for m in ('pydantic', 'sqlalchemy', 'httpx', 'rich', 'structlog', 'msgspec', 'starlette') "
        "if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_version(cxbridge: Cxbridge) -> None:
    ended = cxbridge("--version")
    assert (ended.code, ended.out.split()[0]) == (0, "cxbridge")


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["runs", "nonsense"],
        ["pull", "--nonsense"],
        ["why"],
        ["plan", "--since", "soon"],
        ["runs", "list", "--state", "lost"],
        ["dead", "retry"],
        ["dead", "retry", "dlv_1", "--all"],
        ["dead", "drop", "dlv_1", "--recipe", "one"],
        ["run", "--log-level", "loud"],
        ["init", "--sandbox", "--control-url", "nowhere"],
    ],
)
def test_a_wrong_call_is_told_with_a_hint(cxbridge: Cxbridge, folder: Path, argv: list[str]) -> None:
    ended = cxbridge(*argv)
    assert ended.code == 64, ended.err
    assert ended.err.startswith("error: ")
    assert len(ended.err.splitlines()) <= 2
    assert ended.out == ""


def test_no_command_shows_the_help(cxbridge: Cxbridge) -> None:
    ended = cxbridge()
    assert ended.code == 64
    assert "Commands:" in ended.err


def test_without_settings_the_way_to_make_them_is_told(
    cxbridge: Cxbridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cxbridge("pull")
    assert ended.code == 78
    assert "cxbridge init" in ended.err


def test_every_problem_of_the_settings_is_told_at_its_place(cxbridge: Cxbridge, tmp_path: Path) -> None:
    file = tmp_path / "cxbridge.toml"
    file.write_text('[daemon]\npol = "1s"\n\n[store]\nurl = 5\n')
    ended = cxbridge("connections", "list", "-c", str(file))
    assert ended.code == 78
    assert f"{file}:2:1: error CX012" in ended.err
    assert f"{file}:5:" in ended.err
    assert "2 problems" in ended.err


def test_a_defect_is_one_line_and_the_way_to_its_traceback(
    cxbridge: Cxbridge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(opening, "bridge", broken)
    ended = cxbridge("runs", "list")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "cxbridge --debug runs list" in ended.err
    assert "ZeroDivisionError: a defect" in cxbridge("--debug", "runs", "list").err
    assert "Traceback" in cxbridge("runs", "list", "--debug").err


def test_another_store_is_used_when_named(cxbridge: Cxbridge, folder: Path) -> None:
    assert cxbridge("runs", "list", "--database", f"sqlite:///{folder}/other.db").code == 0
    assert (folder / "other.db").is_file()
    assert not (folder / "cxbridge.db").exists()


def test_a_store_that_cannot_be_is_refused_without_its_password(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("runs", "list", "--database", "mysql://someone:wrong-password@localhost/x")
    assert ended.code == 78
    assert "mysql" in ended.err
    assert "wrong-password" not in ended.err
