"""Survey figures: known values, intervals that cover what they promise, and what is refused or told as weak."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.canonical import Feedback
from cxbridge.functions.surveys import FEW, Mixed, _nps, band, figure, response_rate, wilson


def answer(kind: str, score: float | None, **more: Any) -> Feedback:
    return Feedback(source_id="1", **{"kind": kind, "score": score, "programme": "relational"} | more)


def nps(promoters: int, passives: int, detractors: int) -> list[Feedback]:
    scores = [10] * promoters + [7] * passives + [3] * detractors
    return [answer("nps", score) for score in scores]


@pytest.mark.parametrize(
    ("kind", "scale", "bands"),
    [
        ("nps", (0, 10), {0: "detractor", 6: "detractor", 6.5: "detractor", 7: "passive", 8: "passive"}),
        ("nps", (None, None), {9: "promoter", 10: "promoter"}),
        ("csat", (1, 5), {1: "dissatisfied", 2: "dissatisfied", 3: "neutral", 4: "satisfied", 5: "satisfied"}),
        ("csat", (0, 1), {0: "dissatisfied", 1: "satisfied"}),
        ("csat", (1, 7), {3: "dissatisfied", 4: "neutral", 5: "satisfied"}),
        ("ces", (1, 7), {1: "high_effort", 3: "high_effort", 4: "neutral", 5: "low_effort", 7: "low_effort"}),
        ("rating", (1, 5), {1: "none"}),
        ("csat", (None, None), {4: "satisfied", 2: "dissatisfied"}),
        ("ces", (None, None), {5: "low_effort"}),
    ],
)  # fmt: skip
def test_bands(kind: str, scale: tuple[float | None, float | None], bands: dict[float, str]) -> None:
    assert {score: band(kind, score, *scale) for score in bands} == bands
    assert band(kind, None, *scale) == "none"


@pytest.mark.parametrize(
    ("kind", "score", "scale"), [("nps", 11, (0, 10)), ("csat", 6, (1, 5)), ("csat", 0, (1, 5)), ("ces", 3, (5, 5))]
)
def test_scores_outside_their_scale_are_refused(kind: str, score: float, scale: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="scale"):
        band(kind, score, *scale)


def test_nps_of_a_known_case() -> None:
    found = figure(nps(60, 25, 15))
    assert (found.value, found.answers, found.few) == (45, 100, False)
    assert found.low is not None
    assert found.high is not None
    # The plain interval would be 45 ± 14.5; ours is centred a little towards 0.
    assert found.low == pytest.approx(29.5, abs=1)
    assert found.high == pytest.approx(58.5, abs=1.5)
    assert str(found).startswith("NPS 45 (")


def test_csat_and_ces_are_shares_of_the_good_answers() -> None:
    csat = figure(
        [answer("csat", score, scale_min=1, scale_max=5) for score in [5] * 40 + [4] * 20 + [3] * 20 + [1] * 20]
    )
    assert csat.value == 60
    assert csat.mean == pytest.approx(3.6)
    assert csat.low == pytest.approx(50.2, abs=0.1)
    assert csat.high == pytest.approx(69.1, abs=0.1)
    ces = figure([answer("ces", score, scale_min=1, scale_max=7) for score in [7, 5, 4, 2]])
    assert ces.value == 50
    assert ces.few
    assert "read it with care" in str(ces)


def test_what_counts_nowhere_is_left_out_and_counted() -> None:
    given = [
        *nps(3, 0, 1), answer("nps", 0, excluded=True), answer("nps", None, completed=False), answer("nps", 2, completed=False),
    ]  # fmt: skip
    found = figure(given)
    assert (found.answers, found.left_out, found.value) == (4, 3, 50)


def test_without_answers_there_is_no_figure() -> None:
    found = figure([answer("nps", None, completed=False)])
    assert (found.value, found.low, found.high, found.few) == (None, None, None, True)
    assert str(found) == "NPS not known: no answers"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([answer("nps", 9), answer("csat", 4)], "one instrument"),
        ([answer("nps", 9), answer("nps", 9, programme="transactional")], "one programme"),
        ([answer("csat", 4, scale_min=1, scale_max=5), answer("csat", 4, scale_min=1, scale_max=7)], "one scale"),
        ([answer("review", 4)], "no figure for 'review'"),
        ([], "nothing at all"),
    ],
)
def test_what_must_not_be_averaged_is_refused(given: list[Feedback], says: str) -> None:
    with pytest.raises(Mixed, match=says):
        figure(given)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_the_interval_holds_the_value_and_stays_on_the_scale(promoters: int, passives: int, detractors: int) -> None:
    count = promoters + passives + detractors
    if not count:
        return
    value, low, high = _nps(promoters, detractors, count)
    assert -1 <= low <= value <= high <= 1
    assert low < high
    assert list(_nps(detractors, promoters, count)) == pytest.approx([-value, -high, -low])
    low, high = wilson(promoters, count)
    assert 0 <= low <= promoters / count <= high <= 1


def chance(counts: tuple[int, ...], shares: tuple[float, ...]) -> float:
    ways = math.factorial(sum(counts))
    for count in counts:
        ways //= math.factorial(count)
    return ways * math.prod(share**count for share, count in zip(shares, counts, strict=True))


@pytest.mark.parametrize("count", [8, 20, 40])
@pytest.mark.parametrize("shares", [(0.3, 0.4, 0.3), (0.6, 0.3, 0.1), (0.1, 0.2, 0.7), (0.8, 0.15, 0.05)])
def test_the_nps_interval_covers_the_truth_as_often_as_it_says(shares: tuple[float, float, float], count: int) -> None:
    """Worked out exactly over every possible sample, not drawn."""
    truth, covered = shares[0] - shares[2], 0.0
    for promoters in range(count + 1):
        for detractors in range(count + 1 - promoters):
            _, low, high = _nps(promoters, detractors, count)
            if low <= truth <= high:
                covered += chance((promoters, count - promoters - detractors, detractors), shares)
    assert covered >= 0.93


@pytest.mark.parametrize("count", [10, 40])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_wilsons_interval_covers_the_truth_as_often_as_it_says(share: float, count: int) -> None:
    covered = 0.0
    for hits in range(count + 1):
        low, high = wilson(hits, count)
        if low <= share <= high:
            covered += chance((hits, count - hits), (share, 1 - share))
    assert covered >= 0.92


def test_few_answers_are_told() -> None:
    assert figure(nps(FEW - 1, 0, 0)).few
    assert not figure(nps(FEW, 0, 0)).few


def test_response_rate() -> None:
    found = response_rate(200, 50)
    assert found.value == 25
    assert found.low == pytest.approx(19.5, abs=0.1)
    assert found.high == pytest.approx(31.4, abs=0.1)
    assert response_rate(0, 0).value is None
    for asked, answered in ((5, 6), (5, -1)):
        with pytest.raises(ValueError, match="cannot be"):
            response_rate(asked, answered)
