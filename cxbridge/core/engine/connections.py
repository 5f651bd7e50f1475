"""Configured accounts as the engine uses them: what each offers, and the one client that speaks to it; no vendor is named."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action, Client, Connector, Stream, Webhook
from cxbridge.core.errors import PluginError, StoreError
from cxbridge.core.http import BudgetState, Limiter, QuotaStore, RequestDone, Tokens, Transport, open_client
from cxbridge.core.store import SealedTokens

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
    # Where the counts of long quotas outlive the process.
    quotas: QuotaStore | None = None
    # One for all connections, so that what is left of every budget can be shown in one place.
    limiter: Limiter = field(init=False)
    _open: dict[str, Client] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.limiter = Limiter(self.clock, self.quotas)

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
                )
            return self._open[connection]

    def budgets(self, connection: str) -> list[BudgetState]:
        """List the vendor's limits as its replies told them so far."""
        return self.limiter.snapshot(connection)

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            for client in self._open.values():
                client.close()
            self._open.clear()
        # Left undone, what was counted ahead stays counted until its window ends: less is sent, never more.
        with suppress(StoreError):
            self.limiter.release()
