"""Bands with hysteresis: what crosses one, what does not, and what the expression says of it."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.recipes.bands import Band
from cxbridge.core.recipes.expressions import MOVES, ExpressionError, Language

RED = Band("red", enter=40, leave=55)
HOT = Band("hot", enter=80, leave=60, falling=False)
VALUES = st.lists(st.none() | st.integers(0, 100), max_size=30)


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ([], None),
        ([20], None),  # where it began
        ([80, 50], None),
        ([80, 40], 1),
        ([80, 39, 41, 30], 1),  # one fall, however it wavers
        ([80, 39, 54, 40], 1),
        ([80, 39, 55], None),  # it is back
        ([80, 39, 55, 40], 3),
        ([20, 45, 30], None),  # never armed
        ([20, 55, 30], 2),
        ([80, None, 30], 2),
        ([None, 30], None),
        ([80, 30, None], 1),
        ([80, 30, None, 60], None),
    ],
)
def test_falling(values: list[float | None], at: int | None) -> None:
    assert RED.crossing(values) == at
    # Turned over, a rising band does the same.
    turned = Band("turned", enter=100 - RED.enter, leave=100 - RED.leave, falling=False)
    assert turned.crossing([None if one is None else 100 - one for one in values]) == at


@given(VALUES)
def test_what_crossed_is_inside_and_has_not_been_back(values: list[float | None]) -> None:
    at = RED.crossing(values)
    if at is None:
        return
    crossed = values[at]
    assert crossed is not None
    assert crossed <= 40
    assert all(one is None or one < 55 for one in values[at:])
    before = [one for one in values[:at] if one is not None]
    assert before[-1] > 40


@given(VALUES)
def test_it_crosses_again_only_after_it_was_back(values: list[float | None]) -> None:
    crossings = [at for end in range(len(values) + 1) if (at := RED.crossing(values[:end])) is not None]
    distinct = sorted(set(crossings))
    for one, other in itertools.pairwise(distinct):
        between = [value for value in values[one:other] if value is not None]
        assert max(between) >= 55


@given(VALUES, st.integers(0, 29))
def test_what_is_not_known_changes_nothing(values: list[float | None], place: int) -> None:
    known = [one for one in values if one is not None]
    at = RED.crossing(values)
    place = min(place, len(known))
    padded = RED.crossing([*known[:place], None, *known[place:]])
    assert (at is None) == (padded is None) == (RED.crossing(known) is None)


# -- in an expression --------------------------------------------------------------------------------------------------

LANGUAGE = Language(bands={"red": RED, "hot": HOT})


def scope(*moves: tuple[Any, bool]) -> dict[str, Any]:
    return {"health": {"value": moves[-1][0] if moves else None}, MOVES: lambda parts: list(moves)}


def test_only_news_counts() -> None:
    condition = LANGUAGE.condition("crossed(health.value, 'red')")
    assert condition.holds(scope((80, False), (30, True)))
    assert condition.holds(scope((80, False), (30, True), (45, True)))
    assert not condition.holds(scope((80, False), (30, False), (29, True)))
    assert not condition.holds(scope((80, False), (30, True), (60, True)))
    assert not condition.holds(scope((30, True)))


def test_why_not_shows_the_last_values() -> None:
    moves = [(float(one), False) for one in (90, 85, 81, 80, 75, 70, 62.5)] + [(38, True)]
    [leaf] = LANGUAGE.condition("crossed(health.value, 'red')").explain(scope(*moves))
    assert leaf.verdict is True
    shown = dict(leaf.values)
    assert shown["moves of health.value"] == "… → 81 → 80 → 75 → 70 → 62.5 → 38"
    assert shown["band red"] == "enters at 40, leaves at 55"


def test_what_is_no_number_is_told() -> None:
    with pytest.raises(ExpressionError, match=r"a band is about numbers, and `health\.value` held a text"):
        LANGUAGE.condition("crossed(health.value, 'red')").holds(scope(("low", True)))


def test_without_a_history_nothing_can_have_been_crossed() -> None:
    with pytest.raises(ExpressionError, match="earlier values are not known here"):
        LANGUAGE.condition("crossed(health.value, 'hot')").holds({"health": {"value": 90}})
