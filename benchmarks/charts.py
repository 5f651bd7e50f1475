"""Draws what the last measurement found as bars, into the documentation; measures nothing.

    python -m benchmarks charts [--from results/bench.json] [--into docs/speed]

A chart is drawn for each part that was measured; those of other parts stay as they are.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure, results
from benchmarks.drawing import Bar, bars

INTO = measure.ROOT / "docs" / "speed"


def main(words: Sequence[str] | None = None) -> None:
    """Draw all that can be drawn."""
    parser = argparse.ArgumentParser(prog="benchmarks charts", description="the last measurement as bars")
    parser.add_argument("--from", dest="source", type=Path, default=results.FILE)
    parser.add_argument("--into", type=Path, default=INTO)
    asked = parser.parse_args(words)
    asked.into.mkdir(parents=True, exist_ok=True)
    for name, chart in charts(results.read(asked.source)).items():
        (asked.into / f"{name}.svg").write_text(chart, encoding="utf-8")
        print(f"{name}.svg")


def charts(document: Mapping[str, Any]) -> dict[str, str]:
    """Draw a document of measurements; gives the charts by name."""
    drawn: dict[str, str] = {}
    for part, draw in _PARTS.items():
        if part in document:
            drawn |= dict(draw(document[part]))
    return drawn


def _pull(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sizes = part["sizes"]
    wanted = {f"{sizes['tickets']:,}"} | {f"{sizes['peer tickets']:,}"}
    found = {
        name: one for name, one in part["medians"].items() if "CPU µs" in one and name.partition(", ")[2] in wanted
    }
    note = "whole processes, medians; behind each name how many tickets it pulled"
    yield "pull-rate", _chart("Pull into SQLite", "tickets/s", found, "tickets/s", note)
    cpu = {name: {"s": one["CPU µs"] / 10} for name, one in found.items()}
    yield "pull-cpu", _chart("Processor time of 100,000 tickets", "s", cpu, "s", note)
    yield "pull-memory", _chart("Peak memory of a pull", "MB", found, "peak MB", note)


def _push(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = {name: one for name, one in part["medians"].items() if "CPU ms" in one}
    note = "vendors answer at once and in the same process; floor and DBOS make one request a step, cxbridge two"
    yield "push-rate", _chart("Two-step runs on SQLite, every commit durable", "runs/s", found, "runs/s", note)


def _webhooks(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "saturated" not in part["medians"]:
        return
    saturated = {name: one["writes/s"] for name, one in part["medians"].items() if name.endswith("saturated")}
    shown = [Bar("cxbridge", saturated.pop("saturated"), "ours")]
    shown.append(Bar("the same way by hand", saturated.pop("floor, saturated"), "floor"))
    shown += [Bar(name.removesuffix(", saturated"), rate, "theirs") for name, rate in saturated.items()]
    note = "other tools make one request an event, read nothing and, like Node-RED, may keep nothing"
    yield "webhooks-rate", bars("From webhook to write, at saturation", "writes/s", shown, note)


def _growth(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = {f"{size} tickets stored": one for size, one in part["medians"].items()}
    change = {size: {"µs": one["pull of a change µs"] + one["planning it µs"]} for size, one in found.items()}
    yield "growth-change", _chart("One changed ticket, pulled and planned", "µs", change, "µs")
    yield "growth-start", _chart("From start to ready", "ms", found, "start ms")


_PARTS: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {
    "pull": _pull,
    "push": _push,
    "webhooks": _webhooks,
    "growth": _growth,
}


def _chart(title: str, unit: str, found: Mapping[str, Mapping[str, float]], figure: str, note: str = "") -> str:
    return bars(title, unit, [Bar(name, one[figure], _kind(name)) for name, one in found.items()], note)


def _kind(name: str) -> str:
    if name.startswith(("floor", "careful")):
        return "floor"
    return "ours" if name.startswith("cxbridge") or name.endswith("stored") else "theirs"


if __name__ == "__main__":
    main()
