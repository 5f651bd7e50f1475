"""Settings to connections: each is built by its connector, from values and resolved secrets; speaks to no vendor."""

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import SecretStr, ValidationError

from cxbridge.core.config.reading import Found, translate
from cxbridge.core.config.secrets import Secrets, resolve
from cxbridge.core.connector import Connector
from cxbridge.core.registry import Registry, installed
from cxbridge.core.toml import Path as TomlPath
from cxbridge.core.toml import nearest


def load_plugins(enable: list[str], connections: Mapping[str, Mapping[str, Any]], problems: Found) -> Registry:
    available = list(installed())
    there = [point.name for point in available]
    for number, name in enumerate(enable):
        if name not in there:
            path: TomlPath = ("plugins", "enable", number)
            told = f"the plugin {name!r} is not installed; installed are: {', '.join(sorted(there)) or 'none'}"
            problems.at_value(path, "CX011", told, nearest(name, there))
    used = {str(one.get("connector")) for one in connections.values()}
    return Registry.load([name for name in enable if name in there], available, used=used)


def build(
    name: str, values: Mapping[str, Any], registry: Registry, secrets: Secrets, problems: Found
) -> Connector | None:
    path: TomlPath = ("connections", name)
    kind = values.get("connector")
    if not isinstance(kind, str) or kind not in registry.connectors:
        # Nobody can tell which of these are secrets.
        for key in values.keys() - {"connector"}:
            problems.source.hide((*path, key))
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        problems.at_key(path, "CX013", f"the connection name {name!r} may hold a–z, 0–9, - and _ only")
        return None
    if kind is None:
        problems.at_key(
            path, "CX010", f'connection "{name}" does not say which connector it uses', 'add connector = "…"'
        )
        return None
    if not isinstance(kind, str) or kind not in registry.connectors:
        _no_connector(kind, (*path, "connector"), registry, problems)
        return None
    connector = registry.connectors[kind]
    before = len(problems.found)
    resolved = {
        key: _resolved(value, connector, key, (*path, key), secrets, problems)
        for key, value in values.items()
        if key != "connector"
    }
    refused = len(problems.found) > before
    try:
        built = connector.model_validate(resolved)
    except ValidationError as error:
        # With a stand-in for a secret, what the settings are as a whole cannot be told.
        translate(error, problems, path, connector, whole=not refused)
        return None
    return None if refused else built


def _no_connector(kind: Any, path: TomlPath, registry: Registry, problems: Found) -> None:
    known = registry.known
    off = [one for one in registry.found if one.name == kind and not one.enabled]
    broken = [str(one) for one in registry.broken if one.plugin == kind]
    if off:
        hint = f'installed but not enabled: add it to [plugins] enable = ["{kind}"]'
    else:
        hint = broken[0] if broken else nearest(str(kind), known)
    problems.at_value(path, "CX011", f"there is no connector {kind!r}; known: {', '.join(known)}", hint)


def _resolved(
    value: Any, connector: type[Connector], key: str, path: TomlPath, secrets: Secrets, problems: Found
) -> Any:
    """Put a secret in the place of its reference. Problems are noted; then the value is one that fits."""
    field = connector.model_fields.get(key)
    refers = isinstance(value, dict) and set(value) == {"secret"}
    if field is None:
        return value
    if _holds(field.annotation, SecretStr):
        if refers:
            return resolve(value["secret"], path, secrets, problems) or SecretStr("unknown")
        if value is not None:
            hint = f'write {key} = {{ secret = "NAME" }}'
            problems.at_value(path, "CX020", f"`{key}` is a secret and must not stand in this file", hint)
        return SecretStr("unknown")
    if refers and not _holds(field.annotation, dict):
        problems.at_value(path, "CX014", f"`{key}` is no secret", "write its value here")
        problems.mute(path)
    return value


def _holds(annotation: Any, wanted: type) -> bool:
    return (
        annotation is wanted
        or get_origin(annotation) is wanted
        or any(_holds(one, wanted) for one in get_args(annotation))
    )
