"""Keeps values beside a response (`response.set`) and changes a follow-up ticket (`ticket.set`).

A write to a response re-stamps its `recordedDate`: to now or, as asked for here, by a millisecond. Either way it is exported again,
and holds what was written, so that it is known for an echo. Only what differs is sent, so that nothing goes round.
"""

from typing import Any, Final

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import answers, listing, mapping, wire
from cxbridge.plugins.qualtrics.people import embeddable
from cxbridge.plugins.qualtrics.reading import TICKETS
from cxbridge.plugins.qualtrics.rules import Rules
from cxbridge.plugins.qualtrics.values import named

# What a ticket takes beside name, status and priority; each can be changed and not cleared.
_OF_TICKET: Final = ("ownerId", "ticketTeamId", "ticketGroupId")


def set_response(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Give a response these values of embedded data.

    Raises:
        Rejected: when there is no such response, or a value cannot be kept there.
    """
    del rules
    inputs = call.inputs
    if not isinstance(inputs, cx.SetResponse):
        raise TypeError("response.set takes SetResponse")
    survey, response = answers.split_key(call.target or "")
    wanted = {name: embeddable(name, value) for name, value in inputs.attributes.items()}
    reply = client.get(f"/surveys/{survey}/responses/{response}")
    now = answers.attributes(listing.result(reply, wire.Response).values)
    there = {name.casefold(): name for name in now}
    differing = {
        there.get(name.casefold(), name): value for name, value in wanted.items() if (named(now, name) or "") != value
    }
    key = answers.key_of(survey, response)
    if not differing:
        return cx.Receipt("responses", key, source_key=response, changed=False)
    body = {"surveyId": survey, "embeddedData": differing, "resetRecordedDate": False}
    client.put(f"/responses/{response}", body, repeatable=True)
    return cx.Receipt("responses", key, source_key=response, wrote={"attributes": {**now, **differing}})


def set_ticket(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Change a follow-up ticket's name, status, priority or owner.

    Raises:
        Rejected: when a number's meaning is not configured, or something is asked for that cannot be done twice safely.
    """
    inputs = call.inputs
    if not isinstance(inputs, cx.SetTicket):
        raise TypeError("ticket.set takes SetTicket")
    wanted = _wanted(rules, inputs)
    reply = client.get(f"{TICKETS}/{call.target}")
    raw = listing.result(reply, dict[str, Any])
    differing = {name: value for name, value in wanted.items() if raw.get(name) != value}
    after = mapping.ticket(cx.msgspec.convert({**raw, **differing}, wire.Ticket), rules)
    if not differing:
        return cx.Receipt("tickets", after.source_id, source_key=after.source_key, changed=False)
    client.put(f"{TICKETS}/{call.target}", differing, repeatable=True)
    wrote = {
        name: getattr(after, name)
        for name, sent in (
            ("subject", "name"),
            ("status_category", "status"),
            ("status_native", "status"),
            ("priority", "priority"),
            ("priority_native", "priority"),
            ("custom", "ownerId"),
        )
        if sent in differing
    }
    return cx.Receipt("tickets", after.source_id, source_key=after.source_key, wrote=wrote)


def _wanted(rules: Rules, inputs: cx.SetTicket) -> dict[str, Any]:
    if inputs.note is not None:
        raise cx.Rejected(
            "every comment on a ticket of Qualtrics is one more, also when it is sent twice: leave note out"
        )
    if inputs.tags_add or inputs.tags_remove or inputs.type is not None or inputs.severity is not None:
        raise cx.Rejected("a ticket of Qualtrics has no tags, type or severity")
    wanted: dict[str, Any] = {}
    if inputs.subject is not None:
        wanted["name"] = inputs.subject
    if inputs.status_category is not None:
        wanted["status"] = _code(rules.statuses, inputs.status_category, "status", "ticket_statuses")
    if inputs.priority is not None:
        wanted["priority"] = _code(rules.priorities, inputs.priority, "priority", "ticket_priorities")
    for name, value in inputs.custom.items():
        sent = "ownerId" if name == "owner" else name
        if sent not in _OF_TICKET or not isinstance(value, str) or not value:
            raise cx.Rejected(
                f"a ticket's custom values are owner, ticketTeamId and ticketGroupId, as ids: {name[:40]} is none"
            )
        wanted[sent] = value
    return wanted


def _code(table: Any, word: str, what: str, setting: str) -> int:
    for code, meaning in table.items():
        if word in (meaning, str(code)):
            return int(code)
    raise cx.Rejected(
        f'which number this brand uses for the {what} {word[:40]} is not configured: name it as {setting} = {{ 2 = "{word[:40]}" }}'
    )
