"""Mistakes in recipes are refused at load: each with its line, its column, a caret under it and the likeliest remedy."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cxbridge.core.clock import ManualClock
from cxbridge.core.config import load
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.trial import run_tests
from cxbridge.core.errors import Problem, RecipeError
from cxbridge.core.recipes.load import load_file, load_folder, load_text
from cxbridge.core.store import Store
from tests.recipes import mistakes, mistakes_of_the_loop
from tests.recipes.conftest import SHIPPED, Check
from tests.recipes.mistakes import Edit

NAME = "escalation-to-jira"
TEXT = (SHIPPED / f"{NAME}.toml").read_text(encoding="utf-8")
LOOP = (Path(__file__).parent / "loop.toml").read_text(encoding="utf-8")


def edited(edit: Edit, whole: str = TEXT) -> tuple[str, int, str]:
    """Make an edit; gives the text, and where the mistake begins and what it consists of."""
    assert whole.count(edit.old) >= 1, f"the recipe no longer says {edit.old!r}"
    marked = whole.replace(edit.old, edit.new, 1)
    start, end = marked.index("«"), marked.index("»")
    return marked.replace("«", "").replace("»", ""), start, marked[start + 1 : end]


def test_the_recipe_that_is_edited_has_no_mistake(check: Check) -> None:
    assert check(TEXT) == ()


@pytest.mark.parametrize("edit", mistakes.ALL.values(), ids=mistakes.ALL)
def test_mistake_is_told_at_its_place_with_its_remedy(edit: Edit, check: Check, tmp_path: Path) -> None:
    text, start, wrong = edited(edit)
    (problem,) = check(text)
    assert_told(edit, text, start, wrong, problem, tmp_path)


@pytest.mark.parametrize("edit", mistakes_of_the_loop.ALL.values(), ids=mistakes_of_the_loop.ALL)
def test_mistake_with_feedback_time_and_people_is_told_at_its_place(
    edit: Edit, roles: Mapping[str, Connection], tmp_path: Path
) -> None:
    text, start, wrong = edited(edit, LOOP)
    (tmp_path / f"{NAME}.toml").write_text(text, encoding="utf-8")
    (error,) = load_folder(tmp_path, roles, {}).errors
    (problem,) = error.problems
    assert_told(edit, text, start, wrong, problem, tmp_path)


def test_the_other_recipe_that_is_edited_has_no_mistake_and_its_tests_pass(
    roles: Mapping[str, Connection], sqlite_store: Store, clock: ManualClock
) -> None:
    recipe = load_text("loop", "loop.toml", LOOP, roles, {})
    assert [(one.name, one.told) for one in run_tests(recipe, sqlite_store, roles, clock)] == [
        (case.name, ()) for case in recipe.tests
    ]


def assert_told(edit: Edit, text: str, start: int, wrong: str, problem: Problem, folder: Path) -> None:
    """Place, line, caret, message and remedy are those of the edit."""
    before = text[:start]
    line, column = before.count("\n") + 1, start - before.rfind("\n")
    shown = text.split("\n")[line - 1]
    told = str(problem).split("\n")
    assert told[0].startswith(f"{folder / NAME}.toml:{line}:{column}: error {edit.code} ")
    assert edit.message in told[0]
    assert told[1] == f"{line:>5} | {shown}"
    lead = "".join(one if one == "\t" else " " for one in shown[: column - 1])
    assert told[2].startswith(f"      | {lead}{'^' * max(1, len(wrong.strip()))}")
    assert told[2].removeprefix(f"      | {lead}").lstrip("^").strip() == problem.hint
    assert edit.hint in problem.hint
    assert len(told) == 3


def test_nearly_all_of_them_come_with_a_remedy() -> None:
    both = mistakes.ALL | mistakes_of_the_loop.ALL
    without = [name for name, edit in both.items() if not edit.hint and not edit.message]
    assert len(both) >= 200
    assert len(without) <= 10, without
    told_how = [edit for edit in both.values() if edit.hint]
    assert len(told_how) / len(both) >= 2 / 3


@pytest.mark.parametrize(
    "name", ["names: field on a later line of a text", "names: field behind escapes", "form: table"]
)
def test_windows_line_ends_move_nothing(name: str, check: Check) -> None:
    text, _, _ = edited(mistakes.ALL[name])
    (unix,) = check(text)
    (windows,) = check(text.replace("\n", "\r\n"))
    assert windows == unix


def test_recipe_with_windows_line_ends_and_byte_order_mark_loads(check: Check) -> None:
    assert check(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()) == ()


def test_byte_order_mark_moves_nothing(check: Check) -> None:
    (problem,) = check(b"\xef\xbb\xbf" + TEXT.replace("#:schema", "x = 1\n#:schema", 1).encode())
    assert (problem.line, problem.column, problem.code) == (1, 1, "CX012")


def test_line_separators_inside_a_text_are_no_line_ends(check: Check) -> None:
    text = TEXT.replace("Customer: {{", "One\u2028two\x85three\nCustomer: {{").replace(
        "account.tier in", "account.teir in"
    )
    (problem,) = check(text)
    assert text.split("\n")[problem.line - 1] == problem.source
    assert "account.teir" in problem.source


# -- all at once -------------------------------------------------------------------------------------------------------

SIX = (
    ('stage   = "shadow"', 'stage   = "shaddow"'),
    ('desk    = "zendesk"', 'desk    = "zendsk"'),
    ('every    = "15m"', 'every    = "15x"'),
    ("account.tier in", "account.teir in"),
    ("same_as  =", "sameas  ="),
    ('map   = "priority"', 'map   = "prority"'),
    ("issue.resolution in", "issue.resolutoin in"),
    ('stopped_at = "right_tier"', 'stopped_at = "right_teir"'),
)


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file(check: Check) -> None:
    text = TEXT
    for old, new in SIX:
        text = text.replace(old, new, 1)
    problems = check(text)
    assert [one.line for one in problems] == sorted(one.line for one in problems)
    lines = text.split("\n")
    assert [next(new for _, new in SIX if new in lines[one.line - 1]) for one in problems] == [new for _, new in SIX]
    assert [one.code for one in problems] == [
        "CX014", "CX030", "CX014", "CX021", "CX023", "CX035", "CX021", "CX045"
    ]  # fmt: skip


def test_what_is_missing_hides_nothing(check: Check) -> None:
    text = (
        TEXT.replace('id = "issue"\n', "").replace('owner   = "support-ops"\n', "").replace("ticket.url", "ticket.ulr")
    )
    assert [(one.code, one.hint) for one in check(text)] == [
        ("CX010", 'add owner = "…"'),
        ("CX010", 'add id = "…"'),
        ("CX021", "did you mean `ticket.url`?"),
    ]


def test_a_refused_trigger_hides_nothing(check: Check) -> None:
    text = TEXT.replace('"ticket.changed"', '"tikcet.chnaged"').replace("account.tier in", "account.teir in")
    assert [one.code for one in check(text)] == ["CX032", "CX021"]


UNMAPPED = 'unmapped = "hold"                     # a ticket without a priority waits for a person'
FOLLOW = 'id       = "fixed"\non       = "issue.changed"\n'
EXPECT = 'expect = { writes = 0, held = "priority" }'


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ('[use]\ndesk    = "zendesk"\ntracker = "jira"\n', "", "CX010"),
        ('desk    = "zendesk"', "desk    = 5", "CX014"),
        ('desk    = "zendesk"', 'Desk    = "zendesk"\ndesk = "zendesk"', "CX014"),
        (UNMAPPED, "unmapped = []", "CX035"),
        ('project = { type = "text", default', 'project = { typ = "text", default', "CX010,CX012"),
        ('do = "tracker.issue.ensure"           #', "#", "CX010"),
        (FOLLOW, 'id       = "fixed"\n', "CX010"),
        (FOLLOW, FOLLOW.replace("issue.changed", "isue.changd"), "CX032"),
        ('owner = "left"\njoin', "join", "CX010"),
        ('join  = "max"', 'join  = "most"', "CX014"),
        ('many     = "left"', 'many     = "lft"', "CX014"),
        ('fields = ["tags", "priority", "status_category", "problem"]', "fields = [5, 6]", "CX014,CX014"),
        ('owner   = "support-ops"', 'owner   = "support-ops"\nlimits = 5', "CX001"),
        ("writes_per_run  = 6\nwrites_per_hour = 600\n", 'writes_per_run = "6"\nwrites_per_hour = 0\n', "CX014,CX014"),
        (EXPECT, "expect = { wirtes = 0 }", "CX012"),
        (EXPECT, "", "CX010"),
    ],
)
def test_one_mistake_is_told_once(old: str, new: str, codes: str, check: Check) -> None:
    assert old in TEXT
    assert ",".join(one.code for one in check(TEXT.replace(old, new, 1))) == codes


def test_file_without_triggers(check: Check) -> None:
    start, end = TEXT.index("[[trigger]]"), TEXT.index("[when]")
    (problem,) = check(TEXT[:start] + TEXT[end:])
    assert (problem.code, problem.hint) == ("CX010", 'add [[trigger]] on = "ticket.changed"')


def test_file_that_does_nothing(check: Check) -> None:
    text = 'title = "x"\nowner = "y"\nuse = { desk = "zendesk" }\n[[trigger]]\non = "ticket.changed"\nfrom = "desk"\n'
    (problem,) = check(text)
    assert "the recipe does nothing" in problem.message


def test_empty_file(check: Check) -> None:
    assert {one.code for one in check("")} == {"CX010"}
    assert len(check("")) == 5


def test_two_unnamed_triggers_of_one_event(check: Check) -> None:
    text = TEXT.replace("[when]", '[[trigger]]\non = "ticket.changed"\nfrom = "desk"\n\n[when]')
    assert check(text) == ()
    text = text.replace('id     = "changed"\n', "")
    (problem,) = check(text)
    assert problem.code == "CX042"
    assert text.split("\n")[problem.line - 1] == "[[trigger]]"
    assert text.split("\n")[problem.line] == 'on = "ticket.changed"'


def test_changes_in_a_recipe_that_has_schedules_only(check: Check) -> None:
    start = TEXT.index("[[trigger]]")
    text = TEXT[:start] + TEXT[TEXT.index("[[trigger]]", start + 1) :]
    text = text.replace("account.tier in", "changed(ticket.tags) and account.tier in")
    (problem,) = check(text)
    assert (problem.code, problem.hint) == ("CX038", "only a trigger with `on` tells of changes")


def test_text_with_braces_that_are_no_template(check: Check) -> None:
    (problem,) = check(TEXT.replace("engineering as {{ issue.source_key }}", "engineering as { issue.source_key }"))
    assert (problem.code, problem.hint, problem.length) == ("CX036", "write {{ issue.source_key }}", 20)
    (problem,) = check(TEXT.replace('project  = "{{ inputs.project }}"', 'project  = "inputs.project }}"'))
    assert (problem.code, problem.hint, problem.length) == ("CX036", "open them with {{", 2)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_broken_file_turns_off_only_itself(tmp_path: Path, offers: Mapping[str, Connection]) -> None:
    (tmp_path / "one.toml").write_text(TEXT)
    (tmp_path / "two.toml").write_text(TEXT.replace("account.tier in", "account.teir in"))
    (tmp_path / "three.toml").write_text("title = \n")
    (tmp_path / "notes.txt").write_text("no recipe")
    loaded = load_folder(tmp_path, offers, {})
    assert [one.id for one in loaded.recipes] == ["one"]
    assert [Path(one.path).name for one in loaded.errors] == ["three.toml", "two.toml"]
    assert loaded.recipes[0].process == "escalation"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Escalation to Jira", "call the file escalation-to-jira.toml"), ("1st", ""), ("a_b", "a-b.toml")],
)
def test_file_name_that_is_no_id(name: str, hint: str, check: Check) -> None:
    (problem,) = check(TEXT, name)
    assert (problem.code, problem.line) == ("CX040", 0)
    assert repr(name) in str(problem).split("\n")[0]
    assert hint in problem.hint


def test_file_that_is_no_text(check: Check) -> None:
    (problem,) = check("# ä\n".encode() + "größe = 1".encode("latin-1"))
    assert (problem.code, problem.line, problem.column) == ("CX000", 2, 3)
    assert "UTF-8" in problem.hint


def test_file_that_cannot_be_read(tmp_path: Path, offers: Mapping[str, Connection]) -> None:
    (tmp_path / "folder.toml").mkdir()
    (error,) = load_folder(tmp_path, offers, {}).errors
    assert (error.problems[0].code, error.exit_code) == ("CX000", 65)


def test_relation_that_another_recipe_makes(tmp_path: Path, offers: Mapping[str, Connection]) -> None:
    (tmp_path / "one.toml").write_text(TEXT)
    start, end = TEXT.index('[[step]]\nid   = "join"'), TEXT.index('[[step]]\nid   = "note"')
    without = TEXT[:start] + TEXT[end:]
    (tmp_path / "two.toml").write_text(without)
    assert load_folder(tmp_path, offers, {}).errors == ()
    (tmp_path / "one.toml").unlink()
    (error,) = load_folder(tmp_path, offers, {}).errors
    assert {one.code for one in error.problems} == {"CX037"}
    assert len(error.problems) == 4
    # Alone, nobody knows what others make: an older version that a run began under must load as it did then.
    assert load_text("two", "two", without, offers, {}).id == "two"
    assert load_file(tmp_path / "two.toml", offers, {}).id == "two"


# -- what cxbridge.toml gives ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "message", "hint"),
    [
        ("projct", '"OPS"', "has no input `projct`", "did you mean `project`?"),
        ("tiers", '"gold"', "must be a list", ""),
        ("project", "5", "the input `project` (key of the Jira project that receives the issues)", ""),
    ],
)
def test_input_of_the_settings(
    name: str, given: str, message: str, hint: str, tmp_path: Path, offers: Mapping[str, Connection]
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / f"{NAME}.toml").write_text(TEXT)
    settings = tmp_path / "cxbridge.toml"
    settings.write_text(f"# größer\n[recipes.inputs.{NAME}]\n{name} = {given}\n")
    read = load(settings, {})
    (error,) = load_folder(read.recipes_dir, offers, read.settings.recipes.inputs).errors
    (problem,) = error.problems
    column = 1 if hint else len(name) + 4
    assert str(problem).startswith(f"{settings}:3:{column}: error CX041 ")
    assert message in problem.message
    assert problem.hint == hint
    # The recipe is what is off, not the settings.
    assert Path(error.path).stem == NAME


def test_inputs_of_a_recipe_that_is_not_there(tmp_path: Path, offers: Mapping[str, Connection]) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / f"{NAME}.toml").write_text(TEXT)
    settings = tmp_path / "cxbridge.toml"
    settings.write_text('[recipes.inputs.escalation-jira]\nproject = "OPS"\n')
    read = load(settings, {})
    loaded = load_folder(read.recipes_dir, offers, read.settings.recipes.inputs)
    assert [one.id for one in loaded.recipes] == [NAME]
    (problem,) = loaded.errors[0].problems
    assert str(problem).startswith(f"{settings}:1:17: error CX041 ")
    assert problem.hint == f"did you mean `{NAME}`?"


def test_inputs_that_come_from_nowhere_in_particular(offers: Mapping[str, Connection]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_text(NAME, "x.toml", TEXT, offers, {"projct": "OPS"})
    assert [(one.path, one.code) for one in caught.value.problems] == [("the settings", "CX041")]


def test_inputs_take_the_place_of_defaults_and_make_another_version(offers: Mapping[str, Connection]) -> None:
    plain = load_text(NAME, "x.toml", TEXT, offers, {})
    other = load_text(NAME, "x.toml", TEXT, offers, {"project": "OPS"})
    assert (plain.inputs["project"], other.inputs["project"]) == ("ENG", "OPS")
    assert plain.version != other.version


def test_input_without_a_value(check: Check) -> None:
    (problem,) = check(TEXT.replace('default = "ENG", about', "about"))
    assert problem.code == "CX041"
    assert "project" in problem.source
    assert problem.hint == f"set it in cxbridge.toml: [recipes.inputs.{NAME}] project = …"


def test_what_another_recipe_links_is_known_here(tmp_path: Path, roles: Mapping[str, Connection]) -> None:
    (tmp_path / "one.toml").write_text(LOOP)
    text = """
title = "x"
owner = "y"
use = { survey = "survey", desk = "zendesk" }

[[trigger]]
on = "feedback.changed"
from = "survey"

[[step]]
id = "note"
do = "desk.comment.add_once"
for_each = "linked(feedback, 'about')"
with = { visibility = "internal", body = "{{ item.subject }} {{ item.verbatim }}" }
"""
    (tmp_path / "two.toml").write_text(text)
    (error,) = load_folder(tmp_path, roles, {}).errors
    assert [(Path(one.path).stem, one.code, one.message) for one in error.problems] == [
        ("two", "CX021", "unknown field `item.verbatim`")
    ]
    # Alone, nobody knows what is linked: it is let pass.
    assert load_text("two", "two.toml", text, roles, {}).id == "two"
