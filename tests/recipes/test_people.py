"""What recipes may say about people and time: waits, questions with their forms, and contacting customers."""

from collections.abc import Mapping

import pytest

from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import Problem, RecipeError
from cxbridge.core.recipes.load import load_text
from cxbridge.core.recipes.model import Recipe
from tests.core.engine.little_company import Vendors, connector

HEAD = """
title = "x"
owner = "y"
use = { desk = "desk", chat = "chat", survey = "survey" }

[[trigger]]
on = "ticket.changed"
from = "desk"

[[step]]
id = "first"
do = "chat.message.notify_once"
with = { to = "#x", text = "x" }
"""
WAIT = """
[[step]]
id = "pause"
do = "wait"
with = { for = "2h" }
"""
ASK = """
[[step]]
id = "triage"
do = "approve"
[step.with]
to = "chat:#triage"
ask = "Escalate {{ ticket.source_key }}?"
quorum = 1
deputies = ["leads"]
deputies_after = "1h"
ttl = "4h"
on_timeout = "approve"
[step.with.form]
existing = { type = "choice", from = "first", optional = true }
severity = { type = "choice", of = ["S1", "S2"], label = "How bad?", default = "S2" }
hours = { type = "number" }
words = { type = "text", optional = true }
"""
NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "x" }
"""


@pytest.fixture(scope="module")
def offers() -> Mapping[str, Connection]:
    return {name: Connection.of(name, connector(Vendors(), name)) for name in ("desk", "chat", "survey")}


def load(offers: Mapping[str, Connection], text: str) -> Recipe:
    return load_text("x", "x.toml", HEAD + text, offers, {})


def wrong(offers: Mapping[str, Connection], text: str) -> list[Problem]:
    with pytest.raises(RecipeError) as raised:
        load(offers, text)
    return list(raised.value.problems)


def edited(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new, 1)


def at(problem: Problem, text: str) -> str:
    """The line that a problem points to."""
    return (HEAD + text).splitlines()[problem.line - 1]


def test_they_load(offers: Mapping[str, Connection]) -> None:
    recipe = load(offers, WAIT + ASK + NOTE)
    assert [step.do for step in recipe.steps] == [
        "chat.message.notify_once",
        "wait",
        "approve",
        "desk.comment.add_once",
    ]
    assert recipe.steps[1].fields == ("until", "told")
    assert recipe.steps[2].fields == ("existing", "severity", "hours", "words", "approved", "by", "at", "told")


@pytest.mark.parametrize(
    "text",
    [
        edited(WAIT, 'for = "2h"', 'until = "{{ ticket.due_at }}"'),
        edited(WAIT, 'for = "2h"', "until = \"{{ coalesce(ticket.due_at, now) }}\""),
        edited(WAIT, 'for = "2h"', 'for = "{{ ticket.custom.patience }}"'),
        edited(WAIT, 'for = "2h"', 'for = "2 business_days", clock = "weekdays"'),
        edited(ASK, 'ttl = "4h"', 'ttl = "1 business_days"\nclock = "weekdays"'),
        edited(ASK, 'to = "chat:#triage"', 'to = "chat:{{ owner.email }}"'),
        edited(ASK, 'deputies = ["leads"]', 'deputies = ["chat:{{ owner.email }}", "ada@us.test"]'),
        edited(ASK, 'of = ["S1", "S2"]', 'of = "{{ ticket.tags }}"'),
        edited(edited(ASK, 'to = "chat:#triage"\n', ""), 'deputies = ["leads"]\ndeputies_after = "1h"\n', ""),
    ],
)  # fmt: skip
def test_ways_of_saying_it(offers: Mapping[str, Connection], text: str) -> None:
    load(offers, text + NOTE)


@pytest.mark.parametrize(
    "condition",
    [
        "triage.approved and triage.severity == 'S1' and triage.hours > 3 and triage.existing is none",
        "triage.by != 'Mia' and age(triage.at) < '2h' and 'late' in triage.told",
        "age(pause.until) > '1m' and pause.told is string",
        "triage.words is none or matches(triage.words, 'x')",
    ],
)
def test_later_steps_may_read_what_they_gave(offers: Mapping[str, Connection], condition: str) -> None:
    load(offers, WAIT + ASK + edited(NOTE, "with =", f'if = "{condition}"\nwith ='))


@pytest.mark.parametrize(
    ("condition", "code", "told", "hint"),
    [
        ("triage.severty == 'S1'", "CX021", "unknown field `triage.severty`", "`triage.severity`"),
        ("triage.id is none", "CX021", "unknown field `triage.id`", ""),
        ("triage.severity == 'S3'", "CX022", "`triage.severity` is never 'S3'; it is one of S1, S2", ""),
        ("triage.hours == 'four'", "CX022", "`triage.hours` is a number and never 'four'", ""),
        ("triage.approved == 'yes'", "CX022", "`triage.approved` is true or false", ""),
        ("pause.approved", "CX021", "unknown field `pause.approved`", ""),
    ],
)
def test_what_is_not_in_a_result_is_refused(
    offers: Mapping[str, Connection], condition: str, code: str, told: str, hint: str
) -> None:
    [problem] = wrong(offers, WAIT + ASK + edited(NOTE, "with =", f'if = "{condition}"\nwith ='))
    assert problem.code == code
    assert told in problem.message
    assert hint in problem.hint


def test_a_result_is_not_there_before_its_step(offers: Mapping[str, Connection]) -> None:
    [problem] = wrong(offers, edited(WAIT, "with =", 'if = "triage.approved"\nwith =') + ASK)
    assert "`triage` is a later step" in problem.message


WRONG_WAITS = [
    ("with = { for = \"2h\" }", "with = {}", "CX010", "needs one of `for` and `until`", "for = "),
    ("for = \"2h\"", 'for = "2h", until = "{{ now }}"', "CX010", "both `for` and `until`", ""),
    ("for = \"2h\"", 'for = "soon"', "CX025", "'soon' is no duration", ""),
    ("for = \"2h\"", 'for = "0s"', "CX025", "must be longer than nothing", ""),
    ("for = \"2h\"", "for = 2", "CX025", "in quotes, like 4h", ""),
    ("for = \"2h\"", 'for = "2 business_days"', "CX025", "business time", "clock"),
    ("for = \"2h\"", 'for = "2h", clock = "wekdays"', "CX025", "there is no calendar 'wekdays'", "`weekdays`"),
    ("for = \"2h\"", 'until = "tomorrow"', "CX025", "must be a template that gives a time", "due_at"),
    ("for = \"2h\"", 'until = "{{ ticket.priority }}"', "CX025", "`ticket.priority` is no time", ""),
    ("for = \"2h\"", 'until = "{{ ticket.due }}"', "CX021", "unknown field `ticket.due`", "`ticket.due_at`"),
    ("for = \"2h\"", 'for = "2h", untl = "x"', "CX023", "`wait` has no input `untl`", "`until`"),
    ("for = \"2h\"", 'until = "{{ now }}", clock = "weekdays"', "CX025", "`clock` counts the time of `for`", ""),
    ("with =", 'purpose = "follow_up"\nwith =', "CX025", "`wait` reaches none", "leave it out"),
]  # fmt: skip
WRONG_QUESTIONS = [
    ('ttl = "4h"\n', "", "CX010", "`approve` needs the input `ttl`", "add ttl"),
    ('ask = "Escalate {{ ticket.source_key }}?"\n', "", "CX010", "`approve` needs the input `ask`", "add ask"),
    ('"Escalate {{ ticket.source_key }}?"', '"Escalate {{ ticket.sorce_key }}?"', "CX021", "unknown field", "source_key"),
    ('"chat:#triage"', '"#triage"', "CX025", "`to` must say the role first", "write chat:#triage"),
    ('"chat:#triage"', '"chad:#triage"', "CX031", "there is no role `chad`", "`chat`"),
    ('"chat:#triage"', '"desk:#triage"', "CX034", "connector desk cannot ask people", "`chat:#triage`"),
    ("quorum = 1", "quorum = 0", "CX025", "at least 1", ""),
    ("quorum = 1", 'quorum = "two"', "CX025", "a whole number", ""),
    ("quorum = 1", "quorm = 1", "CX023", "`approve` has no input `quorm`", "`quorum`"),
    ('"approve"\n[step.with.form]', '"aprove"\n[step.with.form]', "CX025", "one of approve, reject, hold", "`approve`"),
    ('on_timeout = "approve"', 'on_reject = "stopp"', "CX025", "one of stop, continue", "`stop`"),
    ('deputies = ["leads"]', 'deputies = "leads"', "CX025", "`deputies` must be a list", ""),
    ('deputies = ["leads"]\n', "", "CX025", "and there are none", "add deputies"),
    ('deputies = ["leads"]', 'deputies = ["desk:x"]', "CX034", "cannot ask people", "`chat:x`"),
    ('deputies_after = "1h"', 'deputies_after = "4h"', "CX025", "`deputies_after` is not below `ttl`", ""),
    ('ttl = "4h"', 'ttl = "1 business_days"', "CX025", "business time", "clock"),
    ('from = "first"', 'from = "frist"', "CX021", "no such step 'frist'", "`first`"),
    ('from = "first"', 'from = "note"', "CX021", "names an earlier step", ""),
    ('from = "first", ', "", "CX010", "needs one of `of` and `from`", "add of"),
    ('type = "number"', 'type = "numbr"', "CX025", "never 'numbr'", "`number`"),
    ('{ type = "number" }', "{ optional = true }", "CX010", "the field `hours` needs a `type`", "add type"),
    ('{ type = "number" }', '"number"', "CX025", "`hours` must be a table", 'type = "text"'),
    ('{ type = "number" }', '{ type = "number", of = ["1"] }', "CX025", "`of` belongs to a choice", ""),
    ('{ type = "number" }', '{ type = "number", default = "8" }', "CX025", "the default is no number", ""),
    ('default = "S2"', 'default = "S3"', "CX025", "is not one of its choices", ""),
    ('of = ["S1", "S2"]', "of = []", "CX025", "not an empty one", ""),
    ('of = ["S1", "S2"]', "of = [1, 2]", "CX025", "a list of texts", ""),
    ('of = ["S1", "S2"], label', 'of = ["S1", "S2"], lable', "CX023", "a field of a form has no `lable`", "`label`"),
    ("optional = true }\nseverity", 'optional = "yes" }\nseverity', "CX025", "true or false", ""),
    ("hours = ", "approved = ", "CX042", "`triage.approved` tells about the decision already", "another"),
    ("hours = ", '"Hours left" = ', "CX025", "is no name for a field", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "code", "told", "hint"), WRONG_WAITS + WRONG_QUESTIONS, ids=lambda value: str(value)[:40]
)
def test_mistake_is_told_at_its_place_with_its_remedy(
    offers: Mapping[str, Connection], old: str, new: str, code: str, told: str, hint: str
) -> None:
    base = WAIT if (old, new, code, told, hint) in WRONG_WAITS else ASK
    text = edited(base, old, new) + NOTE
    problems = wrong(offers, text)
    problem = next((one for one in problems if told in one.message), None)
    assert problem is not None, [str(one) for one in problems]
    assert problem.code == code
    assert hint in problem.hint
    assert problem.line > HEAD.count("\n")
    # What stands at that place is the step, or the line that was changed.
    assert at(problem, text).strip(), str(problem)


# -- contacting customers ----------------------------------------------------------------------------------------------

INVITE = """
[[step]]
id = "invite"
do = "survey.survey.invite_once"
with = { survey = "SV_1", email = "{{ contact.emails | first }}" }
"""


def test_what_a_step_says_about_contacting_is_kept_with_it(offers: Mapping[str, Connection]) -> None:
    text = edited(INVITE, "with =", 'purpose = "survey"\nquarantine = "30d"\nwith =')
    told = edited(NOTE, "with =", 'purpose = "follow_up"\nquarantine = "0s"\nwith =')
    _, invite, note = load(offers, text + told).steps
    assert (invite.purpose, str(invite.quarantine)) == ("survey", "30 days, 0:00:00")
    assert (note.purpose, str(note.quarantine)) == ("follow_up", "0:00:00")
    recipe = load(offers, '[limits]\nquarantine = "14d"\n' + INVITE)
    assert str(recipe.limits.quarantine) == "14 days, 0:00:00"
    assert (recipe.steps[1].purpose, recipe.steps[1].quarantine) == (None, None)


def test_only_what_reaches_a_customer_has_a_purpose(offers: Mapping[str, Connection]) -> None:
    message = 'id = "tell"\ndo = "chat.message.notify_once"\nwith = { to = "#x", text = "x" }\n'
    [problem] = wrong(offers, f'[[step]]\npurpose = "follow_up"\n{message}')
    assert (problem.code, problem.hint) == ("CX025", "leave it out")
    assert "`chat.message.notify_once` reaches none" in problem.message
    [problem] = wrong(offers, edited(NOTE, "with =", 'quarantine = "7d"\nwith ='))
    assert "`quarantine` needs `purpose`" in problem.message
    [problem] = wrong(offers, edited(NOTE, "with =", 'purpose = "Follow up"\nwith ='))
    assert problem.code == "CX014"
    [problem] = wrong(offers, edited(INVITE, "with =", "quarantine = 7\nwith ="))
    assert problem.code == "CX014"
    assert "write the unit of time with it" in problem.message


def test_a_follow_may_reach_customers_too(offers: Mapping[str, Connection]) -> None:
    follow = """
[[follow]]
id = "fixed"
on = "ticket.changed"
from = "desk"
when = "ticket.status_category == 'resolved'"
for_each = "linked(ticket, 'escalated_to')"
do = "desk.comment.add_once"
purpose = "follow_up"
with = { visibility = "public", body = "We fixed it" }
"""
    [found] = load(offers, NOTE + follow).follows
    assert found.step.purpose == "follow_up"


def test_the_question_of_the_design_is_understood(offers: Mapping[str, Connection]) -> None:
    """The question of the full example in the language's design, word for word but for its roles."""
    text = """
[[step]]
id = "similar"
do = "chat.message.notify_once"
with = { to = "#x", text = "{{ticket.subject}}" }

[[step]]
id = "triage"
do = "approve"
if = "account.tier == 'strategic' or size(similar) > 0"
[step.with]
to         = "chat:#eng-triage"
quorum     = 1
deputies   = ["support-leads"]
ttl        = "4h"
clock      = "weekdays"
on_timeout = "approve"
ask        = "Escalate {{ticket.source_key}} for {{account.name}}?"
[step.with.form]
existing   = { type = "choice", from = "similar", optional = true }
severity   = { type = "choice", of = ["S1", "S2", "S3", "S4"] }

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "{{triage.existing | default('')}} {{triage.severity | default('S3')}}" }
"""
    assert load(offers, text).steps[2].do == "approve"


@pytest.mark.parametrize(
    ("notify", "code", "told"),
    [
        ("#cx-ops", "CX025", "`notify` must say the role first"),
        ("chad:#cx-ops", "CX031", "there is no role `chad`"),
        ("desk:#cx-ops", "CX034", "connector desk cannot tell people"),
        ("chat:{{ inputs.channel }}", "CX025", "is said outright"),
    ],
)
def test_who_is_told_of_failures_must_be_somebody(
    offers: Mapping[str, Connection], notify: str, code: str, told: str
) -> None:
    [problem] = wrong(offers, f'{NOTE}\n[on_error]\nnotify = "{notify}"\n')
    assert problem.code == code
    assert told in problem.message
    assert load(offers, f'{NOTE}\n[on_error]\nnotify = "chat:#cx-ops"\n').on_error.notify == "chat:#cx-ops"
