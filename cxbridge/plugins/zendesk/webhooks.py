"""Zendesk's webhooks: whether a delivery is Zendesk's, and what it asks to look at. Pure; believes nothing but ids.

developer.zendesk.com/documentation/webhooks/verifying for the signature, …/anatomy-of-a-webhook-request for the headers. Two kinds
come: events in an envelope of Zendesk's, and whatever JSON the template of a trigger makes.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx

SIGNATURE: Final = "x-zendesk-webhook-signature"
TIMESTAMP: Final = "x-zendesk-webhook-signature-timestamp"
# Zendesk sets no window; a delivery takes seconds, and a late one is found by the next pull anyway.
WINDOW: Final = timedelta(minutes=5)

SETUP: Final = (
    "Admin Center › Apps and integrations › Webhooks: POST, JSON, no authentication; subscribe to ticket, user and organization "
    'events, or connect it to a trigger whose body is {"ticket_id": "{{ticket.id}}"} and whose conditions leave out the '
    "integration's own user. Then reveal the signing secret and set it as webhook_secret."
)

_EVENT: Final = "zen:event-type:"
# Which stream an event's or a template's noun belongs to.
_STREAMS: Final = {"ticket": "tickets", "user": "users", "organization": "organizations", "article": "articles"}


class _Detail(msgspec.Struct):
    id: int | str | None = None


class _Event(msgspec.Struct):
    type: str
    id: str
    detail: _Detail


class _Template(msgspec.Struct):
    """What a trigger's template may name; none of it is required, but one id is."""

    type: str | None = None
    ticket_id: int | str | None = None
    user_id: int | str | None = None
    organization_id: int | str | None = None


_event = msgspec.json.Decoder(_Event).decode
_template = msgspec.json.Decoder(_Template).decode


def webhook() -> cx.Webhook:
    """Give the webhooks of a connection; Zendesk signs all of them."""
    return cx.Webhook(verify, read, setup=SETUP)


def verify(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Compare the signature over the timestamp, as it was sent, and the raw body.

    Raises:
        Forged: no secret made it, or it was made too long ago or ahead.
    """
    given, stamp = inbound.headers.get(SIGNATURE), inbound.headers.get(TIMESTAMP)
    if not given or not stamp:
        raise cx.Forged("the signature or its timestamp is missing")
    if abs(inbound.received_at - _moment(stamp)) > WINDOW:
        raise cx.Forged("the signature was made too long ago, or ahead of time")
    signed = stamp.encode("latin-1", "replace") + inbound.body
    for secret in secrets:
        # The secret is used as it reads, although it looks like base64.
        made = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        if secret and cx.same(given, made):
            return
    raise cx.Forged("the signature is not one of ours")


def read(inbound: cx.Inbound) -> cx.Announced:
    """Read which records a delivery is about.

    An event is known by its id. A trigger's delivery is known by what was signed, since the headers that would name it are not:
    sent again under another name it is still the same.

    Raises:
        Forged: the body is neither an event nor names an id.
    """
    try:
        named = _template(inbound.body)
        if named.type is not None and named.type.startswith(_EVENT):
            return _announced(_event(inbound.body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise cx.Forged(f"the body is not of the known form ({type(error).__name__})") from None
    ids = {noun: getattr(named, f"{noun}_id", None) for noun in _STREAMS}
    nudges = [cx.Nudge(_STREAMS[noun], _key(id_)) for noun, id_ in ids.items() if id_ is not None]
    if not nudges:
        raise cx.Forged("the body names no ticket_id, user_id or organization_id: mend the trigger's template")
    stamp = inbound.headers.get(TIMESTAMP, "")
    return cx.Announced(cx.event_of(inbound, stamp, hashlib.sha256(inbound.body).hexdigest()), nudges)


def _announced(event: _Event) -> cx.Announced:
    noun = event.type.removeprefix(_EVENT).partition(".")[0]
    stream = _STREAMS.get(noun)
    if stream is None:
        # Signed and of the known form, but about something that is not read here.
        return cx.Announced(event.id)
    if stream == "articles":
        # Stored by article and language, of which the event names one.
        return cx.Announced(event.id, [cx.Nudge(stream)])
    if event.detail.id is None:
        raise cx.Forged(f"the {noun} event names no {noun}")
    return cx.Announced(event.id, [cx.Nudge(stream, _key(event.detail.id))])


def _key(id_: int | str) -> str:
    key = str(id_)
    if not (key.isascii() and key.isdigit()):
        raise cx.Forged("an id is no number")
    return key


def _moment(stamp: str) -> datetime:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise cx.Forged("the timestamp is no time") from None
    if moment.tzinfo is None:
        raise cx.Forged("the timestamp names no offset")
    return moment.astimezone(UTC)
