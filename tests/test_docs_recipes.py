"""The page on recipes against the language: keys, fields, verbs, codes and bounds are compared, every example is run."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel

from cxbridge.cli.app import run
from cxbridge.core.actions import VERBS
from cxbridge.core.canonical import KINDS, Entity, Sentiment
from cxbridge.core.engine.given import SaidSo
from cxbridge.core.recipes import calls, operators, schema
from cxbridge.core.recipes.allowlist import LONGEST_EXPRESSION, LONGEST_TEMPLATE
from cxbridge.core.recipes.checks import people
from cxbridge.core.recipes.expressions import ITS, LINKED, MOVES, Band, Language, ValueMap
from cxbridge.core.recipes.filters import standard_filters
from cxbridge.core.recipes.functions import standard_functions
from cxbridge.core.recipes.inspection import DEEPEST, MOST_NODES
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS
from cxbridge.core.recipes.patterns import LONGEST_PATTERN
from cxbridge.core.recipes.surroundings import Surroundings, window_of
from cxbridge.core.recipes.templates import MOST_ITEMS
from cxbridge.core.recipes.values import BIGGEST_TEXT
from cxbridge.plugins.gainsight import Gainsight
from cxbridge.plugins.jira import Jira
from cxbridge.plugins.qualtrics import Qualtrics
from cxbridge.plugins.slack import Slack
from cxbridge.plugins.zendesk import Zendesk
from tests.documentation import OURS, ROOT, default_of, listed, made, page, spans, told_defaults
from tests.integration.scene import scene

CONNECTORS = (Zendesk, Jira, Gainsight, Qualtrics, Slack)

# -- tables and words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("Top level", schema.RecipeFile),
        ("canary", schema.Canary),
        ("[inputs.NAME]", schema.Input),
        ("[[trigger]]", schema.Trigger),
        ("[run]", schema.RunTable),
        ("[limits]", schema.Limits),
        ("[band.NAME]", schema.BandTable),
        ("[[step]]", schema.Step),
        ("[[sync]]", schema.Sync),
        ("[[sync.field]]", schema.SyncField),
        ("[[sync.comment]]", schema.SyncComment),
        ("[[follow]]", schema.Follow),
        ("[on_error]", schema.OnError),
        ("[on_error.retry]", schema.Retry),
        ("[[test]]", schema.TestCase),
        ("expect", schema.Expect),
    ],
)
def test_every_key_of_a_recipe_is_documented_with_its_default(heading: str, model: type[BaseModel]) -> None:
    real = {field.alias or name: default_of(field, tables=True) for name, field in model.model_fields.items()}
    if model is schema.Expect:
        assert real.pop("echoes")  # refused by this version, see "Not there yet"
    told = told_defaults(page("docs/recipes.md").table(heading, "Key"), "Key")
    assert told == real
    table = page("docs/recipes.md").table(heading, "Key")
    meanings = dict(zip((spans(cell)[0] for cell in table.column("Key")), table.column("Meaning"), strict=True))
    for name, field in model.model_fields.items():
        if (values := listed(field.annotation)) and (name, heading) != ("stage", "Top level"):
            assert set(values) <= set(spans(meanings[field.alias or name])), f"{heading} {name}"


@pytest.mark.parametrize(("heading", "step"), [("wait", "wait"), ("approve", "approve")])
def test_what_steps_with_people_take_is_documented(heading: str, step: str) -> None:
    known, required = people.inputs_of(step)
    table = page("docs/recipes.md").table(heading, "Key")
    told = [spans(cell)[0] for cell in table.column("Key")]
    # `clock` of a `wait` stands with the length that it counts.
    assert set(told) == set(known) - ({"clock"} if step == "wait" else set())
    if step == "approve":
        assert {name for name, default in told_defaults(table, "Key").items() if default == "required"} == set(required)


def test_stages() -> None:
    told = [spans(cell)[0] for cell in page("docs/recipes.md").table("Stages").column("Stage")]
    assert told == list(listed(schema.RecipeFile.model_fields["stage"].annotation))


def test_what_is_not_there_yet_is_all_told() -> None:
    prose = page("docs/recipes.md").prose.partition("## Not there yet")[2]
    told = {word for one in spans(prose) for word in re.findall(r"\w+", one)}
    planned = {*schema.PLANNED_STEPS}
    for model in (one for one in vars(schema).values() if isinstance(one, type) and issubclass(one, schema.Table)):
        planned |= model.planned
        for values in model.planned_values.values():
            planned |= values
    assert planned <= told
    assert told - planned <= {"echoes"}


def test_nouns_and_what_belongs_to_them() -> None:
    told: dict[str, tuple[str, set[str]]] = {}
    for names, kind, belongings in page("docs/recipes.md").table("Entities and fields", "Name").rows:
        told |= {name: (kind, set(spans(belongings))) for name in spans(names)}
    assert told == {noun: (kind, set(BELONGINGS.get(kind, {}))) for noun, kind in NOUNS.items()}


def test_fields() -> None:
    table = page("docs/recipes.md").table("Entities and fields", "Kind")
    told = dict(zip(table.column("Kind"), map(spans, table.column("Further fields")), strict=True))
    shared = Entity.__struct_fields__
    real = {
        kind: [name for name in KINDS[kind].__struct_fields__ if name not in shared] for kind in set(NOUNS.values())
    }
    assert {kind: sorted(names) for kind, names in told.items()} == {
        kind: sorted(names) for kind, names in real.items()
    }
    line = next(one for one in page("docs/recipes.md").prose.split("\n\n") if one.startswith("Fields of every kind"))
    assert {*shared, "id", "source"} <= set(spans(line))


def test_values_of_fields() -> None:
    table = page("docs/recipes.md").table("Entities and fields", "Field")
    told = {name: tuple(spans(values)) for names, values in table.rows for name in spans(names)}
    real = {
        f"{kind}.{name}": values
        for kind in set(NOUNS.values())
        for name, hint in get_type_hints(KINDS[kind]).items()
        if name in KINDS[kind].__struct_fields__ and name != "deleted_how" and (values := listed(hint))
    }
    assert told == real


def test_verbs() -> None:
    offered = {connector.name: {one.name for one in made(connector).actions()} for connector in CONNECTORS}
    told = {}
    for verb, inputs, *by in page("docs/recipes.md").table("Verbs").rows:
        told[spans(verb)[0]] = (re.findall(r"`(\w+)`(\*?)", inputs), *by)
    real = {
        verb: (
            [(one.name, "*" if one.required else "") for one in msgspec.structs.fields(inputs)],
            *("yes" if verb in offered[one.name] else "" for one in CONNECTORS),
        )
        for verb, inputs in VERBS.items()
        if verb != "link.ensure"
    }
    assert told == real
    assert set().union(*offered.values()) == set(VERBS)
    assert tuple(one.lower() for one in page("docs/recipes.md").table("Verbs").header[2:]) == tuple(offered)


def test_error_codes() -> None:
    table = page("docs/recipes.md").table("Error codes")
    told = {spans(code)[0]: (bool(ours), bool(theirs)) for code, ours, theirs in table.rows}
    real: dict[str, tuple[bool, bool]] = {}
    for file in (ROOT / "cxbridge").rglob("*.py"):
        name = file.relative_to(ROOT / "cxbridge").as_posix()
        both = name == "core/toml.py"
        for code in re.findall(r'"(CX\d{3})"', file.read_text(encoding="utf-8")):
            before = real.get(code, (False, False))
            real[code] = (
                before[0] or both or name.startswith("core/config"),
                before[1] or both or name.startswith("core/recipes/"),
            )
    assert told == real


# -- expressions -------------------------------------------------------------------------------------------------------


def example_scope() -> tuple[Language, dict[str, Any]]:
    given = json.loads(next(block.text for block in page("docs/recipes.md").blocks if block.language == "json"))
    maps = {name: ValueMap(name, entries) for name, entries in given.pop("maps").items()}
    bands = {name: Band(name, **ends, falling=False) for name, ends in given.pop("bands").items()}
    links, its, moves = given.pop("links"), given.pop("its"), given.pop("moves")
    judge = SaidSo(msgspec.convert(given.pop("sentiment"), Sentiment))
    around = Surroundings(windows=[window_of(one) for one in given.pop("windows")], judge=judge)
    hooks = {
        LINKED: lambda _record, relation: links.get(relation, []),
        ITS: lambda _record, name: its[name],
        MOVES: lambda _parts: [(one, True) for one in moves],
    }
    return Language(maps=maps, bands=bands, around=around), {**given, **hooks}


@pytest.mark.parametrize("heading", ["Operators", "Tests", "Functions", "Filters"])
def test_expressions_give_what_the_page_says(heading: str) -> None:
    language, scope = example_scope()
    table = page("docs/recipes.md").table(heading)
    for example, gives in zip(table.column("Example"), table.column("Gives"), strict=True):
        source = spans(example)[0]
        assert language.expression(source).evaluate(scope) == json.loads(spans(gives)[0]), source


def test_every_function_filter_and_test_is_documented() -> None:
    tables = {name: page("docs/recipes.md").table(name) for name in ("Tests", "Functions", "Filters")}
    filters = [spans(cell)[0] for cell in tables["Filters"].column("Filter")]
    assert sorted(filters) == sorted({*standard_filters(), *calls.RESERVED_FILTERS})
    for name, example in zip(filters, tables["Filters"].column("Example"), strict=True):
        assert re.search(rf"\| {name}\b", example), f"the example of {name} does not use it"
    forms: dict[str, Any] = {**standard_functions(), **calls._FUNCTION_FORMS}
    real = {f"{name}({', '.join(one.parameters)}{', …' if one.variadic else ''})" for name, one in forms.items()}
    assert {spans(cell)[0] for cell in tables["Functions"].column("Function")} == real
    tests = {re.findall(r" is (\w+)", spans(cell)[0])[0] for cell in tables["Tests"].column("Example")}
    assert tests == {*operators._TESTS, "defined", "in"}


def test_bounds() -> None:
    prose = " ".join(page("docs/recipes.md").prose.split())
    for told in (
        f"an expression has at most {LONGEST_EXPRESSION:,} characters, a template {LONGEST_TEMPLATE:,}",
        f"{MOST_NODES} parts, nested {DEEPEST} deep",
        f"at most {MOST_ITEMS:,} items",
        f"at most {BIGGEST_TEXT // 1024} KiB",
        f"up to {LONGEST_PATTERN} characters",
    ):
        assert told in prose


# -- recipes on the pages are recipes ----------------------------------------------------------------------------------

SETTINGS = """
[connections.zendesk]
connector = "zendesk"
subdomain = "acme"
access_token = { secret = "made-up" }

[connections.jira]
connector = "jira"
site = "acme"
email = "integration@example.com"
api_token = { secret = "made-up" }
projects = ["ENG"]

[connections.slack]
connector = "slack"
token = { secret = "made-up" }

[connections.qualtrics]
connector = "qualtrics"
datacenter = "fra1"
api_token = { secret = "made-up" }
"""
HEAD = 'title = "An example"\nowner = "support-ops"\nuse = { desk = "zendesk", tracker = "jira" }\n'
TRIGGER = '\n[[trigger]]\non = "ticket.changed"\nfrom = "desk"\n'
STEP = """
[[step]]
id = "issue"
do = "tracker.issue.ensure"
with = { subject = "{{ ticket.subject }}" }
"""


def completed(text: str) -> str:
    """A part of a recipe with what it lacks to be a whole one."""
    has = tomllib.loads(text)
    head = "" if "title" in has else HEAD
    tail = "" if "trigger" in has else TRIGGER
    return head + text + tail + ("" if {"step", "sync", "follow"} & has.keys() else STEP)


def test_recipes_on_the_pages_load_and_their_tests_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cxbridge.toml").write_text(SETTINGS)
    for folder in ("secrets", "recipes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secrets" / "made-up").write_text("made-up")
    shown = [(name, block) for name in OURS for block in page(name).blocks if block.language == "toml"]
    shown = [(name, block) for name, block in shown if not block.text.startswith("# cxbridge.toml")]
    assert len(shown) > 8
    for name, block in shown:
        file = f"{Path(name).stem.lower()}-line-{block.line}.toml"
        (tmp_path / "recipes" / file).write_text(completed(block.text), encoding="utf-8")
    for command in ("check", "test"):
        code = run(["recipes", command, "--config", str(tmp_path / "cxbridge.toml")])
        told = capsys.readouterr()
        assert code == 0, told.out + told.err


def test_the_smallest_recipe_makes_one_issue_per_ticket(tmp_path: Path) -> None:
    recipe = next(block.text for block in page("README.md").blocks if block.text.startswith("# recipes/"))
    with scene(tmp_path) as stage:
        for file in (tmp_path / "recipes").glob("*.toml"):
            file.unlink()
        (tmp_path / "recipes" / "urgent-tickets.toml").write_text('stage = "live"\n' + recipe, encoding="utf-8")
        for number in (7001, 7002):
            stage.ticket(number, priority="urgent")
        stage.cycle()
        stage.agent(7001, tags_add=["vip"])
        stage.cycle()
        assert stage.bridge.library.errors == ()
        assert len(stage.issues()) == 2
        assert len(stage.runs()) == 3
