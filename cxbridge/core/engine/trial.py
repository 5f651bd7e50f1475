"""The tests that stand in recipe files: each is played against an empty world and compared with what it expects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cxbridge.core.canonical import KINDS, AnyEntity
from cxbridge.core.clock import Clock, from_iso
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.scope import Scopes, blank
from cxbridge.core.engine.steps import Advance, Stepper, started
from cxbridge.core.ledger import Delivery, Ref, view
from cxbridge.core.recipes.decide import judge
from cxbridge.core.recipes.model import BELONGINGS, NOUNS, Recipe
from cxbridge.core.recipes.schema import TestCase
from cxbridge.core.store import Store


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How a test of a recipe file went; `told` says in words what differs."""

    __test__ = False  # its name must not make pytest collect it

    name: str
    ok: bool
    told: tuple[str, ...] = ()


def run_tests(recipe: Recipe, store: Store, connections: Mapping[str, Connection], clock: Clock) -> list[TestOutcome]:
    """Run the `[[test]]` tables of a recipe against an empty world; `store` lends a read transaction and stays as it is."""
    return [_run_test(recipe, case, store, connections, clock) for case in recipe.tests]


def _run_test(
    recipe: Recipe, case: TestCase, store: Store, connections: Mapping[str, Connection], clock: Clock
) -> TestOutcome:
    if isinstance(case.given, str):
        return TestOutcome(case.name, ok=False, told=(f"the fixture {case.given} is not given in the file",))
    now = from_iso(case.at) if case.at else clock.now()
    trigger = recipe.triggers[0]
    ref = Ref(trigger.connection, "given", "1")
    given = {**case.given}
    subject = _given(given.get(recipe.noun, {}), NOUNS[recipe.noun], ref)
    context: dict[str, Any] = {
        "noun": recipe.noun,
        "subject": subject,
        "before": None,
        "event": {"type": f"{recipe.noun}.updated", "at": now, "trigger": trigger.id},
    }
    for name, (_, kind) in BELONGINGS.get(NOUNS[recipe.noun], {}).items():
        context[name] = (
            _given(given[name], kind, Ref(trigger.connection, "given", name)) if name in given else blank(kind)
        )
    if "before" in given:
        context["before"] = _given(given["before"], NOUNS[recipe.noun], ref)
    with store.read() as tx:
        scopes = Scopes(tx, now)
        scope = scopes.build(recipe, recipe.noun, subject, before=context["before"], event=context["event"])
        scope.update({name: context[name] for name in BELONGINGS.get(NOUNS[recipe.noun], {})})
        verdict = judge(recipe, scope)
        advanced = None
        if verdict.acts:
            run = started(recipe, "steps", str(ref), "test", ref, now, 0, context)
            advanced = Stepper(connections, b"test", simulate=True).advance(scopes, recipe, run)
    return _compare(case, verdict.stopped_at, verdict.error, advanced)


def _given(values: Mapping[str, Any], kind: str, ref: Ref) -> dict[str, Any]:
    required = {"source_id": ref.key, "name": "", "ticket": "", "visibility": "internal", "title": "", "kind": "csat"}
    struct = KINDS[kind]
    whole = {name: required[name] for name in required if name in struct.__struct_fields__} | dict(values)
    whole.setdefault("source_key", f"#{ref.key}")
    whole.setdefault("url", f"https://example.test/{ref.key}")
    return view(ref, msgspec.convert({"entity": kind, **whole}, AnyEntity)) | {
        name: value for name, value in values.items() if name == "id"
    }


def _compare(case: TestCase, stopped_at: str, error: str, advanced: Advance | None) -> TestOutcome:
    expect = case.expect
    deliveries = advanced.deliveries if advanced else []
    told: list[str] = []
    if error:
        told.append(f"the condition {stopped_at} failed: {error}")
    counts = {
        "writes": len(deliveries),
        "issues": sum(one.action in ("issue.ensure", "ticket.ensure") for one in deliveries),
        "links": len(advanced.links) if advanced else 0,
        "comments": sum(one.action == "comment.add_once" for one in deliveries),
        "echoes": 0,
    }
    for name, seen in counts.items():
        wanted = getattr(expect, name)
        if wanted is not None and wanted != seen:
            told.append(f"{name}: expected {wanted}, got {seen}")
    if expect.stopped_at is not None and expect.stopped_at != stopped_at:
        told.append(
            f"expected to stop at {expect.stopped_at}, "
            + (f"stopped at {stopped_at}" if stopped_at else "did not stop")
        )
    if expect.stopped_at is None and stopped_at and not error:
        told.append(f"stopped at {stopped_at}")
    reason = advanced.run.reason if advanced and advanced.run.state in ("held", "failed") else ""
    if expect.held is not None and (expect.held not in reason or not reason):
        told.append(f"expected to be held by {expect.held}, " + (f"but: {reason}" if reason else "was not held"))
    if expect.held is None and reason:
        told.append(reason)
    for step, inputs in expect.step.items():
        told += _compare_inputs(step, inputs, next((one for one in deliveries if one.step == step), None))
    return TestOutcome(case.name, ok=not told, told=tuple(told))


def _compare_inputs(step: str, wanted: Mapping[str, Any], delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return [f"step {step} writes nothing"]
    return [
        f"step {step}: {name} is {delivery.inputs.get(name)!r}, expected {value!r}"
        for name, value in wanted.items()
        if delivery.inputs.get(name) != value
    ]
