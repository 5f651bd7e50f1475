"""What a vendor sends us, and how a connector judges and reads it; opens no port and stores nothing.

A webhook is always only a nudge: it names what should be looked at, and the entity is read from the vendor's API. The one thing it
may carry itself is what a person pressed, because no API shows that again.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class Forged(Exception):
    """A delivery that is not the vendor's, too old, or not what it should be. The text is for our log, never for the sender."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One delivery as it arrived: header names in small letters, the body's very bytes, when it came (UTC)."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Nudge:
    """What to look at: a stream, and the key of the one entity in it where the delivery names it."""

    stream: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a person answered to a question that we asked: which approval, what they chose, what they filled in, and who they are.

    `who` is a local ref, `name` what people call them. `message` is the local ref of the message with the buttons.
    """

    approval: str
    choice: str
    who: str
    name: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """What a delivery says. `event_id` is the same for every repetition of it."""

    event_id: str
    nudges: Sequence[Nudge] = ()
    pressed: Sequence[Pressed] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """How one vendor's deliveries are judged and read; all of it pure.

    `verify(inbound, secrets)` raises `Forged` unless one of the secrets (the new one, the old one while both are in use) made the
    signature over the raw body, inside the vendor's time window. A vendor that signs nothing has `signed` False: then the secret
    path is all there is, and nothing that the body says is believed but the nudge. `read(inbound)` raises `Forged` for a body that
    does not have the vendor's form. `greet(inbound)` answers a handshake: the body to send back, or None when it is no handshake.
    `max_body` counts bytes. `secret` names the connector's setting that holds the secret. `setup` tells an administrator in a
    sentence or two what to set at the vendor.
    """

    verify: Callable[[Inbound, Sequence[str]], None]
    read: Callable[[Inbound], Announced]
    signed: bool = True
    secret: str = "webhook_secret"  # noqa: S105 - the name of a setting
    greet: Callable[[Inbound], bytes | None] | None = None
    max_body: int = 1024 * 1024
    setup: str = ""


def same(given: str | bytes, expected: str | bytes) -> bool:
    """Compare two digests in constant time, whatever the sender put in the place of one."""
    left = given.encode(errors="replace") if isinstance(given, str) else given
    right = expected.encode(errors="replace") if isinstance(expected, str) else expected
    return hmac.compare_digest(left, right)


def event_of(inbound: Inbound, *parts: str) -> str:
    """Name a delivery that has no id of its own: by the given parts, else by its body."""
    told = "\x1f".join(parts).encode(errors="replace") if parts else inbound.body
    return hashlib.blake2b(told, digest_size=16).hexdigest()
