"""File to settings: what does not fit is noted at its place and left out; builds no connection."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cxbridge.core.config.secrets import Secrets, has_password, resolve, tells_a_secret
from cxbridge.core.config.settings import Settings
from cxbridge.core.errors import ConfigError, Problem
from cxbridge.core.toml import LARGEST, Problems, Source, nearest
from cxbridge.core.toml import Path as TomlPath

PREFIX = "CXBRIDGE_"
_STORES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


class Found(Problems):
    """The problems of the settings; those of a value from the environment are placed at its variable."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.variables: dict[TomlPath, str] = {}

    def at_key(self, path: TomlPath, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a key."""
        if not self._elsewhere(path, code, message, hint):
            super().at_key(path, code, message, hint)

    def at_value(self, path: TomlPath, code: str, message: str, hint: str = "") -> None:
        """Note a problem with a value."""
        if not self._elsewhere(path, code, message, hint):
            super().at_value(path, code, message, hint)

    def _elsewhere(self, path: TomlPath, code: str, message: str, hint: str) -> bool:
        variable = next((name for one, name in self.variables.items() if path[: len(one)] == one), None)
        if variable is not None and not self.is_muted(path):
            self.elsewhere(Problem(f"environment variable {variable}", 0, 0, code, message, hint=hint))
        return variable is not None


def read(path: Path) -> Source:
    """Read the file.

    Raises:
        ConfigError: when it is not there, is no text, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            # What is longer than that is refused by its length, whatever follows.
            text = file.read(4 * LARGEST).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no {path.name} in {path.parent.resolve()}; make one with: cxbridge init") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); it must be a UTF-8 text file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as text; save it with the encoding UTF-8") from error
    source = Source.parse(str(path), text)
    if isinstance(source, Problem):
        key, equals, value = source.source.partition("=")
        if tells_a_secret(source.source):
            # What cannot be read cannot be told apart: the whole line may be the secret.
            source = replace(source, source=key + equals + "•" * len(value))
        raise ConfigError([source])
    return source


def settings_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick the variables that say a setting."""
    return {
        variable: value
        for variable, value in environ.items()
        if variable.startswith(PREFIX) and not variable.startswith(f"{PREFIX}SECRET_") and "__" in variable
    }


def fit(document: dict[str, Any], problems: Found) -> Settings:
    """Fit the document to the settings; what does not fit is noted and left out, so that the rest is judged as well."""
    for name in [one for one in document if one.startswith("_")]:
        problems.at_key((name,), "CX012", f"unknown setting `{name}`")
        del document[name]
    while True:
        try:
            return Settings.model_validate(document)
        except ValidationError as error:
            translate(error, problems, (), Settings)
            for one in error.errors(include_url=False, include_input=False):
                _drop(document, one["loc"], problems)


def _drop(document: dict[str, Any], location: TomlPath, problems: Found) -> None:
    """Leave out the innermost key on the way to what was refused."""
    holders: list[tuple[dict[str, Any], TomlPath]] = []
    inner: Any = document
    for number, part in enumerate(location):
        if isinstance(inner, dict) and part in inner:
            holders.append((inner, location[: number + 1]))
        try:
            inner = inner[part]
        except (KeyError, IndexError, TypeError):
            break
    if not holders:
        # It stood in a list that went already, for another of its items.
        return
    holder, path = holders[-1]
    del holder[str(path[-1])]
    problems.mute(path)


def resolve_store(document: dict[str, Any], secrets: Secrets, problems: Found) -> None:
    """The store's address may be a secret; a password in it must be."""
    section = document.get("store")
    if not isinstance(section, dict) or "url" not in section:
        return
    path: TomlPath = ("store", "url")
    url = section["url"]
    if isinstance(url, dict) and set(url) == {"secret"}:
        folder = document.get("secrets")
        found = resolve(url["secret"], path, secrets.beside(folder), problems)
        section["url"] = found.get_secret_value() if found is not None else "sqlite:///unknown.db"
    elif isinstance(url, str) and has_password(url) and path not in problems.variables:
        hint = 'write url = { secret = "store.url" }, or keep the password in a .pgpass file'
        problems.at_value(
            path, "CX020", "the store's address holds a password, which must not stand in this file", hint
        )
    url = section["url"]
    if isinstance(url, str) and not url.startswith(_STORES):
        hint = 'write url = "sqlite:///cxbridge.db" or "postgresql://host/database"'
        problems.at_value(path, "CX014", "`url` is no address of a store", hint)


def translate(
    error: ValidationError, problems: Found, base: TomlPath, model: type[BaseModel], *, whole: bool = True
) -> None:
    """Turn pydantic's locations into places in the file: unknown key → the key, bad value → the value.

    Without `whole`, nothing is said about what is missing and about how the values go together.
    """
    for one in error.errors(include_url=False, include_input=False):
        if not whole and (one["type"] == "missing" or not one["loc"]):
            continue
        path: TomlPath = (*base, *one["loc"])
        last = str(one["loc"][-1]) if one["loc"] else ""
        if one["type"] == "extra_forbidden":
            # It may be a secret under a misspelt name.
            problems.source.hide(path)
            problems.at_key(
                path, "CX012", f"unknown setting `{last}`", nearest(last, _fields_at(model, one["loc"][:-1]))
            )
        elif one["type"] == "missing" and problems.is_muted(path):
            # It was there, and was refused.
            continue
        elif one["type"] == "missing":
            problems.at_key(path[:-1], "CX010", f"the setting `{last}` is missing", f'add {last} = "…"')
        elif not one["loc"]:
            problems.at_key(base, "CX014", _words(one["msg"]))
        elif last == "[key]":
            problems.at_key(path[:-1], "CX014", _words(one["msg"]))
        else:
            named = f"{path[-2]}[{last}]" if isinstance(path[-1], int) else last
            problems.at_value(_standing(path, problems), "CX014", f"`{named}`: {_words(one['msg'])}")


def _words(message: str) -> str:
    told = message.removeprefix("Value error, ")
    return told.removeprefix("Input should be ") if told == message else told


def _standing(path: TomlPath, problems: Found) -> TomlPath:
    """Cut a location back to what was written: pydantic adds names of union members and of keys."""
    while len(path) > 1 and not problems.source.stands(path) and path not in problems.variables:
        path = path[:-1]
    return path


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
