"""What a person does about what went wrong: retry or drop dead letters, let a stopped recipe go on; calls no vendor.

Each decision is entered in the audit chain with whoever took it, in the commit that carries it out. Letters are gone through in
their order, `CHUNK` in each commit: whoever stops in between has decided about those before, and may begin again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from cxbridge.core.connector import Findable, Keyed
from cxbridge.core.engine import guard, restoring
from cxbridge.core.engine.asking import is_courtesy
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.failing import is_notice
from cxbridge.core.ledger import ACTIVE_RUNS, Delivery, Run
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, Tx, audit, letters, outbox, restored, runs, state
from cxbridge.core.store.letters import Chosen

# What waits for a person: dead letters, and writes of unknown outcome that nobody can look up.
MENDABLE = ("dead", "held")
# Who decided, where nobody said so.
UNKNOWN = "unknown"
# How many letters are decided about in one commit. Others who write wait for it, some tenths of a second.
CHUNK = 250
# With these the vendor, or we, said that nothing was done: where the only try ended so, nothing can be there.
_CERTAIN = frozenset({"rejected", "notfound", "conflict", "writerefused", "unsupported"})

RecipeOf = Callable[[Run], Recipe | None]
Which = Sequence[str] | Chosen


@dataclass(slots=True)
class Mended:
    """What became of the letters that were meant. `waiting` go out by themselves once no other run of their key is under way.

    `left` counts those that stay as they are, by why.
    """

    seen: int = 0
    done: int = 0
    waiting: int = 0
    left: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Around:
    """What deciding needs to know beside the store: what each action is, and how a recipe wants its runs to follow each other."""

    connections: Mapping[str, Connection] = field(default_factory=dict)
    recipe_of: RecipeOf | None = None

    def looks_first(self, delivery: Delivery) -> bool:
        """Whether an earlier try may have been done, and the vendor can be asked."""
        if delivery.state == "held":
            # Whoever decides has looked.
            return False
        if delivery.error_code == "unknown_outcome":
            return True
        connection = self.connections.get(delivery.connection)
        action = connection.actions.get(delivery.action) if connection is not None else None
        if action is None or action.find is None or not isinstance(action.effect, Keyed | Findable):
            return False
        # Of several tries only the last one's end is known here.
        return delivery.attempts > 1 or (delivery.attempts == 1 and delivery.error_code not in _CERTAIN)

    def mode(self, run: Run) -> str:
        """How runs of one key follow each other."""
        recipe = self.recipe_of(run) if self.recipe_of is not None else None
        return recipe.run.mode if recipe is not None else "queue"


def waiting_for_a_person(tx: Tx, recipe: str | None = None, limit: int = 10_000) -> list[Delivery]:
    """List the deliveries that only a person can decide about, newest first."""
    return [
        *outbox.find(tx, state="dead", recipe=recipe, limit=limit),
        *outbox.find(tx, state="held", recipe=recipe, limit=limit),
    ]


def retry_deliveries(store: Store, ids: Sequence[str], now: datetime, who: str = UNKNOWN) -> int:
    """Put deliveries back into the outbox, and their runs back under way; gives how many could be."""
    return retry(store, ids, now, who).done


def drop_deliveries(store: Store, ids: Sequence[str], now: datetime, who: str = UNKNOWN) -> int:
    """Give deliveries up for good; their runs stay failed. Gives how many could be."""
    return drop(store, ids, now, who).done


def retry(
    store: Store,
    which: Which,
    now: datetime,
    who: str = UNKNOWN,
    *,
    around: Around | None = None,
    on_chunk: Callable[[Mended], None] | None = None,
) -> Mended:
    """Put deliveries back into the outbox, and their runs back under way, chunk by chunk.

    A delivery keeps its marker, so that what the vendor already did is found again instead of being repeated; it is looked for
    first where an earlier try may have been done. A run beside which another one of its key is under way waits for its turn.
    """
    total, around = Mended(), around or Around()
    for tx, found in _chunks(store, which):
        _retry(tx, found, now, who, around, total)
        total.seen += len(found)
        if on_chunk is not None:
            on_chunk(total)
    return total


def drop(
    store: Store,
    which: Which,
    now: datetime,
    who: str = UNKNOWN,
    *,
    on_chunk: Callable[[Mended], None] | None = None,
) -> Mended:
    """Give deliveries up for good, chunk by chunk; their runs stay failed."""
    total = Mended()
    for tx, found in _chunks(store, which):
        known = letters.runs_of(tx, found)
        gone, ended = [], {}
        for one in found:
            gone.append(msgspec.structs.replace(one, state="cancelled", settled_at=now))
            run = known.get(one.run)
            _enter(tx, "dead.dropped", one, run, who, now)
            if run is not None and run.state in ACTIVE_RUNS and not _beside(one):
                ended[run.id] = msgspec.structs.replace(
                    run, state="failed", reason=f"step {one.step} was dropped", ended_at=now, wake_at=None
                )
        outbox.update_all(tx, gone)
        runs.save_all(tx, ended.values())
        total.seen += len(found)
        total.done += len(gone)
        if on_chunk is not None:
            on_chunk(total)
    return total


def _chunks(store: Store, which: Which) -> Iterator[tuple[Tx, list[Delivery]]]:
    """Give the letters that are meant, some at a time, each time in a write transaction that ends when the next is asked for."""
    if isinstance(which, Chosen):
        after = 0
        while True:
            with store.write() as tx:
                found, after = letters.batch(tx, which, after, CHUNK)
                if found:
                    yield tx, found
            if not found:
                return
    else:
        for begin in range(0, len(which), CHUNK):
            ids = list(dict.fromkeys(which[begin : begin + CHUNK]))
            with store.write() as tx:
                known = letters.by_id(tx, ids)
                yield tx, [known[one] for one in ids if one in known and known[one].state in MENDABLE]


def _retry(tx: Tx, found: Sequence[Delivery], now: datetime, who: str, around: Around, total: Mended) -> None:
    known = letters.runs_of(tx, found)
    failed = [run.id for run in known.values() if run.state == "failed"]
    put_back = restored.read(tx) is not None
    beside: dict[str, list[letters.Other]] = {}
    for other in letters.others(tx, failed):
        beside.setdefault(other.run, []).append(other)
    # Runs that this chunk sets going count as under way for those that come after them in it.
    going: set[tuple[str, str, str]] = set()
    decided: dict[str, str] = {}
    moved, moved_runs = [], {}
    for one in found:
        run = known.get(one.run)
        verdict = "go"
        if run is not None and not _beside(one):
            if run.id not in decided:
                decided[run.id] = _verdict(tx, run, beside.get(run.id, []), going, around)
            verdict = decided[run.id]
        lost = put_back and restoring.may_be_lost(tx, one)
        if lost and verdict == "turn":
            verdict = "another run of its key is under way"
        if verdict not in ("go", "turn"):
            total.left[verdict] = total.left.get(verdict, 0) + 1
            continue
        first = lost or (one.attempts > 0 if letters.waits_its_turn(one) else around.looks_first(one))
        if verdict == "turn":
            if letters.waits_its_turn(one):
                total.waiting += 1
                continue
            moved.append(msgspec.structs.replace(one, attempts=int(first), error_code=letters.TURN))
            total.waiting += 1
        else:
            moved.append(_again(one, now, first=first, lost=lost))
            total.done += 1
        _enter(tx, "dead.retried", one, run, who, now)
        if run is not None and run.state == "failed" and not _beside(one):
            going.add((run.recipe, run.part, run.key))
            moved_runs[run.id] = (
                msgspec.structs.replace(run, state="running", reason="", ended_at=None)
                if verdict == "go"
                else msgspec.structs.replace(
                    run, state="waiting", reason="retried, and queued behind another run of the same key", ended_at=None
                )
            )
    outbox.update_all(tx, moved)
    runs.save_all(tx, moved_runs.values())


def _verdict(
    tx: Tx, run: Run, others: Sequence[letters.Other], going: set[tuple[str, str, str]], around: Around
) -> str:
    """Say whether a run can go on at once, has to wait for its turn, or why it must not go on at all."""
    if run.state == "waiting" and run.wake_at is None:
        return "turn"
    if run.state != "failed":
        return "go"
    if run.part != "steps":
        newer = letters.newer_value(tx, run)
        return "go" if newer is None else "a newer value of the same field was set since: drop it"
    mode = around.mode(run)
    if mode == "parallel":
        return "go"
    if mode == "restart" and any(other.id > run.id for other in others):
        return "a newer run of its key took its place: drop it"
    ahead = any(other.begun or other.id < run.id for other in others)
    return "turn" if ahead or (run.recipe, run.part, run.key) in going else "go"


def _again(one: Delivery, now: datetime, *, first: bool, lost: bool) -> Delivery:
    return msgspec.structs.replace(
        one,
        state="unknown" if first else "planned",
        attempts=0,
        looked=0,
        not_before=now,
        settled_at=None,
        error=restored.TOLD if lost else "",
        error_code=restored.CODE if lost else "",
    )


def resume_recipe(store: Store, recipe: Recipe, more: int, now: datetime, who: str = UNKNOWN) -> bool:
    """Let a recipe that stopped at a limit go on, for `more` subjects beyond it within the hour; False when it was not stopped."""
    with store.write() as tx:
        resumed = state.resume(tx, guard.name(recipe))
        if resumed:
            guard.allow(tx, recipe, more, now)
            subject = f"recipe:{recipe.id}"
            audit.decided(tx, "recipe.resumed", who=who, subject=subject, now=now, version=recipe.version, more=more)
        return resumed


def _enter(tx: Tx, what: str, delivery: Delivery, run: Run | None, who: str, now: datetime) -> None:
    audit.decided(
        tx,
        what,
        who=who,
        subject=str(run.subject) if run is not None else delivery.run,
        now=now,
        run=delivery.run,
        recipe=delivery.recipe,
        delivery=delivery.id,
        step=delivery.step,
        connection=delivery.connection,
        action=delivery.action,
        marker=delivery.marker,
        was=delivery.state,
        code=delivery.error_code,
    )


def _beside(delivery: Delivery) -> bool:
    """Whether a run hangs on something else than this delivery, which only tells somebody about it."""
    return is_courtesy(delivery) or is_notice(delivery)
