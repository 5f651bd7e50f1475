"""Guards say of a condition what the condition says itself, or that they cannot tell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.recipes.expressions import ExpressionError, Guard, Language

INPUTS = {"level": "urgent", "levels": ["urgent", "high"], "mixed": ["x", 1, True, None], "deep": [["x"]], "count": 2}
# Conditions that guards see through as a whole.
SEEN_THROUGH = (
    "ticket.word == 'x'",
    "'x' == ticket.word",
    "ticket.word != 'x'",
    "ticket.word == 1",
    "ticket.word == 1.0",
    "ticket.word == -1",
    "ticket.word == true",
    "ticket.word == none",
    "ticket.word == inputs.level",
    "ticket.word != inputs.count",
    "ticket.word in ['x', 'y']",
    "ticket.word not in ['x', 'y']",
    "ticket.word in ['x', 1, none, false]",
    "ticket.word in []",
    "ticket.word not in []",
    "ticket.word in inputs.levels",
    "ticket.word in inputs.mixed",
    "ticket.word is none",
    "ticket.word is not none",
    "'x' in ticket.word",
    "'x' not in ticket.word",
    "inputs.level in ticket.word",
    "ticket.word",
    "not ticket.word",
    "not ticket.word == 'x'",
    "not (ticket.word in ['x', 1])",
    "not ('x' in ticket.word)",
    "ticket.word == 'x' or ticket.word == 'y' or ticket.word in [1, 'z']",
    "'x' in ticket.word or 'y' in ticket.word",
    "ticket.word | default('') == 'x'",
    "ticket.word | default == ''",
    "ticket.word | default('x', true) == 'x'",
    "ticket.word | d(1) in [1, 'y']",
    "ticket.word | default(none) is none",
    "ticket.group.word == 'x'",
    "ticket.group.word | default('x') == 'x'",
    "ticket['group']['word'] in ['x']",
    "ticket.word == 'x' and ticket.other == 'x'",
    "ticket.word in ['x', 'y'] and 'x' in ticket.group and ticket.other",
)
# Of these, nobody can tell from one field alone, or not all of it.
OPAQUE = (
    "ticket.word == ticket.other",
    "ticket.word == ['x']",
    "ticket.word > 1",
    "1 < ticket.other < 3",
    "ticket.word in ticket.other",
    "ticket.word in 'xyz'",
    "ticket.word in inputs.level",
    "ticket.word in inputs.deep",
    "ticket.word in inputs.nowhere",
    "ticket.word == inputs.nowhere",
    "1 in ticket.word",
    "ticket.word[0] == 'x'",
    "ticket[ticket.word] == 'x'",
    "lower(ticket.word) == 'x'",
    "ticket.word | lower == 'x'",
    "ticket.word is string",
    "account.word == 'x'",
    "ticket is none",
    "not (ticket.word == 'x' or ticket.word == 'y')",
    "not (ticket.word == 'x' and ticket.word == 'y')",
    "ticket.word == 'x' or ticket.other == 'x'",
    "ticket.word == 'x' or ticket.word != 'y'",
    "ticket.word | default(ticket.other) == 'x'",
    "'x' in (ticket.word | default([]))",
    "size(ticket.word) > 1",
    "changed(ticket.word)",
    "true",
)
LANGUAGE = Language()

scalars = st.sampled_from(["x", "y", "z", "urgent", "high", "", 0, 1, 1.0, -1, 2, 1.5, True, False, None])
lists = st.lists(st.one_of(scalars, st.just(object()), st.just(["x"])), max_size=3)
values = st.one_of(
    scalars,
    lists,
    lists.map(tuple),
    st.dictionaries(st.sampled_from(["word", "x"]), st.one_of(scalars, lists), max_size=2),
    st.just(object()),
)
entities = st.fixed_dictionaries({}, optional={"word": values, "other": values, "group": values})


def seen(source: str, ticket: Any) -> bool | None:
    """What the condition itself says; None where it raises."""
    try:
        return LANGUAGE.condition(source).holds({"ticket": ticket, "account": {}, "inputs": INPUTS})
    except ExpressionError:
        return None


def told(guards: list[Guard], ticket: Any) -> bool | None:
    """What guards say of their parts together."""
    for guard in guards:
        verdict = guard.verdict(ticket)
        if verdict is not True:
            return verdict
    return True


@pytest.mark.parametrize("source", SEEN_THROUGH)
@given(ticket=entities)
def test_what_guards_tell_is_what_the_condition_says(source: str, ticket: dict[str, Any]) -> None:
    guards, whole = LANGUAGE.condition(source).guards("ticket", INPUTS)
    assert whole
    verdict = told(guards, ticket)
    if verdict is not None:
        assert seen(source, ticket) is verdict


@pytest.mark.parametrize("source", SEEN_THROUGH)
def test_guards_can_tell_of_ordinary_values(source: str) -> None:
    guards, _ = LANGUAGE.condition(source).guards("ticket", INPUTS)
    kinds = ("x", ["x"], True)
    assert any(
        told(guards, {"word": word, "other": other, "group": group}) is not None
        for word in kinds
        for other in kinds
        for group in ({"word": "x"}, ["x"])
    )


@pytest.mark.parametrize("source", OPAQUE)
def test_what_one_field_does_not_decide_has_no_guard(source: str) -> None:
    assert LANGUAGE.condition(source).guards("ticket", INPUTS) == ([], False)


def test_guards_stand_at_the_beginning_alone() -> None:
    source = "ticket.word == 'x' and ticket.other != 1 and size(ticket.word) > 1 and ticket.word == 'y'"
    guards, whole = LANGUAGE.condition(source).guards("ticket", INPUTS)
    assert ([one.field.keys for one in guards], whole) == ([("word",), ("other",)], False)


def test_a_guard_is_about_the_entity_of_that_name() -> None:
    assert LANGUAGE.condition("issue.word == 'x'").guards("ticket", INPUTS) == ([], False)
    assert len(LANGUAGE.condition("issue.word == 'x'").guards("issue", INPUTS)[0]) == 1


def test_long_lists_are_left_to_the_condition() -> None:
    [guard], _ = LANGUAGE.condition("'x' in ticket.word").guards("ticket", {})
    assert guard.verdict({"word": ["y"] * 500}) is False
    assert guard.verdict({"word": ["y"] * 501}) is None
    assert LANGUAGE.condition("ticket.word in inputs.many").guards("ticket", {"many": ["y"] * 501}) == ([], False)
