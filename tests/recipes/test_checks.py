"""What the checks let pass and what they do not, where one edit of the shipped recipe is not enough to show it."""

import re
from collections.abc import Mapping

import pytest

from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import RecipeError
from cxbridge.core.recipes.load import load_text
from tests.recipes.conftest import SHIPPED, Check

TEXT = (SHIPPED / "escalation-to-jira.toml").read_text(encoding="utf-8")
SYNC = """
[[sync.field]]
left  = "ticket.priority"
right = "issue.priority"
owner = "left"
join  = "max"                         # the most pressing ticket decides
map   = "priority"
"""
COMMENTS = [(found, "") for found in re.findall(r"^\[\[sync\.comment\]\].*\n(?:\S.*\n)*", TEXT, re.MULTILINE)]
SMALL = """
title = "x"
owner = "y"
use = { desk = "zendesk" }

[[trigger]]
on = "ticket.changed"
from = "desk"

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "x" }
"""


def edited(*edits: tuple[str, str], text: str = TEXT) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


# -- conditions that can hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "ticket.priority == 'high' or ticket.severity == none or ticket.severity != 'S1'",
        "ticket.priority in ['high', none] and ticket.resolution is none",
        "ticket.priority in (['high'] if account.tier == 'x' else ['low'])",
        "(ticket.severity | default('none')) in ['S1', 'none']",
        "coalesce(ticket.severity, 'unknown') == 'unknown'",
        "was(ticket.priority) == 'low' and changed(ticket.priority) and changed(ticket.custom.region)",
        "ticket.tags == [] or 'vip' in ticket.tags or size(ticket.tags) > 2",
        "'lead' in assignee.roles or assignee.active == true",
        "ticket.attachments[0].name == 'x' and ticket.custom['any thing'] == 5 and ticket.custom.a.b == 'x'",
        "ticket.custom.region == 5 or ticket.custom.region == 'EMEA'",
        "ticket.reply_count >= 3 or ticket.created_at < now",
        "ticket.changed_by.kind == 'person' and before.priority == 'high'",
        "inputs.level == 'gold' and inputs.count == 3 and inputs.wait == '4h' and 'a' in inputs.names",
        "event.type == 'ticket.created' and event.trigger in ['on_changed'] and event.at < now",
        "linked(ticket, relation='mentions') or not linked(record=ticket, relation='mentions')",
        "'x' == 'y' or 1 == 2",
        "ticket.custom.a == ticket.priority and ticket.priority == account.tier",
        "ticket.subject ~ account.name == 'x'",
        "(account.name | lower) == 'x'",
    ],
)
def test_condition_that_can_hold(condition: str, offers: Mapping[str, Connection]) -> None:
    inputs = """
[inputs]
level = { type = "choice", of = ["gold", "silver"], default = "gold" }
count = { type = "number", default = 3 }
wait  = { type = "duration", default = "4h" }
names = { type = "list", default = ["a"] }
"""
    text = SMALL.replace("[[trigger]]", f'{inputs}\n[when]\nit = "{condition}"\n\n[[trigger]]')
    recipe = load_text("x", "x.toml", text, offers, {})
    assert [one.name for one in recipe.conditions] == ["it"]


@pytest.mark.parametrize(
    ("condition", "code", "told"),
    [
        ("ticket.reply_count == '3'", "CX022", "is a number and never '3'"),
        ("assignee.active == 'yes'", "CX022", "is true or false and never 'yes'"),
        ("coalesce(ticket.severity, ticket.priority) == 'hihg'", "CX022", "is never 'hihg'"),
        ("ticket.priority in (['high'] if account.tier == 'x' else ['lw'])", "CX022", "is never 'lw'"),
        ("'high' < ticket.priority", "CX026", "is a word, which is no more or less"),
        ("ticket == 'x'", "CX022", "`ticket` is a whole record"),
        ("inputs.level == 'god'", "CX022", "it is one of gold, silver"),
        ("event.type == 'ticket.changed'", "CX022", "it is one of ticket.created, ticket.updated"),
        ("ticket[0] == 'x'", "CX021", "`ticket` is no list"),
        ("ticket.custom[0] == 'x'", "CX021", "is no list"),
        ("ticket.subject.length == 5", "CX021", "is a single value"),
        ("ticket.requester.nmae == 'x'", "CX021", "is a single value"),
        ("now.year == 2026", "CX021", "unknown field `now.year`"),
        ("linked(ticket, 'x') and changed(before.priority)", "CX038", "only the ticket was changed"),
    ],
)
def test_condition_that_cannot_hold(condition: str, code: str, told: str, offers: Mapping[str, Connection]) -> None:
    inputs = '[inputs]\nlevel = { type = "choice", of = ["gold", "silver"], default = "gold" }\n'
    text = SMALL.replace("[[trigger]]", f'{inputs}\n[when]\nit = "{condition}"\n\n[[trigger]]')
    with pytest.raises(RecipeError, match=code) as caught:
        load_text("x", "x.toml", text, offers, {})
    assert told in str(caught.value)


# -- maps, inputs, canaries --------------------------------------------------------------------------------------------

KIND = '[map.kind]\nurgent = "bug"\nhigh = "taask"\n\n[map.priority]'


@pytest.mark.parametrize(
    ("edits", "codes", "told"),
    [
        ([("[map.priority]", "[map.empty]\n\n[map.priority]")], "CX035", "the map `empty` has no entries"),
        ([('unmapped = "hold"', 'unmapped = "pass"')], "", ""),
        ([('unmapped = "hold"', 'unmapped = "Medium"')], "", ""),
        ([('unmapped = "hold"', "unmapped = 5")], "", ""),
        # A map's values, where only some are taken.
        (
            [("[map.priority]", KIND), ('type     = "bug"', "type     = \"{{ ticket.priority | map('kind') }}\"")],
            "CX025",
            "'taask' is not taken where this map is used",
        ),
        (
            [
                ("[map.priority]", '[map.kind]\nhigh = "S6"\n\n[map.priority]'),
                (SYNC, SYNC.replace("issue.priority", "issue.severity").replace('"priority"', '"kind"')),
            ],
            "CX025",
            "the map gives 'S6', which the other side does not take: it takes S1, S2, S3, S4",
        ),
        # A map that is asked for words of two fields may list both.
        (
            [
                ("[map.priority]", '[map.both]\nhigh = "x"\nbug = "y"\n\n[map.priority]'),
                ("Ticket: {{", "{{ ticket.priority | map('both') }}{{ ticket.type | map('both') }} {{"),
            ],
            "",
            "",
        ),
        (
            [
                ("[map.priority]", '[map.both]\nhihg = "x"\n\n[map.priority]'),
                ("Ticket: {{", "{{ ticket.custom.x | map('both') }} {{"),
            ],
            "",
            "",
        ),
        (
            [('type = "text", default = "ENG"', 'type = "choice", default = "ENG"')],
            "CX041",
            "has nothing to choose from",
        ),
        (
            [('type = "text", default = "ENG"', 'type = "duration", default = "4x"')],
            "CX041",
            "is not a duration like 4h",
        ),
        ([('type = "text", default = "ENG"', 'type = "number", default = true')], "CX041", "is not a number"),
        ([('window   = "30d"', 'window   = "99999999999999d"')], "CX014", "is longer than time lasts"),
        ([('stage   = "shadow"', 'stage   = "canary"\ncanary = { accounts = ["northwind"] }')], "", ""),
    ],
)
def test_premises(edits: list[tuple[str, str]], codes: str, told: str, check: Check) -> None:
    problems = check(edited(*edits))
    assert ",".join(one.code for one in problems) == codes
    assert told in "".join(one.message for one in problems)


def test_canary_of_what_has_no_account(check: Check) -> None:
    text = SMALL.replace("ticket.changed", "article.changed").replace(
        'owner = "y"', 'owner = "y"\nstage = "canary"\ncanary = { share = "5%" }'
    )
    codes = {one.code: one.message for one in check(text)}
    assert "no account belongs to a article" in codes["CX047"]
    # The same recipe comments on tickets, and an article is none.
    assert codes["CX046"] == "`comment.add_once` acts on tickets, and this recipe is about a article"
    assert len(codes) == 2


# -- steps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "codes", "told"),
    [
        ([('left = "{{ ticket.id }}"', "left = 5")], "CX025", "`left` must be a text in quotes"),
        ([('left = "{{ ticket.id }}"', 'left = "ticket"')], "CX025", "`left` must be the id of a record"),
        ([('left = "{{ ticket.id }}"', 'left = "zendesk/tickets/5"')], "", ""),
        ([('left = "{{ ticket.id }}"', 'left = "{{ ticket.problem or ticket.id }}"')], "", ""),
        ([('left = "{{ ticket.id }}"', 'left = "{{ ticket.problem }}"')], "", ""),
        ([('left = "{{ ticket.id }}"', 'left = "{{ tiket.id }}"')], "CX021", "unknown name `tiket`"),
        ([('left = "{{ ticket.id }}"', 'left = "{{ ticket. }}"')], "CX036", ""),
        ([('relation = "escalated_to" }', 'relation = "Escalated To" }')], "CX025", "is no relation"),
        # A relation that is worked out in a run is known to nobody before.
        ([('relation = "escalated_to" }', 'relation = "{{ inputs.project }}" }')], "", ""),
        ([("labels   =", 'custom   = { region = "{{ account.region }}" }\nlabels   =')], "", ""),
        ([("labels   =", 'custom   = { region = "{{ account.regoin }}" }\nlabels   =')], "CX021", "account.regoin"),
        ([("labels   =", "custom   = 5\nlabels   =")], "CX025", "it must be a table"),
        ([('labels   = ["from-support"]', 'labels   = ["from-support", 5]')], "CX025", "it must be a list"),
        ([('type     = "bug"', 'type     = "{{ }}"')], "CX036", ""),
        ([('type     = "bug"', 'type     = "S{{ ticket.priority }}"')], "", ""),
        ([('id   = "note"', 'id   = "note"\nif   = "issue.id is not none and issue.changed"')], "", ""),
        ([('id   = "note"', 'id   = "note"\nif   = "issue.skipped"')], "CX021", "unknown field `issue.skipped`"),
        ([('id   = "note"', 'id   = "note"\nif   = ""')], "CX036", "there is nothing here"),
        ([('do   = "desk.comment.add_once"', 'do   = "desk.note.addition"')], "CX034", "offers no `note.addition`"),
        ([('do   = "desk.comment.add_once"', 'do   = "comment"')], "CX034", "reads neither role.entity.verb nor"),
    ],
)
def test_steps(edits: list[tuple[str, str]], codes: str, told: str, check: Check) -> None:
    problems = check(edited(*edits))
    assert ",".join(one.code for one in problems) == codes
    assert told in "".join(one.message for one in problems)


STOP = """
[[step]]
id = "end"
do = "stop"
if = "ticket.priority == 'low'"
with = { reason = "nobody is waiting" }

[[step]]
id = "mentioned"
do = "link"
if = "ticket.problem is not none"
with = { left = "{{ ticket.id }}", right = "{{ ticket.problem }}", relation = "mentions" }
"""


def test_steps_of_the_core_keep_their_conditions(offers: Mapping[str, Connection]) -> None:
    recipe = load_text("x", "x.toml", SMALL + STOP, offers, {})
    held = {one.id: one.condition and one.condition.source for one in recipe.steps}
    assert held == {"note": None, "end": "ticket.priority == 'low'", "mentioned": "ticket.problem is not none"}
    assert recipe.steps[1].inputs.values == {"reason": "nobody is waiting"}


# -- links -------------------------------------------------------------------------------------------------------------

OTHER = '\n[[sync.field]]\nleft = "{left}"\nright = "{right}"\nowner = "right"\n'


@pytest.mark.parametrize(
    ("edits", "codes", "told"),
    [
        ([(SYNC, ""), *COMMENTS], "CX010", "a [[sync]] needs at least one [[sync.field]] or [[sync.comment]]"),
        ([(SYNC, SYNC + OTHER.format(left="ticket.custom.eng_status", right="issue.status_native"))], "", ""),
        (
            [(SYNC, SYNC + OTHER.format(left="ticket.custom", right="issue.subject"))],
            "CX033",
            "write ticket.custom.NAME",
        ),
        (
            [(SYNC, SYNC + OTHER.format(left="ticket.custom.a.b", right="issue.subject"))],
            "CX033",
            "write ticket.custom.NAME",
        ),
        (
            [(SYNC, SYNC + OTHER.format(left="ticket.subject.x", right="issue.subject"))],
            "CX033",
            "write ticket.subject",
        ),
        (
            [(SYNC, SYNC + OTHER.format(left="account.name", right="issue.subject"))],
            "CX031",
            "which role has the account",
        ),
        (
            [(SYNC, SYNC + OTHER.format(left="issue.subject", right="ticket.subject"))],
            "CX044",
            "one [[sync]] is about one pair: the first field about ticket and issue",
        ),
        ([(SYNC, OTHER.format(left="ticket.subject", right="ticket.subject"))], "CX044", "in the same connection"),
        (
            [(SYNC, OTHER.format(left="ticket.status_category", right="issue.priority"))],
            "CX044",
            "the other takes only new, open",
        ),
        ([(SYNC, OTHER.format(left="ticket.severity", right="issue.severity"))], "", ""),
    ],
)
def test_syncs(edits: list[tuple[str, str]], codes: str, told: str, check: Check) -> None:
    problems = check(edited(*edits))
    assert ",".join(one.code for one in problems) == codes
    assert told in "".join(one.message for one in problems)


def test_the_side_that_no_trigger_names_is_the_role_that_is_left(offers: Mapping[str, Connection]) -> None:
    text = SMALL.replace('desk = "zendesk"', 'desk = "zendesk", tracker = "jira"')
    start = text.index("[[step]]")
    text = text[:start] + f'[[sync]]\nrelation = "escalated_to"\n{SYNC}'.replace('join  = "max"', "#").replace(
        "map ", "#"
    )
    recipe = load_text("x", "x.toml", text, offers, {})
    assert (recipe.syncs[0].left_connection, recipe.syncs[0].right_connection) == ("zendesk", "jira")
    assert (recipe.syncs[0].fields[0].connection, recipe.syncs[0].fields[0].action) == ("jira", "issue.set")


# -- triggers ----------------------------------------------------------------------------------------------------------


def swept(find: str, role: str = "desk") -> str:
    text = SMALL.replace('use = { desk = "zendesk" }', 'use = { desk = "zendesk", tracker = "jira" }')
    return text.replace('on = "ticket.changed"\nfrom = "desk"', f'every = "1h"\nfrom = "{role}"\nfind = "{find}"')


def test_what_a_sweep_is_about_is_what_its_find_speaks_of(offers: Mapping[str, Connection]) -> None:
    recipe = load_text("x", "x.toml", swept("age(ticket.updated_at) > '3d' and inputs is defined"), offers, {})
    assert (recipe.noun, recipe.triggers[0].id, recipe.triggers[0].sweeps) == ("ticket", "schedule_1", True)


def test_sweep_about_nothing(check: Check) -> None:
    problems = check(swept("1 == 1"))
    assert [one.code for one in problems] == ["CX032"]
    assert "not clear what this trigger is about" in problems[0].message


def test_sweep_over_what_the_connection_does_not_yield(check: Check) -> None:
    problems = check(swept("article.title == 'x'", "tracker"))
    assert "connector jira yields no article" in problems[0].message


def test_a_deletion_has_a_before(offers: Mapping[str, Connection]) -> None:
    text = SMALL.replace("ticket.changed", "ticket.deleted").replace(
        "[[step]]", "[when]\nit = \"was(ticket.priority) == 'high'\"\n\n[[step]]"
    )
    assert load_text("x", "x.toml", text, offers, {}).triggers[0].event == "deleted"


def test_a_creation_has_none(check: Check) -> None:
    text = SMALL.replace("ticket.changed", "ticket.created").replace(
        "[[step]]", "[when]\nit = \"was(ticket.priority) == 'high'\"\n\n[[step]]"
    )
    assert [one.code for one in check(text)] == ["CX038"]


# -- tests in the file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "codes", "told"),
    [
        (
            [('account = { name = "Solo", tier = "self_serve" }', 'account = "Solo"')],
            "CX045",
            "`account` is a table of fields",
        ),
        (
            [('account = { name = "Solo"', 'account = { source = "x", name = "Solo"')],
            "CX045",
            "follows from the trigger",
        ),
        ([("step = { issue = {", 'step = { join = { relation = "escalated_to" }, issue = {')], "", ""),
        ([("step = { issue = {", 'step = { join = { relatoin = "escalated_to" }, issue = {')], "CX023", "relatoin"),
        ([('stopped_at = "right_tier" }', 'stopped_at = "right_tier" }\nat = "2026-05-06T09:00:00Z"')], "", ""),
        (
            [("given  = { ticket = {", 'given  = { before = { priority = "hgh" }, ticket = {')],
            "CX022",
            "is never 'hgh'",
        ),
    ],
)
def test_cases(edits: list[tuple[str, str]], codes: str, told: str, check: Check) -> None:
    problems = check(edited(*edits))
    assert ",".join(one.code for one in problems) == codes
    assert told in "".join(one.message for one in problems)
