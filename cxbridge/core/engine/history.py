"""Why something happened to an entity, and why something did not: `why`, `why-not` and what people type to name it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cxbridge.core.canonical import KINDS
from cxbridge.core.clock import Clock
from cxbridge.core.engine import guard
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Ref, Run, decode_entity, view
from cxbridge.core.recipes.decide import changed_fields, in_canary, once_of
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.nouns import several
from cxbridge.core.store import Store, Tx, changes, identity, keeping, links, outbox, receipts, records, runs, state


@dataclass(frozen=True, slots=True)
class ExplainedCondition:
    """One named condition with its verdict (`None`: not reached) and the values it read."""

    name: str
    text: str
    verdict: bool | None
    values: tuple[tuple[str, Any], ...] = ()
    error: str = ""


@dataclass(slots=True)
class Explained:
    """Why a recipe would or would not act on a subject as it is now; `notes` hold what stands beside the conditions."""

    recipe: str
    ref: Ref
    at: datetime
    title: str
    acts: bool
    conditions: list[ExplainedCondition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def why_not(store: Store, recipe: Recipe, ref: Ref, clock: Clock) -> Explained | None:
    """Explain, condition by condition; `None` when the subject is not stored."""
    now = clock.now()
    with store.read() as tx:
        scopes = Scopes(tx, now)
        shown = scopes.entity(ref)
        if shown is None:
            return None
        title = str(shown.get("subject") or shown.get("name") or ref.key)
        told = Explained(recipe.id, ref, now, title, acts=True)
        record = records.get(tx, ref)
        trigger = next(
            (
                one
                for one in recipe.triggers
                if one.connection == ref.connection and record is not None and one.kind == record.kind
            ),
            None,
        )
        if trigger is None:
            told.acts = False
            watched = ", ".join(sorted({f"{several(one.noun)} of {one.connection}" for one in recipe.triggers}))
            told.notes.append(f"the recipe looks at {watched} only")
            return told
        scope = scopes.build(recipe, trigger.noun, shown, event={"trigger": trigger.id, "type": "", "at": now})
        for one in recipe.conditions:
            if not told.acts:
                told.conditions.append(ExplainedCondition(one.name, one.condition.source, None))
                continue
            leaves = one.condition.explain(scope)
            failed = next((leaf for leaf in leaves if leaf.error is not None), None)
            verdict = failed is None and all(leaf.verdict is not False for leaf in leaves)
            values = tuple(value for leaf in leaves for value in leaf.values)
            told.conditions.append(
                ExplainedCondition(one.name, one.condition.source, verdict, values, str(failed.error) if failed else "")
            )
            told.acts = verdict
        told.notes += _notes(tx, recipe, ref, scope, now)
        return told


def _notes(tx: Tx, recipe: Recipe, ref: Ref, scope: Mapping[str, Any], now: datetime) -> list[str]:
    notes: list[str] = []
    paused = state.pauses(tx).get(guard.name(recipe))
    if paused is not None:
        notes.append(f"the recipe is paused: {paused.reason} ({paused.hint})")
    if not recipe.acts:
        notes.append(f"the recipe's stage is {recipe.stage}: it writes nothing to vendors")
    if recipe.stage == "canary" and not in_canary(recipe.canary, scope.get("account")):
        notes.append("the account is not among the canary's")
    found = runs.find(tx, recipe=recipe.id, subject=ref, limit=5)
    for run in found:
        ended = run.ended_at.strftime("%Y-%m-%d %H:%M:%SZ") if run.ended_at else ""
        notes.append(
            f"run {run.id} ({run.part}) is {run.state}"
            + (f" since {ended}" if ended else "")
            + (f": {run.reason}" if run.reason else "")
        )
    once = once_of(recipe, scope)
    # A held run has not acted yet: it goes on as soon as what holds it is mended.
    if once is not None and not any(run.state == "held" for run in found):
        last = runs.last_started(tx, recipe.id, "steps", f"{once}~")
        if last is not None and (recipe.run.window is None or now - last < recipe.run.window):
            until = "" if recipe.run.window is None else f", again from {last + recipe.run.window:%Y-%m-%d %H:%M}Z"
            notes.append(f"skipped: once_per, last acted for this at {last:%Y-%m-%d %H:%M:%S}Z{until}")
    return notes


# What a state of a match says.
_SAID: Mapping[str, str] = {
    "suggested": "may be the same as",
    "confirmed": "is the same as",
    "rejected": "is not",
    "split": "is not, and was taken for,",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an entity or to what is linked with it."""

    at: datetime
    what: str
    system: str
    told: str
    ref: Ref | None = None
    run: str | None = None


def why(store: Store, ref: Ref) -> list[Event]:
    """Tell an entity's history over all systems, in time order: changes, links, runs, deliveries, receipts."""
    events: list[Event] = []
    with store.read() as tx:
        around = [ref]
        for link in links.of(tx, ref, active_only=False):
            other = link.right if link.left == ref else link.left
            around.append(other)
            events.append(
                Event(
                    link.made_at,
                    "link",
                    other.connection,
                    f"{link.relation} {other} ({link.state})",
                    other,
                    link.made_by,
                )
            )
        for one in around:
            events += _changes_of(tx, one)
        events += _who_it_is(tx, ref)
        for run in runs.find(tx, subject=ref, limit=200):
            events += _events_of_run(tx, run)
        for receipt in receipts.of(tx, ref, 200):
            if not any(one.run == receipt.run for one in events if one.what == "run"):
                told = runs.get(tx, receipt.run)
                events += _events_of_run(tx, told) if told else []
    unique = dict.fromkeys(events)
    return sorted(unique, key=lambda one: one.at)


def _who_it_is(tx: Tx, ref: Ref) -> list[Event]:
    """Tell what is said of a company or person being the same as others; of mere suggestions the likeliest few."""
    said = sorted(identity.of(tx, (ref,)), key=lambda one: (one.state == "suggested", -one.score))
    events = []
    for match in said[:20]:
        other = match.other(ref)
        told = f"{_SAID[match.state]} {other} ({match.decided_by}"
        grounds = ", ".join(str(one["key"]) for one in match.evidence)
        events.append(
            Event(match.at, "identity", other.connection, told + (f": {grounds})" if grounds else ")"), other)
        )
    return events


def _changes_of(tx: Tx, ref: Ref) -> list[Event]:
    found = sorted(changes.of(tx, ref, 200), key=lambda one: one.seq)
    record = records.get(tx, ref)
    events = []
    if found and found[0].op != "created" and found[0].seq <= keeping.kept_from(tx):
        events.append(Event(found[0].at, "change", ref.connection, "what changed before is not kept any more", ref))
    for number, change in enumerate(found):
        later = found[number + 1].before if number + 1 < len(found) else (record.body if record else None)
        told: str = change.op
        if change.op == "updated" and change.before is not None and later is not None:
            struct = KINDS[change.kind]
            before = view(ref, decode_entity(change.kind, change.before))
            after = view(ref, decode_entity(change.kind, later))
            names = sorted(changed_fields(before, after, struct.volatile))
            told = "updated " + ", ".join(_moved(name, before.get(name), after.get(name)) for name in names)
        events.append(Event(change.at, "change", ref.connection, told, ref))
    return events


def _moved(name: str, before: Any, after: Any) -> str:
    """Say how a field moved; long texts and the insides of custom fields are only named."""
    short = all(isinstance(one, str | int | float | None) and len(str(one)) <= 40 for one in (before, after))
    if isinstance(before, list) and isinstance(after, list):
        gone = [f"-{one}" for one in before if one not in after]
        come = [f"+{one}" for one in after if one not in before]
        return f"{name} {' '.join(come + gone)}"
    return f"{name} {before} → {after}" if short else name


def _events_of_run(tx: Tx, run: Run) -> list[Event]:
    told = f"{run.recipe} ({run.part}) began; now {run.state}" + (f": {run.reason}" if run.reason else "")
    events = [Event(run.started_at, "run", "", told, run.subject, run.id)]
    for delivery in outbox.of_run(tx, run.id):
        said = delivery.state + (f" ({delivery.error})" if delivery.error else "")
        rows = receipts.of_delivery(tx, delivery.id)
        if rows and rows[0].source_key:
            said += f" → {rows[0].source_key}"
        if rows and rows[0].told:
            said += f" ({rows[0].told})"
        moment = delivery.settled_at or delivery.sent_at or delivery.created_at
        events.append(
            Event(moment, "delivery", delivery.connection, f"{delivery.action} {said}", delivery.target, run.id)
        )
    return events


def find_refs(store: Store, text: str) -> list[Ref]:
    """Resolve what people type: `connection/stream/key`, `connection:key`, or a key such as `ENG-12` or `4017`."""
    with store.read() as tx:
        if text.count("/") >= 2:
            ref = Ref.parse(text)
            return [ref] if records.get(tx, ref) else []
        connection, colon, key = text.partition(":")
        key = (key if colon else text).removeprefix("#")
        stored = records.places(tx)
        names = sorted({one for one, _ in stored if not colon or one == connection})
        found: dict[Ref, None] = {}
        for name in names:
            for candidate in (key, f"#{key}"):
                found.update(dict.fromkeys(one.ref for one in records.by_source_key(tx, name, candidate)))
            streams = sorted({stream for one, stream in stored if one == name})
            found.update(dict.fromkeys(records.get_many(tx, [Ref(name, stream, key) for stream in streams])))
        return list(found)
