"""Health: missing never looks green, old lowers trust and not the score, and a band is crossed once."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.canonical import HealthPart
from cxbridge.core.recipes.bands import Band
from cxbridge.functions.health import Scheme, band, crossed, drivers, score

NOW = datetime(2026, 11, 26, tzinfo=UTC)
WEEK = Scheme(default_age=timedelta(days=7))


def part(name: str, value: float | None, weight: float = 1.0, **more: Any) -> HealthPart:
    return HealthPart(name=name, value=value, weight=weight, **{"as_of": NOW} | more)


def test_the_score_is_the_weighted_mean() -> None:
    found = score([part("usage", 90, 3), part("support", 50, 1)], NOW)
    assert (found.value, found.band, found.confidence, found.known) == (80, "green", 1, 1)
    assert found.why == ""


def test_what_is_missing_lowers_confidence_and_never_the_score() -> None:
    whole = score([part("usage", 80, 3), part("nps", 80, 1)], NOW)
    less = score([part("usage", 80, 3), part("nps", None, 1)], NOW)
    assert less.value == whole.value == 80
    assert (less.confidence, less.known, less.missing) == (0.75, 0.75, ("nps",))
    assert less.band == "green"


def test_too_little_that_is_known_is_never_green() -> None:
    found = score([part("usage", 100, 2), part("nps", None, 3)], NOW)
    assert (found.value, found.band) == (100, "unknown")
    assert found.why == "only 40% of the weight is known, 50% is needed"
    nothing = score([part("nps", None)], NOW)
    assert (nothing.value, nothing.band, nothing.confidence, nothing.why) == (None, "unknown", 0, "nothing is known")
    assert score([], NOW).band == "unknown"


def test_what_is_old_lowers_confidence_and_not_the_score() -> None:
    parts = [part("usage", 90, as_of=NOW - timedelta(days=age)) for age in (7, 8, 15)]
    fresh, old, very_old = (score([one, part("nps", 50)], NOW, WEEK) for one in parts)
    assert fresh.value == old.value == very_old.value == 70
    assert [one.confidence for one in (fresh, old, very_old)] == [1, 0.75, 0.625]
    assert [one.stale for one in (fresh, old, very_old)] == [(), ("usage",), ("usage",)]
    assert old.components[0].stale
    # Of unknown age, and called old by its source, is as good as old.
    assert score([part("usage", 90, as_of=None)], NOW, WEEK).confidence == 0.5
    assert score([part("usage", 90, stale=True)], NOW).confidence == 0.5


def test_ages_are_set_by_component() -> None:
    scheme = Scheme(max_age={"nps": timedelta(days=90)}, default_age=timedelta(days=1))
    old = NOW - timedelta(days=30)
    assert score([part("usage", 1, as_of=old), part("nps", 1, as_of=old)], NOW, scheme).stale == ("usage",)


def test_a_score_that_nobody_trusts_has_no_band() -> None:
    found = score([part("usage", 95, confidence=0.2)], NOW)
    assert (found.value, found.band) == (95, "unknown")
    assert found.why == "its confidence is 0.20, 0.30 is needed"


def test_bands() -> None:
    assert [band(value) for value in (None, 0, 39.9, 40, 69.9, 70, 100)] == [
        "unknown", "red", "red", "yellow", "yellow", "green", "green",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([part("a", 101)], "from 0 to 100"),
        ([part("a", -1)], "from 0 to 100"),
        ([part("a", float("nan"))], "from 0 to 100"),
        ([part("a", 1, 0)], "above 0"),
        ([part("a", 1, float("inf"))], "above 0"),
        ([part("a", 1, confidence=2)], "from 0 to 1"),
        ([part("a", 1), part("a", 2)], "given twice"),
    ],
)
def test_components_that_cannot_be_are_refused(wrong: list[HealthPart], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        score(wrong, NOW)


@pytest.mark.parametrize(
    "given", [{"yellow": 80}, {"green": 101}, {"yellow": -1}, {"needed": 0}, {"needed": 1.5}, {"trusted": 2}]
)
def test_schemes_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"bands run|share of weight"):
        Scheme(**given)


def test_drivers_say_what_moved_the_score() -> None:
    before = score([part("usage", 90, 2), part("support", 60, 1), part("nps", 50, 1)], NOW)
    after = score([part("usage", 40, 2), part("support", 70, 1), part("nps", 50, 1)], NOW, before=before)
    assert after.trend == "down"
    assert [(one.name, one.points, one.before, one.after) for one in after.drivers] == [
        ("usage", -25, 90, 40),
        ("support", 2.5, 60, 70),
    ]
    assert before.drivers == ()
    assert score([part("usage", 40.5, 2), part("support", 70), part("nps", 50)], NOW, before=after).trend == "same"


values = st.one_of(st.none(), st.floats(0, 100))


@given(st.lists(st.tuples(values, values, st.floats(0.1, 10)), min_size=1, max_size=6))
def test_all_movements_add_up_to_the_movement_of_the_score(
    moves: list[tuple[float | None, float | None, float]],
) -> None:
    before = [part(f"c{number}", was, weight) for number, (was, _, weight) in enumerate(moves)]
    after = [part(f"c{number}", now, weight) for number, (_, now, weight) in enumerate(moves)]
    first, second = score(before, NOW), score(after, NOW, before=score(before, NOW))
    if first.value is None or second.value is None:
        assert second.drivers == ()
        return
    moved = sum(one.points for one in drivers(before, after, most=len(moves)))
    assert moved == pytest.approx(second.value - first.value, abs=1e-6)
    assert 0 <= second.confidence <= second.known <= 1
    known = [one.value for one in after if one.value is not None]
    assert min(known) - 1e-9 <= second.value <= max(known) + 1e-9


@pytest.mark.parametrize(
    ("history", "now"),
    [
        ([80, 62, 35], True),
        ([80, 40], True),  # at `enter` is through
        ([80, 45], False),  # inside the band, noise
        ([80, 45, 50, 41, 54], False),
        ([80, 35, 38], False),  # has alerted
        ([80, 35, 50, 35], False),  # did not come back far enough to alert again
        ([80, 35, 55, 35], True),  # at `leave` it is armed again
        ([35], False),  # red when first seen
        ([35, 50, 35], False),
        ([35, 56, 30], True),
        ([50, 39], True),  # began between the two, outside the band
        ([], False),
        ([80, None, 35], True),
        ([80, 35, None], False),  # nothing is known now
        ([None, None, 35], False),
    ],
)
def test_a_falling_band_is_crossed_once(history: list[float | None], now: bool) -> None:
    assert crossed(history, enter=40, leave=55) is now
    # The same upside down rises through its band.
    assert crossed([None if one is None else 100 - one for one in history], enter=60, leave=45) is now


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=30))
def test_between_two_crossings_there_is_a_recovery(history: list[float | None]) -> None:
    places = [at for at in range(len(history)) if crossed(history[: at + 1], 40, 55)]
    for first, second in pairwise(places):
        assert any(value is not None and value >= 55 for value in history[first + 1 : second])
    for place in places:
        value = history[place]
        assert value is not None
        assert value <= 40
        assert any(one is not None and one > 40 for one in history[:place])


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=20), st.booleans())
def test_the_bands_of_recipes_are_crossed_at_the_same_values(history: list[float | None], falling: bool) -> None:
    enter, leave = (40.0, 55.0) if falling else (55.0, 40.0)
    last = len(history) - 1
    of_recipe = Band("b", enter, leave, falling).crossing(history)
    assert crossed(history, enter, leave) is (of_recipe == last and bool(history))


@pytest.mark.parametrize(("enter", "leave"), [(40, 40), (float("nan"), 50), (40, float("inf"))])
def test_a_band_without_room_is_refused(enter: float, leave: float) -> None:
    with pytest.raises(ValueError, match="two different ends"):
        crossed([1, 2], enter, leave)
