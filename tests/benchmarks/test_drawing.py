"""Charts and flame graphs: the same input gives the same file, and nothing of it is measured here."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from benchmarks import charts, drawing, flame, growth
from benchmarks.drawing import Bar

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(drawn).iter(f"{SVG}text")]


def document() -> dict[str, Any]:
    run = {"tickets/s": 20_000.0, "CPU µs": 50.0, "peak MB": 60.0}
    size = {"pull of a change µs": 90.0, "planning it µs": 60.0, "start ms": 900.0}
    return {
        "pull": {
            "sizes": {"tickets": 100_000, "peer tickets": 10_000, "rounds": 3},
            "medians": {
                "floor, 100,000": run,
                "careful loop, 100,000": run,
                "cxbridge, 100,000": run,
                "zenpy, 10,000": run | {"tickets/s": 700.0},
                "unchanged, 100,000": {"tickets/s": 40_000.0},
            },
        },
        "push": {
            "sizes": {},
            "medians": {
                "cxbridge": {"runs/s": 184.0, "CPU ms": 4.8},
                "DBOS": {"runs/s": 90.0, "CPU ms": 7.0},
                "cxbridge, 100 ms latency": {"runs/s": 18.0},
            },
        },
        "webhooks": {
            "sizes": {},
            "medians": {
                "steady": {"p50 ms": 6.0},
                "saturated": {"writes/s": 64.3},
                "floor, saturated": {"writes/s": 3000.0},
                "Node-RED, steady": {"p50 ms": 3.0},
                "Node-RED, saturated": {"writes/s": 700.0},
                "Node-RED, killed": {"lost": 767, "doubled": 0},
            },
        },
        "growth": {"sizes": {}, "medians": {"10,000": size, "100,000": size}},
        "idle": {"sizes": {}, "medians": {}},
    }


def test_every_part_is_drawn_the_same_way_each_time_with_labels_and_units() -> None:
    drawn = charts.charts(document())
    assert drawn == charts.charts(document())
    assert {
        "pull-rate",
        "pull-cpu",
        "pull-memory",
        "push-rate",
        "webhooks-rate",
        "growth-change",
        "growth-start",
    } == set(drawn)
    assert {"cxbridge, 100,000", "20,000 tickets/s", "zenpy, 10,000", "700 tickets/s"} <= set(texts(drawn["pull-rate"]))
    assert "unchanged, 100,000" not in texts(drawn["pull-rate"])
    assert "150 µs" in texts(drawn["growth-change"])
    assert all("prefers-color-scheme: dark" in one for one in drawn.values())


def test_other_tools_stand_beside_what_was_measured_with_them() -> None:
    drawn = charts.charts(document())
    kinds = [one.get("class") for one in ET.fromstring(drawn["webhooks-rate"]).iter(f"{SVG}rect")]
    assert kinds == ["ground", "ours", "floor", "theirs"]
    assert {"Node-RED", "700 writes/s"} <= set(texts(drawn["webhooks-rate"]))
    assert {"DBOS", "90.0 runs/s"} <= set(texts(drawn["push-rate"]))


def test_bars_are_as_long_as_their_values_and_text_is_escaped() -> None:
    drawn = drawing.bars("A & B", "s", [Bar("<one>", 10.0, "ours"), Bar("two", 5.0, "theirs")])
    one, two = (float(rect.get("width", "")) for rect in list(ET.fromstring(drawn).iter(f"{SVG}rect"))[1:])
    assert one == pytest.approx(2 * two)
    assert "<one>" in texts(drawn)


def test_a_flame_shows_shares_and_cuts_what_is_too_small_to_read() -> None:
    root = drawing.folded(["a;b 600", "a;c 397", "a;tiny 3", ""])
    assert root.samples == 1000
    drawn = drawing.flame("Where it goes", root)
    titles = [one.text for one in ET.fromstring(drawn).iter(f"{SVG}title")]
    assert titles == ["a: 100.0%", "b: 60.0%", "c: 39.7%"]


def test_stacks_are_kept_from_what_is_looked_at_on_without_lines_and_places() -> None:
    lines = [
        "<module> (/somewhere/run.py:3);pull (/somewhere/cxbridge/core/engine/pull.py:70);loads (/x/lib/python3.11/json/a.py:1) 7",
        "<module> (/somewhere/run.py:3);fill (/somewhere/benchmarks/bridge_plan.py:9) 50",
    ]
    assert list(flame.kept(lines, ("cxbridge/core/engine/pull.py",))) == [
        "pull (cxbridge/core/engine/pull.py);loads (json/a.py) 7"
    ]


def test_growth_is_too_fast_where_tenfold_more_than_doubles() -> None:
    three = [1_000, 10_000, 100_000]
    assert not growth.too_fast([10.0, 19.0, 38.0], three)
    assert growth.too_fast([10.0, 10.0, 21.0], three)
    assert not growth.too_fast([10.0, 25.0, 11.0], three)
    assert not growth.too_fast([10.0], [1_000])
    # A thousandfold may double three times, threefold once.
    assert not growth.too_fast([10.0, 75.0], [10_000, 10_000_000])
    assert growth.too_fast([10.0, 85.0], [10_000, 10_000_000])
    assert not growth.too_fast([10.0, 19.0], [100_000, 300_000])


def test_sizes_of_growth_are_tenfolds_up_to_the_most() -> None:
    assert growth.sizes_up_to(10_000_000) == [10_000, 100_000, 1_000_000, 10_000_000]
    assert growth.sizes_up_to(300_000) == [10_000, 100_000]
