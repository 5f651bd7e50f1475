"""Makes deliveries ready and marks them as sent, inside a transaction; what is not simply to be sent it leaves alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Call
from cxbridge.core.engine import consent, reaching, restoring
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.pushed import Pushed, RecipeOf
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.seeing import Seen, see
from cxbridge.core.engine.settle import Settler
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.turn import Ready
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.store import Tx, outbox


@dataclass(frozen=True, slots=True)
class Claims:
    """Marks deliveries. `recipe_of` gives the recipe in the version a run began under, or `None`."""

    settler: Settler
    stepper: Stepper
    clock: Clock
    recipe_of: RecipeOf

    def see(self, tx: Tx, deliveries: Sequence[Delivery], far: set[str]) -> list[Seen]:
        """Read what has to be known before deliveries of one connection are sent; for `far` see `guard.must_wait`."""
        return see(tx, deliveries, self.recipe_of, self.clock.now(), far)

    def plain(self, tx: Tx, connection: Connection, deliveries: Sequence[Delivery], far: set[str]) -> list[Ready]:
        """Make those ready about which there is nothing to do but to send them; for `far` see `guard.must_wait`."""
        found: list[Ready] = []
        # Those that come near to what an hour may hold are counted anew for each.
        near: set[str] = set()
        for delivery, seen in zip(deliveries, self.see(tx, deliveries, far), strict=True):
            if seen.run is None or seen.wait or seen.is_off(delivery) or seen.earlier or delivery.recipe in near:
                continue
            if seen.recipe is not None and delivery.recipe not in far:
                near.add(delivery.recipe)
            found.append(self.ready(delivery, connection.actions[delivery.action], seen, seen.run))
        return found

    def ready(self, delivery: Delivery, action: Action, seen: Seen, run: Run) -> Ready:
        call = Call(
            # A copy: what the connector's code does to it must not reach what is kept.
            inputs=msgspec.convert(msgspec.to_builtins(delivery.inputs), action.inputs_type),
            marker=delivery.marker,
            target=delivery.target.key if delivery.target else None,
            base=seen.base.entity() if seen.base else None,
            since=seen.since,
            # What happened in the time that a restored store lost was sent when nobody knows.
            sent=None if restoring.is_lost(delivery) else delivery.sent_at,
        )
        sent = msgspec.structs.replace(delivery, state="sent", attempts=delivery.attempts + 1, sent_at=self.clock.now())
        return Ready(delivery, sent, action, call, run, seen.recipe, self.clock.monotonic())

    def mark(self, tx: Tx, some: Sequence[Ready], result: Pushed) -> list[Ready]:
        """Mark some as sent; gives those that were: a person may have decided about one, or a newer run taken its run's place."""
        stand = outbox.claim(tx, [(one.sent, one.delivery.state) for one in some])
        scopes = Scopes(tx, self.clock.now())
        return [one for one in some if one.delivery.id in stand and not self._left_alone(scopes, one, result)]

    def _left_alone(self, scopes: Scopes, ready: Ready, result: Pushed) -> bool:
        """Look once more whether a customer may be reached; if so the ledger is told, in the commit that marks it sent."""
        delivery, run, recipe = ready.delivery, ready.run, ready.recipe
        reached = None if recipe is None else reaching.outreach(self.stepper, scopes, recipe, run, delivery)
        if reached is None or recipe is None:
            return False
        refused = consent.refusal(scopes, reached, run)
        if refused is not None:
            self.settler.leave_out(scopes.tx, delivery, run, recipe, refused, result)
            return True
        consent.enter(scopes.tx, reached, recipe, run, scopes.now)
        return False
