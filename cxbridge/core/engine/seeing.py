"""What the store says about a delivery whose turn has come, read at one moment; decides nothing and sends nothing."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from cxbridge.core.connector import Receipt
from cxbridge.core.engine import asking, guard, restoring
from cxbridge.core.engine.approvals import still_asked
from cxbridge.core.engine.pushed import RecipeOf
from cxbridge.core.ledger import Delivery, Record, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Tx, outbox, receipts, records, runs, state


class Seen(msgspec.Struct, frozen=True):
    """What is known of a delivery that is due."""

    run: Run | None
    recipe: Recipe | None
    # Why it has to wait, if it has to.
    wait: str
    base: Record | None
    since: datetime
    # Whether it carries a question that nobody has to be asked any more.
    unasked: bool
    # What an earlier delivery of the same marker made.
    earlier: Receipt | None

    def is_off(self, delivery: Delivery) -> bool:
        """Whether it is not to be done any more."""
        return self.unasked or (
            self.run is not None and self.run.state == "cancelled" and not asking.is_courtesy(delivery)
        )


def see(tx: Tx, deliveries: Sequence[Delivery], recipe_of: RecipeOf, now: datetime, far: set[str]) -> list[Seen]:
    """Read what has to be known before deliveries of one connection are sent; for `far` see `guard.must_wait`.

    The limits of an hour are judged as they stand: what is sent of these is not counted among them.
    """
    its_run = runs.get_many(tx, (one.run for one in deliveries))
    targets = {one.target for one in deliveries if one.target is not None}
    found = records.get_many(tx, targets) if targets else {}
    made = _made_earlier(tx, deliveries)
    held = state.pauses(tx)
    waits: dict[tuple[str, str], str] = {}
    seen = []
    for delivery in deliveries:
        run = its_run.get(delivery.run)
        recipe = recipe_of(run) if run else None
        named = (run.recipe, run.version) if run else ("", "")
        if recipe is not None and named not in waits:
            waits[named] = guard.must_wait(tx, recipe, now, held, far)
        seen.append(
            Seen(
                run=run,
                recipe=recipe,
                wait=waits.get(named, ""),
                base=found.get(delivery.target) if delivery.target is not None else None,
                since=restoring.since(tx, delivery),
                unasked=asking.is_question(delivery) and not still_asked(tx, delivery),
                earlier=made.get(delivery.id),
            )
        )
    return seen


def _made_earlier(tx: Tx, deliveries: Sequence[Delivery]) -> dict[str, Receipt]:
    """Tell what earlier deliveries of the same marker made, which is used instead of making another; by id."""
    making = [one for one in deliveries if _makes(one)]
    if not making:
        return {}
    confirmed: dict[str, list[Delivery]] = {}
    for one in outbox.by_marker(tx, making[0].connection, {one.marker for one in making}):
        if one.state == "confirmed":
            confirmed.setdefault(one.marker, []).append(one)
    found = {}
    for one in making:
        for earlier in confirmed.get(one.marker, ()):
            receipt = _joined(tx, earlier) if earlier.id != one.id else None
            if receipt is not None:
                found[one.id] = receipt
                break
    return found


def _makes(delivery: Delivery) -> bool:
    return delivery.action.endswith(".ensure") and delivery.target is None and delivery.state != "unknown"


def _joined(tx: Tx, earlier: Delivery) -> Receipt | None:
    for row in receipts.of_delivery(tx, earlier.id):
        return Receipt(
            stream=row.ref.stream,
            key=row.ref.key,
            source_key=row.source_key,
            url=row.url,
            version=row.version,
            changed=False,
            told="joined the one made earlier",
        )
    return None
