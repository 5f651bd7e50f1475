"""The simulated vendors in a process of their own, for what is measured against them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks import measure


@contextmanager
def vendors() -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """Run them empty and without limits; gives what speaks to their control API, and their addresses by name."""
    with measure.folder() as place:
        (place / "empty.jsonl").write_text("")
        words = [
            sys.executable,
            "-m",
            "cxbridge.cli",
            "sandbox",
            "--no-limits",
            "--export-lag",
            "1",
            "--search-lag",
            "1",
            "--json",
        ]
        for vendor in ("zendesk", "jira", "gainsight", "qualtrics", "slack", "control"):
            words += [f"--{vendor}-port", "0"]
        words += ["--until-eof", "--data", str(place / "empty.jsonl")]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                urls = _addresses(process.stdout)
                urls.pop("loaded")
                with httpx.Client(base_url=urls["control"], timeout=60) as control:
                    yield control, urls
            finally:
                process.kill()


def _addresses(told: Any) -> dict[str, str]:
    lines: list[str] = []
    while not lines or lines[-1].rstrip() != "}":
        lines.append(told.readline())
    return dict(json.loads("".join(lines)))
