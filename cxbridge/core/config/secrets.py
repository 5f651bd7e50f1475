"""Where secrets come from, and how they are kept out of what is shown; keeps none."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from cxbridge.core.toml import Path as TomlPath
from cxbridge.core.toml import Problems, Source

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_TELLING_KEY = re.compile(r"(token|secret|passw|pwd|credential|api_?key|private)", re.IGNORECASE)


class Secrets:
    """Resolves references to secrets; keeps none."""

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self._environ = environ
        self._directory = directory

    def beside(self, section: Any) -> "Secrets":
        """The same, with the folder that a `[secrets]` section names."""
        named = section.get("dir") if isinstance(section, dict) else None
        return Secrets(self._environ, self._directory / (named if isinstance(named, str) else "secrets"))

    def find(self, name: str) -> SecretStr | None:
        """Give the secret, without a trailing line break, or `None` when no source has it.

        Raises:
            OSError: a file is there and cannot be read. UnicodeDecodeError: it is no text.
        """
        folders = [self._directory]
        if "CREDENTIALS_DIRECTORY" in self._environ:
            folders.insert(0, Path(self._environ["CREDENTIALS_DIRECTORY"]))
        for folder in folders:
            file = folder / name
            if file.is_file():
                return SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n"))
        value = self._environ.get(self.variable(name))
        return SecretStr(value) if value else None

    @staticmethod
    def variable(name: str) -> str:
        """Name the environment variable that may hold the secret."""
        return "CXBRIDGE_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def resolve(name: Any, path: TomlPath, secrets: Secrets, problems: Problems) -> SecretStr | None:
    """Find the secret of a reference; notes why it cannot be had, and then gives `None`."""
    if not isinstance(name, str) or not _NAME.match(name):
        problems.at_value(path, "CX021", "a secret's name may hold letters, digits, dot, - and _ only")
        return None
    try:
        found = secrets.find(name)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        problems.at_value(path, "CX022", f"the file of the secret {name!r} cannot be read: {why}")
        return None
    if found is None or not found.get_secret_value():
        told = f"the secret {name!r} is " + ("nowhere to be found" if found is None else "empty")
        hint = f"put it into a file {name} in the secrets folder, or into {Secrets.variable(name)}"
        problems.at_value(path, "CX022", told, hint)
        return None
    return found


def tells_a_secret(key: str) -> bool:
    """Whether a key looks like one that holds a secret."""
    return _TELLING_KEY.search(key) is not None


def hide_secrets(source: Source) -> None:
    """Blot out every value that may be a secret, by its key or by what it looks like."""
    for path, value in _texts(source.value, ()):
        keys = [part for part in path if isinstance(part, str)]
        refers = keys[-1:] == ["secret"] and (len(keys) > 3 or keys[:2] == ["store", "url"])
        if (keys and tells_a_secret(keys[-1]) and not refers) or has_password(value):
            source.hide(path)


def _texts(value: Any, path: TomlPath) -> Iterator[tuple[TomlPath, str]]:
    if isinstance(value, str | int | float):
        yield path, str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def has_password(address: str) -> bool:
    """Whether an address such as `postgresql://user:word@host` names a password."""
    try:
        return "://" in address and bool(urlsplit(address).password)
    except ValueError:
        return False
