"""Tolerance bands with hysteresis: when a value has gone through one, and when that counts again; pure, knows no record.

One number lets a value that wavers around it alert again and again. A band has two: it is crossed at `enter`, and cannot be
crossed again before the value was back at `leave`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """A band of a recipe. A falling one is crossed downwards, at `enter` or below; a rising one upwards."""

    name: str
    enter: float
    leave: float
    falling: bool = True

    def crossing(self, values: Sequence[float | None]) -> int | None:
        """Tell which of these values, oldest first, crossed the band; `None` when none did that it has not come back from.

        A value that is not known is no value. The first one known tells only where it began: it crosses nothing.
        """
        armed: bool | None = None
        crossed: int | None = None
        for number, value in enumerate(values):
            if value is None:
                continue
            if armed is None:
                armed = not self._inside(value)
            elif armed and self._inside(value):
                armed, crossed = False, number
            elif not armed and self._outside(value):
                armed, crossed = True, None
        return crossed

    def _inside(self, value: float) -> bool:
        return value <= self.enter if self.falling else value >= self.enter

    def _outside(self, value: float) -> bool:
        return value >= self.leave if self.falling else value <= self.leave
