"""outbox → vendor: performs deliveries and moves runs on; reads no change and judges no recipe.

Each delivery is three moments: marked sent (commit), the vendor called, the outcome with links, receipt and the run's next step
recorded (commit). Those that are due right then, and will be sent at once, are marked in the commit that records outcomes: as many
as the vendor answers within a moment, and their outcomes are recorded together. So what is in doubt after a crash is never more
than a moment's work. Whatever has no complete answer becomes `unknown` and is settled by the action's effect class before it may be
sent again.
"""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Blind, Client
from cxbridge.core.engine import failing
from cxbridge.core.engine.abreast import BATCH, Abreast
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.claiming import Claims
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.doubts import SOON, Doubt, Doubts
from cxbridge.core.engine.fresh import Fresh
from cxbridge.core.engine.pushed import OnSettled, Pushed, RecipeOf
from cxbridge.core.engine.settle import DEFAULT_RETRY, Settler, told_of
from cxbridge.core.engine.soundness import blaming, receipt_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.tempo import MOMENT, Tempo
from cxbridge.core.engine.turn import Ready, Turn
from cxbridge.core.errors import Rejected, Retryable, StoreError, Unauthorized, Withheld
from cxbridge.core.ledger import Delivery
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, outbox, state

# What was marked so many seconds ago and is still not sent is put back: somebody may have decided something about it since.
_STALE = 1.0


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
    # Has recipes that were edited noticed, whenever it is asked what is due.
    keep_up: Callable[[], None] = lambda: None
    settler: Settler = field(init=False)
    doubts: Doubts = field(init=False)
    claims: Claims = field(init=False)
    # By connection.
    _tempi: dict[str, Tempo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settler = Settler(
            self.store, self.stepper, self.clock, self.recipe_of, self.probe, self.on_settled, self.random
        )
        self.doubts = Doubts(self.store, self.settler, self.stepper, self.clock)
        self.claims = Claims(self.settler, self.stepper, self.clock, self.recipe_of)

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
        tempo = self._tempi.setdefault(connection.name, Tempo())
        few = 2 * abreast
        fresh = Fresh(connection, client, self.clock, lambda: 0 if tempo.is_quick else few)
        turn = Turn(connection, client, tempo, fresh)

        def due(most: int) -> list[Delivery]:
            nonlocal first
            self.keep_up()
            turn.far.clear()
            turn.waiting.clear()
            found, first = first, None
            if found is None:
                with self.store.read() as tx:
                    found = self._due(tx, connection, result, most)
            return found

        def deliver(crew: Abreast, delivery: Delivery) -> Delivery | None:
            one = Pushed()
            turn.fresh.expect(delivery)
            try:
                return self._deliver(turn, crew, delivery, one)
            finally:
                turn.fresh.forget(delivery)
                with lock:
                    result.add(one)

        def record(before: float = math.inf) -> None:
            one = Pushed()
            try:
                self._record(turn, one, before)
            finally:
                with lock:
                    result.add(one)

        def over() -> bool:
            return result.paused or result.kept_back is not None or (stop is not None and stop.is_set())

        crew = Abreast(
            connection.name,
            abreast,
            due,
            deliver,
            over,
            beside=lambda: record(self.clock.monotonic() - MOMENT),
            alone=lambda: turn.tempo.is_quick,
        )
        try:
            crew.run()
        except Exception:
            # What is not written is taken for a doubt.
            with suppress(Exception):
                record()
            with suppress(Exception):
                self._put_back(turn)
            raise
        record()
        with suppress(StoreError):
            # They are taken for doubts.
            self._put_back(turn)
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

    def _deliver(self, turn: Turn, crew: Abreast, delivery: Delivery, result: Pushed) -> Delivery | None:
        """Do one; gives one that was marked in the commit of outcomes, which is to be sent next."""
        ready = turn.begun.pop(delivery.id, None)
        if ready is None:
            self._record(turn, result)
            ready = self._begun(turn, crew, delivery, result)
        elif self.clock.monotonic() - ready.since > _STALE:
            self.settler.put_back(ready.sent)
            return None
        if ready is None:
            return None
        connection, action, sent, call = turn.connection, ready.action, ready.sent, ready.call
        if turn.fresh.is_new(action, ready.delivery, crew.waiting):
            call = replace(call, fresh=True)
        self.probe("push.sent")
        began = self.clock.monotonic()
        try:
            with blaming(connection.connector.name, f"{action.name} of {connection.name}"):
                receipt = receipt_of(action.perform(turn.client, call))
        except Exception as error:  # noqa: BLE001  # whatever it was, the delivery's state must say what is known
            self._failed(connection, sent, action, ready.recipe, error, result)
            self._record(turn, result)
            return None
        self.probe("push.answered")
        now = self.clock.monotonic()
        answers = turn.answered(Answer.to(sent, receipt, ready.run, ready.recipe, self.clock.now()), now, now - began)
        if isinstance(action.effect, Blind):
            # Lost, it would have to be asked of a person.
            answers = answers or turn.unrecorded()
        if not answers:
            # The next ones are marked already, and this is recorded together with them.
            return None
        if turn.begun:
            self.settler.confirm(answers, result)
            return None
        room = turn.room()
        following = self._following(turn, crew, room)
        first, _ = self._marked(
            turn, crew, room, following, result, lambda mark: self.settler.confirm(answers, result, along=mark)
        )
        return first.delivery if first is not None else None

    def _marked(
        self,
        turn: Turn,
        crew: Abreast,
        room: int,
        some: list[Delivery],
        result: Pushed,
        commit: Callable[[Callable[[Tx], None] | None], bool],
        *,
        mine: Delivery | None = None,
    ) -> tuple[Ready | None, set[str]]:
        """Mark those of some deliveries about which there is nothing to do but to send them, in a transaction of `commit`'s.

        Gives the one that the calling thread has to send, which is `mine` where that is given, and the ids of those that are
        marked, or that somebody decided about meanwhile. All others are with the crew. `commit` says whether it was committed.
        """
        beside = Pushed()
        marked: list[Ready] = []
        known: set[str] = set()

        def mark(tx: Tx) -> None:
            plain = self.claims.plain(tx, turn.connection, some, turn.far)
            if plain:
                self.probe("push.claimed")
                marked.extend(self.claims.mark(tx, plain, beside))
                known.update(one.delivery.id for one in plain)

        committed = False
        try:
            committed = commit(mark if some else None)
        except Exception:
            if marked:
                # They never left. Where that cannot be written, they are taken for doubts.
                with suppress(StoreError):
                    self.settler.put_back(*(one.sent for one in marked))
            raise
        finally:
            turn.mark(room, marked if committed else [])
        if not committed:
            marked, known = [], set()
        result.add(beside)
        first = marked[0] if marked and mine in (None, marked[0].delivery) else None
        begun = {one.delivery.id for one in marked}
        for one in some:
            if one.id in known - begun and one is not mine:
                crew.done(one)
        crew.not_begun(
            [
                *(one.delivery for one in marked if one is not first),
                *(one for one in some if one.id not in known and one is not mine),
            ]
        )
        return first, known

    def _record(self, turn: Turn, result: Pushed, before: float = math.inf) -> None:
        """Record what was answered, the first of it before that time, and is not recorded."""
        answers = turn.unrecorded(before)
        if answers:
            self.settler.confirm(answers, result)

    def _put_back(self, turn: Turn) -> None:
        """Take back the marks of what is not sent."""
        if turn.begun:
            self.settler.put_back(*(one.sent for one in turn.begun.values()))

    def _begun(self, turn: Turn, crew: Abreast, delivery: Delivery, result: Pushed) -> Ready | None:
        """Mark one as sent; None where there is nothing to send, or something else to do about it, which is done then.

        Those that come next are marked with it.
        """
        connection, client = turn.connection, turn.client
        result.kept_back = client.left_alone_until()
        if result.kept_back is not None:
            # Nothing is written about the delivery: however many wait behind an open breaker, none of them is touched.
            return None
        action = connection.actions.get(delivery.action)
        if action is None:
            self.settler.bury(delivery, "unsupported", f"{connection.name} does not offer {delivery.action}", result)
            return None
        if self._may_go_along(turn, delivery):
            room = turn.room()
            some = [delivery, *self._following(turn, crew, room - 1)]
            try:
                first, known = self._marked(turn, crew, room, some, result, self._commit, mine=delivery)
            except StoreError:
                raise
            except Exception:  # noqa: BLE001  # whichever it was of, it is met again by itself
                crew.not_begun(some[1:])
            else:
                if delivery.id in known:
                    return None if first is None else turn.begun.pop(delivery.id)
        return self._by_itself(turn, action, delivery, result)

    def _commit(self, mark: Callable[[Tx], None] | None) -> bool:
        if mark is not None:
            self.store.join(mark)
        return True

    def _by_itself(self, turn: Turn, action: Action, delivery: Delivery, result: Pushed) -> Ready | None:
        """Do about one whatever is to be done; gives it where it is marked, and to be sent."""
        connection, client = turn.connection, turn.client
        with self.store.read() as tx:
            [seen] = self.claims.see(tx, [delivery], turn.far)
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
        ready = self.claims.ready(delivery, action, seen, run)
        if delivery.state == "unknown":
            self.doubts.decide(Doubt(connection, action, ready.call, delivery, run, seen.recipe), client, result)
            return None
        if seen.earlier is not None:
            result.adopted += 1
            answer = Answer.to(delivery, seen.earlier, run, seen.recipe, self.clock.now(), by="earlier write")
            self.settler.confirm([answer], result)
            return None
        self.probe("push.claimed")
        return ready if self.store.join(lambda tx: self.claims.mark(tx, [ready], result)) else None

    def _following(self, turn: Turn, crew: Abreast, most: int) -> list[Delivery]:
        """Take the next ones that may be marked in the commit of outcomes, as many as are sent within a moment.

        What can neither be repeated nor looked up is marked by itself, no earlier than it must be.
        """
        try:
            if turn.client.left_alone_until() is not None:
                return []
        except Exception:  # noqa: BLE001  # it must not keep the outcomes that are at hand from being recorded, and is met again
            return []
        taken = crew.some(most)
        plain = [one for one in taken if self._may_go_along(turn, one)]
        if len(plain) < len(taken):
            marked = {one.id for one in plain}
            crew.not_begun([one for one in taken if one.id not in marked])
        return plain

    def _may_go_along(self, turn: Turn, delivery: Delivery) -> bool:
        action = turn.connection.actions.get(delivery.action)
        waits = delivery.state == "unknown" or delivery.recipe in turn.waiting
        return not waits and action is not None and not isinstance(action.effect, Blind)

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
