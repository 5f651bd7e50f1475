"""How results look: plain columns in a pipe, tables on a terminal, and no text of a vendor steers either."""

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from cxbridge.cli import render
from cxbridge.cli.render import Output, clean, shown

MOMENT = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(["name", "count"], [["a", 5], ["longer", 12]])
    assert capsys.readouterr().out == "NAME    COUNT\na           5\nlonger     12\n"


def test_vendor_texts_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b[2Jgone \x9b31m [red]not markup[/red] \u202eback"
    assert clean("a\x1b[31mb\nc\u202e") == "a [31mb c"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    Output().table(["text"], [[evil]])
    told = terminal.getvalue()
    assert "\x1b[2J" not in told
    assert "\x9b" not in told
    assert "[red]not markup[/red]" in told


def test_colours_are_left_out_when_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    Output().table(["text"], [["plain"]])
    assert "\x1b[3" not in terminal.getvalue()
    assert "plain" in terminal.getvalue()


def test_values_in_words() -> None:
    assert [shown(one) for one in (None, "", True, False, 0, MOMENT)] == [
        "–",
        "–",
        "yes",
        "no",
        "0",
        "2026-05-06 08:46:13Z",
    ]


def test_json_holds_times_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).data({"at": MOMENT, "name": "Größe"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"at": "2026-05-06T08:46:13.000000Z", "name": "Größe"}
    assert "Größe" in out


def test_progress_is_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with render.progress() as bars:
        bars.set("tickets", 10, 320)
        bars.set("comments", 7)
        bars.set("tickets", 320, 320)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["  tickets 320 of 320, comments 7"]
