"""Toxics: what they are called, what they can be told, and what each does to the bytes of one direction. Opens no connection.

Names, attributes and units are Toxiproxy's (github.com/Shopify/toxiproxy, "Toxics"): milliseconds, but microseconds for the
slicer's delay, and kilobytes a second for a rate. `cut_when` is an addition of ours.

    latency     {latency, jitter}: bytes come later
    bandwidth   {rate}: at most so many
    slow_close  {delay}: the end of a stream is told late
    timeout     {timeout}: nothing comes through, and the connection is closed after that time; 0 leaves it open
    reset_peer  {timeout}: that long after the first bytes, which are lost, both sides see a reset
    slicer      {average_size, size_variation, delay}: bytes come in small pieces
    limit_data  {bytes}: so many come through, then the connection is closed
    cut_when    {match, after, times, answered}: the connection is reset when those bytes come by, for the first `times` of
                them behind the first `after`. `answered` lets the other side have them and loses its answer; without it
                they are lost as well
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import msgspec

Stream = Literal["upstream", "downstream"]

ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 0, "size_variation": 0, "delay": 0},
    "limit_data": {"bytes": 0},
    "cut_when": {"match": "", "after": 0, "times": 1, "answered": True},
}

# A tenth of a second is how finely a rate is kept.
_TENTH = 0.1


class UnknownToxicError(ValueError):
    """A toxic, or one of its attributes, that there is not; the message says which there are."""


class Toxic(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One toxic of a proxy. `toxicity` is the chance with which a connection gets it at all."""

    type: str
    name: str = ""
    stream: Stream = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)


class Closing(Exception):
    """The connection ends here: in order, or with a reset."""

    def __init__(self, *, resets: bool) -> None:
        super().__init__("reset" if resets else "close")
        self.resets = resets


@dataclass(slots=True)
class Seen:
    """What a toxic remembers of one direction of one connection."""

    passed: int = 0
    tail: bytes = b""


@dataclass(slots=True)
class Passage:
    """One direction of one connection, as toxics see it. `cut_on_answer` loses what comes the other way next."""

    random: Random
    cut_on_answer: Callable[[], None]
    _seen: dict[int, Seen] = field(default_factory=dict)
    _struck: dict[int, tuple[Toxic, bool]] = field(default_factory=dict)

    def gets(self, toxic: Toxic) -> bool:
        """Whether this connection has the toxic; drawn once."""
        # Held together with it, so that no other one can come to be known by the same number.
        return self._struck.setdefault(id(toxic), (toxic, self.random.random() < toxic.toxicity))[1]

    def seen(self, toxic: Toxic) -> Seen:
        """What one that this connection has remembers."""
        return self._seen.setdefault(id(toxic), Seen())


def checked(fields: Mapping[str, Any]) -> Toxic:
    """Make a toxic of what was asked for, with what was left out filled in.

    Raises:
        UnknownToxicError: a type or attribute does not exist, or a value is none.
    """
    known = ATTRIBUTES.get(str(fields.get("type")))
    if known is None:
        raise UnknownToxicError(f"there is no toxic {fields.get('type')!r}; there are {', '.join(ATTRIBUTES)}")
    try:
        toxic = msgspec.convert({name: value for name, value in fields.items() if value not in (None, "")}, Toxic)
    except msgspec.ValidationError as error:
        raise UnknownToxicError(f"toxic {fields.get('type')}: {error}") from error
    _fill(toxic, known)
    toxic.name = toxic.name or f"{toxic.type}_{toxic.stream}"
    return toxic


def changed(toxic: Toxic, fields: Mapping[str, Any]) -> None:
    """Give a toxic other attributes or another toxicity, for connections that stand already too.

    Raises:
        UnknownToxicError: an attribute does not exist, or a value is none.
    """
    told = fields.get("attributes")
    given = Toxic(type=toxic.type, attributes={**toxic.attributes, **(told if isinstance(told, dict) else {})})
    _fill(given, ATTRIBUTES[toxic.type])
    toxic.attributes = given.attributes
    if isinstance(fields.get("toxicity"), int | float):
        toxic.toxicity = float(fields["toxicity"])


def _fill(toxic: Toxic, known: Mapping[str, Any]) -> None:
    for name, value in toxic.attributes.items():
        if name not in known:
            raise UnknownToxicError(f"toxic {toxic.type} has no attribute {name!r}; it has {', '.join(known)}")
        wanted = (
            (int, float) if isinstance(known[name], int) and not isinstance(known[name], bool) else type(known[name])
        )
        if not isinstance(value, wanted):
            raise UnknownToxicError(f"toxic {toxic.type}: {name} cannot be {value!r}")
    if toxic.type == "cut_when" and not toxic.attributes.get("match"):
        raise UnknownToxicError("toxic cut_when needs the bytes to wait for in `match`")
    toxic.attributes = {**known, **toxic.attributes}


async def through(toxics: Sequence[Toxic], passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    """Give what comes out behind all toxics, one after another, when it comes out.

    Raises:
        Closing: the connection is to end here.
    """
    if not toxics:
        yield chunk
        return
    async for piece in _EFFECTS[toxics[0].type](toxics[0], passage, arrived, chunk):
        async for out in through(toxics[1:], passage, arrived, piece):
            yield out


async def before_end(toxics: Sequence[Toxic]) -> None:
    """Wait until the end of a stream may be told."""
    for toxic in toxics:
        if toxic.type == "slow_close":
            await asyncio.sleep(toxic.attributes["delay"] / 1000)


def deadline(toxic: Toxic) -> float | None:
    """After how many seconds a toxic closes whatever connection has it; None if it never does."""
    limit = toxic.attributes.get("timeout", 0) if toxic.type == "timeout" else 0
    return limit / 1000 if limit else None


async def _latency(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    jitter = toxic.attributes["jitter"]
    delay = max(0.0, toxic.attributes["latency"] + passage.random.uniform(-jitter, jitter)) / 1000
    # From when they came: bytes that follow close behind are not delayed twice.
    await asyncio.sleep(max(0.0, arrived + delay - asyncio.get_running_loop().time()))
    yield chunk


async def _bandwidth(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    rate = toxic.attributes["rate"] * 1000
    size = max(1, round(rate * _TENTH)) if rate > 0 else len(chunk)
    for start in range(0, len(chunk), size):
        piece = chunk[start : start + size]
        if rate > 0:
            await asyncio.sleep(len(piece) / rate)
        yield piece


async def _unchanged(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def _nothing(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    if not chunk:
        yield chunk


async def _reset_peer(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    await asyncio.sleep(toxic.attributes["timeout"] / 1000)
    if chunk:
        raise Closing(resets=True)
    yield chunk


async def _slicer(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    average, variation = int(toxic.attributes["average_size"]), int(toxic.attributes["size_variation"])
    start = 0
    while start < len(chunk):
        size = max(1, average + passage.random.randint(-variation, variation)) if average else len(chunk)
        if start:
            await asyncio.sleep(toxic.attributes["delay"] / 1_000_000)
        yield chunk[start : start + size]
        start += size


async def _limit_data(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    seen = passage.seen(toxic)
    left = int(toxic.attributes["bytes"]) - seen.passed
    seen.passed += len(chunk)
    if left > 0:
        yield chunk[:left]
    if len(chunk) >= left:
        raise Closing(resets=False)


async def _cut_when(toxic: Toxic, passage: Passage, arrived: float, chunk: bytes) -> AsyncIterator[bytes]:
    attributes = toxic.attributes
    match = str(attributes["match"]).encode()
    seen = passage.seen(toxic)
    # What it waits for may come in two pieces.
    looked = seen.tail + chunk
    found = looked.count(match)
    seen.tail = looked[-(len(match) - 1) :] if len(match) > 1 else b""
    for _ in range(found):
        if attributes["after"] > 0:
            attributes["after"] -= 1
        elif attributes["times"] > 0:
            attributes["times"] -= 1
            if not attributes["answered"]:
                raise Closing(resets=True)
            passage.cut_on_answer()
    yield chunk


_Effect = Callable[[Toxic, Passage, float, bytes], AsyncIterator[bytes]]

_EFFECTS: Mapping[str, _Effect] = {
    "latency": _latency,
    "bandwidth": _bandwidth,
    "slow_close": _unchanged,
    "timeout": _nothing,
    "reset_peer": _reset_peer,
    "slicer": _slicer,
    "limit_data": _limit_data,
    "cut_when": _cut_when,
}
