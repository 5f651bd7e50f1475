"""Looking an installation over: one finding after the other, each with what to do about it; writes nothing anywhere.

It works beside a running daemon: the store is opened for reading alone, and vendors are asked only what `connections check` asks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cxbridge.core.clock import Clock, SystemClock
from cxbridge.core.config import Configuration
from cxbridge.core.engine.checkup import files, machine, memory, vendors, work
from cxbridge.core.engine.checkup.findings import Finding, count, exit_code, guarded, ok, problem, warning
from cxbridge.core.engine.connections import Connection, over_the_network
from cxbridge.core.engine.judging import Judge
from cxbridge.core.engine.surroundings import surroundings
from cxbridge.core.errors import ConfigError, PluginError
from cxbridge.core.http import Transport
from cxbridge.core.recipes.load import load_folder
from cxbridge.core.store import condition

__all__ = ["Checkup", "Finding", "exit_code", "ok", "problem", "unusable", "warning"]


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that is looked at; `deep` reads the whole store, the audit chain and a page of every stream."""

    configuration: Configuration
    settings_file: Path
    clock: Clock = field(default_factory=SystemClock)
    deep: bool = False
    # Gives what a connection's requests go over in place of the network; None is the network.
    transport_of: Callable[[str], Transport | None] = over_the_network

    def findings(self) -> Iterator[Finding]:
        """Look at one thing after the other; what one of them finds keeps no other from being looked at."""
        settings = self.configuration
        yield ok("settings", f"{self.settings_file}: {count(len(settings.connections), 'connection')}")
        yield from machine.python()
        if condition.file_of(settings.store_url) is not None:
            yield from machine.sqlite()
        yield from files.permissions(settings, self.settings_file)
        connections: dict[str, Connection] = {}
        for plugin in settings.registry.broken:
            yield problem("plugin", str(plugin), "mend or remove it under [plugins]", 78)
        for name, connector in settings.connections.items():
            try:
                connections[name] = Connection.of(name, connector)
            except PluginError as error:
                yield problem(name, str(error), "look for a newer version of the plugin", 78)
        with memory.Opened(settings, self.clock) as opened:
            yield from opened.found
            yield from memory.looked_into(opened, self.clock, list(connections), deep=self.deep)
            if opened.store is not None:
                around = surroundings(settings, Judge(settings.registry))
                recipes = load_folder(settings.recipes_dir, connections, settings.settings.recipes.inputs, around)
                standing = work.standing(settings, connections, opened.store, recipes, self.clock.now())
                yield from guarded("work", standing)
            asked = vendors.asked(connections, self.clock, opened.store, opened.key, self.transport_of, deep=self.deep)
            yield from guarded("vendors", asked)


def unusable(error: ConfigError) -> Iterator[Finding]:
    """Tell what is wrong with settings that cannot be read, beside what can be looked at without them."""
    for one in error.problems:
        where = f"{one.path}:{one.line}" if one.line else one.path
        yield problem("settings", f"{where}: {one.message}", one.hint or "mend the file", 78)
    if not error.problems:
        yield problem("settings", str(error), "name the file with --config", 78)
    yield from machine.python()
    yield from machine.sqlite()
