"""outbox → vendor: performs deliveries and moves runs on; reads no change and judges no recipe.

Each delivery is three moments: marked sent (commit), the vendor called, the outcome with links, receipt and the run's next step
recorded (commit). Where another one is due right then, and will be sent at once, it is marked in the commit that records the
outcome of the one before. Whatever has no complete answer becomes `unknown` and is settled by the action's effect class before it
may be sent again.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Blind, Call, Client
from cxbridge.core.engine import consent, failing, reaching, restoring
from cxbridge.core.engine.abreast import BATCH, Abreast
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.doubts import SOON, Doubt, Doubts
from cxbridge.core.engine.pushed import OnSettled, Pushed, RecipeOf
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.seeing import Seen, see
from cxbridge.core.engine.settle import DEFAULT_RETRY, Settler, told_of
from cxbridge.core.engine.soundness import blaming, receipt_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import Rejected, Retryable, StoreError, Unauthorized, Withheld
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, state


@dataclass(frozen=True, slots=True)
class _Ready:
    """A delivery that is about to be sent: as it was read, as it is once it is marked, and what its connector is told."""

    delivery: Delivery
    sent: Delivery
    action: Action
    call: Call
    run: Run
    recipe: Recipe | None


@dataclass(slots=True)
class _Turn:
    """One turn of a connection, shared by the threads that work at it."""

    connection: Connection
    client: Client
    # Those that were marked in the commit of the one before, by id.
    begun: dict[str, _Ready] = field(default_factory=dict)
    # See `guard.must_wait`.
    far: set[str] = field(default_factory=set)
    # Recipes all of whose deliveries wait, since it was last asked what is due.
    waiting: set[str] = field(default_factory=set)


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
    doubts: Doubts = field(init=False)

    def __post_init__(self) -> None:
        self.settler = Settler(
            self.store, self.stepper, self.clock, self.recipe_of, self.probe, self.on_settled, self.random
        )
        self.doubts = Doubts(self.store, self.settler, self.stepper, self.clock)

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
            # What is due is asked for by the way: a turn is often about a single delivery that is waited for.
            first = None if left else self._due(tx, connection, result, BATCH)
        if left:
            # An earlier turn called the vendor and could not record the outcome, as on a full disk: nobody waits for it any more.
            self.recover([connection.name])
        lock = threading.Lock()
        turn = _Turn(connection, client)

        def due(most: int) -> list[Delivery]:
            nonlocal first
            turn.far.clear()
            turn.waiting.clear()
            found, first = first, None
            if found is None:
                with self.store.read() as tx:
                    found = self._due(tx, connection, result, most)
            return found

        def deliver(delivery: Delivery) -> Delivery | None:
            one = Pushed()
            try:
                return self._deliver(turn, crew, delivery, one)
            finally:
                with lock:
                    result.add(one)

        def over() -> bool:
            return result.paused or result.kept_back is not None or (stop is not None and stop.is_set())

        crew = Abreast(connection.name, abreast, due, deliver, over)
        crew.run()
        if over():
            with self.store.read() as tx:
                result.next_at = None if result.paused else outbox.next_due(tx, connection.name)
        if result.next_at is not None and result.kept_back is not None:
            result.next_at = max(result.next_at, result.kept_back)
        return result

    def _due(self, tx: Tx, connection: Connection, result: Pushed, most: int) -> list[Delivery]:
        """Read what is due; where nothing is, note when something will be."""
        result.paused = result.paused or connection.name in state.pauses(tx)
        found = [] if result.paused else outbox.due(tx, connection.name, self.clock.now(), most)
        result.next_at = None if found or result.paused else outbox.next_due(tx, connection.name)
        return found

    def _deliver(self, turn: _Turn, crew: Abreast, delivery: Delivery, result: Pushed) -> Delivery | None:
        """Do one; gives the one that was marked together with its outcome, which is to be sent next."""
        ready = turn.begun.pop(delivery.id, None) or self._begun(turn, delivery, result)
        if ready is None:
            return None
        connection, action, sent = turn.connection, ready.action, ready.sent
        self.probe("push.sent")
        try:
            with blaming(connection.connector.name, f"{action.name} of {connection.name}"):
                receipt = receipt_of(action.perform(turn.client, ready.call))
        except Exception as error:  # noqa: BLE001  # whatever it was, the delivery's state must say what is known
            self._failed(connection, sent, action, ready.recipe, error, result)
            return None
        self.probe("push.answered")
        following = self._following(turn, crew)
        if following is None:
            self.settler.confirm(sent, receipt, ready.run, ready.recipe, result, keep_receipt=True)
            return None
        beside = Pushed()
        # None where there is more to do about it than to send it; else it, and whether it is marked.
        taken: tuple[_Ready, bool] | None = None

        def begin(tx: Tx) -> None:
            nonlocal taken
            one = self._plain(tx, turn, following)
            if one is not None:
                self.probe("push.claimed")
                taken = one, self._marks(tx, one, beside)

        try:
            self.settler.confirm(sent, receipt, ready.run, ready.recipe, result, keep_receipt=True, along=begin)
        except Exception:
            if taken is not None and taken[1]:
                # It never left. Where it cannot be written, it is taken for a doubt.
                with suppress(StoreError):
                    self.settler.put_back(taken[0].sent)
            raise
        if taken is None:
            crew.not_begun(following)
            return None
        result.add(beside)
        begun, marked = taken
        if not marked:
            crew.done(following)
            return None
        turn.begun[following.id] = begun
        return following

    def _begun(self, turn: _Turn, delivery: Delivery, result: Pushed) -> _Ready | None:
        """Mark one as sent; None where there is nothing to send, or something else to do about it, which is done then."""
        connection, client = turn.connection, turn.client
        result.kept_back = client.left_alone_until()
        if result.kept_back is not None:
            # Nothing is written about the delivery: however many wait behind an open breaker, none of them is touched.
            return None
        action = connection.actions.get(delivery.action)
        if action is None:
            self.settler.bury(delivery, "unsupported", f"{connection.name} does not offer {delivery.action}", result)
            return None
        with self.store.read() as tx:
            seen = see(tx, delivery, self.recipe_of, self.clock.now(), turn.far)
        run = seen.run
        # What is in doubt is looked up all the same, so that it is known what was done.
        if run is None or (seen.is_off(delivery) and delivery.state != "unknown"):
            self.settler.drop(delivery)
            return None
        if seen.wait and delivery.state != "unknown" and not failing.is_notice(delivery):
            # What is in doubt is looked up all the same: that tells what was done, and does nothing.
            if delivery.recipe not in turn.waiting:
                turn.waiting.add(delivery.recipe)
                self.settler.put_off(delivery, seen.wait, timedelta(minutes=1), result)
            return None
        ready = self._ready(delivery, action, seen, run)
        if delivery.state == "unknown":
            self.doubts.decide(Doubt(connection, action, ready.call, delivery, run, seen.recipe), client, result)
            return None
        if seen.earlier is not None:
            result.adopted += 1
            self.settler.confirm(delivery, seen.earlier, run, seen.recipe, result, keep_receipt=False)
            return None
        self.probe("push.claimed")
        return ready if self.store.join(lambda tx: self._marks(tx, ready, result)) else None

    def _following(self, turn: _Turn, crew: Abreast) -> Delivery | None:
        """Take the next one, where it may be marked in the commit of the one before.

        What can neither be repeated nor looked up is marked by itself, no earlier than it must be.
        """
        one = crew.another()
        if one is None:
            return None
        action = turn.connection.actions.get(one.action)
        if one.state != "unknown" and action is not None and not isinstance(action.effect, Blind):
            # Whatever this stumbles over must not keep the outcome that is at hand from being recorded; it is met again.
            with suppress(Exception):
                if turn.client.left_alone_until() is None:
                    return one
        crew.not_begun(one)
        return None

    def _plain(self, tx: Tx, turn: _Turn, delivery: Delivery) -> _Ready | None:
        """Make one ready, where all there is to do about it is to send it."""
        seen = see(tx, delivery, self.recipe_of, self.clock.now(), turn.far)
        if seen.run is None or seen.wait or seen.is_off(delivery) or seen.earlier:
            return None
        return self._ready(delivery, turn.connection.actions[delivery.action], seen, seen.run)

    def _ready(self, delivery: Delivery, action: Action, seen: Seen, run: Run) -> _Ready:
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
        return _Ready(delivery, sent, action, call, run, seen.recipe)

    def _marks(self, tx: Tx, ready: _Ready, result: Pushed) -> bool:
        """Mark one as sent; False where somebody decided about it meanwhile: a person, or a newer run that took its run's place."""
        stands = outbox.claim(tx, ready.sent, ready.delivery.state)
        recipe = ready.recipe
        return stands and not (recipe is not None and self._left_alone(tx, ready.delivery, ready.run, recipe, result))

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
