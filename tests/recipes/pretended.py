"""Connectors without a vendor behind them, for what the language says of nouns and verbs; they read and write nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.core.engine.connections import Connection

# By role: its streams with what they hold, and its verbs with the stream they act on.
STREAMS: Mapping[str, Mapping[str, type[cx.Entity]]] = {
    "success": {
        "companies": cx.Account,
        "persons": cx.Contact,
        "users": cx.Agent,
        "scores": cx.Health,
        "tasks": cx.Task,
        "timeline": cx.Touchpoint,
    },
    "survey": {
        "surveys": cx.Survey,
        "contacts": cx.Contact,
        "invitations": cx.Invitation,
        "responses": cx.Feedback,
    },
    "chat": {"users": cx.Agent, "messages": cx.Message},
}
ACTIONS: Mapping[str, Mapping[str, str]] = {
    "success": {
        "task.ensure": "tasks",
        "task.set": "tasks",
        "task.close": "tasks",
        "timeline.add_once": "timeline",
        "account.set": "companies",
        "contact.set": "persons",
        "health.set": "scores",
    },
    "survey": {"survey.invite_once": "invitations", "response.set": "responses"},
    "chat": {
        "message.notify_once": "messages",
        "message.reply_once": "messages",
        "message.ask": "messages",
        "message.settle": "messages",
    },
}


def pretended(role: str) -> Connection:
    """A connection of that role."""

    class Pretended(cx.Connector):
        name = role

    def pages(_: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        yield cx.Page([], cursor=cursor)

    def perform(_: cx.Client, call: cx.Call) -> Any:
        raise AssertionError(f"nothing may be written, and {call.marker} would be")

    streams = {name: cx.Stream(name, (kind,), pages=pages) for name, kind in STREAMS[role].items()}
    actions = {verb: cx.Action(verb, stream, perform, cx.Idempotent()) for verb, stream in ACTIONS[role].items()}
    return Connection(role, Pretended(), streams, actions)
