"""What people do in the workspace, and what a test asks of it: messages, presses, people, channels, request URLs.

GET    channels                         names and members
GET    channels/NAME/messages           a channel's messages with their threads; NAME is also an address, for the app's
                                        direct message with that person
POST   channels                         {"name", "private", "members", "shared", "archived"}
PATCH  channels/NAME                    {"archived", "members_add", "members_remove"}
POST   messages                         {"channel", "user", "text", "thread"}
PATCH  messages/CHANNEL:TS              {"text"}; DELETE takes it away
POST   click                            {"message" or "approval", "choice", "user", "form": {field: value}}
POST   users                            {"name", "email", …}; PATCH users/NAME {"deleted", "real_name", "email"}
PUT    hooks                            {"events_url", "interactivity_url", "signing_secret", "verify": true}
POST   events                           {"event": {…}, "skew": seconds, "secret"}; POST events/again {"count"}
PUT    scopes                           {"scopes": […]}
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cxbridge.sandbox.slack import render, rows
from cxbridge.sandbox.slack.events import Events
from cxbridge.sandbox.slack.options import SCOPES
from cxbridge.sandbox.slack.state import Channel, Message, Workspace, stored
from cxbridge.sandbox.slack.writing import VENDOR, Writing

Json = Any


class Control:
    """The simulated workspace as the world knows it; implements `cxbridge.sandbox.world.Vendor`."""

    def __init__(self, workspace: Workspace, events: Events, writing: Writing) -> None:
        self.workspace = workspace
        self.events = events
        self.writing = writing

    def state_counts(self) -> dict[str, int]:
        """How much there is."""
        channels = self.workspace.channels.values()
        return {
            "users": len(self.workspace.users),
            "channels": sum(not channel.is_im for channel in channels),
            "direct_messages": sum(channel.is_im for channel in channels),
            "messages": sum(not one.deleted for channel in channels for one in channel.messages.values()),
        }

    def load_row(self, row: Mapping[str, Any]) -> None:
        """Add a row of a company file.

        Raises:
            ValueError: it cannot be used.
        """
        rows.load(self.workspace, row)

    def control(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Json]:
        """Do what a control request says.

        Raises:
            LookupError: there is no such thing, or no such request.
            ValueError: the request cannot be done.
        """
        parts = [part for part in path.split("/") if part]
        kind = parts[0] if parts else ""
        done = {
            "channels": self._channels,
            "messages": self._message,
            "users": self._users,
            "events": self._deliveries,
            "click": self._click,
            "hooks": self._hooks,
            "scopes": self._scopes,
        }.get(kind)
        answer = done(method, parts[1:], body) if done else None
        if answer is None:
            raise LookupError(f"there is no {method} {path} for Slack; see cxbridge.sandbox.slack.control")
        return (201 if method == "POST" and kind != "click" else 200), answer

    def _channels(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        match (method, *parts):
            case ("GET",):
                return {"channels": [self._channel(one) for one in self.workspace.channels.values()]}
            case ("GET", name):
                return self._channel(self.workspace.channel_named(name))
            case ("GET", name, "messages"):
                return {"messages": self._messages(self.workspace.channel_named(name))}
            case ("POST",):
                return self._channel(rows.channel(self.workspace, body))
            case ("PATCH", name):
                return self._change_channel(self.workspace.channel_named(name), body)
        return None

    def _message(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        match (method, *parts):
            case ("POST",):
                return self._say(body)
            case ("PATCH", key):
                return self._edit(*self.workspace.message(key), body)
            case ("DELETE", key):
                channel, message = self.workspace.message(key)
                self.writing.erase(channel, message, "ui")
                return {"deleted": key}
        return None

    def _users(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        match (method, *parts):
            case ("POST",):
                user = rows.user(self.workspace, body)
                self.events.person(user, "team_join")
                return render.user(user, with_email=True)
            case ("PATCH", name):
                return self._change_user(name, body)
        return None

    def _deliveries(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        match (method, *parts):
            case ("POST",):
                event = body.get("event")
                if not event:
                    raise ValueError('give the event to send: {"event": {"type": "message", …}}')
                skew, secret = float(body.get("skew", 0)), body.get("secret")
                return {"event_id": self.events.event(dict(event), skew=skew, secret=secret)}
            case ("POST", "again"):
                return {"sent": self.events.again(int(body.get("count", 1)))}
        return None

    def _channel(self, channel: Channel) -> Json:
        members = [self.workspace.users[ident].name for ident in sorted(channel.members)]
        person = self.workspace.users.get(channel.with_user or "")
        name = channel.name or (person.email or person.name if person else "")
        return {
            "id": channel.id,
            "name": name,
            "direct": channel.is_im,
            "private": channel.is_private,
            "archived": channel.is_archived,
            "shared": channel.is_shared,
            "members": members,
            "messages": len(channel.messages),
        }

    def _messages(self, channel: Channel) -> list[Json]:
        found = sorted(channel.messages.values(), key=lambda message: message.ts)
        return [render.told(channel, message, self.workspace) for message in found]

    def _change_channel(self, channel: Channel, body: Mapping[str, Any]) -> Json:
        if "archived" in body:
            channel.is_archived = bool(body["archived"])
        channel.members |= {self.workspace.user_named(name).id for name in body.get("members_add", ())}
        channel.members -= {self.workspace.user_named(name).id for name in body.get("members_remove", ())}
        channel.updated = self.workspace.seconds() * 1000
        kind = "channel_archive" if channel.is_archived else "channel_unarchive"
        if "archived" in body:
            self.events.event({"type": kind, "channel": channel.id, "event_ts": self.workspace.new_ts()})
        return self._channel(channel)

    def _change_user(self, name: str, body: Mapping[str, Any]) -> Json:
        user = self.workspace.user_named(name)
        user.deleted = bool(body.get("deleted", user.deleted))
        user.real_name = str(body.get("real_name", user.real_name))
        user.email = str(body["email"]).lower() if body.get("email") else user.email
        user.updated = self.workspace.seconds()
        self.events.person(user)
        return render.user(user, with_email=True)

    def _say(self, body: Mapping[str, Any]) -> Json:
        channel = self.workspace.channel_named(str(body.get("channel", "")))
        user = self.workspace.user_named(str(body.get("user", "")))
        thread = str(body["thread"]).rpartition(":")[2] if body.get("thread") else None
        if thread is not None and thread not in channel.messages:
            raise LookupError(f"there is no message {body['thread']!r} to answer")
        message = Message(self.workspace.new_ts(), user.id, stored(str(body.get("text", ""))), thread_ts=thread)
        self.writing.posted(channel, message, "ui")
        return render.told(channel, message, self.workspace)

    def _edit(self, channel: Channel, message: Message, body: Mapping[str, Any]) -> Json:
        message.text = stored(str(body["text"]))
        message.edited, message.edited_by = self.workspace.new_ts(), message.user
        self.writing.journal("message.updated", channel, message, "ui")
        self.events.message(channel, message, "message_changed")
        return render.told(channel, message, self.workspace)

    def _click(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        if method != "POST" or parts:
            return None
        user = self.workspace.user_named(str(body.get("user", "")))
        channel, message, block, element = self._button(body)
        values = _filled(message, body.get("form") or {})
        self.workspace.world.journal.effect(
            VENDOR,
            "button.pressed",
            f"{channel.id}:{message.ts}",
            user.email or user.name,
            "ui",
            label=element["text"]["text"],
        )
        payload = self.events.pressed(channel, message, user, block, element, values)
        return {"pressed": element["text"]["text"], "message": f"{channel.id}:{message.ts}", "payload": payload}

    def _button(self, body: Mapping[str, Any]) -> tuple[Channel, Message, Json, Json]:
        """Find the one button that is meant, in the message that is named or in the latest that carries the approval's id."""
        approval, choice = str(body.get("approval") or ""), str(body.get("choice", ""))
        if body.get("message"):
            places = [self.workspace.message(str(body["message"]))]
        elif approval:
            places = [(c, m) for c in self.workspace.channels.values() for m in c.messages.values() if not m.deleted]
            places.sort(key=lambda place: place[1].ts, reverse=True)
        else:
            raise ValueError('name what is pressed: {"message": "CHANNEL:TS"} or {"approval": "ID"}, and {"choice"}')
        for channel, message in places:
            found = [
                (block, element)
                for block in message.blocks or []
                if block["type"] == "actions"
                for element in block["elements"]
                if element["type"] == "button" and _is_meant(element, approval, choice)
            ]
            if len(found) > 1:
                raise ValueError(f"{len(found)} buttons there could be meant by {choice!r}: name one by its label")
            if found:
                return channel, message, *found[0]
        raise LookupError(f"no message has a button {choice!r} (any more)" + (f" for {approval}" if approval else ""))

    def _hooks(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        if method != "PUT" or parts:
            return None
        self.events.events_url = str(body.get("events_url", self.events.events_url) or "")
        self.events.interactivity_url = str(body.get("interactivity_url", self.events.interactivity_url) or "")
        self.events.secret = str(body.get("signing_secret", self.events.secret))
        if body.get("verify"):
            self.events.verification()
        return {"events_url": self.events.events_url, "interactivity_url": self.events.interactivity_url}

    def _scopes(self, method: str, parts: list[str], body: Mapping[str, Any]) -> Json:
        if method != "PUT" or parts:
            return None
        scopes = list(body.get("scopes", ()))
        if set(scopes) - set(SCOPES):
            raise ValueError(f"the scopes known here are {', '.join(SCOPES)}")
        self.workspace.options = msgspec.structs.replace(self.workspace.options, scopes=scopes)
        return {"scopes": scopes}


def _is_meant(element: Json, approval: str, choice: str) -> bool:
    value = str(element.get("value", ""))
    if approval and approval not in value:
        return False
    if choice.casefold() == element["text"]["text"].casefold() or choice == value:
        return True
    try:
        held = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return False
    return isinstance(held, dict) and choice in held.values()


def _filled(message: Message, form: Mapping[str, Any]) -> Json:
    """What the fields of a message hold, as a press carries it. A field is named by its label or by its element's id."""
    left = dict(form)
    values: dict[str, Json] = {}
    for block in message.blocks or []:
        if block["type"] != "input":
            continue
        element = block["element"]
        label, action = block["label"]["text"], element.get("action_id", "value")
        given = left.pop(label, left.pop(action, None))
        values[block["block_id"]] = {action: _value(element, label, given)}
    if left:
        raise LookupError(f"the message has no field {min(left)!r}")
    return values


def _value(element: Json, label: str, given: Any) -> Json:
    kind = element["type"]
    if kind != "static_select":
        return {"type": kind, "value": None if given is None else str(given)}
    if given is None:
        return {"type": kind, "selected_option": None}
    for option in element["options"]:
        if given in (option["value"], option["text"]["text"]):
            return {"type": kind, "selected_option": option}
    raise LookupError(f"the field {label!r} does not offer {given!r}")
