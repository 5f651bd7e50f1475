"""Questions that were put to people, and what they answered; when a question is decided is not judged here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cxbridge.core.ledger import ACTIVE_RUNS
from cxbridge.core.store import schema
from cxbridge.core.store.statements import replacing, row_of
from cxbridge.core.store.tx import Tx

ApprovalState = Literal["open", "approved", "rejected", "expired", "cancelled"]

_approvals = schema.approvals.c
_whole = sa.select(schema.approvals)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as it was given. `who` tells people apart, `name` is for reading.

    `refused` says why it does not count, and `told` whether that person has been told so.
    """

    who: str
    name: str
    choice: str
    at: datetime
    form: Mapping[str, Any] = {}
    message: str | None = None
    refused: str = ""
    told: bool = False


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One question of one step of a run, word for word.

    `asked` holds whom it was put to, when the deputies' turn comes, what silence means and what the run had seen;
    `form` the fields as they were asked for; `answers` what came, in order, refused ones among them.
    """

    id: str
    run: str
    recipe: str
    step: str
    state: ApprovalState = "open"
    question: str
    asked: Mapping[str, Any] = {}
    form: list[dict[str, Any]] = []
    quorum: int = 1
    answers: list[Answered] = []
    asked_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None


def keep(tx: Tx, approval: Approval) -> None:
    """Store a question, or write a stored one anew; there is one for each step of a run."""
    row = row_of(approval)
    row["answers"] = [msgspec.to_builtins(one) for one in approval.answers]
    tx.connection.execute(replacing(tx.dialect, schema.approvals, "id"), row)


def get(tx: Tx, approval_id: str) -> Approval | None:
    """Read one question."""
    return next(iter(_read(tx.connection.execute(_whole.where(_approvals.id == approval_id)))), None)


def of_step(tx: Tx, run: str, step: str) -> Approval | None:
    """Read the question of a step of a run."""
    rows = tx.connection.execute(_whole.where(_approvals.run == run, _approvals.step == step))
    return next(iter(_read(rows)), None)


def of_run(tx: Tx, run: str) -> list[Approval]:
    """Read the questions of a run in the order they were asked."""
    return _read(tx.connection.execute(_whole.where(_approvals.run == run).order_by(_approvals.id)))


def find(tx: Tx, *, state: ApprovalState | None = None, recipe: str | None = None, limit: int = 100) -> list[Approval]:
    """Read questions, newest first."""
    query = _whole.order_by(_approvals.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_approvals.state == state)
    if recipe is not None:
        query = query.where(_approvals.recipe == recipe)
    return _read(tx.connection.execute(query))


def waiting(tx: Tx, *, recipe: str | None = None, limit: int = 100) -> list[Approval]:
    """Read the open questions of runs that are under way, those that were asked first in front."""
    query = (
        _whole.join(schema.runs, schema.runs.c.id == _approvals.run)
        .where(_approvals.state == "open", schema.among(schema.runs.c.state, ACTIVE_RUNS))
        .order_by(_approvals.id)
        .limit(limit)
    )
    if recipe is not None:
        query = query.where(_approvals.recipe == recipe)
    return _read(tx.connection.execute(query))


def _read(rows: sa.CursorResult[Any]) -> list[Approval]:
    return [Approval(**{**row, "answers": msgspec.convert(row["answers"], list[Answered])}) for row in rows.mappings()]
