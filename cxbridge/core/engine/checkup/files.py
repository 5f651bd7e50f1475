"""Whose the files are and who else may read or write them; opens none but to see whether it may."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from cxbridge.core.config import Configuration
from cxbridge.core.engine.checkup.findings import Finding, ok, problem, warning
from cxbridge.core.store import condition


def permissions(configuration: Configuration, settings_file: Path) -> Iterator[Finding]:
    """Look at the settings, the secrets, the key and the store."""
    found = [
        *_settings(settings_file),
        *_secrets(configuration.root / configuration.settings.secrets.dir),
        *_private(configuration.key_file, "key"),
    ]
    path = condition.file_of(configuration.store_url)
    if path is not None:
        found += _store(path)
    yield from found or [ok("files", "settings, secrets, key and store belong to this user, and to nobody else")]


def _settings(path: Path) -> Iterator[Finding]:
    found = _stat(path)
    if found is None:
        return
    yield from _foreign(path, found, "settings")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield problem(
            "settings",
            f"{path} can be written by others: they could send credentials elsewhere",
            f"chmod go-w {path}",
            78,
        )


def _secrets(folder: Path) -> Iterator[Finding]:
    if not os.path.isdir(folder):  # noqa: PTH112 - `Path` raises where this user may not look
        return
    try:
        names = sorted(folder.iterdir())
    except OSError as error:
        yield problem("secrets", f"{folder} cannot be read: {error.strerror}", f"chown -R {_me()} {folder}", 78)
        return
    for path in names:
        found = _stat(path)
        if found is not None and stat.S_ISREG(found.st_mode) and not path.name.startswith("."):
            yield from _private(path, "secrets")


def _private(path: Path, about: str) -> Iterator[Finding]:
    found = _stat(path)
    if found is None:
        return
    yield from _foreign(path, found, about)
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield problem(about, f"{path} is open to others than its owner", f"chmod 600 {path}", 78)
    elif not os.access(path, os.R_OK):
        yield problem(about, f"{path} cannot be read by this user", f"chown {_me()} {path}", 78)


def _store(path: Path) -> Iterator[Finding]:
    found = _stat(path)
    if found is None:
        if os.access(path.parent, os.F_OK) and not os.access(path.parent, os.W_OK):
            yield problem("store", f"{path} cannot be made in {path.parent}", f"chown {_me()} {path.parent}", 78)
        return
    yield from _foreign(path, found, "store")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield problem("store", f"{path} can be written by others", f"chmod 600 {path}", 78)
    elif found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield warning("store", f"{path} can be read by others, and holds what customers wrote", f"chmod 600 {path}")
    beside = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm", "-writer", ".lock")]
    closed = [one.name for one in [path.parent, *beside] if os.access(one, os.F_OK) and not os.access(one, os.W_OK)]
    if closed:
        yield problem(
            "store",
            f"this user may not write {', '.join(closed)}",
            f"chown {_me()} {path.parent} {path}*, or run cxbridge as the user they belong to",
            73,
        )


def _foreign(path: Path, found: os.stat_result, about: str) -> Iterator[Finding]:
    if found.st_uid not in (os.geteuid(), 0):
        yield warning(
            about,
            f"{path} belongs to {_name(found.st_uid)}, and this is {_me()}",
            f"run cxbridge as {_name(found.st_uid)}, or: chown {_me()} {path}",
        )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _me() -> str:
    return _name(os.geteuid())


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
