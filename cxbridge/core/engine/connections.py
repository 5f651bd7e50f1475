"""Configured accounts as the engine uses them: what each offers, and the one client that speaks to it; no vendor is named."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import Literal

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Client, Connector, Stream, Webhook
from cxbridge.core.errors import PluginError, StoreError
from cxbridge.core.http import (
    Breaker,
    BreakerState,
    BreakerStore,
    BudgetState,
    HoldStore,
    Limiter,
    QuotaStore,
    RequestDone,
    Tokens,
    Transport,
    open_client,
    user_agent,
)
from cxbridge.core.logs import structlog
from cxbridge.core.store import SealedTokens

_log = structlog.get_logger("cxbridge")

# Called with the name of a boundary that the engine has just reached; a test may end the process there.
Probe = Callable[[str], None]


def no_probe(boundary: str) -> None:
    """Go on."""
    del boundary


def over_the_network(connection: str) -> Transport | None:
    """Have a connection's requests sent over the network."""
    del connection
    return None


@dataclass(frozen=True, slots=True)
class Connection:
    """One configured account: its connector's settings, its streams and its actions by name, and its webhooks if it takes any."""

    name: str
    connector: Connector
    streams: Mapping[str, Stream]
    actions: Mapping[str, Action]
    webhook: Webhook | None = None

    @classmethod
    def of(cls, name: str, connector: Connector) -> "Connection":
        """Ask the connector what it offers.

        Raises:
            PluginError: when the plugin cannot say.
        """
        try:
            streams = {one.name: one for one in connector.streams()}
            actions = {one.name: one for one in connector.actions()}
            webhook = connector.webhook()
        except Exception as error:
            raise PluginError(connector.name, f"connection {name} cannot list its streams and actions") from error
        return cls(name, connector, streams, actions, webhook)

    def stream_of_kind(self, kind: str) -> str | None:
        """Name the first stream that yields entities of a kind."""
        for stream in self.streams.values():
            if any(struct.__struct_config__.tag == kind for struct in stream.kinds):
                return stream.name
        return None


class StoredTokens:
    """Keeps a connection's OAuth tokens in the store, sealed; durable when `write` returns."""

    def __init__(self, sealed: SealedTokens) -> None:
        self._sealed = sealed

    def read(self, connection: str) -> Tokens | None:
        """Give the tokens last written."""
        body = self._sealed.read(connection)
        return None if body is None else msgspec.json.decode(body, type=Tokens)

    def write(self, connection: str, tokens: Tokens) -> None:
        """Keep these tokens instead."""
        self._sealed.write(connection, msgspec.json.encode(tokens))


@dataclass(slots=True)
class Clients:
    """Opens one client per connection when it is first needed, and closes all of them."""

    connections: Mapping[str, Connection]
    clock: Clock
    tokens: StoredTokens
    read_only: bool = False
    on_request: Callable[[RequestDone], None] | None = None
    # Gives what a connection's requests go over in place of the network; None is the network.
    transport_of: Callable[[str], Transport | None] = over_the_network
    # Where the counts of quotas, the ends of waits and open breakers outlive the process.
    quotas: QuotaStore | None = None
    holds: HoldStore | None = None
    breakers: BreakerStore | None = None
    # Whether other processes speak to the same connections, in turn: then the counts of short quotas outlive the process, too.
    shared: bool = False
    # Called with a connection's name right before each request to it leaves; raises `Withheld` when this process may not send.
    may_send: Callable[[str], None] | None = None
    # Which of several workers this is, for the vendor's log.
    worker: str = ""
    # One for all connections, so that what is left of every budget can be shown in one place.
    limiter: Limiter = field(init=False)
    _open: dict[str, Client] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.limiter = Limiter(self.clock, self.quotas, self.holds, shared=self.shared)

    def of(self, connection: str) -> Client:
        """Give the client of a connection.

        Raises:
            PluginError: when the connector cannot say how to reach its vendor.
        """
        with self._lock:
            if connection not in self._open:
                connector = self.connections[connection].connector
                try:
                    endpoint = connector.endpoint()
                except Exception as error:
                    raise PluginError(connector.name, f"connection {connection} has no usable endpoint") from error
                self._open[connection] = open_client(
                    endpoint,
                    connection=connection,
                    clock=self.clock,
                    tokens=self.tokens,
                    limiter=self.limiter,
                    read_only=self.read_only,
                    transport=self.transport_of(connection),
                    on_request=self.on_request,
                    may_send=partial(self._may_send, connection),
                    user_agent=user_agent(self.worker),
                    breaker=self._breaker(connection),
                )
            return self._open[connection]

    def try_now(self, connection: str) -> None:
        """Let the next request through although the vendor is left alone: a person asks for it.

        Raises:
            StoreError: it cannot be found out whether it is.
        """
        with self._lock:
            breaker = self._breaker(connection)
        breaker.try_now()

    def _may_send(self, connection: str) -> None:
        # Looked up at each request: what is asked changes when the work begins.
        if self.may_send is not None:
            self.may_send(connection)

    def _breaker(self, connection: str) -> Breaker:
        if connection not in self._breakers:
            self._breakers[connection] = Breaker(
                connection, self.clock, SystemRandom(), store=self.breakers, on_turn=_told
            )
        return self._breakers[connection]

    def budgets(self, connection: str) -> list[BudgetState]:
        """List the vendor's limits as its replies told them so far."""
        return self.limiter.snapshot(connection)

    def close(self, connection: str | None = None) -> None:
        """Close one connection's client, or all: calls under way end, what was counted ahead is given back, holds are kept.

        What this process knew of that connection's limits is forgotten: `of` opens it anew, with what the store says then.
        """
        with self._lock:
            names = list(self._open) if connection is None else [connection]
            for name in names:
                self._breakers.pop(name, None)
                client = self._open.pop(name, None)
                if client is not None:
                    client.close()
        # Left undone, what was counted ahead stays counted until its window ends: less is sent, never more.
        with suppress(StoreError):
            self.limiter.release(connection)
        if connection is not None:
            self.limiter.forget(connection)


def _told(state: BreakerState, turn: Literal["opened", "closed"]) -> None:
    """Log that a vendor is left alone from now on, or no longer."""
    if turn == "opened":
        _log.warning(
            "breaker.opened",
            connection=state.connection,
            failures=state.failures,
            reason=state.reason,
            retry_at=state.retry_at.isoformat(timespec="seconds"),
        )
    else:
        _log.info("breaker.closed", connection=state.connection, since=state.opened_at.isoformat(timespec="seconds"))
