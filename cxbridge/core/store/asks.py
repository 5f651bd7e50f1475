"""Who was asked or written to, for what and when; a person is a keyed hash, and nothing here can tell whose."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cxbridge.core.store import schema
from cxbridge.core.store.statements import replacing, row_of
from cxbridge.core.store.tx import Tx

_asks = schema.asks.c


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger. `purpose` is what for in general (`survey`), `programme` what for exactly (`nps`)."""

    person: str
    purpose: str
    programme: str
    recipe: str
    run: str
    step: str
    at: datetime


_fields = [_asks[name] for name in Asked.__struct_fields__]


def record(tx: Tx, asked: Asked) -> None:
    """Enter that a person is asked; a step of a run that asks the same person again only moves the time."""
    tx.connection.execute(replacing(tx.dialect, schema.asks, "run", "step", "person"), row_of(asked))


def forget(tx: Tx, run: str, step: str) -> bool:
    """Take back what a step of a run entered, because the person certainly was not reached; True when there was something."""
    gone = tx.connection.execute(sa.delete(schema.asks).where(_asks.run == run, _asks.step == step))
    return gone.rowcount > 0


def latest(tx: Tx, person: str, *, besides: tuple[str, str] = ("", "")) -> Asked | None:
    """Read when a person was last asked for anything, leaving aside one (run, step) of one's own."""
    run, step = besides
    query = (
        sa.select(*_fields)
        .where(_asks.person == person, sa.not_(sa.and_(_asks.run == run, _asks.step == step)))
        .order_by(_asks.at.desc(), _asks.id.desc())
        .limit(1)
    )
    return next(iter(_read(tx.connection.execute(query))), None)


def of_person(tx: Tx, person: str, limit: int = 100) -> list[Asked]:
    """Read what a person was asked, newest first."""
    query = sa.select(*_fields).where(_asks.person == person).order_by(_asks.at.desc(), _asks.id.desc()).limit(limit)
    return _read(tx.connection.execute(query))


def _read(rows: sa.CursorResult[Any]) -> list[Asked]:
    return [Asked(**row) for row in rows.mappings()]
