"""The schema for editors: valid itself, takes the shipped recipes, and refuses what an editor can see."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from cxbridge.core.actions import VERBS
from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import RecipeError
from cxbridge.core.recipes.checks import people
from cxbridge.core.recipes.editor import schema
from cxbridge.core.recipes.load import load_text
from tests.recipes.conftest import SHIPPED

TEXT = (SHIPPED / "escalation-to-jira.toml").read_text(encoding="utf-8")
LOOP = Path(__file__).parent / "loop.toml"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("file", [*sorted(SHIPPED.glob("*.toml")), LOOP], ids=lambda file: file.stem)
def test_recipes_fit(file: Any, validator: Draft202012Validator) -> None:
    assert [one.message for one in validator.iter_errors(tomllib.loads(file.read_text()))] == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('stage   = "shadow"', 'stage   = "shaddow"', ["stage"]),
        ("once_per =", "onceper =", ["run"]),
        ('every    = "15m"', 'every    = "15 minutes"', ["trigger", 1, "every"]),
        ("batch    = 25", "batch    = 0", ["follow", 0, "batch"]),
        ('type     = "bug"', 'type     = "buug"', ["step", 0, "with", "type"]),
        ("same_as  =", "sameas  =", ["step", 0, "with"]),
        ('do   = "link"', 'do   = "linke"', ["step", 1, "do"]),
        ('right = "{{ issue.id }}", ', "", ["step", 1, "with"]),
        ('visibility = "internal", body', "body", ["step", 2, "with"]),
        ('id   = "note"\n', "", ["step", 2]),
        ("[[trigger]]", "[[trigers]]", []),
        ('stage   = "shadow"', 'stage   = "shadow"\ncanary = { share = "ten" }', ["canary", "share"]),
        ('name   = "a solved ticket is left alone"\ngiven', 'name = ""\ngiven', ["test", 3, "name"]),
        ("writes = 0, held", "echoes = 1, held", ["test", 2, "expect"]),
    ],
)
def test_mistakes_that_an_editor_shows(
    old: str, new: str, where: list[Any], validator: Draft202012Validator, offers: Mapping[str, Connection]
) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    errors = list(validator.iter_errors(tomllib.loads(text)))
    assert any(list(one.absolute_path) == where for one in errors), [list(one.absolute_path) for one in errors]
    # An editor must not be stricter than the daemon.
    with pytest.raises(RecipeError):
        load_text("x", "x.toml", text, offers, {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('every    = "15m"', 'every    = "1h 30m"'),
        ('catch_up = "6h"', 'catch_up = "none"'),
        ('stage   = "shadow"', 'stage   = "canary"\ncanary = { share = "12.5 %" }'),
        ('stage   = "shadow"', 'stage   = "canary"\ncanary = { share = 0.1 }'),
        ('type     = "bug"', "type     = \"{{ 'bug' if ticket.type == 'problem' else 'task' }}\""),
        ('tags_add        = ["fix-released"]', 'tags_add        = "{{ issue.tags }}"'),
    ],
)
def test_what_the_daemon_takes_is_not_shown_as_a_mistake(
    old: str, new: str, validator: Draft202012Validator, offers: Mapping[str, Connection]
) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new)
    load_text("x", "x.toml", text, offers, {})
    assert [one.message for one in validator.iter_errors(tomllib.loads(text))] == []


def test_every_key_is_explained() -> None:
    unexplained = [path for path, one in properties(schema()) if not one.get("description") and path[0] not in inputs()]
    assert unexplained == []


def test_verbs_of_a_plugin_can_be_given() -> None:
    made = schema({"macro.apply": VERBS["ticket.set"]})
    step = {"id": "x", "do": "desk.macro.apply", "with": {"status_category": "opn"}}
    file = {
        "title": "x", "owner": "y", "use": {"desk": "z"},
        "trigger": [{"on": "ticket.changed", "from": "desk"}], "step": [step],
    }  # fmt: skip
    (error,) = Draft202012Validator(made).iter_errors(file)
    assert list(error.absolute_path) == ["step", 0, "with", "status_category"]
    # Verbs that are not known here take what they are given.
    step["do"] = "desk.widget.turn"
    assert list(Draft202012Validator(made).iter_errors(file)) == []


def inputs() -> set[str]:
    """What verbs and steps take: explained on the page about them, and by their names."""
    _, known = msgspec.json.schema_components([*VERBS.values(), *people.STEPS.values()])
    return set(known)


def properties(made: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for name, table in {**made["$defs"], "the file": made}.items():
        for key, one in table.get("properties", {}).items():
            yield (name, key), one
