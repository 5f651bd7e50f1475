"""Comparing ratios with the committed ones; nothing is measured here."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import check, results


def entry(sizes: dict[str, int], **ratios: float) -> dict[str, Any]:
    return {"sizes": sizes, "ratios": ratios, "machine": {"cores": 2}, "medians": {"cxbridge": {"runs/s": 1.0}}}


def test_what_fell_by_more_than_fifteen_percent_is_named() -> None:
    before = {"pull": entry({"tickets": 1000}, share=0.5, times=10.0, again=2.0)}
    now = {"pull": entry({"tickets": 1000}, share=0.42, times=8.6, again=3.0)}
    found = check.compare(before, now)
    assert found.fell == ["pull, share: FELL from 0.5 to 0.42, by 16%"]
    assert found.held == ["pull, times: 8.6, before 10", "pull, again: 3, before 2"]
    assert found.left_out == []


def test_what_cannot_be_compared_is_named_and_is_no_fall() -> None:
    before = {
        "pull": entry({"tickets": 100_000}, share=0.5),
        "push": entry({"runs": 2000}, share=0.5, permitted=0.9),
        "webhooks": entry({"events": 2000}, share=0.5),
    }
    now = {"pull": entry({"tickets": 1000}, share=0.1), "push": entry({"runs": 2000}, share=0.5)}
    found = check.compare(before, now)
    assert found.fell == []
    assert found.held == ["push, share: 0.5, before 0.5"]
    assert found.left_out == [
        "pull: not compared, it was measured with other sizes",
        "push, permitted: not measured",
        "webhooks: not measured",
    ]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    measured, kept = tmp_path / "bench.json", tmp_path / "baseline.json"
    monkeypatch.setattr(results, "FILE", measured)
    monkeypatch.setattr(check, "BASELINE", kept)
    return measured, kept


def write(file: Path, document: dict[str, Any]) -> None:
    file.write_text(json.dumps(document), encoding="utf-8")


def test_a_written_baseline_holds_what_is_compared_and_nothing_else(files: tuple[Path, Path]) -> None:
    measured, kept = files
    write(measured, {"pull": entry({"tickets": 1000}, share=0.5), "idle": entry({"seconds": 60})})
    check.main(["--write"])
    assert json.loads(kept.read_text(encoding="utf-8")) == {
        "pull": {"sizes": {"tickets": 1000}, "ratios": {"share": 0.5}, "machine": {"cores": 2}}
    }
    check.main([])


def test_it_ends_with_one_where_something_fell(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    measured, kept = files
    write(kept, {"pull": entry({"tickets": 1000}, share=0.5)})
    write(measured, {"pull": entry({"tickets": 1000}, share=0.2)})
    with pytest.raises(SystemExit) as ended:
        check.main([])
    assert ended.value.code == 1
    assert "pull, share: FELL from 0.5 to 0.2, by 60%" in capsys.readouterr().out


@pytest.mark.parametrize("there", ["nothing", "the baseline", "other sizes"])
def test_it_says_so_where_there_is_nothing_to_compare(files: tuple[Path, Path], there: str) -> None:
    measured, kept = files
    if there != "nothing":
        write(kept, {"pull": entry({"tickets": 1000}, share=0.5)})
    if there == "other sizes":
        write(measured, {"pull": entry({"tickets": 20}, share=0.5)})
    with pytest.raises(SystemExit, match=r"there is no|nothing could be compared"):
        check.main([])
