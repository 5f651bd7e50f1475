"""outbox → vendor: performs deliveries, settles doubts, moves runs on; reads no change and judges no recipe.

Each delivery is three moments: marked sent (commit), the vendor called, the outcome with links, receipt and the run's next step
recorded (commit). Whatever has no complete answer becomes `unknown` and is settled by the action's effect class before it may be
sent again.
"""

import threading
from collections.abc import Sequence
from copy import deepcopy
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
from cxbridge.core.engine import asking, consent, failing, guard, reaching, restoring
from cxbridge.core.engine.abreast import Abreast
from cxbridge.core.engine.approvals import still_asked
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.settle import DEFAULT_RETRY, OnSettled, Pushed, RecipeOf, Settler, told_of
from cxbridge.core.engine.soundness import blaming, receipt_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import Rejected, Retryable, Unauthorized, Withheld
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, receipts, records, restored, runs, state

# How many looks that find nothing, `settle` apart, make sure that an unanswered write never arrived.
LOOKS = 2
# When what was kept back without a word about its end is looked at again.
SOON = timedelta(seconds=5)


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
                    doubt = self.settler.doubt(delivery, "the daemon ended while the vendor was being called")
                    self.settler.keep_in_doubt(tx, doubt)
                    count += 1
        return count

    def push(
        self, connection: Connection, client: Client, stop: threading.Event | None = None, abreast: int = 1
    ) -> Pushed:
        """Work off what is due for one connection, until nothing is due or it must pause.

        Up to `abreast` deliveries are under way at once, never two of one order key: `due` gives one of each.
        """
        result = Pushed()
        with self.store.read() as tx:
            left = outbox.interrupted(tx, connection.name)
        if left:
            # An earlier turn called the vendor and could not record the outcome, as on a full disk: nobody waits for it any more.
            self.recover([connection.name])
        lock = threading.Lock()

        def due(most: int) -> list[Delivery]:
            with self.store.read() as tx:
                result.paused = result.paused or connection.name in state.pauses(tx)
                return [] if result.paused else outbox.due(tx, connection.name, self.clock.now(), most)

        def deliver(delivery: Delivery) -> None:
            one = Pushed()
            try:
                self._deliver(connection, client, delivery, one)
            finally:
                with lock:
                    result.add(one)

        def over() -> bool:
            return result.paused or result.kept_back is not None or (stop is not None and stop.is_set())

        Abreast(connection.name, abreast, due, deliver, over).run()
        with self.store.read() as tx:
            result.next_at = None if result.paused else outbox.next_due(tx, connection.name)
        if result.next_at is not None and result.kept_back is not None:
            result.next_at = max(result.next_at, result.kept_back)
        return result

    def _deliver(self, connection: Connection, client: Client, delivery: Delivery, result: Pushed) -> None:
        result.kept_back = client.left_alone_until()
        if result.kept_back is not None:
            # Nothing is written about the delivery: however many wait behind an open breaker, none of them is touched.
            return
        action = connection.actions.get(delivery.action)
        if action is None:
            self.settler.bury(delivery, "unsupported", f"{connection.name} does not offer {delivery.action}", result)
            return
        with self.store.read() as tx:
            run = runs.get(tx, delivery.run)
            recipe = self.recipe_of(run) if run else None
            wait = guard.must_wait(tx, recipe, self.clock.now()) if recipe else ""
            base = records.get(tx, delivery.target) if delivery.target else None
            since = restoring.since(tx, delivery)
            unasked = asking.is_message(delivery) and delivery.action == asking.ASK and not still_asked(tx, delivery)
            earlier = _made_earlier(tx, delivery)
        over = run is not None and run.state == "cancelled" and not asking.is_courtesy(delivery)
        # What is in doubt is looked up all the same, so that it is known what was done.
        if run is None or ((over or unasked) and delivery.state != "unknown"):
            self.settler.drop(delivery)
            return
        if wait and delivery.state != "unknown" and not failing.is_notice(delivery):
            # What is in doubt is looked up all the same: that tells what was done, and does nothing.
            self.settler.postpone(delivery, wait, timedelta(minutes=1), result)
            return
        call = Call(
            # A copy: what the connector's code does to it must not reach what is kept.
            inputs=msgspec.convert(deepcopy(dict(delivery.inputs)), action.inputs_type),
            marker=delivery.marker,
            target=delivery.target.key if delivery.target else None,
            base=base.entity() if base else None,
            since=since,
            # What happened in the time that a restored store lost was sent when nobody knows.
            sent=None if restoring.is_lost(delivery) else delivery.sent_at,
        )
        if delivery.state == "unknown":
            self._settle_doubt(connection, client, action, call, delivery, run, recipe, result)
            return
        if earlier is not None:
            result.adopted += 1
            self.settler.confirm(delivery, earlier, run, recipe, result, keep_receipt=False)
            return
        self.probe("push.claimed")
        sent = msgspec.structs.replace(delivery, state="sent", attempts=delivery.attempts + 1, sent_at=self.clock.now())

        def claimed(tx: Tx) -> bool:
            # Or somebody decided about it meanwhile: a person, or a newer run that took its run's place.
            stands = outbox.claim(tx, sent, delivery.state)
            return stands and not (recipe is not None and self._left_alone(tx, delivery, run, recipe, result))

        if not self.store.join(claimed):
            return
        self.probe("push.sent")
        try:
            with blaming(connection.connector.name, f"{action.name} of {connection.name}"):
                receipt = receipt_of(action.perform(client, call))
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
        # The vendor counts from when it first saw the key, which cannot have been before this.
        age = (now - delivery.created_at).total_seconds()
        lost = restoring.is_lost(delivery)
        # Of what a restored store has lost nobody knows when the vendor first saw its key.
        if isinstance(effect, Idempotent) or (isinstance(effect, Keyed) and not lost and age < effect.window / 2):
            self._repeat(connection, delivery, run, recipe, result)
            return
        if isinstance(effect, Blind) or action.find is None:
            self._note(delivery, "held")
            self.settler.hold(
                delivery,
                "no answer came, and this write can neither be repeated nor looked up: look at the vendor, then "
                "`cxbridge dead retry` or `cxbridge dead drop`",
            )
            return
        try:
            with blaming(connection.connector.name, f"{action.name} of {connection.name}"):
                found = action.find(client, call)
                receipt = None if found is None else receipt_of(found)
        except Unauthorized as error:
            self.settler.pause(connection, error, delivery, result)
            return
        except Withheld as error:
            result.kept_back = error.retry_at or now + SOON
            return
        except Exception as error:  # noqa: BLE001  # a look-up that fails decides nothing
            later = now + timedelta(seconds=max(effect.settle, 5.0))
            if isinstance(error, Retryable) and error.retry_at is not None:
                later = max(later, error.retry_at)
            self.settler.keep(msgspec.structs.replace(delivery, not_before=later, error=told_of(error)))
            return
        if receipt is not None:
            self._note(delivery, "found", run, recipe)
            self.settler.confirm(delivery, receipt, run, recipe, result, keep_receipt=True)
            return
        looked = delivery.looked + 1
        if looked >= LOOKS:
            self._repeat(connection, delivery, run, recipe, result)
            return
        self.settler.keep(
            msgspec.structs.replace(delivery, looked=looked, not_before=now + timedelta(seconds=effect.settle))
        )

    def _repeat(
        self, connection: Connection, delivery: Delivery, run: Run, recipe: Recipe | None, result: Pushed
    ) -> None:
        if restoring.is_lost(delivery) and self._outdated(connection, delivery, run, recipe, result):
            return
        self._note(delivery, "sent")
        self.settler.repeat(delivery, recipe.on_error.retry if recipe else DEFAULT_RETRY, result)

    def _outdated(
        self, connection: Connection, delivery: Delivery, run: Run, recipe: Recipe | None, result: Pushed
    ) -> bool:
        """Keep a value back that was decided before the store was put back, where a newer one may stand there."""
        with self.store.write() as tx:
            verdict, why = restoring.may_be_sent(tx, connection, delivery)
            if verdict == "overtaken" and recipe is not None:
                restored.count(tx, "overtaken")
                self.settler.leave_out(tx, delivery, run, recipe, consent.Refusal("overtaken", why), result)
        if verdict == "wait":
            later = self.clock.now() + timedelta(seconds=15)
            self.settler.keep(msgspec.structs.replace(delivery, not_before=later, error=why))
        elif verdict == "undecided" or (verdict == "overtaken" and recipe is None):
            self._note(delivery, "held")
            self.settler.hold(delivery, why)
        return verdict != "send"

    def _note(self, delivery: Delivery, outcome: str, run: Run | None = None, recipe: Recipe | None = None) -> None:
        """Count what became of a doubt that a restore left; whoever was reached in the lost time is entered as asked."""
        if not restoring.is_lost(delivery):
            return
        with self.store.write() as tx:
            restored.count(tx, outcome)
            if run is not None and recipe is not None:
                scopes = Scopes(tx, self.clock.now())
                reached = reaching.outreach(self.stepper, scopes, recipe, run, delivery)
                if reached is not None:
                    consent.enter(tx, reached, recipe, run, scopes.now)

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
        elif isinstance(error, Withheld) and not error.sent:
            self.settler.put_back(delivery)
            result.kept_back = error.retry_at or self.clock.now() + SOON
        elif isinstance(error, Retryable) and not error.sent:
            self.settler.again(delivery, retry, error, result)
        elif isinstance(error, Rejected):
            self.settler.bury(delivery, type(error).__name__.lower(), told_of(error), result)
        else:
            # No complete answer: a timeout, a cut body, an unknown form, or a connector that broke half-way.
            with self.store.write() as tx:
                self.settler.keep_in_doubt(tx, self.settler.doubt(delivery, told_of(error), action, retry))
            result.unknown += 1


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
