"""The tests that stand in recipe files: each is played against an empty world and compared with what it expects."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cxbridge.core.canonical import KINDS, AnyEntity, Sentiment
from cxbridge.core.clock import Clock, from_iso
from cxbridge.core.engine.advancing import Advance, started
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.given import Given, SaidSo
from cxbridge.core.engine.scope import Scopes, blank, unknown
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.ledger import Delivery, Ref, view
from cxbridge.core.recipes.decide import judge
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS
from cxbridge.core.recipes.schema import TestCase
from cxbridge.core.recipes.surroundings import window_of
from cxbridge.core.store import Store

# What a record must have and a test need not give; any other such text is empty.
_STAND_INS: Mapping[str, str] = {"visibility": "internal", "kind": "csat", "account": "given/account"}
_COUNTED: Mapping[str, tuple[str, ...]] = {
    "issues": ("issue.ensure", "ticket.ensure"),
    "comments": ("comment.add_once",),
    "tasks": ("task.ensure",),
    "messages": ("message.notify_once", "message.reply_once"),
    "invitations": ("survey.invite_once",),
    "touchpoints": ("timeline.add_once",),
}


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
    subject = _given(case.given.get(recipe.noun, {}), NOUNS[recipe.noun], ref)
    before = case.given.get("before")
    shown_before = _given(before, NOUNS[recipe.noun], ref) if before is not None else None
    event = {"type": f"{recipe.noun}.updated", "at": now, "trigger": trigger.id}
    world = _world(recipe, case.given, trigger.connection)
    judged: dict[str, Any] = {}
    with store.read() as tx:
        scopes = Scopes(tx, now)
        scope = scopes.build(recipe, recipe.noun, subject, before=shown_before, event=event, judged=judged)
        verdict = judge(recipe, world.in_place_of(scope))
        advanced = None
        if verdict.acts:
            context = {
                "noun": recipe.noun,
                "subject": subject,
                "before": shown_before,
                "event": event,
                "given": world,
                "judged": judged,
            }
            run = started(recipe, "steps", str(ref), "test", ref, now, 0, context)
            advanced = Stepper(connections, b"test", simulate=True).advance(scopes, recipe, run)
    return _compare(case, verdict.stopped_at, verdict.error, advanced)


def _world(recipe: Recipe, given: Mapping[str, Any], connection: str) -> Given:
    """Put together what a test gives beside its subject; windows and judgements are its own, calendars the installation's."""
    names = {
        name: _given(given[name], one.kind, Ref(connection, "given", name)) if name in given else blank(one.kind)
        for name, one in BELONGINGS.get(NOUNS[recipe.noun], {}).items()
    }
    said = msgspec.convert({"label": "unknown", "model": "given", **given.get("sentiment", {})}, Sentiment)
    windows = tuple(window_of(one) for one in given.get("windows", ()))
    linked = {
        relation: [_linked(one, connection, number) for number, one in enumerate(several)]
        for relation, several in given.get("linked", {}).items()
    }
    around = replace(recipe.around, windows=windows, judge=SaidSo(said))
    return Given(recipe.noun, names, around, linked, given.get("history", {}))


def _linked(values: Mapping[str, Any], connection: str, number: int) -> dict[str, Any]:
    """A linked record of no particular kind: what is not given is empty."""
    ref = Ref(connection, "given", f"linked-{number}")
    return {**unknown(), "id": str(ref), "source": connection, "source_key": f"#{ref.key}", **values}


def _given(values: Mapping[str, Any], kind: str, ref: Ref) -> dict[str, Any]:
    struct = KINDS[kind]
    missing = {one.name: _STAND_INS.get(one.name, "") for one in msgspec.structs.fields(struct) if one.required}
    whole = {**missing, "source_id": ref.key, **values}
    whole.setdefault("source_key", f"#{ref.key}")
    whole.setdefault("url", f"https://example.test/{ref.key}")
    shown = view(ref, msgspec.convert({"entity": kind, **whole}, AnyEntity))
    # A ref that names its connection stands as it is given.
    full = {name: value for name, value in values.items() if name in struct.refs and str(value).count("/") > 1}
    return shown | full | {name: value for name, value in values.items() if name == "id"}


def _compare(case: TestCase, stopped_at: str, error: str, advanced: Advance | None) -> TestOutcome:
    expect = case.expect
    deliveries = advanced.deliveries if advanced else []
    told: list[str] = []
    if error:
        told.append(f"the condition {stopped_at} failed: {error}")
    counts = {
        "writes": len(deliveries),
        "links": len(advanced.links) if advanced else 0,
        **{name: sum(one.action in actions for one in deliveries) for name, actions in _COUNTED.items()},
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
        # A question goes out under a name of its own.
        names = (step, f"{step}.ask")
        told += _compare_inputs(step, inputs, next((one for one in deliveries if one.step in names), None))
    return TestOutcome(case.name, ok=not told, told=tuple(told))


def _compare_inputs(step: str, wanted: Mapping[str, Any], delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return [f"step {step} writes nothing"]
    return [
        f"step {step}: {name} is {delivery.inputs.get(name)!r}, expected {value!r}"
        for name, value in wanted.items()
        if delivery.inputs.get(name) != value
    ]
