"""Seeing that one process at a time performs deliveries from a store; the hold ends with its process, however that ends.

Two pushers could send the same delivery twice. Reading, and mending by a person, needs no hold.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import Engine

from cxbridge.core.errors import ConfigError, StoreError

# The first half of the advisory lock; the second is the schema. Another one than that of the writers.
_LOCK = 0x63786273
_REMEDY = (
    "is at work on this store; only one process may write to vendors at a time: let it do the work, or end it first"
)


@contextmanager
def by_file(path: Path, who: str) -> Iterator[None]:
    """Hold the lock file `path`, which says who holds it and is never removed.

    Raises:
        StoreError: another process holds it. ConfigError: the file cannot be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): is the folder there, and yours?") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another cxbridge"
            raise StoreError(f"{holder} {_REMEDY}") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"cxbridge {who} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def by_server(engine: Engine) -> Iterator[None]:
    """Hold an advisory lock of the database server, on a connection that does nothing else.

    Raises:
        StoreError: another process holds it.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        held = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK}, hashtext(current_schema()))").scalar()
        if not held:
            raise StoreError(f"another cxbridge {_REMEDY}")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK}, hashtext(current_schema()))")
