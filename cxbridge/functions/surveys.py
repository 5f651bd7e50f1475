"""What answers to a survey add up to: NPS, CSAT and CES with their confidence interval, the response rate, and the bands by which
a single answer is judged. Instruments and programmes are never mixed, and a figure from few answers says so. Pure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cxbridge.core.canonical import Band, Feedback

Instrument = Literal["nps", "csat", "ces"]
INSTRUMENTS: Final[tuple[Instrument, ...]] = ("nps", "csat", "ces")

# Fewer answers than this are told as few: below it one answer moves NPS by more than three points.
FEW = 30
# Two-sided 95 %.
Z: Final = 1.959963984540054


class Mixed(ValueError):
    """Answers of different instruments, scales or programmes were to become one figure, which would mean nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a survey. `value`, `low` and `high` are on its own scale: NPS -100 to 100, the others percent of answers.

    Without answers all three are None. `few` says that there were fewer than thirty; the interval then says how little that is.
    `left_out` counts answers that count nowhere: partial, excluded, without a score.
    """

    instrument: Instrument
    programme: str
    answers: int
    value: float | None
    low: float | None
    high: float | None
    few: bool
    left_out: int = 0
    mean: float | None = None

    def __str__(self) -> str:
        name = self.instrument.upper()
        if self.value is None or self.low is None or self.high is None:
            return f"{name} not known: no answers"
        unit = "" if self.instrument == "nps" else " %"
        text = f"{name} {self.value:.0f}{unit} ({self.low:.0f} to {self.high:.0f}, {self.answers} answers)"
        return f"{text}: few answers, read it with care" if self.few else text


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of those who were asked answered, in percent, with its confidence interval."""

    asked: int
    answered: int
    value: float | None
    low: float | None
    high: float | None


def band(kind: str, score: float | None, low: float | None = None, high: float | None = None) -> Band:
    """The band of one answer by our rule; `none` where there is no rule or no score.

    NPS, on 0 to 10: 9 and 10 promoter, 7 and 8 passive, 0 to 6 detractor. CSAT: the upper two fifths of its scale satisfied (4 and
    5 of 5), the lower two dissatisfied (1 and 2), between them neutral. CES: the upper third of its scale is low effort, the lower
    third high effort (on 1 to 7: from 5 and up to 3), between them neutral; a high score means "it was easy", as in CES 2.0.

    Raises:
        ValueError: for a score outside its scale.
    """
    if score is None or kind not in INSTRUMENTS:
        return "none"
    if kind == "nps":
        _inside(score, 0, 10)
        return "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
    least, most = _scale(kind, low, high)
    _inside(score, least, most)
    share = (score - least) / (most - least)
    if kind == "csat":
        return "satisfied" if share >= 0.6 else "dissatisfied" if share <= 0.4 else "neutral"
    return "low_effort" if share >= 2 / 3 - 1e-9 else "high_effort" if share <= 1 / 3 + 1e-9 else "neutral"


def figure(feedback: Iterable[Feedback]) -> Figure:
    """NPS, CSAT or CES of these answers, whichever instrument they are of.

    NPS is the share of promoters less that of detractors, its interval from the variance of -1, 0 and 1. CSAT is the share of
    satisfied, CES that of low effort, both with Wilson's interval, which stays inside 0 to 100 however few there are.

    Raises:
        Mixed: when they are of different instruments, programmes or scales, or of none that has a figure.
        ValueError: for a score outside its scale.
    """
    given = list(feedback)
    kinds = {one.kind for one in given}
    programmes = {one.programme for one in given}
    if len(kinds) != 1:
        raise Mixed(f"one figure is of one instrument, not of {_listed(kinds)}")
    if len(programmes) != 1:
        raise Mixed(f"one figure is of one programme, not of {_listed(programmes)}")
    kind, programme = kinds.pop(), programmes.pop()
    if kind not in INSTRUMENTS:
        raise Mixed(f"there is no figure for {kind!r}; there is one for {', '.join(INSTRUMENTS)}")
    counted = [one for one in given if one.score is not None and not one.excluded and one.completed is not False]
    scales = {(one.scale_min, one.scale_max) for one in counted}
    if kind != "nps" and len(scales) > 1:
        raise Mixed(f"one figure is of one scale, not of {len(scales)}")
    bands = [band(kind, one.score, one.scale_min, one.scale_max) for one in counted]
    scores = [one.score for one in counted if one.score is not None]
    return _figure(kind, programme, bands, scores, len(given) - len(counted))


def response_rate(asked: int, answered: int) -> Rate:
    """How many of those who were asked answered; None where nobody was asked.

    Raises:
        ValueError: when more answered than were asked, which is a fault of the counting.
    """
    if not 0 <= answered <= asked:
        raise ValueError(f"{answered} answers to {asked} invitations cannot be: were they counted over the same time?")
    if not asked:
        return Rate(asked, answered, None, None, None)
    low, high = wilson(answered, asked)
    return Rate(asked, answered, 100 * answered / asked, 100 * low, 100 * high)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion, between 0 and 1. Of nothing it is everything."""
    if of == 0:
        return 0.0, 1.0
    share, square = hits / of, Z * Z
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    # Exact at the ends, where rounding would leave a trace.
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == of else min(1.0, centre + half))


def _figure(kind: Instrument, programme: str, bands: Sequence[Band], scores: Sequence[float], left_out: int) -> Figure:
    count = len(bands)
    if not count:
        return Figure(kind, programme, 0, None, None, None, few=True, left_out=left_out)
    mean = sum(scores) / count
    if kind == "nps":
        value, low, high = _nps(
            sum(one == "promoter" for one in bands), sum(one == "detractor" for one in bands), count
        )
    else:
        hits = sum(one in {"satisfied", "low_effort"} for one in bands)
        value, (low, high) = hits / count, wilson(hits, count)
    return Figure(kind, programme, count, 100 * value, 100 * low, 100 * high, count < FEW, left_out, mean)


def _nps(promoters: int, detractors: int, count: int) -> tuple[float, float, float]:
    """NPS and its interval. Three imagined answers, one of each band, widen it: ten promoters alone are no proof of 100."""
    value = (promoters - detractors) / count
    more = count + 3
    centre = (promoters - detractors) / more
    variance = (promoters + detractors + 2) / more - centre * centre
    half = Z * math.sqrt(variance / more)
    return value, max(-1.0, min(value, centre - half)), min(1.0, max(value, centre + half))


def _scale(kind: str, low: float | None, high: float | None) -> tuple[float, float]:
    least, most = (1.0, 5.0 if kind == "csat" else 7.0) if low is None or high is None else (low, high)
    if least >= most:
        raise ValueError(f"a scale from {least:g} to {most:g} has no length")
    return least, most


def _inside(score: float, low: float, high: float) -> None:
    if not low <= score <= high:
        raise ValueError(f"a score of {score:g} lies outside its scale, {low:g} to {high:g}")


def _listed(words: Iterable[str]) -> str:
    return " and ".join(sorted(words)) or "nothing at all"
