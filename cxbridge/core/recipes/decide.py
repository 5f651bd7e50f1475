"""Whether a recipe acts on a subject, and what its values become; pure: scope in, verdict out, no I/O, no clock."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cxbridge.core.canonical import PRIORITY_ORDER
from cxbridge.core.recipes.expressions import Condition, ExpressionError, Unmapped
from cxbridge.core.recipes.functions import ValueMap
from cxbridge.core.recipes.model import Canary, Recipe, SyncField

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `[when]` said: acts, or the name of the first condition that did not hold, or the error that one raised.

    `window` names the window that a moment was found in by the condition that did not hold.
    """

    acts: bool
    stopped_at: str = ""
    error: str = ""
    window: str = ""

    @property
    def told(self) -> str:
        """Where it stopped, as a tally says it."""
        return f"{self.stopped_at} (window {self.window})" if self.window else self.stopped_at


def judge(recipe: Recipe, scope: Mapping[str, Any]) -> Verdict:
    """Go through the named conditions in order; the first that does not hold decides."""
    for one in recipe.conditions:
        try:
            if not one.condition.holds(scope):
                return Verdict(acts=False, stopped_at=one.name, window=_window_of(one.condition, scope))
        except (ExpressionError, Unmapped) as error:
            return Verdict(acts=False, stopped_at=one.name, error=str(error))
    return Verdict(acts=True)


def _window_of(condition: Condition, scope: Mapping[str, Any]) -> str:
    """Name the window that a condition found a moment in, if it asked for one."""
    if not any(call.name == "in_window" for call in condition.calls):
        return ""
    seen = (value for leaf in condition.explain(scope) for value in leaf.values)
    return next((str(value) for text, value in seen if text.startswith("in_window(") and value), "")


def in_canary(canary: Canary, account: Mapping[str, Any] | None) -> bool:
    """Whether a canary recipe acts for this account: named by name, key or external id, or inside the fixed share."""
    if account is None or account.get("id") is None:
        return False
    names = {str(account.get(name)).lower() for name in ("name", "source_key", "source_id", "external_id")}
    if names & {one.lower() for one in canary.accounts}:
        return True
    # A hash, so that the same accounts are in the share on every machine and after every restart.
    drawn = int.from_bytes(hashlib.blake2b(str(account["id"]).encode(), digest_size=4).digest()) / 2**32
    return drawn < canary.share


def changed_fields(before: Mapping[str, Any] | None, after: Mapping[str, Any], volatile: Sequence[str]) -> set[str]:
    """Name the top-level fields that differ; without a `before`, all that hold something."""
    skip = {*volatile, "id", "source"}
    if before is None:
        # Of what Python takes for false, 0 and False are values all the same.
        return {
            name
            for name, value in after.items()
            if (value or (value is not None and value not in ("", [], {}))) and name not in skip
        }
    return {name for name, value in after.items() if name not in skip and before.get(name, _MISSING) != value}


def read_path(entity: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Read a field, or one of its keys; `None` where there is none."""
    value: Any = entity
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def join_values(values: Sequence[Any], field: SyncField) -> Any:
    """Make one value of several: priorities by pressure, numbers by size, times by date, texts by alphabet.

    The first one where they are of several sorts, and where the field's rule is no other. What is empty does not count.
    """
    present = [value for value in values if value is not None]
    if not present or field.join not in ("max", "min"):
        return present[0] if present else None
    best = max if field.join == "max" else min
    if all(value in PRIORITY_ORDER for value in present):
        return best(present, key=lambda value: -PRIORITY_ORDER.index(value))
    # True and False count as numbers to Python, and to nobody else.
    sorts = {_sort_of(value) for value in present}
    return best(present) if len(sorts) == 1 and None not in sorts else present[0]


def _sort_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, datetime):
        return "time" if value.tzinfo is not None else None
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else None


def mapped(value: Any, table: ValueMap | None) -> Any:
    """Translate a value by its map.

    Raises:
        Unmapped: when the map has no entry and holds such values back.
    """
    return value if table is None else table.look_up(value)


def once_of(recipe: Recipe, scope: Mapping[str, Any]) -> str | None:
    """Evaluate `once_per`; `None` when there is none, or when it cannot be told for this subject."""
    if recipe.run.once_per is None:
        return None
    try:
        return str(recipe.run.once_per.evaluate(scope))
    except (ExpressionError, Unmapped):
        return None
