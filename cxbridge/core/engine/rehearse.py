"""What a recipe would do to all that is stored, run by run and field by field; writes nothing and calls no vendor."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cxbridge.core.clock import Clock
from cxbridge.core.engine.advancing import started
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.ledger import Delivery, Link, Ref, Run, body_view
from cxbridge.core.recipes.decide import in_canary, judge, once_of
from cxbridge.core.recipes.model import Recipe, Trigger
from cxbridge.core.store import Store, Tx, records, runs

_BATCH = 500


@dataclass(slots=True)
class RehearsedRun:
    """One run that a recipe would start: what would be written, field by field, or what would hold it."""

    subject: Ref
    title: str
    account: str
    run: Run
    deliveries: list[Delivery]
    links: list[Link]

    @property
    def held(self) -> str:
        """Why the run would wait for a person, or nothing."""
        return self.run.reason if self.run.state in ("held", "failed") else ""


@dataclass(slots=True)
class Rehearsed:
    """What a recipe would do to all that is stored; `stopped` and `errors` count by condition, `already` what it did before."""

    recipe: str
    considered: int = 0
    acts: list[RehearsedRun] = field(default_factory=list)
    stopped: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    already: int = 0


def rehearse(
    store: Store, stepper: Stepper, recipe: Recipe, clock: Clock, *, since: timedelta | None = None
) -> Rehearsed:
    """Let every stored subject meet the recipe as if it had just changed; nothing is stored and no vendor is called.

    `since` leaves out what the vendor changed longer ago.
    """
    trigger = recipe.triggers[0]
    pretending = replace(stepper, simulate=True)
    result = Rehearsed(recipe.id)
    now = clock.now()
    with store.read() as tx:
        scopes = Scopes(tx, now)
        after: Ref | None = None
        while True:
            found = records.scan(tx, kinds=[trigger.kind], connection=trigger.connection, after=after, limit=_BATCH)
            for record in found:
                shown = body_view(record.ref, record.kind, record.body)
                updated = shown.get("updated_at")
                if since is not None and isinstance(updated, datetime) and now - updated > since:
                    continue
                _rehearse_one(tx, scopes, pretending, recipe, trigger, record.ref, shown, result)
            if len(found) < _BATCH:
                return result
            after = found[-1].ref


def _rehearse_one(
    tx: Tx,
    scopes: Scopes,
    stepper: Stepper,
    recipe: Recipe,
    trigger: Trigger,
    ref: Ref,
    shown: Mapping[str, Any],
    result: Rehearsed,
) -> None:
    result.considered += 1
    event = {"type": f"{trigger.noun}.updated", "at": scopes.now, "trigger": trigger.id}
    scope = scopes.build(recipe, trigger.noun, shown, event=event)
    verdict = judge(recipe, scope)
    if not verdict.acts:
        counts = result.errors if verdict.error else result.stopped
        counts[verdict.told] = counts.get(verdict.told, 0) + 1
        return
    if recipe.stage == "canary" and not in_canary(recipe.canary, scope.get("account")):
        result.stopped["canary"] = result.stopped.get("canary", 0) + 1
        return
    once = once_of(recipe, scope)
    if once is not None:
        last = runs.last_started(tx, recipe.id, "steps", f"{once}~")
        if last is not None and (recipe.run.window is None or scopes.now - last < recipe.run.window):
            result.already += 1
            return
    run = started(
        recipe,
        "steps",
        str(ref),
        f"rehearsal|{once or ref}",
        ref,
        scopes.now,
        0,
        {"noun": trigger.noun, "before": None, "event": event},
    )
    advanced = stepper.advance(scopes, recipe, run)
    account = scope.get("account") or {}
    result.acts.append(
        RehearsedRun(
            ref,
            str(shown.get("subject") or shown.get("name") or ref.key),
            str(account.get("name") or ""),
            advanced.run,
            advanced.deliveries,
            advanced.links,
        )
    )
