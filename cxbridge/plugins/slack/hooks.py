"""Judges and reads what Slack sends: events, and what people press; pure, and no body makes it raise anything but `Forged`.

`docs.slack.dev/authentication/verifying-requests-from-slack`, `…/apis/events-api`, `…/interactivity/handling-user-interaction`. The
`token` inside a body is the vendor's old proof, the same in every delivery: it proves nothing and is not looked at.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qs

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import blocks, mapping

SETUP: Final = (
    "in the app's settings, set the address as the request URL of event subscriptions and of interactivity, and its signing secret "
    "as webhook_secret."
)
# How far a delivery's stamp may lie from the moment it came in, by the vendor's advice.
WINDOW: Final = 300
_STAMP_DIGITS: Final = 12
_CHALLENGE: Final = 1_000
_FORM: Final = "application/x-www-form-urlencoded"
_NAME: Final = 100

# Events that tell of a person or a channel, by what they say it about.
_PEOPLE: Final = frozenset({"team_join", "user_change", "user_profile_changed", "user_status_changed"})
_CHANNELS: Final = frozenset(
    {
        "channel_created",
        "channel_rename",
        "channel_archive",
        "channel_unarchive",
        "channel_deleted",
        "channel_shared",
        "channel_unshared",
        "channel_id_changed",
        "group_rename",
        "group_archive",
        "group_unarchive",
        "group_deleted",
    }
)
# Messages about a message; the first two hold it.
_ABOUT_ANOTHER: Final = ("message_changed", "message_replied", "message_deleted")


class Wrapper(msgspec.Struct, frozen=True, gc=False):
    """What every delivery of the Events API is wrapped in."""

    type: str
    event_id: str | None = None
    api_app_id: str | None = None
    challenge: str | None = None
    authorizations: list[cx.Json] | None = None
    event: dict[str, cx.Json] = {}
    minute_rate_limited: int | None = None


class Named(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str | None = None
    username: str | None = None


class Element(msgspec.Struct, frozen=True, gc=False):
    """What was used: a button has a value."""

    type: str = ""
    action_id: str = ""
    action_ts: str = ""
    value: str | None = None


class Container(msgspec.Struct, frozen=True, gc=False):
    channel_id: str | None = None
    message_ts: str | None = None


class Interaction(msgspec.Struct, frozen=True, gc=False):
    """Something a person did in Slack; only buttons of messages are of use here. `state` is a text in dialogs of old."""

    type: str
    user: Named | None = None
    container: Container | None = None
    actions: list[Element] = []
    state: cx.Json = None


def webhook(channels: Sequence[str]) -> cx.Webhook:
    """Say how deliveries are judged and read. `channels` are those whose messages are followed."""
    return cx.Webhook(verify=verify, read=partial(read, frozenset(channels)), greet=greet, setup=SETUP)


def verify(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """See that the app's signing secret made the signature, over the very bytes, within the last five minutes.

    Raises:
        Forged: otherwise.
    """
    stamp = inbound.headers.get("x-slack-request-timestamp", "")
    given = inbound.headers.get("x-slack-signature", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _STAMP_DIGITS) or not given:
        raise cx.Forged("no signature, or no time beside it")
    if abs(inbound.received_at.timestamp() - int(stamp)) > WINDOW:
        raise cx.Forged("signed more than five minutes from now: replayed, or a clock is wrong")
    signed = b"v0:" + stamp.encode() + b":" + inbound.body
    for secret in secrets:
        # Anybody could sign with an empty secret.
        if secret and cx.same(given, signature(secret, signed)):
            return
    raise cx.Forged("the signature is not that of this app's signing secret")


def signature(secret: str, signed: bytes) -> str:
    """Give the signature over the base string."""
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def greet(inbound: cx.Inbound) -> bytes | None:
    """Answer the handshake of a request URL; None for every other delivery."""
    if _is_form(inbound):
        return None
    try:
        told = msgspec.json.decode(inbound.body, type=Wrapper)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    word = told.challenge or ""
    if told.type != "url_verification" or not (0 < len(word) <= _CHALLENGE and word.isascii() and word.isprintable()):
        return None
    return word.encode()


def read(channels: frozenset[str], inbound: cx.Inbound) -> cx.Announced:
    """Read what a delivery says.

    Raises:
        Forged: when it has none of the vendor's forms.
    """
    try:
        return _interaction(inbound) if _is_form(inbound) else _event(channels, inbound)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise cx.Forged(f"the body is not of a form that Slack sends ({type(error).__name__})") from None


def _is_form(inbound: cx.Inbound) -> bool:
    kind = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == _FORM if kind else inbound.body.startswith(b"payload=")


def _event(channels: frozenset[str], inbound: cx.Inbound) -> cx.Announced:
    told = msgspec.json.decode(inbound.body, type=Wrapper)
    if told.type == "app_rate_limited":
        # Deliveries were dropped: everything that events tell of must be looked at again.
        nudges = [cx.Nudge(stream) for stream in ("messages", "users", "channels")]
        return cx.Announced(cx.event_of(inbound, told.type, str(told.minute_rate_limited)), nudges)
    if told.type != "event_callback" or not told.event_id or not isinstance(told.event.get("type"), str):
        raise ValueError("no event")
    if _is_own(told):
        return cx.Announced(told.event_id)
    return cx.Announced(told.event_id, list(dict.fromkeys(_nudges(channels, told.event))))


def _nudges(channels: frozenset[str], event: dict[str, cx.Json]) -> Iterator[cx.Nudge]:
    kind = event["type"]
    if kind in _PEOPLE:
        user = _id(event.get("user"))
        yield cx.Nudge("users", user if user and mapping.USER_ID.fullmatch(user) else None)
    elif kind in _CHANNELS:
        channel = _id(event.get("new_channel_id") or event.get("channel"))
        yield cx.Nudge("channels", channel if channel and mapping.CHANNEL_ID.fullmatch(channel) else None)
    elif kind == "channel_history_changed" and _id(event.get("channel")) in channels:
        yield cx.Nudge("messages")
    elif kind == "message" and (where := _id(event.get("channel"))) in channels:
        for ts in _stamps(event):
            yield cx.Nudge("messages", mapping.key(str(where), ts))


def _stamps(event: dict[str, cx.Json]) -> Iterator[str]:
    """Name the message that an event is about: for an edit it is inside; what a deletion leaves shows in its place."""
    inner = event.get("message")
    held = [event.get("deleted_ts"), inner.get("ts") if isinstance(inner, dict) else None]
    if event.get("subtype") not in _ABOUT_ANOTHER:
        held = [event.get("ts")]
    for ts in held:
        if isinstance(ts, str) and mapping.moment(ts) is not None:
            yield ts


def _is_own(told: Wrapper) -> bool:
    """Tell whether the app itself did it. What an unnamed bot wrote counts as ours too: a pull brings it, if it is not."""
    event = told.event
    inner = event.get("message") if event.get("subtype") in _ABOUT_ANOTHER[:2] else event
    if not isinstance(inner, dict):
        return False
    edited = inner.get("edited")
    if inner is not event and isinstance(edited, dict) and edited.get("user") not in _robots(told):
        return False
    profile = inner.get("bot_profile")
    app = inner.get("app_id") or (profile.get("app_id") if isinstance(profile, dict) else None)
    if app and told.api_app_id:
        return bool(app == told.api_app_id)
    return inner.get("user") in _robots(told) or (inner.get("subtype") == "bot_message" and not app)


def _robots(told: Wrapper) -> list[str]:
    """Name the app's own bot users; a list, since what is held against it may be anything."""
    held = [one for one in told.authorizations or [] if isinstance(one, dict) and one.get("is_bot") is True]
    return [name for one in held if isinstance(name := one.get("user_id"), str) and name]


def _interaction(inbound: cx.Inbound) -> cx.Announced:
    fields = parse_qs(inbound.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    payloads = fields.get("payload", [])
    if len(payloads) != 1:
        raise ValueError("no payload")
    told = msgspec.json.decode(payloads[0], type=Interaction)
    if told.type != "block_actions" or told.user is None:
        return cx.Announced(cx.event_of(inbound))
    if not mapping.USER_ID.fullmatch(told.user.id):
        raise ValueError("no user")
    form = blocks.filled(told.state.get("values") if isinstance(told.state, dict) else None)
    pressed: list[cx.Pressed] = []
    parts: list[str] = []
    for element in told.actions:
        button = blocks.pressed(element.value) if element.action_id.startswith(blocks.BUTTON) else None
        if element.type == "button" and button is not None:
            who = f"users/{told.user.id}"
            name = (told.user.name or told.user.username or "")[:_NAME]
            pressed.append(cx.Pressed(button.approval, button.choice, who, name, form, _message(told.container)))
            parts += [element.action_ts, button.approval, told.user.id]
    return cx.Announced(cx.event_of(inbound, *parts), pressed=pressed)


def _message(container: Container | None) -> str | None:
    if container is None or not container.channel_id or not container.message_ts:
        return None
    if mapping.moment(container.message_ts) is None or not mapping.CHANNEL_ID.fullmatch(container.channel_id):
        return None
    return f"messages/{mapping.key(container.channel_id, container.message_ts)}"


def _id(held: cx.Json) -> str | None:
    """Some events name a thing by its id, others hold all of it."""
    if isinstance(held, dict):
        held = held.get("id")
    return held if isinstance(held, str) and held else None
