"""What the store says about a delivery whose turn has come, read at one moment; decides nothing and sends nothing."""

from dataclasses import dataclass
from datetime import datetime

from cxbridge.core.connector import Receipt
from cxbridge.core.engine import asking, guard, restoring
from cxbridge.core.engine.approvals import still_asked
from cxbridge.core.engine.pushed import RecipeOf
from cxbridge.core.ledger import Delivery, Record, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Tx, outbox, receipts, records, runs


@dataclass(frozen=True, slots=True)
class Seen:
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


def see(tx: Tx, delivery: Delivery, recipe_of: RecipeOf, now: datetime, far: set[str]) -> Seen:
    """Read what has to be known before a delivery is sent; for `far` see `guard.must_wait`."""
    run = runs.get(tx, delivery.run)
    recipe = recipe_of(run) if run else None
    asks = asking.is_message(delivery) and delivery.action == asking.ASK
    return Seen(
        run=run,
        recipe=recipe,
        wait=guard.must_wait(tx, recipe, now, far) if recipe else "",
        base=records.get(tx, delivery.target) if delivery.target else None,
        since=restoring.since(tx, delivery),
        unasked=asks and not still_asked(tx, delivery),
        earlier=_made_earlier(tx, delivery),
    )


def _made_earlier(tx: Tx, delivery: Delivery) -> Receipt | None:
    """Tell what an earlier delivery of the same marker made, which is used instead of making another."""
    if not delivery.action.endswith(".ensure") or delivery.target is not None or delivery.state == "unknown":
        return None
    for one in outbox.by_marker(tx, delivery.connection, delivery.marker):
        if one.id == delivery.id or one.state != "confirmed":
            continue
        for row in receipts.of_delivery(tx, one.id):
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
