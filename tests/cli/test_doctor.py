"""`doctor` on the command line: one line for each finding, JSON on request, and the exit code of the worst."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cxbridge


def test_doctor_looks_over_a_sound_place(folder: Path, cxbridge: Cxbridge) -> None:
    for secret in (folder / "secrets").glob("[!.]*"):
        secret.chmod(0o600)
    told = cxbridge("doctor")
    assert told.code == 0, told.out
    *lines, summary = told.out.splitlines()
    assert all(line[0] in "✓!" for line in lines)
    assert all("; remedy: " in line for line in lines if line[0] == "!")
    assert summary.endswith(" 0 wrong")
    assert any(line.startswith("✓ zendesk: works") for line in lines)
    assert not (folder / "cxbridge.db").exists()


def test_doctor_gives_json_and_the_code_of_the_worst(folder: Path, cxbridge: Cxbridge) -> None:
    assert cxbridge("pull", "zendesk/groups").code == 0
    (folder / "secrets" / "sandbox.token").chmod(0o644)
    told = cxbridge("doctor", "--json", "--deep")
    assert told.code == told.data["exit_code"] == 78
    wrong = [one for one in told.data["findings"] if one["state"] == "problem"]
    assert [one["remedy"] for one in wrong] == ["chmod 600 secrets/sandbox.token"]


def test_doctor_tells_what_is_wrong_with_settings_and_goes_on(
    tmp_path: Path, cxbridge: Cxbridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cxbridge.toml").write_text("[daemon]\npol = 1\nworkers = 0\n")
    told = cxbridge("doctor")
    assert told.code == 78
    assert sum(line.startswith("✗ settings: cxbridge.toml:") for line in told.out.splitlines()) == 2
    assert "✓ python" in told.out


def test_doctor_without_settings_says_how_to_make_some(
    tmp_path: Path, cxbridge: Cxbridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = cxbridge("doctor")
    assert told.code == 78
    assert "cxbridge init" in told.out
