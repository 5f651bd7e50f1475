"""The file with the key that seals secrets; it is never written over."""

import os
import secrets
import stat
from pathlib import Path

from cxbridge.core.errors import ConfigError

_LENGTH = 32


def load_or_create(path: Path) -> bytes:
    """Read the 32-byte key, written as 64 hexadecimal digits; where there is no file, make one only its owner can read.

    Raises:
        ConfigError: others than the owner may read the file, it holds no key, or it cannot be read or made.
    """
    try:
        _create(path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be made: {error.strerror}; mend its directory") from error
    return load(path)


def _create(path: Path) -> None:
    # Not by `Path`, which raises where this user may not look.
    if os.path.exists(path):  # noqa: PTH110 - see above
        return
    # Complete or not there at all: a crash between making and filling would leave a file that holds no key.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_LENGTH).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()


def load(path: Path) -> bytes:
    """Read the key; makes none.

    Raises:
        ConfigError: there is no such file, others than the owner may read it, it holds no key, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096)
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}; mend its owner or mode") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"the key file {path} is open to others than its owner: run `chmod 600 {path}`")
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _LENGTH:
        raise ConfigError(f"the key file {path} holds no key of {_LENGTH} bytes: restore it, sealed secrets need it")
    return key
