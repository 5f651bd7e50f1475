"""Letting processes take turns with a file, by a lock that ends with its process; threads take turns before they come here."""

import errno
import fcntl
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path

from cxbridge.core.errors import ConfigError, StoreError

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.025


def turn(path: Path, timeout: float, place: str) -> AbstractContextManager[None]:
    """Hold the lock on the file `path`, which is made and never removed: two that make it anew would hold one each.

    Raises:
        StoreError: another process held it for `timeout` seconds, or the file cannot be opened now.
        ConfigError: the file cannot be made or written by this user.
    """
    return _Turn(path, timeout, place)


class _Turn(AbstractContextManager[None]):
    __slots__ = ("_handle", "_path", "_place", "_timeout")

    def __init__(self, path: Path, timeout: float, place: str) -> None:
        self._path = path
        self._timeout = timeout
        self._place = place

    def __enter__(self) -> None:
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            forbidden = isinstance(error, PermissionError) or error.errno == errno.EROFS
            raise (ConfigError if forbidden else StoreError)(
                f"{self._place} cannot be written, for {self._path} cannot: {error.strerror}"
            ) from error
        try:
            _wait(self._handle, self._timeout, self._place)
        except BaseException:
            os.close(self._handle)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def _wait(handle: int, timeout: float, place: str) -> None:
    end = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise StoreError(
                    f"{place} is locked by another process: let it finish or stop it, then try again"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return
