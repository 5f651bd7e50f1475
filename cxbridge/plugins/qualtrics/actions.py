"""Lists what can be written to Qualtrics and how each write behaves on repetition; the writes have their own modules."""

from functools import partial

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import editing, inviting, people
from cxbridge.plugins.qualtrics.rules import Rules


def actions(rules: Rules, *, tickets: bool) -> list[cx.Action]:
    """List the actions of a connection.

    There is no `ticket.ensure`: what a request for a new ticket must hold is not confirmed by any source.
    """
    found = [
        cx.Action(
            "survey.invite_once",
            "distributions",
            partial(inviting.perform, rules),
            cx.Findable(settle=inviting.SETTLE),
            find=partial(inviting.find, rules),
        ),
        cx.Action("response.set", "responses", partial(editing.set_response, rules), cx.Idempotent()),
        cx.Action(
            "contact.set",
            "contacts",
            partial(people.perform, rules),
            cx.Findable(settle=people.SETTLE),
            find=partial(people.find, rules),
        ),
    ]
    if tickets:
        found.append(cx.Action("ticket.set", "tickets", partial(editing.set_ticket, rules), cx.Idempotent()))
    return found
