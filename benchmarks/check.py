"""Compares the ratios of the last measurement with those that are committed, and names what fell by more than 15 %.

    python -m benchmarks check            ends with 1 where something fell
    python -m benchmarks check --write    makes the last measurement the one to compare with

Rates differ between machines; ratios to a floor and to other tools in the same run do so much less, and only they are compared.
Parts that were measured with other sizes are named and not compared. No test runs this.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import results

BASELINE = Path(__file__).with_name("baseline.json")
MOST_FALL = 0.15


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: a line for each ratio that fell, for each that held, and for whatever could not be compared."""

    fell: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def main(words: Sequence[str] | None = None) -> None:
    """Compare, or write the baseline.

    Raises:
        SystemExit: with 1 when a ratio fell, or when there is nothing to compare.
    """
    parser = argparse.ArgumentParser(prog="benchmarks check", description="ratios beside the committed ones")
    parser.add_argument("--write", action="store_true", help="make the last measurement the one to compare with")
    asked = parser.parse_args(words)
    measured = results.read(results.FILE)
    if asked.write:
        kept = baseline(measured)
        BASELINE.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{BASELINE.name} holds the ratios of {', '.join(kept)}")
        return
    found = compare(results.read(BASELINE), measured)
    for line in (*found.held, *found.left_out, *found.fell):
        print(line)
    if found.fell:
        raise SystemExit(1)
    if not found.held:
        raise SystemExit("nothing could be compared")


def baseline(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a measurement what later ones are compared with."""
    kept = {part: {key: one[key] for key in ("sizes", "ratios", "machine")} for part, one in measured.items()}
    return {part: one for part, one in kept.items() if one["ratios"]}


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> Compared:
    """Hold the ratios of a measurement against those before; more is better in each of them."""
    found = Compared()
    for part, kept in before.items():
        if part not in now:
            found.left_out.append(f"{part}: not measured")
            continue
        if now[part]["sizes"] != kept["sizes"]:
            found.left_out.append(f"{part}: not compared, it was measured with other sizes")
            continue
        for name, was in kept["ratios"].items():
            value = now[part]["ratios"].get(name)
            if value is None:
                found.left_out.append(f"{part}, {name}: not measured")
            elif value < was * (1 - MOST_FALL):
                found.fell.append(f"{part}, {name}: FELL from {was:g} to {value:g}, by {1 - value / was:.0%}")
            else:
                found.held.append(f"{part}, {name}: {value:g}, before {was:g}")
    return found


if __name__ == "__main__":
    main()
