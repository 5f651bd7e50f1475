"""The bench on which a connector is tried: clients over a line that can be broken, and a clock that costs no time.

It must not judge; that is for the rules.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from threading import Event
from typing import Any

import msgspec
from pydantic import SecretStr

from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import (
    Action,
    AnyEntity,
    Call,
    Client,
    Connector,
    Inputs,
    Page,
    Receipt,
    Stream,
)
from cxbridge.core.http import DirectTransport, MemoryTokens, open_client
from cxbridge.core.http.library import httpx
from cxbridge.core.ledger import digest_of
from cxbridge.testing.line import Line

# An ordinary Wednesday.
NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
CONNECTION = "lab"
# A lab's vendor is small: a stream that gives more pages than this has no end.
MOST_PAGES = 300

Vendor = httpx.BaseTransport | Callable[[httpx.Request], httpx.Response]
# Stream and key.
Place = tuple[str, str]

_CREDENTIAL = re.compile(r"token|secret|passw|api_?key|credential|private_?key", re.IGNORECASE)


class LabClock(ManualClock):
    """Time that moves only when somebody waits; `moved` hears by how many seconds, so that a simulator can follow."""

    def __init__(self, start: datetime = NOW, moved: Callable[[float], object] | None = None) -> None:
        super().__init__(start)
        self._moved = moved

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        if self._moved is not None:
            self._moved(seconds)

    def wait(self, seconds: float, wake: Event | None = None) -> bool:
        woken = super().wait(seconds, wake)
        if not woken and seconds > 0 and self._moved is not None:
            self._moved(seconds)
        return woken


@dataclass(frozen=True, slots=True)
class Trial:
    """A write that the lab's vendor takes and that changes something there; `target` is the key of what it acts on.

    `label` tells it from other trials of the same action.
    """

    action: str
    inputs: Inputs
    target: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """An action with one of its trials."""

    action: Action
    trial: Trial

    @property
    def name(self) -> str:
        """The action's name, and the trial's label where it has one."""
        return f"{self.action.name} {self.trial.label}".strip()


class Endless(Exception):
    """A stream gave more pages than a lab's vendor can have."""


class Unread(Exception):
    """A stream could not be read to its end although nothing was broken."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The pages that a stream gave from a cursor on, and the error that ended it, if one did."""

    stream: str
    pages: tuple[Page, ...]
    begun: Any = None
    error: Exception | None = None

    @property
    def cursor(self) -> Any:
        """The cursor behind the last page."""
        return self.pages[-1].cursor if self.pages else self.begun

    @property
    def own(self) -> list[AnyEntity]:
        """The stream's own entities, as often as they came."""
        return [entity for page in self.pages for entity in page.entities]

    @property
    def placed(self) -> Iterator[tuple[str, AnyEntity]]:
        """All entities with the stream they belong to, those that ride along included."""
        for page in self.pages:
            yield from ((self.stream, entity) for entity in page.entities)
            for stream, entities in page.beside.items():
                yield from ((stream, entity) for entity in entities)

    @property
    def content(self) -> dict[Place, bytes]:
        """What was told of every entity at last, as digests."""
        return {(stream, entity.source_id): digest_of(entity) for stream, entity in self.placed}

    @property
    def refused(self) -> list[str]:
        """Why records could not be read."""
        return [reason for page in self.pages for reason in page.refused]


@dataclass(kw_only=True)
class Lab:
    """Everything the rules need to try one connector.

    `vendor` is how requests reach the vendor: a transport, a function from `httpx.Request` to `httpx.Response`, or None
    when the settings name a simulator that listens on this machine. `settings` hold a credential that works; `wrong` the
    settings that replace it by one that does not (left out, every secret is replaced).

    `effects()` counts what really changed at the vendor through its API so far: without it, requests to write that the
    vendor accepted are counted, which is enough unless it drops repetitions. `lag` is how many seconds the vendor takes
    until it shows a change. `change(stream)` lets somebody at the vendor change one entity of a stream and gives its key,
    or None where nobody can. `page_size` makes the vendor give smaller pages: query parameters with the size to ask for
    in place of the connector's, or `path?parameter` (any path: `?parameter`) where the connector asks for none.
    """

    connector: type[Connector]
    # An author may try a real account; a failed test shows its arguments.
    settings: Mapping[str, Any] = field(repr=False)
    vendor: Vendor | None = None
    wrong: Mapping[str, Any] | None = field(default=None, repr=False)
    trials: Sequence[Trial] = ()
    effects: Callable[[], int] | None = None
    change: Callable[[str], str | None] | None = None
    clock: LabClock = field(default_factory=LabClock)
    lag: float = 0.0
    page_size: Mapping[str, int] = field(default_factory=dict)
    line: Line = field(init=False)
    _tokens: MemoryTokens = field(init=False, default_factory=MemoryTokens)
    _whole: dict[str, Reading] = field(init=False, default_factory=dict)
    _markers: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        vendor = self.vendor
        if vendor is None:
            vendor = DirectTransport()
        elif not isinstance(vendor, httpx.BaseTransport):
            vendor = httpx.MockTransport(vendor)
        self.line = Line(vendor, self.clock, self.page_size)

    def connect(self, **changed: Any) -> Connector:
        """Make the connection's settings, some of them with other values."""
        return self.connector.model_validate({**self.settings, **changed})

    @contextmanager
    def client(self, connector: Connector | None = None, *, read_only: bool = False) -> Iterator[Client]:
        """Open a client over the line; one for other settings than the lab's own gets tokens of its own."""
        own = self.connect()
        tokens = self._tokens if connector in (None, own) else MemoryTokens()
        endpoint = (connector or own).endpoint()
        token_url = getattr(endpoint.auth, "token_url", None)
        if token_url is not None:
            self.line.spare(token_url)
        with open_client(
            endpoint,
            connection=CONNECTION,
            clock=self.clock,
            tokens=tokens,
            transport=self.line,
            read_only=read_only,
            random=Random(1),  # noqa: S311  # of back-off, the same at every run
        ) as client:
            yield client

    # -- reading ---------------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        """List the streams that are read by pages of their own."""
        return [stream for stream in self.connect().streams() if stream.pages is not None]

    def changing(self) -> list[Stream]:
        """List the streams that go on from a cursor."""
        return [stream for stream in self.streams() if stream.order == "changed"]

    def read(self, stream: str, cursor: Any = None, *, read_only: bool = False, most: int = MOST_PAGES) -> Reading:
        """Read a stream from a cursor to its end, or to the error that ends it."""
        [found] = [one for one in self.connect().streams() if one.name == stream]
        pages: list[Page] = []
        if found.pages is None:
            return Reading(stream, (), cursor)
        with self.client(read_only=read_only) as client:
            try:
                for count, given in enumerate(found.pages(client, stored(cursor)), 1):
                    # What is no page is what a rule judges.
                    page = given.mapped(stream) if hasattr(given, "mapped") else given
                    pages.append(_joined(pages.pop(), page) if pages and pages[-1].more else page)
                    if count > most:
                        raise Endless(f"{count} pages and no end")
                if pages and pages[-1].more:
                    raise Endless("a part of a page, and no end of it")
            except Exception as error:  # noqa: BLE001  # whatever a connector raises is what the rules judge
                # Of a page that broke off nothing would be stored.
                return Reading(stream, tuple(page for page in pages if not page.more), cursor, error)
        return Reading(stream, tuple(pages), cursor)

    def whole(self, stream: str) -> Reading:
        """Read all of a stream, once for the life of this lab.

        Raises:
            Unread: when it cannot be read to its end.
        """
        if stream not in self._whole:
            self.settle()
            reading = self.read(stream)
            if reading.error is not None:
                raise Unread(f"stream {stream} cannot be read: {name_error(reading.error)}") from reading.error
            self._whole[stream] = reading
        return self._whole[stream]

    def everything(self) -> Iterator[tuple[str, AnyEntity]]:
        """Give all entities of all streams with the stream they belong to."""
        for stream in self.streams():
            yield from self.whole(stream.name).placed

    def settle(self) -> None:
        """Let the time pass until the vendor shows what was last changed."""
        if self.lag:
            self.clock.advance(self.lag)

    # -- writing ---------------------------------------------------------------------------------------------------

    def tried(self) -> list[Tried]:
        """List the trials with their actions; one of an unknown action is left out."""
        actions = {action.name: action for action in self.connect().actions()}
        return [Tried(actions[trial.action], trial) for trial in self.trials if trial.action in actions]

    def call(self, tried: Tried) -> Call:
        """Plan a write under a marker of its own, with the entity as it was last read."""
        self._markers += 1
        base, trial, stream = None, tried.trial, tried.action.stream
        if trial.target is not None and stream in {one.name for one in self.streams()}:
            held = {entity.source_id: entity for entity in self.whole(stream).own}
            base = held.get(trial.target)
        return Call(trial.inputs, f"cxb:{0x5EED_0000_0000_0000 + self._markers:016x}", trial.target, base)

    def perform(self, action: Action, call: Call, *, fresh: bool = False) -> Receipt:
        """Do a planned write, in a client of its own, as after a restart; `fresh` as the engine does behind `planted`."""
        with self.client() as client:
            return self._same(action).perform(client, replace(call, fresh=fresh))

    def find(self, action: Action, call: Call, *, read_only: bool = False) -> Receipt | None:
        """Look for the effect of an earlier write."""
        find = self._same(action).find
        if find is None:
            raise TypeError(f"{action.name} has no find")
        with self.client(read_only=read_only) as client:
            return find(client, call)

    def planted(self, action: Action, markers: Sequence[str]) -> Collection[str]:
        """Ask which of several markers something carries, with a client that lets no write pass."""
        planted = self._same(action).planted
        if planted is None:
            raise TypeError(f"{action.name} has no planted")
        with self.client(read_only=True) as client:
            return planted(client, markers)

    def done(self) -> int:
        """Count what has changed at the vendor so far."""
        if self.effects is not None:
            return self.effects()
        return sum(sent.writes and sent.status is not None and sent.status < 300 for sent in self.line.sent)

    # -- secrets ---------------------------------------------------------------------------------------------------

    def secrets(self) -> dict[str, str]:
        """List the secrets of the settings by name: those typed so, and those that only sound so."""
        held: dict[str, Any] = dict(self.connect())
        typed = {name: value.get_secret_value() for name, value in held.items() if isinstance(value, SecretStr)}
        return typed | {name: held[name] for name in self.unguarded()}

    def obtained(self) -> dict[str, str]:
        """List the tokens that the vendor gave so far."""
        tokens = self._tokens.read(CONNECTION)
        held = {} if tokens is None else {"access token": tokens.access_token, "refresh token": tokens.refresh_token}
        return {name: token for name, token in held.items() if token}

    def unguarded(self) -> list[str]:
        """List the settings that sound like secrets and are not typed as ones."""
        held: dict[str, Any] = dict(self.connect())
        return [
            name
            for name, value in held.items()
            if isinstance(value, str) and value and "://" not in value and _CREDENTIAL.search(name)
        ]

    def refused(self) -> Connector | None:
        """Make the connection with a credential that does not work; None where the connector has no secret."""
        wrong = self.wrong
        if wrong is None:
            wrong = dict.fromkeys(self.secrets(), "wrong-secret")
        return self.connect(**wrong) if wrong else None

    def close(self) -> None:
        """Close the way to the vendor."""
        self.line.end()

    def _same(self, action: Action) -> Action:
        [found] = [one for one in self.connect().actions() if one.name == action.name]
        return found


def _joined(first: Page, rest: Page) -> Page:
    """Put what follows of the same page behind a part of it."""
    beside = {
        stream: [*first.beside.get(stream, ()), *rest.beside.get(stream, ())]
        for stream in dict.fromkeys([*first.beside, *rest.beside])
    }
    return replace(
        rest,
        entities=[*first.entities, *rest.entities],
        beside=beside,
        deleted=[*first.deleted, *rest.deleted],
        raw=[*first.raw, *rest.raw],
        refused=[*first.refused, *rest.refused],
    )


def stored(cursor: Any) -> Any:
    """Give a cursor as the store gives it back."""
    return msgspec.json.decode(msgspec.json.encode(cursor))


def name_error(error: BaseException) -> str:
    """Say an error in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
