"""The step `approve`: how a question is put, who else is called, what silence means, how its messages end; sends nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from cxbridge.core.clock import from_iso
from cxbridge.core.connector import Button
from cxbridge.core.engine.forms import form_of, pretended_values, vendor_form
from cxbridge.core.engine.pausing import Message, Place, Reached, Unreached, clock_text, with_step
from cxbridge.core.engine.verdicts import result_of, token_of, verdict_of
from cxbridge.core.ledger import Delivery, Ref, new_id
from cxbridge.core.recipes.model import ApproveInputs, Rendered, Step
from cxbridge.core.store import Tx, approvals, outbox, receipts
from cxbridge.core.store.approvals import Approval

ASK, REPLY, SETTLE = "message.ask", "message.reply_once", "message.settle"
# Parts of the names under which a question's messages stand in the outbox: `triage.ask`.
_ASKED, _DEPUTIES, _REPLY, _SETTLE = "ask", "deputies", "reply", "settle"
_BUTTONS = [
    Button(label="Approve", choice="approve", style="primary"),
    Button(label="Reject", choice="reject", style="danger"),
]


def is_message(delivery: Delivery) -> bool:
    """Whether a delivery carries a question or what became of it: the run's steps never wait for such a one."""
    return delivery.action in (ASK, REPLY, SETTLE) and "." in delivery.step


def is_question(delivery: Delivery) -> bool:
    """Whether a delivery puts a question to somebody."""
    return delivery.action == ASK and is_message(delivery)


def is_courtesy(delivery: Delivery) -> bool:
    """Whether the run does well without a delivery: all of a question's messages but the first."""
    return is_message(delivery) and not delivery.step.endswith(f".{_ASKED}")


def approve(place: Place) -> Reached:
    """Come to an `approve`: put the question, wait, call the deputies, or go on with what was decided.

    Raises:
        Unreached: when it cannot be asked.
    """
    if place.pretended:
        return _pretended(place)
    approval = approvals.of_step(place.tx, place.run.id, place.step.id)
    if approval is None:
        return _ask(place)
    replies = _replies(place, approval)
    approval = msgspec.structs.replace(
        approval, answers=[msgspec.structs.replace(one, told=True) if one.refused else one for one in approval.answers]
    )
    if approval.state == "open":
        approval = _by_clock(approval, place.now)
    reached = _waiting(place, approval) if approval.state == "open" else _decided(place, approval)
    reached.messages = [*replies, *reached.messages]
    return reached


def _ask(place: Place) -> Reached:
    inputs = place.read(ApproveInputs)
    to = [_address(place, inputs.to, None)] if inputs.to else []
    home = to[0]["connection"] if to else None
    deputies = [_address(place, one, home) for one in inputs.deputies]
    expires = place.after(place.now, inputs.ttl, inputs.clock)
    if expires <= place.now:
        raise Unreached(f"step {place.step.id}: nobody can answer within {inputs.ttl}")
    turn = None
    if deputies:
        if inputs.deputies_after is not None:
            turn = place.after(place.now, inputs.deputies_after, inputs.clock)
        else:
            turn = place.now + (expires - place.now) / 2
    approval = Approval(
        id=new_id("apr", place.now),
        run=place.run.id,
        recipe=place.run.recipe,
        step=place.step.id,
        question=inputs.ask,
        asked={
            "to": to,
            "deputies": deputies,
            "deputies_at": turn,
            "on_timeout": inputs.on_timeout,
            "on_reject": inputs.on_reject,
            "ttl": inputs.ttl,
            "shown": {one["connection"]: place.ask(one["connection"]) for one in (*to, *deputies)},
        },
        form=form_of(place.step.id, inputs.form, place.run.results),
        quorum=inputs.quorum,
        asked_at=place.now,
        expires_at=expires,
    )
    reached = _waiting(place, approval)
    # A run that asked something ends under the version that asked.
    results = {**reached.run.results, f"{place.step.id}.approval": {"approval": approval.id}}
    reached.run = msgspec.structs.replace(reached.run, results=results)
    reached.messages = [_question(place, approval, one, _ASKED, number) for number, one in enumerate(to)]
    return reached


def _address(place: Place, text: str, home: str | None) -> dict[str, str]:
    """Read `role:address`; without a role it is where the question itself goes."""
    role, colon, address = text.partition(":")
    connection = place.use.get(role) if colon else None
    if connection is None:
        connection, address = home, text
    if connection is None or not address.strip():
        raise Unreached(
            f"step {place.step.id}: {text!r} is nobody who can be asked: write role:#channel or role:e-mail"
        )
    if not place.offers(connection, ASK):
        raise Unreached(f"{connection} does not offer {ASK} any more")
    return {"connection": connection, "to": address.strip()}


def _question(place: Place, approval: Approval, to: Mapping[str, str], part: str, index: int) -> Message:
    connection = to["connection"]
    inputs = {
        "to": to["to"],
        "text": approval.asked["shown"][connection],
        "approval": token_of(approval),
        "buttons": [msgspec.to_builtins(one) for one in _BUTTONS],
        "form": vendor_form(approval.form),
    }
    return Message(_sender(approval.step, part, connection, ASK, inputs), index=index)


def _sender(step: str, part: str, connection: str, action: str, inputs: Mapping[str, Any]) -> Step:
    return Step(f"{step}.{part}", action, None, Rendered(inputs), "", connection, action)


def _pretended(place: Place) -> Reached:
    """Ask nobody: a run that is only planned takes the answer to be yes, with the form's defaults."""
    inputs = place.read(ApproveInputs)
    form = form_of(place.step.id, inputs.form, place.run.results)
    told = {"approved": True, "by": "«whoever answers»", "at": place.now, "told": "taken as approved: nobody was asked"}
    reached = Reached(with_step(place.run, place.step, {**pretended_values(form), **told}), goes_on=True)
    if inputs.to:
        to = _address(place, inputs.to, None)
        approval = Approval(
            id="apr_none",
            run=place.run.id,
            recipe=place.run.recipe,
            step=place.step.id,
            question=inputs.ask,
            asked={"shown": {to["connection"]: place.ask(to["connection"])}},
            form=form,
            quorum=inputs.quorum,
            asked_at=place.now,
        )
        reached.messages = [_question(place, approval, to, _ASKED, 0)]
    return reached


def _waiting(place: Place, approval: Approval) -> Reached:
    """Leave the question open, and call the deputies when it is their turn."""
    messages: list[Message] = []
    asked, now = dict(approval.asked), place.now
    turn = _moment(asked.get("deputies_at"))
    if turn is not None and turn <= now:
        messages = [_question(place, approval, one, _DEPUTIES, number) for number, one in enumerate(asked["deputies"])]
        asked["deputies_at"], asked["deputies_asked_at"], turn = None, now, None
    if approval.expires_at is not None and approval.expires_at <= now:
        # What the file says for silence is `hold`: the question stays open, and only a person moves the run on.
        approval = msgspec.structs.replace(approval, expires_at=None)
        turn, asked["deputies_at"] = None, None
    approval = msgspec.structs.replace(approval, asked=asked)
    answer = f"answer it with: cxbridge approvals answer {approval.id}"
    if approval.expires_at is None:
        reason = f"{approval.step}: nobody decided within {asked.get('ttl')}; {answer}"
        run = msgspec.structs.replace(place.run, state="held", reason=reason, wake_at=None)
    else:
        reason = f"{approval.step}: waits for an answer until {clock_text(approval.expires_at)}; {answer}"
        wake = min(turn, approval.expires_at) if turn is not None else approval.expires_at
        run = msgspec.structs.replace(place.run, state="waiting", reason=reason, wake_at=wake)
    return Reached(run, approval=approval, messages=messages)


def _by_clock(approval: Approval, now: datetime) -> Approval:
    """Decide an open question whose time is up, where the file says what silence means."""
    silence = approval.asked.get("on_timeout")
    if approval.expires_at is None or approval.expires_at > now or silence not in ("approve", "reject"):
        return approval
    state = "approved" if silence == "approve" else "rejected"
    return msgspec.structs.replace(
        approval,
        state=state,
        decided_at=now,
        asked={**approval.asked, "by_clock": True},
    )


def _decided(place: Place, approval: Approval) -> Reached:
    run = with_step(place.run, place.step, result_of(approval))
    reached = Reached(run, goes_on=True, approval=approval, messages=closing(place, approval))
    if approval.state != "approved" and approval.asked.get("on_reject") != "continue":
        reason = f"{approval.step}: {verdict_of(approval)}"
        reached.run = msgspec.structs.replace(run, state="stopped", reason=reason, ended_at=place.now)
        reached.goes_on = False
    return reached


def closing(place: Place, approval: Approval) -> list[Message]:
    """Say under every message that put a decided question how it ended, once, and take its buttons away."""
    found = outbox.of_run(place.tx, approval.run)
    closed = {one.target for one in found if one.action == SETTLE}
    messages = []
    for number, one in enumerate(_asking(found, approval)):
        ref = _message_of(place.tx, one)
        if ref is None or ref in closed or not place.offers(one.connection, SETTLE):
            continue
        # The question itself stays where it stands.
        text = place.write(one.connection, _capital(verdict_of(approval)))
        messages.append(
            Message(_sender(approval.step, _SETTLE, one.connection, SETTLE, {"text": text}), ref, index=number)
        )
    return messages


def _replies(place: Place, approval: Approval) -> list[Message]:
    """Tell those whose answer does not count why, under the message where they gave it."""
    messages = []
    for number, one in enumerate(approval.answers):
        ref = Ref.parse(one.message) if one.message else None
        if one.refused and not one.told and ref is not None and place.offers(ref.connection, REPLY):
            text = place.write(ref.connection, f"{one.name}, this does not count yet: {one.refused}.")
            messages.append(
                Message(_sender(approval.step, _REPLY, ref.connection, REPLY, {"text": text}), ref, index=number)
            )
    return messages


def _asking(found: Sequence[Delivery], approval: Approval) -> list[Delivery]:
    names = (f"{approval.step}.{_ASKED}", f"{approval.step}.{_DEPUTIES}")
    return [one for one in found if one.action == ASK and one.step in names]


def _message_of(tx: Tx, delivery: Delivery) -> Ref | None:
    rows = receipts.of_delivery(tx, delivery.id) if delivery.state == "confirmed" else []
    return rows[0].ref if rows else None


def _moment(value: Any) -> datetime | None:
    # What was stored as JSON comes back as text.
    return from_iso(value) if isinstance(value, str) else value


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
