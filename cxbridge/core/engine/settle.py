"""What an answer, or the lack of one, means for a delivery and its run; each outcome is one commit, and no vendor is called.

What was written, or may have been, is entered in the audit chain in that same commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Findable, Keyed
from cxbridge.core.engine import asking, consent, failing, guard, reaching
from cxbridge.core.engine.advancing import SKIPPED, noted, skipped, with_result
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.moving import Moves
from cxbridge.core.engine.pushed import OnSettled, Pushed, RecipeOf
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import CxbridgeError, PluginError, RateLimited, Retryable, StoreError, VendorError
from cxbridge.core.ledger import ACTIVE_RUNS, Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.schema import Retry
from cxbridge.core.store import Store, Tx, approvals, audit, outbox, planning, receipts, runs, state

# What a run gets whose recipe cannot be had any more.
DEFAULT_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class Settler:
    """Records outcomes. `recipe_of` gives the recipe in the version a run began under, or `None`."""

    store: Store
    stepper: Stepper
    clock: Clock
    recipe_of: RecipeOf
    probe: Probe = no_probe
    on_settled: OnSettled | None = None
    random: Random = field(default_factory=Random)

    def confirm(self, answers: Sequence[Answer], result: Pushed, *, along: Callable[[Tx], None] | None = None) -> bool:
        """Record that writes were done, or found done, and move their runs on: all in one commit.

        `along` is done in the same commit, if it can be; gives whether it was. Where one of the writes cannot be recorded, the
        others are all the same, each by itself.

        Raises:
            StoreError: the store cannot be written now. And whatever keeps one of them from being recorded, after the others are.
        """
        doing = "recording"

        def both(tx: Tx) -> None:
            nonlocal doing
            doing = "recording"
            self._record(tx, answers, result)
            if along is not None:
                doing = "along"
                along(tx)
            doing = "committing"

        try:
            self.store.join(both)
        except Exception:
            # Up to here nothing was committed. Of a commit that failed nobody knows that, and nothing may be recorded twice.
            if doing == "along":
                # An outcome must not be lost over what would have come along.
                self.store.join(lambda tx: self._record(tx, answers, result))
            elif doing == "recording" and len(answers) > 1:
                self._each(answers, result)
                return False
            else:
                raise
        self._announce(answers, result)
        return doing == "committing"

    def _each(self, answers: Sequence[Answer], result: Pushed) -> None:
        """Record each outcome by itself; raises what one failed with when the others are recorded.

        One may hold what the database cannot keep. That it says so of two is taken for trouble of its own.
        """
        failed: list[Exception] = []
        for one in answers:
            try:
                self.confirm([one], result)
            except Exception as error:  # noqa: BLE001  # raised below
                failed.append(error)
                if sum(isinstance(other, StoreError) for other in failed) > 1:
                    break
        if failed:
            raise failed[0]

    def _announce(self, answers: Sequence[Answer], result: Pushed) -> None:
        """Note what is recorded by now, and tell of it whoever wants to know."""
        self.probe("push.settled")
        result.confirmed += len(answers)
        result.settled += [(one.delivery, one.receipt) for one in answers]
        if self.on_settled:
            for one in answers:
                self.on_settled(one.delivery, one.receipt)

    def _record(self, tx: Tx, answers: Sequence[Answer], result: Pushed) -> None:
        now = self.clock.now()
        outbox.settle(tx, [one.delivery for one in answers])
        known = runs.get_many(tx, (one.run.id for one in answers))
        by_run: dict[str, list[Answer]] = {}
        for one in answers:
            by_run.setdefault(one.run.id, []).append(one)
        receipts.add(tx, [row for one in answers for row in one.rows()])
        audit.wrote(tx, [one.entry(known.get(one.run.id) or one.run) for one in answers], now)
        moves = self._moves(tx, now, result)
        moves.look_ahead(known.get(name) or some[0].run for name, some in by_run.items())
        asked = []
        for name, some in by_run.items():
            run = known.get(name) or some[0].run
            for one in some:
                run = with_result(run, one.delivery.step, one.told)
            if run.state in ACTIVE_RUNS:
                moves.move(run, some[0].recipe)
            else:
                # It is over, or a sibling is a dead letter: what was planned beside it is still done, but nothing new begins.
                moves.keep(run)
            asked += [(one, run) for one in some if asking.is_question(one.delivery)]
        moves.finish()
        for one, run in asked:
            if one.recipe is not None:
                self._close(tx, one.delivery, run, one.recipe, result)
        self.probe("push.recorded")

    def _close(self, tx: Tx, delivery: Delivery, run: Run, recipe: Recipe, result: Pushed) -> None:
        """Take the buttons away again from a question that was decided while it was being put."""
        approval = approvals.of_step(tx, run.id, delivery.step.rpartition(".")[0])
        if approval is not None and approval.state != "open":
            closing = reaching.closing(self.stepper, Scopes(tx, self.clock.now()), recipe, run, approval)
            outbox.add(tx, closing)
            result.connections |= {one.connection for one in closing}

    def move(self, tx: Tx, run: Run, recipe: Recipe | None, result: Pushed) -> None:
        """Move a run on inside the commit that settled its delivery or woke it, and then those queued behind it as they end."""
        self.move_all(tx, [(run, recipe)], result)

    def move_all(self, tx: Tx, some: Sequence[tuple[Run, Recipe | None]], result: Pushed) -> None:
        """The same for several runs, no two of which are one."""
        moves = self._moves(tx, self.clock.now(), result)
        moves.look_ahead(run for run, recipe in some if recipe is not None)
        for run, recipe in some:
            moves.move(run, recipe)
        moves.finish()

    def _moves(self, tx: Tx, now: datetime, result: Pushed) -> Moves:
        return Moves(tx, Scopes(tx, now), self.stepper, self.recipe_of, result)

    def again(self, delivery: Delivery, retry: Retry, error: Retryable, result: Pushed) -> None:
        kind = "rate_limited" if isinstance(error, RateLimited) else "server_error" if error.status else "timeout"
        limited = isinstance(error, RateLimited)
        # Being told to wait is not a failed try: only its own time is lost.
        attempts = delivery.attempts - 1 if limited else delivery.attempts
        if kind not in retry.only or attempts >= retry.tries:
            self.bury(msgspec.structs.replace(delivery, attempts=attempts), kind, told_of(error), result)
            return
        later = self.clock.now() + self._pause_before(attempts + 1, retry)
        if error.retry_at is not None:
            later = error.retry_at if limited else max(later, error.retry_at)
        with self.store.write() as tx:
            # It certainly reached nobody, and is judged anew before it is sent again.
            consent.take_back(tx, delivery)
            outbox.update(
                tx,
                msgspec.structs.replace(
                    delivery, state="retry", attempts=attempts, not_before=later, error=told_of(error), error_code=kind
                ),
            )
        result.retried += 1

    def put_back(self, *deliveries: Delivery) -> None:
        """Take tries as not made, since we kept the requests back ourselves: nothing of the deliveries is changed by it."""
        with self.store.write() as tx:
            for one in deliveries:
                consent.take_back(tx, one)
            outbox.update_all(
                tx, [msgspec.structs.replace(one, state="planned", attempts=one.attempts - 1) for one in deliveries]
            )

    def pause(self, connection: Connection, error: VendorError, delivery: Delivery, result: Pushed) -> None:
        now = self.clock.now()
        back = "unknown" if delivery.state == "unknown" else "planned"
        with self.store.write() as tx:
            if back == "planned":
                consent.take_back(tx, delivery)
            outbox.update(
                tx, msgspec.structs.replace(delivery, state=back, error=told_of(error), error_code="unauthorized")
            )
            state.pause(
                tx,
                connection.name,
                str(error),
                f"mend the credential, then: cxbridge connections check {connection.name}",
                now,
            )
        result.paused = True

    def bury(self, delivery: Delivery, code: str, told: str, result: Pushed) -> None:
        """Make a dead letter, and let the recipe's `on_error.then` decide about the run."""
        now = self.clock.now()
        dead = msgspec.structs.replace(delivery, state="dead", settled_at=now, error=told, error_code=code)
        with self.store.write() as tx:
            outbox.update(tx, dead)
            if code != "unknown_outcome":
                consent.take_back(tx, dead)
            run = runs.get(tx, delivery.run)
            _enter(tx, "dead", dead, run, now)
            recipe = self.recipe_of(run) if run else None
            then = recipe.on_error.then if recipe else "quarantine"
            if run is None or run.state not in ACTIVE_RUNS or asking.is_courtesy(dead) or failing.is_notice(dead):
                # The run is over, or does well without: the dead letter is there to be seen, and that is all.
                pass
            elif then == "skip" and recipe is not None:
                self.move(tx, with_result(run, delivery.step, SKIPPED), recipe, result)
            else:
                runs.save(
                    tx,
                    msgspec.structs.replace(
                        run, state="failed", reason=f"step {delivery.step}: {told}", ended_at=now, wake_at=None
                    ),
                )
                if recipe is not None and then == "halt":
                    guard.halt_in(tx, recipe, f"step {delivery.step} failed: {told}", now)
            if run is not None and recipe is not None and not failing.is_notice(dead):
                self._tell(tx, run, recipe, f"step {delivery.step}: {told}", result)
        result.dead += 1
        result.settled.append((dead, None))
        if self.on_settled:
            self.on_settled(dead, None)

    def _tell(self, tx: Tx, run: Run, recipe: Recipe, reason: str, result: Pushed) -> None:
        """Tell people of a dead letter, where the recipe says whom."""
        notice = failing.notice(self.stepper, Scopes(tx, self.clock.now()), recipe, run, reason)
        if notice is not None:
            outbox.add(tx, notice.deliveries)
            result.connections |= {one.connection for one in notice.deliveries}
            for name, value in notice.kept.items():
                state.meta_set(tx, name, value)

    def doubt(
        self, delivery: Delivery, told: str, action: Action | None = None, retry: Retry | None = None
    ) -> Delivery:
        """Say that nobody knows whether a write was done; it is decided about when the vendor must be able to show it.

        Where deciding means sending again, the pause grows with the tries as for any failure.
        """
        if action is None:
            connection = self.stepper.connections.get(delivery.connection)
            action = connection.actions.get(delivery.action) if connection else None
        effect = action.effect if action else None
        settle = timedelta(seconds=effect.settle if isinstance(effect, Findable | Keyed) else 1.0)
        if retry is not None and delivery.attempts > 1:
            settle = max(settle, self._pause_before(delivery.attempts, retry))
        return msgspec.structs.replace(
            delivery,
            state="unknown",
            looked=0,
            # From now, not from when it was marked as sent: it may have waited for a limit, and the vendor have done it just now.
            not_before=self.clock.now() + settle,
            error=told,
            error_code="unknown_outcome",
        )

    def keep_in_doubt(self, tx: Tx, delivery: Delivery) -> None:
        """Write a delivery that has just become doubtful or held, in a commit that may hold others of its kind."""
        outbox.update(tx, delivery)
        outcome: audit.Outcome = "held" if delivery.state == "held" else "unknown"
        _enter(tx, outcome, delivery, runs.get(tx, delivery.run), self.clock.now())

    def hold(self, delivery: Delivery, told: str) -> None:
        """Leave a write to a person, because nobody else can find out whether it was done."""
        held = msgspec.structs.replace(delivery, state="held", error_code="unknown_outcome", error=told)
        with self.store.write() as tx:
            self.keep_in_doubt(tx, held)

    def repeat(self, delivery: Delivery, retry: Retry, result: Pushed) -> None:
        """Send again what may be sent again, unless the tries are used up: then a person decides."""
        if delivery.attempts >= retry.tries:
            self.bury(
                delivery, "unknown_outcome", f"no clear answer in {delivery.attempts} tries: {delivery.error}", result
            )
            return
        self.keep(msgspec.structs.replace(delivery, state="planned", looked=0, not_before=self.clock.now()))

    def _pause_before(self, attempt: int, retry: Retry) -> timedelta:
        """Draw the pause before a try (the second is the first that has one): it grows from `first` to `max` over the tries."""
        first, most = retry.first.total_seconds(), retry.max.total_seconds()
        growth = max(2.0, (most / first) ** (1 / max(1, retry.tries - 3))) if first else 1.0
        ceiling = min(most, first * growth ** max(0, attempt - 2))
        # Half of it is drawn, so that many deliveries that failed together do not come back together.
        return timedelta(seconds=self.random.uniform(ceiling / 2, ceiling))

    def put_off(self, delivery: Delivery, why: str, wait: timedelta, result: Pushed) -> None:
        """Leave a delivery for later without counting a try, and with it all of its recipe that are due: they wait for the same."""
        now = self.clock.now()
        with self.store.write() as tx:
            result.retried += outbox.put_off(
                tx, delivery.connection, delivery.recipe, now=now, until=now + wait, why=why, but=failing.STEP
            )

    def leave_out(
        self, tx: Tx, delivery: Delivery, run: Run, recipe: Recipe, refused: consent.Refusal, result: Pushed
    ) -> None:
        """Give up a delivery that must not reach whom it would reach; the run goes on without, in the commit that found out."""
        now = self.clock.now()
        gone = msgspec.structs.replace(
            delivery, state="cancelled", settled_at=now, error=refused.told, error_code="left_out"
        )
        outbox.update(tx, gone)
        consent.take_back(tx, gone)
        planning.tally(tx, recipe.id, refused.reason, at=now, ref=run.subject)
        current = noted(runs.get(tx, run.id) or run, f"{delivery.step}: {refused.told}")
        step = next((one for one in recipe.part(run.part) if one.id == delivery.step), None)
        if step is not None and run.part == "steps":
            current = with_result(current, step.id, skipped(step, refused.told))
        if current.state in ACTIVE_RUNS:
            self.move(tx, current, recipe, result)
        else:
            runs.save(tx, current)
        result.settled.append((gone, None))

    def drop(self, delivery: Delivery) -> None:
        now = self.clock.now()
        with self.store.write() as tx:
            outbox.update(tx, msgspec.structs.replace(delivery, state="cancelled", settled_at=now))
            if delivery.state == "unknown":
                # It may have been done: whoever asks must be told that nobody looked any more.
                _enter(tx, "dropped", delivery, runs.get(tx, delivery.run), now)

    def keep(self, delivery: Delivery) -> None:
        """Write a delivery as it now is."""
        with self.store.write() as tx:
            outbox.update(tx, delivery)


def _enter(tx: Tx, outcome: audit.Outcome, delivery: Delivery, run: Run | None, now: datetime) -> None:
    subject, version = (run.subject, run.version) if run is not None else (None, None)
    audit.wrote(tx, [audit.Wrote(outcome, delivery, subject, {"version": version})], now)


def told_of(error: BaseException) -> str:
    """Say an error in one line; a defect in a connector is named as one, without its text, which may hold anything."""
    if isinstance(error, CxbridgeError):
        return str(error)
    return str(PluginError("connector", f"broke while writing ({type(error).__name__})"))
