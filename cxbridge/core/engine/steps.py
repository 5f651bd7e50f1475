"""A run, moved on: which deliveries come next, and what a settled one means; used by plan and push in their own commits.

Reads the store, returns what is to be written (`Advance`), and calls no vendor. A run in stage shadow, and every run of a
`plan`, goes the same way, but its deliveries are answered here by what the action would most likely give.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from cxbridge.core.engine import consent, failing, reaching, repeating, restoring
from cxbridge.core.engine.advancing import Advance, Fault, skipped, with_result
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.given import Given
from cxbridge.core.engine.identity_views import resumed, translated, waiting
from cxbridge.core.engine.inputs import fitted
from cxbridge.core.engine.pausing import Unreached
from cxbridge.core.engine.scope import Scope, Scopes
from cxbridge.core.engine.targets import identity_of, target_of
from cxbridge.core.ledger import OPEN_DELIVERIES, Delivery, Link, Ref, Run, body_view, new_id
from cxbridge.core.recipes.expressions import Escape, ExpressionError, Unmapped
from cxbridge.core.recipes.model import RESULT_FIELDS, Recipe, Rendered, Step
from cxbridge.core.recipes.nouns import NOUNS, VERB_KINDS
from cxbridge.core.store import receipts

_ESCAPES = {
    "plain": Escape.PLAIN,
    "html": Escape.HTML,
    "adf": Escape.ADF,
    "markdown": Escape.MARKDOWN,
    "slack": Escape.SLACK,
}


@dataclass(frozen=True, slots=True)
class Stepper:
    """Moves runs on. `key` makes markers; `simulate` answers every delivery at once instead of putting it into the outbox."""

    connections: Mapping[str, Connection]
    key: bytes
    simulate: bool = False
    # How long nobody is asked again, where neither step nor recipe says.
    quarantine: timedelta = consent.QUARANTINE

    def advance(self, scopes: Scopes, recipe: Recipe, run: Run, open_deliveries: Sequence[Delivery] = ()) -> Advance:
        """Go on until deliveries are needed, a value is held back, or the run ends.

        `open_deliveries` are those of the current step; while one is open nothing moves. The messages of a question, and what tells
        of a failure, are no such ones: nothing waits for them. A defect of ours on the way fails this run and no other.
        """
        # What texts are judged to be on the way is kept in this table, which goes along with the run's context.
        judged = dict(run.context.get("judged", {}))
        result = Advance(resumed(msgspec.structs.replace(run, context={**run.context, "judged": judged})))
        if any(one.state in OPEN_DELIVERIES and not failing.is_beside(one) for one in open_deliveries):
            return Advance(run)
        try:
            if run.part.startswith("follow:"):
                self._follow(scopes, recipe, result)
            elif run.part.startswith("sync:"):
                self._sync(scopes, recipe, result)
            else:
                self._steps(scopes, recipe, result)
        except Unmapped as held:
            result.run = msgspec.structs.replace(
                result.run, state="held", reason=str(held), context=waiting(result.run.context, held)
            )
        except (Fault, Unreached, ExpressionError) as fault:
            self._fail(scopes, recipe, result, str(fault))
        except failing.DEFECTS as defect:
            self._fail(scopes, recipe, result, failing.place_of(result.run, defect))
        if not judged:
            context = {name: value for name, value in result.run.context.items() if name != "judged"}
            result.run = msgspec.structs.replace(result.run, context=context)
        return result

    def escape(self, connection: str, action: str) -> Escape:
        """Say how texts are written by an action."""
        found = self.connections.get(connection)
        return _ESCAPES[found.actions[action].prose] if found and action in found.actions else Escape.PLAIN

    # -- the parts of a recipe -------------------------------------------------------------------------------------

    def _steps(self, scopes: Scopes, recipe: Recipe, result: Advance) -> None:
        while result.run.step < len(recipe.steps):
            step = recipe.steps[result.run.step]
            if step.id not in result.run.results or repeating.unfinished(result.run, step):
                if step.do == "stop" and self._wanted(scopes, recipe, result.run, step):
                    reason = step.inputs.render(self.scope(scopes, recipe, result.run), Escape.PLAIN).get("reason", "")
                    result.run = msgspec.structs.replace(
                        result.run, state="stopped", reason=str(reason), ended_at=scopes.now
                    )
                    return
                if step.id not in result.run.results and not self._wanted(scopes, recipe, result.run, step):
                    result.run = with_result(result.run, step.id, skipped(step))
                elif step.do in ("wait", "approve"):
                    if not reaching.pause(self, scopes, recipe, result, step):
                        return
                elif step.for_each is not None:
                    if not repeating.go_on(self, scopes, recipe, result, step):
                        return
                else:
                    deliveries = self._plan_step(scopes, recipe, result, step)
                    deliveries = reaching.allowed(self, scopes, recipe, result, step, deliveries)
                    if self.enqueue(scopes, recipe, result, deliveries):
                        return
            result.run = msgspec.structs.replace(result.run, step=result.run.step + 1)
        self._finish(scopes, result)

    def _follow(self, scopes: Scopes, recipe: Recipe, result: Advance) -> None:
        follow = next((one for one in recipe.follows if f"follow:{one.id}" == result.run.part), None)
        if follow is None:
            raise Fault(f"the recipe has no {result.run.part} any more")
        items: list[str] = result.run.context.get("items", [])
        while result.run.step < len(items):
            # The first batch goes alone: the rest is planned only when all of it was confirmed.
            batch = items[result.run.step : result.run.step + follow.batch]
            scope = self.scope(scopes, recipe, result.run)
            deliveries = []
            for offset, text in enumerate(batch):
                ref = Ref.parse(text)
                scope["item"] = scopes.shown(ref)
                target = target_of(
                    self.connections.get(follow.step.connection), result.run, follow.step, follow.trigger.noun, ref
                )
                index = result.run.step + offset
                deliveries.append(
                    self.delivery(scopes, recipe, result.run, follow.step, scope, target, index, item=text)
                )
            result.run = msgspec.structs.replace(result.run, step=result.run.step + len(batch))
            deliveries = reaching.allowed(self, scopes, recipe, result, follow.step, deliveries)
            if self.enqueue(scopes, recipe, result, deliveries):
                return
        self._finish(scopes, result)

    def _sync(self, scopes: Scopes, recipe: Recipe, result: Advance) -> None:
        if result.run.step:
            self._finish(scopes, result)
            return
        context = result.run.context
        step = Step(
            id="set",
            do=f"sync.{context['action']}",
            condition=None,
            inputs=Rendered(context["inputs"]),
            connection=context["connection"],
            action=context["action"],
        )
        delivery = self.delivery(scopes, recipe, result.run, step, {}, Ref.parse(context["target"]), 0)
        result.run = msgspec.structs.replace(result.run, step=1)
        if not self.enqueue(scopes, recipe, result, [delivery]):
            self._finish(scopes, result)

    # -- one step --------------------------------------------------------------------------------------------------

    def _wanted(self, scopes: Scopes, recipe: Recipe, run: Run, step: Step) -> bool:
        return step.condition is None or step.condition.holds(self.scope(scopes, recipe, run))

    def _plan_step(self, scopes: Scopes, recipe: Recipe, result: Advance, step: Step) -> list[Delivery]:
        scope = self.scope(scopes, recipe, result.run)
        if step.do == "link":
            return self._link(scopes, recipe, result, step, scope)
        noun = str(result.run.context.get("noun", recipe.noun))
        target = target_of(self.connections.get(step.connection), result.run, step, noun)
        return [self.delivery(scopes, recipe, result.run, step, scope, target, 0)]

    def _link(
        self, scopes: Scopes, recipe: Recipe, result: Advance, step: Step, scope: Mapping[str, Any]
    ) -> list[Delivery]:
        """Record the link, and show it on each side whose connector can."""
        values = step.inputs.render(scope, Escape.PLAIN)
        try:
            left, right = Ref.parse(str(values["left"])), Ref.parse(str(values["right"]))
        except (KeyError, ValueError) as error:
            raise Fault(f"step {step.id} cannot link: {error}") from error
        relation = str(values.get("relation", "mentions"))
        result.links.append(Link(left=left, right=right, relation=relation, made_by=result.run.id, made_at=scopes.now))
        deliveries = []
        for index, (here, there) in enumerate(((left, right), (right, left))):
            connection = self.connections.get(here.connection)
            if connection is None or "link.ensure" not in connection.actions:
                continue
            face = self._face(scopes, result.run, there)
            inputs = {
                "system": self.connections[there.connection].connector.name
                if there.connection in self.connections
                else there.connection,
                "ref": str(there),
                "relation": relation,
                **face,
            }
            shown = Step(step.id, step.do, None, Rendered(inputs), "", here.connection, "link.ensure")
            deliveries.append(self.delivery(scopes, recipe, result.run, shown, {}, here, index))
        return deliveries

    def _face(self, scopes: Scopes, run: Run, ref: Ref) -> dict[str, Any]:
        """Find what people call an entity: its record, else what a step of this run or an earlier receipt said of it."""
        entity = scopes.entity(ref)
        if entity is not None:
            return {
                "key": entity.get("source_key") or ref.key,
                "url": entity.get("url"),
                "title": entity.get("subject") or entity.get("name") or "",
            }
        for told in run.results.values():
            if isinstance(told, Mapping) and told.get("id") == str(ref):
                return {"key": told.get("source_key") or ref.key, "url": told.get("url"), "title": ""}
        for receipt in receipts.of(scopes.tx, ref):
            if receipt.source_key:
                return {"key": receipt.source_key, "url": receipt.url, "title": ""}
        return {"key": ref.key, "url": None, "title": ""}

    def delivery(
        self,
        scopes: Scopes,
        recipe: Recipe,
        run: Run,
        step: Step,
        scope: Mapping[str, Any],
        target: Ref | None,
        index: int,
        *,
        item: str = "",
    ) -> Delivery:
        connection = self.connections.get(step.connection)
        action = connection.actions.get(step.action) if connection else None
        if connection is None or action is None:
            raise Fault(f"{step.connection} does not offer {step.action} any more")
        if target is not None and target.connection != step.connection:
            raise Fault(f"step {step.id} would act on {target}, which is not in {step.connection}")
        # Links and syncs come as literals; only a recipe's own templates are rendered, for the destination's kind of text.
        inputs = fitted(step.inputs.render(scope, _ESCAPES[action.prose]), action.inputs_type)
        try:
            typed = msgspec.convert(inputs, action.inputs_type)
            typed = translated(scopes.same, typed, step.connection, given="subject" in run.context)
        except (msgspec.ValidationError, ValueError) as error:
            raise Fault(f"step {step.id}: {step.action} cannot take this: {error}") from error
        marker = make_marker(self.key, *identity_of(recipe, run, step, typed, index, item))
        made = Delivery(
            id=new_id("dlv", scopes.now),
            run=run.id,
            recipe=recipe.id,
            step=step.id,
            index=index,
            connection=step.connection,
            action=step.action,
            target=target,
            inputs=msgspec.to_builtins(typed),
            marker=marker,
            order_key=str(target) if target is not None else f"{step.action}:{marker}",
            not_before=scopes.now,
            hops=run.hops,
            created_at=scopes.now,
        )
        return made if self.simulate else restoring.looked_for_first(scopes, run, made, action)

    # -- ends ------------------------------------------------------------------------------------------------------

    def enqueue(self, scopes: Scopes, recipe: Recipe, result: Advance, deliveries: list[Delivery]) -> bool:
        """Put deliveries into the outbox and stop here; or, when simulating, answer them and go on."""
        result.planned += [(one.step, one) for one in deliveries]
        if not deliveries:
            self._note(result, recipe, {})
            return False
        self.count(recipe, result, len(deliveries))
        if not self.simulate:
            result.deliveries += deliveries
            result.run = msgspec.structs.replace(result.run, state="running")
            return True
        for one in deliveries:
            result.deliveries.append(msgspec.structs.replace(one, state="shadow", settled_at=scopes.now))
            result.run = with_result(result.run, one.step, self.likely(scopes, one))
        return False

    def count(self, recipe: Recipe, result: Advance, number: int) -> None:
        """Count the run's writes; a run that would write too often is failed."""
        if result.run.part != "steps":
            return
        seen = int(result.run.context.get("writes", 0)) + number
        if seen > recipe.limits.writes_per_run:
            raise Fault(
                f"stopped at limits.writes_per_run = {recipe.limits.writes_per_run}: this run would write {seen} times"
            )
        result.run = msgspec.structs.replace(result.run, context={**result.run.context, "writes": seen})

    def _note(self, result: Advance, recipe: Recipe, told: Mapping[str, Any]) -> None:
        step = recipe.steps[result.run.step] if result.run.part == "steps" else None
        if step is not None:
            result.run = with_result(result.run, step.id, {**dict.fromkeys(RESULT_FIELDS), **told})

    def likely(self, scopes: Scopes, delivery: Delivery) -> Mapping[str, Any]:
        """Guess what the vendor would answer; words in guillemets stand for what only it can give."""
        if delivery.target is not None:
            entity = scopes.entity(delivery.target) or {}
            return {
                **dict.fromkeys(RESULT_FIELDS),
                "id": str(delivery.target),
                "source_key": entity.get("source_key"),
                "url": entity.get("url"),
            }
        noun = delivery.action.split(".", 1)[0]
        connection = self.connections[delivery.connection]
        stream = connection.stream_of_kind(VERB_KINDS.get(noun, noun)) or noun
        return {
            **dict.fromkeys(RESULT_FIELDS),
            "id": f"{delivery.connection}/{stream}/new-{delivery.marker[-8:]}",
            "source_key": f"«new {noun}»",
            "url": f"«address of the new {noun}»",
        }

    def _fail(self, scopes: Scopes, recipe: Recipe, result: Advance, reason: str) -> None:
        result.run = msgspec.structs.replace(
            result.run, state="failed", reason=reason, ended_at=scopes.now, wake_at=None
        )
        notice = failing.notice(self, scopes, recipe, result.run, reason)
        if notice is not None:
            result.deliveries += notice.deliveries
            result.remembered |= notice.kept

    def _finish(self, scopes: Scopes, result: Advance) -> None:
        # What was overruled stays with the run: somebody will ask why their value went back.
        told = str(result.run.context.get("told", ""))
        result.run = msgspec.structs.replace(result.run, state="done", reason=told, ended_at=scopes.now, wake_at=None)

    def scope(self, scopes: Scopes, recipe: Recipe, run: Run) -> Scope:
        noun = str(run.context.get("noun", recipe.noun))
        # A subject that was given by hand (a test in the recipe file) is not in the store.
        subject = run.context.get("subject") or scopes.entity(run.subject)
        if subject is None:
            raise Fault(f"{run.subject} is not in the store any more")
        before = run.context.get("before")
        if isinstance(before, str):
            before = body_view(run.subject, NOUNS[noun], before.encode())
        scope = scopes.build(
            recipe,
            noun,
            subject,
            before=before,
            event=run.context.get("event"),
            results=run.results,
            span=run.context.get("span"),
            run=run,
            judged=run.context.get("judged"),
        )
        given = run.context.get("given")
        return given.in_place_of(scope) if isinstance(given, Given) else scope


def make_marker(key: bytes, *parts: str) -> str:
    """Make the token we plant to find our own write again: stable, unguessable, without personal data."""
    told = hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()
    return f"cxb:{told[:16]}"
