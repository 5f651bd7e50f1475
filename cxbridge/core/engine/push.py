"""outbox → vendor: performs deliveries, settles doubts, moves runs on; reads no change and judges no recipe.

Each delivery is three moments: marked sent (commit), the vendor called, the outcome with links, receipt and the run's next step
recorded (commit). Whatever has no complete answer becomes `unknown` and is settled by the action's effect class before it may be
sent again.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import (
    Action,
    Blind,
    Call,
    Client,
    Idempotent,
    Keyed,
    Receipt,
)
from cxbridge.core.engine import asking, consent, failing, guard, reaching
from cxbridge.core.engine.approvals import still_asked
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.settle import DEFAULT_RETRY, OnSettled, Pushed, RecipeOf, Settler, told_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import Rejected, Retryable, Unauthorized
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, receipts, records, runs, state

# How many looks that find nothing, `settle` apart, make sure that an unanswered write never arrived.
LOOKS = 2
_BATCH = 50


@dataclass(slots=True)
class Pusher:
    """Everything pushing needs. `recipe_of` gives the recipe in the version a run began under, or `None`."""

    store: Store
    stepper: Stepper
    clock: Clock
    recipe_of: RecipeOf
    probe: Probe = no_probe
    on_settled: OnSettled | None = None
    random: Random = field(default_factory=Random)
    settler: Settler = field(init=False)

    def __post_init__(self) -> None:
        self.settler = Settler(
            self.store, self.stepper, self.clock, self.recipe_of, self.probe, self.on_settled, self.random
        )

    def recover(self, connections: Sequence[str] | None = None) -> int:
        """Turn deliveries that were under way when the process ended into doubts; call once at the start."""
        count = 0
        with self.store.write() as tx:
            for name in connections or [None]:  # type: ignore[list-item]  # None stands for all connections
                for delivery in outbox.interrupted(tx, name):
                    outbox.update(
                        tx, self.settler.doubt(delivery, "the daemon ended while the vendor was being called")
                    )
                    count += 1
        return count

    def push(self, connection: Connection, client: Client, stop: threading.Event | None = None) -> Pushed:
        """Work off what is due for one connection, in order per entity, until nothing is due or it must pause."""
        result = Pushed()
        while stop is None or not stop.is_set():
            with self.store.read() as tx:
                if connection.name in state.pauses(tx):
                    result.paused = True
                    break
                due = outbox.due(tx, connection.name, self.clock.now(), _BATCH)
            if not due:
                break
            for delivery in due:
                if stop is not None and stop.is_set():
                    break
                self._deliver(connection, client, delivery, result)
                if result.paused:
                    break
            if result.paused:
                break
        with self.store.read() as tx:
            result.next_at = None if result.paused else outbox.next_due(tx, connection.name)
        return result

    def _deliver(self, connection: Connection, client: Client, delivery: Delivery, result: Pushed) -> None:
        action = connection.actions.get(delivery.action)
        if action is None:
            self.settler.bury(delivery, "unsupported", f"{connection.name} does not offer {delivery.action}", result)
            return
        with self.store.read() as tx:
            run = runs.get(tx, delivery.run)
            recipe = self.recipe_of(run) if run else None
            wait = guard.must_wait(tx, recipe, self.clock.now()) if recipe else ""
            base = records.get(tx, delivery.target) if delivery.target else None
            unasked = asking.is_message(delivery) and delivery.action == asking.ASK and not still_asked(tx, delivery)
        over = run is not None and run.state == "cancelled" and not asking.is_courtesy(delivery)
        if run is None or over or (unasked and delivery.state != "unknown"):
            self.settler.drop(delivery)
            return
        if wait and delivery.state != "unknown" and not failing.is_notice(delivery):
            # What is in doubt is looked up all the same: that tells what was done, and does nothing.
            self.settler.postpone(delivery, wait, timedelta(minutes=1), result)
            return
        call = Call(
            inputs=msgspec.convert(dict(delivery.inputs), action.inputs_type),
            marker=delivery.marker,
            target=delivery.target.key if delivery.target else None,
            base=base.entity() if base else None,
            since=delivery.created_at,
        )
        if delivery.state == "unknown":
            self._settle_doubt(connection, client, action, call, delivery, run, recipe, result)
            return
        if (
            delivery.action.endswith(".ensure")
            and delivery.target is None
            and self._adopt(delivery, run, recipe, result)
        ):
            return
        self.probe("push.claimed")
        sent = msgspec.structs.replace(delivery, state="sent", attempts=delivery.attempts + 1, sent_at=self.clock.now())
        with self.store.write() as tx:
            now_is = outbox.get(tx, delivery.id)
            if now_is is None or now_is.state != delivery.state:
                # Somebody decided about it meanwhile: a person, or a newer run that took its run's place.
                return
            if recipe is not None and self._left_alone(tx, delivery, run, recipe, result):
                return
            outbox.update(tx, sent)
        self.probe("push.sent")
        try:
            receipt = action.perform(client, call)
        except Exception as error:  # noqa: BLE001  # whatever it was, the delivery's state must say what is known
            self._failed(connection, sent, action, recipe, error, result)
            return
        self.probe("push.answered")
        self.settler.confirm(sent, receipt, run, recipe, result, keep_receipt=True)

    def _left_alone(self, tx: Tx, delivery: Delivery, run: Run, recipe: Recipe, result: Pushed) -> bool:
        """Look once more whether a customer may be reached; if so the ledger is told, in the commit that marks it sent."""
        scopes = Scopes(tx, self.clock.now())
        reached = reaching.outreach(self.stepper, scopes, recipe, run, delivery)
        if reached is None:
            return False
        refused = consent.refusal(scopes, reached, run)
        if refused is not None:
            self.settler.leave_out(tx, delivery, run, recipe, refused, result)
            return True
        consent.enter(tx, reached, recipe, run, scopes.now)
        return False

    def _settle_doubt(
        self,
        connection: Connection,
        client: Client,
        action: Action,
        call: Call,
        delivery: Delivery,
        run: Run,
        recipe: Recipe | None,
        result: Pushed,
    ) -> None:
        """Decide about a write that was never answered, by its effect class."""
        now = self.clock.now()
        effect = action.effect
        retry = recipe.on_error.retry if recipe else DEFAULT_RETRY
        age = (now - (delivery.sent_at or now)).total_seconds()
        if isinstance(effect, Idempotent) or (isinstance(effect, Keyed) and age < effect.window / 2):
            self.settler.repeat(delivery, retry, result)
            return
        if isinstance(effect, Blind) or action.find is None:
            held = msgspec.structs.replace(
                delivery,
                state="held",
                error_code="unknown_outcome",
                error="no answer came, and this write can neither be repeated nor looked up: look at the vendor, then "
                "`cxbridge dead retry` or `cxbridge dead drop`",
            )
            self.settler.keep(held)
            return
        try:
            receipt = action.find(client, call)
        except Unauthorized as error:
            self.settler.pause(connection, error, delivery, result)
            return
        except Exception as error:  # noqa: BLE001  # a look-up that fails decides nothing
            later = now + timedelta(seconds=max(effect.settle, 5.0))
            if isinstance(error, Retryable) and error.retry_at is not None:
                later = max(later, error.retry_at)
            self.settler.keep(msgspec.structs.replace(delivery, not_before=later, error=told_of(error)))
            return
        if receipt is not None:
            self.settler.confirm(delivery, receipt, run, recipe, result, keep_receipt=True)
            return
        looked = delivery.looked + 1
        if looked >= LOOKS:
            self.settler.repeat(delivery, retry, result)
            return
        self.settler.keep(
            msgspec.structs.replace(delivery, looked=looked, not_before=now + timedelta(seconds=effect.settle))
        )

    def _adopt(self, delivery: Delivery, run: Run, recipe: Recipe | None, result: Pushed) -> bool:
        """Use what an earlier delivery of the same marker made; wait when that is still in doubt."""
        with self.store.read() as tx:
            same = [one for one in outbox.by_marker(tx, delivery.connection, delivery.marker) if one.id != delivery.id]
            made = [(one, receipts.of_delivery(tx, one.id)) for one in same if one.state == "confirmed"]
        for _, rows in made:
            for row in rows:
                told = Receipt(
                    stream=row.ref.stream,
                    key=row.ref.key,
                    source_key=row.source_key,
                    url=row.url,
                    version=row.version,
                    changed=False,
                    told="joined the one made earlier",
                )
                result.adopted += 1
                self.settler.confirm(delivery, told, run, recipe, result, keep_receipt=False)
                return True
        return False

    def _failed(
        self,
        connection: Connection,
        delivery: Delivery,
        action: Action,
        recipe: Recipe | None,
        error: Exception,
        result: Pushed,
    ) -> None:
        retry = recipe.on_error.retry if recipe else DEFAULT_RETRY
        if isinstance(error, Unauthorized):
            self.settler.pause(connection, error, delivery, result)
        elif isinstance(error, Retryable) and not error.sent:
            self.settler.again(delivery, retry, error, result)
        elif isinstance(error, Rejected):
            self.settler.bury(delivery, type(error).__name__.lower(), told_of(error), result)
        else:
            # No complete answer: a timeout, a cut body, an unknown form, or a connector that broke half-way.
            self.settler.keep(self.settler.doubt(delivery, told_of(error), action, retry))
            result.unknown += 1
