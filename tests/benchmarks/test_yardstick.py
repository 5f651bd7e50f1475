"""Measuring beside the programs that goals were set with: they are run as they are, and where they are absent that is said."""

import json
from pathlib import Path

import pytest

from benchmarks import measure, peers, yardstick

_PROGRAM = """import json, os, sys
from pathlib import Path
(Path(__file__).parent / "results").write_text("may be written")
home = Path(os.environ["CXB_HOME"])
print("a line that is no row")
print(json.dumps({"words": sys.argv[1:], "python": str((home / "venv-pull" / "bin" / "python").resolve()), "error": None}))
"""


def test_without_the_folder_nothing_is_measured_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    yardstick.main(["--bench", str(tmp_path / "nowhere")])
    assert "not measured: there are no measurements in" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_without_what_the_programs_stand_on_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench_pull.py").touch()
    monkeypatch.setattr(peers, "environment", lambda *_: None)
    yardstick.main(["--bench", str(tmp_path)])
    assert "cannot be installed" in capsys.readouterr().out


def _bench(tmp_path: Path, program: str) -> "yardstick.Bench":
    there, place = tmp_path / "there", tmp_path / "place"
    python = tmp_path / "made" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    there.mkdir()
    place.mkdir()
    (there / "bench_pull.py").write_text(program)
    (there / "bench_pull.py").chmod(0o400)
    there.chmod(0o500)
    return yardstick.Bench(there, place, {"pull": python})


def test_its_programs_run_where_they_may_write_and_find_their_environments(tmp_path: Path) -> None:
    [row] = _bench(tmp_path, _PROGRAM).rows("bench_pull.py", "--runs", "1")
    assert row["words"] == ["--runs", "1"]
    assert row["python"] == str(tmp_path / "made" / "bin" / "python")
    assert (tmp_path / "place" / "bench" / "results").exists()


@pytest.mark.parametrize(
    "program", ["raise SystemExit(3)", "print('nothing')", f"print({json.dumps(json.dumps({'error': 'no rows'}))})"]
)
def test_a_program_that_fails_is_named(tmp_path: Path, program: str) -> None:
    with pytest.raises(measure.Failed, match=r"bench_pull\.py --runs 1"):
        _bench(tmp_path, program).rows("bench_pull.py", "--runs", "1")


def test_ratios_are_taken_within_rounds_and_told_beside_their_goals(capsys: pytest.CaptureFixture[str]) -> None:
    medians: dict[str, dict[str, float]] = {}
    ratios: dict[str, float] = {}
    # The machine was half as quick in the second round, for all of them.
    found = {
        "cxbridge": [(60.0, 1.0), (30.0, 2.0)],
        "outbox": [(100.0, 0.5), (50.0, 1.0)],
        "DBOS": [(6.0, 9.0), (3.0, 9.0)],
    }
    yardstick.told(found, "runs", ("runs/s", "CPU ms"), medians, ratios)
    assert ratios == {"runs, times outbox": 0.6, "runs, times DBOS": 10.0}
    assert medians["runs, cxbridge"] == {"runs/s": 45.0, "CPU ms": 1.5}
    said = capsys.readouterr().out
    assert "times outbox: 60%, the goal is 50% (met)" in said
    assert "times DBOS: 10.0, the goal is 15.0 (MISSED)" in said
