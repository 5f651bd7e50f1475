"""Why runs fail, and what people are told: one message for a recipe and hour, however many fail; sends nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from traceback import extract_tb
from typing import TYPE_CHECKING, Final

import msgspec

from cxbridge.core.clock import from_iso, iso
from cxbridge.core.engine import asking
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.logs import structlog
from cxbridge.core.recipes.escaping import escape_value
from cxbridge.core.recipes.model import Recipe, Rendered, Step
from cxbridge.core.recipes.values import Budget
from cxbridge.core.store import state

if TYPE_CHECKING:
    from cxbridge.core.engine.steps import Stepper

_log = structlog.get_logger("cxbridge")

# What a mistake in this program raises. A store that cannot be used is none: then nothing of the commit is done.
DEFECTS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
NOTIFY = "message.notify_once"
STEP = "on_error.notify"
# Whoever is told that something fails looks at all of it: telling them again at once helps nobody.
APART = timedelta(hours=1)
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """What telling a failure comes to: the message, if it is time for one, and what is remembered under a name."""

    deliveries: tuple[Delivery, ...]
    kept: Mapping[str, bytes]


def is_notice(delivery: Delivery) -> bool:
    """Whether a delivery tells of a failure: it goes out also when the recipe was stopped, and its own failure fails nothing."""
    return delivery.step == STEP


def is_beside(delivery: Delivery) -> bool:
    """Whether a delivery goes out beside a run, which waits for no answer to it."""
    return asking.is_message(delivery) or is_notice(delivery)


def place_of(run: Run, defect: Exception) -> str:
    """Say where a defect stopped a run, to people and in the log; never its text, which may hold anything."""
    *_, frame = extract_tb(defect.__traceback__)
    place = f"{PurePath(frame.filename).name}:{frame.lineno}"
    _log.error("run.broke", run=run.id, recipe=run.recipe, error=type(defect).__name__, place=place)
    return f"a defect of cxbridge stopped it ({type(defect).__name__} at {place})"


def notice(stepper: "Stepper", scopes: Scopes, recipe: Recipe, run: Run, reason: str) -> Notice | None:
    """Tell of a failure where the recipe says whom; within an hour after a message failures are only counted for the next one."""
    role, _, to = (recipe.on_error.notify or "").partition(":")
    connection = recipe.use.get(role, "")
    found = stepper.connections.get(connection)
    if not to or found is None or NOTIFY not in found.actions or stepper.simulate:
        return None
    name = f"told:{recipe.id}"
    since, untold = _kept(state.meta_get(scopes.tx, name))
    if since is not None and scopes.now - since < APART:
        return Notice((), {name: f"{iso(since)} {untold + 1}".encode()})
    more = f" {untold} others failed since {since:%H:%M}Z." if since is not None and untold else ""
    text = (
        f"{recipe.title}: a run for {run.subject} failed. {reason[:_LONGEST].rstrip('.')}.{more} "
        f"See all of them with: cxbridge dead list --recipe {recipe.id}"
    )
    escaped = escape_value(text, stepper.escape(connection, NOTIFY), Budget())
    step = Step(STEP, NOTIFY, None, Rendered({"to": to, "text": escaped}), role, connection, NOTIFY)
    delivery = stepper.delivery(scopes, recipe, run, step, {}, None, 0)
    return Notice((delivery,), {name: f"{iso(scopes.now)} 0".encode()})


def _kept(value: bytes | None) -> tuple[datetime | None, int]:
    if value is None:
        return None, 0
    since, _, untold = value.decode().partition(" ")
    return from_iso(since), int(untold)
