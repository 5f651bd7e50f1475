"""What the daemon remembers, as values: refs, records, changes, links, runs, deliveries, receipts; no storage, no vendor.

Times are UTC datetimes. Ids of runs and deliveries are short sortable texts made by `new_id`.
"""

import hashlib
import os
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from cxbridge.core.canonical import KIND_OF, KINDS, AnyEntity, Entity
from cxbridge.core.imprints import code_of, imprint_of

RunState = Literal["running", "waiting", "held", "done", "failed", "stopped", "cancelled"]
DeliveryState = Literal["planned", "sent", "confirmed", "unknown", "retry", "dead", "held", "cancelled", "shadow"]
ChangeOp = Literal["created", "updated", "deleted"]

# States in which a run still has something to do, so that `mode = "queue"` must wait for it.
ACTIVE_RUNS: tuple[RunState, ...] = ("running", "waiting", "held")
# States in which a delivery may still reach the vendor.
OPEN_DELIVERIES: tuple[DeliveryState, ...] = ("planned", "sent", "unknown", "retry", "held")
# What is not over: dead letters besides, which a person decides.
UNSETTLED_DELIVERIES: tuple[DeliveryState, ...] = (*OPEN_DELIVERIES, "dead")


class Ref(msgspec.Struct, frozen=True, order=True):
    """Connection, stream and key: where an entity is. Its text, `connection/stream/key`, is the entity's `id` everywhere.

    A ref is derived, not allotted: the same entity has the same id after a restore, on another worker and before it is stored.
    """

    connection: str
    stream: str
    key: str

    def __str__(self) -> str:
        return f"{self.connection}/{self.stream}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """Read `connection/stream/key`.

        Raises:
            ValueError: when the text has not three parts.
        """
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is no ref: a ref reads connection/stream/key")
        return cls(*parts)

    @classmethod
    def local(cls, connection: str, text: str) -> "Ref":
        """Read a local ref (`stream/key`) as one of that connection."""
        stream, _, key = text.partition("/")
        return cls(connection, stream, key)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A stored canonical entity: `body` is its JSON, `digest` 16 bytes over its content, `ordinal` orders its versions.

    `source_key` is the name people say (`ENG-12`), where the platform has one.
    """

    ref: Ref
    kind: str
    body: bytes
    digest: bytes
    ordinal: int
    seen_at: datetime
    deleted: bool = False
    source_key: str | None = None

    def entity(self) -> AnyEntity:
        """Decode the body."""
        return decode_entity(self.kind, self.body)


class Incoming(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entity as pulled, ready to be stored: as `Record`, with the vendor's own bytes where they came along.

    Of a page of rows those are a look into the vendor's answer, which stays for as long as that, and no copy.
    `imprint` is that of the bytes it was mapped from, see `imprints`. One that is `as_stored` was not mapped, as the store holds it
    just as it came: `digest`, `ordinal` and `deleted` are those of the store, and there is no body.
    """

    stream: str
    key: str
    kind: str
    body: bytes
    digest: bytes
    ordinal: int
    deleted: bool = False
    raw: bytes | memoryview | None = None
    source_key: str | None = None
    imprint: bytes | None = None
    as_stored: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the change log. `before` is the body that the change replaced; what came after is the next change's `before`,
    or the record itself, so that nothing is stored twice."""

    seq: int
    ref: Ref
    kind: str
    op: ChangeOp
    at: datetime
    before: bytes | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The committed cursor of a stream. `caught_up` is when the vendor last had nothing more."""

    connection: str
    stream: str
    cursor: Any
    at: datetime
    pages: int = 0
    caught_up: datetime | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """This here is that there."""

    left: Ref
    right: Ref
    relation: str
    made_by: str
    made_at: datetime
    state: Literal["active", "broken", "removed"] = "active"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a recipe for one key; data, never code.

    `part` is `steps`, `sync:FIELD` or `follow:ID`. `once` makes it unique within recipe and part. `step` is the index of the
    step that is being done; `results` maps step ids to what they gave. `context` holds trigger, event, before and hops.
    """

    id: str
    recipe: str
    version: str
    part: str
    key: str
    once: str
    subject: Ref
    state: RunState = "running"
    step: int = 0
    results: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}
    reason: str = ""
    hops: int = 0
    wake_at: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One planned action in the outbox. `order_key` serialises: two deliveries of one order key never overlap or overtake.

    `attempts` counts times it was sent; `looked` counts look-ups that found nothing since it became unknown.
    """

    id: str
    run: str
    recipe: str
    step: str
    index: int = 0
    connection: str
    action: str
    target: Ref | None = None
    inputs: Mapping[str, Any] = {}
    marker: str
    order_key: str
    state: DeliveryState = "planned"
    attempts: int = 0
    looked: int = 0
    not_before: datetime
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    error: str = ""
    error_code: str = ""
    hops: int = 0
    created_at: datetime


class StoredReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as kept: which entity a delivery wrote (`role` wrote) or brought into being (`made`), and with which values.

    `seen_seq` is the change that showed it again: a receipt explains one change, then a person may set the same value anew.
    """

    delivery: str
    run: str
    recipe: str
    ref: Ref
    role: Literal["wrote", "made"]
    wrote: Mapping[str, Any] = {}
    source_key: str | None = None
    url: str | None = None
    version: str | None = None
    told: str = ""
    changed: bool = True
    hops: int = 0
    at: datetime
    seen_seq: int | None = None


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


# By prefix: the millisecond and the number of the last id.
_last: dict[str, tuple[int, int]] = {}
_last_lock = threading.Lock()


def new_id(prefix: str, moment: datetime) -> str:
    """Make an id that sorts by time, and within a millisecond in the order of being made: milliseconds, then random bits."""
    millisecond = int(moment.timestamp() * 1000)
    with _last_lock:
        then, last = _last.get(prefix, (-1, 0))
        # A batch has one time, and of the runs in it the first must come first: whoever queues stands behind it.
        number = (millisecond << 40) | (int.from_bytes(os.urandom(5)) >> 1)
        if then == millisecond:
            number = last + 1 + int.from_bytes(os.urandom(3))
        _last[prefix] = (millisecond, number)
    digits = []
    for _ in range(17):
        number, rest = divmod(number, 32)
        digits.append(_ALPHABET[rest])
    return f"{prefix}_{''.join(reversed(digits))}"


# All that makes an entity's body and digest what they are, beside the entity.
MODEL = code_of(
    *(f"cxbridge.core.canonical.{name}" for name in ("envelope", "people", "service", "success", "voice")), __name__
)

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[str, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(struct) for kind, struct in KINDS.items()}
_BLANK: dict[type[Entity], dict[str, None]] = {struct: dict.fromkeys(struct.volatile) for struct in KIND_OF}


def encode_entity(entity: AnyEntity) -> bytes:
    """Write an entity as JSON with sorted custom fields."""
    return _encoder.encode(entity)


def decode_entity(kind: str, body: bytes) -> AnyEntity:
    """Read what `encode_entity` wrote."""
    entity: AnyEntity = _decoders[kind].decode(body)
    return entity


def digest_of(entity: AnyEntity) -> bytes:
    """Hash the content: all fields but the volatile ones. Equal digests: nothing changed that anybody reads."""
    return _digest(entity, _encoder.encode(entity))


def _digest(entity: AnyEntity, body: bytes) -> bytes:
    if entity.changed_by is not None:
        body = _encoder.encode(msgspec.structs.replace(entity, **_BLANK[type(entity)]))
        return hashlib.blake2b(body, digest_size=16).digest()
    # Cut out of the body, which is cheaper than encoding again. The two fields follow one another, and before them stand only
    # texts, in which quotes are escaped, so that the first place that looks like a field is the field.
    updated, version = entity.updated_at, entity.version
    cut = b""
    if updated is not None:
        cut = b',"updated_at":%b' % _encoder.encode(updated)
    if version is not None:
        cut += b',"version":%b' % _encoder.encode(version)
    return hashlib.blake2b(body.replace(cut, b"", 1) if cut else body, digest_size=16).digest()


def incoming(
    stream: str,
    entity: AnyEntity,
    raw: bytes | memoryview | None = None,
    *,
    row: bytes | msgspec.Raw | None = None,
    mapping: bytes = b"",
    also: bytes = b"",
) -> Incoming:
    """Make an entity ready to be stored; pure and the hot path of a pull.

    With the `row` that it was mapped from it gets an imprint, for which `mapping` and `also` are needed as well.
    """
    updated = entity.updated_at
    body = _encoder.encode(entity)
    digest = _digest(entity, body)
    ordinal = int(updated.timestamp() * 1_000_000) if updated else 0
    deleted = entity.deleted_at is not None
    return Incoming(
        stream=stream,
        key=entity.source_id,
        kind=KIND_OF[type(entity)],
        body=body,
        digest=digest,
        ordinal=ordinal,
        deleted=deleted,
        raw=raw,
        source_key=entity.source_key,
        imprint=None if row is None else imprint_of(mapping, row, digest, ordinal, deleted, also),
    )


_ATOMS = frozenset({str, int, float, bool, type(None), datetime})


def plain(value: Any) -> Any:
    """Turn structs into dicts with every field present, recursively; times stay datetimes."""
    if type(value) in _ATOMS:
        return value
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: item if type(item) in _ATOMS else plain(item) for key, item in value.items()}
    return value


def view(ref: Ref, entity: AnyEntity) -> dict[str, Any]:
    """Show an entity as recipes see it: a plain dict with `id`, `source` and full refs in place of local ones."""
    shown: dict[str, Any] = plain(entity)
    for name in entity.refs:
        held = shown[name]
        if isinstance(held, list):
            shown[name] = [f"{ref.connection}/{item}" for item in held]
        elif held is not None:
            shown[name] = f"{ref.connection}/{held}"
    shown["id"] = str(ref)
    shown["source"] = ref.connection
    return shown


def body_view(ref: Ref, kind: str, body: bytes) -> dict[str, Any]:
    """Show a stored body."""
    return view(ref, decode_entity(kind, body))
