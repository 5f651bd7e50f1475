"""The composition root: puts configuration, store, recipes, connections and the three verbs together; decides nothing itself."""

import gc
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from cxbridge.core.clock import Clock, SystemClock
from cxbridge.core.config import Configuration
from cxbridge.core.connector import Identity
from cxbridge.core.engine import identity, reading
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.connections import Clients, Connection, Probe, StoredTokens, no_probe, over_the_network
from cxbridge.core.engine.identity import Identifier
from cxbridge.core.engine.inbox import Work
from cxbridge.core.engine.judging import Judge
from cxbridge.core.engine.leasing import holding
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.pull import OnPage, Pulled, pull
from cxbridge.core.engine.push import Pusher
from cxbridge.core.engine.pushed import OnSettled, Pushed
from cxbridge.core.engine.rematching import Rematcher
from cxbridge.core.engine.soundness import Unsound, blaming, identity_of
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.surroundings import surroundings
from cxbridge.core.engine.sweep import Sweeper
from cxbridge.core.engine.waking import Waker, Woken
from cxbridge.core.engine.watchdog import Watchdog
from cxbridge.core.errors import ConfigError, PluginError, RecipeError, Unauthorized
from cxbridge.core.http import RequestDone, Transport
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.load import load_folder, load_text
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.store import KeptBreakers, KeptHolds, KeptQuotas, SealedTokens, Store, audit, keyfile, runs, state


@dataclass(slots=True)
class Library:
    """The recipes of the folder as they are now, and older versions for runs that began under them."""

    configuration: Configuration
    connections: Mapping[str, Connection]
    store: Store
    around: Surroundings = field(default_factory=Surroundings)
    recipes: tuple[Recipe, ...] = ()
    errors: tuple[RecipeError, ...] = ()
    _stamp: tuple[tuple[str, int, int], ...] = ()
    _pinned: dict[str, Recipe | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> bool:
        """Load the folder again when a file in it changed; True when it did."""
        folder = self.configuration.recipes_dir
        stamp = tuple(
            (file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(folder.glob("*.toml"))
        )
        with self._lock:
            if stamp == self._stamp and self._stamp:
                return False
            loaded = load_folder(folder, self.connections, self.configuration.settings.recipes.inputs, self.around)
            self._stamp = stamp
            self.recipes, self.errors = loaded.recipes, loaded.errors
            return True

    def get(self, name: str) -> Recipe | None:
        """Give a recipe by its id."""
        return next((one for one in self.recipes if one.id == name), None)

    def of_run(self, run: Run) -> Recipe | None:
        """Give the recipe in the version that began a run; `None` when that version cannot be had any more."""
        current = self.get(run.recipe)
        if current is not None and current.version == run.version:
            return current
        with self._lock:
            if run.version not in self._pinned:
                self._pinned[run.version] = self._stored(run)
            pinned = self._pinned[run.version]
        if pinned is not None and current is not None and current.stage == "paused":
            return replace(pinned, stage="paused")
        return pinned

    def _stored(self, run: Run) -> Recipe | None:
        with self.store.read() as tx:
            source = state.recipe_source(tx, run.version)
        if source is None:
            return None
        inputs = self.configuration.settings.recipes.inputs.get(run.recipe, {})
        try:
            return replace(
                load_text(run.recipe, f"{run.recipe}@{run.version}", source, self.connections, inputs, self.around),
                version=run.version,
            )
        except RecipeError:
            return None


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
        on_settled: OnSettled | None = None,
        transport_of: Callable[[str], Transport | None] = over_the_network,
        worker: str = "",
    ) -> None:
        # Records come by the thousand and go by themselves: to look for circles among all there is every few hundred of them would
        # cost a tenth of a pull.
        gc.set_threshold(20_000, 20, 20)
        self.configuration = configuration
        self.clock = clock or SystemClock()
        self.read_only = read_only
        self.probe = probe
        self.watchdog = Watchdog(self.clock)
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
            self.library = Library(
                configuration, self.connections, self.store, surroundings(configuration, Judge(configuration.registry))
            )
            self.library.refresh()
            with self.store.write() if self.store.writing else self.store.read() as tx:
                instance = state.instance_key(tx)
            self.inbox = Work(self.store, self.connections, self.clock)
            self.stepper = Stepper(self.connections, instance, quarantine=configuration.settings.contacts.quarantine)
            self.identifier = Identifier(self.store, self.clock, configuration.settings.identity, probe)
            self.planner = Planner(
                self.store, self.stepper, self.clock, self.library.of_run, probe, self.identifier.catch_up
            )
            self.rematcher = Rematcher(self.store, self.planner, self.clock)
            self.sweeper = Sweeper(self.store, self.planner, self.clock)
            self.pusher = Pusher(self.store, self.stepper, self.clock, self.library.of_run, probe, on_settled)
            self.waker = Waker(self.store, self.pusher.settler, self.clock, self.library.of_run, probe)
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
        with self._pausing(connection):
            client = self.clients.of(connection)
            outcomes = reading.read(
                self.store,
                found,
                found.streams[stream],
                client,
                self.clock,
                keys,
                abreast=abreast,
                stop=stop,
                on_stored=on_stored,
                # Each of them is watched as the job is: what it asks moves that job, and where it stands can be told.
                watched=lambda: self.watchdog.over(f"read:{connection}/{stream}"),
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

    def plan(self, on_batch: Callable[[Planned], None] | None = None) -> Planned:
        """Find out who is who, let all changes meet all recipes, fire what is due, move on the runs whose time has come."""
        self.library.refresh()
        # A batch of planning begins with finding out who is who: only many are looked at in commits of their own before.
        self.identifier.run(least=identity.BATCH)
        planned = self.planner.plan(self.library.recipes, on_batch)
        if not planned.changes:
            self.identifier.run()
        planned.add(self.rematcher.look_again(self.library.recipes))
        swept = self.sweeper.sweep(self.library.recipes)
        # A sweep looks at what the feed has shown already: counting it again would tell every subject twice.
        swept.considered, swept.stopped = 0, {}
        planned.add(swept)
        woken = self.wake()
        planned.connections |= woken.connections
        planned.wakes_at = woken.next_at
        return planned

    def wake(self) -> Woken:
        """Move on the runs whose time has come, or whose question was answered."""
        return self.waker.wake()

    def push(self, connection: str, stop: threading.Event | None = None, abreast: int = 1) -> Pushed:
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

    def recipe(self, name: str) -> Recipe:
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
