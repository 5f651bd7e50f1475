"""From a settings file to something that can be worked with; loads the engine only when called."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxbridge.core.config import Configuration
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.engine.connections import Connection


def configuration(config: Path, database: str | None = None) -> "Configuration":
    """Read the settings; `database` takes the place of the store they name.

    Raises:
        ConfigError: with every problem found.
    """
    from cxbridge.core.config import StoreSettings, load

    read = load(config)
    if database is None:
        return read
    store = StoreSettings(url=database, key_file=read.settings.store.key_file)
    return replace(read, settings=read.settings.model_copy(update={"store": store}))


def bridge(config: Path, database: str | None = None, *, read_only: bool = False, **more: Any) -> "Bridge":
    """Open everything the settings name; close it again, or use it in a `with` block."""
    from cxbridge.core.engine.bridge import Bridge

    return Bridge(configuration(config, database), read_only=read_only, **more)


def connections(read: "Configuration") -> "dict[str, Connection]":
    """Give the connections without a store, for what only needs to know what they offer."""
    from cxbridge.core.engine.connections import Connection

    return {name: Connection.of(name, connector) for name, connector in read.connections.items()}


def broken(opened: "Bridge") -> Iterator[str]:
    """Say what is switched off: recipes with problems, plugins that could not be loaded."""
    for error in opened.library.errors:
        yield f"{error.path} is off: {_first(str(error))}"
    for plugin in opened.broken:
        yield str(plugin)


def who() -> str:
    """Give the name of whoever is logged in here, for what a person decides."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A process without a user, as in some containers.
        return "unknown"


def _first(text: str) -> str:
    return text.splitlines()[0] if text else text
