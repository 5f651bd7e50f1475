"""The limits of a recipe: what is counted, and what stops when one is passed; it never raises a limit by itself."""

from collections.abc import Container, Sequence
from datetime import datetime, timedelta

from cxbridge.core.clock import from_iso, iso
from cxbridge.core.errors import GuardError
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, runs, state

HOUR = timedelta(hours=1)
# More than are sent between two counts of what an hour holds.
_MEANWHILE = 100


def name(recipe: Recipe) -> str:
    """Name a recipe among what can be paused."""
    return f"recipe:{recipe.id}"


def halt(store: Store, recipe: Recipe, stop: GuardError, now: datetime) -> None:
    """Pause a recipe until a person allows it to go on."""
    with store.write() as tx:
        halt_in(tx, recipe, str(stop.seen), now)


def halt_in(tx: Tx, recipe: Recipe, reason: str, now: datetime) -> None:
    """The same, in a commit that is under way."""
    state.pause(
        tx,
        name(recipe),
        reason,
        f"look at it with `cxbridge recipes plan {recipe.id}`, then allow it with `cxbridge recipes resume {recipe.id}`",
        now,
    )


def watch(tx: Tx, recipes: Sequence[Recipe], begun: Sequence[Run], now: datetime) -> None:
    """Check `halt_if_matches` against the runs of the last hour, those of this commit among them.

    Raises:
        GuardError: so that the commit under way is rolled back and the recipe can be paused.
    """
    for recipe in recipes:
        fresh = sum(run.recipe == recipe.id and run.part == "steps" for run in begun)
        if not fresh:
            continue
        allowed = recipe.limits.halt_if_matches + _allowance(tx, recipe, now)
        seen = runs.started_since(tx, recipe.id, "steps", now - HOUR)
        if seen > allowed:
            raise GuardError(
                f"{recipe.id}:halt_if_matches",
                f"it would act for {seen} subjects within an hour; limits.halt_if_matches is {allowed}",
            )


def allow(tx: Tx, recipe: Recipe, more: int, now: datetime) -> None:
    """Let a recipe start this many runs beyond its limit within the next hour; afterwards the limit holds again."""
    state.meta_set(tx, f"allow:{recipe.id}", f"{_allowance(tx, recipe, now) + more} {iso(now + HOUR)}".encode())


def must_wait(tx: Tx, recipe: Recipe, now: datetime, held: Container[str], far: set[str]) -> str:
    """Say why a recipe's deliveries have to wait, or nothing: it is paused, stopped at a limit, or its hour is full.

    `held` names what is paused. In `far` those recipes are kept that have used up less than half of their hour, for as long as that
    is not worth counting anew.
    """
    if recipe.stage == "paused":
        return "the recipe is paused"
    if name(recipe) in held:
        return "the recipe was stopped at a limit"
    if recipe.id in far:
        return ""
    sent, most = outbox.sent_since(tx, recipe.id, now - HOUR), recipe.limits.writes_per_hour
    if sent >= most:
        return "limits.writes_per_hour is used up"
    if sent + _MEANWHILE <= most // 2:
        far.add(recipe.id)
    return ""


def _allowance(tx: Tx, recipe: Recipe, now: datetime) -> int:
    told = state.meta_get(tx, f"allow:{recipe.id}")
    if told is None:
        return 0
    more, until = told.decode().split()
    return int(more) if from_iso(until) > now else 0
