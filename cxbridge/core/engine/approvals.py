"""Answers of people to the questions of runs: which count, and when a question is decided; moves no run on itself.

An answer is stored in one commit, and the run moves on in another, when it is woken: what lies between them is a row, so nothing
is lost when the process ends there. An answer counts for the very question that was asked: the token that travels with the buttons
holds a digest of its words, its form and its quorum.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime

import msgspec

from cxbridge.core.connector import Pressed
from cxbridge.core.engine.forms import typed
from cxbridge.core.engine.pausing import clock_text
from cxbridge.core.engine.verdicts import counting, token_of, verdict_of
from cxbridge.core.ledger import ACTIVE_RUNS, Delivery, Ref
from cxbridge.core.store import Tx, approvals, audit, records, runs
from cxbridge.core.store.approvals import Answered, Approval


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer came to: whether it counts, whether it decided the question, and why, in words for whoever gave it."""

    counts: bool
    decided: bool
    told: str
    run: str | None = None


def answered(tx: Tx, connection: str, pressed: Pressed, now: datetime) -> Outcome:
    """Store an answer, and decide the question where that is enough; the run moves on when it is woken, which is at once.

    `connection` is where it came from; an empty one is the command line. What does not count changes nothing, except that whoever
    forgot a field is told so.
    """
    name, _, _ = pressed.approval.partition(".")
    approval = approvals.get(tx, name)
    if approval is None:
        return Outcome(counts=False, decided=False, told="there is no such question")
    why = _wrong(tx, approval, connection, pressed, now)
    if why:
        return Outcome(counts=False, decided=False, told=why, run=approval.run)
    values, missing = typed(approval.form, pressed.form) if pressed.choice == "approve" else ({}, "")
    answer = Answered(
        who=_person(tx, connection, pressed),
        name=_name(tx, connection, pressed),
        choice=pressed.choice,
        at=now,
        form=values,
        message=str(Ref.local(connection, pressed.message)) if connection and pressed.message else None,
        refused=missing,
    )
    approval = msgspec.structs.replace(approval, answers=[*approval.answers, answer])
    if not missing:
        approval = _judged(approval, now)
    approvals.keep(tx, approval)
    _enter(tx, approval, answer, now)
    decided = approval.state != "open"
    if missing or decided:
        _rouse(tx, approval, now)
    return Outcome(counts=not missing, decided=decided, told=missing or verdict_of(approval), run=approval.run)


def _enter(tx: Tx, approval: Approval, answer: Answered, now: datetime) -> None:
    """Enter an answer in the audit chain: to which words it was given, and what they came to; neither words nor form."""
    run = runs.get(tx, approval.run)
    kind, _, name = answer.who.partition(":")
    audit.decided(
        tx,
        "approval.answered",
        who=name if kind in ("email", "cli") else answer.who,
        subject=str(run.subject) if run is not None else approval.run,
        now=now,
        run=approval.run,
        recipe=approval.recipe,
        version=run.version if run is not None else None,
        step=approval.step,
        approval=approval.id,
        # An approval is one of these words and no others.
        words=token_of(approval).rpartition(".")[2],
        choice=answer.choice,
        counts=not answer.refused,
        state=approval.state,
        form=audit.hashed(tx, dict(answer.form)),
        message=answer.message,
    )


def _judged(approval: Approval, now: datetime) -> Approval:
    """Decide: one rejection is enough, and as many approvals of different people as the quorum asks for."""
    answers = counting(approval)
    if any(one.choice == "reject" for one in answers):
        return msgspec.structs.replace(approval, state="rejected", decided_at=now)
    if len(answers) >= approval.quorum:
        return msgspec.structs.replace(approval, state="approved", decided_at=now)
    return approval


def _wrong(tx: Tx, approval: Approval, connection: str, pressed: Pressed, now: datetime) -> str:
    """Say why an answer cannot count, or nothing."""
    asked_in = {one["connection"] for one in (*approval.asked.get("to", ()), *approval.asked.get("deputies", ()))}
    if connection and connection not in asked_in:
        return f"this was not asked in {connection}"
    if not hmac.compare_digest(pressed.approval.encode(errors="replace"), token_of(approval).encode()):
        return "the question is not the one that was answered"
    if approval.state != "open":
        return f"it is decided already: {verdict_of(approval)}"
    run = runs.get(tx, approval.run)
    if run is None or run.state not in ACTIVE_RUNS:
        return f"the run that asked is {run.state if run else 'gone'}"
    if approval.expires_at is not None and approval.expires_at <= now and approval.asked.get("on_timeout") != "hold":
        return f"the time was up at {clock_text(approval.expires_at)}"
    if pressed.choice not in ("approve", "reject"):
        return f"{pressed.choice!r} is none of the choices: approve, reject"
    return ""


def _rouse(tx: Tx, approval: Approval, now: datetime) -> None:
    """Let the run be looked at with the next waking."""
    run = runs.get(tx, approval.run)
    if run is not None and run.state in ("waiting", "held"):
        runs.save(tx, msgspec.structs.replace(run, state="waiting", wake_at=now))


def _person(tx: Tx, connection: str, pressed: Pressed) -> str:
    """Tell people apart: by their e-mail address where it is known, so that one person in two places is one."""
    if not connection:
        name = pressed.who.strip()
        return f"email:{name.lower()}" if "@" in name else f"cli:{name}"
    email = next((one for one in _known(tx, connection, pressed, "email", "emails")), None)
    return f"email:{email.lower()}" if email else str(Ref.local(connection, pressed.who))


def _name(tx: Tx, connection: str, pressed: Pressed) -> str:
    # What a click brings along may be a log-in name; the record has the one that people read.
    known = _known(tx, connection, pressed, "name") if connection else []
    return next(iter(known), "") or pressed.name or pressed.who


def _known(tx: Tx, connection: str, pressed: Pressed, *fields: str) -> list[str]:
    """Read single fields of the record of whoever pressed, as far as there is one."""
    record = records.get(tx, Ref.local(connection, pressed.who))
    entity = record.entity() if record is not None else None
    found: list[str] = []
    for one in fields:
        value = getattr(entity, one, None)
        found += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return found


def cancel(tx: Tx, run: str, now: datetime) -> list[Approval]:
    """Ask no longer what a run asked; gives the questions that were open."""
    gone = [
        msgspec.structs.replace(one, state="cancelled", decided_at=now)
        for one in approvals.of_run(tx, run)
        if one.state == "open"
    ]
    for one in gone:
        approvals.keep(tx, one)
    return gone


def still_asked(tx: Tx, delivery: Delivery) -> bool:
    """Whether a question in the outbox is still to be put: it may have been decided, or its run ended, before it went out."""
    run = runs.get(tx, delivery.run)
    approval = approvals.of_step(tx, delivery.run, delivery.step.rpartition(".")[0])
    return run is not None and run.state in ACTIVE_RUNS and approval is not None and approval.state == "open"
