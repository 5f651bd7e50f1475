"""The tutorial for connector authors does what it says: step by step, in an author's own folder."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core import errors
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.testing import rules
from tests.contract import pages

REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder: Path) -> tuple[dict[str, str], str]:
    """Run the author's tests as the tutorial tells; gives what became of each rule, and what was printed."""
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={report}", "test_pulse.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        outcomes[case.attrib["name"].removeprefix("test_")] = outcome
    return outcomes, done.stdout


@pytest.mark.process
def test_the_first_forty_lines_break_the_two_rules_that_the_tutorial_names(tmp_path):
    outcomes, printed = run(pages.write(tmp_path, pulse=1, tests=1))
    assert {rule for rule, outcome in outcomes.items() if outcome not in ("passed", "skipped")} == {
        "pages_that_go_in_circles_are_noticed",
        "a_malformed_record_is_refused_alone",
    }
    [told] = re.findall(r"^```\n(connector Pulse breaks.*?)^```", pages.TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    for line in told.splitlines():
        assert line in printed


@pytest.mark.process
def test_the_mended_one_is_green(tmp_path):
    outcomes, printed = run(pages.write(tmp_path, pulse=2, tests=1))
    assert set(outcomes.values()) == {"passed", "skipped"}, printed
    # What is skipped is about writing, of which there is none yet.
    assert {rule for rule, outcome in outcomes.items() if outcome == "skipped"} == {
        "a_write_is_one_call_and_the_last",
        "a_write_repeated_acts_once",
        "a_lost_answer_is_settled",
        "a_write_that_never_arrived_is_made_up_for",
        "failed_writes_are_told",
        "receipts_lead_to_what_was_written",
        "comments_are_seen_by_nobody_else",
        "looking_up_only_reads",
        "planted_names_what_was_written",
    }


@pytest.mark.process
def test_the_one_that_writes_is_green_in_every_rule(tmp_path):
    outcomes, printed = run(pages.write(tmp_path, pulse=3, tests=2))
    assert set(outcomes.values()) == {"passed"}, printed
    assert set(outcomes) == set(rules())


def test_the_tutorial_of_the_connector_module_is_the_same_code():
    docstring = inspect.cleandoc(cx.__doc__ or "")
    start, end = docstring.index("    class Pulse"), docstring.index("        return [Pulse]\n")
    shown = textwrap.dedent(docstring[start:end]) + "    return [Pulse]\n"
    # One empty line more or less makes no other code.
    assert re.sub(r"\n+", "\n", shown) in re.sub(r"\n+", "\n", pages.blocks("pulse.py")[0])


def test_the_first_step_is_about_forty_lines():
    written = [line for line in pages.blocks("pulse.py")[0].splitlines() if line]
    assert len(written) <= 40


def test_the_table_of_rules_is_the_suite():
    assert pages.table("Rule") == [[f"`{rule}`", asked] for rule, asked in rules().items()]
    assert len(rules()) >= 25


def test_the_table_of_effects_names_every_class():
    named = [row[0].strip("`").partition("(")[0] for row in pages.table("Effect")]
    assert named == ["Idempotent", "Keyed", "Findable", "Blind"]
    assert {getattr(cx, name) for name in named} == set(cx.Effect.__args__)


def statuses(told: str) -> list[int]:
    """Read the statuses of a row: single ones, `5xx` and `other 4xx`."""
    found = [int(number) for number in re.findall(r"\b\d{3}\b", told)]
    if "5xx" in told:
        found += [500, 502, 503, 504]
    if "other 4xx" in told:
        found += [400, 405, 410, 413, 415, 422, 451]
    return found


@pytest.mark.parametrize("row", pages.table("The vendor answers"), ids=lambda row: row[0])
def test_the_table_of_errors_is_what_the_client_raises(row, clock: ManualClock):
    expected = getattr(errors, row[1].strip("`"))
    answers = [httpx.Response(status, html="<p>Sign in</p>") for status in statuses(row[0])]
    assert answers
    for answer in answers:
        endpoint = cx.Endpoint("https://pulse.test")
        transport = httpx.MockTransport(lambda request, answer=answer: answer)
        with open_client(
            endpoint, connection="survey", clock=clock, tokens=MemoryTokens(), transport=transport
        ) as client:
            with pytest.raises(expected) as raised:
                client.get("/scores").json()
        assert type(raised.value) is expected
    for kind in re.findall(r"a kind of `(\w+)`", row[2]):
        assert issubclass(expected, getattr(errors, kind))


def test_half_an_answer_and_none_are_retryable_too(clock: ManualClock):
    def cut(request):
        return httpx.Response(200, headers={"content-length": "9"}, stream=httpx.ByteStream(b"[1"))

    def reset(request):
        raise httpx.ReadError("connection reset")

    for handler in (cut, reset):
        endpoint, transport = cx.Endpoint("https://pulse.test"), httpx.MockTransport(handler)
        with open_client(
            endpoint, connection="survey", clock=clock, tokens=MemoryTokens(), transport=transport
        ) as client:
            with pytest.raises(cx.Retryable):
                client.get("/scores")


def test_a_plugin_needs_the_connector_module_and_nothing_else_of_the_project():
    for code in pages.blocks("pulse.py"):
        assert set(re.findall(r"^from (cxbridge[\w.]*) import (\w+)", code, re.MULTILINE)) <= {
            ("cxbridge.core", "connector")
        }
    # Everything that is taken from it is there to be taken.
    names = {name for code in pages.blocks("pulse.py") for name in re.findall(r"\bcx\.(\w+)", code)}
    assert names <= set(cx.__all__)
    assert isinstance(cx, ModuleType)
