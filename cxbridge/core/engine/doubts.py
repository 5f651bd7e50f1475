"""Decides what is done about a write that was never answered, by its effect class: sent again, looked for, or left to a person."""

from dataclasses import dataclass
from datetime import timedelta

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Blind, Call, Client, Idempotent, Keyed
from cxbridge.core.engine import consent, reaching, restoring
from cxbridge.core.engine.answers import Answer
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.pushed import Pushed
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.settle import DEFAULT_RETRY, Settler, told_of
from cxbridge.core.engine.soundness import blaming, receipt_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.errors import Retryable, Unauthorized, Withheld
from cxbridge.core.ledger import Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, restored

# How many looks that find nothing, `settle` apart, make sure that an unanswered write never arrived.
LOOKS = 2
# When what was kept back without a word about its end is looked at again.
SOON = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A delivery in doubt, with what it was to do."""

    connection: Connection
    action: Action
    call: Call
    delivery: Delivery
    run: Run
    recipe: Recipe | None


@dataclass(frozen=True, slots=True)
class Doubts:
    """Settles doubts. A vendor is asked for what may have been done; nothing is written at one."""

    store: Store
    settler: Settler
    stepper: Stepper
    clock: Clock

    def decide(self, doubt: Doubt, client: Client, result: Pushed) -> None:
        """Decide about a write that was never answered, by its effect class."""
        connection, action, delivery = doubt.connection, doubt.action, doubt.delivery
        now = self.clock.now()
        effect = action.effect
        # The vendor counts from when it first saw the key, which cannot have been before this.
        age = (now - delivery.created_at).total_seconds()
        lost = restoring.is_lost(delivery)
        # Of what a restored store has lost nobody knows when the vendor first saw its key.
        if isinstance(effect, Idempotent) or (isinstance(effect, Keyed) and not lost and age < effect.window / 2):
            self._repeat(doubt, result)
            return
        if isinstance(effect, Blind) or action.find is None:
            self._note(doubt, "held")
            self.settler.hold(
                delivery,
                "no answer came, and this write can neither be repeated nor looked up: look at the vendor, then "
                "`cxbridge dead retry` or `cxbridge dead drop`",
            )
            return
        try:
            with blaming(connection.connector.name, f"{action.name} of {connection.name}"):
                found = action.find(client, doubt.call)
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
            self._note(doubt, "found", reached=True)
            answer = Answer.to(delivery, receipt, doubt.run, doubt.recipe, self.clock.now(), by="look-up")
            self.settler.confirm([answer], result)
            return
        looked = delivery.looked + 1
        if looked >= LOOKS:
            self._repeat(doubt, result)
            return
        self.settler.keep(
            msgspec.structs.replace(delivery, looked=looked, not_before=now + timedelta(seconds=effect.settle))
        )

    def _repeat(self, doubt: Doubt, result: Pushed) -> None:
        if restoring.is_lost(doubt.delivery) and self._outdated(doubt, result):
            return
        self._note(doubt, "sent")
        retry = doubt.recipe.on_error.retry if doubt.recipe else DEFAULT_RETRY
        self.settler.repeat(doubt.delivery, retry, result)

    def _outdated(self, doubt: Doubt, result: Pushed) -> bool:
        """Keep a value back that was decided before the store was put back, where a newer one may stand there."""
        delivery, recipe = doubt.delivery, doubt.recipe
        with self.store.write() as tx:
            verdict, why = restoring.may_be_sent(tx, doubt.connection, delivery)
            if verdict == "overtaken" and recipe is not None:
                restored.count(tx, "overtaken")
                self.settler.leave_out(tx, delivery, doubt.run, recipe, consent.Refusal("overtaken", why), result)
        if verdict == "wait":
            later = self.clock.now() + timedelta(seconds=15)
            self.settler.keep(msgspec.structs.replace(delivery, not_before=later, error=why))
        elif verdict == "undecided" or (verdict == "overtaken" and recipe is None):
            self._note(doubt, "held")
            self.settler.hold(delivery, why)
        return verdict != "send"

    def _note(self, doubt: Doubt, outcome: str, *, reached: bool = False) -> None:
        """Count what became of a doubt that a restore left; whoever was `reached` in the lost time is entered as asked."""
        if not restoring.is_lost(doubt.delivery):
            return
        with self.store.write() as tx:
            restored.count(tx, outcome)
            if reached and doubt.recipe is not None:
                scopes = Scopes(tx, self.clock.now())
                asked = reaching.outreach(self.stepper, scopes, doubt.recipe, doubt.run, doubt.delivery)
                if asked is not None:
                    consent.enter(tx, asked, doubt.recipe, doubt.run, scopes.now)
