"""What a vendor may send at most: a hostile body is a typed error, moves no checkpoint, and takes no more memory than stated."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bounds.body_child import BODIES, STREAMS

ROOT = Path(__file__).resolve().parents[2]
# MiB that reading one hostile answer may take: the largest answer there is, once, and some room for the allocator.
MOST = dict.fromkeys(STREAMS, 80) | {"qualtrics": 272}
# Bodies that are large on the wire or behind it each need a process of their own, so that the peak is theirs.
LARGE = ("200 MiB", "gzip bomb")


def played(folder: Path, *bodies: str) -> dict[str, dict[str, Any]]:
    """Let a process of its own be answered with these bodies."""
    told = subprocess.run(
        [sys.executable, str(ROOT / "tests/bounds/body_child.py"), str(folder), *bodies],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert told.returncode == 0, told.stderr
    found: dict[str, dict[str, Any]] = json.loads(told.stdout)
    return found


def judged(found: dict[str, dict[str, Any]]) -> None:
    for body, by_connection in found.items():
        for name, told in by_connection.items():
            assert told["error"] == "WireFormat", (body, name, told)
            assert told["still"], f"{body}: the checkpoint of {name} moved"
            assert told["stored"] == 0, (body, name, told)
            assert told["grew"] <= MOST[name], f"{body}: reading it took {name} {told['grew']:.0f} MiB"


@pytest.mark.parametrize("body", LARGE)
def test_a_body_too_large_is_refused_within_its_memory(tmp_path: Path, body: str) -> None:
    found = played(tmp_path, body)
    assert list(found[body]) == list(STREAMS)
    judged(found)


def test_a_body_that_is_no_data_is_refused_and_moves_nothing(tmp_path: Path) -> None:
    rest = [name for name in BODIES if name not in LARGE]
    found = played(tmp_path, *rest)
    assert list(found) == rest
    judged(found)
