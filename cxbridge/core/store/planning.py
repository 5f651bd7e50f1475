"""What the planner remembers besides runs: positions, fired schedules, counts; it decides nothing."""

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import Ref
from cxbridge.core.store import schema
from cxbridge.core.store.prepared import Dialect, Prepared
from cxbridge.core.store.statements import AnyInsert, ignoring, insert, replacing
from cxbridge.core.store.tx import Tx

_positions = schema.positions.c
_fires = schema.fires.c
_tallies = schema.tallies.c
_position = Prepared(sa.select(_positions.seq).where(_positions.name == sa.bindparam("which")))
_all_positions = Prepared(sa.select(_positions.name, _positions.seq))
_move = Prepared(lambda dialect: replacing(dialect, schema.positions, "name"), columns=("name", "seq"))
_last_fire = sa.select(sa.func.max(_fires.due_at)).where(_fires.schedule == sa.bindparam("which"))


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How often something came to pass, and when and with which record it last did."""

    n: int
    at: datetime
    ref: Ref | None = None


def position(tx: Tx, name: str) -> int | None:
    """Read how far the planner of that name has come in the change log."""
    found: int | None = _position.scalar(tx.connection, {"which": name})
    return found


def positions(tx: Tx, names: Collection[str]) -> dict[str, int]:
    """Read how far several planners have come; one that never came anywhere is left out."""
    # There are hardly more rows than recipes, and to name a thousand of them in a statement costs more than to read them.
    known: dict[str, int] = dict(_all_positions.rows(tx.connection))
    return {name: known[name] for name in names if name in known}


def set_position(tx: Tx, name: str, seq: int) -> None:
    """Move a planner's position; belongs in the commit of what it decided."""
    _move.run(tx.connection, {"name": name, "seq": seq})


def set_positions(tx: Tx, names: Collection[str], seq: int) -> None:
    """Move several planners to the same position, as `set_position` does with one."""
    if names:
        _move.run_all(tx.connection, [{"name": name, "seq": seq} for name in names])


def fire(tx: Tx, schedule: str, due_at: datetime, now: datetime) -> bool:
    """Note that a schedule fired for that due time; False when it already had."""
    done = tx.connection.execute(
        ignoring(tx.dialect, schema.fires, "schedule", "due_at"), {"schedule": schedule, "due_at": due_at, "at": now}
    )
    return done.rowcount > 0


def last_fire(tx: Tx, schedule: str) -> datetime | None:
    """Give the latest due time for which a schedule fired."""
    found: datetime | None = tx.connection.scalar(_last_fire, {"which": schedule})
    return found


def tally(tx: Tx, recipe: str, what: str, *, at: datetime, ref: Ref | None = None, n: int = 1) -> None:
    """Count something that a recipe met `n` times; keeps the time and the record of the last one."""
    tally_all(tx, [(recipe, what, n, ref)], at=at)


def tally_all(tx: Tx, counted: Iterable[tuple[str, str, int, Ref | None]], *, at: datetime) -> None:
    """Count many things at once, as `tally` does with one: each has recipe, what, how often, and the last record."""
    rows = [{"recipe": recipe, "what": what, "n": n, "at": at, "ref": ref} for recipe, what, n, ref in counted]
    if rows:
        _count.run_all(tx.connection, rows)


def _counting(dialect: Dialect) -> AnyInsert:
    statement = insert(dialect, schema.tallies)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["recipe", "what"], set_={"n": _tallies.n + new.n, "at": new.at, "ref": new.ref}
    )


_count = Prepared(_counting, columns=("recipe", "what", "n", "at", "ref"))


def tallies(tx: Tx, recipe: str) -> dict[str, Tally]:
    """Read a recipe's counts."""
    rows = tx.connection.execute(
        sa.select(_tallies.what, _tallies.n, _tallies.at, _tallies.ref).where(_tallies.recipe == recipe)
    )
    return {what: Tally(n=n, at=at, ref=ref) for what, n, at, ref in rows}
