"""The recipes that come with cxbridge: each loads against the real connectors, writes nothing as shipped, and is tested."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.trial import run_tests
from cxbridge.core.recipes.load import load_file, load_folder, load_text
from cxbridge.core.recipes.surroundings import BUILT_IN, Surroundings
from cxbridge.core.store import Store
from tests.recipes.conftest import SHIPPED

# The calendar that the shipped recipes name, as an installation would have it.
AROUND = Surroundings(calendars={"support": replace(BUILT_IN["weekdays"], name="support")})
FILES = sorted(SHIPPED.glob("*.toml"))
each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_there_are_some() -> None:
    assert "escalation-to-jira" in [file.stem for file in FILES]


def test_all_of_them_load(vendors: Mapping[str, Connection]) -> None:
    loaded = load_folder(SHIPPED, vendors, {}, AROUND)
    assert [str(error) for error in loaded.errors] == []
    assert [one.id for one in loaded.recipes] == [file.stem for file in FILES]


@each
def test_it_writes_nothing_until_somebody_wants_it(file: Path, vendors: Mapping[str, Connection]) -> None:
    recipe = load_file(file, vendors, {}, AROUND)
    assert recipe.stage == "shadow"
    assert not recipe.acts
    assert recipe.considered


@each
def test_its_tests_pass(file: Path, vendors: Mapping[str, Connection], sqlite_store: Store, clock: ManualClock) -> None:
    recipe = load_file(file, vendors, {}, AROUND)
    outcomes = run_tests(recipe, sqlite_store, vendors, clock)
    assert len(outcomes) >= 3
    assert [(one.name, one.told) for one in outcomes if not one.ok] == []


@each
def test_its_tests_can_fail(
    file: Path, vendors: Mapping[str, Connection], sqlite_store: Store, clock: ManualClock
) -> None:
    """Every condition is in some test's way: with one turned round, a test says so."""
    text = file.read_text(encoding="utf-8")
    recipe = load_text(file.stem, str(file), text, vendors, {}, AROUND)
    assert recipe.conditions
    for one in recipe.conditions:
        turned, count = re.subn(
            rf'^({one.name}\s*=\s*")(.*)"(?=\s*(#.*)?$)', r'\1not (\2)"', text, count=1, flags=re.MULTILINE
        )
        assert count == 1, f"{one.name} is not on a line of its own"
        mutant = load_text(file.stem, str(file), turned, vendors, {}, AROUND)
        assert any(not outcome.ok for outcome in run_tests(mutant, sqlite_store, vendors, clock)), one.name


@each
def test_its_tests_notice_a_step_that_is_left_out(
    file: Path, vendors: Mapping[str, Connection], sqlite_store: Store, clock: ManualClock
) -> None:
    text = file.read_text(encoding="utf-8")
    last = text.rindex("[[step]]")
    end = min(at for at in (text.find(f"\n[[{name}", last) for name in ("sync", "follow", "test")) if at > 0)
    mutant = load_text(file.stem, str(file), text[:last] + text[end:], vendors, {}, AROUND)
    assert any(not outcome.ok for outcome in run_tests(mutant, sqlite_store, vendors, clock))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('unmapped = "hold"', 'unmapped = "Lowest"', "expected to be held by priority"),
        ('high     = "High"', 'high     = "Highest"', "priority is 'Highest', expected 'High'"),
        ('default = ["enterprise", "strategic"]', 'default = ["enterprise"]', "stopped at right_tier"),
        ('default = "ENG"', 'default = "OPS"', "project is 'OPS', expected 'ENG'"),
        ("'resolved', 'closed', 'cancelled'", "'closed', 'cancelled'", "did not stop"),
        ("writes_per_run  = 6", "writes_per_run  = 3", "limits.writes_per_run = 3"),
    ],
)
def test_the_escalations_tests_say_what_differs(
    old: str, new: str, told: str, vendors: Mapping[str, Connection], sqlite_store: Store, clock: ManualClock
) -> None:
    text = (SHIPPED / "escalation-to-jira.toml").read_text(encoding="utf-8")
    assert old in text
    mutant = load_text("escalation-to-jira", "x.toml", text.replace(old, new), vendors, {}, AROUND)
    said = [word for one in run_tests(mutant, sqlite_store, vendors, clock) for word in one.told]
    assert any(told in one for one in said), said
