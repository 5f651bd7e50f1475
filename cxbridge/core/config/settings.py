"""The sections of `cxbridge.toml` and what may stand in each; reads no file and no environment."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

_INTERVAL = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORTEST = timedelta(milliseconds=100)


def _interval(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _INTERVAL.match(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("write a time with its unit, in quotes: 500ms, 30s, 5m or 1h")
    return timedelta(seconds=float(found[1]) * _UNIT[found[2]])


def _turning(value: timedelta) -> timedelta:
    if value < _SHORTEST:
        raise ValueError("this must be at least 100ms")
    return value


Interval = Annotated[timedelta, BeforeValidator(_interval)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Section):
    """Where the daemon remembers. `url` is `sqlite:///FILE` or `postgresql://…`; relative files stand beside cxbridge.toml."""

    # It may hold a password, when it came from a secret or from the environment.
    url: str = Field(default="sqlite:///cxbridge.db", repr=False)
    key_file: str = "cxbridge.key"


class DaemonSettings(_Section):
    """How often and how wide. `poll` is the shortest time between two pulls of a stream."""

    poll: Annotated[Interval, AfterValidator(_turning)] = timedelta(seconds=60)
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    drain: Interval = timedelta(seconds=25)


class PluginSettings(_Section):
    """Which installed plugins, beside the shipped connectors, may run."""

    enable: list[str] = []


class SecretSettings(_Section):
    """Where secret files are: one file per secret, named as the reference."""

    dir: str = "secrets"


class RecipeSettings(_Section):
    """Where recipe files are, and which values an installation gives to their inputs: `[recipes.inputs.ID]`."""

    dir: str = "recipes"
    inputs: dict[str, dict[str, Any]] = {}


class Settings(BaseSettings):
    """The whole configuration, before connections are understood by their connectors."""

    model_config = SettingsConfigDict(
        env_prefix="CXBRIDGE_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    store: StoreSettings = StoreSettings()
    daemon: DaemonSettings = DaemonSettings()
    plugins: PluginSettings = PluginSettings()
    secrets: SecretSettings = SecretSettings()
    recipes: RecipeSettings = RecipeSettings()
    connections: dict[str, dict[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is handed in and nothing else: `load` reads the environment that it was given."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
