"""How alerts would have done over a known past: who would have been alerted, how many of them left, and how long before. Pure.

A back-test over history says what a rule would have *said*, not what acting on it would have changed. Alerts and departures are
compared by month of tenure; a customer who is still there when the history ends counts as one who stayed, although they may leave
later.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from cxbridge.functions.health import crossed
from cxbridge.functions.surveys import wilson


@dataclass(frozen=True, slots=True)
class Course:
    """One customer's scores, oldest first, the last of them of the last month; `left` says whether they left in it.

    The first score is how they began, before their first month. None stands for a month in which the score was not known.
    """

    id: str
    scores: tuple[float | None, ...]
    left: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What an alert rule comes to. Shares are None where there is nothing to take a share of.

    `lead` holds lower quartile, median and upper quartile of the months from alert to departure, over those who left and were
    alerted; `same_month` counts those of them who were alerted only in the month in which they left. `at_once` counts all who were
    alerted in their first month, from which a rule cannot warn of anything that changed.
    """

    rule: str
    customers: int
    left: int
    alerted: int
    hits: int
    same_month: int
    at_once: int
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    lead: tuple[float, float, float] | None

    @property
    def base_rate(self) -> float | None:
        """The share that leaves: the precision of alerting at random."""
        return self.left / self.customers if self.customers else None


def first_fall(scores: Sequence[float | None], enter: float, leave: float) -> int | None:
    """The place in a history at which it first falls through the band; None when it never does."""
    for place in range(len(scores)):
        if crossed(scores[: place + 1], enter, leave):
            return place
    return None


def judge(rule: str, courses: Iterable[Course], alert: Callable[[Course], int | None]) -> Figures:
    """Hold an alert rule against what happened. `alert` gives the place in a course's scores at which it alerts, or None."""
    customers = left = alerted = hits = same_month = at_once = 0
    leads: list[int] = []
    for course in courses:
        customers += 1
        left += course.left
        place = alert(course)
        if place is None:
            continue
        alerted += 1
        at_once += place <= 1
        if course.left:
            hits += 1
            lead = len(course.scores) - 1 - place
            leads.append(lead)
            same_month += lead == 0
    return Figures(
        rule=rule,
        customers=customers,
        left=left,
        alerted=alerted,
        hits=hits,
        same_month=same_month,
        at_once=at_once,
        precision=hits / alerted if alerted else None,
        precision_interval=wilson(hits, alerted) if alerted else None,
        recall=hits / left if left else None,
        recall_interval=wilson(hits, left) if left else None,
        lead=_quartiles(leads),
    )


def _quartiles(values: Sequence[int]) -> tuple[float, float, float] | None:
    if not values:
        return None
    if len(values) == 1:
        return (float(values[0]),) * 3
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
