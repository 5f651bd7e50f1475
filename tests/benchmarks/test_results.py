"""The document that measurements leave behind; nothing is measured here."""

import json
import platform
import sys
from pathlib import Path

import pytest

from benchmarks import measure, results
from benchmarks.measure import Taken


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "bench.json"
    monkeypatch.setattr(results, "FILE", place)
    return place


def taken(wall: float, foreign: float | None = None) -> Taken:
    return Taken("pull", 100, wall, 0.5, 30.0, foreign, {})


def test_each_part_replaces_its_own_entry(file: Path) -> None:
    results.tell("pull", sizes={"tickets": 10}, medians={"floor": {"tickets/s": 12345.678}}, ratios={"share": 1 / 3})
    results.tell("push", sizes={"runs": 10}, medians={}, ratios={"share": 0.5}, others=0.123456)
    results.tell("pull", sizes={"tickets": 20}, medians={"floor": {"tickets/s": 2.0}}, ratios={"share": 1 / 4})
    document = json.loads(file.read_text(encoding="utf-8"))
    assert list(document) == ["pull", "push"]
    assert (document["pull"]["sizes"], document["pull"]["ratios"]) == ({"tickets": 20}, {"share": 0.25})
    assert document["push"]["others_cores"] == 0.1235
    results.begin()
    assert not file.exists()


def test_it_names_versions_and_no_machine_and_no_place(file: Path) -> None:
    results.tell("pull", sizes={}, medians={}, ratios={}, peers={"zenpy": "2.0.57"})
    text = file.read_text(encoding="utf-8")
    told = json.loads(text)["pull"]
    assert told["versions"]["python"] == platform.python_version()
    assert told["versions"]["peers"] == {"zenpy": "2.0.57"}
    assert {"httpx", "msgspec", "SQLAlchemy"} <= set(told["versions"]["libraries"])
    for secret in (str(measure.ROOT), sys.prefix, str(Path.home()), platform.node()):
        assert len(secret) < 4 or secret not in text


def test_ratios_are_medians_over_rounds() -> None:
    ours, floors = [taken(2.0), taken(4.0), taken(1.0)], [taken(1.0), taken(1.0), taken(0.9)]
    assert results.ratio(ours, floors, lambda one: one.rate) == 0.5
    assert results.median(ours, lambda one: one.wall) == 2.0
    assert results.most_others([taken(1.0, 0.1), taken(1.0), taken(1.0, 0.7)]) == 0.7
    assert results.most_others(ours) is None
