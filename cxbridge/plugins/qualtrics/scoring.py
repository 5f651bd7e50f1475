"""Turns a raw score into 0 to 100 and a band, by one stated rule; what a vendor says about groups is not believed.

NPS: 0 to 6 detractor, 7 and 8 passive, 9 and 10 promoter. CSAT and CES, by the place on the scale with its good end up: below 40 %
dissatisfied (high effort), above 60 % satisfied (low effort), between them neutral. On five points that is 1 and 2, 3, 4 and 5.
"""

import math
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics.rules import Direction, Metric

_LOW, _HIGH = 0.4, 0.6


def number(value: Any) -> float | None:
    """Read a score that comes as a number or as its text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def place(score: float, scale: tuple[float, float], direction: Direction) -> float | None:
    """Say where on the scale a score is, 1 being the good end; None when it is not on it."""
    low, high = scale
    if not low <= score <= high:
        return None
    share = (score - low) / (high - low)
    return share if direction == "up" else 1.0 - share


def band(metric: Metric, score: float, share: float) -> cx.Band:
    """Name the band of a score."""
    if metric == "nps":
        return "detractor" if score <= 6 else "passive" if score < 9 else "promoter"
    if _LOW <= share <= _HIGH:
        return "neutral"
    if metric == "csat":
        return "dissatisfied" if share < _LOW else "satisfied"
    return "high_effort" if share < _LOW else "low_effort"
