"""The executions of recipes, as rows; what a run does next is not decided here."""

from collections.abc import Collection, Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, get_args

import sqlalchemy as sa

from cxbridge.core.ledger import ACTIVE_RUNS, Ref, Run, RunState
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Among, Prepared
from cxbridge.core.store.statements import ignoring, row_of, unsought
from cxbridge.core.store.tx import Tx

# Up to how many runs in a state are counted one by one.
COUNTED = 1_000

_runs = schema.runs.c
_whole = sa.select(schema.runs)
# Statements are built once: putting one together costs more than SQLite takes to answer it.
_one = Prepared(_whole.where(_runs.id == sa.bindparam("run")))
_several = Among(_runs.id, _whole.where)
_start = Prepared(
    lambda dialect: ignoring(dialect, schema.runs, "recipe", "part", "once"), columns=Run.__struct_fields__
)
# What a run is about never changes, and the indexes on that need not be written again.
_MOVES = ("version", "state", "step", "results", "context", "reason", "hops", "wake_at", "ended_at")
_save = Prepared(
    sa.update(schema.runs).where(_runs.id == sa.bindparam("run")).values({name: sa.bindparam(name) for name in _MOVES})
)
_active_for = Among(
    _runs.key,
    lambda among: _whole.where(
        _runs.recipe == sa.bindparam("recipe"),
        _runs.part == sa.bindparam("part"),
        among,
        schema.among(_runs.state, ACTIVE_RUNS),
    ),
)
_waking = sa.and_(_runs.wake_at <= sa.bindparam("now"), _runs.wake_at.is_not(None))
_due_first = _whole.where(_waking).order_by(_runs.wake_at, _runs.id).limit(sa.bindparam("limit"))
_due = Prepared(_due_first)
_due_behind = Prepared(
    _due_first.where(
        sa.or_(
            _runs.wake_at > sa.bindparam("moment"),
            sa.and_(_runs.wake_at == sa.bindparam("moment"), _runs.id > sa.bindparam("name")),
        )
    )
)
_next_wake = Prepared(
    sa.select(sa.func.min(_runs.wake_at)).where(_runs.wake_at > sa.bindparam("now"), _runs.wake_at.is_not(None))
)
_of_part = (_runs.recipe == sa.bindparam("recipe"), _runs.part == sa.bindparam("part"))
# A range, which the index of the unique key serves; the last code point stands for "and whatever follows".
_begins = (_runs.once >= sa.bindparam("first"), _runs.once < sa.bindparam("behind"))
_last_started = sa.select(sa.func.max(_runs.started_at)).where(*_of_part)
_last_started_like = _last_started.where(*_begins)
_count_like = Prepared(sa.select(sa.func.count()).where(*_of_part, *_begins))
_started_since = Prepared(sa.select(sa.func.count()).where(*_of_part, _runs.started_at >= sa.bindparam("since")))
_STATES: tuple[RunState, ...] = get_args(RunState)
_count = Prepared(
    sa.select(sa.func.count()).select_from(
        sa.select(_runs.id)
        .where(_runs.recipe == sa.bindparam("recipe"), _runs.state == sa.bindparam("state"))
        .limit(sa.literal_column(str(COUNTED)))
        .subquery()
    )
)
_tallied = sa.select(_runs.state, sa.func.count()).group_by(_runs.state)
_earlier, _begun = schema.runs.alias("earlier"), schema.runs.alias("begun")


def _active_beside(other: sa.FromClause, *which: sa.ColumnElement[bool]) -> sa.Exists:
    return sa.exists(
        sa.select(sa.literal_column("1")).where(
            other.c.recipe == _runs.recipe,
            other.c.part == _runs.part,
            other.c.key == _runs.key,
            *which,
            schema.among(other.c.state, ACTIVE_RUNS),
        )
    )


_freed = Prepared(
    _whole.where(
        schema.among(_runs.state, ACTIVE_RUNS),
        _runs.id > sa.bindparam("after"),
        _runs.state == "waiting",
        _runs.wake_at.is_(None),
        ~_active_beside(_earlier, _earlier.c.id < _runs.id),
        # A later one counts once it has begun: what a person had sent again waits for it.
        ~_active_beside(
            _begun, _begun.c.id > _runs.id, sa.or_(_begun.c.state != "waiting", _begun.c.wake_at.is_not(None))
        ),
    )
    .order_by(_runs.id)
    .limit(sa.bindparam("limit"))
)


def start(tx: Tx, run: Run) -> bool:
    """Store a new run; False, and nothing stored, when its (recipe, part, once) has one already."""
    return _start.run(tx.connection, row_of(run)) > 0


def save(tx: Tx, run: Run) -> None:
    """Write how a stored run stands now; what it is about stays.

    Raises:
        LookupError: no run of this id is stored.
    """
    save_all(tx, [run])


def save_all(tx: Tx, some: Collection[Run]) -> None:
    """Write how many stored runs stand now, as `save` does with one.

    Raises:
        LookupError: one of them is not stored.
    """
    if some and _save.run_all(tx.connection, [_moved(run) for run in some]) != len(some):
        raise LookupError(f"not all of these runs are stored: {', '.join(run.id for run in some)}")


def get(tx: Tx, run_id: str) -> Run | None:
    """Read one run."""
    return next(iter(_one.structs(tx.connection, Run, {"run": run_id})), None)


def get_many(tx: Tx, ids: Iterable[str]) -> dict[str, Run]:
    """Read those of the runs that are stored, by id."""
    return {one.id: one for one in _several.structs(tx.connection, Run, sorted(set(ids)))}


def find(
    tx: Tx,
    *,
    recipe: str | None = None,
    state: RunState | None = None,
    subject: Ref | None = None,
    limit: int = 100,
) -> list[Run]:
    """Read runs, newest first."""
    query = _whole.order_by(_runs.id.desc()).limit(limit)
    if recipe is not None:
        # Of a record there are few.
        query = query.where((_runs.recipe if subject is None else unsought(_runs.recipe)) == recipe)
    if state is not None:
        query = query.where(_runs.state == state)
    if subject is not None:
        query = query.where(_runs.subject == subject)
    return _read(tx.connection.execute(query))


def active_for(tx: Tx, recipe: str, part: str, key: str) -> list[Run]:
    """Read the runs of one key that still have something to do, oldest first."""
    return active_for_many(tx, recipe, part, [key]).get(key, [])


def active_for_many(tx: Tx, recipe: str, part: str, keys: Iterable[str]) -> dict[str, list[Run]]:
    """The same for several keys of one part of a recipe; a key without such runs is left out."""
    found: dict[str, list[Run]] = {}
    rows = _active_for.structs(tx.connection, Run, sorted(set(keys)), {"recipe": recipe, "part": part})
    # Asked for an order, SQLite would go through all runs of the recipe, which are in it.
    for one in sorted(rows, key=attrgetter("id")):
        found.setdefault(one.key, []).append(one)
    return found


def due(tx: Tx, now: datetime, limit: int, after: tuple[datetime, str] | None = None) -> list[Run]:
    """Read the runs that wait for a time which has come, in the order of their times; `after` are time and id of the last one seen.

    Only a run that waits has such a time.
    """
    asked: dict[str, Any] = {"now": now, "limit": limit}
    if after is None:
        return _due.structs(tx.connection, Run, asked)
    return _due_behind.structs(tx.connection, Run, {**asked, "moment": after[0], "name": after[1]})


def next_wake(tx: Tx, now: datetime) -> datetime | None:
    """Give the next time after `now` that a run waits for."""
    found: datetime | None = _next_wake.scalar(tx.connection, {"now": now})
    return found


def freed(tx: Tx, limit: int, after: str = "") -> list[Run]:
    """Read the runs that were queued behind another one of their key which is over, oldest first; one for each key.

    `after` is the id of the last one seen.
    """
    return _freed.structs(tx.connection, Run, {"after": after, "limit": limit})


def last_started(tx: Tx, recipe: str, part: str, once_prefix: str = "") -> datetime | None:
    """Give when the latest run started whose `once` begins with that prefix."""
    asked = {"recipe": recipe, "part": part}
    found: datetime | None = (
        tx.connection.scalar(_last_started_like, _like(asked, once_prefix))
        if once_prefix
        else tx.connection.scalar(_last_started, asked)
    )
    return found


def count_like(tx: Tx, recipe: str, part: str, once_prefix: str) -> int:
    """Count the runs whose `once` begins with that prefix."""
    return int(_count_like.scalar(tx.connection, _like({"recipe": recipe, "part": part}, once_prefix)) or 0)


def started_since(tx: Tx, recipe: str, part: str, since: datetime) -> int:
    """Count the runs of a part that started at that time or later."""
    return int(_started_since.scalar(tx.connection, {"recipe": recipe, "part": part, "since": since}) or 0)


def counts(tx: Tx, recipe: str) -> dict[RunState, int]:
    """Count the runs of a recipe by state, each up to `COUNTED`: what a list costs must not grow with all that ever ran."""
    found = {state: int(_count.scalar(tx.connection, {"recipe": recipe, "state": state})) for state in _STATES}
    return {state: number for state, number in found.items() if number}


def held(tx: Tx) -> dict[str, int]:
    """Count the runs that wait for a person's decision, by recipe."""
    rows = tx.connection.execute(
        sa.select(_runs.recipe, sa.func.count()).where(_runs.state == "held").group_by(_runs.recipe)
    )
    return {recipe: number for recipe, number in rows}  # noqa: C416 - a row has no type that `dict` would take


def tally(tx: Tx, recipe: str, part: str, since: datetime | None = None) -> dict[RunState, int]:
    """Count the runs of a part of a recipe by state; with `since`, those that started then or later."""
    query = _tallied.where(_runs.recipe == recipe, _runs.part == part)
    if since is not None:
        query = query.where(_runs.started_at >= since)
    rows = tx.connection.execute(query)
    return {state: number for state, number in rows}  # noqa: C416 - a row has no type that `dict` would take


def _like(asked: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {**asked, "first": prefix, "behind": prefix + "\U0010ffff"}


def _moved(run: Run) -> dict[str, Any]:
    return {"run": run.id, **{name: getattr(run, name) for name in _MOVES}}


def _read(rows: sa.CursorResult[Any]) -> list[Run]:
    return [Run(**row) for row in rows.mappings()]
