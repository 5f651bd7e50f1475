"""What the environment says over the file; it judges no value.

Loaded only where it says anything: the library that reads variables by their types takes longer to load than all settings to read.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from cxbridge.core.config.reading import PREFIX, Found
from cxbridge.core.config.settings import Settings
from cxbridge.core.toml import nearest


class _Readable(Settings, BaseSettings):
    """The settings as that library takes them; none is ever made."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


def overlay(document: dict[str, Any], variables: Mapping[str, str], problems: Found) -> None:
    """Put what the environment says over what the file says."""
    sections = list(Settings.model_fields)
    for variable, value in sorted(variables.items()):
        place = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        problems.variables[place] = variable
        if place[0] not in sections:
            hint = nearest(place[0], sections)
            problems.at_key(place, "CX012", f"there is no section [{place[0]}] of settings", hint)
            continue
        reader = EnvSettingsSource(_Readable)
        reader.env_vars = {variable.lower(): value}
        try:
            _merge(document, reader())
        except SettingsError:
            problems.at_value(place, "CX014", "a list or table is written as JSON here", 'for example ["one", "two"]')


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(under.get(key), dict):
            _merge(under[key], value)
        else:
            under[key] = value
