"""What a question amounts to: its token, the answers that count, the verdict in words, the step's result; pure."""

import hashlib
from typing import Any

import msgspec

from cxbridge.core.engine.forms import defaults
from cxbridge.core.engine.pausing import clock_text
from cxbridge.core.store.approvals import Answered, Approval


def token_of(approval: Approval) -> str:
    """Give what an answer must bring along: which question, and a digest of its words."""
    told = msgspec.json.encode(
        [approval.run, approval.step, approval.question, list(approval.form), approval.quorum], order="deterministic"
    )
    return f"{approval.id}.{hashlib.blake2b(told, digest_size=8).hexdigest()}"


def counting(approval: Approval) -> list[Answered]:
    """Give the answers that count: of each person the last one, in the order they were given."""
    last = {one.who: one for one in approval.answers if not one.refused}
    return sorted(last.values(), key=lambda one: one.at)


def verdict_of(approval: Approval) -> str:
    """Say how a question stands or ended, in words."""
    at = f" at {clock_text(approval.decided_at)}" if approval.decided_at else ""
    if approval.state == "cancelled":
        return f"no longer asked{at}"
    if approval.asked.get("by_clock"):
        return f"{approval.state}{at}, because nobody decided within {approval.asked.get('ttl')}"
    answers = counting(approval)
    if approval.state == "open":
        given = sum(one.choice == "approve" for one in answers)
        return f"open, {given} of {approval.quorum} approved"
    wanted = "approve" if approval.state == "approved" else "reject"
    names = " and ".join(dict.fromkeys(one.name for one in answers if one.choice == wanted))
    filled = ", ".join(f"{name}: {value}" for name, value in values_of(approval).items() if value is not None)
    return f"{approval.state} by {names}{at}" + (f" ({filled})" if filled and approval.state == "approved" else "")


def values_of(approval: Approval) -> dict[str, Any]:
    """Give the form as it was filled in: of each field the newest value, else its default."""
    values = defaults(approval.form)
    if approval.state != "rejected":
        for one in counting(approval):
            values |= {name: value for name, value in one.form.items() if value is not None and name in values}
    return values


def result_of(approval: Approval) -> dict[str, Any]:
    """Give what the step leaves behind for the steps after it."""
    wanted = "approve" if approval.state == "approved" else "reject"
    names = [] if approval.asked.get("by_clock") else [one.name for one in counting(approval) if one.choice == wanted]
    return {
        **values_of(approval),
        "approved": approval.state == "approved",
        "by": " and ".join(dict.fromkeys(names)) or None,
        "at": approval.decided_at,
        "told": verdict_of(approval),
    }
