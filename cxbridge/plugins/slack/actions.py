"""Lists what can be written to Slack and how each write behaves on repetition; the writes have their own modules."""

from functools import partial

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import posting, settling
from cxbridge.plugins.slack.places import Rules


def actions(rules: Rules, settle: float) -> list[cx.Action]:
    """List the actions of a connection.

    Without the right to read histories a message cannot be found again: sent without an answer, it waits for a person.
    """
    effect = cx.Findable(settle=settle) if rules.history else cx.Blind()
    sent = partial(posting.find_sent, rules) if rules.history else None
    replied = partial(posting.find_reply, rules) if rules.history else None
    return [
        cx.Action("message.notify_once", "messages", partial(posting.notify, rules), effect, find=sent, prose="slack"),
        cx.Action("message.reply_once", "messages", partial(posting.reply, rules), effect, find=replied, prose="slack"),
        cx.Action("message.ask", "messages", partial(posting.ask, rules), effect, find=sent, prose="slack"),
        cx.Action("message.settle", "messages", partial(settling.perform, rules), cx.Idempotent(), prose="slack"),
    ]
