"""A recipe's figures, read off what the store holds: runs, and for feedback how many loops are open, met in time and closed.

Everything is derived from links, records and the change log; nothing is counted twice in a table of its own.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from cxbridge.core.clock import Clock
from cxbridge.core.ledger import Link, Ref, RunState, body_view
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, changes, links, records, runs

_PAGE = 1000
# States in which nobody has begun with a task yet.
_UNTOUCHED = ("open", "unknown")


@dataclass(slots=True)
class Loop:
    """One answer that is followed up: when it came, was first acted on and closed; scores run from 0 to 100."""

    feedback: Ref
    submitted_at: datetime | None = None
    due_at: datetime | None = None
    contacted_at: datetime | None = None
    closed_at: datetime | None = None
    score: float | None = None
    later_score: float | None = None


@dataclass(slots=True)
class Figures:
    """What a recipe came to. Shares are None where there is nothing to share; times are hours."""

    recipe: str
    runs: dict[RunState, int] = field(default_factory=dict)
    answers: int = 0
    unhappy: int = 0
    opened: int = 0
    contacted: int = 0
    closed: int = 0
    overdue: int = 0
    rescored: int = 0
    loop_rate: float | None = None
    hours_to_contact: float | None = None
    score_change: float | None = None
    has_loops: bool = False


def figures(store: Store, recipe: Recipe, clock: Clock, since: timedelta | None = None) -> Figures:
    """Work out a recipe's figures, of what came in within `since`."""
    now = clock.now()
    begin = now - since if since else None
    with store.read() as tx:
        found = Figures(recipe.id)
        found.runs = runs.tally(tx, recipe.id, "steps", begin)
        if recipe.noun != "feedback":
            return found
        found.has_loops = True
        said = _feedback(tx, {one.connection for one in recipe.triggers})
        counted = {
            ref: shown
            for ref, shown in said.items()
            if shown["completed"] and not shown["excluded"] and _within(shown["submitted_at"], begin)
        }
        found.answers = len(counted)
        found.unhappy = sum(one["band"] in ("detractor", "dissatisfied", "high_effort") for one in counted.values())
        loops = list(_loops(tx, recipe, begin, said))
        _sum_up(found, loops, now)
    return found


def _within(moment: datetime | None, begin: datetime | None) -> bool:
    return begin is None or (moment is not None and moment >= begin)


def _feedback(tx: Tx, connections: set[str]) -> dict[Ref, Mapping[str, Any]]:
    shown: dict[Ref, Mapping[str, Any]] = {}
    for connection in sorted(connections):
        after: Ref | None = None
        while True:
            page = records.scan(tx, kinds=["feedback"], connection=connection, after=after, limit=_PAGE)
            shown.update((one.ref, body_view(one.ref, one.kind, one.body)) for one in page)
            if len(page) < _PAGE:
                break
            after = page[-1].ref
    return shown


def _loops(tx: Tx, recipe: Recipe, begin: datetime | None, said: Mapping[Ref, Mapping[str, Any]]) -> Iterator[Loop]:
    """Show each answer that a run of the recipe linked with a task, with what became of the task."""
    cases: dict[Ref, list[Ref]] = defaultdict(list)
    tasks: dict[Ref, Ref] = {}
    for link in _links(tx, recipe, begin):
        feedback, other = (link.right, link.left) if link.right in said else (link.left, link.right)
        if feedback not in said:
            continue
        record = records.get(tx, other)
        if record is not None and record.kind == "ticket":
            cases[feedback].append(other)
        else:
            tasks[feedback] = other
    later = _later_scores(said)
    for feedback, task in tasks.items():
        answer = said[feedback]
        loop = Loop(feedback, submitted_at=answer["submitted_at"], score=answer["score_100"])
        _task_into(tx, task, loop)
        replies = [reply for case in cases[feedback] if (reply := _first_reply(tx, case)) is not None]
        loop.contacted_at = min([*replies, *([loop.contacted_at] if loop.contacted_at else [])], default=None)
        loop.later_score = later.get(feedback)
        yield loop


def _links(tx: Tx, recipe: Recipe, begin: datetime | None) -> Iterator[Link]:
    """Give what runs of the recipe linked that started since then."""
    relations = {
        str(step.inputs.values.get("relation"))
        for step in recipe.steps
        if step.do == "link" and isinstance(step.inputs.values.get("relation"), str)
    }
    for relation in sorted(relations):
        after: tuple[Ref, Ref] | None = None
        while True:
            page = links.find(tx, relation, _PAGE, after)
            made_by = runs.get_many(tx, {link.made_by for link in page})
            for link in page:
                run = made_by.get(link.made_by)
                if (
                    run is not None
                    and run.recipe == recipe.id
                    and run.part == "steps"
                    and _within(run.started_at, begin)
                ):
                    yield link
            if len(page) < _PAGE:
                break
            after = (page[-1].left, page[-1].right)


def _task_into(tx: Tx, ref: Ref, loop: Loop) -> None:
    record = records.get(tx, ref)
    if record is None:
        return
    task = body_view(ref, record.kind, record.body)
    loop.due_at, loop.closed_at = task.get("due_at"), task.get("closed_at")
    # What it was after each change, oldest first: what the next change replaced, and at last what it is now.
    log = list(reversed(changes.of(tx, ref)))
    afters = [body_view(ref, one.kind, one.before) for one in log[1:] if one.before is not None]
    for state, change in zip([*afters, task], log, strict=False):
        if state.get("status") not in _UNTOUCHED:
            loop.contacted_at = state.get("updated_at") or change.at
            break
    if loop.closed_at is None and task.get("status") in ("done", "dropped"):
        loop.closed_at = task.get("updated_at")


def _first_reply(tx: Tx, ref: Ref) -> datetime | None:
    record = records.get(tx, ref)
    moment = body_view(ref, record.kind, record.body).get("first_response_at") if record else None
    return moment if isinstance(moment, datetime) else None


def _later_scores(said: Mapping[Ref, Mapping[str, Any]]) -> dict[Ref, float]:
    """Find for each answer the score of the next one by the same person, of the same kind."""
    by_person: dict[tuple[str, str], list[tuple[datetime, Ref, float]]] = defaultdict(list)
    for ref, one in said.items():
        if one["contact"] and one["submitted_at"] and one["score_100"] is not None and one["completed"]:
            by_person[one["contact"], one["kind"]].append((one["submitted_at"], ref, one["score_100"]))
    later: dict[Ref, float] = {}
    for answers in by_person.values():
        ordered = sorted(answers)
        later.update((one[1], following[2]) for one, following in pairwise(ordered))
    return later


def _sum_up(found: Figures, loops: list[Loop], now: datetime) -> None:
    found.opened = len(loops)
    met = [one for one in loops if one.contacted_at is not None]
    found.contacted, found.closed = len(met), sum(one.closed_at is not None for one in loops)
    found.overdue = sum(
        one.due_at is not None and one.contacted_at is None and one.closed_at is None and one.due_at < now
        for one in loops
    )
    waits = [
        (one.contacted_at - one.submitted_at).total_seconds() / 3600
        for one in met
        if one.contacted_at is not None and one.submitted_at is not None
    ]
    rescored = [one.later_score - one.score for one in loops if one.later_score is not None and one.score is not None]
    found.rescored = len(rescored)
    found.loop_rate = found.closed / found.opened if found.opened else None
    found.hours_to_contact = statistics.median(waits) if waits else None
    found.score_change = statistics.fmean(rescored) if rescored else None
