"""`backup`, `backup verify` and `restore`, as an ops engineer says them."""

import shutil
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Cxbridge


def test_made_verified_and_put_back(cxbridge: Cxbridge, played: Path) -> None:
    runs = cxbridge("runs", "list", "--json").data
    made = cxbridge("backup", "it.backup")
    assert made.code == 0, made.err
    assert "it.backup holds the store of" in made.out
    assert "keep the key file" in made.err
    assert stat.S_IMODE((played / "it.backup").stat().st_mode) == 0o600

    found = cxbridge("backup", "verify", "it.backup")
    assert found.code == 0, found.err
    assert "is sound" in found.out
    told = cxbridge("backup", "verify", "it.backup", "--json").data
    assert told["rows"]["records"] > 0
    assert told == cxbridge("backup", "it.backup", "--json").data | {"taken": told["taken"], "size": told["size"]}

    refused = cxbridge("restore", "it.backup")
    assert refused.code == 78
    assert "--force" in refused.err
    assert cxbridge("restore").out == "this store was never restored\n"

    done = cxbridge("restore", "it.backup", "--force")
    assert done.code == 0, done.err
    assert "the store that was there before is now" in done.out
    assert [one.name for one in played.iterdir() if "before-restore" in one.name]
    assert cxbridge("runs", "list", "--json").data == runs
    assert "restored at" in cxbridge("restore").out
    report = cxbridge("restore", "--json").data
    assert (report["left"], report["outcomes"]) == (report["open"], {})
    audited = cxbridge("audit", "verify")
    assert audited.code == 0, audited.err


def test_without_a_name_it_gets_one(cxbridge: Cxbridge, played: Path) -> None:
    assert cxbridge("backup").code == 0
    [made] = played.glob("cxbridge-*Z.backup")
    assert made.stat().st_size


def test_into_an_empty_folder(
    cxbridge: Cxbridge, played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new machine: settings, key and backup are carried there, and that is all it takes."""
    cxbridge("backup", "it.backup")
    runs = cxbridge("runs", "list", "--json").data
    fresh = tmp_path / "fresh"
    shutil.copytree(played, fresh, ignore=shutil.ignore_patterns("cxbridge.db*"))
    monkeypatch.chdir(fresh)
    done = cxbridge("restore", "it.backup", "--json")
    assert done.code == 0, done.err
    assert done.data["aside"] is None
    assert cxbridge("runs", "list", "--json").data == runs


def test_without_the_key_it_is_of_no_use(cxbridge: Cxbridge, played: Path) -> None:
    cxbridge("backup", "it.backup")
    (played / "cxbridge.key").unlink()
    ended = cxbridge("backup", "verify", "it.backup")
    assert ended.code == 65
    assert "name the key file it was sealed with" in ended.err
    # Looking makes no key: a second one would only confuse.
    assert not (played / "cxbridge.key").exists()


def test_what_cannot_be_written_ends_with_73(cxbridge: Cxbridge, played: Path) -> None:
    ended = cxbridge("backup", "nowhere/it.backup")
    assert ended.code == 73
    assert "cannot be written" in ended.err
    ended = cxbridge("backup", "cxbridge.db")
    assert ended.code == 73
    assert "is no backup" in ended.err
    assert cxbridge("runs", "list").code == 0


def test_damage_is_told_in_words(cxbridge: Cxbridge, played: Path) -> None:
    cxbridge("backup", "it.backup")
    with (played / "it.backup").open("r+b") as file:
        file.truncate((played / "it.backup").stat().st_size // 2)
    for command in (["backup", "verify"], ["restore", "--force"]):
        ended = cxbridge(*command, "it.backup")
        assert ended.code == 65, ended.err
        assert "Traceback" not in ended.err
    assert cxbridge("runs", "list").code == 0
    assert cxbridge("backup", "verify", "none.backup").code == 78


def test_a_store_that_was_put_back_by_other_means(cxbridge: Cxbridge, played: Path) -> None:
    done = cxbridge("restore", "--since", "2020-01-02T08:46:00Z")
    assert done.code == 0, done.err
    assert "taken to be as it was at 2020-01-02T08:46:00Z" in done.out
    assert "to what it was at 2020-01-02 08:46:00Z" in cxbridge("restore").out
    for words in (
        ["--since", "yesterday"],
        ["--since", "2999-01-01T00:00:00Z"],
        ["x", "--since", "2020-01-02T08:46:00Z"],
    ):
        assert cxbridge("restore", *words).code == 64


def test_help_names_both(cxbridge: Cxbridge) -> None:
    told = cxbridge("backup", "--help").out
    assert "make" in told
    assert "verify" in told
