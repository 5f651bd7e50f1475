"""What a person does about what went wrong: retry or drop dead letters, let a stopped recipe go on; calls no vendor."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from cxbridge.core.engine import guard
from cxbridge.core.engine.asking import is_courtesy
from cxbridge.core.engine.failing import is_notice
from cxbridge.core.ledger import ACTIVE_RUNS, Delivery
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, runs, state

# What waits for a person: dead letters, and writes of unknown outcome that nobody can look up.
MENDABLE = ("dead", "held")


def waiting_for_a_person(tx: Tx, recipe: str | None = None, limit: int = 10_000) -> list[Delivery]:
    """List the deliveries that only a person can decide about, newest first."""
    return [
        *outbox.find(tx, state="dead", recipe=recipe, limit=limit),
        *outbox.find(tx, state="held", recipe=recipe, limit=limit),
    ]


def retry_deliveries(store: Store, ids: Sequence[str], now: datetime) -> int:
    """Put deliveries back into the outbox, and their runs back under way; gives how many could be.

    A delivery keeps its marker, so that what the vendor already did is found again instead of being repeated.
    """
    done = 0
    with store.write() as tx:
        for one in ids:
            delivery = outbox.get(tx, one)
            if delivery is None or delivery.state not in MENDABLE:
                continue
            # A write of unknown outcome may be there: it is looked for first.
            again = "unknown" if delivery.error_code == "unknown_outcome" and delivery.state == "dead" else "planned"
            outbox.update(
                tx,
                msgspec.structs.replace(
                    delivery,
                    state=again,
                    attempts=0,
                    looked=0,
                    not_before=now,
                    settled_at=None,
                    error="",
                    error_code="",
                ),
            )
            run = runs.get(tx, delivery.run)
            if run is not None and run.state == "failed" and not _beside(delivery):
                runs.save(tx, msgspec.structs.replace(run, state="running", reason="", ended_at=None))
            done += 1
    return done


def drop_deliveries(store: Store, ids: Sequence[str], now: datetime) -> int:
    """Give deliveries up for good; their runs stay failed. Gives how many could be."""
    done = 0
    with store.write() as tx:
        for one in ids:
            delivery = outbox.get(tx, one)
            if delivery is None or delivery.state not in MENDABLE:
                continue
            outbox.update(tx, msgspec.structs.replace(delivery, state="cancelled", settled_at=now))
            run = runs.get(tx, delivery.run)
            if run is not None and run.state in ACTIVE_RUNS and not _beside(delivery):
                runs.save(
                    tx,
                    msgspec.structs.replace(
                        run,
                        state="failed",
                        reason=f"step {delivery.step} was dropped",
                        ended_at=now,
                        wake_at=None,
                    ),
                )
            done += 1
    return done


def resume_recipe(store: Store, recipe: Recipe, more: int, now: datetime) -> bool:
    """Let a recipe that stopped at a limit go on, for `more` subjects beyond it within the hour; False when it was not stopped."""
    with store.write() as tx:
        resumed = state.resume(tx, guard.name(recipe))
        if resumed:
            guard.allow(tx, recipe, more, now)
        return resumed


def _beside(delivery: Delivery) -> bool:
    """Whether a run hangs on something else than this delivery, which only tells somebody about it."""
    return is_courtesy(delivery) or is_notice(delivery)
