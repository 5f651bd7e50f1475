"""Where each connection's webhooks go, and what a delivery comes to: greeted, refused, or ready to be stored. No I/O.

The order is fixed: the handshake, the signature over the raw bytes, then the form. Whatever a connector's code raises by mistake
refuses the delivery; it never becomes an error of the server's, which a vendor would take for a reason to come again.
"""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from pydantic import SecretStr

from cxbridge.core.connector import Announced, Connector, Forged, Inbound, Nudge, Webhook, event_of, same
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.inbox import Asked
from cxbridge.core.store.inbox import Arrival

PREFIX = "/hooks/"
_LONGEST_ID = 200
_LONGEST_KEY = 500
# A handshake echoes a word of the vendor's.
_LONGEST_GREETING = 4096
# A delivery that names more entities of a stream than this asks for the stream.
_MOST_KEYS = 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one connection's deliveries come in; `secrets` are the one in use, and the one before while both are."""

    connection: str
    webhook: Webhook
    path: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    streams: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether a delivery can be accepted at all: one that is to be signed needs a secret to compare with."""
        return bool(self.secrets) or not self.webhook.signed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered: `arrival` where there is something to store first. `told` is for our log, never for the sender."""

    status: int
    body: bytes = b""
    arrival: Arrival | None = None
    told: str = ""
    old_secret: bool = False


class Endpoints:
    """The endpoints of all connections that take webhooks."""

    def __init__(self, connections: Mapping[str, Connection], key: bytes) -> None:
        self._key = key
        self.all: dict[str, Endpoint] = {
            name: Endpoint(
                name,
                connection.webhook,
                path_of(key, name),
                secrets_of(connection.connector, connection.webhook),
                frozenset(connection.streams),
            )
            for name, connection in connections.items()
            if connection.webhook is not None
        }

    def find(self, path: str) -> Endpoint | None:
        """Give the endpoint of a path; the time it takes tells nothing of a secret, nor of which connections there are."""
        name = path.removeprefix(PREFIX).partition("/")[0]
        right = same(path, path_of(self._key, name))
        return self.all.get(name) if right else None


def path_of(key: bytes, connection: str) -> str:
    """Give the path of a connection's endpoint: nobody can guess it who has not the instance key."""
    secret = hmac.digest(key, f"hook:{connection}".encode(errors="replace"), "sha256").hex()[:40]
    return f"{PREFIX}{connection}/{secret}"


def secrets_of(connector: Connector, webhook: Webhook) -> tuple[str, ...]:
    """Read the secrets that a vendor may have signed with, the one in use first; an empty one is none."""
    found = (getattr(connector, name, None) for name in (webhook.secret, f"{webhook.secret}_old"))
    return tuple(one.get_secret_value() for one in found if isinstance(one, SecretStr) and one.get_secret_value())


def judge(endpoint: Endpoint, inbound: Inbound) -> Verdict:
    """Say what a delivery comes to; raises nothing, whatever was sent and whatever a connector makes of it."""
    try:
        if endpoint.webhook.greet is not None:
            greeting = endpoint.webhook.greet(inbound)
            if greeting is not None:
                return Verdict(200, bytes(greeting[:_LONGEST_GREETING]), told="greeted")
        if inbound.method != "POST":
            return Verdict(405, told=f"{inbound.method} is not how webhooks come")
        old = _verified(endpoint, inbound)
    except Forged as error:
        return Verdict(401, told=str(error))
    except Exception as error:  # noqa: BLE001  # a connector's mistake on what a stranger sent
        return Verdict(400, told=f"the signature cannot be judged ({type(error).__name__})")
    try:
        return Verdict(200, arrival=_arrival(endpoint, inbound, endpoint.webhook.read(inbound)), old_secret=old)
    except Forged as error:
        return Verdict(400, told=str(error))
    except Exception as error:  # noqa: BLE001  # the same
        return Verdict(400, told=f"the body cannot be read ({type(error).__name__})")


def _verified(endpoint: Endpoint, inbound: Inbound) -> bool:
    """Compare with one secret after the other; tells whether it was the old one.

    Raises:
        Forged: none of them made the signature.
    """
    if not endpoint.webhook.signed:
        return False
    if not endpoint.secrets:
        raise Forged(f"no secret to compare with: set {endpoint.webhook.secret} in this connection")
    *others, last = endpoint.secrets
    for place, secret in enumerate(others):
        try:
            endpoint.webhook.verify(inbound, [secret])
        except Forged:
            continue
        return place > 0
    endpoint.webhook.verify(inbound, [last])
    return len(endpoint.secrets) > 1


def _arrival(endpoint: Endpoint, inbound: Inbound, announced: Announced) -> Arrival:
    # What a connector gives is looked at as closely as what a stranger sends: it is made of that.
    sound = msgspec.convert(msgspec.to_builtins(announced), Announced)
    nudges = _nudges(sound.nudges, endpoint.streams)
    return Arrival(
        connection=endpoint.connection,
        event_id=_event_id(inbound, sound.event_id),
        received_at=inbound.received_at,
        announced=msgspec.Raw(msgspec.json.encode(Asked(nudges, sound.pressed))),
        nudges=nudges,
        body=inbound.body,
    )


def _event_id(inbound: Inbound, told: str) -> str:
    """Name the event in a form that any database keeps."""
    if told and len(told) <= _LONGEST_ID and told.isprintable():
        return told
    return event_of(inbound, told) if told else event_of(inbound)


def _nudges(nudges: Sequence[Nudge], streams: Collection[str]) -> list[Nudge]:
    """Drop what is said twice and what this connection does not read.

    Raises:
        Forged: a key is nothing that an entity could be called.
    """
    keys: dict[str, dict[str | None, None]] = {}
    for nudge in nudges:
        if nudge.key is not None and not (0 < len(nudge.key) <= _LONGEST_KEY and nudge.key.isprintable()):
            raise Forged(f"a key of {nudge.stream} is nothing that an entity could be called")
        if nudge.stream in streams:
            keys.setdefault(nudge.stream, {})[nudge.key] = None
    return [
        Nudge(stream, key)
        for stream, found in keys.items()
        for key in ((None,) if None in found or len(found) > _MOST_KEYS else found)
    ]
