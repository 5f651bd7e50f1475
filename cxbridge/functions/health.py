"""How well an account is doing, from weighted components of which each has an age, a source and a confidence; and when a value
falls through its band. What is old or missing lowers the confidence and never the score, and too little is never green. Pure.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from cxbridge.core.canonical import HealthBand, HealthPart

# A score moves by less than this from noise alone: the trend then reads "same".
STEADY = 1.0


@dataclass(frozen=True, slots=True)
class Scheme:
    """By what a score is judged. `green` and `yellow` are the least scores of their bands; below is red.

    `needed` is the share of all weight that must be known, and `trusted` the least confidence: below either the band is unknown.
    `max_age` says how old a component may be, by name; `default_age` holds for the others, and None means that they never age.
    """

    green: float = 70.0
    yellow: float = 40.0
    needed: float = 0.5
    trusted: float = 0.3
    max_age: Mapping[str, timedelta] = field(default_factory=dict)
    default_age: timedelta | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.yellow <= self.green <= 100:
            raise ValueError(
                f"bands run upward within 0 to 100: yellow from {self.yellow:g}, green from {self.green:g}"
            )
        if not (0 < self.needed <= 1 and 0 <= self.trusted <= 1):
            raise ValueError("the share of weight that must be known lies above 0, and like the trust at most at 1")


DEFAULT: Final = Scheme()


@dataclass(frozen=True, slots=True)
class Movement:
    """How far a component moved the score since the last time: its share of the difference, in points of the score."""

    name: str
    points: float
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """A health score and what it rests on. `known` is the share of all weight that has a value, `why` why a band is unknown."""

    value: float | None
    band: HealthBand
    confidence: float
    known: float
    components: tuple[HealthPart, ...]
    stale: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    trend: Literal["up", "down", "same"] | None = None
    drivers: tuple[Movement, ...] = ()
    why: str = ""


def score(
    components: Iterable[HealthPart],
    now: datetime,
    scheme: Scheme = DEFAULT,
    before: Score | None = None,
) -> Score:
    """The weighted mean of what is known, and how far it can be trusted.

    A component without a value counts in no mean, only in the weight that is not known. One that is older than its age, of unknown
    age, or called stale by its source counts as before, at half its confidence, and at a quarter from twice its age on. The
    confidence is the weighted mean of the components' own (1 where they say none), missing ones counting as 0. The band is unknown
    when less weight is known, or less confidence left, than the scheme asks for: what is missing never looks green.

    Raises:
        ValueError: for a value outside 0 to 100, a weight that is not positive, a confidence outside 0 to 1, a name given twice.
    """
    parts = [_aged(_checked(one), now, scheme) for one in components]
    if twice := sorted({one.name for one in parts if [other.name for other in parts].count(one.name) > 1}):
        raise ValueError(f"component {twice[0]!r} is given twice")
    whole = math.fsum(one.weight for one in parts)
    known = [one for one in parts if one.value is not None]
    weight = math.fsum(one.weight for one in known)
    value = math.fsum(one.weight * (one.value or 0.0) for one in known) / weight if known else None
    trust = math.fsum(one.weight * _trust(one) for one in known) / whole if parts else 0.0
    share = weight / whole if parts else 0.0
    found, why = _band(value, share, trust, scheme)
    return Score(
        value=value,
        band=found,
        confidence=trust,
        known=share,
        components=tuple(parts),
        stale=tuple(one.name for one in parts if one.stale),
        missing=tuple(one.name for one in parts if one.value is None),
        trend=_trend(before.value if before else None, value),
        drivers=drivers(before.components, parts) if before else (),
        why=why,
    )


def band(value: float | None, scheme: Scheme = DEFAULT) -> HealthBand:
    """The band of a value alone; unknown without one."""
    if value is None:
        return "unknown"
    return "green" if value >= scheme.green else "yellow" if value >= scheme.yellow else "red"


def drivers(before: Iterable[HealthPart], after: Iterable[HealthPart], most: int = 3) -> tuple[Movement, ...]:
    """The components that moved the score most, largest movement first; the points of all add up to the score's movement.

    One that appeared or vanished moved it too: by how far it pulls the mean away from the rest.
    """
    old, new = _pull(before), _pull(after)
    mean_old, mean_new = (math.fsum(one[0] for one in pull.values()) for pull in (old, new))
    if not old or not new:
        return ()
    moved = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, (0.0, 0.0, None)), new.get(name, (0.0, 0.0, None))
        # Measured from the middle of both scores, so that weight which merely moved from one to the other moves nothing.
        points = now[0] - was[0] - (now[1] - was[1]) * (mean_old + mean_new) / 2
        if abs(points) > 1e-9:
            moved.append(Movement(name, points, was[2], now[2]))
    return tuple(sorted(moved, key=lambda one: (-abs(one.points), one.name))[:most])


def crossed(history: Sequence[float | None], enter: float, leave: float) -> bool:
    """Whether the newest of these values, oldest first, fell through the band, or rose through it where `enter` lies above `leave`.

    It did when it reaches `enter` while the band was armed. The band is armed by a value at `leave` or beyond, and disarmed by
    reaching `enter`: so a value that wavers between the two alerts once, and again only after it had recovered. The first value
    says where things stand and crosses nothing. Values that are not known are passed over; a newest one that is not known never
    crossed.

    Raises:
        ValueError: when both ends are the same: then there is no band, and noise alone would alert.
    """
    if enter == leave or not (math.isfinite(enter) and math.isfinite(leave)):
        raise ValueError(f"a band has two different ends: enter {enter:g}, leave {leave:g}")
    if not history or history[-1] is None:
        return False
    sign = 1.0 if enter < leave else -1.0
    armed: bool | None = None
    fell = False
    for value in history:
        if value is None:
            continue
        inside = sign * value <= sign * enter
        # A first value between the two ends is outside the band, and can still fall.
        fell = inside and armed is True
        armed = False if inside else True if armed is None or sign * value >= sign * leave else armed
    return fell


def _checked(part: HealthPart) -> HealthPart:
    if part.value is not None and not 0 <= part.value <= 100:
        raise ValueError(f"component {part.name!r} has a value of {part.value:g}; values run from 0 to 100")
    if not (part.weight > 0 and math.isfinite(part.weight)):
        raise ValueError(f"component {part.name!r} has a weight of {part.weight:g}; weights are above 0")
    if part.confidence is not None and not 0 <= part.confidence <= 1:
        raise ValueError(f"component {part.name!r} has a confidence of {part.confidence:g}; it runs from 0 to 1")
    return part


def _aged(part: HealthPart, now: datetime, scheme: Scheme) -> HealthPart:
    """The component as it counts now: marked as stale, its confidence lowered, its value untouched."""
    limit = scheme.max_age.get(part.name, scheme.default_age)
    if part.value is None or (limit is None and not part.stale):
        return part
    own = 1.0 if part.confidence is None else part.confidence
    # Of unknown age is as good as old.
    age = None if part.as_of is None else now - part.as_of
    if age is not None and limit is not None and age <= limit and not part.stale:
        return part
    share = 0.25 if age is not None and limit is not None and age > 2 * limit else 0.5
    return HealthPart(
        name=part.name,
        weight=part.weight,
        value=part.value,
        as_of=part.as_of,
        source=part.source,
        confidence=own * share,
        stale=True,
    )


def _trust(part: HealthPart) -> float:
    return 1.0 if part.confidence is None else part.confidence


def _band(value: float | None, share: float, trust: float, scheme: Scheme) -> tuple[HealthBand, str]:
    if value is None:
        return "unknown", "nothing is known"
    if share < scheme.needed:
        return "unknown", f"only {share:.0%} of the weight is known, {scheme.needed:.0%} is needed"
    if trust < scheme.trusted:
        return "unknown", f"its confidence is {trust:.2f}, {scheme.trusted:.2f} is needed"
    return band(value, scheme), ""


def _trend(before: float | None, after: float | None) -> Literal["up", "down", "same"] | None:
    if before is None or after is None:
        return None
    return "same" if abs(after - before) < STEADY else "up" if after > before else "down"


def _pull(parts: Iterable[HealthPart]) -> dict[str, tuple[float, float, float | None]]:
    """Each known component's part of the score, its share of the known weight, and its value."""
    known = [(one.name, one.weight, one.value) for one in parts if one.value is not None]
    whole = math.fsum(weight for _, weight, _ in known)
    return {name: (weight * value / whole, weight / whole, value) for name, weight, value in known}
