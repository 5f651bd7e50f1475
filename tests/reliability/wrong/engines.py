"""Twelve engines that are known to be wrong, each by a small change to the real one, in memory and for a while.

They show that the suites can fail: what each does wrong must break the invariants that it names.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock
from uuid import uuid4

import msgspec

from cxbridge.console.intake import Intake
from cxbridge.core.connector import Call
from cxbridge.core.engine import approvals, claiming, plan, pull, subjects
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.doubts import Doubt, Doubts
from cxbridge.core.engine.leasing import Holder
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.push import Pusher
from cxbridge.core.engine.settle import Settler
from cxbridge.core.http.reply import Reply
from cxbridge.core.store import Store, Tx, changes, checkpoints, leases, outbox, planning, receipts, records, schema

Patch = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Wrong:
    """An engine that is wrong: what it does, any of which invariants that breaks, and how it takes the place of the real one."""

    name: str
    does: str
    breaks: frozenset[str]
    in_place: Patch


def _several(*patches: Callable[[], AbstractContextManager[object]]) -> Patch:
    @contextmanager
    def together() -> Iterator[None]:
        with ExitStack() as stack:
            for one in patches:
                stack.enter_context(one())
            yield

    return together


# -- reading -----------------------------------------------------------------------------------------------------------


def _cursor_first() -> AbstractContextManager[object]:
    reading = pull._reading

    def ahead(store: Store, connection: Any, stream: Any, pages: Any) -> Iterator[Any]:
        for page in reading(store, connection, stream, pages):
            with store.write() as tx:
                held = checkpoints.get(tx, connection.name, stream.name)
                if held is not None:
                    checkpoints.put(tx, msgspec.structs.replace(held, cursor=page.cursor))
            yield page

    return mock.patch.object(pull, "_reading", ahead)


def _arrival_order() -> AbstractContextManager[object]:
    known_of = records._known_of

    def ageless(tx: Tx, connection: str, places: Any) -> Any:
        return {
            place: (record, digest, -1, deleted, imprint)
            for place, (record, digest, _, deleted, imprint) in known_of(tx, connection, places).items()
        }

    return mock.patch.object(records, "_known_of", ageless)


def _acknowledged_first() -> AbstractContextManager[object]:
    put, write = Intake.put, Intake._write

    def at_once(intake: Intake, arrival: Any, **how: Any) -> Any:
        waiting = put(intake, arrival, **how)
        done: Any = type(waiting)()
        done.set_result(True)
        return done

    def gathered(intake: Intake, batch: Any) -> None:
        intake._clock.wait(1.0)
        write(intake, batch)

    return _several(
        partial(mock.patch.object, Intake, "put", at_once), partial(mock.patch.object, Intake, "_write", gathered)
    )()


# -- planning ----------------------------------------------------------------------------------------------------------


def _position_first() -> AbstractContextManager[object]:
    group = Planner._group

    def batch(planner: Planner, recipes: Sequence[Any]) -> Planned:
        with planner.store.write() as tx:
            positions, start = group(planner, tx, recipes)
            found = changes.after(tx, start, plan.BATCH) if start is not None else []
            for one in recipes:
                if found and positions.get(one.id) == start:
                    planning.set_position(tx, plan.position_of(one), found[-1].seq)
        if not found:
            return Planned()
        planner.probe("plan.decided")
        with mock.patch.object(Planner, "_group", return_value=(positions, start)), planner.store.write() as tx:
            return planner._plan_batch(tx, recipes)

    return mock.patch.object(Planner, "_batch", batch)


def _echo_by_entity() -> AbstractContextManager[object]:
    def explained(written: Any, op: str, fields: set[str], *_: Any) -> Any:
        del op
        return (set(fields), list(written)) if written else (set(), [])

    return mock.patch.object(subjects, "_explained", explained)


def _any_answer() -> AbstractContextManager[object]:
    def judged(approval: Any, now: Any) -> Any:
        return msgspec.structs.replace(approval, state="approved", decided_at=now)

    return mock.patch.object(approvals, "_judged", judged)


# -- pushing -----------------------------------------------------------------------------------------------------------


def _without_marker() -> AbstractContextManager[object]:
    call = Call

    def unmarked(**given: Any) -> Any:
        return call(**{**given, "marker": f"cxb:{uuid4().hex[:16]}"})

    return mock.patch.object(claiming, "Call", unmarked)


def _sent_again() -> AbstractContextManager[object]:
    def recover(pusher: Pusher, connections: Any = None) -> int:
        del connections
        with pusher.store.write() as tx:
            for one in outbox.interrupted(tx):
                outbox.update(tx, msgspec.structs.replace(one, state="planned"))
        return 0

    def decide(doubts: Doubts, doubt: Doubt, *_: object) -> None:
        sent = msgspec.structs.replace(doubt.delivery, state="planned", not_before=doubts.clock.now())
        doubts.settler.keep(sent)

    return _several(
        partial(mock.patch.object, Pusher, "recover", recover),
        partial(mock.patch.object, Doubts, "decide", decide),
    )()


def _taken_for_done() -> AbstractContextManager[object]:
    def recover(pusher: Pusher, connections: Any = None) -> int:
        del connections
        with pusher.store.write() as tx:
            for one in outbox.interrupted(tx):
                outbox.update(tx, msgspec.structs.replace(one, state="cancelled", settled_at=pusher.clock.now()))
        return 0

    return mock.patch.object(Pusher, "recover", recover)


def _receipt_later() -> AbstractContextManager[object]:
    confirm, add = Settler.confirm, receipts.add

    def confirmed(settler: Settler, *given: Any, **how: Any) -> None:
        kept: list[Any] = []
        with mock.patch.object(receipts, "add", lambda _tx, rows: kept.append(rows)):
            confirm(settler, *given, **how)
        for rows in kept:
            with settler.store.write() as tx:
                add(tx, rows)

    return mock.patch.object(Settler, "confirm", confirmed)


def _out_of_order() -> AbstractContextManager[object]:
    columns = outbox._deliveries
    sendable = schema.among(columns.state, outbox._SENDABLE)
    return mock.patch.multiple(outbox, _due=outbox._due_by(sendable), _next_due=outbox._next_due_by(sendable))


def _impatient() -> AbstractContextManager[object]:
    return mock.patch.object(Reply, "retry_after", None)


# -- several workers ---------------------------------------------------------------------------------------------------


def _without_fence() -> AbstractContextManager[object]:
    return _several(
        partial(mock.patch.object, leases, "check", lambda _tx, _lease: None),
        partial(mock.patch.object, Holder, "may_send", lambda _holder, _connection: None),
    )()


def _wrong(name: str, does: str, breaks: str, in_place: Patch) -> Wrong:
    return Wrong(name, does, frozenset(breaks.split()), in_place)


ENGINES: tuple[Wrong, ...] = (
    _wrong("cursor-first", "commits the checkpoint before the page that it stands behind", "I1 I2", _cursor_first),
    _wrong(
        "arrival-order", "stores what comes last, whatever version of it the vendor says it is", "I5 I6", _arrival_order
    ),
    _wrong("acknowledged-first", "acknowledges a webhook before it is stored", "I1", _acknowledged_first),
    _wrong(
        "position-first", "commits how far it has planned before the runs that follow from it", "I1", _position_first
    ),
    _wrong("echo-by-entity", "takes every change of what it wrote to once for its own", "I1 I5", _echo_by_entity),
    _wrong("any-answer", "takes every answer of a person for an approval", "I9", _any_answer),
    _wrong("without-marker", "makes up the marker of a write anew with each try", "I3", _without_marker),
    _wrong("sent-again", "sends again what it got no answer to, without looking it up", "I3", _sent_again),
    _wrong("receipt-later", "commits a receipt after the outcome that it belongs to", "I8", _receipt_later),
    _wrong("out-of-order", "lets a write to an entity pass an earlier one that is in doubt", "I7", _out_of_order),
    _wrong("impatient", "asks again without regard to when the vendor said to come again", "I11", _impatient),
    _wrong(
        "without-fence", "goes on speaking and writing as a worker that was given up meanwhile", "I3", _without_fence
    ),
)
BY_NAME = {one.name: one for one in ENGINES}
