"""What the workspace tells the app: events and button presses, signed and posted to its request URLs. Decides nothing.

`docs.slack.dev/apis/events-api` and `…/authentication/verifying-requests-from-slack`.
"""

import hashlib
import hmac
from collections import deque
from typing import Any
from urllib.parse import urlencode

import msgspec

from cxbridge.sandbox.slack import render
from cxbridge.sandbox.slack.state import APP, BOT_USER, DOMAIN, TEAM, Channel, Message, User, Workspace

Json = Any

# How long a trigger opens a form.
TRIGGER_SECONDS = 3.0
_KEPT = 200


class Events:
    """Builds and posts deliveries; keeps the last ones, so that they can be sent again as the vendor does without an answer."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.events_url = workspace.options.events_url
        self.interactivity_url = workspace.options.interactivity_url
        self.secret = workspace.options.signing_secret
        self.past: deque[tuple[str, str, bytes]] = deque(maxlen=_KEPT)
        self._triggers: dict[str, float] = {}

    def message(self, channel: Channel, message: Message, subtype: str | None = None) -> None:
        """Tell of a message; the app hears only what happens where it is, its own messages included."""
        if BOT_USER not in channel.members:
            return
        kind = "im" if channel.is_im else "group" if channel.is_private else "channel"
        shown = render.message(message, channel, metadata=True)
        place = {"channel": channel.id, "channel_type": kind}
        if subtype is None:
            self.event({**shown, **place, "event_ts": message.ts})
            return
        inner: dict[str, Json] = {"type": "message", "subtype": subtype, "hidden": True, "ts": self._workspace.new_ts()}
        if subtype == "message_deleted":
            inner |= {"deleted_ts": message.ts, "previous_message": {**shown, "text": message.text}}
        else:
            inner |= {"message": shown, "previous_message": {**shown}}
        self.event({**inner, **place, "event_ts": inner["ts"]})

    def person(self, user: User, kind: str = "user_change") -> None:
        self.event({"type": kind, "user": render.user(user, with_email=True), "event_ts": self._workspace.new_ts()})

    def event(self, event: Json, *, skew: float = 0.0, secret: str | None = None) -> str:
        """Post an event; gives its id. `skew` dates the signature by so many seconds away from now."""
        ident = f"Ev{next(self._workspace.event_numbers):08d}"
        wrapped = {
            "token": "verification-token-of-old",
            "team_id": TEAM,
            "api_app_id": APP,
            "type": "event_callback",
            "event_id": ident,
            "event_time": self._workspace.seconds(),
            "event_context": f"4-{ident}",
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM,
                    "user_id": BOT_USER,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
            "event": event,
        }
        self._post(self.events_url, "application/json", msgspec.json.encode(wrapped), skew=skew, secret=secret)
        return ident

    def verification(self) -> None:
        """Ask the events' address whether it is the app's."""
        body = {"token": "verification-token-of-old", "challenge": "are-you-the-app", "type": "url_verification"}
        self._post(self.events_url, "application/json", msgspec.json.encode(body))

    def pressed(self, channel: Channel, message: Message, user: User, block: Json, element: Json, values: Json) -> Json:
        """Post that someone has pressed a button; gives the payload."""
        stamp = self._workspace.new_ts()
        trigger = f"{self._workspace.seconds()}.{self._workspace.new_id('')}"
        self._triggers[trigger] = self._workspace.world.clock.time()
        payload = {
            "type": "block_actions",
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM},
            "api_app_id": APP,
            "token": "verification-token-of-old",
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": channel.id,
                "is_ephemeral": False,
            },
            "trigger_id": trigger,
            "team": {"id": TEAM, "domain": DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
            "message": render.message(message, channel, metadata=True),
            "state": {"values": values},
            "response_url": f"https://hooks.slack.com/actions/{TEAM}/{stamp.replace('.', '')}/sandbox",
            "actions": [{**element, "block_id": block["block_id"], "action_ts": stamp}],
        }
        body = urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()
        self._post(self.interactivity_url, "application/x-www-form-urlencoded", body)
        return payload

    def again(self, count: int = 1) -> int:
        """Post the last deliveries once more, as after an answer that did not come in time."""
        found = list(self.past)[-count:]
        for url, kind, body in found:
            self._send(url, kind, body, {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})
        return len(found)

    def take_trigger(self, trigger: str) -> bool:
        """Use up a trigger; False when it is unknown, used or too old."""
        given = self._triggers.pop(trigger, None)
        return given is not None and self._workspace.world.clock.time() - given <= TRIGGER_SECONDS

    def _post(self, url: str, kind: str, body: bytes, *, skew: float = 0.0, secret: str | None = None) -> None:
        if not url:
            return
        self.past.append((url, kind, body))
        self._send(url, kind, body, {}, skew=skew, secret=secret)

    def _send(
        self, url: str, kind: str, body: bytes, extra: dict[str, str], *, skew: float = 0.0, secret: str | None = None
    ) -> None:
        stamp = str(int(self._workspace.world.clock.time() + skew))
        signed = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new((secret or self.secret).encode(), signed, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": kind,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
            **extra,
        }
        self._workspace.world.hooks.send("slack", url, headers, body)
