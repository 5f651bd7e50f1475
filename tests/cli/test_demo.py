"""`demo`, end to end as a process: every figure agrees, and other people's tickets and a stay are played as well."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxbridge.cli.demo import evidence, stage, story, tickets
from cxbridge.cli.errors import CommandError
from cxbridge.cli.render import Output
from cxbridge.core.clock import ManualClock
from tests.cli.conftest import Cxbridge

_ROW = re.compile(r"^(?P<what>\S.*?|  \S.*?) {2,}(?P<ours>\d+) +(?P<theirs>\d+) +(?P<agree>[✓✗]) ", re.MULTILINE)


def _figures(text: str) -> dict[str, tuple[int, int]]:
    found = {row["what"].strip(): (int(row["ours"]), int(row["theirs"])) for row in _ROW.finditer(text)}
    assert all(row["agree"] == "✓" for row in _ROW.finditer(text)), text
    return found


@pytest.mark.process
def test_the_demo_ends_by_itself_and_every_figure_agrees(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cxbridge.cli", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = _figures(done.stdout)
    assert figures == {
        "tickets pulled": (322, 322),
        "tickets escalated": (25, 25),
        "issues made": (23, 23),
        "tickets linked with an issue": (25, 25),
        "notes for agents": (31, 31),
        "of which follow-ups": (6, 6),
        "priorities carried over": (1, 1),
        "tasks for owners": (6, 6),
        "messages to our people": (7, 7),
        "customers written to": (2, 2),
        "told that it was fixed": (1, 1),
        "asked again": (1, 1),
        "own writes known as echoes": (91, 91),
        "writes in the quiet rounds": (0, 0),
        "duplicates": (0, 0),
        "dead letters and doubts": (0, 0),
    }
    assert "would be held for a person" in done.stdout
    assert "loops            4 opened, 1 begun, 1 closed" in done.stdout
    assert "320 of 320" in done.stderr
    assert list(tmp_path.iterdir()) == [], "a demo that is not kept leaves nothing behind"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of bare tickets, as help desks give them."""
    file = tmp_path / "export.csv.gz"
    with gzip.open(file, "wt", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["title", "body", "urgency", "category"])
        for number in range(130):
            writer.writerow(
                [f"Printer {number} says “no”", f"It began on floor {number}.\nPlease help.", number % 4, 5]
            )
    return file


@pytest.mark.process
def test_a_kept_demo_on_other_tickets_stays_until_a_signal(export: Path, tmp_path: Path, cxbridge: Cxbridge) -> None:
    here = tmp_path / "here"
    here.mkdir()
    command = [sys.executable, "-m", "cxbridge.cli", "demo", "--keep", "--data", str(export), "--rows", "100"]
    with subprocess.Popen(
        command, cwd=here, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    ) as demo:
        assert demo.stdout is not None
        text = ""
        try:
            for line in demo.stdout:
                text += line
                if line.startswith("Stop everything"):
                    break
            settings = str(here / ".demo" / "cxbridge.toml")
            asked = re.search(r"cxbridge why-not escalation-to-jira (\d+)", text)
            assert asked is not None, text
            told = cxbridge("why-not", "escalation-to-jira", asked[1], "-c", settings)
            assert "✗ right_tier" in told.out
            why = re.search(r"cxbridge why (\d+)", text)
            assert why is not None
            assert "issue.ensure" in cxbridge("why", why[1], "-c", settings).out
            assert cxbridge("push", "-c", settings).code == 75
        finally:
            demo.send_signal(signal.SIGTERM)
            assert demo.wait(60) == 0
    figures = _figures(text)
    assert figures["tickets pulled"] == (100, 100)
    assert figures["issues made"] == (23, 23)
    assert figures["duplicates"] == (0, 0)


def test_a_folder_of_somebody_else_is_not_touched(
    cxbridge: Cxbridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "mine").write_text("precious")
    ended = cxbridge("demo", "--keep")
    assert ended.code == 73
    assert (tmp_path / ".demo" / "mine").read_text() == "precious"


def test_tickets_of_a_file_get_every_case_the_recipe_tells_apart(export: Path) -> None:
    prepared = tickets.prepare(export, 120)
    rows = {row["id"]: row for row in prepared.rows if row["kind"] == "ticket"}
    tiers = {row["name"]: row["tier"] for row in prepared.rows if row["kind"] == "organization"}
    marked = [rows[number] for number in prepared.marked]
    assert (prepared.tickets, len(rows), len(marked)) == (120, 120, 30)
    assert sum(row["priority"] is None for row in marked) == 2
    assert sum(tiers[row["organization"]] in ("standard", "self_serve") for row in marked) == 3
    assert [row.get("problem") for row in marked[:3]] == [None, marked[0]["id"], marked[0]["id"]]
    assert all("needs-engineering" not in row["tags"] for row in rows.values())
    assert rows[4001]["subject"] == "Printer 0 says “no”"


def test_few_tickets_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("subject\n" + "".join(f"number {number}\n" for number in range(13)))
    assert len(tickets.prepare(file, 100).marked) == 13


def test_problems_that_were_left_out_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl"
    rows = [{"subject": f"number {number}", "type": "incident", "problem": 900} for number in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": 900, "subject": "p", "type": "problem"}]))
    prepared = tickets.prepare(file, 20)
    known = {row["id"] for row in prepared.rows if row.get("type") == "problem"}
    assert {row["problem"] for row in prepared.rows if row.get("problem")} <= known


def test_a_file_that_is_no_list_of_tickets_is_told_in_words(cxbridge: Cxbridge, tmp_path: Path) -> None:
    file = tmp_path / "notes.csv"
    file.write_text("colour,size\nred,5\n")
    ended = cxbridge("demo", "--data", str(file))
    assert ended.code == 65
    assert "notes.csv:1" in ended.err
    file.write_text("subject\n" + "one\n" * 5)
    with pytest.raises(CommandError, match="12 are needed"):
        tickets.prepare(file, 100)
    assert cxbridge("demo", "--data", str(tmp_path / "absent.csv")).code == 65


def test_a_figure_that_differs_or_must_not_be_is_wrong() -> None:
    assert evidence.Figure("issues", 22, 22, "").right
    assert not evidence.Figure("issues", 22, 23, "").right
    assert not evidence.Figure("duplicates", 1, 1, "", none=True).right


def test_a_wrong_figure_is_loud(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [evidence.Figure("issues made", 22, 23, ""), evidence.Figure("links", 5, 5, "")]
    monkeypatch.setattr(evidence, "gather", lambda *_, **__: wrong)
    empty: Any = SimpleNamespace(control=None)
    told = story.Story(empty, Output())
    assert told.figures() is False
    out = capsys.readouterr().out
    assert "THESE FIGURES ARE WRONG: issues made" in out
    assert "figures agree" not in out
    monkeypatch.setattr(evidence, "gather", lambda *_, **__: wrong[1:])
    assert told.figures() is True


def test_waiting_in_vain_says_what_the_daemon_complained_of(tmp_path: Path, clock: ManualClock) -> None:
    nothing: Any = None
    waiting = stage.Stage(tmp_path, nothing, {}, nothing, nothing, stage.Seen(), clock=clock)
    waiting.log.write_text(
        '{"event": "run.started", "level": "info"}\n{"event": "job.failed", "error": "no answer", "level": "warning"}\n'
    )
    waiting.until(lambda: clock.monotonic() > 5, "five seconds have passed", seconds=10)
    with pytest.raises(stage.DemoError, match=r"until the end of days; the daemon last said: job\.failed no answer"):
        waiting.until(lambda: False, "the end of days", seconds=10)
