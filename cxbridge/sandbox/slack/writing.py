"""The methods that change something: messages, joining, direct messages. `docs.slack.dev/reference/methods/chat.postMessage`.

Each effect is journaled in the locked step that makes it; a message's detail carries the marker planted beside it.
"""

from collections.abc import Callable
from typing import Any

from cxbridge.sandbox.slack import render
from cxbridge.sandbox.slack.call import ApiError, Call
from cxbridge.sandbox.slack.content import checked, content
from cxbridge.sandbox.slack.events import Events
from cxbridge.sandbox.slack.limits import Limits
from cxbridge.sandbox.slack.reading import known
from cxbridge.sandbox.slack.state import BOT_USER, Channel, Message, User, Via, Workspace, pings, stored

Json = Any
VENDOR = "slack"


class Writing:
    """What writes, over the API and by hand alike."""

    def __init__(self, workspace: Workspace, limits: Limits, events: Events) -> None:
        self._workspace = workspace
        self.limits = limits
        self._events = events

    def methods(self) -> dict[str, tuple[str, Callable[[Call], dict[str, Json]]]]:
        """The methods by name, each with the scope that it needs."""
        return {
            "chat.postMessage": ("chat:write", self._post),
            "chat.update": ("chat:write", self._update),
            "chat.delete": ("chat:write", self._delete),
            "conversations.join": ("channels:join", self._join),
            "conversations.open": ("im:write", self._open),
            "views.open": ("", self._view),
        }

    def posted(self, channel: Channel, message: Message, via: Via) -> None:
        """Put a message into a channel, journal it and tell of it."""
        self._workspace.place(channel, message)
        self.journal("message.posted", channel, message, via)
        self._events.message(channel, message)

    def journal(self, kind: str, channel: Channel, message: Message, via: Via) -> None:
        author = self._workspace.users.get(message.user)
        payload = (message.metadata or {}).get("event_payload") or {}
        person = self._workspace.users.get(channel.with_user or "")
        self._workspace.world.journal.effect(
            VENDOR,
            kind,
            f"{channel.id}:{message.ts}",
            self._workspace.options.user
            if message.by_app
            else (author.email or author.name if author else message.user),
            via,
            channel=channel.name or channel.id,
            person=person.email if person else None,
            text=message.text,
            thread=message.thread_ts if message.is_answer else None,
            marker=payload.get("key"),
            pings=pings(message.text, message.blocks),
            buttons=sum(len(block["elements"]) for block in message.blocks or [] if block["type"] == "actions"),
        )

    def _post(self, call: Call) -> dict[str, Json]:
        workspace = self._workspace
        text, blocks, metadata = content(call)
        channel = self._target(call)
        if channel.is_archived:
            raise ApiError("is_archived")
        if BOT_USER not in channel.members:
            if channel.is_private:
                raise ApiError("channel_not_found")
            if "chat:write.public" not in workspace.options.scopes:
                raise ApiError("not_in_channel")
        thread = call.text("thread_ts") or None
        if thread is not None:
            parent = channel.messages.get(thread)
            if parent is None or parent.deleted:
                raise ApiError("thread_not_found")
            thread = parent.thread_ts or parent.ts
        self.limits.post(channel.id, workspace.world.clock.time())
        message = Message(
            workspace.new_ts(),
            BOT_USER,
            stored(text or ""),
            blocks,
            metadata or None,
            thread_ts=thread,
            by_app=True,
        )
        self.posted(channel, message, "api")
        return {"channel": channel.id, "ts": message.ts, "message": render.message(message, channel, metadata=True)}

    def _target(self, call: Call) -> Channel:
        """The place to write to: a channel by id or name, or a person, to whom a direct message is then opened."""
        workspace, wanted = self._workspace, call.text("channel")
        user = workspace.users.get(wanted)
        if user is not None:
            if user.is_bot:
                raise ApiError("cannot_dm_bot")
            if user.deleted:
                raise ApiError("user_not_found")
            return workspace.open_direct(user)
        for channel in workspace.seen():
            if wanted == channel.id or (channel.name and wanted.removeprefix("#") == channel.name):
                return channel
        raise ApiError("channel_not_found")

    def _own(self, call: Call, refusal: str) -> tuple[Channel, Message]:
        channel = self._workspace.channels.get(call.text("channel"))
        if channel is None or channel not in self._workspace.seen():
            raise ApiError("channel_not_found")
        message = channel.messages.get(call.text("ts"))
        if message is None or message.deleted:
            raise ApiError("message_not_found")
        if not message.by_app:
            raise ApiError(refusal)
        return channel, message

    def _update(self, call: Call) -> dict[str, Json]:
        channel, message = self._own(call, "cant_update_message")
        text, blocks, metadata = content(call, update=True)
        before = (message.text, message.blocks, message.metadata)
        if text is not None:
            message.text = stored(text)
            # Text without blocks takes the old blocks away.
            message.blocks = blocks
        elif blocks is not None:
            message.blocks = blocks
        if metadata is not None:
            message.metadata = metadata or None
        if before == (message.text, message.blocks, message.metadata):
            self.journal("noop", channel, message, "api")
        else:
            if not message.blocks:
                message.edited, message.edited_by = self._workspace.new_ts(), BOT_USER
            self.journal("message.updated", channel, message, "api")
            self._events.message(channel, message, "message_changed")
        shown = render.message(message, channel, metadata=True)
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}

    def _delete(self, call: Call) -> dict[str, Json]:
        channel, message = self._own(call, "cant_delete_message")
        self.erase(channel, message, "api")
        return {"channel": channel.id, "ts": message.ts}

    def erase(self, channel: Channel, message: Message, via: Via) -> None:
        """Take a message away; where it was answered, a stone stays in its place."""
        message.deleted = True
        self.journal("message.deleted", channel, message, via)
        self._events.message(channel, message, "message_deleted")

    def _join(self, call: Call) -> dict[str, Json]:
        channel = self._workspace.channels.get(call.text("channel"))
        if channel is None or channel not in self._workspace.seen():
            raise ApiError("channel_not_found")
        if channel.is_private or channel.is_im:
            raise ApiError("method_not_supported_for_channel_type")
        if channel.is_archived:
            raise ApiError("is_archived")
        if BOT_USER in channel.members:
            call.warnings.append("already_in_channel")
            return {"channel": render.channel(channel)}
        channel.members.add(BOT_USER)
        self._workspace.world.journal.effect(
            VENDOR, "channel.joined", channel.id, self._workspace.options.user, channel=channel.name
        )
        return {"channel": render.channel(channel)}

    def _open(self, call: Call) -> dict[str, Json]:
        workspace = self._workspace
        if "channel" in call:
            return {"channel": {"id": known(workspace, call).id}}
        names = [name for name in call.text("users").split(",") if name]
        if len(names) != 1:
            raise ApiError("users_list_not_supplied" if not names else "method_not_supported_for_channel_type")
        user: User | None = workspace.users.get(names[0])
        if user is None:
            raise ApiError("user_not_found")
        if user.deleted:
            raise ApiError("user_disabled")
        if user.is_bot:
            raise ApiError("cannot_dm_bot")
        there = workspace.direct(user) is not None
        channel = workspace.open_direct(user)
        told: dict[str, Json] = {"channel": {"id": channel.id}}
        return {**told, "no_op": True, "already_open": True} if there else told

    def _view(self, call: Call) -> dict[str, Json]:
        """Open a form over the page of someone who has just pressed something; what is in it stays with the caller."""
        view = call.raw("view")
        if not self._events.take_trigger(call.text("trigger_id")):
            raise ApiError("expired_trigger_id" if call.text("trigger_id") else "invalid_arguments")
        if not isinstance(view, dict) or view.get("type") != "modal":
            raise ApiError("invalid_arguments")
        blocks = checked(view.get("blocks"))
        return {"view": {"id": self._workspace.new_id("V"), "type": "modal", "blocks": blocks, "state": {"values": {}}}}
