"""`cxbridge.toml`, environment and secret files to settings; every problem is told at once, and nothing is guessed.

`CXBRIDGE_DAEMON__POLL` in the environment wins over `poll` under `[daemon]`, and so on for every setting.

A secret never stands in the file: `api_token = { secret = "zendesk.api_token" }` names it. It is looked for, first hit wins, in the
directory that systemd hands over (`$CREDENTIALS_DIRECTORY`), in `[secrets] dir`, and in the environment variable
`CXBRIDGE_SECRET_ZENDESK_API_TOKEN`. What looks like a secret is blotted out wherever a line of the file is shown.
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cxbridge.core.config.accounts import build, load_plugins
from cxbridge.core.config.reading import Found, fit, read, resolve_store, settings_in
from cxbridge.core.config.secrets import Secrets, hide_secrets
from cxbridge.core.config.settings import (
    ContactSettings,
    DaemonSettings,
    IdentitySettings,
    PluginSettings,
    RecipeSettings,
    SecretSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
)
from cxbridge.core.connector import Connector
from cxbridge.core.errors import ConfigError
from cxbridge.core.registry import Registry
from cxbridge.core.toml import Placed, Source

FILE = "cxbridge.toml"

__all__ = [
    "FILE",
    "Configuration",
    "ContactSettings",
    "DaemonSettings",
    "IdentitySettings",
    "PluginSettings",
    "RecipeSettings",
    "SecretSettings",
    "Secrets",
    "Settings",
    "StoreSettings",
    "WebhookSettings",
    "load",
]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the daemon runs on: settings, connectors by name, connections by name, and the folder all paths are relative to."""

    root: Path
    settings: Settings
    registry: Registry
    connections: Mapping[str, Connector]

    @property
    def store_url(self) -> str:
        """The database address, with a relative SQLite file resolved beside cxbridge.toml."""
        url = self.settings.store.url
        if url.startswith("sqlite:///") and not url.startswith("sqlite:////") and url != "sqlite:///:memory:":
            return f"sqlite:///{(self.root / url.removeprefix('sqlite:///')).resolve()}"
        return url

    @property
    def key_file(self) -> Path:
        """The file that holds the key for stored tokens."""
        return self.root / self.settings.store.key_file

    @property
    def recipes_dir(self) -> Path:
        """The folder of the recipe files."""
        return self.root / self.settings.recipes.dir


def load(path: Path, environ: Mapping[str, str] | None = None, registry: Registry | None = None) -> Configuration:
    """Read the configuration and build every connection.

    Raises:
        ConfigError: with every problem found, each at its line.
    """
    environ = os.environ if environ is None else environ
    source = read(path)
    problems = Found(source)
    document = copy.deepcopy(source.value)
    secrets = Secrets(environ, path.parent)
    hide_secrets(source)
    if variables := settings_in(environ):
        from cxbridge.core.config.environment import overlay  # noqa: PLC0415 - nearly no start needs what it loads

        overlay(document, variables, problems)
    resolve_store(document, secrets, problems)
    settings = fit(document, problems)
    secrets = Secrets(environ, path.parent / settings.secrets.dir)
    registry = registry or load_plugins(settings.plugins.enable, settings.connections, problems)
    connections: dict[str, Connector] = {}
    for name, values in settings.connections.items():
        built = build(name, values, registry, secrets, problems)
        if built is not None:
            connections[name] = built
    if problems.found:
        raise ConfigError(problems.sorted())
    return Configuration(path.parent, _with_places(settings, source), registry, connections)


def _with_places(settings: Settings, source: Source) -> Settings:
    """Let the inputs of recipes remember where they stand: what is wrong with them shows only when recipes are loaded."""
    inputs = {
        name: Placed(values, source, ("recipes", "inputs", name)) for name, values in settings.recipes.inputs.items()
    }
    return settings.model_copy(update={"recipes": settings.recipes.model_copy(update={"inputs": inputs})})
