"""Shows on a question how it was answered, and takes its buttons away; repeated, it changes nothing more.

`docs.slack.dev/reference/methods/chat.update`: only the app's own messages can be changed, and all blocks are replaced at once.
"""

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import answers, blocks, mapping, mrkdwn, streams, wire
from cxbridge.plugins.slack.mapping import Unreadable
from cxbridge.plugins.slack.places import Rules


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Replace the buttons and fields of a question by the decision; its text stays where it can be read.

    Raises:
        Rejected: when there is no such message, or it is not the app's own.
    """
    inputs = mapping.inputs(call, cx.CloseAsk)
    channel, ts = mapping.split(call.target)
    row = _held(client, channel, ts) if rules.history else None
    decision = mrkdwn.clean(inputs.text)
    if not decision:
        raise cx.Rejected("the decision to show is empty")
    text, shown, done = blocks.settled(row, decision)
    if not done:
        body: dict[str, cx.Json] = {"channel": channel, "ts": ts, "text": text, "blocks": shown, "link_names": False}
        if row is not None and (planted := mapping.marker(row.metadata)) is not None:
            # Said again, so that whatever an update does with what it leaves out, the message is still found.
            body["metadata"] = {"event_type": mapping.EVENT, "event_payload": {"key": planted}}
        answers.write(client, "chat.update", wire.Posted, body, repeatable=True)
    thread = row.thread_ts if row is not None and row.thread_ts != ts else None
    return cx.Receipt(
        stream="messages",
        key=mapping.key(channel, ts),
        url=mapping.link(rules.workspace, channel, ts, thread),
        wrote={"body_text": mrkdwn.plain(text)},
        changed=not done,
    )


def _held(client: cx.Client, channel: str, ts: str) -> wire.Message:
    source = streams.row_of(client, channel, ts)
    if source is None:
        raise cx.NotFound("the message is not there any more")
    try:
        return mapping.decode(source, wire.Message)
    except Unreadable as error:
        raise cx.WireFormat(f"a message cannot be read: {error}") from None
