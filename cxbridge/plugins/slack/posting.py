"""Sends a message once: to a channel or a person, under another message, or as a question with buttons.

Slack has no idempotency key (`docs.slack.dev/reference/methods/chat.postMessage`), so that the marker goes along as metadata in the
very call that writes, and is looked for in the channel's history.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import answers, blocks, mapping, mrkdwn, places, streams, wire
from cxbridge.plugins.slack.mapping import Unreadable
from cxbridge.plugins.slack.places import Rules

# By how much our clock may be ahead of the vendor's where that is not known yet.
_BEFORE: Final = timedelta(minutes=10)
# How long after it was sent a message may have been posted. What others wrote later is not gone through: where a history gives
# fifteen messages a minute, as to apps that are sold, the end of a busy channel's would never be come to.
_AFTER: Final = timedelta(minutes=2)


def notify(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Send a message to a channel or a person.

    Raises:
        Rejected: when there is no such place, or Slack does not take the message there.
    """
    inputs = mapping.inputs(call, cx.Notify)
    text = _text(inputs.text)
    return _sent(rules, client, call, places.resolve(rules, client, inputs.to), {"text": text})


def ask(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Send a question with buttons to a channel or a person.

    Raises:
        Rejected: when there is no such place, or the question passes a limit of Slack's.
    """
    inputs = mapping.inputs(call, cx.Ask)
    text = _text(inputs.text)
    body = {"text": text, "blocks": blocks.question(text, inputs)}
    return _sent(rules, client, call, places.resolve(rules, client, inputs.to), body)


def reply(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Answer in the thread of a message.

    Raises:
        Rejected: when there is no such message, or Slack does not take the answer.
    """
    inputs = mapping.inputs(call, cx.ReplyTo)
    channel, parent = _thread(call)
    return _sent(rules, client, call, places.Place(channel), {"text": _text(inputs.text), "thread_ts": parent})


def find_sent(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the message or question that an earlier, unanswered call sent."""
    inputs = call.inputs
    if not isinstance(inputs, cx.Notify | cx.Ask):
        raise cx.PluginError("slack", f"expected Notify or Ask, was handed {type(inputs).__name__}")
    for channel in dict.fromkeys(places.candidates(rules, client, inputs.to)):
        between = {"oldest": _since(rules, client, call), "latest": _until(client, call)}
        rows = _rows(client, "conversations.history", channel=channel, **between)
        if (found := _marked(rules, rows, channel, call.marker)) is not None:
            return found
    return None


def find_reply(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the answer that an earlier, unanswered call wrote."""
    channel, parent = _thread(call)
    since = _since(rules, client, call)
    try:
        return _marked(
            rules,
            _rows(client, "conversations.replies", channel=channel, ts=parent, oldest=since),
            channel,
            call.marker,
        )
    except answers.NoThread:
        return None  # a channel that is hidden by now proves nothing: that is raised


def _sent(rules: Rules, client: cx.Client, call: cx.Call, place: places.Place, said: dict[str, cx.Json]) -> cx.Receipt:
    body = {
        "channel": place.id,
        **said,
        # Nothing in a text becomes a mention or a preview by itself.
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": mapping.EVENT, "event_payload": {"key": call.marker}},
    }
    try:
        made = answers.write(client, "chat.postMessage", wire.Posted, body)
    except answers.Refused as error:
        # Refused, so nothing was written. Where the app may read, it has joined before; here nothing was said about it yet.
        if error.code != "not_in_channel" or place.person or rules.history:
            raise
        places.enter(rules, client, place.id, "the channel")
        made = answers.write(client, "chat.postMessage", wire.Posted, body)
    return _receipt(rules, made.channel, made.ts, said.get("thread_ts"), said["text"], told=place.told)


def _receipt(
    rules: Rules, channel: str, ts: str, thread: str | None, text: str, *, told: str = "", url: str | None = None
) -> cx.Receipt:
    name = mapping.key(channel, ts)
    wrote: dict[str, cx.Json] = {"channel": f"channels/{channel}", "body_text": mrkdwn.plain(text)}
    if thread is not None:
        wrote["thread"] = f"messages/{mapping.key(channel, thread)}"
    return cx.Receipt(
        stream="messages",
        key=name,
        url=url or mapping.link(rules.workspace, channel, ts, thread),
        wrote=wrote,
        made=(f"messages/{name}",),
        told=told,
    )


def _marked(rules: Rules, rows: Iterable[wire.Message], channel: str, marker: str) -> cx.Receipt | None:
    for row in rows:
        if mapping.marker(row.metadata) == marker:
            thread = row.thread_ts if row.thread_ts != row.ts else None
            return _receipt(rules, channel, row.ts, thread, row.text or "")
    return None


def _rows(client: cx.Client, method: str, **asked: cx.Json) -> Iterator[wire.Message]:
    """Give the messages of a history or a thread, page by page, for as long as they are wanted."""
    for page in streams.listed_messages(client, method, **asked):
        for source in page:
            try:
                yield mapping.decode(source, wire.Message)
            except Unreadable as error:
                # It might be the very one that is looked for.
                raise cx.WireFormat(f"a message cannot be read: {error}", operation=f"GET /{method}") from None


def _since(rules: Rules, client: cx.Client, call: cx.Call) -> str:
    """Say from when on to look, by the vendor's clock: the stamps that this is held against are its own."""
    there = client.server_now()
    if call.since is None:
        return mapping.stamp(there - timedelta(seconds=rules.search_back))
    return mapping.stamp(call.since + (there - client.now) - _BEFORE)


def _until(client: cx.Client, call: cx.Call) -> str | None:
    """Say up to when to look, by the vendor's clock; before it told its time, by ours, and then not closely."""
    if call.sent is None:
        return None
    skew = client.skew
    return mapping.stamp(call.sent + (_BEFORE if skew is None else skew + _AFTER))


def _thread(call: cx.Call) -> tuple[str, str]:
    """Give channel and ts of the thread: its first message, since an answer to an answer would hang nowhere."""
    channel, ts = mapping.split(call.target)
    held = call.base.thread if isinstance(call.base, cx.Message) else None
    return mapping.split(held.removeprefix("messages/")) if held else (channel, ts)


def _text(text: str) -> str:
    said = mrkdwn.cut(mrkdwn.clean(text))
    if not said:
        raise cx.Rejected("the message is empty")
    return said
