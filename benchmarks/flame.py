"""Samples where the time of a pull, of planning or of pushing goes, and draws it as a flame graph into the documentation.

    python -m benchmarks flame pull|plan|push [--size 20000] [--into docs/speed]

The stacks are py-spy's (`benchmarks.peers` installs it beside); the drawing is ours. Only stacks that pass through what is looked
at are kept, so that filling a store and starting are not in them. The folded stacks stay in `results`.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import drawing, measure, peers
from benchmarks.charts import INTO

PY_SPY = "py-spy==0.4.3"
_RATE = 250
# As py-spy writes a frame: name, file, and a line that is of no use in a drawing.
_FRAME = re.compile(r"^(?P<name>.+) \((?P<file>[^()]*?)(?::\d+)?\)$")


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at: the program, the option for its size, whether it needs a mock, and the module to keep."""

    title: str
    module: str
    option: str | None
    size: int
    through: tuple[str, ...]


KINDS = {
    "pull": Looked(
        "A pull, by where its time goes", "benchmarks.bridge_pull", None, 50_000, ("cxbridge/core/engine/pull.py",)
    ),
    "plan": Looked(
        "Planning, by where its time goes",
        "benchmarks.bridge_plan",
        "--tickets",
        50_000,
        ("cxbridge/core/engine/plan.py",),
    ),
    "push": Looked(
        "Pushing, by where its time goes",
        "benchmarks.bridge_push",
        "--runs",
        2_000,
        ("cxbridge/core/engine/abreast.py",),
    ),
}


def main(words: Sequence[str] | None = None) -> None:
    """Sample and draw."""
    parser = argparse.ArgumentParser(prog="benchmarks flame", description="where the time goes, as a flame graph")
    parser.add_argument("what", choices=sorted(KINDS))
    parser.add_argument("--size", type=int, default=0, help="tickets or runs")
    parser.add_argument("--into", type=Path, default=INTO)
    asked = parser.parse_args(words)
    python = peers.environment("py-spy", PY_SPY)
    if python is None:
        print("no flame graph without it")
        return
    looked = KINDS[asked.what]
    stacks = list(kept(_sampled(python, looked, asked.size or looked.size), looked.through))
    if not stacks:
        raise SystemExit("no sample passed through what is looked at")
    measure.RESULTS.mkdir(exist_ok=True)
    (measure.RESULTS / f"flame-{asked.what}.folded").write_text("\n".join(stacks) + "\n", encoding="utf-8")
    asked.into.mkdir(parents=True, exist_ok=True)
    file = asked.into / f"flame-{asked.what}.svg"
    file.write_text(drawing.flame(looked.title, drawing.folded(stacks)), encoding="utf-8")
    print(f"{file.name}: {len(stacks):,} different stacks")


def _sampled(python: Path, looked: Looked, size: int) -> list[str]:
    with ExitStack() as stack:
        place = stack.enter_context(measure.folder())
        words = ["-m", looked.module, "--folder", str(place)]
        if looked.option is None:
            url, _ = stack.enter_context(measure.server("benchmarks.mock_zendesk", "--tickets", str(size)))
            words += ["--url", url]
        else:
            words += [looked.option, str(size)]
        into = place / "folded"
        sampler = [str(python.with_name("py-spy")), "record", "--format", "raw", "--rate", str(_RATE), "--function"]
        command = [*sampler, "--output", str(into), "--", sys.executable, *words]
        done = subprocess.run(command, cwd=measure.ROOT, capture_output=True, text=True, check=False)
        if not into.exists():
            raise SystemExit(f"py-spy took no samples: {(done.stderr or done.stdout)[-500:]}")
        return into.read_text(encoding="utf-8").splitlines()


def kept(lines: Iterable[str], through: Sequence[str]) -> Iterator[str]:
    """Keep the stacks that pass through a module, from its outermost frame on; frames are named without lines and paths."""
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        places = [place for place, frame in enumerate(frames) if any(one in frame for one in through)]
        if places:
            yield f"{';'.join(frames[places[0] :])} {count}"


def _short(frame: str) -> str:
    """Name a frame by function and module: no place on a machine, no line."""
    found = _FRAME.match(frame)
    if found is None:
        return frame
    file = re.sub(r"^.*/(?=cxbridge/|benchmarks/)|^.*/(?:site-packages|lib/python[\d.]+)/", "", found["file"])
    return f"{found['name']} ({file if not file.startswith('/') else file.rpartition('/')[2]})"


if __name__ == "__main__":
    main()
