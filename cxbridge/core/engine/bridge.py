"""The composition root: puts configuration, store, recipes, connections and the three verbs together; decides nothing itself."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cxbridge.core.clock import Clock, SystemClock
from cxbridge.core.config import Configuration
from cxbridge.core.connector import Identity
from cxbridge.core.engine import instance, reading
from cxbridge.core.engine.connections import Clients, Connection, Probe, StoredTokens, no_probe, over_the_network
from cxbridge.core.engine.leasing import holding
from cxbridge.core.engine.pull import OnPage, Pulled, pull
from cxbridge.core.engine.soundness import Unsound, blaming, identity_of
from cxbridge.core.engine.tempo import Tempo
from cxbridge.core.engine.watchdog import Watchdog
from cxbridge.core.errors import ConfigError, PluginError, Unauthorized
from cxbridge.core.http import RequestDone, Transport
from cxbridge.core.lean import collect_seldom
from cxbridge.core.ledger import Run
from cxbridge.core.store import KeptBreakers, KeptHolds, KeptQuotas, SealedTokens, Store, audit, keyfile, runs, state

if TYPE_CHECKING:
    from cxbridge.core.engine.batch import Planned
    from cxbridge.core.engine.identity import Identifier
    from cxbridge.core.engine.inbox import Work
    from cxbridge.core.engine.library import Library
    from cxbridge.core.engine.plan import Planner
    from cxbridge.core.engine.push import Pusher
    from cxbridge.core.engine.pushed import OnSettled, Pushed
    from cxbridge.core.engine.steps import Stepper
    from cxbridge.core.engine.sweep import Sweeper
    from cxbridge.core.engine.waking import Waker, Woken
    from cxbridge.core.engine.workshop import Workshop
    from cxbridge.core.recipes.model import Recipe


def made_up_name() -> str:
    """Make up a name for a worker that no other process has: machine, process, and a draw for those in containers."""
    machine = "".join(
        letter for letter in socket.gethostname()[:40] if letter.isascii() and (letter.isalnum() or letter in "-.")
    )
    return f"{machine}-{os.getpid()}-{secrets.token_hex(2)}"


class Bridge:
    """One opened cxbridge: store, connections, recipes and verbs. Close it, or use it in a `with` block.

    `read_only` gives clients a transport that refuses every unsafe method. `writing=False` is for looking only: the store is not
    written to, and a daemon beside it is not disturbed. `probe` is told each boundary the engine reaches. `transport_of` gives
    what a connection's requests go over in place of the network. `worker` names this process among those that share a store on
    PostgreSQL; without a name one is made up there.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        read_only: bool = False,
        writing: bool = True,
        probe: Probe = no_probe,
        on_request: Callable[[RequestDone], None] | None = None,
        on_settled: "OnSettled | None" = None,
        transport_of: Callable[[str], Transport | None] = over_the_network,
        worker: str = "",
    ) -> None:
        collect_seldom()
        self.configuration = configuration
        self.clock = clock or SystemClock()
        self.read_only = read_only
        self.probe = probe
        self.watchdog = Watchdog(self.clock)
        self._on_settled = on_settled
        # How fast each connection's vendor shows single entities.
        self._tempi: dict[str, Tempo] = {}
        # One of each for all threads, see below.
        self._made: Workshop | None = None
        self._identifier: Identifier | None = None
        self._making = threading.RLock()
        self.broken: list[PluginError] = list(configuration.registry.broken)
        self.connections: dict[str, Connection] = {}
        for name, connector in configuration.connections.items():
            try:
                self.connections[name] = Connection.of(name, connector)
            except PluginError as error:
                self.broken.append(error)
        key = keyfile.load_or_create(configuration.key_file)
        self.store = Store.open(configuration.store_url, clock=self.clock, key=key, writing=writing)
        # Empty where one process has the store for itself.
        self.worker = (worker or made_up_name()) if self.store.dialect == "postgresql" else ""
        try:
            self.clients = Clients(
                self.connections,
                self.clock,
                StoredTokens(SealedTokens(self.store, key)),
                read_only=read_only,
                on_request=self._asked(on_request),
                transport_of=transport_of,
                worker=self.worker,
                quotas=KeptQuotas(self.store),
                holds=KeptHolds(self.store),
                breakers=KeptBreakers(self.store),
                shared=bool(self.worker),
            )
            with self.store.read() as tx:
                # Another key than the store's is told at once.
                state.has_instance_key(tx)
            self._key = key
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close clients and store."""
        self.clients.close()
        self.store.close()

    def _asked(self, told: Callable[[RequestDone], None] | None) -> Callable[[RequestDone], None]:
        def asked(done: RequestDone) -> None:
            self.watchdog.progress(done.connection, request=True)
            if told is not None:
                told(done)

        return asked

    def instance_key(self) -> bytes:
        """Give the key that markers and the addresses of webhooks are made with; one that stays, see `instance.lasting`."""
        return instance.lasting(self.store, self.configuration.store_url, self._key)

    # -- put together when it is first asked for ---------------------------------------------------------------------------------

    @property
    def _workshop(self) -> "Workshop":
        with self._making:
            if self._made is None:
                # A third of all that there is to load, with the libraries for conditions and for what is sealed.
                from cxbridge.core.engine.workshop import Workshop  # noqa: PLC0415 - see above

                self._made = Workshop(
                    self.configuration,
                    self.connections,
                    self.store,
                    self.clock,
                    self.identifier,
                    # Who only looks writes nothing.
                    instance=self.instance_key() if self.store.writing else instance.for_looking(self.store),
                    probe=self.probe,
                    on_settled=self._on_settled,
                )
            return self._made

    @property
    def identifier(self) -> "Identifier":
        """What finds out who is who; needs no recipe."""
        with self._making:
            if self._identifier is None:
                from cxbridge.core.engine.identity import Identifier  # noqa: PLC0415 - brings its own libraries

                self._identifier = Identifier(self.store, self.clock, self.configuration.settings.identity, self.probe)
            return self._identifier

    @property
    def library(self) -> "Library":
        """The recipes."""
        return self._workshop.library

    @property
    def inbox(self) -> "Work":
        """What came in by webhooks and is not done."""
        return self._workshop.inbox

    @property
    def stepper(self) -> "Stepper":
        """What turns steps into deliveries."""
        return self._workshop.stepper

    @property
    def planner(self) -> "Planner":
        """What lets changes meet recipes."""
        return self._workshop.planner

    @property
    def sweeper(self) -> "Sweeper":
        """What fires schedules."""
        return self._workshop.sweeper

    @property
    def pusher(self) -> "Pusher":
        """What performs deliveries."""
        return self._workshop.pusher

    @property
    def waker(self) -> "Waker":
        """What moves on the runs whose time has come."""
        return self._workshop.waker

    # -- the verbs -------------------------------------------------------------------------------------------------

    def check(self, name: str, who: str = "unknown") -> Identity:
        """Ask a connection's vendor whether the credential works; a pause for a bad credential ends when it does.

        A vendor that is left alone is asked all the same, and left alone no longer when it answers. `who` is whoever had it
        checked: that a pause ended is a person's decision.

        Raises:
            VendorError: as the connector found it.
        """
        connection = self.connection(name)
        self.clients.try_now(name)
        try:
            with blaming(connection.connector.name, f"the check of {name}"):
                found = identity_of(connection.connector.check(self.clients.of(name)))
        except Unsound as error:
            raise PluginError(connection.connector.name, f"the check of {name} broke: {error}") from error
        with self.store.write() as tx:
            if state.resume(tx, name):
                audit.decided(tx, "connection.resumed", who=who, subject=f"connection:{name}", now=self.clock.now())
        return found

    def pull(
        self,
        connection: str,
        stream: str,
        *,
        on_page: OnPage | None = None,
        stop: threading.Event | None = None,
    ) -> Pulled:
        """Pull one stream. A refused credential pauses the connection, and is raised.

        Raises:
            VendorError: as the vendor or its way failed. ConfigError: when there is no such stream.
        """
        found = self.connection(connection)
        if stream not in found.streams:
            raise ConfigError(f"connection {connection} has no stream {stream}; it has {', '.join(found.streams)}")
        with self._pausing(connection):
            return pull(
                self.store,
                found,
                found.streams[stream],
                self.clients.of(connection),
                self.clock,
                on_page=on_page,
                probe=self.probe,
                stop=stop,
            )

    def read(
        self,
        connection: str,
        stream: str,
        keys: Sequence[str],
        stop: threading.Event | None = None,
        abreast: int = 1,
        on_stored: reading.OnStored | None = None,
    ) -> dict[str, reading.Outcome]:
        """Read entities that webhooks named, up to so many at once; gives what became of each that was come to.

        `on_stored` is called with the keys of those that were read, at the end of the commit that stores them.

        Raises:
            Unauthorized: the vendor refused the credential. PluginError: the stream cannot read one.
        """
        found = self.connection(connection)
        self.library.keep_up()
        with self._pausing(connection):
            client = self.clients.of(connection)
            outcomes = reading.read(
                self.store,
                found,
                reading.heard(found, stream, self.library.listened),
                client,
                self.clock,
                keys,
                abreast=abreast,
                stop=stop,
                on_stored=on_stored,
                # Each of them is watched as the job is: what it asks moves that job, and where it stands can be told.
                watched=lambda: self.watchdog.over(f"read:{connection}/{stream}"),
                tempo=self._tempi.setdefault(connection, Tempo()),
                probe=self.probe,
            )
            for one in outcomes.values():
                if isinstance(one, Unauthorized):
                    raise one
            return outcomes

    @contextmanager
    def _pausing(self, connection: str) -> Iterator[None]:
        """Pause a connection whose credential is refused inside."""
        try:
            yield
        except Unauthorized as error:
            with self.store.write() as tx:
                state.pause(
                    tx,
                    connection,
                    str(error),
                    f"mend the credential, then: cxbridge connections check {connection}",
                    self.clock.now(),
                )
            raise

    def plan(self, on_batch: "Callable[[Planned], None] | None" = None, fresh: int = 0) -> "Planned":
        """Find out who is who, let all changes meet all recipes, fire what is due, move on the runs whose time has come.

        `on_batch` and `fresh` are as the workshop's `plan` has them.
        """
        return self._workshop.plan(on_batch, fresh)

    def tidy(self) -> int:
        """Remove some of the changes that were kept for long enough, at most once a minute; gives how many."""
        return self._workshop.tidier.tidy(self.library.recipes)

    def wake(self) -> "Woken":
        """Move on the runs whose time has come, or whose question was answered."""
        return self.waker.wake()

    def push(self, connection: str, stop: threading.Event | None = None, abreast: int = 1) -> "Pushed":
        """Perform what is due for one connection, up to so many deliveries at once; those to one entity keep their order."""
        return self.pusher.push(self.connection(connection), self.clients.of(connection), stop, abreast)

    @contextmanager
    def holding(self, connections: Sequence[str], who: str) -> Iterator[None]:
        """Be the one process that speaks to these connections; `who` is named to those who come second.

        Raises:
            StoreError: another process does.
        """
        with holding(self.store, self.clock, connections, who, self.worker) as may_send:
            if may_send is not None:
                self.clients.may_send = may_send
            yield

    # -- looking things up -----------------------------------------------------------------------------------------

    def connection(self, name: str) -> Connection:
        """Give a connection by name.

        Raises:
            ConfigError: when there is none, naming those that there are.
        """
        found = self.connections.get(name)
        if found is None:
            known = ", ".join(self.connections) or "none"
            raise ConfigError(f"there is no connection {name!r}; there are: {known}")
        return found

    def streams(self, connection: str | None = None) -> list[tuple[str, str]]:
        """List what can be pulled: reference streams first, then those whose entities refer to them."""
        names: Sequence[str] = [connection] if connection else list(self.connections)
        return [
            (name, stream.name)
            for name in names
            for stream in self.connection(name).streams.values()
            if stream.pages is not None
        ]

    def recipe(self, name: str) -> "Recipe":
        """Give a recipe by id.

        Raises:
            RecipeError: when its file has problems. ConfigError: when there is no such file.
        """
        found = self.library.get(name)
        if found is not None:
            return found
        for error in self.library.errors:
            if Path(error.path).stem == name:
                raise error
        known = ", ".join(one.id for one in self.library.recipes) or "none"
        raise ConfigError(f"there is no recipe {name!r} in {self.configuration.recipes_dir}; there are: {known}")

    def run(self, run_id: str) -> Run | None:
        """Give a run by id."""
        with self.store.read() as tx:
            return runs.get(tx, run_id)
